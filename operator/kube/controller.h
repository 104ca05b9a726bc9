// Workers: n threads that take keys from a queue and reconcile them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "kube/meta.h"
#include "kube/work_queue.h"

namespace pooler::kube {

// What a reconcile that went well wants: nothing more until something changes, or a look after a
// time.
struct Requeue {
  std::optional<Duration> after;
};

struct ReconcileError {
  std::string message;  // for the log
};

// Level-triggered: gets a key, reads the caches, does what is missing.
using Reconcile = std::function<Result<Requeue, ReconcileError>(const ObjectKey&)>;

enum class ReconcileOutcome { kSuccess, kRequeueAfter, kError };
[[nodiscard]] const char* to_string(
    ReconcileOutcome outcome);  // "success", "requeue_after", "error"

struct ReconcileMetrics {
  std::atomic<std::uint64_t> success{0};
  std::atomic<std::uint64_t> requeue_after{0};
  std::atomic<std::uint64_t> error{0};
  std::atomic<std::int64_t> active{0};  // workers that are at work
  // Called after each, from the worker's thread (a histogram of durations). May be empty; set
  // before the workers start.
  std::function<void(ReconcileOutcome, Duration)> observe;
};

// One key: success forgets its failures; requeue_after forgets and waits; an error backs off.
// An exception (there should be none) counts as an error. Calls queue.done().
ReconcileOutcome run_once(WorkQueue& queue, const ObjectKey& key, const Reconcile& reconcile,
                          ReconcileMetrics& metrics, const Clock& clock);

class Workers {
 public:
  Workers(WorkQueue& queue, int count, Reconcile reconcile, ReconcileMetrics& metrics,
          const Clock& clock);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  // Shuts the queue down and waits for the reconciles that run.
  void stop();

 private:
  WorkQueue& queue_;
  const Reconcile reconcile_;
  std::vector<std::jthread> threads_;
};

}  // namespace pooler::kube
