#include "live/targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/live/world.h"

namespace pooler::live::testing {
namespace {

TEST(DatabaseTarget, CarriesWhatALoginNeeds) {
  urls::Connection connection = orders();
  connection.hosts = {{"a.test", 5432}, {"2001:db8::7", 5433}};
  const pg::Target target = database_target(connection);
  ASSERT_EQ(target.endpoints.size(), 2u);
  EXPECT_EQ(target.endpoints[1].host, "2001:db8::7");
  EXPECT_EQ(target.endpoints[1].port, 5433);
  EXPECT_EQ(target.endpoints[0].address, "");
  EXPECT_EQ(target.params.at("user"), "app");
  EXPECT_EQ(target.params.at("password"), "s3cret");
  EXPECT_EQ(target.params.at("dbname"), "orders");
  EXPECT_EQ(target.params.at("application_name"), "pooler-operator");
  EXPECT_EQ(target.params.at("client_encoding"), "UTF8");
  EXPECT_EQ(target.params.at("gssencmode"), "disable");
  EXPECT_FALSE(target.params.contains("sslmode"));
}

TEST(DatabaseTarget, VerifiedCertificatesNeedAuthorities) {
  for (const std::string mode : {"verify-ca", "verify-full"}) {
    urls::Connection connection = orders();
    connection.parameters = {{"sslmode", mode}};
    EXPECT_EQ(database_target(connection).params.at("sslrootcert"), kSystemRoots);
    connection.parameters = {{"sslmode", mode}, {"sslrootcert", "system"}};
    EXPECT_EQ(database_target(connection).params.at("sslrootcert"), kSystemRoots);
    connection.parameters = {{"sslmode", mode}, {"sslrootcert", "/ca.crt"}};
    EXPECT_EQ(database_target(connection).params.at("sslrootcert"), "/ca.crt");
  }
  urls::Connection connection = orders();
  connection.parameters = {{"sslmode", "require"}};
  EXPECT_FALSE(database_target(connection).params.contains("sslrootcert"));
}

TEST(DatabaseTarget, LeavesOutWhatIsNotTheServers) {
  urls::Connection connection = orders();
  connection.parameters = {{"passfile", "/etc/passwd"}, {"service", "x"},   {"sslkey", "/key"},
                           {"pgbouncer", "true"},       {"host", "evil"},   {"user", "root"},
                           {"connection_limit", "1"},   {"hostaddr", "::"}, {"sslmode", "require"}};
  const pg::Target target = database_target(connection);
  EXPECT_EQ(target.params.at("user"), "app");
  EXPECT_EQ(target.params.at("sslmode"), "require");
  for (const char* name : {"passfile", "service", "sslkey", "pgbouncer", "host", "hostaddr"}) {
    EXPECT_FALSE(target.params.contains(name)) << name;
  }
}

TEST(ConsoleTarget, ByAddress) {
  const pg::Target target = console_target(pod("u1", "10.244.0.9"), {"pooler_operator", "pw"});
  EXPECT_EQ(target.endpoints.at(0).address, "10.244.0.9");
  EXPECT_EQ(target.endpoints.at(0).port, 6432);
  EXPECT_EQ(target.params.at("dbname"), "pgbouncer");
  EXPECT_EQ(target.params.at("user"), "pooler_operator");
}

TEST(VerificationTarget, NameOfTheServiceAndItsAddress) {
  urls::Connection connection = orders();
  connection.hosts = {{"orders-pooler.shop.svc", 6432}};
  const pg::Target target = verification_target({connection, "10.96.0.9", "t"});
  ASSERT_EQ(target.endpoints.size(), 1u);
  EXPECT_EQ(target.endpoints[0].host, "orders-pooler.shop.svc");
  EXPECT_EQ(target.endpoints[0].address, "10.96.0.9");
  EXPECT_EQ(target.endpoints[0].port, 6432);
}

}  // namespace
}  // namespace pooler::live::testing
