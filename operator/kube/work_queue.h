// WorkQueue: keys that want a look. A key is never in the hands of two workers; one that is added
// while it is worked on comes again, once, after done().
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/clock.h"
#include "kube/meta.h"

namespace pooler::kube {

struct BackoffOptions {
  Duration first = std::chrono::milliseconds(5);
  Duration cap = std::chrono::seconds(30);
  // Of all keys together: after `burst` retries at once, `rate` per second. Zero: no such limit.
  double rate = 10;
  double burst = 100;
};

// Monotonic counts, for metrics.
struct QueueMetrics {
  std::atomic<std::uint64_t> adds{0};     // accepted, duplicates not counted
  std::atomic<std::uint64_t> retries{0};  // add_rate_limited
};

// Thread-safe. Time comes from `clock`; one that is moved by hand needs poke() to be seen.
class WorkQueue {
 public:
  explicit WorkQueue(const Clock& clock, BackoffOptions backoff = {});

  void add(const ObjectKey& key);
  // Where the key already waits, the earliest time wins. A plain add() does not take the wait away.
  void add_after(const ObjectKey& key, Duration delay);
  // After the key's own backoff: first, doubled with each call, up to cap; forget() starts anew.
  void add_rate_limited(const ObjectKey& key);
  void forget(const ObjectKey& key);
  [[nodiscard]] int failures(const ObjectKey& key) const;

  // Blocks for a key; nullopt when stopped, or shut down and drained. Each key got needs a done().
  [[nodiscard]] std::optional<ObjectKey> get(std::stop_token stop);
  // A key that is due now, or nullopt at once.
  [[nodiscard]] std::optional<ObjectKey> try_get();
  void done(const ObjectKey& key);

  [[nodiscard]] std::size_t depth() const;    // due now, not in work
  [[nodiscard]] std::size_t waiting() const;  // for their time
  [[nodiscard]] std::size_t in_work() const;
  [[nodiscard]] std::optional<Duration> next_due() const;  // of the waiting ones
  // Takes no more keys; get() hands out what is due, then nullopt. Waiting keys are dropped.
  void shut_down();
  // shut_down(), and waits until all that was in work is done. False after `limit`.
  bool shut_down_and_drain(Duration limit);
  void poke();

  [[nodiscard]] const QueueMetrics& metrics() const { return metrics_; }

 private:
  void enqueue(const ObjectKey& key);  // with lock held
  void release_due();                  // with lock held
  [[nodiscard]] std::optional<ObjectKey> take();
  [[nodiscard]] Duration bucket_delay();
  void add_after_locked(const ObjectKey& key, Duration delay);

  const Clock& clock_;
  const BackoffOptions backoff_;
  QueueMetrics metrics_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<ObjectKey> ready_;
  std::unordered_set<ObjectKey> dirty_;  // ready_, and those to run again after done()
  std::unordered_set<ObjectKey> processing_;
  std::unordered_map<ObjectKey, MonotonicTime> due_;      // earliest time of each waiting key
  std::set<std::pair<MonotonicTime, ObjectKey>> timers_;  // the same, by time
  std::unordered_map<ObjectKey, int> failures_;
  double tokens_;
  MonotonicTime tokens_at_;
  bool shutting_down_ = false;
};

}  // namespace pooler::kube
