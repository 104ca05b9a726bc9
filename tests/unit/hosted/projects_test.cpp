#include "hosted/projects.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace pooler::hosted {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kKey = "shop/orders";
constexpr const char* kGood =
    R"([{"database_type": "PRIMARY", "db_user": "postgres.abcdefghijklmnopqrst",
         "db_host": "aws-1-eu-central-1.pooler.supabase.com", "db_port": 6543}])";

class ProjectsTest : public testing::Test {
 protected:
  void set(const std::string& token = "t0ken", std::int64_t generation = 1,
           const std::string& project = "abcdefghijklmnopqrst") {
    projects_.set_target(kKey, {project, token, generation}, clock_.monotonic());
  }
  std::optional<Projects::Question> next() { return projects_.next(clock_.monotonic()); }
  // True: there was a question, and it was answered so.
  bool answer(int status, std::optional<seconds> retry_after = std::nullopt) {
    const auto question = next();
    if (!question) return false;
    changed_ = projects_.answered(*question,
                                  kube::Response{status, retry_after, status == 200 ? kGood : "{}"},
                                  clock_.monotonic());
    return true;
  }
  // How long until it is asked again.
  [[nodiscard]] Duration wait() const { return projects_.due() - clock_.monotonic(); }
  [[nodiscard]] ProjectState state() const { return projects_.state(kKey); }

  ManualClock clock_;
  Projects projects_;
  bool changed_ = false;
};

TEST_F(ProjectsTest, NothingToAsk) {
  EXPECT_FALSE(next());
  EXPECT_EQ(projects_.due(), MonotonicTime::max());
  EXPECT_EQ(state(), ProjectState{});
}

TEST_F(ProjectsTest, AsksAtOnceAndEveryTenMinutes) {
  set();
  EXPECT_FALSE(state().asked);
  ASSERT_TRUE(answer(200));
  EXPECT_TRUE(changed_);
  EXPECT_TRUE(state().asked);
  EXPECT_EQ(state().pooler->host, "aws-1-eu-central-1.pooler.supabase.com");
  EXPECT_FALSE(next());
  EXPECT_EQ(wait(), minutes(10));
  clock_.advance(minutes(10));
  ASSERT_TRUE(answer(200));
  EXPECT_FALSE(changed_) << "the same answer is no news";
}

TEST_F(ProjectsTest, TheSameTargetAsksNothing) {
  set();
  ASSERT_TRUE(answer(200));
  for (int i = 0; i < 100; ++i) set();
  EXPECT_FALSE(next());
}

TEST_F(ProjectsTest, ASpecChangeAsksAgainButNotInAStorm) {
  set();
  ASSERT_TRUE(answer(200));
  for (int i = 2; i < 100; ++i) set("t0ken", i);
  EXPECT_FALSE(next());
  EXPECT_EQ(wait(), Projects::kSpacing);
  clock_.advance(Projects::kSpacing);
  EXPECT_TRUE(answer(200));
  EXPECT_FALSE(next());
}

TEST_F(ProjectsTest, NobodyIsAskedTwiceAtATime) {
  set();
  const auto question = next();
  ASSERT_TRUE(question);
  clock_.advance(minutes(60));
  EXPECT_FALSE(next());
  EXPECT_EQ(projects_.due(), MonotonicTime::max());
}

TEST_F(ProjectsTest, TheLastGoodAnswerStaysWhileLaterOnesFail) {
  set();
  ASSERT_TRUE(answer(200));
  const auto pooler = state().pooler;
  clock_.advance(minutes(10));
  for (const int status : {500, 401, 429, 404, 200}) {
    ASSERT_TRUE(answer(status));
    EXPECT_EQ(state().pooler, pooler) << status;
    EXPECT_EQ(state().failure.has_value(), status != 200) << status;
    clock_.advance(std::max(wait(), Duration::zero()));
  }
}

TEST_F(ProjectsTest, APassingFailureIsTriedAgainLessAndLessOften) {
  set();
  for (const int expected : {5, 10, 20, 40, 80, 160, 320, 600, 600}) {
    ASSERT_TRUE(answer(503));
    EXPECT_EQ(wait(), seconds(expected));
    clock_.advance(seconds(expected));
  }
  ASSERT_TRUE(answer(200));
  clock_.advance(minutes(10));
  ASSERT_TRUE(answer(503));
  EXPECT_EQ(wait(), seconds(5)) << "a good answer ends the row";
}

