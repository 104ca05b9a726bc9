// The objects around the pods: repaired, tried, only there where they are wanted, and never touched
// where they are somebody else's.
#include <gtest/gtest.h>

#include "base/json.h"
#include "base/strings.h"
#include "unit/reconcile/plan_fixture.h"

namespace pooler::reconcile {
namespace {

TEST_F(PlanTest, DeletedChildrenReturn) {
  bring_up();
  see_.client = {};
  see_.published = {};
  see_.disruption_budget = {};
  EXPECT_EQ(kinds(look()), (std::multiset<std::string>{"PodDisruptionBudget", "Service"}))
      << "the published Secret waits for the Service's address";
  step();
  verification_answers();
  EXPECT_EQ(kinds(look()), (std::multiset<std::string>{"Secret"}));
}

TEST_F(PlanTest, ADeletedConfigSecretReturnsAsItWasEvenWithTheDatabaseDown) {
  bring_up();
  const auto before = see_.files.data;
  see_.files = {};
  see_.live.database = {};
  step();
  EXPECT_EQ(see_.files.data, before);
}

// A revision's hash names its bytes, so an edited file is wrong, whatever it says.
TEST_F(PlanTest, AnEditedConfigFileIsAsItWasAndNoPodIsToldOfIt) {
  bring_up();
  const SecretChild before = see_.files;
  for (const auto& [name, bytes] : before.data) {
    for (const bool deleted : {false, true}) {
      Json body = parse_json(before.body);
      body["data"][name] = base64_encode("pool_mode = session\n");
      see_.files.data[name] = "pool_mode = session\n";
      if (deleted) {
        body["data"].erase(name);
        see_.files.data.erase(name);
      }
      see_.files.body = to_bytes(body);
      const Plan planned = step();
      EXPECT_EQ(see_.files.data, before.data) << name << (deleted ? " deleted" : " edited");
      EXPECT_TRUE(planned.removals.empty()) << name;
      for (const auto& pod : planned.target.pods) EXPECT_EQ(pod.reload_to, "") << name;
    }
  }
}

TEST_F(PlanTest, DriftIsRepaired) {
  bring_up();
  Json body = parse_json(see_.client.body);
  body["spec"]["ports"][0]["port"] = 1;
  see_.client.body = to_bytes(body);
  const Plan planned = look();
  ASSERT_EQ(kinds(planned), (std::multiset<std::string>{"Service"}));
  EXPECT_EQ(planned.writes[0].current.uid, "uid-of-Service") << "onto this very object";
}

TEST_F(PlanTest, ATemplateIsTriedByADryRunBeforeItIsWritten) {
  const auto tried = [](const Plan& planned) {
    std::multiset<std::string> names;
    for (const Write& each : planned.trials) names.insert(std::string(each.type.kind));
    return names;
  };
  const std::multiset<std::string> both{"Pod", "StatefulSet"};
  EXPECT_TRUE(step().trials.empty()) << "there is no template yet";
  database_answers();
  EXPECT_EQ(tried(look()), both);
  bring_up();
  EXPECT_TRUE(look().trials.empty());
  config_->spec.pod = R"({"nodeSelector":{"disk":"ssd"}})";
  const Plan planned = look();
  EXPECT_EQ(tried(planned), both);
  EXPECT_EQ(planned.trials[0].current.uid, "uid-of-StatefulSet");
  EXPECT_EQ(planned.trials[0].body, planned.writes[0].body);
  EXPECT_EQ(parse_json(planned.trials[1].body)["spec"]["nodeSelector"]["disk"], "ssd");
  config_->spec.pod = "{}";
  config_->spec.replicas = 3;
  EXPECT_EQ(kinds(look()), (std::multiset<std::string>{"StatefulSet"}));
  EXPECT_TRUE(look().trials.empty()) << "only the number of replicas";
}

TEST_F(PlanTest, AForeignStatefulSetIsNeverTouched) {
  see_.workload.ownership = Ownership::kForeign;
  see_.workload.meta.name = "orders-pooler";
  step();
  database_answers();
  const Plan planned = step();
  EXPECT_TRUE(planned.writes.empty()) << "no pooler is begun beside it";
  EXPECT_EQ(status("PoolerAvailable"), "False NotOwned");
  EXPECT_NE(message("PoolerAvailable").find("StatefulSet orders-pooler exists"), std::string::npos);
  EXPECT_EQ(status("Stalled"), "True NotOwned");
  EXPECT_TRUE(planned.look_again);
}

TEST_F(PlanTest, ANetworkPolicyComesBeforeThePodsAndGoesWhenItIsNotWanted) {
  config_->spec.network_policy.enabled = true;
  step();
  EXPECT_TRUE(see_.network_policy.ours());
  EXPECT_EQ(see_.workload.ownership, Ownership::kAbsent);
  bring_up();
  EXPECT_TRUE(look().writes.empty());
  config_->spec.network_policy.enabled = false;
  step();
  EXPECT_EQ(see_.network_policy.ownership, Ownership::kAbsent);
  EXPECT_EQ(status("Ready"), "True Ready");
}

TEST_F(PlanTest, AForeignNetworkPolicyMattersOnlyWhereOneIsWanted) {
  see_.network_policy.ownership = Ownership::kForeign;
  see_.network_policy.meta.name = "orders-pooler";
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready");
  config_->spec.network_policy.enabled = true;
  EXPECT_TRUE(step().writes.empty());
  EXPECT_EQ(status("PoolerAvailable"), "False NotOwned");
}

TEST_F(PlanTest, OneReplicaHasNoDisruptionBudget) {
  bring_up();
  EXPECT_TRUE(see_.disruption_budget.ours());
  config_->spec.replicas = 1;
  step();
  EXPECT_FALSE(see_.disruption_budget.ours());
}

TEST_F(PlanTest, ADisruptionBudgetThatIsNotWantedGoesAndComesBack) {
  bring_up();
  for (const bool wanted : {false, true, false}) {
    config_->spec.pod_disruption_budget = wanted;
    step();
    EXPECT_EQ(see_.disruption_budget.ours(), wanted);
    EXPECT_TRUE(look().writes.empty() && look().removals.empty());
    EXPECT_EQ(status("Ready"), "True Ready");
  }
}

TEST_F(PlanTest, AForeignDisruptionBudgetMattersOnlyWhereOneIsWanted) {
  see_.disruption_budget.ownership = Ownership::kForeign;
  see_.disruption_budget.meta.name = "orders-pooler";
  config_->spec.pod_disruption_budget = false;
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready");
  config_->spec.pod_disruption_budget = true;
  step();
  EXPECT_EQ(status("PoolerAvailable"), "False NotOwned");
}

}  // namespace
}  // namespace pooler::reconcile
