#include "kube/controller.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace pooler::kube {
namespace {

const ObjectKey kKey{"ns", "a"};

class ControllerTest : public testing::Test {
 protected:
  ReconcileOutcome run(const Reconcile& reconcile) {
    queue_.add(kKey);
    const auto key = queue_.try_get();
    EXPECT_EQ(key, kKey);
    return run_once(queue_, *key, reconcile, metrics_, clock_);
  }

  ManualClock clock_;
  WorkQueue queue_{clock_};
  ReconcileMetrics metrics_;
};

TEST_F(ControllerTest, SuccessForgetsAndRests) {
  queue_.add_rate_limited(kKey);
  EXPECT_EQ(run([](const ObjectKey&) { return Requeue{}; }), ReconcileOutcome::kSuccess);
  EXPECT_EQ(queue_.failures(kKey), 0);
  EXPECT_EQ(metrics_.success, 1U);
  EXPECT_EQ(queue_.in_work(), 0U);
  EXPECT_EQ(metrics_.active, 0);
}

TEST_F(ControllerTest, RequeueAfterForgetsAndWaitsItsTime) {
  queue_.add_rate_limited(kKey);
  clock_.advance(std::chrono::seconds(1));
  EXPECT_EQ(run([](const ObjectKey&) { return Requeue{std::chrono::seconds(7)}; }),
            ReconcileOutcome::kRequeueAfter);
  EXPECT_EQ(queue_.failures(kKey), 0);
  EXPECT_EQ(queue_.next_due(), std::chrono::seconds(7));
  EXPECT_EQ(metrics_.requeue_after, 1U);
}

TEST_F(ControllerTest, AnErrorBacksOff) {
  const Reconcile fails = [](const ObjectKey&) -> Result<Requeue, ReconcileError> {
    return failure(ReconcileError{"no"});
  };
  EXPECT_EQ(run(fails), ReconcileOutcome::kError);
  EXPECT_EQ(queue_.failures(kKey), 1);
  EXPECT_EQ(queue_.next_due(), std::chrono::milliseconds(5));
  EXPECT_EQ(metrics_.error, 1U);
  EXPECT_STREQ(to_string(ReconcileOutcome::kError), "error");
}

TEST_F(ControllerTest, AnExceptionIsAnErrorAndTheWorkerLives) {
  const Reconcile throws = [](const ObjectKey&) -> Result<Requeue, ReconcileError> {
    throw std::runtime_error("broken");
  };
  EXPECT_EQ(run(throws), ReconcileOutcome::kError);
  EXPECT_EQ(queue_.in_work(), 0U);
  EXPECT_EQ(metrics_.active, 0);
}

TEST_F(ControllerTest, DurationsAreObserved) {
  Duration seen{};
  metrics_.observe = [&](ReconcileOutcome, Duration took) { seen = took; };
  run([&](const ObjectKey&) {
    clock_.advance(std::chrono::milliseconds(30));
    return Requeue{};
  });
  EXPECT_EQ(seen, std::chrono::milliseconds(30));
}

TEST_F(ControllerTest, WorkersReconcileAndStop) {
  SystemClock real;
  WorkQueue queue(real);
  std::atomic<int> seen{0};
  Workers workers(
      queue, 3,
      [&](const ObjectKey&) {
        ++seen;
        return Requeue{};
      },
      metrics_, real);
  for (int i = 0; i < 20; ++i) queue.add({"ns", std::to_string(i)});
  EXPECT_TRUE(queue.shut_down_and_drain(std::chrono::seconds(10)));
  workers.stop();
  EXPECT_EQ(seen, 20);
}

}  // namespace
}  // namespace pooler::kube
