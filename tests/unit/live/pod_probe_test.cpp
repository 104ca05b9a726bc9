#include "live/pod_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/live/world.h"

namespace pooler::live::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

class PodProbeTest : public ::testing::Test {
 protected:
  PodProbeTest() { be_console(script(), "rev1"); }
  Script& script() { return world_.server.script(); }
  void run(Duration by) { world_.run(probe_, by); }
  [[nodiscard]] int asked(std::string_view text) {
    const auto queries = script().queries();
    return static_cast<int>(std::count(queries.begin(), queries.end(), text));
  }

  World world_;
  PodProbe probe_{
      world_.server, pod("u1", "10.244.0.9"), {"pooler_operator", "s3cret"}, world_.now()};
};

TEST_F(PodProbeTest, ReadsMarkerAndVersion) {
  EXPECT_EQ(probe_.state().outcome, Outcome::kUnknown);
  run(milliseconds(1));
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
  EXPECT_EQ(probe_.state().marker, "rev1");
  EXPECT_EQ(probe_.state().version, "1.26.1");
  EXPECT_EQ(script().startup()["database"], "pgbouncer");
}

TEST_F(PodProbeTest, OneSessionForAnHour) {
  run(minutes(60));
  EXPECT_EQ(script().connects(), 1);
  EXPECT_EQ(asked("SHOW VERSION"), 1);
  EXPECT_NEAR(asked("SHOW CONFIG"), 360, 2);
}

TEST_F(PodProbeTest, AsksMoreOftenWhileTheMarkerIsUnknown) {
  script().on_query("SHOW CONFIG", config_rows(""));
  run(seconds(9));
  EXPECT_EQ(asked("SHOW CONFIG"), 5);
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
  EXPECT_EQ(probe_.state().marker, "");
  be_console(script(), "rev1");
  run(seconds(2));
  EXPECT_EQ(probe_.state().marker, "rev1");
}

TEST_F(PodProbeTest, HurryAsksAtOnce) {
  run(seconds(1));
  be_console(script(), "rev2");
  probe_.hurry(world_.now());
  run(milliseconds(1));
  EXPECT_EQ(probe_.state().marker, "rev2");
  EXPECT_EQ(script().connects(), 1);
}

TEST_F(PodProbeTest, HurryConnectsAtOnce) {
  script().refuse_connections(true);
  run(seconds(30));
  script().refuse_connections(false);
  probe_.hurry(world_.now());
  run(milliseconds(1));
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
}

TEST_F(PodProbeTest, OneFailureIsNoNews) {
  script().refuse_connections(true);
  run(milliseconds(100));
  EXPECT_EQ(probe_.state().outcome, Outcome::kUnknown);
  run(milliseconds(200));
  EXPECT_EQ(probe_.state().outcome, Outcome::kFailed);
  EXPECT_THAT(probe_.state().message, HasSubstr("orders-pooler-u1:6432 (10.244.0.9)"));
  EXPECT_FALSE(probe_.state().login_refused);
}

TEST_F(PodProbeTest, SilenceIsNewsAfterThreeSeconds) {
  script().ignore_logins(true);
  run(milliseconds(2900));
  EXPECT_EQ(probe_.state().outcome, Outcome::kUnknown);
  run(milliseconds(200));
  EXPECT_EQ(probe_.state().outcome, Outcome::kFailed);
}

TEST_F(PodProbeTest, FollowsARestartedContainer) {
  run(seconds(1));
  be_console(script(), "rev2");
  script().drop_sessions({"57P01", "pooler is shutting down"});
  run(seconds(1));
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
  EXPECT_EQ(probe_.state().marker, "rev2");
  EXPECT_EQ(script().connects(), 2);
}

