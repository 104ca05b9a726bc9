// How a change comes to the pods: by RELOAD, one of them first, or by replacement; what a pause
// makes of it. The roll-out's own rules are in rollout_test.cpp.
#include <gtest/gtest.h>

#include <utility>

#include "engine/pgbouncer/render.h"
#include "unit/reconcile/plan_fixture.h"

namespace pooler::reconcile {
namespace {

namespace pgbouncer = engine::pgbouncer;

TEST_F(PlanTest, NewCredentialsWaitForALogin) {
  bring_up();
  see_.database_secret = SecretData{{"uri", "postgresql://app:rotated@db.example.com:5432/orders"}};
  const Plan waiting = step();
  EXPECT_TRUE(waiting.writes.empty()) << "the old ones stay until the new ones log in";
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  EXPECT_EQ(config_->status.binding_name, "orders-pooler");

  database_answers();
  step();  // the canary's file
  pods_reload();
  ASSERT_TRUE(look().target.verification);
  EXPECT_EQ(look().target.verification->address, see_.pods.back().address)
      << "a login through the canary itself";
  verification_answers();
  step();  // the files of the others
  pods_reload();
  ASSERT_TRUE(look().target.verification);
  EXPECT_EQ(look().target.verification->address, "10.96.0.7");
  EXPECT_NE(see_.published.data.at("DATABASE_URL").find("s3cret"), std::string::npos)
      << "not before a query with the new ones went through the pooler";
  verification_answers();
  step();
  EXPECT_NE(see_.published.data.at("DATABASE_URL").find("rotated"), std::string::npos);
}

TEST_F(PlanTest, AChangedSettingIsLoadedByOnePodThenByAll) {
  bring_up();
  const auto pods = see_.pods;
  const auto before = assigned();
  config_->spec.pool_mode = api::PoolMode::kSession;
  Plan planned = step();
  EXPECT_EQ(kinds(planned), (std::multiset<std::string>{"Secret"}));
  EXPECT_TRUE(planned.touches.empty()) << "the file comes first";
  EXPECT_EQ(assigned().count(*before.begin()), 3U) << "all but the canary";
  EXPECT_EQ(status("ConfigurationLoaded"), "False Reloading");

  planned = step();
  ASSERT_EQ(planned.touches.size(), 1U);
  EXPECT_EQ(planned.touches[0].pod.uid, pods.back().uid);
  EXPECT_EQ(planned.target.pods.back().reload_to, planned.touches[0].value);
  see_.pods.back().touched = planned.touches[0].value;
  EXPECT_TRUE(look().touches.empty()) << "once";
  see_.live.pods[pods.back().uid].reload = {.marker = planned.touches[0].value, .nudges = 1};
  ASSERT_EQ(look().touches.size(), 1U);
  EXPECT_EQ(look().touches[0].value, planned.touches[0].value + ".1") << "again after two seconds";

  pods_reload();
  verification_answers();
  planned = step();
  ASSERT_EQ(planned.writes.size(), 1U);
  ASSERT_TRUE(planned.writes[0].notice);
  EXPECT_EQ(planned.writes[0].notice->reason, "Reloaded");
  pods_reload();
  step();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_EQ(see_.pods.at(0).uid, pods.at(0).uid);
  EXPECT_EQ(see_.pods.at(1).uid, pods.at(1).uid);
  EXPECT_EQ(pgbouncer::revisions_in(see_.files.data).size(), 1U) << "the old one is gone";
}

TEST_F(PlanTest, AConfigurationThatIsRefusedStaysWithOnePodAndIsSaid) {
  bring_up();
  const auto before = assigned();
  const std::string old = *before.begin();
  config_->spec.pool_mode = api::PoolMode::kSession;
  step();
  const std::string canary = see_.pods.back().uid;
  const std::string wanted = look().target.pods.back().reload_to;
  see_.live.pods[canary].reload = {
      .marker = wanted, .nudges = 0, .failed = true, .message = "it refuses its configuration"};
  Plan planned = step();
  ASSERT_TRUE(planned.writes[0].notice);
  EXPECT_EQ(planned.writes[0].notice->reason, "ReloadFailed");
  see_.reload_refused = planned.reload_refused;
  EXPECT_EQ(status("ConfigurationLoaded"), "False ReloadFailed");
  EXPECT_NE(message("Ready").find("it refuses its configuration"), std::string::npos);

  see_.live.pods[canary].reload = {};
  pods_reload();
  planned = step();
  EXPECT_EQ(see_.live.pods[canary].marker, old + "+" + wanted);
  EXPECT_TRUE(look().writes.empty());
  EXPECT_EQ(status("ConfigurationLoaded"), "False ReloadFailed");
  EXPECT_EQ(status("PoolerAvailable"), "True Serving");
  see_.reload_refused.clear();  // the operator was restarted
  EXPECT_EQ(look().status, config_->status);

  config_->spec.pool_mode = api::PoolMode::kTransaction;
  for (int round = 0; round < 3; ++round) {
    step();
    pods_reload();
  }
  EXPECT_EQ(status("ConfigurationLoaded"), "True Loaded") << "taking it back heals";
}

TEST_F(PlanTest, AnotherBudgetIsAReplacementUntilGrantsExist) {
  bring_up();
  config_->spec.budget.server_connections = 21;
  step();
  EXPECT_TRUE(look().touches.empty());
  EXPECT_FALSE(look().removals.empty());
}

TEST_F(PlanTest, ALostAdminSecretReplacesThePodsOneByOne) {
  bring_up();
  see_.admin = {};
  see_.fresh_random.assign(engine::kAdminRandomBytes, 'q');
  step();
  for (auto& [uid, state] : see_.live.pods) {
    state.outcome = live::Outcome::kFailed;
    state.login_refused = true;
    state.marker.clear();
  }
  const auto first = see_.pods;
  for (int round = 0; round < 20; ++round) {
    step();
    pods_follow();
  }
  EXPECT_NE(see_.pods.at(0).uid, first.at(0).uid);
  EXPECT_NE(see_.pods.at(1).uid, first.at(1).uid);
  EXPECT_EQ(status("ConfigurationLoaded"), "True Loaded");
}

// ---- parameters

TEST_F(PlanTest, AWrongParameterIsSaidAndTouchesNothing) {
  bring_up();
  const auto before = see_.files.data;
  for (const auto& [name, value] : api::Texts{{"pool_mode", "session"},
                                              {"query_timeouts", "1"},
                                              {"pkt_buf", "1"},
                                              {"log_stats", "1\nverbose = 9"}}) {
    config_->spec.pgbouncer.parameters = {{name, value}};
    const Plan planned = step();
    EXPECT_TRUE(planned.writes.empty());
    EXPECT_TRUE(planned.removals.empty());
    EXPECT_EQ(status("ConfigurationValid"), "False InvalidParameter");
    EXPECT_EQ(status("Stalled"), "True InvalidParameter");
    EXPECT_EQ(status("PoolerAvailable"), "True Serving");
    EXPECT_EQ(message("Ready").find("spec.pgbouncer.parameters." + name + ": "), 0U);
  }
  config_->spec.pgbouncer.parameters.clear();
  step();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_EQ(see_.files.data, before);
}

TEST_F(PlanTest, AParameterIsLoadedByReloadOneThatIsReadAtTheStartByReplacement) {
  bring_up();
  config_->spec.pgbouncer.parameters = {{"log_stats", "0"}};
  step();
  EXPECT_EQ(look().touches.size(), 1U);
  EXPECT_TRUE(look().removals.empty());
  settle();
  ASSERT_EQ(status("Ready"), "True Ready") << message("Ready");
  config_->spec.pgbouncer.parameters["pkt_buf"] = "8192";
  step();
  const Plan planned = step();
  ASSERT_EQ(planned.removals.size(), 1U) << "one at a time";
  EXPECT_EQ(planned.removals[0].notice->reason, "PodReplaced");
}

// An older PgBouncer would refuse the whole file.
TEST_F(PlanTest, AParameterThatTheVersionDoesNotHaveIsRefusedWhereTheVersionIsKnown) {
  config_->spec.pgbouncer.parameters = {{"transaction_timeout", "60"}};
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  for (auto& [uid, pod] : see_.live.pods) pod.version = "1.24.1";
  step();
  EXPECT_EQ(status("Stalled"), "True InvalidParameter");
  EXPECT_NE(message("Stalled").find("needs PgBouncer 1.25, and the pods run 1.24.1"),
            std::string::npos);
  const live::LiveState known = see_.live;
  see_.live = {};
  EXPECT_EQ(look().status, config_->status) << "a restart of the operator is no news";
  see_.live = known;

  config_->spec.pgbouncer.image = "pgbouncer:newer";
  const Plan planned = step();
  EXPECT_EQ(kinds(planned).count("StatefulSet"), 1U);
  EXPECT_EQ(status("Stalled"), "absent") << "nobody knows the new image's version";
  step();
  EXPECT_EQ(status("Stalled"), "absent") << "only pods with the old template have told one";
}

// ---- pause

TEST_F(PlanTest, APausedPoolerSaysSoAndWhenItHoldsNothing) {
  using Flow = live::PodState::Flow;
  bring_up();
  for (const auto& pod : look().target.pods) EXPECT_FALSE(pod.paused);
  config_->spec.pgbouncer.paused = true;
  Plan planned = step();
  EXPECT_TRUE(planned.writes.empty() && planned.removals.empty());
  for (const auto& pod : planned.target.pods) {
    EXPECT_TRUE(pod.paused);
    EXPECT_EQ(pod.wait_limit, "30");
  }
  EXPECT_EQ(status("PoolerAvailable"), "False Progressing");
  EXPECT_EQ(status("Reconciling"), "True Progressing");
  see_.live.pods[see_.pods[0].uid].flow = Flow::kPaused;
  see_.live.pods[see_.pods[1].uid].flow = Flow::kPausing;
  step();
  EXPECT_NE(message("PoolerAvailable").find("pausing: 1/2"), std::string::npos);
  see_.live.pods[see_.pods[1].uid].flow = Flow::kPaused;
  step();
  EXPECT_EQ(status("PoolerAvailable"), "False Paused");
  EXPECT_EQ(status("Ready"), "False Paused");
  EXPECT_EQ(status("Reconciling"), "absent");
  EXPECT_EQ(status("Stalled"), "absent");
  EXPECT_EQ(status("SecretPublished"), "True Published");
  EXPECT_FALSE(look().target.verification) << "it would wait, too";
  const live::LiveState known = std::exchange(see_.live, {});
  EXPECT_EQ(look().status, config_->status) << "a restart of the operator is no news";
  see_.live = known;
  see_.live.verification = {};  // the live loop forgets what it is not to ask any more

  config_->spec.pgbouncer.paused = false;
  planned = step();
  EXPECT_FALSE(planned.target.pods[0].paused);
  EXPECT_EQ(status("PoolerAvailable"), "False Progressing") << "not before a query works again";
  verification_answers();
  step();
  EXPECT_EQ(status("Ready"), "True Ready");
}

// The database is switched while clients wait: they must meet the new one.
TEST_F(PlanTest, APausedPoolerLoadsAnotherConfigurationAndReplacesNoPod) {
  bring_up();
  config_->spec.pgbouncer.paused = true;
  for (const auto& pod : see_.pods) see_.live.pods[pod.uid].flow = live::PodState::Flow::kPaused;
  step();
  const std::string other = "postgresql://app:s3cret@standby.example.com:5432/orders";
  see_.database_secret = SecretData{{"uri", other}};
  step();
  database_answers();
  for (int round = 0; round < 4; ++round) {
    const Plan planned = step();
    EXPECT_TRUE(planned.removals.empty());
    pods_reload();
  }
  EXPECT_EQ(status("ConfigurationLoaded"), "True Loaded") << message("ConfigurationLoaded");
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  EXPECT_NE(message("SecretPublished").find("paused"), std::string::npos);

  config_->spec.drain.max_transaction_seconds = 61;
  for (int round = 0; round < 4; ++round) {
    const Plan planned = step();
    EXPECT_TRUE(planned.removals.empty()) << "its clients would be cut";
  }
  EXPECT_NE(message("ConfigurationLoaded").find("resumed"), std::string::npos);
  config_->spec.pgbouncer.paused = false;
  EXPECT_FALSE(look().removals.empty());
}

}  // namespace
}  // namespace pooler::reconcile
