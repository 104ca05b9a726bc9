#include "kube/work_queue.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace pooler::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const ObjectKey kFirst{"ns", "a"};
const ObjectKey kSecond{"ns", "b"};

class WorkQueueTest : public testing::Test {
 protected:
  ManualClock clock_;
  WorkQueue queue_{clock_, {milliseconds(5), seconds(30), 0, 0}};
};

TEST_F(WorkQueueTest, Q1_AKeyIsHandedOutOnceAndComesAgainAfterDone) {
  queue_.add(kFirst);
  queue_.add(kFirst);
  EXPECT_EQ(queue_.depth(), 1U);
  EXPECT_EQ(queue_.try_get(), kFirst);
  EXPECT_EQ(queue_.try_get(), std::nullopt);
  queue_.add(kFirst);
  queue_.add(kFirst);
  EXPECT_EQ(queue_.try_get(), std::nullopt) << "it is in the hands of another worker";
  queue_.done(kFirst);
  EXPECT_EQ(queue_.try_get(), kFirst);
  queue_.done(kFirst);
  EXPECT_EQ(queue_.try_get(), std::nullopt);
  EXPECT_EQ(queue_.metrics().adds, 2U);
}

TEST_F(WorkQueueTest, Q1_KeysComeInTheirOrder) {
  queue_.add(kSecond);
  queue_.add(kFirst);
  EXPECT_EQ(queue_.try_get(), kSecond);
  EXPECT_EQ(queue_.try_get(), kFirst);
}

TEST_F(WorkQueueTest, Q1_NoKeyIsEverWithTwoWorkers) {
  SystemClock real;
  WorkQueue queue(real);
  std::atomic<int> inside{0};
  std::atomic<int> handled{0};
  std::atomic<bool> together{false};
  std::vector<std::jthread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&](std::stop_token stop) {
      while (const auto key = queue.get(stop)) {
        if (++inside > 1) together = true;
        std::this_thread::yield();
        --inside;
        ++handled;
        queue.done(*key);
      }
    });
  }
  for (int i = 0; i < 2000; ++i) queue.add(kFirst);
  EXPECT_TRUE(queue.shut_down_and_drain(seconds(10)));
  EXPECT_FALSE(together);
  EXPECT_GT(handled, 0);
}

TEST_F(WorkQueueTest, Q2_BackoffDoublesUpToTheCapAndForgetStartsAnew) {
  Duration expected = milliseconds(5);
  for (int i = 0; i < 100; ++i) {
    queue_.add_rate_limited(kFirst);
    ASSERT_EQ(queue_.next_due(), expected) << i;
    clock_.advance(expected);
    ASSERT_EQ(queue_.try_get(), kFirst);
    queue_.done(kFirst);
    expected = std::min<Duration>(expected * 2, seconds(30));
  }
  EXPECT_EQ(queue_.failures(kFirst), 100);
  queue_.forget(kFirst);
  queue_.add_rate_limited(kFirst);
  EXPECT_EQ(queue_.next_due(), milliseconds(5));
  EXPECT_EQ(queue_.metrics().retries, 101U);
}

TEST_F(WorkQueueTest, Q2_AllKeysTogetherAreLimitedToo) {
  WorkQueue queue(clock_, {milliseconds(5), seconds(1000), 10, 100});
  const auto key = [](int i) { return ObjectKey{"ns", std::to_string(i)}; };
  for (int i = 0; i < 100; ++i) queue.add_rate_limited(key(i));
  clock_.advance(milliseconds(5));
  int at_once = 0;
  while (queue.try_get()) ++at_once;
  EXPECT_EQ(at_once, 100);
  queue.add_rate_limited(key(200));
  queue.add_rate_limited(key(201));
  clock_.advance(milliseconds(5));
  EXPECT_EQ(queue.try_get(), std::nullopt);
  clock_.advance(milliseconds(95));
  EXPECT_EQ(queue.try_get(), key(200));
  EXPECT_EQ(queue.try_get(), std::nullopt);
  clock_.advance(milliseconds(100));
  EXPECT_EQ(queue.try_get(), key(201));
}

