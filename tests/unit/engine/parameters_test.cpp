#include "engine/pgbouncer/parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace pooler::engine::pgbouncer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(ParameterTable, IsInTheOrderOfItsNamesEachOnce) {
  const auto table = all_settings();
  EXPECT_EQ(table.size(), 100U);
  for (std::size_t i = 1; i < table.size(); ++i) EXPECT_LT(table[i - 1].name, table[i].name);
  for (const Setting& setting : table) EXPECT_EQ(find_setting(setting.name), &setting);
  for (const char* none : {"", "a", "zzz", "pool", "pool_mode "}) {
    EXPECT_EQ(find_setting(none), nullptr) << none;
  }
}

TEST(ParameterTable, TellsOfEachWhatItHasToTell) {
  for (const Setting& setting : all_settings()) {
    const std::string name(setting.name);
    EXPECT_EQ(setting.owned.empty(), !setting.what.empty()) << name;
    EXPECT_TRUE(setting.what.empty() ||
                (setting.what.back() != '.' && setting.what.find('|') == std::string_view::npos))
        << name << ": it is a cell of a table";
    const bool ranged =
        setting.kind == Setting::Kind::kNumber || setting.kind == Setting::Kind::kSeconds;
    EXPECT_EQ(setting.lowest < setting.highest, ranged) << name;
    EXPECT_TRUE(setting.since.empty() || setting.since == "1.25" || setting.since == "1.26")
        << name;
  }
}

// What is in force where nothing is set can also be set.
TEST(ParameterTable, InitialValuesAreAllowed) {
  for (const Setting& setting : all_settings()) {
    if (!setting.owned.empty()) continue;
    const std::string name(setting.name);
    EXPECT_THAT(check_parameters({{name, std::string(setting.initial)}}), IsEmpty()) << name;
    EXPECT_THAT(
        check_parameters({{name, std::string(setting.initial_in_124.value_or(setting.initial))}}),
        IsEmpty())
        << name;
  }
}

// "1.26.1" -> "", or what is said of one parameter.
std::string said(const std::string& name, const std::string& value, std::string_view version = {}) {
  const auto problems = check_parameters({{name, value}}, version);
  if (problems.empty()) return {};
  EXPECT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].reason, api::reason::kInvalidParameter);
  EXPECT_EQ(problems[0].field, "spec.pgbouncer.parameters." + name);
  return problems[0].message;
}

TEST(CheckParameters, TakesWhatPgbouncerTakes) {
  EXPECT_THAT(check_parameters({}), IsEmpty());
  EXPECT_THAT(check_parameters({{"max_prepared_statements", "0"},
                                {"query_wait_timeout", "2.5"},
                                {"client_idle_timeout", "2147483"},
                                {"log_connections", "1"},
                                {"server_reset_query", "SELECT 'a;b' # \\ \"x\" %include [y]"},
                                {"server_check_query", ""},
                                {"track_extra_parameters", "IntervalStyle, search_path"},
                                {"ignore_startup_parameters", "options,a.b_C9"}}),
              IsEmpty());
}

TEST(CheckParameters, UnknownNamesAreToldWithTheNearestOne) {
  EXPECT_EQ(said("max_prepared_statement", "1"),
            "is no setting of PgBouncer: is max_prepared_statements meant?");
  EXPECT_EQ(said("idle_in_transaction_timeout", "1"),
            "is no setting of PgBouncer: is idle_transaction_timeout meant?");
  EXPECT_EQ(said("poolmode", "session"), "is no setting of PgBouncer: is pool_mode meant?");
  EXPECT_EQ(said("statement_timeout", "1"),
            "is no setting of PgBouncer (its section [pgbouncer]): take it out");
  EXPECT_EQ(said("x", "1"), "is no setting of PgBouncer (its section [pgbouncer]): take it out");
}

TEST(CheckParameters, OddNamesAreNotRepeated) {
  for (const std::string& name :
       {std::string(), std::string("a\nb"), std::string("a b"), std::string("[x]"),
        std::string("pool_mode = session\nx"), std::string("Query_Timeout"), std::string("ä"),
        std::string(64, 'a'), std::string("%include"), std::string("a\0", 2)}) {
    const auto problems = check_parameters({{name, "1"}});
    ASSERT_EQ(problems.size(), 1U) << name;
    EXPECT_EQ(problems[0].field, "spec.pgbouncer.parameters");
    EXPECT_THAT(problems[0].message, HasSubstr("has a name that is no setting"));
  }
}

TEST(CheckParameters, OwnedOnesSayWhatDecidesInstead) {
  EXPECT_EQ(said("pool_mode", "session"), "can't be set: spec.poolMode decides it");
  EXPECT_EQ(said("default_pool_size", "5"),
            "can't be set: spec.budget.serverConnections decides it");
  EXPECT_EQ(said("max_client_conn", "5"),
            "can't be set: spec.scaling.clientsPerReplica decides it");
  EXPECT_THAT(said("disable_pqexec", "1"), HasSubstr("lock the operator out"));
  for (const Setting& setting : all_settings()) {
    if (setting.owned.empty()) continue;
    EXPECT_EQ(said(std::string(setting.name), "1"), "can't be set: " + std::string(setting.owned));
  }
}

