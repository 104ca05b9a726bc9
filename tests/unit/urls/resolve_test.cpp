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
