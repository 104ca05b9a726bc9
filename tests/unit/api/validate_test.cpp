#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "api/pooler_config.h"

namespace pooler::api {
namespace {

PoolerConfig valid() {
  PoolerConfig config;
  config.name = "orders";
  config.ns = "shop";
  config.spec.database.secret_name = "orders-db";
  config.spec.replicas = 3;
  config.spec.connection_secret.name = "orders-pooler";
  return config;
}

void hosted(PoolerConfig& config) {
  config.spec.engine = Engine::kSupabase;
  config.spec.replicas.reset();
  config.spec.supabase.emplace();
  config.spec.supabase->project_ref = "abcdefghijklmnopqrst";
  config.spec.supabase->pooler_host = "aws-0-eu-central-1.pooler.supabase.com";
}

struct Case {
  const char* what;
  std::function<void(PoolerConfig&)> change;
  const char* field;  // of the one problem; empty: none
};

class Validate : public testing::TestWithParam<Case> {};

TEST_P(Validate, FindsTheProblem) {
  PoolerConfig config = valid();
  GetParam().change(config);
  std::vector<std::string> fields;
  for (const auto& problem : validate(config)) {
    fields.push_back(problem.field);
    EXPECT_EQ(problem.reason, reason::kInvalidParameter);
    EXPECT_GT(problem.message.size(), 10U);
  }
  const std::string expected = GetParam().field;
  EXPECT_EQ(fields, expected.empty() ? std::vector<std::string>() : std::vector{expected});
}

const Case kCases[] = {
    {"nothing", [](PoolerConfig&) {}, ""},
    {"name_of_45", [](auto& c) { c.name = std::string(45, 'a'); }, ""},
    {"name_of_46", [](auto& c) { c.name = std::string(46, 'a'); }, "metadata.name"},
    {"name_with_digit_first", [](auto& c) { c.name = "1a"; }, "metadata.name"},
    {"name_with_dot", [](auto& c) { c.name = "a.b"; }, "metadata.name"},
    {"name_ends_with_dash", [](auto& c) { c.name = "a-"; }, "metadata.name"},
    {"no_secret", [](auto& c) { c.spec.database.secret_name = ""; },
     "spec.database.secretRef.name"},
    {"odd_secret", [](auto& c) { c.spec.database.secret_name = "A_b"; },
     "spec.database.secretRef.name"},
    {"odd_key", [](auto& c) { c.spec.database.keys.dbname = "a b"; },
     "spec.database.secretRef.keys.dbname"},
    {"empty_key", [](auto& c) { c.spec.database.keys.uri = ""; },
     "spec.database.secretRef.keys.uri"},
    {"ipv6", [](auto& c) { c.spec.database.host = "fd00::1"; }, ""},
    {"host_with_port", [](auto& c) { c.spec.database.host = "db:5432"; }, "spec.database.host"},
    {"host_list", [](auto& c) { c.spec.database.host = "a,b"; }, "spec.database.host"},
    {"socket", [](auto& c) { c.spec.database.host = "/run"; }, "spec.database.host"},
    {"control_in_user", [](auto& c) { c.spec.database.user = "a\nb"; }, "spec.database.user"},
    {"long_user", [](auto& c) { c.spec.database.user = std::string(64, 'u'); },
     "spec.database.user"},
    {"control_in_name", [](auto& c) { c.spec.database.name = "a\tb"; }, "spec.database.name"},
    {"quote_in_name", [](auto& c) { c.spec.database.name = "it's \"x\""; }, ""},
    {"verified_by_an_authority", [](auto& c) { c.spec.database.tls.ca_secret = "db-ca"; }, ""},
    {"verified_by_name",
     [](auto& c) {
       c.spec.database.tls.ca_secret = "db-ca";
       c.spec.database.tls.ca_key = "root.pem";
       c.spec.database.tls.mode = DatabaseTls::Mode::kVerifyCa;
     },
     ""},
    {"verified_by_public_authorities",
     [](auto& c) { c.spec.database.tls.mode = DatabaseTls::Mode::kVerifyFull; }, ""},
    {"authority_that_nothing_is_checked_by",
     [](auto& c) {
       c.spec.database.tls.ca_secret = "db-ca";
       c.spec.database.tls.mode = DatabaseTls::Mode::kRequire;
     },
     "spec.database.tls.mode"},
    {"authority_of_an_odd_name", [](auto& c) { c.spec.database.tls.ca_secret = "A"; },
     "spec.database.tls.caSecretRef.name"},
    {"authority_under_an_odd_key", [](auto& c) { c.spec.database.tls.ca_key = "a b"; },
     "spec.database.tls.caSecretRef.key"},
    {"certificate_for_the_server",
     [](auto& c) {
       c.spec.database.tls.client_secret = "client";
       c.spec.database.tls.mode = DatabaseTls::Mode::kPrefer;
     },
     ""},
    {"certificate_that_is_never_shown",
     [](auto& c) {
       c.spec.database.tls.client_secret = "client";
       c.spec.database.tls.mode = DatabaseTls::Mode::kDisable;
     },
     "spec.database.tls.clientCertSecretRef"},
    {"certificate_of_an_odd_name", [](auto& c) { c.spec.database.tls.client_secret = "-"; },
     "spec.database.tls.clientCertSecretRef.name"},
    {"client_tls", [](auto& c) { c.spec.client_tls.secret = "orders-tls"; }, ""},
    {"client_tls_of_an_odd_name", [](auto& c) { c.spec.client_tls.secret = "a_b"; },
     "spec.clientTLS.secretRef.name"},
    {"client_tls_without_a_certificate",
     [](auto& c) { c.spec.client_tls.mode = ClientTls::Mode::kOptional; },
     "spec.clientTLS.secretRef"},
    {"no_client_tls", [](auto& c) { c.spec.client_tls.mode = ClientTls::Mode::kDisabled; }, ""},
    {"no_replicas", [](auto& c) { c.spec.replicas.reset(); }, "spec.replicas"},
    {"zero_replicas", [](auto& c) { c.spec.replicas = 0; }, ""},
    {"negative_replicas", [](auto& c) { c.spec.replicas = -1; }, "spec.replicas"},
    {"replicas_at_the_limit", [](auto& c) { c.spec.replicas = 10; }, ""},
    {"replicas_above_the_limit", [](auto& c) { c.spec.replicas = 11; }, "spec.replicas"},
    {"secret_of_the_database", [](auto& c) { c.spec.connection_secret.name = "orders-db"; },
     "spec.connectionSecret.name"},
    {"secret_of_the_operator",
     [](auto& c) { c.spec.connection_secret.name = "orders-pooler-admin"; },
     "spec.connectionSecret.name"},
    {"odd_published_name", [](auto& c) { c.spec.connection_secret.name = "-x"; },
     "spec.connectionSecret.name"},
    {"own_keys",
     [](auto& c) {
       c.spec.connection_secret.keys = {{"JDBC_URL"}, {"jdbc.url"}, {std::string(253, 'k')}};
     },
     ""},
    {"key_of_the_binding",
     [](auto& c) {
       c.spec.connection_secret.keys = {{"A"}, {"uri"}};
     },
     "spec.connectionSecret.keys[1].name"},
    {"key_twice",
     [](auto& c) {
       c.spec.connection_secret.keys = {{"A"}, {"B"}, {"A"}};
     },
     "spec.connectionSecret.keys[2].name"},
    {"key_with_blank", [](auto& c) { c.spec.connection_secret.keys = {{"A B"}}; },
     "spec.connectionSecret.keys[0].name"},
    {"key_without_name", [](auto& c) { c.spec.connection_secret.keys = {{""}}; },
     "spec.connectionSecret.keys[0].name"},
    {"key_that_is_a_folder", [](auto& c) { c.spec.connection_secret.keys = {{"..data"}}; },
     "spec.connectionSecret.keys[0].name"},
    {"key_of_254", [](auto& c) { c.spec.connection_secret.keys = {{std::string(254, 'k')}}; },
     "spec.connectionSecret.keys[0].name"},
    {"too_many_keys",
     [](auto& c) {
       for (int i = 0; i < 33; ++i)
         c.spec.connection_secret.keys.push_back({"K" + std::to_string(i)});
     },
     "spec.connectionSecret.keys"},
    {"parameters",
     [](auto& c) {
       c.spec.connection_secret.pooled_parameters = {{"pgbouncer", "true"},
                                                     {"options", "-c a='b'"}};
       c.spec.connection_secret.direct_parameters = {{"sslmode", ""}};
     },
     ""},
    {"parameter_that_leads_elsewhere",
     [](auto& c) {
       c.spec.connection_secret.pooled_parameters = {{"host", "evil"}};
     },
     "spec.connectionSecret.parameters.pooled.host"},
    {"parameter_with_line_break",
     [](auto& c) {
       c.spec.connection_secret.direct_parameters = {{"application_name", "a\nb"}};
     },
     "spec.connectionSecret.parameters.direct.application_name"},
    {"parameter_of_odd_name",
     [](auto& c) {
       c.spec.connection_secret.direct_parameters = {{"a&b", "c"}};
     },
     "spec.connectionSecret.parameters.direct"},
    {"parameter_too_long",
     [](auto& c) {
       c.spec.connection_secret.pooled_parameters = {{"options", std::string(1025, 'o')}};
     },
     "spec.connectionSecret.parameters.pooled.options"},
    {"labels_and_annotations",
     [](auto& c) {
       c.spec.connection_secret.labels = {{"team", ""}, {"example.com/a_b", "C.d"}};
       c.spec.connection_secret.annotations = {{"example.com/note", "any: \"text\""}};
     },
     ""},
    {"label_of_ours",
     [](auto& c) {
       c.spec.connection_secret.labels = {{"app.kubernetes.io/managed-by", "Helm"}};
     },
     "spec.connectionSecret.labels.app.kubernetes.io/managed-by"},
    {"annotation_of_ours",
     [](auto& c) {
       c.spec.connection_secret.annotations = {{"pooler.dev/owner-uid", "x"}};
     },
     "spec.connectionSecret.annotations.pooler.dev/owner-uid"},
    {"label_value",
     [](auto& c) {
       c.spec.connection_secret.labels = {{"team", "a b"}};
     },
     "spec.connectionSecret.labels.team"},
    {"annotation_key",
     [](auto& c) {
       c.spec.connection_secret.annotations = {{"-x", ""}};
     },
     "spec.connectionSecret.annotations"},
    {"annotation_too_long",
     [](auto& c) {
       c.spec.connection_secret.annotations = {{"a", std::string(2049, 'x')}};
     },
     "spec.connectionSecret.annotations.a"},
    {"service_annotation_of_ours",
     [](auto& c) {
       c.spec.service.annotations = {{"pooler.dev/content-hash", "x"}};
     },
     "spec.service.annotations.pooler.dev/content-hash"},
    {"port_of_the_service", [](auto& c) { c.spec.service.port = 0; }, "spec.service.port"},
    {"external_host", [](auto& c) { c.spec.service.external_host = "pooler.example.com"; }, ""},
    {"external_ipv6", [](auto& c) { c.spec.service.external_host = "fd00::1"; }, ""},
    {"external_host_with_port", [](auto& c) { c.spec.service.external_host = "a:1"; },
     "spec.service.externalHost"},
    {"hostile_external_host", [](auto& c) { c.spec.service.external_host = "a@b/c?d"; },
     "spec.service.externalHost"},
    {"pgbouncer_parameters",
     [](auto& c) {
       c.spec.pgbouncer.parameters = {{"server_reset_query", std::string(1024, 'x')}};
     },
     ""},
    {"pgbouncer_parameter_with_line_break",
     [](auto& c) {
       c.spec.pgbouncer.parameters = {{"log_stats", "1\nverbose = 9"}};
     },
     "spec.pgbouncer.parameters.log_stats"},
    {"pgbouncer_parameter_too_long",
     [](auto& c) {
       c.spec.pgbouncer.parameters = {{"server_reset_query", std::string(1025, 'x')}};
     },
     "spec.pgbouncer.parameters.server_reset_query"},
    {"odd_pgbouncer_parameter_with_line_break",
     [](auto& c) {
       c.spec.pgbouncer.parameters = {{"a\nb", "\n"}};
     },
     "spec.pgbouncer.parameters"},
    {"many_users", [](auto& c) { c.spec.pgbouncer.auth.mode = PoolerAuth::Mode::kQuery; }, ""},
    {"many_users_with_a_role_and_a_query",
     [](auto& c) {
       c.spec.pgbouncer.auth = {PoolerAuth::Mode::kQuery, "lookup", "user", "pass.word",
                                "SELECT * FROM pooler.lookup($1)"};
     },
     ""},
    {"a_role_without_mode_query", [](auto& c) { c.spec.pgbouncer.auth.user_secret = "lookup"; },
     "spec.pgbouncer.auth"},
    {"a_query_without_mode_query", [](auto& c) { c.spec.pgbouncer.auth.query = "SELECT $1, 'x'"; },
     "spec.pgbouncer.auth"},
    {"keys_without_a_secret",
     [](auto& c) {
       c.spec.pgbouncer.auth.mode = PoolerAuth::Mode::kQuery;
       c.spec.pgbouncer.auth.user_key = "user";
     },
     "spec.pgbouncer.auth.userSecretRef.name"},
    {"odd_secret_of_the_role",
     [](auto& c) {
       c.spec.pgbouncer.auth = {PoolerAuth::Mode::kQuery, "A_b", "username", "password", ""};
     },
     "spec.pgbouncer.auth.userSecretRef.name"},
    {"odd_key_of_the_role",
     [](auto& c) {
       c.spec.pgbouncer.auth = {PoolerAuth::Mode::kQuery, "lookup", "a b", "password", ""};
     },
     "spec.pgbouncer.auth.userSecretRef.keys.user"},
    {"no_key_of_the_password",
     [](auto& c) {
       c.spec.pgbouncer.auth = {PoolerAuth::Mode::kQuery, "lookup", "username", "", ""};
     },
     "spec.pgbouncer.auth.userSecretRef.keys.password"},
    {"query_without_the_name",
     [](auto& c) {
       c.spec.pgbouncer.auth.mode = PoolerAuth::Mode::kQuery;
       c.spec.pgbouncer.auth.query = "SELECT rolname, rolpassword FROM pg_authid";
     },
     "spec.pgbouncer.auth.query"},
    {"query_with_line_break",
     [](auto& c) {
       c.spec.pgbouncer.auth.mode = PoolerAuth::Mode::kQuery;
       c.spec.pgbouncer.auth.query = "SELECT $1, 'x'\nauth_type = trust";
     },
     "spec.pgbouncer.auth.query"},
    {"query_too_long",
     [](auto& c) {
       c.spec.pgbouncer.auth.mode = PoolerAuth::Mode::kQuery;
       c.spec.pgbouncer.auth.query = "SELECT $1, '" + std::string(2048, 'x') + "'";
     },
     "spec.pgbouncer.auth.query"},
    {"hosted_with_many_users",
     [](auto& c) {
       hosted(c);
       c.spec.pgbouncer.auth.mode = PoolerAuth::Mode::kQuery;
     },
     "spec.pgbouncer"},
    {"too_many_pgbouncer_parameters",
     [](auto& c) {
       for (int i = 0; i < 65; ++i) c.spec.pgbouncer.parameters["p" + std::to_string(i)] = "";
     },
     "spec.pgbouncer.parameters"},
    {"supabase", hosted, ""},
    {"supabase_with_a_token",
     [](auto& c) {
       hosted(c);
       c.spec.supabase->pooler_host.clear();
       c.spec.supabase->token_secret_name = "supabase";
     },
     ""},
    {"supabase_without_a_project",
     [](auto& c) {
       hosted(c);
       c.spec.supabase.reset();
     },
     "spec.supabase"},
    {"a_project_without_supabase", [](auto& c) { c.spec.supabase.emplace(); }, "spec.supabase"},
    {"project_of_19",
     [](auto& c) {
       hosted(c);
       c.spec.supabase->project_ref.pop_back();
     },
     "spec.supabase.projectRef"},
    {"project_with_a_digit",
     [](auto& c) {
       hosted(c);
       c.spec.supabase->project_ref.back() = '1';
     },
     "spec.supabase.projectRef"},
    {"pooler_elsewhere",
     [](auto& c) {
       hosted(c);
       c.spec.supabase->pooler_host = "pooler.supabase.com.example.com";
     },
     "spec.supabase.poolerHost"},
    {"token_in_an_odd_secret",
     [](auto& c) {
       hosted(c);
       c.spec.supabase->token_secret_name = "A_b";
     },
     "spec.supabase.managementTokenSecretRef.name"},
    {"token_under_an_odd_key",
     [](auto& c) {
       hosted(c);
       c.spec.supabase->token_secret_key = "a b";
     },
     "spec.supabase.managementTokenSecretRef.key"},
    {"supabase_per_statement",
     [](auto& c) {
       hosted(c);
       c.spec.pool_mode = PoolMode::kStatement;
     },
     "spec.poolMode"},
    {"supabase_elsewhere",
     [](auto& c) {
       hosted(c);
       c.spec.database.host = "db.example.com";
     },
     "spec.database.host"},
    {"supabase_with_replicas",
     [](auto& c) {
       hosted(c);
       c.spec.replicas = 0;
     },
     "spec.replicas"},
    {"supabase_with_tls_of_a_pooler",
     [](auto& c) {
       hosted(c);
       c.spec.client_tls.secret = "orders-tls";
     },
     "spec.clientTLS"},
    {"supabase_with_its_authority",
     [](auto& c) {
       hosted(c);
       c.spec.database.tls.ca_secret = "supabase-ca";
     },
     ""},
    {"certificates_where_the_urls_go",
     [](auto& c) { c.spec.client_tls.secret = c.spec.connection_secret.name; },
     "spec.clientTLS.secretRef.name"},
    {"authority_where_the_urls_go",
     [](auto& c) { c.spec.database.tls.ca_secret = c.spec.connection_secret.name; },
     "spec.database.tls.caSecretRef.name"},
    {"certificates_among_the_operators",
     [](auto& c) { c.spec.database.tls.client_secret = c.name + "-pooler-config"; },
     "spec.database.tls.clientCertSecretRef.name"},
    {"certificates_with_the_admins_password",
     [](auto& c) { c.spec.client_tls.secret = c.name + "-pooler-admin"; },
     "spec.clientTLS.secretRef.name"},
    {"image_by_digest", [](auto& c) { c.spec.pgbouncer.image = "r.io:5000/a/b@sha256:0f"; }, ""},
    {"image_with_blank", [](auto& c) { c.spec.pgbouncer.image = "a b"; }, "spec.pgbouncer.image"},
};

INSTANTIATE_TEST_SUITE_P(All, Validate, testing::ValuesIn(kCases),
                         [](const auto& instance) { return instance.param.what; });

TEST(DatabaseTlsMode, FollowsFromTheAuthorityWhereItIsNotGiven) {
  using Mode = DatabaseTls::Mode;
  DatabaseTls tls;
  EXPECT_EQ(mode_of(tls), std::nullopt);
  tls.client_secret = "client";
  EXPECT_EQ(mode_of(tls), std::nullopt);
  tls.ca_secret = "db-ca";
  EXPECT_EQ(mode_of(tls), Mode::kVerifyFull);
  tls.mode = Mode::kVerifyCa;
  EXPECT_EQ(mode_of(tls), Mode::kVerifyCa);
  EXPECT_EQ(to_string(Mode::kDisable), "disable");
  EXPECT_EQ(to_string(Mode::kPrefer), "prefer");
  EXPECT_EQ(to_string(Mode::kRequire), "require");
  EXPECT_EQ(to_string(Mode::kVerifyCa), "verify-ca");
  EXPECT_EQ(to_string(Mode::kVerifyFull), "verify-full");
}

TEST(ClientTlsMode, FollowsFromTheSecretWhereItIsNotGiven) {
  using Mode = ClientTls::Mode;
  EXPECT_EQ(mode_of(ClientTls{}), Mode::kDisabled);
  EXPECT_EQ(mode_of(ClientTls{std::nullopt, "orders-tls"}), Mode::kRequired);
  EXPECT_EQ(mode_of(ClientTls{Mode::kOptional, "orders-tls"}), Mode::kOptional);
  EXPECT_EQ(mode_of(ClientTls{Mode::kDisabled, "orders-tls"}), Mode::kDisabled);
}

TEST(CertificateSecrets, AreThoseInUse) {
  Spec spec;
  EXPECT_THAT(certificate_secrets(spec), testing::IsEmpty());
  spec.database.tls.ca_secret = "a";
  spec.database.tls.client_secret = "b";
  spec.client_tls.secret = "a";
  EXPECT_THAT(certificate_secrets(spec), testing::ElementsAre("a", "b"));
  spec.client_tls = {ClientTls::Mode::kDisabled, "c"};
  EXPECT_THAT(certificate_secrets(spec), testing::ElementsAre("a", "b"));
  spec.client_tls.mode = ClientTls::Mode::kOptional;
  EXPECT_THAT(certificate_secrets(spec), testing::ElementsAre("a", "b", "c"));
}

TEST(Words, AreThoseOfPgBouncer) {
  EXPECT_EQ(to_string(PoolMode::kTransaction), "transaction");
  EXPECT_EQ(to_string(PoolMode::kSession), "session");
  EXPECT_EQ(to_string(PoolMode::kStatement), "statement");
  EXPECT_EQ(to_string(Engine::kPgBouncer), "PgBouncer");
}

TEST(Supabase, HostsOfItsPooler) {
  for (const char* host : {"aws-0-eu-central-1.pooler.supabase.com", "a.pooler.supabase.com",
                           "a.b-c.pooler.supabase.com"}) {
    EXPECT_TRUE(is_supabase_pooler_host(host)) << host;
  }
  const std::string long_label = std::string(64, 'a') + ".pooler.supabase.com";
  for (const std::string& host :
       {std::string(), std::string("pooler.supabase.com"), std::string(".pooler.supabase.com"),
        std::string("a..pooler.supabase.com"), std::string("-a.pooler.supabase.com"),
        std::string("a-.pooler.supabase.com"), std::string("A.pooler.supabase.com"),
        std::string("a.pooler.supabase.com."), std::string("a.pooler.supabase.com:6543"),
        std::string("evil.com/a.pooler.supabase.com"), std::string("x@a.pooler.supabase.com"),
        std::string("apooler.supabase.com"), std::string("db.abcdefghijklmnopqrst.supabase.co"),
        std::string("a\n.pooler.supabase.com"), long_label}) {
    EXPECT_FALSE(is_supabase_pooler_host(host)) << host;
  }
}

}  // namespace
}  // namespace pooler::api
