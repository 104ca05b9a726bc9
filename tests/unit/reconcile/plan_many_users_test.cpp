// spec.pgbouncer.auth in mode Query: each role logs in as itself.
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "unit/reconcile/plan_fixture.h"

namespace pooler::reconcile {
namespace {

class PlanManyUsers : public PlanTest {
 protected:
  PlanManyUsers() {
    want_many();
    see_.auth_secret = SecretData{{"username", "lookup"}, {"password", "l00k"}};
  }

  void want_many() {
    config_->spec.pgbouncer.auth.mode = api::PoolerAuth::Mode::kQuery;
    config_->spec.pgbouncer.auth.user_secret = "lookup";
  }
  void query_answers(live::Outcome outcome = live::Outcome::kOk) {
    const auto target = look().target.auth;
    ASSERT_TRUE(target);
    see_.live.auth = {target->token, outcome, "", ""};
    if (outcome == live::Outcome::kFailed) {
      see_.live.auth.field = "spec.pgbouncer.auth.query";
      see_.live.auth.message = "user \"lookup\" may not run the query";
    }
  }
  void bring_up_many() {
    step();
    database_answers();
    query_answers();
    bring_up();
    ASSERT_EQ(status("Ready"), "True Ready") << message("Ready");
  }
};

TEST_F(PlanManyUsers, TheQueryIsTriedBeforeThereIsAPod) {
  step();
  database_answers();
  const Plan planned = step();
  EXPECT_EQ(kinds(planned).count("StatefulSet"), 0U);
  ASSERT_TRUE(planned.target.auth);
  EXPECT_EQ(planned.target.auth->connection.user, "lookup");
  EXPECT_EQ(planned.target.auth->connection.password, "l00k");
  EXPECT_EQ(planned.target.auth->connection.database, "orders");
  EXPECT_EQ(planned.target.auth->user, "app");
  EXPECT_NE(planned.target.auth->question.find("E'app'"), std::string::npos);
  query_answers();
  EXPECT_EQ(kinds(step()).count("StatefulSet"), 1U);
  EXPECT_NE(target_file(".userlist.txt").find("\"lookup\" \"l00k\""), std::string::npos);
  EXPECT_EQ(target_file(".userlist.txt").find("\"app\""), std::string::npos);
}

TEST_F(PlanManyUsers, TheSecretHasTheDatabasesUser) {
  bring_up_many();
  EXPECT_EQ(see_.published.data.at("username"), "app");
  EXPECT_EQ(see_.published.data.at("password"), "s3cret");
  EXPECT_EQ(see_.published.data.at("DATABASE_URL"), kUri);
}

TEST_F(PlanManyUsers, LookupsAreInTheBudget) {
  config_->spec.budget.server_connections = 14;
  bring_up_many();
  // 14, less two of the operator's, for 4 pods: 3 each, of which one looks users up.
  EXPECT_NE(target_file(".pgbouncer.ini").find("\nmax_db_connections = 2\n"), std::string::npos);
  EXPECT_EQ(look().claim.held, 2 * 3 + 2);
  config_->spec.budget.server_connections = 9;
  const Plan planned = step();
  EXPECT_TRUE(planned.writes.empty());
  EXPECT_EQ(status("Stalled"), "True BudgetTooSmall");
  EXPECT_NE(message("Stalled").find("raise the budget to 10 or more"), std::string::npos)
      << message("Stalled");
}

TEST_F(PlanManyUsers, AQueryThatFailsIsSaidWithItsFieldAndNothingIsMade) {
  step();
  database_answers();
  query_answers(live::Outcome::kFailed);
  EXPECT_EQ(kinds(step()).count("StatefulSet"), 0U);
  EXPECT_EQ(status("ConfigurationValid"), "False AuthQueryFailed");
  EXPECT_EQ(message("ConfigurationValid").find("spec.pgbouncer.auth.query: user \"lookup\""), 0U);
  EXPECT_EQ(status("Stalled"), "absent") << "the database may be mended";
  const std::string told = message("ConfigurationValid");
  see_.live.auth = {};
  step();
  EXPECT_EQ(message("ConfigurationValid"), told) << "after a restart of the operator";
  query_answers(live::Outcome::kFailed);
  see_.live.database.outcome = live::Outcome::kFailed;
  see_.live.database.reason = api::reason::kConnectionRefused;
  step();
  EXPECT_EQ(status("ConfigurationValid"), "True Valid") << "while the database is away";
}

TEST_F(PlanManyUsers, AnotherQueryWaitsUntilItWorksAndIsLoaded) {
  bring_up_many();
  const auto before = see_.files.data;
  config_->spec.pgbouncer.auth.query = "SELECT * FROM pooler.lookup($1)";
  EXPECT_TRUE(step().writes.empty());
  query_answers(live::Outcome::kFailed);
  EXPECT_TRUE(step().writes.empty());
  EXPECT_EQ(status("ConfigurationValid"), "False AuthQueryFailed");
  EXPECT_EQ(status("PoolerAvailable"), "True Serving");
  EXPECT_EQ(see_.files.data, before);
  query_answers();
  const Plan planned = step();
  EXPECT_TRUE(planned.removals.empty());
  settle();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_NE(target_file(".pgbouncer.ini").find("\nauth_query = SELECT * FROM pooler.lookup($1)\n"),
            std::string::npos);
}

TEST_F(PlanManyUsers, AnotherPasswordOfTheRoleIsLoaded) {
  bring_up_many();
  see_.auth_secret->at("password") = "another";
  EXPECT_TRUE(step().writes.empty()) << "it has to log in first";
  query_answers();
  EXPECT_TRUE(step().removals.empty());
  settle();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_NE(target_file(".userlist.txt").find("\"lookup\" \"another\""), std::string::npos);
  EXPECT_TRUE(look().removals.empty());
}

TEST_F(PlanManyUsers, AnotherRoleReplacesThePods) {
  bring_up_many();
  see_.auth_secret->at("username") = "another";
  query_answers();
  step();
  EXPECT_TRUE(look().touches.empty());
  EXPECT_EQ(look().removals.size(), 1U);
}

TEST_F(PlanManyUsers, AnotherModeReplacesThePods) {
  bring_up_many();
  config_->spec.pgbouncer.auth = {};
  step();
  EXPECT_TRUE(look().touches.empty());
  EXPECT_EQ(look().removals.size(), 1U);
}

TEST_F(PlanManyUsers, APoolerOfOneUserIsReplacedOnceTheQueryWorks) {
  config_->spec.pgbouncer.auth = {};
  bring_up();
  ASSERT_EQ(status("Ready"), "True Ready");
  EXPECT_FALSE(look().target.auth);
  want_many();
  step();
  EXPECT_TRUE(look().removals.empty());
  query_answers(live::Outcome::kFailed);
  step();
  EXPECT_TRUE(look().removals.empty());
  EXPECT_EQ(status("PoolerAvailable"), "True Serving");
  query_answers();
  step();
  EXPECT_EQ(look().removals.size(), 1U);
}

TEST_F(PlanManyUsers, TheDatabasesOwnUserMayLookUpAndNeedNotBeFound) {
  config_->spec.pgbouncer.auth.user_secret.clear();
  see_.auth_secret.reset();
  bring_up_many();
  EXPECT_EQ(look().target.auth->connection.user, "app");
  EXPECT_EQ(look().target.auth->user, "") << "its password is in the files";
  EXPECT_NE(target_file(".userlist.txt").find("\"app\" \"s3cret\""), std::string::npos);
}

TEST_F(PlanManyUsers, ASecretThatCanNotBeUsedIsSaidAndThePoolerGoesOn) {
  bring_up_many();
  const auto before = see_.files.data;
  struct Wrong {
    std::optional<SecretData> secret;
    const char* status;
    const char* field;
  };
  for (const auto& [secret, said, field] : std::vector<Wrong>{
           {std::nullopt, "False SecretNotFound", "spec.pgbouncer.auth.userSecretRef.name: "},
           {SecretData{{"password", "l00k"}}, "False SecretKeyMissing",
            "spec.pgbouncer.auth.userSecretRef.keys.user: "},
           {SecretData{{"username", "lookup"}}, "False SecretKeyMissing",
            "spec.pgbouncer.auth.userSecretRef.keys.password: "},
           {SecretData{{"username", "lookup"}, {"password", "l00k\n"}}, "False SecretInvalid",
            "spec.pgbouncer.auth.userSecretRef: "},
           {SecretData{{"username", "app"}, {"password", "an0ther"}}, "False SecretInvalid",
            "spec.pgbouncer.auth.userSecretRef: "}}) {
    see_.auth_secret = secret;
    const Plan planned = step();
    EXPECT_TRUE(planned.writes.empty());
    EXPECT_TRUE(planned.removals.empty());
    EXPECT_EQ(status("ConfigurationValid"), said);
    EXPECT_EQ(message("ConfigurationValid").find(field), 0U) << message("ConfigurationValid");
    EXPECT_EQ(message("ConfigurationValid").find("l00k"), std::string::npos);
    EXPECT_EQ(message("ConfigurationValid").find("an0ther"), std::string::npos);
    EXPECT_EQ(status("PoolerAvailable"), "True Serving");
  }
  EXPECT_EQ(see_.files.data, before);
  see_.auth_secret = SecretData{{"username", "lookup"}, {"password", "l00k"}};
  step();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
}

TEST_F(PlanManyUsers, AWrongQueryIsSaidAndNothingIsAsked) {
  bring_up_many();
  for (const char* query : {"SELECT $1, 2; DROP TABLE t", "SELECT $1, $2", "SELECT 1, 2"}) {
    config_->spec.pgbouncer.auth.query = query;
    const Plan planned = step();
    EXPECT_TRUE(planned.writes.empty());
    EXPECT_FALSE(planned.target.auth);
    EXPECT_EQ(status("Stalled"), "True InvalidParameter") << query;
    EXPECT_EQ(message("Stalled").find("spec.pgbouncer.auth.query: "), 0U) << message("Stalled");
  }
}

TEST_F(PlanManyUsers, ALoginThatFailsAtThePoolerNamesWhoLooksUp) {
  step();
  database_answers();
  query_answers();
  step();
  pods_follow();
  step();
  const auto target = look().target.verification;
  ASSERT_TRUE(target);
  see_.live.verification = {target->token, live::Outcome::kFailed,
                            std::string(api::reason::kVerificationFailed), "no such user", false};
  step();
  EXPECT_EQ(status("SecretPublished"), "False VerificationFailed");
  EXPECT_NE(message("SecretPublished").find("no such user; each user is looked up"),
            std::string::npos);
  EXPECT_NE(message("SecretPublished").find("\"lookup\" (spec.pgbouncer.auth)"), std::string::npos);
}

}  // namespace
}  // namespace pooler::reconcile