TEST_F(PodProbeTest, KeepsWhatItKnewWhileUnreachable) {
  run(seconds(1));
  script().refuse_connections(true);
  script().drop_sessions({"57P01", "pooler is shutting down"});
  run(seconds(10));
  EXPECT_EQ(probe_.state().outcome, Outcome::kFailed);
  EXPECT_EQ(probe_.state().marker, "rev1");
  script().refuse_connections(false);
  run(seconds(5));
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
  EXPECT_EQ(probe_.state().message, "");
}

TEST_F(PodProbeTest, ALoginThatIsRefused) {
  script().refuse_logins(Refusal{"28P01", "SASL authentication failed"});
  run(seconds(1));
  EXPECT_EQ(probe_.state().outcome, Outcome::kFailed);
  EXPECT_TRUE(probe_.state().login_refused);
  script().refuse_logins(std::nullopt);
  run(seconds(5));
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
  EXPECT_FALSE(probe_.state().login_refused);
}

TEST_F(PodProbeTest, ReloadsUntilItShowsTheMarker) {
  run(seconds(1));
  script().on_query("RELOAD", pg::Rows{});
  probe_.reload_to("rev2", world_.now());
  run(seconds(5));
  EXPECT_EQ(probe_.state().marker, "rev1");
  EXPECT_EQ(probe_.state().reload.nudges, 2) << "one for every two seconds";
  EXPECT_NEAR(asked("RELOAD"), 25, 2);
  be_console(script(), "rev2");
  run(milliseconds(300));
  EXPECT_EQ(probe_.state().marker, "rev2");
  const int before = asked("RELOAD");
  run(minutes(1));
  EXPECT_EQ(asked("RELOAD"), before) << "and then no more";
  EXPECT_EQ(script().connects(), 1);
}

TEST_F(PodProbeTest, NeverReloadsWhatIsThere) {
  run(seconds(1));
  probe_.reload_to("rev1", world_.now());
  run(seconds(30));
  EXPECT_EQ(asked("RELOAD"), 0);
}

TEST_F(PodProbeTest, ThreeRefusalsAreAFailure) {
  run(seconds(1));
  script().on_query("RELOAD", failure(Refusal{"08P01", "RELOAD failed, see logs"}));
  probe_.reload_to("rev2", world_.now());
  run(seconds(2));
  EXPECT_TRUE(probe_.state().reload.failed);
  EXPECT_THAT(probe_.state().reload.message, HasSubstr("RELOAD failed, see logs"));
  EXPECT_EQ(asked("RELOAD"), PodProbe::kRefusals);
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk) << "the console answers all the same";
}

TEST_F(PodProbeTest, AMarkerAfterARefusalProvesNothing) {
  run(seconds(1));
  script().on_query("RELOAD", failure(Refusal{"08P01", "RELOAD failed, see logs"}));
  be_console(script(), "rev2");
  probe_.reload_to("rev2", world_.now());
  run(minutes(1));
  EXPECT_EQ(probe_.state().marker, "rev1");
  EXPECT_TRUE(probe_.state().reload.failed);
  script().on_query("RELOAD", pg::Rows{});
  be_console(script(), "rev1+rev2");
  probe_.reload_to("rev1+rev2", world_.now());
  run(seconds(1));
  EXPECT_EQ(probe_.state().marker, "rev1+rev2");
  EXPECT_FALSE(probe_.state().reload.failed);
}

TEST_F(PodProbeTest, ALostMarkerIsARefusalToo) {
  run(seconds(1));
  script().on_query("RELOAD", pg::Rows{});
  be_console(script(), "pgbouncer");
  probe_.reload_to("rev2", world_.now());
  run(seconds(2));
  EXPECT_TRUE(probe_.state().reload.failed);
  EXPECT_EQ(probe_.state().marker, "rev1") << "what it ran before, for the way back";
}

TEST_F(PodProbeTest, GivesUpAfterHalfAMinuteOfSilentDisregard) {
  run(seconds(1));
  script().on_query("RELOAD", pg::Rows{});
  probe_.reload_to("rev2", world_.now());
  run(seconds(29));
  EXPECT_FALSE(probe_.state().reload.failed);
  run(seconds(2));
  EXPECT_TRUE(probe_.state().reload.failed);
}

