#include "kube/sync.h"

namespace pooler::kube {

void SyncGate::expect(std::string_view part) {
  std::lock_guard held(mutex_);
  missing_.emplace(part);
  any_ = true;
}

void SyncGate::arrived(std::string_view part) {
  std::lock_guard held(mutex_);
  if (auto it = missing_.find(part); it != missing_.end()) missing_.erase(it);
  any_ = true;
  changed_.notify_all();
}

bool SyncGate::done() const {
  std::lock_guard held(mutex_);
  return any_ && missing_.empty();
}

bool SyncGate::wait(std::stop_token stop, Duration limit) const {
  std::unique_lock held(mutex_);
  return changed_.wait_for(held, stop, limit, [&] { return any_ && missing_.empty(); });
}

bool interruptible_sleep(Duration time, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock held(mutex);
  never.wait_for(held, stop, time, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace pooler::kube
