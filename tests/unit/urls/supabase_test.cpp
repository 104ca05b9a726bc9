// The URLs of a Supabase project, byte for byte as its documentation has them:
// https://supabase.com/docs/guides/database/connecting-to-postgres
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/urls/libpq_witness.h"
#include "urls/published.h"

namespace pooler::urls {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kProject = "abcdefghijklmnopqrst";
constexpr const char* kPooler = "aws-1-eu-central-1.pooler.supabase.com";
// p@:/?#%& "'\ as it stands in a URI.
constexpr const char* kHostile = "p@:/?#%& \"'\\";
constexpr const char* kEncoded = "p%40%3A%2F%3F%23%25%26%20%22%27%5C";

using Data = std::map<std::string, std::string>;

class SupabaseUrls : public testing::Test {
 protected:
  SupabaseUrls() {
    spec_.engine = api::Engine::kSupabase;
    spec_.database.secret_name = "orders-db";
    spec_.supabase.emplace();
    spec_.supabase->project_ref = kProject;
  }

  [[nodiscard]] Data keys(const Data& secret) const {
    const auto login = resolve_supabase(spec_, secret);
    EXPECT_TRUE(login.ok()) << (login.ok() ? "" : login.error().message);
    if (!login.ok()) return {};
    return published_keys(supabase_ways(spec_, *login, kPooler), spec_.connection_secret);
  }

  [[nodiscard]] api::Problem problem(const Data& secret) const {
    const auto login = resolve_supabase(spec_, secret);
    EXPECT_FALSE(login.ok());
    return login.ok() ? api::Problem() : login.error();
  }

