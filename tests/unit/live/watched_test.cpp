#include "live/watched.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/live/world.h"

namespace pooler::live::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class WatchedTest : public ::testing::Test {
 protected:
  WatchedTest() {
    be_postgres(database());
    be_console(pod_at("10.244.0.1"), "rev1");
    be_console(pod_at("10.244.0.2"), "rev1");
    be_postgres(service());
    target_.database = {orders(), "t1"};
    target_.console = {"pooler_operator", "s3cret"};
    target_.pods = {pod("u1", "10.244.0.1"), pod("u2", "10.244.0.2")};
    target_.verification = {orders(), "10.96.0.9", "v1"};
  }
  Script& database() { return world_.server.script_at("db.test", 5432); }
  Script& pod_at(const std::string& address) { return world_.server.script_at(address, 6432); }
  Script& service() { return world_.server.script_at("10.96.0.9", 5432); }

  void set(Duration then = seconds(3)) {
    watched_.set_target(target_, world_.now());
    world_.run(watched_.probes(), then);
  }

  World world_;
  Watched watched_{world_.server, world_.refusals};
  LiveTarget target_;
};

TEST_F(WatchedTest, AsksEverything) {
  set();
  const LiveState state = watched_.state();
  EXPECT_EQ(state.database.outcome, Outcome::kOk);
  ASSERT_EQ(state.pods.size(), 2u);
  EXPECT_EQ(state.pods.at("u1").marker, "rev1");
  EXPECT_EQ(state.pods.at("u2").marker, "rev1");
  EXPECT_EQ(state.verification.outcome, Outcome::kOk);
}

TEST_F(WatchedTest, TheSameTargetDisturbsNothing) {
  set();
  const LiveState before = watched_.state();
  for (int i = 0; i < 5; ++i) set();
  EXPECT_EQ(watched_.state(), before);
  EXPECT_EQ(database().connects(), 1);
  EXPECT_EQ(pod_at("10.244.0.1").connects(), 1);
  EXPECT_EQ(service().connects(), 1);
}

TEST_F(WatchedTest, PodsComeAndGo) {
  set();
  be_console(pod_at("10.244.0.3"), "rev2");
  target_.pods = {pod("u1", "10.244.0.1"), pod("u3", "10.244.0.3")};
  set();
  const LiveState state = watched_.state();
  ASSERT_EQ(state.pods.size(), 2u);
  EXPECT_EQ(state.pods.at("u3").marker, "rev2");
  EXPECT_EQ(pod_at("10.244.0.1").connects(), 1);
  EXPECT_EQ(pod_at("10.244.0.2").open(), 0);
}

TEST_F(WatchedTest, APodWithoutAnAddressIsUnknown) {
  target_.pods = {pod("u1", "")};
  set();
  EXPECT_EQ(watched_.state().pods.at("u1"), PodState{});
  target_.pods = {pod("u1", "10.244.0.1")};
  set();
  EXPECT_EQ(watched_.state().pods.at("u1").marker, "rev1");
}

TEST_F(WatchedTest, CertificatesOfThePods) {
  target_.pods[0].certificates = {{"rev1", "f1"}};
  set();
  EXPECT_EQ(watched_.state().pods.at("u1").marker, "pgbouncer") << "it shows none";
  EXPECT_EQ(watched_.state().pods.at("u2").marker, "rev1");
  target_.pods[0].certificates = {{"rev1", ""}};
  set(seconds(11));
  EXPECT_EQ(watched_.state().pods.at("u1").marker, "rev1");
}

TEST_F(WatchedTest, AnotherConsolePassword) {
  set();
  target_.console.password = "other";
  set();
  EXPECT_EQ(pod_at("10.244.0.1").connects(), 2);
  EXPECT_EQ(pod_at("10.244.0.1").startup()["password"], "other");
  EXPECT_EQ(database().connects(), 1);
}

TEST_F(WatchedTest, AnotherDatabaseTokenStartsAnew) {
  set();
  target_.database->token = "t2";
  set(milliseconds(0));
  EXPECT_EQ(watched_.state().database.token, "t2");
  EXPECT_EQ(watched_.state().database.outcome, Outcome::kUnknown);
  EXPECT_EQ(watched_.state().database.server, std::nullopt);
  // The old login is closed at once, and the new one waits until the server has seen that.
  EXPECT_EQ(database().open(), 0);
  world_.run(watched_.probes(), milliseconds(900));
  EXPECT_EQ(database().connects(), 1);
  world_.run(watched_.probes(), milliseconds(200));
  EXPECT_EQ(database().connects(), 2);
  EXPECT_EQ(database().most_open(), 1);
  EXPECT_EQ(watched_.state().database.outcome, Outcome::kOk);
}

TEST_F(WatchedTest, ManyTokensInARowNeverMeanTwoLogins) {
  set();
  for (int i = 0; i < 50; ++i) {
    target_.database->token = "t" + std::to_string(i);
    set(milliseconds(100 * (i % 15)));
  }
  EXPECT_EQ(database().most_open(), 1);
}

TEST_F(WatchedTest, AnotherVerificationTokenVerifiesAgain) {
  set();
  target_.verification->token = "v2";
  set();
  EXPECT_EQ(watched_.state().verification.token, "v2");
  EXPECT_EQ(watched_.state().verification.outcome, Outcome::kOk);
  EXPECT_EQ(service().connects(), 2);
}

