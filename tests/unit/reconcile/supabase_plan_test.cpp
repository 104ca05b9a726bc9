#include "reconcile/supabase_plan.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/json.h"
#include "fault/certificates.h"
#include "kube/kinds.h"
#include "unit/reconcile/plan_fixture.h"

namespace pooler::reconcile {
namespace {

constexpr const char* kRef = "abcdefghijklmnopqrst";
constexpr const char* kGivenHost = "aws-0-eu-central-1.pooler.supabase.com";
constexpr const char* kToldHost = "aws-1-eu-central-1.pooler.supabase.com";
constexpr const char* kDirectUrl =
    "postgresql://postgres:s3cret@db.abcdefghijklmnopqrst.supabase.co:5432/postgres";

// Nothing but Secrets is written.
class SupabasePlanTest : public PlanFixture {
 protected:
  SupabasePlanTest() {
    config_->spec.engine = api::Engine::kSupabase;
    config_->spec.supabase.emplace();
    config_->spec.supabase->project_ref = kRef;
    config_->spec.supabase->pooler_host = kGivenHost;
    see_.database_secret = SecretData{{"password", "s3cret"}};
  }

  Plan step() {
    Plan planned = PlanFixture::step();
    for (const Write& each : planned.writes) {
      EXPECT_EQ(each.type, kube::Secret::kType) << each.body;
    }
    EXPECT_TRUE(planned.removals.empty() && planned.touches.empty() && planned.trials.empty());
    return planned;
  }

  // Instead of the host.
  void with_token() {
    config_->spec.supabase->pooler_host.clear();
    config_->spec.supabase->token_secret_name = "supabase";
    see_.token_secret = SecretData{{"token", "sbp_t0ken\n"}};
  }

  void api_tells(const std::string& host = kToldHost) {
    see_.project = {};
    see_.project.project_ref = kRef;
    see_.project.asked = true;
    see_.project.pooler = hosted::ProjectPooler{host, 20, std::nullopt};
  }

  void api_fails(bool lasting) {
    see_.project.project_ref = kRef;
    see_.project.asked = true;
    see_.project.failure = hosted::ApiFailure{lasting, "the API does not want to", std::nullopt};
  }

  void database_fails(std::string_view reason) {
    see_.live.database = {};
    see_.live.database.token = look().target.database->token;
    see_.live.database.outcome = live::Outcome::kFailed;
    see_.live.database.reason = reason;
    see_.live.database.message = "words";
  }

  void password_is_refused() {
    database_fails(api::reason::kAuthenticationFailed);
    see_.live.database.refused = true;
  }

