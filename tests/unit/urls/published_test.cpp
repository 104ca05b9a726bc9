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
  return published_keys(published(uri), Preset::kSupabase);
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

TEST(Published, SeveralHostsAsLibpqTakesThem) {
  const auto same = keys_for("postgres://u:p@a,[::1]/d");
  EXPECT_EQ(same.at("direct-host"), "a,::1");
  EXPECT_EQ(same.at("direct-port"), "5432");
  EXPECT_EQ(keys_for("postgres://u:p@a:1,b:2/d").at("direct-port"), "1,2");
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
