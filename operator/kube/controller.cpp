#include "kube/controller.h"

#include <exception>
#include <string>
#include <utility>

#include "base/log.h"

namespace pooler::kube {
namespace {

Result<Requeue, ReconcileError> guarded_call(const Reconcile& reconcile, const ObjectKey& key) {
  try {
    return reconcile(key);
  } catch (const std::exception& thrown) {
    return failure(ReconcileError{std::string("exception: ") + thrown.what()});
  }
}

}  // namespace

const char* to_string(ReconcileOutcome outcome) {
  switch (outcome) {
    case ReconcileOutcome::kSuccess:
      return "success";
    case ReconcileOutcome::kRequeueAfter:
      return "requeue_after";
    case ReconcileOutcome::kError:
      break;
  }
  return "error";
}

ReconcileOutcome run_once(WorkQueue& queue, const ObjectKey& key, const Reconcile& reconcile,
                          ReconcileMetrics& metrics, const Clock& clock) {
  const MonotonicTime began = clock.monotonic();
  ++metrics.active;
  const auto result = guarded_call(reconcile, key);
  --metrics.active;
  ReconcileOutcome outcome = ReconcileOutcome::kError;
  if (!result.ok()) {
    ++metrics.error;
    log_warning("reconcile failed", {{"key", to_string(key)}, {"error", result.error().message}});
    queue.add_rate_limited(key);
  } else if (result->after.has_value()) {
    outcome = ReconcileOutcome::kRequeueAfter;
    ++metrics.requeue_after;
    queue.forget(key);
    queue.add_after(key, *result->after);
  } else {
    outcome = ReconcileOutcome::kSuccess;
    ++metrics.success;
    queue.forget(key);
  }
  queue.done(key);
  if (metrics.observe) metrics.observe(outcome, clock.monotonic() - began);
  return outcome;
}

Workers::Workers(WorkQueue& queue, int count, Reconcile reconcile, ReconcileMetrics& metrics,
                 const Clock& clock)
    : queue_(queue), reconcile_(std::move(reconcile)) {
  for (int i = 0; i < count; ++i) {
    threads_.emplace_back([this, &metrics, &clock](std::stop_token stop) {
      while (const auto key = queue_.get(stop)) {
        run_once(queue_, *key, reconcile_, metrics, clock);
      }
    });
  }
}

Workers::~Workers() { stop(); }

void Workers::stop() {
  queue_.shut_down();
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

}  // namespace pooler::kube