TEST_F(ProjectsTest, ALastingFailureIsNotTriedAgainSoon) {
  set();
  ASSERT_TRUE(answer(401));
  EXPECT_EQ(wait(), minutes(10));
  set("another");
  EXPECT_TRUE(state().failure == std::nullopt && !state().asked);
  clock_.advance(Projects::kSpacing);
  EXPECT_TRUE(answer(200)) << "another token is tried at once";
}

TEST_F(ProjectsTest, RetryAfterIsKeptToEvenWhenTheSpecChanges) {
  set();
  ASSERT_TRUE(answer(429, seconds(90)));
  EXPECT_EQ(wait(), seconds(90));
  set("t0ken", 2);
  clock_.advance(seconds(89));
  EXPECT_FALSE(next());
  clock_.advance(seconds(1));
  EXPECT_TRUE(answer(429, seconds(86400)));
  EXPECT_EQ(wait(), Projects::kLongestWait);
}

// The limit is the account's, and that is all that is known of it.
TEST_F(ProjectsTest, RetryAfterCountsForAllOfOneToken) {
  set();
  const MonotonicTime began = clock_.monotonic();
  projects_.set_target("shop/other", {"zzzzzzzzzzzzzzzzzzzz", "t0ken", 1}, began);
  ASSERT_TRUE(answer(429, seconds(90)));
  EXPECT_FALSE(next()) << "the other has the same token";
  EXPECT_EQ(wait(), seconds(90));
  projects_.set_target("shop/third", {"yyyyyyyyyyyyyyyyyyyy", "another", 1}, began);
  const auto question = next();
  ASSERT_TRUE(question);
  EXPECT_EQ(question->key, "shop/third");
}

TEST_F(ProjectsTest, RetryAfterIsKeptToWhenTheTokenGoesAndComesBack) {
  set();
  ASSERT_TRUE(answer(429, seconds(90)));
  projects_.forget(kKey);
  EXPECT_EQ(projects_.due(), MonotonicTime::max());
  set();
  EXPECT_FALSE(next());
  EXPECT_EQ(wait(), seconds(90));
  projects_.forget(kKey);
  clock_.advance(seconds(90));
  set();
  EXPECT_TRUE(answer(200));
}

TEST_F(ProjectsTest, WhatHasWaitedLongestIsAskedFirst) {
  for (const char* key : {"shop/c", "shop/b", "shop/a"}) {
    projects_.set_target(key, {"abcdefghijklmnopqrst", "t0ken", 1}, clock_.monotonic());
    clock_.advance(seconds(1));
  }
  // An API that takes longer for each than it takes the first to be due again.
  std::vector<std::string> order;
  for (int i = 0; i < 6; ++i) {
    const auto question = next();
    ASSERT_TRUE(question);
    order.push_back(question->key);
    clock_.advance(minutes(11));
    projects_.answered(*question, kube::Response{200, std::nullopt, kGood}, clock_.monotonic());
  }
  EXPECT_EQ(order,
            (std::vector<std::string>{"shop/c", "shop/b", "shop/a", "shop/c", "shop/b", "shop/a"}));
}

TEST_F(ProjectsTest, AnAnswerThatComesTooLateIsDropped) {
  set();
  const auto question = next();
  set("t0ken", 2, "zzzzzzzzzzzzzzzzzzzz");
  EXPECT_FALSE(
      projects_.answered(*question, kube::Response{200, std::nullopt, kGood}, clock_.monotonic()));
  EXPECT_FALSE(state().pooler) << "it is another project's";
  projects_.forget(kKey);
  EXPECT_FALSE(
      projects_.answered(*question, kube::Response{200, std::nullopt, kGood}, clock_.monotonic()));
  EXPECT_EQ(state(), ProjectState{});
}

TEST_F(ProjectsTest, AnotherTokenKeepsTheGoodAnswerOfTheProject) {
  set();
  ASSERT_TRUE(answer(200));
  set("another");
  EXPECT_TRUE(state().pooler);
  EXPECT_FALSE(state().asked);
}

TEST_F(ProjectsTest, EachPoolerConfigIsAskedForByItself) {
  set();
  projects_.set_target("shop/other", {"zzzzzzzzzzzzzzzzzzzz", "t", 1}, clock_.monotonic());
  EXPECT_TRUE(next());
  EXPECT_TRUE(next());
  EXPECT_FALSE(next());
}

}  // namespace
}  // namespace pooler::hosted
