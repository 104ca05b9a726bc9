#include "base/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

namespace pooler {
namespace {

using Answer = Result<std::vector<std::string>, std::string>;

Answer answer_of(Lookup& lookup) {
  pollfd item{lookup.fd(), POLLIN, 0};
  EXPECT_EQ(poll(&item, 1, 60'000), 1);
  auto answer = lookup.take();
  EXPECT_TRUE(answer.has_value());
  return answer.value_or(failure(std::string("no answer")));
}

TEST(ThreadResolver, NumbersNeedNoNameServer) {
  ThreadResolver resolver;
  for (const std::string address : {"192.0.2.7", "2001:db8::7", "::1"}) {
    const auto lookup = resolver.look_up(address);
    const auto answer = lookup->take();
    ASSERT_TRUE(answer.has_value());
    ASSERT_TRUE(answer->ok());
    EXPECT_THAT(answer->value(), ::testing::ElementsAre(address));
  }
}

TEST(ThreadResolver, Names) {
  ThreadResolver resolver;
  const auto lookup = resolver.look_up("localhost");
  const Answer answer = answer_of(*lookup);
  ASSERT_TRUE(answer.ok());
  EXPECT_THAT(answer.value(), ::testing::IsSubsetOf(std::vector<std::string>{"127.0.0.1", "::1"}));
}

TEST(ThreadResolver, WhatIsNoNameIsNotAskedFor) {
  ThreadResolver resolver;
  for (const std::string host : {"/var/run/postgresql", "@abstract", ""}) {
    const auto answer = resolver.look_up(host)->take();
    ASSERT_TRUE(answer.has_value());
    EXPECT_FALSE(answer->ok());
  }
}

TEST(ThreadResolver, ManyAtOnce) {
  ThreadResolver resolver;
  std::vector<std::unique_ptr<Lookup>> lookups;
  for (int i = 0; i < 50; ++i) lookups.push_back(resolver.look_up("localhost"));
  for (auto& lookup : lookups) EXPECT_TRUE(answer_of(*lookup).ok());
}

TEST(ThreadResolver, GivingUpNeedsNoAnswer) {
  auto resolver = std::make_unique<ThreadResolver>();
  for (int i = 0; i < 20; ++i) (void)resolver->look_up("localhost");
  resolver.reset();
}

class Silent final : public Lookup {
 public:
  int fd() const override { return -1; }
  std::optional<Answer> take() override { return std::nullopt; }
};

TEST(WaitFor, AnAnswer) {
  ThreadResolver resolver;
  const auto answer = wait_for(*resolver.look_up("localhost"), std::chrono::minutes(1), {});
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->ok());
}

TEST(WaitFor, NoAnswerInTime) {
  Silent silent;
  EXPECT_FALSE(wait_for(silent, std::chrono::milliseconds(20), {}));
}

TEST(WaitFor, IsCalledBack) {
  Silent silent;
  const auto began = std::chrono::steady_clock::now();
  std::jthread waiting([&silent](std::stop_token stop) {
    EXPECT_FALSE(wait_for(silent, std::chrono::hours(1), stop));
  });
  waiting.request_stop();
  waiting.join();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::minutes(1));
}

TEST(ThreadResolver, KnowsNumbers) {
  EXPECT_TRUE(is_numeric_address("10.0.0.1"));
  EXPECT_TRUE(is_numeric_address("fe80::1%eth0"));
  EXPECT_FALSE(is_numeric_address("db.example.com"));
  EXPECT_FALSE(is_numeric_address("10.0.0"));
}

}  // namespace
}  // namespace pooler