TEST_F(WorkQueueTest, Q2_HoweverManyFailNoneWaitsLongerThanTheCap) {
  WorkQueue queue(clock_, {milliseconds(5), seconds(30), 10, 100});
  for (int i = 0; i < 5000; ++i) queue.add_rate_limited({"ns", std::to_string(i)});
  clock_.advance(seconds(30));
  int due = 0;
  while (queue.try_get()) ++due;
  EXPECT_EQ(due, 5000);
}

TEST_F(WorkQueueTest, Q3_TheEarliestTimeWins) {
  queue_.add_after(kFirst, seconds(10));
  queue_.add_after(kFirst, seconds(2));
  queue_.add_after(kFirst, seconds(5));
  EXPECT_EQ(queue_.waiting(), 1U);
  EXPECT_EQ(queue_.next_due(), seconds(2));
  clock_.advance(seconds(2));
  EXPECT_EQ(queue_.try_get(), kFirst);
  queue_.done(kFirst);
  clock_.advance(seconds(60));
  EXPECT_EQ(queue_.try_get(), std::nullopt) << "the later times are gone";
}

TEST_F(WorkQueueTest, Q3_AnAddNowDoesNotTakeTheWaitAway) {
  queue_.add_after(kFirst, seconds(2));
  queue_.add(kFirst);
  EXPECT_EQ(queue_.try_get(), kFirst);
  queue_.done(kFirst);
  clock_.advance(seconds(2));
  EXPECT_EQ(queue_.try_get(), kFirst);
}

TEST_F(WorkQueueTest, Q3_NoDelayIsNow) {
  queue_.add_after(kFirst, seconds(0));
  queue_.add_after(kSecond, seconds(-1));
  EXPECT_EQ(queue_.depth(), 2U);
}

TEST_F(WorkQueueTest, Q3_ABlockedWorkerSeesANearerTime) {
  SystemClock real;
  WorkQueue queue(real);
  queue.add_after(kSecond, std::chrono::hours(1));
  auto got = std::async(std::launch::async, [&] { return queue.get({}); });
  queue.add_after(kFirst, milliseconds(1));
  EXPECT_EQ(got.get(), kFirst);
}

TEST_F(WorkQueueTest, Q4_ShutDownHandsOutWhatIsDueAndTakesNoMore) {
  queue_.add(kFirst);
  queue_.add_after(kSecond, seconds(1));
  queue_.shut_down();
  queue_.add(kSecond);
  EXPECT_EQ(queue_.get({}), kFirst);
  EXPECT_EQ(queue_.get({}), std::nullopt);
  EXPECT_EQ(queue_.waiting(), 0U);
}

TEST_F(WorkQueueTest, Q4_DrainWaitsForWhatIsInWork) {
  queue_.add(kFirst);
  ASSERT_EQ(queue_.try_get(), kFirst);
  EXPECT_FALSE(queue_.shut_down_and_drain(milliseconds(1)));
  EXPECT_EQ(queue_.in_work(), 1U);
  std::jthread worker([&] { queue_.done(kFirst); });
  EXPECT_TRUE(queue_.shut_down_and_drain(seconds(10)));
}

TEST_F(WorkQueueTest, Q4_AWorkerThatWaitsIsFreedByStopAndByShutDown) {
  std::optional<ObjectKey> got = kFirst;
  {
    std::jthread worker([&](std::stop_token stop) { got = queue_.get(stop); });
  }
  EXPECT_EQ(got, std::nullopt);
  auto shut = std::async(std::launch::async, [&] { return queue_.get({}); });
  queue_.shut_down();
  EXPECT_EQ(shut.get(), std::nullopt);
}

}  // namespace
}  // namespace pooler::kube