// ---- the certificate that it shows

TEST_F(PodProbeTest, ANewCertificateIsSeenInANewSession) {
  probe_.expect({{"rev1", ""}, {"rev2", "f2"}});
  run(seconds(1));
  EXPECT_EQ(probe_.state().marker, "rev1");
  EXPECT_EQ(script().connects(), 1);
  script().on_query("RELOAD", pg::Rows{});
  script().show_certificate("f2");
  be_console(script(), "rev2");
  probe_.reload_to("rev2", world_.now());
  run(milliseconds(1));
  EXPECT_EQ(probe_.state().marker, "rev2");
  EXPECT_EQ(script().connects(), 2);
  EXPECT_EQ(asked("RELOAD"), 1);
  EXPECT_EQ(asked("SHOW VERSION"), 1);
  run(minutes(60));
  EXPECT_EQ(script().connects(), 2) << "one session again";
  EXPECT_EQ(script().most_open(), 1);
}

// What 1.24 does with a certificate that it can't load.
TEST_F(PodProbeTest, AMarkerWithoutItsCertificateIsAFailureAndIsUndone) {
  script().show_certificate("f1");
  probe_.expect({{"rev1", "f1"}, {"rev2", "f2"}});
  run(seconds(1));
  EXPECT_EQ(probe_.state().marker, "rev1");
  script().on_query("RELOAD", pg::Rows{});
  be_console(script(), "rev2");
  probe_.reload_to("rev2", world_.now());
  run(seconds(3));
  EXPECT_TRUE(probe_.state().reload.failed);
  EXPECT_THAT(probe_.state().reload.message, HasSubstr("certificate"));
  EXPECT_EQ(probe_.state().marker, "rev1");
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
  EXPECT_EQ(asked("RELOAD"), PodProbe::kRefusals);
  const int connects = script().connects();
  run(minutes(10));
  EXPECT_LE(script().connects() - connects, 61) << "one more each time that it is asked";

  be_console(script(), "rev1+rev2");
  probe_.reload_to("rev1+rev2", world_.now());
  run(seconds(1));
  EXPECT_EQ(probe_.state().marker, "rev1+rev2");
  EXPECT_FALSE(probe_.state().reload.failed);
}

TEST_F(PodProbeTest, EncryptionThatShouldBeOffCountsToo) {
  script().show_certificate("f1");
  probe_.expect({{"rev1", "f1"}, {"rev2", ""}});
  run(seconds(1));
  script().on_query("RELOAD", pg::Rows{});
  be_console(script(), "rev2");
  probe_.reload_to("rev2", world_.now());
  run(milliseconds(300));
  EXPECT_EQ(probe_.state().marker, "rev1");
  script().show_certificate("");
  run(seconds(1));
  EXPECT_EQ(probe_.state().marker, "rev2");
  EXPECT_FALSE(probe_.state().reload.failed);
}

TEST_F(PodProbeTest, AnOperatorThatIsNewDoesNotBelieveTheMarkerEither) {
  script().show_certificate("f1");
  be_console(script(), "rev2");
  probe_.expect({{"rev2", "f2"}});
  run(seconds(1));
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
  EXPECT_EQ(probe_.state().marker, "pgbouncer") << "nothing that is known as a whole";
  be_console(script(), "rev9");
  run(seconds(11));
  EXPECT_EQ(probe_.state().marker, "rev9") << "of which nothing is known";
}

TEST_F(PodProbeTest, ARefusedReloadIsNotLookedAtTwice) {
  probe_.expect({{"rev1", ""}, {"rev2", "f2"}});
  run(seconds(1));
  script().on_query("RELOAD", failure(Refusal{"08P01", "RELOAD failed, see logs"}));
  be_console(script(), "rev2");
  probe_.reload_to("rev2", world_.now());
  run(seconds(2));
  EXPECT_TRUE(probe_.state().reload.failed);
  EXPECT_THAT(probe_.state().reload.message, HasSubstr("RELOAD failed, see logs"));
  EXPECT_EQ(script().connects(), 1);
}

