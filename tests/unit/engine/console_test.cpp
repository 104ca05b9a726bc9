#include "engine/pgbouncer/console.h"

#include <gtest/gtest.h>

namespace pooler::engine::pgbouncer {
namespace {

Rows config(const std::vector<std::vector<std::optional<std::string>>>& cells) {
  return {{"key", "value", "default", "changeable"}, cells};
}

TEST(Marker, IsTheValueOfSyslogIdent) {
  EXPECT_EQ(
      read_marker(config({{"a", "1", "1", "yes"}, {"syslog_ident", "0f", "pgbouncer", "yes"}})),
      "0f");
  // Columns are found by name.
  EXPECT_EQ(read_marker({{"value", "key"}, {{"0f", "syslog_ident"}}}), "0f");
}

TEST(Marker, IsUnknownWhereTheAnswerLacksIt) {
  EXPECT_EQ(read_marker({}), std::nullopt);
  EXPECT_EQ(read_marker(config({})), std::nullopt);
  EXPECT_EQ(read_marker(config({{"a", "1", "", ""}})), std::nullopt);
  EXPECT_EQ(read_marker(config({{"syslog_ident", std::nullopt, "", ""}})), std::nullopt);
  EXPECT_EQ(read_marker(config({{"syslog_ident"}})), std::nullopt);
  EXPECT_EQ(read_marker({{"key"}, {{"syslog_ident"}}}), std::nullopt);
}

TEST(Pause, IsReadFromTheState) {
  const auto state = [](const char* paused) {
    return read_paused({{"key", "value"}, {{"active", "no"}, {"paused", paused}}});
  };
  EXPECT_EQ(state("yes"), true);
  EXPECT_EQ(state("no"), false);
  EXPECT_EQ(state("maybe"), std::nullopt);
  EXPECT_EQ(read_paused({{"key", "value"}, {{"active", "yes"}}}), std::nullopt);
  EXPECT_EQ(read_paused({}), std::nullopt);
}

TEST(Setting, IsReadAndSetByName) {
  EXPECT_EQ(read_setting(config({{"query_wait_timeout", "30", "120", "yes"}}), kWaitSetting), "30");
  EXPECT_EQ(read_setting(config({}), kWaitSetting), std::nullopt);
  EXPECT_EQ(set_wait("0"), "SET query_wait_timeout='0'");
}

TEST(Version, IsTheNumber) {
  const auto version = [](const std::string& text) {
    return read_version({{"version"}, {{text}}});
  };
  EXPECT_EQ(version("PgBouncer 1.26.1"), "1.26.1");
  EXPECT_EQ(version("PgBouncer 1.24.1 (Debian)"), "1.24.1");
  EXPECT_EQ(version("PgBouncer "), std::nullopt);
  EXPECT_EQ(version("Pgpool 4"), std::nullopt);
  EXPECT_EQ(version("PgBouncer " + std::string(100, '1')), std::nullopt);
  EXPECT_EQ(read_version({}), std::nullopt);
  EXPECT_EQ(read_version({{"version"}, {}}), std::nullopt);
  EXPECT_EQ(read_version({{"version"}, {{std::nullopt}}}), std::nullopt);
}

Rows databases(const std::vector<std::vector<std::optional<std::string>>>& cells) {
  return {{"name", "host", "current_connections"}, cells};
}

TEST(ServerConnections, AreSummedWithoutTheConsole) {
  EXPECT_EQ(read_server_connections(databases(
                {{"orders", "h", "5"}, {"pgbouncer", std::nullopt, "3"}, {"other", "h", "2"}})),
            7);
  EXPECT_EQ(read_server_connections(databases({})), 0);
}

TEST(ServerConnections, AreUnknownRatherThanZero) {
  EXPECT_EQ(read_server_connections({}), std::nullopt);
  EXPECT_EQ(read_server_connections({{"name"}, {}}), std::nullopt);
  for (const std::optional<std::string>& odd :
       {std::optional<std::string>(), std::optional<std::string>(""),
        std::optional<std::string>("-1"), std::optional<std::string>("x"),
        std::optional<std::string>("99999999999999999999")}) {
    EXPECT_EQ(read_server_connections(databases({{"orders", "h", odd}})), std::nullopt);
  }
  EXPECT_EQ(read_server_connections(databases({{"orders"}})), std::nullopt);
}

}  // namespace
}  // namespace pooler::engine::pgbouncer
