// The live loop of the operator, for tests that give it real servers to ask.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>

#include "live/live.h"
#include "pooler/servers.h"

namespace pooler::ring {

inline constexpr const char* kKey = "shop/orders";
inline constexpr const char* kService = "orders-pooler.shop.svc";

class LiveRing : public ::testing::Test {
 protected:
  void SetUp() override { live_.start(); }

  bool wait(const std::function<bool(const live::LiveState&)>& done) {
    std::unique_lock held(mutex_);
    return changed_.wait_for(held, std::chrono::minutes(1),
                             [&] { return done(live_.state(kKey)); });
  }
  // The state of the database once it has been asked.
  live::DatabaseState ask_database(const urls::Connection& connection) {
    live::LiveTarget target;
    target.database = {connection, std::to_string(++tokens_)};
    live_.set_target(kKey, target);
    EXPECT_TRUE(wait([&](const live::LiveState& state) {
      return state.database.token == target.database->token &&
             state.database.outcome != live::Outcome::kUnknown;
    }));
    return live_.state(kKey).database;
  }
  live::VerificationState verify(const urls::Connection& pooled, int port) {
    live::LiveTarget target;
    live::VerificationTarget verification{pooled, "127.0.0.1", std::to_string(++tokens_)};
    verification.connection.hosts = {{kService, port}};
    target.verification = verification;
    live_.set_target(kKey, target);
    EXPECT_TRUE(wait([&](const live::LiveState& state) {
      return state.verification.token == verification.token &&
             state.verification.outcome != live::Outcome::kUnknown;
    }));
    return live_.state(kKey).verification;
  }

  SystemClock clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int tokens_ = 0;
  live::Live live_{clock_, [this](const std::string&) {
                     std::lock_guard held(mutex_);
                     changed_.notify_all();
                   }};
};

}  // namespace pooler::ring