// Whatever else of the target changes: a ban is about the address that we come from.
TEST_F(WatchedTest, ARefusedPasswordIsNotTriedAgainForAWhileByAnyProbe) {
  target_.database->refusal_pause = std::chrono::minutes(30);
  target_.verification.reset();
  database().refuse_logins(Refusal{"28P01", "password authentication failed"});
  set();
  EXPECT_EQ(database().connects(), 1);
  target_.database->token = "t2";
  target_.database->connection.user = "other";
  set();
  EXPECT_EQ(database().connects(), 1);
  EXPECT_EQ(watched_.state().database.token, "t2");
  EXPECT_EQ(watched_.state().database.reason, "AuthenticationFailed");
  EXPECT_TRUE(watched_.state().database.refused);
  EXPECT_THAT(watched_.state().database.message, ::testing::HasSubstr("another login"))
      << "what the user has changed was not tried";
  target_.database.reset();
  set();
  target_.database = {orders(), "t3", std::chrono::minutes(30)};
  target_.verification = {orders(), "10.96.0.9", "v1", {}, std::chrono::minutes(30)};
  set();
  EXPECT_EQ(database().connects(), 1);
  EXPECT_EQ(service().connects(), 0);

  target_.database->connection.password = "another";
  target_.database->token = "t4";
  set();
  EXPECT_EQ(database().connects(), 2) << "other credentials are tried at once";
}

// Two PoolerConfigs of one project with a stale password: two wrong tries would be a ban.
TEST_F(WatchedTest, ARefusedPasswordIsTriedOnceByAllPoolerConfigsTogether) {
  database().refuse_logins(Refusal{"28P01", "password authentication failed"});
  target_.verification.reset();
  target_.database->refusal_pause = std::chrono::minutes(30);
  target_.database->refusal_scope = "project";
  LiveTarget of_other = target_;
  of_other.pods.clear();
  Watched other(world_.server, world_.refusals);
  watched_.set_target(target_, world_.now());
  other.set_target(of_other, world_.now());
  std::vector<Probe*> probes = watched_.probes();
  for (Probe* probe : other.probes()) probes.push_back(probe);
  world_.run(probes, std::chrono::minutes(29));
  EXPECT_EQ(database().connects(), 1);
  EXPECT_EQ(other.state().database.reason, "AuthenticationFailed");
  EXPECT_EQ(watched_.state().database.reason, "AuthenticationFailed");
  world_.run(probes, std::chrono::minutes(2));
  EXPECT_EQ(database().connects(), 2);

  database().refuse_logins(std::nullopt);
  of_other.database->token = "elsewhere";
  of_other.database->refusal_scope = "another project";
  other.set_target(of_other, world_.now());
  world_.run(other.probes(), seconds(3));
  EXPECT_EQ(other.state().database.outcome, Outcome::kOk) << "the other's ban is not this one's";
}

TEST_F(WatchedTest, ARightPasswordIsTriedByAllOneAfterTheOther) {
  target_.verification.reset();
  target_.database->refusal_pause = std::chrono::minutes(30);
  Watched other(world_.server, world_.refusals);
  LiveTarget of_other = target_;
  of_other.pods.clear();
  watched_.set_target(target_, world_.now());
  other.set_target(of_other, world_.now());
  std::vector<Probe*> probes = watched_.probes();
  for (Probe* probe : other.probes()) probes.push_back(probe);
  world_.run(probes, seconds(3));
  EXPECT_EQ(watched_.state().database.outcome, Outcome::kOk);
  EXPECT_EQ(other.state().database.outcome, Outcome::kOk);
  // ... and again when it was changed at the server alone: the first that logs in anew learns it.
  database().refuse_logins(Refusal{"28P01", "password authentication failed"});
  const int before = database().connects();
  world_.run(probes, std::chrono::minutes(5));
  EXPECT_EQ(database().connects(), before + 1);
  EXPECT_TRUE(watched_.state().database.refused);
  EXPECT_TRUE(other.state().database.refused);
}

TEST_F(WatchedTest, WhatAnEarlierOperatorWasRefusedIsNotTriedAfterAnotherChangeEither) {
  target_.verification.reset();
  target_.database->refusal_pause = std::chrono::minutes(30);
  target_.database->refused_before = true;
  set();
  EXPECT_EQ(watched_.state().database.reason, "AuthenticationFailed");
  target_.database->token = "t2";
  set(std::chrono::minutes(29));
  EXPECT_EQ(database().connects(), 0);
  set(std::chrono::minutes(2));
  EXPECT_EQ(watched_.state().database.outcome, Outcome::kOk);
}

TEST_F(WatchedTest, AVerificationWithoutAnAddressLooksTheNameUp) {
  target_.database.reset();
  target_.verification = {orders(), "", "v1"};
  set();
  EXPECT_EQ(watched_.state().verification.outcome, Outcome::kOk);
  EXPECT_EQ(database().connects(), 1);
}

TEST_F(WatchedTest, NothingToWatch) {
  set();
  target_ = {};
  set();
  EXPECT_EQ(watched_.state(), LiveState{});
  EXPECT_EQ(database().open(), 0);
  EXPECT_EQ(pod_at("10.244.0.1").open(), 0);
}

}  // namespace
}  // namespace pooler::live::testing
