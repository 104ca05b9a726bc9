#include "live/verification_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/live/world.h"

namespace pooler::live::testing {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

class VerificationProbeTest : public ::testing::Test {
 protected:
  VerificationProbeTest() { be_postgres(script()); }
  Script& script() { return world_.server.script(); }
  void run(Duration by) { world_.run(probe_, by); }

  World world_;
  VerificationProbe probe_{
      world_.server, world_.refusals, {orders(), "10.96.0.9", "t1"}, world_.now()};
};

TEST_F(VerificationProbeTest, OneSuccessIsEnough) {
  run(minutes(60));
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
  EXPECT_EQ(probe_.state().token, "t1");
  EXPECT_EQ(script().connects(), 1);
  EXPECT_EQ(script().open(), 0);
  EXPECT_EQ(script().queries().size(), 1u);
  EXPECT_EQ(probe_.due(), MonotonicTime::max());
}

TEST_F(VerificationProbeTest, TriesUntilItSucceeds) {
  script().refuse_connections(true);
  run(seconds(5));
  EXPECT_EQ(probe_.state().outcome, Outcome::kFailed);
  EXPECT_EQ(probe_.state().reason, "OperatorCannotReachPooler");
  script().refuse_connections(false);
  script().refuse_logins(Refusal{"08P01", "no such database: orders"});
  run(seconds(5));
  EXPECT_EQ(probe_.state().reason, "VerificationFailed");
  EXPECT_THAT(probe_.state().message, HasSubstr("no such database: orders"));
  script().refuse_logins(std::nullopt);
  script().on_query("SELECT 1", failure(Refusal{"08P01", "server login failed"}));
  run(seconds(5));
  EXPECT_EQ(probe_.state().reason, "VerificationFailed");
  EXPECT_THAT(probe_.state().message, HasSubstr("server login failed"));
  be_postgres(script());
  run(seconds(5));
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
  EXPECT_EQ(probe_.state().message, "");
  EXPECT_EQ(script().open(), 0);
}

TEST_F(VerificationProbeTest, TheCertificateMustBeTheRightOne) {
  VerificationProbe probe(world_.server, world_.refusals, {orders(), "10.96.0.9", "t2", "f1"},
                          world_.now());
  world_.run(probe, seconds(5));
  EXPECT_EQ(probe.state().reason, "VerificationFailed") << "it shows none";
  EXPECT_FALSE(probe.state().persistent);
  script().show_certificate("f0");
  world_.run(probe, seconds(10));
  EXPECT_THAT(probe.state().message, HasSubstr("another certificate"));
  EXPECT_TRUE(probe.state().persistent);
  EXPECT_LE(script().connects(), 17) << "each time in a new session, once a second";
  script().show_certificate("f1");
  world_.run(probe, seconds(2));
  EXPECT_EQ(probe.state().outcome, Outcome::kOk);
  EXPECT_EQ(script().open(), 0);
}

TEST_F(VerificationProbeTest, NoCertificateIsAskedForWherePlainTextIsWanted) {
  urls::Connection plain = orders();
  plain.parameters = {{"sslmode", "disable"}};
  VerificationProbe probe(world_.server, world_.refusals, {plain, "10.96.0.9", "t2", "f1"},
                          world_.now());
  world_.run(probe, seconds(1));
  EXPECT_EQ(probe.state().outcome, Outcome::kOk);
}

TEST_F(VerificationProbeTest, NoAnswerToTheQuery) {
  script().ignore_queries(true);
  run(seconds(6));
  EXPECT_EQ(probe_.state().outcome, Outcome::kFailed);
  EXPECT_EQ(probe_.state().reason, "VerificationFailed");
}

TEST_F(VerificationProbeTest, ARefusedPasswordWaitsWhereAProviderBans) {
  const VerificationTarget target{orders(), "10.96.0.9", "t1", {}, minutes(30)};
  VerificationProbe probe(world_.server, world_.refusals, target, world_.now());
  script().refuse_logins(Refusal{"28P01", "password authentication failed"});
  world_.run(probe, minutes(29));
  EXPECT_EQ(script().connects(), 1);
  EXPECT_EQ(probe.state().reason, "VerificationFailed");
  script().refuse_logins(std::nullopt);
  world_.run(probe, minutes(2));
  EXPECT_EQ(probe.state().outcome, Outcome::kOk);
}

TEST_F(VerificationProbeTest, NeverAStorm) {
  script().refuse_logins(Refusal{"08P01", "no such database: orders"});
  run(minutes(10));
  EXPECT_LE(script().connects(), 305);
}

}  // namespace
}  // namespace pooler::live::testing
