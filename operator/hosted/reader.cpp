#include "hosted/reader.h"

#include <pthread.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/log.h"
#include "kube/sync.h"

namespace pooler::hosted {
namespace {

// Longest wait without a look at the clock.
constexpr Duration kLongWait = std::chrono::minutes(1);

void log_answer(const std::string& key, const ProjectState& state) {
  if (!state.failure) {
    return log_info("Supabase's Management API told the pooler",
                    {{"poolerconfig", key}, {"project", state.project_ref}});
  }
  log_warning(
      "Supabase's Management API did not tell the pooler",
      {{"poolerconfig", key}, {"project", state.project_ref}, {"detail", state.failure->message}});
}

}  // namespace

Reader::Reader(kube::HttpTransport& transport, const Clock& clock, OnChange on_change,
               Duration patience)
    : transport_(transport), clock_(clock), on_change_(std::move(on_change)), patience_(patience) {}

Reader::~Reader() { stop(); }

void Reader::start() {
  thread_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
}

void Reader::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void Reader::set_target(const std::string& key, const ProjectTarget& target) {
  std::lock_guard held(mutex_);
  projects_.set_target(key, target, clock_.monotonic());
  set_ = true;
  changed_.notify_all();
}

void Reader::forget(const std::string& key) {
  std::lock_guard held(mutex_);
  projects_.forget(key);
}

ProjectState Reader::state(const std::string& key) const {
  std::lock_guard held(mutex_);
  return projects_.state(key);
}

void Reader::run(std::stop_token stop) {
  pthread_setname_np(pthread_self(), "hosted");
  std::unique_lock held(mutex_);
  while (!stop.stop_requested()) {
    const MonotonicTime now = clock_.monotonic();
    auto question = projects_.next(now);
    if (!question) {
      set_ = false;
      const MonotonicTime due = projects_.due();
      const Duration wait = due == MonotonicTime::max() ? kLongWait : due - now;
      changed_.wait_for(held, stop, std::min(wait, kLongWait), [this] { return set_; });
      continue;
    }
    held.unlock();
    const ApiAnswer answer = ask(question->request, stop);
    held.lock();
    if (stop.stop_requested()) return;
    if (!projects_.answered(*question, answer, clock_.monotonic())) continue;
    const ProjectState state = projects_.state(question->key);
    held.unlock();
    log_answer(question->key, state);
    on_change_(question->key);
    held.lock();
  }
}

ApiAnswer Reader::ask(const kube::Request& request, std::stop_token stop) {
  // Not on the stack: g++ 12 would take it for uninitialised.
  const auto over = std::make_unique<std::stop_source>();
  const std::stop_callback on_stop(stop, [&over] { over->request_stop(); });
  const std::jthread limit([this, &over](std::stop_token answered) {
    if (kube::interruptible_sleep(patience_, std::move(answered))) over->request_stop();
  });
  return transport_.send(request, over->get_token());
}

}  // namespace pooler::hosted
