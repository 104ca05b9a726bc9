// What a person is told: of the spec and the Secrets, of the database, of pods.
#include <gtest/gtest.h>

#include "base/json.h"
#include "unit/reconcile/plan_fixture.h"

namespace pooler::reconcile {
namespace {

TEST_F(PlanTest, MissingSecretIsSaidAndARunningPoolerStays) {
  bring_up();
  see_.database_secret = std::nullopt;
  const Plan planned = step();
  EXPECT_TRUE(planned.writes.empty());
  EXPECT_TRUE(planned.removals.empty());
  EXPECT_EQ(status("ConfigurationValid"), "False SecretNotFound");
  EXPECT_EQ(status("Ready"), "False SecretNotFound");
  EXPECT_EQ(status("PoolerAvailable"), "True Serving");
  EXPECT_EQ(status("Stalled"), "absent") << "the Secret may yet appear";
  EXPECT_NE(message("Ready").find("spec.database.secretRef.name"), std::string::npos);
  EXPECT_NE(message("Ready").find("shop/orders-db"), std::string::npos);
}

TEST_F(PlanTest, ValuesOfSecretsNeverReachStatusOrEvents) {
  see_.database_secret = SecretData{{"uri", "s3cret is no uri"}};
  const Plan planned = step();
  EXPECT_EQ(to_bytes(api::encode(planned.status)).find("s3cret"), std::string::npos);
  for (const Notice& notice : planned.notices) {
    EXPECT_EQ(notice.note.find("s3cret"), std::string::npos);
  }
}

TEST_F(PlanTest, BudgetTooSmallSaysWhatItNeedsAndTouchesNothing) {
  bring_up();
  config_->spec.budget.server_connections = 4;
  const Plan planned = step();
  EXPECT_TRUE(planned.writes.empty());
  EXPECT_EQ(status("ConfigurationValid"), "False BudgetTooSmall");
  EXPECT_EQ(status("Stalled"), "True BudgetTooSmall");
  EXPECT_NE(message("Stalled").find("spec.budget.serverConnections"), std::string::npos);
  EXPECT_NE(message("Stalled").find("5 or more"), std::string::npos);
}

TEST_F(PlanTest, ARefusedWriteIsSaid) {
  step();
  see_.write_refused =
      "StatefulSet shop/orders-pooler: spec.template.spec.containers[0].image: Required";
  step();
  EXPECT_EQ(status("ConfigurationValid"), "False InvalidPodTemplate");
}

TEST_F(PlanTest, ARefusedTemplateIsSaidInTheWordsOfTheApiServer) {
  bring_up();
  see_.write_refused = "Pod shop/orders-pooler-dry-run: no PriorityClass with name x was found";
  step();
  EXPECT_EQ(status("Stalled"), "True InvalidPodTemplate");
  EXPECT_EQ(status("PoolerAvailable"), "True Serving");
  EXPECT_NE(message("Ready").find("no PriorityClass with name x was found"), std::string::npos);
}

TEST_F(PlanTest, AMoveOfTheDatabaseReachesThePodsAndIsToldOnce) {
  bring_up();
  EXPECT_EQ(look().target.pods.at(0).moves, 0);
  see_.live.database.moves = 1;
  see_.live.database.last_move = "10.0.0.9:5432 -> 10.0.0.10:5432";
  const Plan planned = look();
  EXPECT_EQ(planned.target.pods.at(0).moves, 1);
  ASSERT_EQ(planned.notices.size(), 1U);
  EXPECT_EQ(planned.notices.front().reason, "Failover");
  EXPECT_NE(planned.notices.front().note.find("10.0.0.9:5432 -> 10.0.0.10:5432"),
            std::string::npos);
  see_.moves_told = planned.moves_told;
  EXPECT_TRUE(look().notices.empty());
  see_.live.database.token = "of other credentials";
  EXPECT_EQ(look().target.pods.at(0).moves, std::nullopt) << "nothing is known of these";
  EXPECT_EQ(look().moves_told, 1);
}

TEST_F(PlanTest, AServerThatCanNotBeWrittenIsToldAndHoldsNothingBack) {
  bring_up();
  see_.live.database.server->read_only = true;
  step();
  EXPECT_EQ(status("DatabaseReachable"), "False ReadOnly");
  EXPECT_NE(message("DatabaseReachable").find("default_transaction_read_only"), std::string::npos);
  EXPECT_EQ(status("Ready"), "True Ready");
  see_.live.database.server->in_recovery = true;
  step();
  EXPECT_NE(message("DatabaseReachable").find("standby"), std::string::npos);
}

TEST_F(PlanTest, APodThatDoesNotRunSaysWhyBeforeItsConsoleIsBlamed) {
  bring_up();
  ObservedPod& pod = see_.pods.back();
  live::PodState& console = see_.live.pods[pod.uid];
  console.outcome = live::Outcome::kFailed;
  console.marker.clear();
  console.message = "the admin console refuses connections";
  step();
  EXPECT_EQ(status("ConfigurationLoaded"), "Unknown OperatorCannotReachPooler");
  pod.ready = false;
  step();
  EXPECT_EQ(status("ConfigurationLoaded"), "False Reloading");
  pod.trouble = api::reason::kImagePullFailed;
  pod.trouble_message = "no such image";
  step();
  EXPECT_EQ(status("ConfigurationLoaded"), "False ImagePullFailed");
  EXPECT_NE(message("ConfigurationLoaded").find("no such image"), std::string::npos);
}

TEST_F(PlanTest, TransitionTimeChangesOnlyWithTheStatus) {
  bring_up();
  const std::string before = config_->status.find("Ready")->last_transition_time;
  see_.now += std::chrono::hours(1);
  step();
  EXPECT_EQ(config_->status.find("Ready")->last_transition_time, before);
  see_.database_secret = std::nullopt;
  step();
  EXPECT_NE(config_->status.find("Ready")->last_transition_time, before);
}

}  // namespace
}  // namespace pooler::reconcile