  api::Spec spec_;
};

TEST_F(SupabaseUrls, ThePasswordIsEnough) {
  const Data found = keys({{"password", kHostile}});
  EXPECT_EQ(found.at("DATABASE_URL"), "postgresql://postgres:" + std::string(kEncoded) +
                                          "@db.abcdefghijklmnopqrst.supabase.co:5432/postgres");
  EXPECT_EQ(found.at("DATABASE_POOLED_URL"),
            "postgresql://postgres.abcdefghijklmnopqrst:" + std::string(kEncoded) +
                "@aws-1-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true");
  EXPECT_EQ(found.at("pooled-uri"),
            "postgresql://postgres.abcdefghijklmnopqrst:" + std::string(kEncoded) +
                "@aws-1-eu-central-1.pooler.supabase.com:6543/postgres");
  EXPECT_EQ(found.at("uri"), found.at("pooled-uri"));
  EXPECT_EQ(found.at("direct-uri"), found.at("DATABASE_URL"));
  EXPECT_EQ(found.at("host"), kPooler);
  EXPECT_EQ(found.at("port"), "6543");
  EXPECT_EQ(found.at("username"), "postgres.abcdefghijklmnopqrst");
  EXPECT_EQ(found.at("password"), kHostile);
  EXPECT_EQ(found.at("database"), "postgres");
  EXPECT_EQ(found.at("direct-host"), "db.abcdefghijklmnopqrst.supabase.co");
  EXPECT_EQ(found.at("direct-port"), "5432");
  EXPECT_EQ(found.at("pooled-jdbc-uri"),
            "jdbc:postgresql://aws-1-eu-central-1.pooler.supabase.com:6543/postgres?user="
            "postgres.abcdefghijklmnopqrst&password=" +
                std::string(kEncoded));
  for (const char* key : {"uri", "pooled-uri", "direct-uri", "DATABASE_URL"}) {
    const auto read = libpq_reads(found.at(key));
    ASSERT_TRUE(read) << key;
    EXPECT_EQ(read->at("password"), kHostile) << key;
  }
}

TEST_F(SupabaseUrls, SessionMode) {
  spec_.pool_mode = api::PoolMode::kSession;
  const Data found = keys({{"password", "pw"}});
  EXPECT_EQ(found.at("DATABASE_POOLED_URL"),
            "postgresql://postgres.abcdefghijklmnopqrst:pw@aws-1-eu-central-1.pooler.supabase.com:"
            "5432/postgres");
  EXPECT_EQ(found.at("DATABASE_URL"),
            "postgresql://postgres:pw@db.abcdefghijklmnopqrst.supabase.co:5432/postgres");
}

TEST_F(SupabaseUrls, DirectByTheSessionPooler) {
  spec_.supabase->direct = api::SupabaseDirect::kSessionPooler;
  const Data found = keys({{"password", "pw"}});
  EXPECT_EQ(found.at("DATABASE_URL"),
            "postgresql://postgres.abcdefghijklmnopqrst:pw@aws-1-eu-central-1.pooler.supabase.com:"
            "5432/postgres");
  EXPECT_EQ(found.at("DATABASE_POOLED_URL"),
            "postgresql://postgres.abcdefghijklmnopqrst:pw@aws-1-eu-central-1.pooler.supabase.com:"
            "6543/postgres?pgbouncer=true");
}

TEST_F(SupabaseUrls, TheFlagOfPrismaIsInOneKeyOfOnePresetAlone) {
  for (const auto preset : {api::Preset::kPrisma, api::Preset::kNeon, api::Preset::kHeroku,
                            api::Preset::kNone, api::Preset::kSupabase}) {
    spec_.connection_secret.preset = preset;
    for (const auto& [key, value] : keys({{"password", "pw"}})) {
      const bool flagged = value.find("pgbouncer") != std::string::npos;
      EXPECT_EQ(flagged, preset == api::Preset::kSupabase && key == "DATABASE_POOLED_URL") << key;
    }
  }
  spec_.connection_secret.pooled_parameters = {{"pgbouncer", ""}, {"connect_timeout", "5"}};
  EXPECT_THAT(keys({{"password", "pw"}}).at("DATABASE_POOLED_URL"),
              testing::EndsWith(":6543/postgres?connect_timeout=5"));
  spec_.connection_secret.pooled_parameters = {{"connection_limit", "1"}};
  EXPECT_THAT(keys({{"password", "pw"}}).at("DATABASE_POOLED_URL"),
              testing::EndsWith(":6543/postgres?pgbouncer=true&connection_limit=1"));
  spec_.connection_secret.keys = {{"DATABASE_POOLED_URL", api::Way::kPooled, api::Format::kLibpq}};
  EXPECT_THAT(keys({{"password", "pw"}}).at("DATABASE_POOLED_URL"), Not(HasSubstr("pgbouncer")));
}

TEST_F(SupabaseUrls, ARoleAndADatabaseOfOnesOwn) {
  const Data found = keys({{"username", "app"}, {"password", "pw"}, {"dbname", "orders"}});
  EXPECT_EQ(found.at("DATABASE_URL"),
            "postgresql://app:pw@db.abcdefghijklmnopqrst.supabase.co:5432/orders");
  EXPECT_EQ(found.at("username"), "app.abcdefghijklmnopqrst");
  spec_.database.user = "other";
  spec_.database.name = "shop";
  EXPECT_EQ(keys({{"username", "app"}, {"password", "pw"}}).at("DATABASE_URL"),
            "postgresql://other:pw@db.abcdefghijklmnopqrst.supabase.co:5432/shop");
}

// As the dashboard shows them, with the password filled in.
TEST_F(SupabaseUrls, AUriOfTheProjectIsReadForWhatItSays) {
  const Data bare = keys({{"password", "pw"}});
  EXPECT_EQ(keys({{"DATABASE_URL",
                   "postgresql://postgres:pw@db.abcdefghijklmnopqrst.supabase.co:5432/postgres"}}),
            bare);
  EXPECT_EQ(keys({{"uri",
                   "postgresql://postgres.abcdefghijklmnopqrst:pw@aws-0-eu-central-1.pooler."
                   "supabase.com:6543/postgres?pgbouncer=true&connection_limit=1"}}),
            bare)
      << "the host is spec.supabase's, and what only Prisma knows is no parameter";
}

TEST_F(SupabaseUrls, ParametersOfTlsGoBothWays) {
  const Data found = keys({{"uri",
                            "postgresql://postgres:pw@db.abcdefghijklmnopqrst.supabase.co/postgres?"
                            "sslmode=verify-full&sslrootcert=/ca.crt&channel_binding=require&"
                            "application_name=shop"}});
  EXPECT_THAT(found.at("direct-uri"),
              testing::EndsWith("?sslmode=verify-full&sslrootcert=%2Fca.crt&channel_binding="
                                "require&application_name=shop"));
  EXPECT_THAT(
      found.at("pooled-uri"),
      testing::EndsWith("?sslmode=verify-full&sslrootcert=%2Fca.crt&application_name=shop"));
  for (const char* key : {"direct-uri", "pooled-uri"}) {
    EXPECT_THAT(keys({{"uri",
                       "postgresql://postgres:pw@db.abcdefghijklmnopqrst.supabase.co/postgres?"
                       "sslmode=prefer"}})
                    .at(key),
                Not(HasSubstr("sslmode")));
  }
}

TEST_F(SupabaseUrls, TheSpecsTlsIsForBothWays) {
  spec_.database.tls.ca_secret = "supabase-ca";
  auto login = resolve_supabase(
      spec_, {{"uri",
               "postgresql://postgres:pw@db.abcdefghijklmnopqrst.supabase.co/postgres?"
               "sslmode=require"}});
  ASSERT_TRUE(login.ok());
  login->certificates = {.authorities = "roots", .chain = "chain", .key = "key"};
  const Published ways = supabase_ways(spec_, *login, kPooler);
  EXPECT_EQ(ways.direct.certificates, login->certificates);
  EXPECT_EQ(ways.pooled.certificates, Certificates{.authorities = "roots"})
      << "no pooler asks for another";
  const Data found = published_keys(ways, spec_.connection_secret);
  EXPECT_EQ(found.at("ca.crt"), "roots");
  EXPECT_EQ(found.at("direct-ca.crt"), "roots");
  for (const char* key : {"direct-uri", "pooled-uri"}) {
    EXPECT_THAT(found.at(key), testing::EndsWith("?sslmode=verify-full")) << key;
  }
  spec_.supabase->direct = api::SupabaseDirect::kSessionPooler;
  EXPECT_EQ(supabase_ways(spec_, *login, kPooler).direct.certificates,
            Certificates{.authorities = "roots"});
}

TEST_F(SupabaseUrls, NoPassword) {
  const api::Problem found = problem({{"username", "postgres"}});
  EXPECT_EQ(found.reason, "SecretKeyMissing");
  EXPECT_EQ(found.field, "spec.database.secretRef");
  EXPECT_THAT(found.message, HasSubstr("password"));
}

// Where nobody renders it for PgBouncer, nobody else would look.
TEST_F(SupabaseUrls, ATextThatNoLoginHas) {
  const std::string uri = "postgresql://postgres:pw@db.abcdefghijklmnopqrst.supabase.co/postgres";
  const struct {
    const char* what;
    Data secret;
    const char* field;
  } cases[] = {
      {"line break at the end",
       {{"password", "s3cret\n"}},
       "spec.database.secretRef.keys.password"},
      {"line break", {{"password", "s3\ncret"}}, "spec.database.secretRef.keys.password"},
      {"NUL", {{"password", std::string("s3\0cret", 7)}}, "spec.database.secretRef.keys.password"},
      {"no UTF-8", {{"password", "s3cret\xff"}}, "spec.database.secretRef.keys.password"},
      {"NUL in a URI",
       {{"uri", "postgresql://postgres:s3%00cret@db.abcdefghijklmnopqrst.supabase.co/postgres"}},
       nullptr},
      {"line break in the user's name",
       {{"username", "postgres.abcdefghijklmnopqrst\n"}, {"password", "s3cret"}},
       "spec.database.user"},
      {"long user's name",
       {{"username", std::string(64, 'x')}, {"password", "s3cret"}},
       "spec.database.user"},
      {"line break in the database's name",
       {{"dbname", "orders\n"}, {"password", "s3cret"}},
       "spec.database.name"},
      {"unknown sslmode", {{"uri", uri + "?sslmode=on"}}, "spec.database.secretRef.keys.uri"},
  };
  for (const auto& each : cases) {
    const api::Problem found = problem(each.secret);
    EXPECT_EQ(found.reason, "SecretInvalid") << each.what;
    if (each.field != nullptr) {
      EXPECT_EQ(found.field, each.field) << each.what;
    }
    EXPECT_THAT(found.message, Not(HasSubstr("s3"))) << each.what;
  }
  EXPECT_THAT(problem({{"password", "s3cret\n"}}).message, HasSubstr("line break"));
  EXPECT_EQ(keys({{"password", "with blanks "}}).at("password"), "with blanks ");
}

// The password of one server is not sent to another.
TEST_F(SupabaseUrls, ALoginToAnotherServerOrProject) {
  const Data others[] = {
      {{"uri", "postgresql://postgres:s3cret@db.example.com:5432/postgres"}},
      {{"host", "db.example.com"}, {"password", "s3cret"}},
      {{"uri", "postgresql://postgres:s3cret@db.zzzzzzzzzzzzzzzzzzzz.supabase.co:5432/postgres"}},
      {{"uri",
        "postgresql://postgres.zzzzzzzzzzzzzzzzzzzz:s3cret@aws-0-eu-central-1.pooler.supabase.com:"
        "6543/postgres"}},
      {{"username", "postgres.zzzzzzzzzzzzzzzzzzzz"}, {"password", "s3cret"}}};
  for (const Data& secret : others) {
    const api::Problem found = problem(secret);
    EXPECT_EQ(found.reason, "SecretInvalid") << secret.begin()->second;
    EXPECT_THAT(found.message, HasSubstr("spec.supabase.projectRef"));
    EXPECT_THAT(found.message, Not(HasSubstr("s3cret")));
  }
  EXPECT_EQ(keys({{"username", "app.v2"}, {"password", "pw"}}).at("username"),
            "app.v2.abcdefghijklmnopqrst")
      << "a dot alone is no project";
}

}  // namespace
}  // namespace pooler::urls