TEST_F(PodProbeTest, PausesAndTellsWhenNoConnectionIsHeldAnyMore) {
  using Flow = PodState::Flow;
  run(seconds(1));
  EXPECT_EQ(probe_.state().flow, Flow::kServing);
  EXPECT_EQ(asked("PAUSE") + asked("RESUME"), 0);
  script().on_query("PAUSE", pg::Rows{});
  script().on_query("SET query_wait_timeout='0'", pg::Rows{});
  script().on_query("SHOW DATABASES", connection_rows(3));
  probe_.pause(true, "30", world_.now());
  run(milliseconds(1));
  EXPECT_EQ(asked("PAUSE"), 1);
  const auto queries = script().queries();
  EXPECT_LT(std::find(queries.begin(), queries.end(), "SET query_wait_timeout='0'"),
            std::find(queries.begin(), queries.end(), "PAUSE"))
      << "nobody who waits may be cut";
  script().on_query("SHOW STATE", state_rows(true));
  script().on_query("SHOW CONFIG", config_rows("rev1", "0"));
  run(seconds(1));
  EXPECT_EQ(probe_.state().flow, Flow::kPausing);
  script().on_query("SHOW DATABASES", connection_rows(0));
  run(seconds(1));
  EXPECT_EQ(probe_.state().flow, Flow::kPaused);
  run(minutes(5));
  EXPECT_EQ(asked("PAUSE"), 1);
  EXPECT_EQ(asked("SET query_wait_timeout='0'"), 1);
  EXPECT_EQ(script().connects(), 1);
}

TEST_F(PodProbeTest, ResumesAndRestoresTheWaitOnceTheQueueHadTime) {
  script().on_query("SHOW STATE", state_rows(true));
  script().on_query("SHOW CONFIG", config_rows("rev1", "0"));
  script().on_query("RESUME", pg::Rows{});
  script().on_query("SET query_wait_timeout='30'", pg::Rows{});
  probe_.pause(false, "30", world_.now());
  run(milliseconds(1));
  EXPECT_EQ(asked("RESUME"), 1) << "left by an operator that died";
  script().on_query("SHOW STATE", state_rows(false));
  run(seconds(25));
  EXPECT_EQ(probe_.state().flow, PodState::Flow::kServing);
  EXPECT_EQ(asked("SET query_wait_timeout='30'"), 0);
  run(seconds(20));
  EXPECT_GE(asked("SET query_wait_timeout='30'"), 1);
  script().on_query("SHOW CONFIG", config_rows("rev1", "30"));
  run(seconds(10));
  const int before = asked("SET query_wait_timeout='30'");
  run(minutes(5));
  EXPECT_EQ(asked("SET query_wait_timeout='30'"), before);
  EXPECT_EQ(asked("RESUME"), 1);
}

TEST_F(PodProbeTest, AWaitOfZeroInTheFilesIsLeftAlone) {
  script().on_query("SHOW CONFIG", config_rows("rev1", "0"));
  probe_.pause(false, "0", world_.now());
  run(minutes(5));
  for (const std::string& query : script().queries()) EXPECT_FALSE(query.starts_with("SET "));
}

