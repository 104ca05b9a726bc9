// What the operator renders, as both versions of PgBouncer take it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "engine/pgbouncer/console.h"
#include "live/rows.h"
#include "pooler/servers.h"

namespace pooler::ring {
namespace {

namespace console = engine::pgbouncer;
using ::testing::Each;
using ::testing::Not;

class Files : public ::testing::TestWithParam<Version> {
 protected:
  engine::Rows show(PgBouncer& pgbouncer, std::string_view what) {
    auto answer = ask(pgbouncer.console(), std::string(what));
    EXPECT_TRUE(answer.ok()) << answer.error().message;
    return answer.ok() ? live::to_engine(std::move(answer.value())) : engine::Rows{};
  }
  std::map<std::string, std::string> settings(PgBouncer& pgbouncer) {
    const engine::Rows rows = show(pgbouncer, console::kShowConfig);
    std::map<std::string, std::string> found;
    for (const auto& row : rows.cells) found[row.at(0).value_or("")] = row.at(1).value_or("");
    return found;
  }
  static void expect_no_complaint(const PgBouncer& pgbouncer) {
    EXPECT_THAT(split(pgbouncer.log(), '\n'),
                Each(Not(::testing::ContainsRegex(" (WARNING|ERROR|FATAL) "))));
  }

  Postgres& postgres_ = shared_postgres();
};

TEST_P(Files, LoadWithoutAComplaintAndShowTheMarker) {
  PgBouncer pgbouncer(GetParam(), postgres_.make_user("app", "s3cret", "orders"));
  pgbouncer.start(7);
  EXPECT_EQ(console::read_marker(show(pgbouncer, console::kShowConfig)), pgbouncer.revision().hash);
  EXPECT_EQ(console::read_version(show(pgbouncer, console::kShowVersion)), number_of(GetParam()));
  auto found = settings(pgbouncer);
  EXPECT_EQ(found["default_pool_size"], "7");
  EXPECT_EQ(found["max_db_connections"], "7");
  EXPECT_EQ(found["reserve_pool_size"], "0");
  EXPECT_EQ(found["pool_mode"], "transaction");
  EXPECT_EQ(found["peer_id"], "1");
  EXPECT_EQ(found["unix_socket_dir"], "");
  EXPECT_EQ(found["auth_type"], "scram-sha-256");
  EXPECT_EQ(found["admin_users"], std::string(console::kAdminUser));
  expect_no_complaint(pgbouncer);
}

TEST_P(Files, HaveAPeerForEveryOrdinal) {
  PgBouncer pgbouncer(GetParam(), postgres_.make_user("app", "s3cret", "orders"));
  pgbouncer.start();
  const engine::Rows peers = show(pgbouncer, "SHOW PEERS");
  EXPECT_EQ(peers.cells.size(), static_cast<std::size_t>(console::ordinals(PgBouncer::config())));
}

TEST_P(Files, ServerConnectionsAreCounted) {
  PgBouncer pgbouncer(GetParam(), postgres_.make_user("app", "s3cret", "orders"));
  pgbouncer.start();
  EXPECT_EQ(console::read_server_connections(show(pgbouncer, console::kShowDatabases)), 0);
  EXPECT_EQ(value_of(pgbouncer.pooled(), "SELECT 1"), "1");
  EXPECT_EQ(console::read_server_connections(show(pgbouncer, console::kShowDatabases)), 1);
}

TEST_P(Files, LoadWithEverySslmode) {
  auto database = postgres_.make_user("app", "s3cret", "orders");
  for (const std::string mode :
       {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}) {
    database.parameters = {{"sslmode", mode}};
    PgBouncer pgbouncer(GetParam(), database);
    pgbouncer.start();
    EXPECT_EQ(settings(pgbouncer)["server_tls_sslmode"], mode);
    expect_no_complaint(pgbouncer);
  }
}

TEST_P(Files, SeveralHostsAreTriedInOrder) {
  auto database = postgres_.make_user("app", "s3cret", "orders");
  database.hosts = {{"127.0.0.2", postgres_.port()}, {"127.0.0.1", postgres_.port()}};
  PgBouncer pgbouncer(GetParam(), database);
  pgbouncer.start();
  EXPECT_EQ(value_of(pgbouncer.pooled(), "SELECT current_user"), "app");
}

TEST_P(Files, AHostOfIPv6) {
  auto database = postgres_.make_user("app", "s3cret", "orders");
  database.hosts = {{"::1", postgres_.port()}};
  PgBouncer pgbouncer(GetParam(), database);
  pgbouncer.start();
  EXPECT_EQ(value_of(pgbouncer.pooled(), "SELECT host(inet_server_addr())"), "::1");
}

TEST_P(Files, OddNamesOfDatabasesAndUsers) {
  int n = 0;
  for (const std::string name :
       {"my-db", "a.b", "MyDb", "a b", "a$b", "a@b", "a/b", "dätäbäse", "we'ird \"db\"", "x=y;#z",
        "back\\slash", "%include x", "pgbouncer", "template2"}) {
    const std::string user = n++ == 0 ? "we ird\"r'" : "app " + std::to_string(n) + " " + name;
    PgBouncer pgbouncer(GetParam(), postgres_.make_user(user, "s3cret", name));
    pgbouncer.start();
    EXPECT_EQ(value_of(pgbouncer.pooled(), "SELECT current_database()"), name);
    EXPECT_EQ(value_of(pgbouncer.pooled(), "SELECT current_user"), user);
    EXPECT_EQ(console::read_marker(show(pgbouncer, console::kShowConfig)),
              pgbouncer.revision().hash);
    expect_no_complaint(pgbouncer);
  }
}

INSTANTIATE_TEST_SUITE_P(PgBouncer, Files, ::testing::Values(Version::k124, Version::k126),
                         [](const auto& each) {
                           return each.param == Version::k124 ? "Trixie" : "Forky";
                         });

}  // namespace
}  // namespace pooler::ring
