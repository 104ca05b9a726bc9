// The loop itself: real threads, real sessions, scripted servers on loopback.
#include "live/live.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "unit/live/world.h"
#include "unit/pg/wire_server.h"

namespace pooler::live::testing {
namespace {

using pg::testing::WireServer;
using std::chrono::minutes;

class LiveTest : public ::testing::Test {
 protected:
  LiveTest() {
    be_postgres(database_.script());
    be_console(console_.script(), "rev1");
  }

  LiveTarget target(const std::string& token = "t1") {
    LiveTarget made;
    made.database.emplace();
    made.database->connection = orders();
    made.database->connection.hosts = {{"localhost", database_.port()}};
    made.database->token = token;
    made.console = {"pooler_operator", "s3cret"};
    made.pods = {{"u1", "orders-pooler-0", "127.0.0.1", console_.port()}};
    made.verification.emplace();
    made.verification->connection = orders();
    made.verification->connection.hosts = {{"orders-pooler.shop.svc", database_.port()}};
    made.verification->address = "127.0.0.1";
    made.verification->token = token;
    return made;
  }

  static bool all_ok(const LiveState& state) {
    return state.database.outcome == Outcome::kOk && state.pods.contains("u1") &&
           state.pods.at("u1").outcome == Outcome::kOk &&
           state.verification.outcome == Outcome::kOk;
  }

  // Waits for changes, as the reconcile loop does, until `done` says so.
  bool wait(const std::function<bool()>& done) {
    std::unique_lock held(mutex_);
    return changed_.wait_for(held, minutes(1), done);
  }
  bool wait_for(const std::string& key, const std::function<bool(const LiveState&)>& done) {
    return wait([&] { return done(live_.state(key)); });
  }

  void on_change(const std::string& key) {
    std::lock_guard held(mutex_);
    const LiveState now = live_.state(key);
    if (last_.contains(key) && last_[key] == now) ++false_alarms_;
    last_[key] = now;
    ++changes_;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, LiveState> last_;
  int changes_ = 0;
  int false_alarms_ = 0;

  SystemClock clock_;
  WireServer database_;
  WireServer console_;
  Live live_{clock_, [this](const std::string& key) { on_change(key); }};
};

TEST_F(LiveTest, LearnsAll) {
  live_.start();
  live_.set_target("shop/orders", target());
  ASSERT_TRUE(wait_for("shop/orders", all_ok));
  const LiveState state = live_.state("shop/orders");
  EXPECT_EQ(state.database.token, "t1");
  EXPECT_EQ(state.database.server->max_connections, 60);
  EXPECT_EQ(state.pods.at("u1").marker, "rev1");
  EXPECT_EQ(state.pods.at("u1").version, "1.26.1");
  EXPECT_EQ(live_.state("shop/other"), LiveState{});
  live_.stop();
  EXPECT_EQ(false_alarms_, 0);
}

TEST_F(LiveTest, TargetsMayComeBeforeTheStart) {
  live_.set_target("shop/orders", target());
  live_.start();
  EXPECT_TRUE(wait_for("shop/orders", all_ok));
}

TEST_F(LiveTest, FollowsLosses) {
  live_.start();
  live_.set_target("shop/orders", target());
  ASSERT_TRUE(wait_for("shop/orders", all_ok));
  be_console(console_.script(), "rev2");
  console_.script().drop_sessions({"57P01", "pooler is shutting down"});
  console_.wake();
  EXPECT_TRUE(wait_for(
      "shop/orders", [](const LiveState& state) { return state.pods.at("u1").marker == "rev2"; }));
  database_.script().refuse_logins(Refusal{"57P03", "the database system is shutting down"});
  database_.script().drop_sessions({"57P01", "terminating connection"});
  database_.wake();
  EXPECT_TRUE(wait_for("shop/orders", [](const LiveState& state) {
    return state.database.outcome == Outcome::kFailed;
  }));
  EXPECT_TRUE(live_.state("shop/orders").database.server.has_value());
  live_.stop();
  EXPECT_EQ(false_alarms_, 0);
}

TEST_F(LiveTest, HurryAsksAgain) {
  live_.start();
  live_.set_target("shop/orders", target());
  ASSERT_TRUE(wait_for("shop/orders", all_ok));
  be_console(console_.script(), "rev2");
  live_.hurry("shop/orders");
  live_.hurry("shop/nobody");
  EXPECT_TRUE(wait_for(
      "shop/orders", [](const LiveState& state) { return state.pods.at("u1").marker == "rev2"; }));
  EXPECT_EQ(console_.script().connects(), 1);
}

TEST_F(LiveTest, ForgetsWithAllSessions) {
  live_.start();
  live_.set_target("shop/orders", target());
  live_.set_target("shop/other", target());
  ASSERT_TRUE(wait_for("shop/orders", all_ok));
  ASSERT_TRUE(wait_for("shop/other", all_ok));
  live_.forget("shop/orders");
  live_.set_target("shop/other", target("t2"));
  ASSERT_TRUE(wait_for("shop/other", [](const LiveState& state) {
    return all_ok(state) && state.database.token == "t2";
  }));
  EXPECT_EQ(live_.state("shop/orders"), LiveState{});
}

TEST_F(LiveTest, ManyKeysFromManyThreads) {
  constexpr int kKeys = 40;
  live_.start();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = t; i < kKeys; i += 4) {
        const std::string key = "shop/" + std::to_string(i);
        for (int again = 0; again < 5; ++again) live_.set_target(key, target());
        (void)live_.state(key);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (int i = 0; i < kKeys; ++i) {
    EXPECT_TRUE(wait_for("shop/" + std::to_string(i), all_ok)) << i;
  }
  // One login to the database and one verification each, one console session each.
  EXPECT_EQ(database_.script().connects(), 2 * kKeys);
  EXPECT_EQ(console_.script().connects(), kKeys);
  live_.stop();
  EXPECT_EQ(false_alarms_, 0);
}

TEST_F(LiveTest, StopsInTheMiddleOfAnything) {
  database_.script().ignore_logins(true);
  console_.script().ignore_queries(true);
  live_.start();
  live_.set_target("shop/orders", target());
  while (database_.script().connects() == 0 || console_.script().connects() == 0) {
    std::this_thread::yield();
  }
  live_.stop();
  live_.stop();
}

TEST_F(LiveTest, SessionsOfAnotherKind) {
  FakeServer fake;
  be_postgres(fake.script());
  Live live(
      clock_, [this](const std::string&) { changed_.notify_all(); }, fake);
  live.start();
  LiveTarget only_database;
  only_database.database = {orders(), "t1"};
  live.set_target("shop/orders", only_database);
  while (live.state("shop/orders").database.outcome != Outcome::kOk) std::this_thread::yield();
}

}  // namespace
}  // namespace pooler::live::testing