TEST_F(PodProbeTest, AReloadWhilePausedLosesNoTimeToHoldTheClientsAgain) {
  script().on_query("SHOW STATE", state_rows(true));
  script().on_query("SHOW DATABASES", connection_rows(0));
  script().on_query("SHOW CONFIG", config_rows("rev1", "0"));
  script().on_query("SET query_wait_timeout='0'", pg::Rows{});
  script().on_query("RELOAD", pg::Rows{});
  probe_.pause(true, "30", world_.now());
  run(seconds(1));
  probe_.reload_to("rev2", world_.now());
  script().on_query("SHOW CONFIG", config_rows("rev2", "0"));
  run(milliseconds(1));
  const auto queries = script().queries();
  const auto reload = std::find(queries.begin(), queries.end(), "RELOAD");
  ASSERT_NE(reload, queries.end());
  ASSERT_NE(reload + 1, queries.end());
  EXPECT_EQ(*(reload + 1), "SET query_wait_timeout='0'");
  EXPECT_EQ(probe_.state().marker, "rev2");
  EXPECT_EQ(probe_.state().flow, PodState::Flow::kPaused);
}

TEST_F(PodProbeTest, AStateThatCanNotBeToldIsUnknown) {
  script().on_query("SHOW STATE", config_rows("rev1"));
  probe_.pause(true, "30", world_.now());
  run(minutes(1));
  EXPECT_EQ(probe_.state().flow, PodState::Flow::kUnknown);
  EXPECT_EQ(asked("PAUSE"), 0);
}

TEST_F(PodProbeTest, APauseThatIsRefusedIsNoStorm) {
  script().on_query("PAUSE", failure(Refusal{"08P01", "admin access needed"}));
  script().on_query("SET query_wait_timeout='0'", failure(Refusal{"08P01", "admin access needed"}));
  probe_.pause(true, "30", world_.now());
  run(minutes(10));
  EXPECT_LE(asked("PAUSE"), 62);
  EXPECT_EQ(probe_.state().flow, PodState::Flow::kServing);
}

TEST_F(PodProbeTest, ReconnectsTwiceForEachMoveOfTheDatabase) {
  script().on_query("RECONNECT", pg::Rows{});
  probe_.follow(std::nullopt, world_.now());
  probe_.follow(3, world_.now());
  run(seconds(20));
  EXPECT_EQ(asked("RECONNECT"), 0) << "what was before it was met is no news";
  probe_.follow(4, world_.now());
  run(milliseconds(1));
  EXPECT_EQ(asked("RECONNECT"), 1);
  run(PodProbe::kReconnectAgain);
  EXPECT_EQ(asked("RECONNECT"), 2);
  probe_.follow(std::nullopt, world_.now());
  probe_.follow(0, world_.now());
  run(minutes(1));
  EXPECT_EQ(asked("RECONNECT"), 2) << "counted anew for other credentials";
  probe_.follow(1, world_.now());
  run(minutes(1));
  EXPECT_EQ(asked("RECONNECT"), 4);
}

TEST_F(PodProbeTest, ReconnectsOnceItCanBeAskedAgain) {
  script().on_query("RECONNECT", pg::Rows{});
  probe_.follow(0, world_.now());
  run(seconds(1));
  script().refuse_connections(true);
  script().drop_sessions({"57P01", "terminating connection due to administrator command"});
  probe_.follow(1, world_.now());
  run(minutes(1));
  EXPECT_EQ(asked("RECONNECT"), 0);
  script().refuse_connections(false);
  run(seconds(15));
  EXPECT_EQ(asked("RECONNECT"), 2);
}

TEST_F(PodProbeTest, ARefusedReconnectIsTriedAgain) {
  script().on_query("RECONNECT", failure(Refusal{"08P01", "admin access needed"}));
  probe_.follow(0, world_.now());
  probe_.follow(1, world_.now());
  run(minutes(1));
  EXPECT_NEAR(asked("RECONNECT"), 13, 1);
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
}

TEST_F(PodProbeTest, NeverAStorm) {
  script().refuse_connections(true);
  run(minutes(10));
  script().refuse_connections(false);
  script().refuse_logins(Refusal{"28P01", "SASL authentication failed"});
  run(minutes(10));
  EXPECT_LE(script().connects(), 125);
}

}  // namespace
}  // namespace pooler::live::testing