TEST(CheckParameters, Flags) {
  for (const char* value : {"", "2", "true", "on", "01", " 1", "1 ", "-1"}) {
    EXPECT_NE(said("log_stats", value), "") << value;
  }
  EXPECT_EQ(said("log_stats", "yes"), "must be 0 or 1");
}

TEST(CheckParameters, Numbers) {
  const char* const words = "must be a whole number from 1024 to 65536";
  EXPECT_EQ(said("pkt_buf", "1024"), "");
  EXPECT_EQ(said("pkt_buf", "65536"), "");
  // An octal, a hexadecimal and a number that overflows: PgBouncer would read something else.
  for (const char* value : {"", "1023", "65537", "4096.0", "0x1000", "010000", "+4096", "-4096",
                            "4294971392", "99999999999999999999", "4096k", "4 096"}) {
    EXPECT_EQ(said("pkt_buf", value), words) << value;
  }
}

TEST(CheckParameters, Seconds) {
  const char* const words = "must be a number of seconds from 1 to 3600, as 30 or 0.5";
  for (const char* value : {"1", "1.5", "3600", "3600.0", "3599.999999"}) {
    EXPECT_EQ(said("server_connect_timeout", value), "") << value;
  }
  for (const char* value :
       {"", ".", "1.", ".5", "0.999", "3600.1", "3601", "01", "1e3", "0x10", "inf", "nan", "-1",
        "1.0000001", "1,5", "1.5.5", "5s", "5min", "99999999999999999999"}) {
    EXPECT_EQ(said("server_connect_timeout", value), words) << value;
  }
  EXPECT_EQ(said("query_timeout", "0.5"), "");
}

TEST(CheckParameters, NoValueCanLeaveItsLine) {
  for (const char* name : {"server_reset_query", "query_timeout", "ignore_startup_parameters"}) {
    for (const std::string& value :
         {std::string("1\n"), std::string("\n1"), std::string("1\r"), std::string("1\npool_mode"),
          std::string("1\t"), std::string("1\0", 2), std::string("1\x7f"), std::string("\v")}) {
      EXPECT_THAT(said(name, value), HasSubstr("line break or another control character"));
    }
  }
  EXPECT_EQ(said("server_reset_query", "\xff"), "is not valid UTF-8");
  EXPECT_EQ(said("server_reset_query", std::string(1024, 'x')), "");
  EXPECT_THAT(said("server_reset_query", std::string(1025, 'x')), HasSubstr("1024 bytes"));
  EXPECT_THAT(said("server_reset_query", " SELECT 1"), HasSubstr("blank"));
  EXPECT_THAT(said("server_reset_query", "SELECT 1 "), HasSubstr("blank"));
}

TEST(CheckParameters, Names) {
  const char* const words = "must be names with commas between them";
  for (const char* value : {"a b", "a,,b", ",", "a,", "a=b", "'a'", "ä", "a;b", "*"}) {
    EXPECT_EQ(said("track_extra_parameters", value), words) << value;
  }
  EXPECT_EQ(said("ignore_startup_parameters", ""), "");
  EXPECT_THAT(said("ignore_startup_parameters", "extra_float_digits,no_options"),
              HasSubstr("must name options too"));
}

TEST(CheckParameters, WhatTheVersionDoesNotHave) {
  const char* const words =
      "needs PgBouncer 1.25, and the pods run 1.24.1: take it out, or choose another "
      "spec.pgbouncer.image";
  EXPECT_EQ(said("transaction_timeout", "60", "1.24.1"), words);
  EXPECT_EQ(said("transaction_timeout", "60", "1.25.0"), "");
  EXPECT_EQ(said("transaction_timeout", "60", "1.26.1"), "");
  EXPECT_EQ(said("transaction_timeout", "60", "2.0"), "");
  EXPECT_EQ(said("transaction_timeout", "60", ""), "") << "not known";
  EXPECT_EQ(said("transaction_timeout", "60", "devel"), "") << "not known";
  EXPECT_THAT(said("pool_idle_timeout", "60", "1.25.2"), HasSubstr("needs PgBouncer 1.26"));
  EXPECT_EQ(said("query_timeout", "60", "1.24.1"), "");
}

TEST(CheckParameters, EveryProblemIsTold) {
  std::vector<std::string> fields;
  for (const auto& problem :
       check_parameters({{"log_stats", "1"}, {"pkt_buf", "x"}, {"pool_mode", "session"}})) {
    fields.push_back(problem.field);
  }
  EXPECT_THAT(fields, ElementsAre("spec.pgbouncer.parameters.pkt_buf",
                                  "spec.pgbouncer.parameters.pool_mode"));
}

TEST(RestartOnly, IsFoundByTheTable) {
  EXPECT_THAT(restart_only_changes("pkt_buf = 4096\nlog_stats = 0\n",
                                   "pkt_buf = 4096\nlog_stats = 1\nquery_timeout = 1\n"),
              IsEmpty());
  EXPECT_THAT(restart_only_changes("listen_port = 1\nunix_socket_dir =\n",
                                   "listen_port = 2\npkt_buf = 4096\nunix_socket_dir =\n"),
              ElementsAre("listen_port", "pkt_buf"));
  EXPECT_EQ(std::count_if(all_settings().begin(), all_settings().end(),
                          [](const Setting& setting) { return setting.restart_only; }),
            14);
}

}  // namespace
}  // namespace pooler::engine::pgbouncer
