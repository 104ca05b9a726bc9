// From nothing to Ready, to nothing again, and what stays as it is.
#include "reconcile/plan.h"

#include <gtest/gtest.h>

#include "engine/pgbouncer/render.h"
#include "unit/reconcile/plan_fixture.h"

namespace pooler::reconcile {
namespace {

TEST_F(PlanTest, FirstStatusHasEveryCondition) {
  step();
  for (const char* type : {"Ready", "ConfigurationValid", "DatabaseReachable", "PoolerAvailable",
                           "ConfigurationLoaded", "SecretPublished", "ScalingActive"}) {
    EXPECT_NE(config_->status.find(type), nullptr) << type;
  }
  EXPECT_EQ(status("Ready"), "False Progressing");
  EXPECT_EQ(config_->status.observed_generation, 1);
}

TEST_F(PlanTest, NoStatefulSetBeforeTheDatabaseWasReached) {
  const Plan first = step();
  EXPECT_EQ(kinds(first), (std::multiset<std::string>{"Secret", "Service", "Service"}));
  ASSERT_TRUE(first.target.database);
  EXPECT_EQ(first.target.database->connection.user, "app");
}

TEST_F(PlanTest, WalksFromNothingToReady) {
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready");
  EXPECT_EQ(status("SecretPublished"), "True Published");
  EXPECT_EQ(status("Reconciling"), "absent");
  EXPECT_EQ(status("Stalled"), "absent");
  EXPECT_EQ(config_->status.binding_name, "orders-pooler");
  EXPECT_EQ(config_->status.effective.budget, 41);
  EXPECT_EQ(config_->status.effective.budget_source, "Server");
  EXPECT_EQ(config_->status.pods.loaded, 2);
  EXPECT_EQ(config_->status.version, "1.26.1");
  EXPECT_EQ(see_.published.data.at("DATABASE_URL"), kUri);
  EXPECT_NE(see_.published.data.at("DATABASE_POOLED_URL").find("@orders-pooler.shop.svc:6432/"),
            std::string::npos);
}

TEST_F(PlanTest, FloorsOfAllOrdinalsFitTheBudget) {
  bring_up();
  EXPECT_EQ(engine::pgbouncer::floor_of(target_file(".pgbouncer.ini")), 10);
  EXPECT_EQ(look().claim.held, 21);  // two pods and the operator
}

TEST_F(PlanTest, ConvergedMeansNoWriteAndTheSameStatus) {
  bring_up();
  const Plan again = look();
  EXPECT_TRUE(again.writes.empty()) << again.writes.front().body;
  EXPECT_TRUE(again.removals.empty());
  EXPECT_EQ(again.status, config_->status);
  EXPECT_TRUE(again.notices.empty());
  EXPECT_FALSE(again.target.verification) << "verified once, no more connections";
}

TEST_F(PlanTest, ARestartOfTheOperatorWithTheDatabaseDownChangesNothing) {
  bring_up();
  see_.live = {};
  EXPECT_TRUE(look().writes.empty());
  EXPECT_EQ(look().status, config_->status) << "nothing was asked yet, so there is no news";
  see_.live.database.token = look().target.database->token;
  see_.live.database.outcome = live::Outcome::kFailed;
  see_.live.database.reason = "ConnectionRefused";
  const Plan down = look();
  EXPECT_TRUE(down.writes.empty());
  EXPECT_TRUE(down.removals.empty());
  EXPECT_EQ(down.status.find("DatabaseReachable")->reason, "ConnectionRefused");
}

TEST_F(PlanTest, ZeroReplicasStopThePooler) {
  bring_up();
  config_->spec.replicas = 0;
  step();
  EXPECT_EQ(see_.workload.replicas, 0);
  pods_follow();
  step();
  EXPECT_EQ(status("PoolerAvailable"), "False ScaledToZero");
  EXPECT_EQ(status("SecretPublished"), "True Published") << "the URLs stay";
}

TEST_F(PlanTest, FromZeroItIsAvailableOnlyWhenTheServiceLeadsThere) {
  bring_up();
  config_->spec.replicas = 0;
  step();
  pods_follow();
  step();
  config_->spec.replicas = 1;
  step();
  pods_follow();
  step();
  EXPECT_EQ(status("PoolerAvailable"), "False Progressing") << message("PoolerAvailable");
  EXPECT_EQ(status("Ready"), "False Progressing");
  verification_answers();
  step();
  EXPECT_EQ(status("Ready"), "True Ready");
  EXPECT_FALSE(look().target.verification);
}

}  // namespace
}  // namespace pooler::reconcile
