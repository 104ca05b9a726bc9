#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "urls/connection.h"

namespace pooler::urls {
namespace {

using testing::HasSubstr;
using testing::Not;

using Secret = std::map<std::string, std::string>;

api::Database database() {
  api::Database database;
  database.secret_name = "orders-db";
  return database;
}

Connection resolved(const api::Database& database, const Secret& secret, std::string_view ns = {}) {
  auto connection = resolve(database, secret, ns);
  EXPECT_TRUE(connection.ok()) << (connection.ok() ? "" : connection.error().message);
  return connection.ok() ? connection.value() : Connection();
}

api::Problem problem(const api::Database& database, const Secret& secret) {
  auto connection = resolve(database, secret);
  EXPECT_FALSE(connection.ok());
  return connection.ok() ? api::Problem() : connection.error();
}

TEST(Resolve, TakesAUri) {
  EXPECT_EQ(to_uri(resolved(database(), {{"uri", "postgres://u:p@h:1/d?sslmode=require"}})),
            "postgresql://u:p@h:1/d?sslmode=require");
}

TEST(Resolve, TakesSingleKeys) {
  EXPECT_EQ(to_uri(resolved(database(), {{"host", "h"},
                                         {"port", "1"},
                                         {"dbname", "d"},
                                         {"username", "u"},
                                         {"password", "p@ss"}})),
            "postgresql://u:p%40ss@h:1/d");
}

TEST(Resolve, FillsInPortAndDatabaseLast) {
  EXPECT_EQ(to_uri(resolved(database(), {{"host", "h"}, {"username", "u"}, {"password", "p"}})),
            "postgresql://u:p@h:5432/u");
  api::Database inline_user = database();
  inline_user.user = "other";
  EXPECT_EQ(to_uri(resolved(inline_user, {{"uri", "postgres://u:p@h"}})),
            "postgresql://other:p@h:5432/other");
}

TEST(Resolve, PrefersInlineThenKeysThenUri) {
  const Secret secret = {{"uri", "postgres://uri-user:uri-pw@uri-host:1/uri-db?sslmode=require"},
                         {"host", "key-host"},
                         {"username", "key-user"},
                         {"password", "key-pw"},
                         {"dbname", "key-db"}};
  EXPECT_EQ(to_uri(resolved(database(), secret)),
            "postgresql://key-user:key-pw@key-host:1/key-db?sslmode=require");
  api::Database all = database();
  all.host = "inline-host";
  all.port = 9;
  all.name = "inline-db";
  all.user = "inline-user";
  EXPECT_EQ(to_uri(resolved(all, secret)),
            "postgresql://inline-user:key-pw@inline-host:9/inline-db?sslmode=require");
}

TEST(Resolve, TlsOfTheSpecWinsOverTheUri) {
  const Secret secret = {{"uri", "postgres://u:p@h:1/d?sslmode=disable&application_name=x"}};
  api::Database tls = database();
  EXPECT_EQ(resolved(tls, secret).parameter("sslmode"), "disable");
  tls.tls.client_secret = "client";
  tls.tls.ca_secret = "ca";
  EXPECT_EQ(to_uri(resolved(tls, secret)),
            "postgresql://u:p@h:1/d?application_name=x&sslmode=verify-full");
  tls.tls.mode = api::DatabaseTls::Mode::kVerifyCa;
  EXPECT_EQ(resolved(tls, secret).parameter("sslmode"), "verify-ca");
  EXPECT_EQ(
      resolved(tls, {{"host", "h"}, {"username", "u"}, {"password", "p"}}).parameter("sslmode"),
      "verify-ca");
}

TEST(Resolve, ACertificateThatIsNeverShownIsAMistake) {
  api::Database tls = database();
  tls.tls.client_secret = "client";
  const api::Problem found = problem(tls, {{"uri", "postgres://u:s3cret@h:1/d?sslmode=disable"}});
  EXPECT_EQ(found.reason, api::reason::kSecretInvalid);
  EXPECT_EQ(found.field, "spec.database.secretRef.keys.uri");
  EXPECT_EQ(found.message,
            "key uri of Secret orders-db says sslmode=disable, and "
            "spec.database.tls.clientCertSecretRef is only ever shown on an encrypted connection: "
            "take one of them out");
  EXPECT_EQ(resolved(tls, {{"uri", "postgres://u:p@h:1/d?sslmode=allow"}}).parameter("sslmode"),
            "allow");
}

TEST(Resolve, FollowsRenamedKeys) {
  api::Database renamed = database();
  renamed.keys = {"a", "b", "c", "d", "e", "f"};
  EXPECT_EQ(to_uri(resolved(renamed, {{"b", "h"},
                                      {"c", "1"},
                                      {"d", "db"},
                                      {"e", "u"},
                                      {"f", "p"},
                                      {"host", "no"},
                                      {"password", "no"}})),
            "postgresql://u:p@h:1/db");
}

TEST(Resolve, KeepsSeveralHosts) {
  EXPECT_EQ(host_ports(resolved(database(), {{"uri", "postgres://u:p@a:1,b:2/d"}})), "a:1,b:2");
  EXPECT_EQ(host_ports(resolved(database(), {{"uri", "postgres://u:p@a:1,b:2/d"}, {"port", "3"}})),
            "a:3,b:3");
  // Its ports belong to its hosts.
  EXPECT_EQ(host_ports(resolved(database(), {{"uri", "postgres://u:p@a:1,b:2/d"}, {"host", "c"}})),
            "c:5432");
}

TEST(Resolve, ForgivesLineBreaksAndBracketsWhereTheyCanNotBeMeant) {
  EXPECT_EQ(to_uri(resolved(database(), {{"uri", "postgres://u:p@h/d\n"}})),
            "postgresql://u:p@h:5432/d");
  EXPECT_EQ(
      to_uri(resolved(
          database(),
          {{"host", "[fd00::1]\n"}, {"port", " 1\r\n"}, {"username", "u"}, {"password", "p\n"}})),
      "postgresql://u:p%0A@[fd00::1]:1/u");  // a password is taken as it is
}

TEST(Resolve, EmptyValuesAreAbsent) {
  EXPECT_EQ(to_uri(resolved(
                database(),
                {{"uri", "postgres://u:p@h/d"}, {"host", ""}, {"port", "\n"}, {"password", ""}})),
            "postgresql://u:p@h:5432/d");
}

TEST(Resolve, QualifiesBareServiceNames) {
  const auto host = [](const std::string& name) {
    return resolved(database(), {{"host", name}, {"username", "u"}, {"password", "p"}}, "shop")
        .hosts.front()
        .host;
  };
  EXPECT_EQ(host("cluster-rw"), "cluster-rw.shop.svc");
  EXPECT_EQ(host("cluster-rw.data"), "cluster-rw.data");
  EXPECT_EQ(host("db.example.com"), "db.example.com");
  EXPECT_EQ(host("10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(host("fd00::1"), "fd00::1");
  EXPECT_EQ(host("localhost"), "localhost");
  EXPECT_EQ(host_ports(resolved(database(), {{"uri", "postgres://u:p@a,b.c:2/d"}}, "shop")),
            "a.shop.svc:5432,b.c:2");
}

// Secrets as the products that make them write them; only the values are made up.
struct Written {
  const char* maker;
  Secret secret;
  const char* means;
};

const Written kWritten[] = {
    {"CloudNativePG, -app",
     {{"username", "app"},
      {"user", "app"},
      {"password", "p@ss"},
      {"dbname", "orders"},
      {"host", "cluster-rw"},
      {"port", "5432"},
      {"pgpass", "cluster-rw:5432:orders:app:p@ss\n"},
      {"uri", "postgresql://app:p%40ss@cluster-rw.shop:5432/orders"},
      {"jdbc-uri", "jdbc:postgresql://cluster-rw.shop:5432/orders?password=p%40ss&user=app"},
      {"fqdn-uri", "postgresql://app:p%40ss@cluster-rw.shop.svc.cluster.local:5432/orders"},
      {"fqdn-jdbc-uri", "jdbc:postgresql://cluster-rw.shop.svc.cluster.local:5432/orders"}},
     "postgresql://app:p%40ss@cluster-rw.shop.svc:5432/orders"},
    {"Crunchy, -pguser-, with a PgBouncer of its own",
     {{"user", "app"},
      {"password", "p"},
      {"verifier", "SCRAM-SHA-256$4096:..."},
      {"dbname", "orders"},
      {"host", "hippo-primary.shop.svc"},
      {"port", "5432"},
      {"uri", "postgresql://app:p@hippo-primary.shop.svc:5432/orders"},
      {"jdbc-uri", "jdbc:postgresql://hippo-primary.shop.svc:5432/orders?password=p&user=app"},
      {"pgbouncer-host", "hippo-pgbouncer.shop.svc"},
      {"pgbouncer-port", "6432"},
      {"pgbouncer-uri", "postgresql://app:p@hippo-pgbouncer.shop.svc:6432/orders"},
      {"pgbouncer-jdbc-uri", "jdbc:postgresql://hippo-pgbouncer.shop.svc:6432/orders"}},
     "postgresql://app:p@hippo-primary.shop.svc:5432/orders"},
    {"a service binding",
     {{"type", "postgresql"},
      {"provider", "stackgres"},
      {"host", "db.example.com"},
      {"port", "6000"},
      {"username", "app"},
      {"password", "p"},
      {"database", "orders"}},
     "postgresql://app:p@db.example.com:6000/orders"},
    {"AWS Secrets Manager",
     {{"username", "app"},
      {"password", "p"},
      {"engine", "postgres"},
      {"host", "orders.abc.eu-central-1.rds.amazonaws.com"},
      {"port", "5432"},
      {"dbname", "shop"},
      {"dbInstanceIdentifier", "orders"}},
     "postgresql://app:p@orders.abc.eu-central-1.rds.amazonaws.com:5432/shop"},
    {"AWS Secrets Manager, an instance that is no database's name",
     {{"username", "app"},
      {"password", "p"},
      {"host", "h"},
      {"port", "5432"},
      {"dbInstanceIdentifier", "orders"}},
     "postgresql://app:p@h:5432/app"},
    {"an application's environment",
     {{"DATABASE_URL", "postgres://app:p@a,b:6000/orders?sslmode=require"}},
     "postgresql://app:p@a:5432,b:6000/orders?sslmode=require"},
    {"Neon's environment: the pooled URL is not the database",
     {{"DATABASE_URL", "postgres://app:p@h-pooler/orders"},
      {"DATABASE_URL_UNPOOLED", "postgres://app:p@h/orders"}},
     "postgresql://app:p@h:5432/orders"},
    {"Prisma's environment",
     {{"DATABASE_URL", "postgres://app:p@pooler:6543/orders?pgbouncer=true"},
      {"DIRECT_URL", "postgres://app:p@h/orders"}},
     "postgresql://app:p@h:5432/orders"},
    {"url", {{"url", "postgres://app:p@h/orders\n"}}, "postgresql://app:p@h:5432/orders"},
    {"connectionString",
     {{"connectionString", "postgres://app:p@h/orders"}},
     "postgresql://app:p@h:5432/orders"},
    {"libpq's environment",
     {{"PGHOST", "h"},
      {"PGPORT", "6000"},
      {"PGDATABASE", "orders"},
      {"PGUSER", "app"},
      {"PGPASSWORD", "p"}},
     "postgresql://app:p@h:6000/orders"},
    {"the postgres image's environment",
     {{"POSTGRES_HOST", "h"},
      {"POSTGRES_DB", "orders"},
      {"POSTGRES_USER", "app"},
      {"POSTGRES_PASSWORD", "p"}},
     "postgresql://app:p@h:5432/orders"},
    {"DB_*",
     {{"DB_HOST", "h"}, {"DB_NAME", "orders"}, {"DB_USER", "app"}, {"DB_PASSWORD", "p"}},
     "postgresql://app:p@h:5432/orders"},
};

TEST(Resolve, KnowsTheSecretsOfOthers) {
  for (const auto& [maker, secret, means] : kWritten) {
    // Only CloudNativePG writes the bare name of a Service.
    const std::string_view ns = secret.contains("fqdn-uri") ? "shop" : "";
    EXPECT_EQ(to_uri(resolved(database(), secret, ns)), means) << maker;
  }
}

TEST(Resolve, TakesTheHostOfASecretWithALoginOnlyFromTheSpec) {
  api::Database zalando = database();
  zalando.host = "acid-orders.shop.svc";
  zalando.name = "orders";
  EXPECT_EQ(to_uri(resolved(zalando, {{"username", "app"}, {"password", "p"}})),
            "postgresql://app:p@acid-orders.shop.svc:5432/orders");
}

TEST(Resolve, NeverMixesTwoLogins) {
  // The superuser's password of an image beside the application's own URL.
  EXPECT_EQ(to_uri(resolved(database(), {{"DATABASE_URL", "postgres://app:p@h/d"},
                                         {"POSTGRES_USER", "postgres"},
                                         {"POSTGRES_PASSWORD", "root"}})),
            "postgresql://app:p@h:5432/d");
  EXPECT_EQ(to_uri(resolved(database(), {{"host", "h"},
                                         {"username", "u"},
                                         {"password", "p"},
                                         {"PGUSER", "other"},
                                         {"DATABASE_URL", "postgres://x:y@z/w"}})),
            "postgresql://u:p@h:5432/u");
}

TEST(Resolve, ARenamedKeyIsTheOnlyOne) {
  api::Database renamed = database();
  renamed.keys.user = "login";
  const Secret secret = {{"host", "h"}, {"user", "no"}, {"password", "p"}};
  EXPECT_EQ(problem(renamed, secret).reason, api::reason::kSecretKeyMissing);
  Secret with_login = secret;
  with_login["login"] = "yes";
  EXPECT_EQ(resolved(renamed, with_login).user, "yes");
  renamed.keys.uri = "other";
  EXPECT_FALSE(resolve(renamed, {{"DATABASE_URL", "postgres://u:p@h/d"}}).ok());
}

TEST(Resolve, WhatIsNotNamedMayBeAnythingElse) {
  EXPECT_EQ(to_uri(resolved(database(), {{"url", "https://example.com"},
                                         {"connectionString", "Host=h;Password=p"},
                                         {"host", "h"},
                                         {"username", "u"},
                                         {"password", "p"}})),
            "postgresql://u:p@h:5432/u");
  // But one that claims to be for Postgres must be right; the error names its key.
  const api::Problem found = problem(database(), {{"DATABASE_URL", "postgres://u:s3cret@h:x/d"}});
  EXPECT_EQ(found.reason, api::reason::kSecretInvalid);
  EXPECT_THAT(found.message, HasSubstr("key DATABASE_URL "));
  EXPECT_THAT(found.message, Not(HasSubstr("s3cret")));
}

TEST(Resolve, SaysWhatIsMissingAndWhere) {
  struct Case {
    Secret secret;
    const char* says;
  };
  const Case cases[] = {
      {{}, "no host"},
      {{{"unrelated", "x"}}, "no host"},
      {{{"host", "h"}, {"password", "p"}}, "no user"},
      {{{"host", "h"}, {"username", "u"}}, "no password"},
      {{{"uri", "postgres://u@h/d"}}, "no password"},
      {{{"uri", "postgres:///d"}, {"username", "u"}, {"password", "p"}}, "no host"},
  };
  for (const auto& [secret, says] : cases) {
    const api::Problem found = problem(database(), secret);
    EXPECT_EQ(found.reason, api::reason::kSecretKeyMissing);
    EXPECT_EQ(found.field, "spec.database.secretRef");
    EXPECT_THAT(found.message, HasSubstr(says));
    EXPECT_THAT(found.message, HasSubstr("orders-db"));
  }
}

TEST(Resolve, SaysWhichValueIsWrongWithoutRepeatingIt) {
  struct Case {
    Secret secret;
    const char* field;
  };
  const Case cases[] = {
      {{{"uri", "s3cret"}}, "uri"},
      {{{"uri", "postgres://u:s3cret@h:x/d"}}, "uri"},
      {{{"uri", "s3cret"}, {"host", "h"}, {"username", "u"}, {"password", "p"}}, "uri"},
      {{{"host", "s3cret:5432"}, {"username", "u"}, {"password", "p"}}, "host"},
      {{{"host", "h"}, {"port", "s3cret"}, {"username", "u"}, {"password", "p"}}, "port"},
      {{{"host", "h"}, {"port", "70000"}, {"username", "u"}, {"password", "s3cret"}}, "port"},
  };
  for (const auto& [secret, field] : cases) {
    const api::Problem found = problem(database(), secret);
    EXPECT_EQ(found.reason, api::reason::kSecretInvalid);
    EXPECT_EQ(found.field, "spec.database.secretRef.keys." + std::string(field));
    EXPECT_THAT(found.message, Not(HasSubstr("s3cret")));
  }
}

TEST(Resolve, AnInlineHostIsTheSpecsFault) {
  api::Database inline_host = database();
  inline_host.host = "a b";
  const api::Problem found = problem(inline_host, {{"username", "u"}, {"password", "p"}});
  EXPECT_EQ(found.reason, api::reason::kInvalidParameter);
  EXPECT_EQ(found.field, "spec.database.host");
}

}  // namespace
}  // namespace pooler::urls
