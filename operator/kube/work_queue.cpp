#include "kube/work_queue.h"

#include <algorithm>

namespace pooler::kube {
namespace {
// A waiting get() looks at the clock at least so often, should the two clocks differ.
constexpr auto kHeartbeat = std::chrono::seconds(10);
}  // namespace

WorkQueue::WorkQueue(const Clock& clock, BackoffOptions backoff)
    : clock_(clock), backoff_(backoff), tokens_(backoff.burst), tokens_at_(clock.monotonic()) {}

void WorkQueue::add(const ObjectKey& key) {
  std::lock_guard held(mutex_);
  enqueue(key);
}

void WorkQueue::enqueue(const ObjectKey& key) {
  if (shutting_down_ || !dirty_.insert(key).second) return;
  ++metrics_.adds;
  if (processing_.contains(key)) return;  // done() puts it back
  ready_.push_back(key);
  changed_.notify_one();
}

void WorkQueue::add_after(const ObjectKey& key, Duration delay) {
  std::lock_guard held(mutex_);
  add_after_locked(key, delay);
}

void WorkQueue::add_after_locked(const ObjectKey& key, Duration delay) {
  if (shutting_down_) return;
  if (delay <= Duration::zero()) return enqueue(key);
  const MonotonicTime at = clock_.monotonic() + delay;
  auto [it, fresh] = due_.try_emplace(key, at);
  if (!fresh) {
    if (it->second <= at) return;
    timers_.erase({it->second, key});
    it->second = at;
  }
  timers_.emplace(at, key);
  changed_.notify_all();  // each waits for the nearest time
}

void WorkQueue::add_rate_limited(const ObjectKey& key) {
  std::lock_guard held(mutex_);
  const int failures = failures_[key]++;
  ++metrics_.retries;
  // first * 2^failures, without ever computing more than cap.
  Duration delay = std::min(backoff_.first, backoff_.cap);
  for (int i = 0; i < failures && delay < backoff_.cap; ++i) {
    delay = delay > backoff_.cap / 2 ? backoff_.cap : delay * 2;
  }
  add_after_locked(key, std::max(delay, bucket_delay()));
}

Duration WorkQueue::bucket_delay() {
  if (backoff_.rate <= 0) return Duration::zero();
  const MonotonicTime now = clock_.monotonic();
  const std::chrono::duration<double> passed = now - tokens_at_;
  tokens_ = std::min(backoff_.burst, tokens_ + passed.count() * backoff_.rate);
  tokens_at_ = now;
  // However many fail: none waits longer than the cap for this reason.
  const double least = -backoff_.rate * std::chrono::duration<double>(backoff_.cap).count();
  tokens_ = std::max(tokens_ - 1, least);
  if (tokens_ >= 0) return Duration::zero();
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(-tokens_ / backoff_.rate));
}

void WorkQueue::forget(const ObjectKey& key) {
  std::lock_guard held(mutex_);
  failures_.erase(key);
}

int WorkQueue::failures(const ObjectKey& key) const {
  std::lock_guard held(mutex_);
  const auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

void WorkQueue::release_due() {
  const MonotonicTime now = clock_.monotonic();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const ObjectKey key = timers_.begin()->second;
    timers_.erase(timers_.begin());
    due_.erase(key);
    enqueue(key);
  }
}

std::optional<ObjectKey> WorkQueue::take() {
  release_due();
  if (ready_.empty()) return std::nullopt;
  ObjectKey key = std::move(ready_.front());
  ready_.pop_front();
  dirty_.erase(key);
  processing_.insert(key);
  return key;
}

std::optional<ObjectKey> WorkQueue::try_get() {
  std::lock_guard held(mutex_);
  return take();
}

std::optional<ObjectKey> WorkQueue::get(std::stop_token stop) {
  std::unique_lock held(mutex_);
  while (!stop.stop_requested()) {
    if (auto key = take()) return key;
    if (shutting_down_) return std::nullopt;
    Duration pause = kHeartbeat;
    if (!timers_.empty()) {
      pause = std::min(pause, Duration(timers_.begin()->first - clock_.monotonic()));
    }
    // Any notification is worth a look: a new key, a nearer time, the end.
    bool looked = false;
    changed_.wait_for(held, stop, std::max(pause, Duration::zero()),
                      [&] { return std::exchange(looked, true); });
  }
  return std::nullopt;
}

void WorkQueue::done(const ObjectKey& key) {
  std::lock_guard held(mutex_);
  processing_.erase(key);
  if (dirty_.contains(key)) ready_.push_back(key);
  changed_.notify_all();
}

std::size_t WorkQueue::depth() const {
  std::lock_guard held(mutex_);
  return ready_.size();
}

std::size_t WorkQueue::waiting() const {
  std::lock_guard held(mutex_);
  return timers_.size();
}

std::size_t WorkQueue::in_work() const {
  std::lock_guard held(mutex_);
  return processing_.size();
}

std::optional<Duration> WorkQueue::next_due() const {
  std::lock_guard held(mutex_);
  if (timers_.empty()) return std::nullopt;
  return std::max(Duration(timers_.begin()->first - clock_.monotonic()), Duration::zero());
}

void WorkQueue::shut_down() {
  std::lock_guard held(mutex_);
  shutting_down_ = true;
  timers_.clear();
  due_.clear();
  changed_.notify_all();
}

bool WorkQueue::shut_down_and_drain(Duration limit) {
  shut_down();
  std::unique_lock held(mutex_);
  return changed_.wait_for(held, limit, [&] { return processing_.empty() && ready_.empty(); });
}

void WorkQueue::poke() {
  std::lock_guard held(mutex_);
  release_due();
  changed_.notify_all();
}

}  // namespace pooler::kube