  [[nodiscard]] std::string published(const std::string& key) const {
    const auto found = see_.published.data.find(key);
    return found == see_.published.data.end() ? "" : found->second;
  }
};

TEST_F(SupabasePlanTest, PublishesAtOnceWhatIsGiven) {
  const Plan first = step();
  EXPECT_EQ(first.writes.size(), 2U);
  EXPECT_EQ(published("DATABASE_URL"), kDirectUrl);
  EXPECT_EQ(published("DATABASE_POOLED_URL"),
            "postgresql://postgres.abcdefghijklmnopqrst:s3cret@aws-0-eu-central-1.pooler.supabase."
            "com:6543/postgres?pgbouncer=true");
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_EQ(status("PoolerAvailable"), "True ManagedByProvider");
  EXPECT_EQ(status("ScalingActive"), "False ManagedByProvider");
  EXPECT_EQ(status("DatabaseReachable"), "Unknown Unknown");
  EXPECT_EQ(config_->status.binding_name, "orders-pooler");
  EXPECT_EQ(config_->status.engine, "Supabase");
  EXPECT_EQ(config_->status.endpoint_pooled, "aws-0-eu-central-1.pooler.supabase.com:6543");
  EXPECT_EQ(config_->status.endpoint_direct, "db.abcdefghijklmnopqrst.supabase.co:5432");
  EXPECT_EQ(config_->status.selector, "");
  EXPECT_EQ(config_->status.effective, api::Status::Effective());
  const Json body = parse_json(see_.published.body);
  EXPECT_EQ(body["metadata"]["labels"]["app.kubernetes.io/name"], "supabase");
  step();  // it is no news any more that the Secrets are written
  EXPECT_TRUE(look().writes.empty());
  EXPECT_EQ(look().status, config_->status);
}

TEST_F(SupabasePlanTest, TheDatabaseIsProbedAndHoldsNothingBack) {
  step();
  const auto target = look().target.database;
  ASSERT_TRUE(target);
  EXPECT_EQ(target->connection.hosts.at(0).host, "db.abcdefghijklmnopqrst.supabase.co");
  EXPECT_EQ(target->connection.parameter("sslmode"), "require") << "of the probe alone";
  EXPECT_EQ(target->refusal_pause, std::chrono::minutes(30));
  EXPECT_TRUE(look().target.pods.empty());
  database_fails(api::reason::kOperatorCannotReachDatabase);
  step();
  EXPECT_EQ(status("DatabaseReachable"), "False OperatorCannotReachDatabase");
  EXPECT_NE(message("DatabaseReachable").find("SessionPooler"), std::string::npos);
  EXPECT_EQ(status("Ready"), "True Ready");
  database_answers();
  step();
  EXPECT_EQ(status("DatabaseReachable"), "True Connected");
  EXPECT_EQ(message("ConfigurationLoaded"),
            "Supabase configures its pooler: pool size 15, at most 200 clients");
  EXPECT_EQ(look().claim.held, 1) << "the operator's own login";
  EXPECT_EQ(look().claim.explicit_budget, 1) << "neighbours share the rest";
}

TEST_F(SupabasePlanTest, ARefusedPasswordIsRememberedOverARestart) {
  step();
  EXPECT_FALSE(look().target.database->refused_before);
  EXPECT_EQ(look().target.database->refusal_scope, kRef);
  password_is_refused();
  step();
  EXPECT_NE(message("DatabaseReachable").find("half an hour"), std::string::npos);
  EXPECT_TRUE(look().target.database->refused_before);
  EXPECT_EQ(see_.admin.body.find("s3cret"), std::string::npos);
  see_.live = {};
  step();
  EXPECT_TRUE(look().target.database->refused_before);
  EXPECT_TRUE(look().writes.empty());
  config_->spec.database.tls.mode = api::DatabaseTls::Mode::kRequire;
  EXPECT_TRUE(look().target.database->refused_before) << "the password is the same";
  see_.database_secret = SecretData{{"password", "another"}};
  EXPECT_FALSE(look().target.database->refused_before) << "other credentials";
  see_.database_secret = SecretData{{"password", "s3cret"}};
  database_answers();
  step();
  EXPECT_FALSE(look().target.database->refused_before) << "it is right by now";
}

TEST_F(SupabasePlanTest, ARefusedPasswordIsRememberedThoughItIsNotPublished) {
  config_->spec.connection_secret.publish_policy = api::PublishPolicy::kVerified;
  step();
  password_is_refused();
  step();
  see_.live = {};
  EXPECT_EQ(see_.published.ownership, Ownership::kAbsent);
  EXPECT_TRUE(look().target.database->refused_before);
}

TEST_F(SupabasePlanTest, AnotherPasswordIsTriedBeforeItTakesThePlaceOfWhatIsPublished) {
  step();
  const auto before = see_.published.data;
  see_.database_secret = SecretData{{"password", "mistyped"}};
  step();
  EXPECT_EQ(see_.published.data, before);
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  password_is_refused();
  step();
  EXPECT_EQ(see_.published.data, before);
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  EXPECT_EQ(status("DatabaseReachable"), "False AuthenticationFailed");
  see_.live = {};  // a restart
  step();
  EXPECT_EQ(see_.published.data, before);
  see_.database_secret = SecretData{{"password", "s3cret"}};
  step();
  EXPECT_EQ(status("SecretPublished"), "True Published") << "what is published needs no proof";
  see_.database_secret = SecretData{{"password", "another"}};
  step();
  database_fails(api::reason::kOperatorCannotReachDatabase);
  step();
  EXPECT_NE(published("DATABASE_URL").find(":another@"), std::string::npos)
      << "no way to the database is the operator's own trouble";
}

TEST_F(SupabasePlanTest, ALoginThatIsRefusedForSomethingElseIsNotHeldBack) {
  step();
  database_fails(api::reason::kAuthenticationFailed);
  step();
  EXPECT_FALSE(look().target.database->refused_before);
  EXPECT_EQ(message("DatabaseReachable"), "words") << "nothing of half an hour";
}

TEST_F(SupabasePlanTest, NeitherHostNorTokenStallsAndNamesBothWays) {
  config_->spec.supabase->pooler_host.clear();
  const Plan planned = step();
  EXPECT_FALSE(planned.project);
  EXPECT_EQ(status("Stalled"), "True PoolerHostUnknown");
  EXPECT_EQ(status("ConfigurationValid"), "False PoolerHostUnknown");
  EXPECT_NE(message("Stalled").find("spec.supabase.poolerHost"), std::string::npos);
  EXPECT_NE(message("Stalled").find("spec.supabase.managementTokenSecretRef"), std::string::npos);
  EXPECT_EQ(see_.published.ownership, Ownership::kAbsent);
  ASSERT_TRUE(planned.target.database) << "the direct way is known";
}

TEST_F(SupabasePlanTest, TheManagementApiTellsTheHost) {
  with_token();
  const Plan first = step();
  ASSERT_TRUE(first.project);
  EXPECT_EQ(first.project->project_ref, kRef);
  EXPECT_EQ(first.project->token, "sbp_t0ken");
  EXPECT_EQ(first.project->generation, 1);
  EXPECT_EQ(status("PoolerAvailable"), "False Progressing");
  EXPECT_EQ(status("Reconciling"), "True Progressing");
  EXPECT_EQ(status("Stalled"), "absent");
  EXPECT_EQ(see_.published.ownership, Ownership::kAbsent);
  api_tells();
  step();
  EXPECT_NE(published("DATABASE_POOLED_URL").find("@aws-1-eu-central-1.pooler.supabase.com:6543/"),
            std::string::npos);
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  database_answers();
  step();
  EXPECT_EQ(message("ConfigurationLoaded"),
            "Supabase configures its pooler: pool size 20, at most 200 clients");
}

TEST_F(SupabasePlanTest, TheHostInTheSpecWinsAndADifferenceIsTold) {
  with_token();
  config_->spec.supabase->pooler_host = kGivenHost;
  api_tells();
  step();
  database_answers();
  step();
  EXPECT_NE(published("DATABASE_POOLED_URL").find(kGivenHost), std::string::npos);
  EXPECT_EQ(status("Ready"), "True Ready");
  EXPECT_NE(message("ConfigurationLoaded").find(kToldHost), std::string::npos);
}

TEST_F(SupabasePlanTest, WithoutAnAnswerYetAFailureIsToldAndStallsOnlyWhereWaitingDoesNotHelp) {
  with_token();
  step();
  api_fails(false);
  step();
  EXPECT_EQ(status("Ready"), "False ManagementAPIUnavailable");
  EXPECT_EQ(status("Stalled"), "absent");
  EXPECT_NE(message("Ready").find("the API does not want to"), std::string::npos);
  api_fails(true);
  step();
  EXPECT_EQ(status("Stalled"), "True PoolerHostUnknown");
  EXPECT_NE(message("Stalled").find("the API does not want to"), std::string::npos);
  EXPECT_NE(message("Stalled").find("spec.supabase.poolerHost"), std::string::npos);
}

TEST_F(SupabasePlanTest, TheLastGoodAnswerStaysInUse) {
  with_token();
  api_tells();
  step();
  const auto before = see_.published.data;
  api_fails(true);
  step();
  EXPECT_EQ(status("ConfigurationLoaded"), "Unknown ManagementAPIRefused");
  EXPECT_NE(message("ConfigurationLoaded").find("stays in use"), std::string::npos);
  EXPECT_EQ(status("Ready"), "True Ready");
  EXPECT_EQ(see_.published.data, before);
  see_.project = {};  // a restart
  EXPECT_TRUE(look().writes.empty());
  EXPECT_EQ(look().status.find("Ready")->reason, "Ready");
  api_fails(false);
  see_.project.pooler.reset();
  step();
  EXPECT_EQ(status("ConfigurationLoaded"), "Unknown ManagementAPIUnavailable");
  EXPECT_EQ(see_.published.data, before);
}

// What the Secret of another project says is not this one's.
TEST_F(SupabasePlanTest, AnotherProjectAsksForItsOwnHost) {
  with_token();
  api_tells();
  step();
  config_->spec.supabase->project_ref = "zzzzzzzzzzzzzzzzzzzz";
  const auto before = see_.published.data;
  step();
  EXPECT_EQ(see_.published.data, before);
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  EXPECT_EQ(status("PoolerAvailable"), "False Progressing");
}

TEST_F(SupabasePlanTest, ATokenThatIsNotThereOrNone) {
  with_token();
  see_.token_secret.reset();
  step();
  EXPECT_EQ(status("ConfigurationValid"), "False SecretNotFound");
  EXPECT_EQ(status("Stalled"), "absent") << "it may yet appear";
  EXPECT_NE(message("ConfigurationValid").find("shop/supabase"), std::string::npos);
  see_.token_secret = SecretData{{"other", "x"}};
  step();
  EXPECT_EQ(status("ConfigurationValid"), "False SecretKeyMissing");
  see_.token_secret = SecretData{{"token", "sbp s3cret\r\nHost: evil"}};
  const Plan planned = step();
  EXPECT_FALSE(planned.project);
  EXPECT_EQ(status("ConfigurationValid"), "False SecretInvalid");
  EXPECT_EQ(message("ConfigurationValid").find("s3cret"), std::string::npos);
}

TEST_F(SupabasePlanTest, AMissingPasswordKeepsWhatIsPublished) {
  step();
  const auto before = see_.published.data;
  see_.database_secret.reset();
  step();
  EXPECT_EQ(status("ConfigurationValid"), "False SecretNotFound");
  EXPECT_EQ(status("SecretPublished"), "True Published");
  EXPECT_EQ(message("SecretPublished"), "Secret orders-pooler holds the last URLs")
      << "nobody has verified them";
  EXPECT_EQ(see_.published.data, before);
  see_.database_secret =
      SecretData{{"uri", "postgresql://postgres:s3cret@db.example.com/postgres"}};
  step();
  EXPECT_EQ(status("ConfigurationValid"), "False SecretInvalid");
  EXPECT_EQ(to_bytes(api::encode(config_->status)).find("s3cret"), std::string::npos);
  EXPECT_EQ(see_.published.data, before);
}

TEST_F(SupabasePlanTest, APasswordWithALineBreakIsToldAndKeepsWhatIsPublished) {
  step();
  const auto before = see_.published.data;
  see_.database_secret = SecretData{{"password", "rotated\n"}};
  const Plan planned = step();
  EXPECT_EQ(status("ConfigurationValid"), "False SecretInvalid");
  EXPECT_NE(message("ConfigurationValid").find("line break"), std::string::npos);
  EXPECT_EQ(to_bytes(api::encode(config_->status)).find("rotated"), std::string::npos);
  EXPECT_EQ(see_.published.data, before);
  EXPECT_FALSE(planned.target.database) << "it is not tried";
}

TEST_F(SupabasePlanTest, ItsAuthorityIsVerifiedAndPublishedForBothWays) {
  const fault::Authority authority;
  config_->spec.database.tls.ca_secret = "supabase-ca";
  see_.certificate_secrets["supabase-ca"] = {{"ca.crt", authority.pem()}};
  step();
  EXPECT_EQ(published("ca.crt"), authority.pem());
  EXPECT_EQ(published("direct-ca.crt"), authority.pem());
  EXPECT_EQ(published("DATABASE_URL"), std::string(kDirectUrl) + "?sslmode=verify-full");
  EXPECT_NE(published("pooled-uri").find("sslmode=verify-full"), std::string::npos);
  const auto target = look().target.database;
  ASSERT_TRUE(target);
  EXPECT_EQ(target->connection.certificates.authorities, authority.pem());
  EXPECT_EQ(target->connection.parameter("sslmode"), "verify-full");
  const auto before = see_.published.data;
  see_.certificate_secrets.clear();
  step();
  EXPECT_EQ(status("ConfigurationValid"), "False SecretNotFound");
  EXPECT_EQ(see_.published.data, before) << "what works stays";
  const fault::Authority next;
  see_.certificate_secrets["supabase-ca"] = {{"ca.crt", authority.pem() + next.pem()}};
  EXPECT_NE(look().target.database->token, target->token) << "asked anew";
  step();
  EXPECT_EQ(see_.published.data, before) << "what works stays until the other is tried";
  database_answers();
  step();
  EXPECT_EQ(published("ca.crt"), authority.pem() + next.pem());
}

TEST_F(SupabasePlanTest, ItsPoolerIsVerifiedWithTheAuthority) {
  const fault::Authority authority;
  config_->spec.connection_secret.publish_policy = api::PublishPolicy::kVerified;
  config_->spec.database.tls.ca_secret = "supabase-ca";
  see_.certificate_secrets["supabase-ca"] = {{"ca.crt", authority.pem()}};
  step();
  database_answers();
  const auto target = look().target.verification;
  ASSERT_TRUE(target);
  EXPECT_EQ(target->connection.certificates.authorities, authority.pem());
  EXPECT_EQ(target->connection.parameter("sslmode"), "verify-full");
  EXPECT_EQ(target->certificate, "") << "it is not ours: any of that authority";
}

TEST_F(SupabasePlanTest, ALoginIsNeverSentInTheClearUnlessThatIsSaid) {
  config_->spec.database.tls.mode = api::DatabaseTls::Mode::kPrefer;
  step();
  EXPECT_EQ(look().target.database->connection.parameter("sslmode"), "require");
  EXPECT_EQ(published("DATABASE_URL"), kDirectUrl);
  config_->spec.database.tls.mode = api::DatabaseTls::Mode::kDisable;
  database_answers();
  step();
  EXPECT_EQ(look().target.database->connection.parameter("sslmode"), "disable");
  EXPECT_EQ(published("DATABASE_URL"), std::string(kDirectUrl) + "?sslmode=disable");
}

TEST_F(SupabasePlanTest, ASpecThatCanNotBeUsedKeepsWhatIs) {
  step();
  const auto before = see_.published.data;
  config_->spec.supabase->project_ref = "short";
  step();
  EXPECT_EQ(status("Stalled"), "True InvalidParameter");
  EXPECT_EQ(status("PoolerAvailable"), "True ManagedByProvider");
  EXPECT_EQ(see_.published.data, before);
  config_->spec.supabase.reset();
  step();
  EXPECT_EQ(status("Stalled"), "True InvalidParameter");
  EXPECT_EQ(see_.published.data, before);
}

TEST_F(SupabasePlanTest, VerifiedWaitsForAQueryThroughThePooler) {
  config_->spec.connection_secret.publish_policy = api::PublishPolicy::kVerified;
  step();
  EXPECT_EQ(status("SecretPublished"), "False Unverified");
  EXPECT_FALSE(look().target.verification) << "one login at a time learns about the password";
  database_fails(api::reason::kAuthenticationFailed);
  EXPECT_FALSE(look().target.verification);
  database_fails(api::reason::kOperatorCannotReachDatabase);
  auto target = look().target.verification;
  ASSERT_TRUE(target) << "by IPv6 alone: the pooler may be reached all the same";
  EXPECT_EQ(target->connection.user, "postgres.abcdefghijklmnopqrst");
  EXPECT_EQ(target->connection.hosts.at(0), (urls::HostPort{kGivenHost, 6543}));
  EXPECT_EQ(target->connection.parameter("pgbouncer"), "") << "libpq would refuse it";
  EXPECT_EQ(target->address, "");
  EXPECT_EQ(target->refusal_pause, std::chrono::minutes(30));
  see_.live.verification = {target->token, live::Outcome::kFailed, "VerificationFailed", "no"};
  see_.live.verification.refused = true;
  EXPECT_FALSE(look().target.database->refused_before);
  step();
  EXPECT_TRUE(look().target.database->refused_before) << "by the pooler, and so by the project";
  EXPECT_EQ(status("Ready"), "False VerificationFailed");
  EXPECT_EQ(see_.published.ownership, Ownership::kAbsent);
  see_.live.verification = {target->token, live::Outcome::kOk, "", ""};
  step();
  EXPECT_EQ(published("DATABASE_URL"), kDirectUrl);
  EXPECT_FALSE(look().target.verification) << "verified once, no more connections";
  EXPECT_FALSE(look().target.database->refused_before);
  EXPECT_EQ(look().status.find("Ready")->status, api::ConditionStatus::kTrue);
}

TEST_F(SupabasePlanTest, AForeignSecretIsNeverTouched) {
  see_.published.ownership = Ownership::kForeign;
  see_.published.meta.name = "orders-pooler";
  step();
  EXPECT_EQ(status("SecretPublished"), "False NotOwned");
  EXPECT_EQ(status("Stalled"), "True NotOwned");
}

}  // namespace
}  // namespace pooler::reconcile
