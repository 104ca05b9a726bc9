// The published Secret: when it is written, and whose it is.
#include <gtest/gtest.h>

#include "base/json.h"
#include "unit/reconcile/plan_fixture.h"

namespace pooler::reconcile {
namespace {

TEST_F(PlanTest, AnotherWayInIsPublishedOnceItWorks) {
  bring_up();
  config_->spec.service.port = 5432;
  config_->spec.service.external_host = "fd00::7";
  EXPECT_EQ(kinds(step()), (std::multiset<std::string>{"Service"}));
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  ASSERT_TRUE(look().target.verification);
  EXPECT_EQ(look().target.verification->address, "10.96.0.7") << "by the Service, not by the name";
  EXPECT_EQ(look().target.verification->connection.hosts[0].port, 5432);
  verification_answers();
  step();
  step();
  EXPECT_EQ(status("Ready"), "True Ready");
  EXPECT_NE(see_.published.data.at("DATABASE_POOLED_URL").find("@[fd00::7]:5432/"),
            std::string::npos);
  EXPECT_EQ(config_->status.endpoint_pooled, "[fd00::7]:5432");
  EXPECT_TRUE(look().writes.empty());
}

TEST_F(PlanTest, AForeignSecretStopsPublishingOnly) {
  bring_up();
  see_.published = {};
  see_.published.ownership = Ownership::kForeign;
  const Plan planned = step();
  EXPECT_TRUE(planned.writes.empty());
  EXPECT_EQ(status("SecretPublished"), "False NotOwned");
  EXPECT_EQ(status("PoolerAvailable"), "True Serving");
  EXPECT_EQ(config_->status.binding_name, "");
}

TEST_F(PlanTest, AMissingLabelAndOneTooManyAreWritten) {
  bring_up();
  config_->spec.connection_secret.labels = {{"team", "shop"}};
  EXPECT_EQ(kinds(step()), (std::multiset<std::string>{"Secret"}));
  EXPECT_TRUE(look().writes.empty());
  config_->spec.connection_secret.labels.clear();
  EXPECT_EQ(kinds(step()), (std::multiset<std::string>{"Secret"})) << "it must go again";
  EXPECT_TRUE(look().writes.empty());
  EXPECT_EQ(status("SecretPublished"), "True Published") << "labels need no query";
}

TEST_F(PlanTest, NewKeysAreVerifiedAndWrittenAtOnce) {
  bring_up();
  see_.live.verification = {};
  config_->spec.connection_secret.preset = api::Preset::kPrisma;
  config_->spec.connection_secret.keys = {{"dsn", api::Way::kPooled, api::Format::kLibpq}};
  step();
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  EXPECT_TRUE(see_.published.data.contains("DATABASE_POOLED_URL")) << "never in part";
  verification_answers();
  step();
  EXPECT_EQ(status("SecretPublished"), "True Published");
  EXPECT_NE(message("SecretPublished").find("DIRECT_URL (direct)"), std::string::npos);
  EXPECT_EQ(see_.published.data.at("DIRECT_URL"), kUri);
  EXPECT_TRUE(see_.published.data.contains("dsn"));
  EXPECT_FALSE(see_.published.data.contains("DATABASE_POOLED_URL"));
}

TEST_F(PlanTest, TheQueryHasTheParametersThatArePublished) {
  config_->spec.connection_secret.pooled_parameters = {{"options", "-c search_path=a"}};
  bring_up_pods();
  const auto target = look().target.verification;
  ASSERT_TRUE(target);
  EXPECT_EQ(target->connection.parameter("options"), "-c search_path=a");
}

TEST_F(PlanTest, APolicyThatFlipsIsWrittenWithoutAQuery) {
  bring_up();
  const auto before = see_.published.data;
  const auto owners = [this] {
    return parse_json(see_.published.body)["metadata"].contains("ownerReferences");
  };
  EXPECT_TRUE(owners());
  config_->spec.connection_secret.deletion_policy = api::DeletionPolicy::kRetain;
  EXPECT_EQ(kinds(step()), (std::multiset<std::string>{"Secret"}));
  EXPECT_FALSE(owners());
  EXPECT_TRUE(look().writes.empty());
  config_->spec.connection_secret.deletion_policy = api::DeletionPolicy::kDelete;
  EXPECT_EQ(kinds(step()), (std::multiset<std::string>{"Secret"}));
  EXPECT_TRUE(owners());
  EXPECT_EQ(see_.published.data, before);
}

TEST_F(PlanTest, ARetainedSecretIsInheritedOnlyOnceItsUrlsAreVerified) {
  see_.published.ownership = Ownership::kOurs;
  see_.published.inherited = true;
  see_.published.meta.uid = "uid-of-the-retained";
  see_.published.meta.name = "orders-pooler";
  see_.published.body = R"({"metadata": {"name": "orders-pooler"}})";
  see_.published.data = {{"DATABASE_URL", "postgresql://of-yesterday"}};
  bring_up_pods();
  EXPECT_EQ(status("SecretPublished"), "False Unverified");
  EXPECT_EQ(config_->status.binding_name, "");
  EXPECT_EQ(see_.published.data.at("DATABASE_URL"), "postgresql://of-yesterday");
  verification_answers();
  const Plan planned = look();
  ASSERT_EQ(kinds(planned), (std::multiset<std::string>{"Secret"}));
  EXPECT_EQ(planned.writes.front().current.uid, "uid-of-the-retained") << "onto this very object";
  EXPECT_EQ(planned.status.binding_name, "orders-pooler");
}

TEST_F(PlanTest, ASecretThatAnotherHasRetainedIsNamedAsItsOwn) {
  bring_up();
  see_.published = {};
  see_.published.ownership = Ownership::kForeign;
  see_.published.meta.labels[std::string(api::kNameLabel)] = "billing";
  see_.published.meta.annotations[std::string(api::kOwnerUidAnnotation)] = "uid-9";
  step();
  EXPECT_EQ(status("SecretPublished"), "False NotOwned");
  EXPECT_NE(message("SecretPublished").find("PoolerConfig billing"), std::string::npos);
}

TEST_F(PlanTest, ImmediateIsPublishedBeforeAnythingWasAsked) {
  config_->spec.connection_secret.publish_policy = api::PublishPolicy::kImmediate;
  const Plan first = step();
  EXPECT_EQ(kinds(first), (std::multiset<std::string>{"Secret", "Secret", "Service", "Service"}));
  EXPECT_EQ(see_.published.data.at("DATABASE_URL"), kUri);
  EXPECT_EQ(status("SecretPublished"), "True Published");
  EXPECT_EQ(config_->status.binding_name, "orders-pooler");
  EXPECT_NE(status("Ready"), "True Ready") << "no pod serves yet";
}

TEST_F(PlanTest, ImmediateIsReadyWithoutAWayToThePods) {
  config_->spec.connection_secret.publish_policy = api::PublishPolicy::kImmediate;
  step();
  database_answers();
  step();
  pods_follow();
  for (auto& [uid, state] : see_.live.pods) {
    state = {};
    state.outcome = live::Outcome::kFailed;
    state.message = "no answer";
  }
  step();
  step();
  EXPECT_EQ(status("ConfigurationLoaded"), "Unknown OperatorCannotReachPooler");
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_EQ(status("Reconciling"), "absent");
  config_->spec.connection_secret.publish_policy = api::PublishPolicy::kVerified;
  step();
  EXPECT_EQ(status("Ready"), "False OperatorCannotReachPooler") << "not so with Verified";
}

TEST_F(PlanTest, ImmediateTooLetsNewCredentialsLogInFirst) {
  config_->spec.connection_secret.publish_policy = api::PublishPolicy::kImmediate;
  step();
  database_answers();
  step();
  see_.database_secret = SecretData{{"uri", "postgresql://app:rotated@db.example.com:5432/orders"}};
  step();
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  EXPECT_EQ(see_.published.data.at("DATABASE_URL"), kUri);
  database_answers();
  step();
  EXPECT_NE(see_.published.data.at("DATABASE_URL").find("rotated"), std::string::npos);
}

TEST_F(PlanTest, ImmediateDoesNotPublishForASpecThatCanNotBeRun) {
  config_->spec.connection_secret.publish_policy = api::PublishPolicy::kImmediate;
  config_->spec.budget.server_connections = 2;
  step();
  EXPECT_EQ(status("ConfigurationValid"), "False BudgetTooSmall");
  EXPECT_EQ(see_.published.ownership, Ownership::kAbsent);
}

}  // namespace
}  // namespace pooler::reconcile
