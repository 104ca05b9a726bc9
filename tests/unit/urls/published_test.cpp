#include "urls/published.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/urls/libpq_witness.h"

namespace pooler::urls {
namespace {

using testing::ElementsAre;
using testing::Pair;

Published published(const std::string& uri) {
  Published both;
  both.direct = parse_uri(uri).value();
  both.pooled = pooled_connection(both.direct, "orders-pooler.shop.svc", 6432);
  return both;
}

std::map<std::string, std::string> keys_for(const std::string& uri) {
  return published_keys(published(uri), api::ConnectionSecret());
}

std::map<std::string, std::string> keys_for(const std::string& uri,
                                            const api::ConnectionSecret& wanted) {
  return published_keys(published(uri), wanted);
}

TEST(Published, HasTheseKeysAndNoOthers) {
  EXPECT_THAT(
      keys_for("postgres://app:p%3Aw@db.example.com:5433/orders"),
      ElementsAre(
          Pair("DATABASE_POOLED_URL",
               "postgresql://app:p%3Aw@orders-pooler.shop.svc:6432/orders?sslmode=disable"),
          Pair("DATABASE_URL", "postgresql://app:p%3Aw@db.example.com:5433/orders"),
          Pair("database", "orders"), Pair("direct-host", "db.example.com"),
          Pair("direct-jdbc-uri",
               "jdbc:postgresql://db.example.com:5433/orders?user=app&password=p%3Aw"),
          Pair("direct-port", "5433"),
          Pair("direct-uri", "postgresql://app:p%3Aw@db.example.com:5433/orders"),
          Pair("host", "orders-pooler.shop.svc"), Pair("password", "p:w"),
          Pair("pgpass",
               "orders-pooler.shop.svc:6432:orders:app:p\\:w\ndb.example.com:5433:orders:app:p\\:"
               "w\n"),
          Pair("pooled-jdbc-uri",
               "jdbc:postgresql://orders-pooler.shop.svc:6432/"
               "orders?user=app&password=p%3Aw&sslmode=disable"),
          Pair("pooled-uri",
               "postgresql://app:p%3Aw@orders-pooler.shop.svc:6432/orders?sslmode=disable"),
          Pair("port", "6432"), Pair("provider", "pooler-operator"), Pair("type", "postgresql"),
          Pair("uri", "postgresql://app:p%3Aw@orders-pooler.shop.svc:6432/orders?sslmode=disable"),
          Pair("username", "app")));
}

TEST(Published, DirectUrlKeepsTheSourcesSslmodeButPrefer) {
  EXPECT_EQ(keys_for("postgres://u:p@h/d?sslmode=verify-full")["DATABASE_URL"],
            "postgresql://u:p@h:5432/d?sslmode=verify-full");
  EXPECT_EQ(keys_for("postgres://u:p@h/d?sslmode=disable")["DATABASE_URL"],
            "postgresql://u:p@h:5432/d?sslmode=disable");
  EXPECT_EQ(keys_for("postgres://u:p@h/d?sslmode=prefer&application_name=x")["direct-uri"],
            "postgresql://u:p@h:5432/d?application_name=x");
  EXPECT_EQ(keys_for("postgres://u:p@h/d?sslmode=prefer")["direct-jdbc-uri"],
            "jdbc:postgresql://h:5432/d?user=u&password=p");
}

TEST(Published, PooledUrlHasNothingOfTheServersHostsNorOfOneDriver) {
  const auto keys = keys_for(
      "postgres://u:p@a:1,b:2/d?target_session_attrs=read-write&channel_binding=require&"
      "sslmode=verify-full&sslrootcert=/ca&application_name=shop&connect_timeout=3&pgbouncer=true&"
      "schema=public&hostaddr=10.0.0.1&load_balance_hosts=random");
  EXPECT_EQ(keys.at("DATABASE_POOLED_URL"),
            "postgresql://u:p@orders-pooler.shop.svc:6432/d?application_name=shop&"
            "connect_timeout=3&sslmode=disable");
  EXPECT_TRUE(libpq_reads(keys.at("uri")).has_value());
}

TEST(Published, PooledSslmodeIsThePoolers) {
  const Connection direct = parse_uri("postgres://u:p@h/d?sslmode=verify-full").value();
  const auto pooled = [&direct](api::ClientTls::Mode tls) {
    Published both;
    both.direct = direct;
    both.pooled = pooled_connection(direct, "orders-pooler.shop.svc", 6432, tls);
    return published_keys(both, {}).at("pooled-uri");
  };
  const std::string plain = "postgresql://u:p@orders-pooler.shop.svc:6432/d";
  EXPECT_EQ(pooled(api::ClientTls::Mode::kDisabled), plain + "?sslmode=disable");
  EXPECT_EQ(pooled(api::ClientTls::Mode::kOptional), plain);
  EXPECT_EQ(pooled(api::ClientTls::Mode::kRequired), plain + "?sslmode=require");
}

TEST(Published, AuthoritiesOfEachWay) {
  Published both;
  both.direct = parse_uri("postgres://u:p@h/d?sslmode=verify-full").value();
  both.direct.certificates = {"of the server", "chain", "key"};
  both.pooled = pooled_connection(both.direct, "orders-pooler.shop.svc", 6432);
  EXPECT_EQ(both.pooled.certificates, Certificates());
  auto keys = published_keys(both, {});
  EXPECT_EQ(keys.at("direct-ca.crt"), "of the server");
  EXPECT_FALSE(keys.contains("ca.crt"));
  for (const auto& [name, value] : keys) EXPECT_NE(value, "key") << name;
  both.pooled.certificates.authorities = "of the pooler";
  both.direct.certificates = {};
  keys = published_keys(both, {});
  EXPECT_EQ(keys.at("ca.crt"), "of the pooler");
  EXPECT_FALSE(keys.contains("direct-ca.crt"));
}

TEST(Published, SeveralHostsAsLibpqTakesThem) {
  const auto same = keys_for("postgres://u:p@a,[::1]/d");
  EXPECT_EQ(same.at("direct-host"), "a,::1");
  EXPECT_EQ(same.at("direct-port"), "5432");
  EXPECT_EQ(keys_for("postgres://u:p@a:1,b:2/d").at("direct-port"), "1,2");
}

TEST(Published, PresetsNameTheEnvironment) {
  struct Case {
    api::Preset preset;
    const char* pooled;
    const char* direct;
    const char* description;
  };
  const Case cases[] = {
      {api::Preset::kSupabase, "DATABASE_POOLED_URL", "DATABASE_URL",
       "DATABASE_URL (direct) and DATABASE_POOLED_URL (pooled)"},
      {api::Preset::kPrisma, "DATABASE_URL", "DIRECT_URL",
       "DATABASE_URL (pooled) and DIRECT_URL (direct)"},
      {api::Preset::kNeon, "DATABASE_URL", "DATABASE_URL_UNPOOLED",
       "DATABASE_URL (pooled) and DATABASE_URL_UNPOOLED (direct)"},
      {api::Preset::kHeroku, "DATABASE_CONNECTION_POOL_URL", "DATABASE_URL",
       "DATABASE_URL (direct) and DATABASE_CONNECTION_POOL_URL (pooled)"},
  };
  api::ConnectionSecret none;
  none.preset = api::Preset::kNone;
  const auto bare = keys_for("postgres://u:p@h/d", none);
  EXPECT_EQ(bare.size(), 15U);
  EXPECT_EQ(describe_keys(none), "pooled-uri and direct-uri");
  for (const auto& [preset, pooled, direct, description] : cases) {
    api::ConnectionSecret wanted;
    wanted.preset = preset;
    const auto keys = keys_for("postgres://u:p@h/d", wanted);
    EXPECT_EQ(keys.size(), bare.size() + 2);
    EXPECT_EQ(keys.at(pooled), bare.at("pooled-uri"));
    EXPECT_EQ(keys.at(direct), bare.at("direct-uri"));
    EXPECT_EQ(describe_keys(wanted), description);
  }
}

TEST(Published, BindingKeysAreTheOnesThatNobodyMayChange) {
  api::ConnectionSecret wanted;
  wanted.preset = api::Preset::kNone;
  int binding = 0;
  for (const auto& [name, value] : keys_for("postgres://u:p@h/d", wanted)) {
    binding += api::is_binding_key(name) ? 1 : 0;
  }
  EXPECT_EQ(binding, 8);
  wanted.keys = {{"uri", api::Way::kDirect, api::Format::kHost}};  // as if nobody had refused it
  EXPECT_EQ(keys_for("postgres://u:p@h/d", wanted).at("uri"),
            "postgresql://u:p@orders-pooler.shop.svc:6432/d?sslmode=disable");
}

TEST(Published, OwnKeysAreAddedOrWin) {
  api::ConnectionSecret wanted;
  wanted.keys = {{"DATABASE_URL", api::Way::kPooled, api::Format::kUri},
                 {"PGHOST", api::Way::kPooled, api::Format::kHost},
                 {"PGPORT", api::Way::kDirect, api::Format::kPort},
                 {"PGUSER", api::Way::kDirect, api::Format::kUsername},
                 {"PGPASSWORD", api::Way::kDirect, api::Format::kPassword},
                 {"PGDATABASE", api::Way::kDirect, api::Format::kDatabase},
                 {"ConnectionStrings__Orders", api::Way::kPooled, api::Format::kNpgsql},
                 {"dsn", api::Way::kDirect, api::Format::kLibpq},
                 {"line", api::Way::kDirect, api::Format::kPgpass},
                 {"jdbc", api::Way::kDirect, api::Format::kJdbc},
                 {"async", api::Way::kDirect, api::Format::kSqlAlchemyAsyncpg}};
  const auto keys = keys_for("postgres://u:p%3Aw@h:5433/d", wanted);
  EXPECT_EQ(keys.at("DATABASE_URL"), keys.at("pooled-uri"));
  EXPECT_EQ(keys.at("PGHOST"), "orders-pooler.shop.svc");
  EXPECT_EQ(keys.at("PGPORT"), "5433");
  EXPECT_EQ(keys.at("PGUSER"), "u");
  EXPECT_EQ(keys.at("PGPASSWORD"), "p:w");
  EXPECT_EQ(keys.at("PGDATABASE"), "d");
  EXPECT_EQ(keys.at("ConnectionStrings__Orders"),
            "Host=orders-pooler.shop.svc;Port=6432;Database=d;Username=u;Password=p:w;"
            "SSL Mode=Disable");
  EXPECT_EQ(keys.at("dsn"), "host='h' port='5433' dbname='d' user='u' password='p:w'");
  EXPECT_EQ(keys.at("line"), "h:5433:d:u:p\\:w\n");
  EXPECT_EQ(keys.at("jdbc"), keys.at("direct-jdbc-uri"));
  EXPECT_EQ(keys.at("async"), "postgresql+asyncpg://u:p%3Aw@h:5433/d");
  EXPECT_EQ(describe_keys(wanted), "DATABASE_URL (pooled) and DATABASE_POOLED_URL (pooled)");
}

TEST(Published, ParametersAreAddedReplacedAndTakenOut) {
  api::ConnectionSecret wanted;
  wanted.pooled_parameters = {{"application_name", "shop & co"},
                              {"pgbouncer", "true"},
                              {"prepareThreshold", "0"},
                              {"sslmode", ""}};
  wanted.direct_parameters = {{"sslmode", "verify-full"}, {"connect_timeout", ""}, {"absent", ""}};
  const auto keys = keys_for("postgres://u:p@h/d?sslmode=require&connect_timeout=3", wanted);
  EXPECT_EQ(keys.at("DATABASE_POOLED_URL"),
            "postgresql://u:p@orders-pooler.shop.svc:6432/d?connect_timeout=3&"
            "application_name=shop%20%26%20co&pgbouncer=true");
  EXPECT_EQ(keys.at("pooled-uri"), keys.at("DATABASE_POOLED_URL"));
  EXPECT_EQ(keys.at("pooled-jdbc-uri"),
            "jdbc:postgresql://orders-pooler.shop.svc:6432/d?user=u&password=p&connectTimeout=3&"
            "ApplicationName=shop%20%26%20co&prepareThreshold=0");
  EXPECT_EQ(keys.at("DATABASE_URL"), "postgresql://u:p@h:5432/d?sslmode=verify-full");
  // Whatever was asked for, every libpq takes the binding's URI.
  EXPECT_EQ(keys.at("uri"),
            "postgresql://u:p@orders-pooler.shop.svc:6432/d?connect_timeout=3&"
            "application_name=shop%20%26%20co");
  EXPECT_TRUE(libpq_reads(keys.at("uri")).has_value());
}

TEST(Published, PreferIsWrittenWhereItIsAskedFor) {
  api::ConnectionSecret wanted;
  wanted.direct_parameters = {{"sslmode", "prefer"}};
  EXPECT_EQ(keys_for("postgres://u:p@h/d", wanted).at("direct-uri"),
            "postgresql://u:p@h:5432/d?sslmode=prefer");
}

TEST(Published, HostilePasswordsReachLibpq) {
  for (const std::string password : {"p@:/?#%& \"'\\", "pässwörd", "\u00AD", "\u2163"}) {
    const auto keys = keys_for("postgres://u:" + percent_encode(password) + "@h/d");
    EXPECT_EQ(keys.at("password"), password);
    for (const char* key :
         {"uri", "pooled-uri", "direct-uri", "DATABASE_URL", "DATABASE_POOLED_URL"}) {
      EXPECT_EQ(libpq_reads(keys.at(key))->at("password"), password) << key;
    }
  }
}

}  // namespace
}  // namespace pooler::urls
