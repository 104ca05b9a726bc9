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

TEST(DatabaseTarget, CertificatesOfTheSpec) {
  urls::Connection connection = orders();
  EXPECT_EQ(database_target(connection).certificates, Certificates());
  connection.certificates = {"authorities", "chain", "key"};
  EXPECT_EQ(database_target(connection).certificates, connection.certificates);
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
  EXPECT_EQ(target.params.at("sslmode"), "prefer");
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

pg::Target verification_of(const std::vector<std::pair<std::string, std::string>>& parameters,
                           const std::string& authorities = "",
                           const std::string& certificate = "f1") {
  urls::Connection connection = orders();
  connection.parameters = parameters;
  connection.certificates.authorities = authorities;
  return verification_target({connection, "10.96.0.9", "t", certificate});
}

TEST(VerificationTarget, IsEncryptedWhereACertificateMustBeShown) {
  for (const char* mode : {"require", "prefer", "allow"}) {
    const pg::Target target = verification_of({{"sslmode", mode}}, "authorities");
    EXPECT_EQ(target.params.at("sslmode"), "require") << mode;
    EXPECT_EQ(target.certificates, Certificates()) << "clients do not verify either";
  }
  EXPECT_EQ(verification_of({}).params.at("sslmode"), "require");
  EXPECT_EQ(verification_of({{"sslmode", "disable"}}).params.at("sslmode"), "disable");
  EXPECT_FALSE(verification_of({}, "", "").params.contains("sslmode"));
}

TEST(VerificationTarget, VerifiesAsClientsDoWhereItCan) {
  const pg::Target own =
      verification_of({{"sslmode", "verify-full"}, {"sslrootcert", "/ca"}}, "ca");
  EXPECT_EQ(own.params.at("sslmode"), "verify-full");
  EXPECT_EQ(own.certificates.authorities, "ca");
  const pg::Target known = verification_of({{"sslmode", "verify-full"}, {"sslrootcert", "system"}});
  EXPECT_EQ(known.params.at("sslmode"), "verify-full");
  EXPECT_EQ(known.params.at("sslrootcert"), kSystemRoots);
  const pg::Target file = verification_of({{"sslmode", "verify-full"}, {"sslrootcert", "/ca"}});
  EXPECT_EQ(file.params.at("sslmode"), "require");
  EXPECT_FALSE(file.params.contains("sslrootcert"));
  const pg::Target any = verification_of({{"sslmode", "verify-full"}}, "ca", "");
  EXPECT_EQ(any.params.at("sslmode"), "verify-full");
  EXPECT_EQ(any.certificates.authorities, "ca") << "whichever certificate it is";
}

}  // namespace
}  // namespace pooler::live::testing
