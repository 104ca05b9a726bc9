// What the operator renders, as both versions of PgBouncer take it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "base/strings.h"
#include "engine/pgbouncer/console.h"
#include "engine/pgbouncer/parameters.h"
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

// ---- spec.pgbouncer.parameters

using Setting = console::Setting;

class Parameters : public Files {
 protected:
  static bool has(const Setting& setting) {
    return GetParam() == Version::k124 ? setting.since.empty() : setting.gone.empty();
  }
  // As SHOW CONFIG writes a value: of seconds six digits.
  static std::string shown(const Setting& setting, const std::string& value) {
    if (setting.kind != Setting::Kind::kSeconds) return value;
    std::array<char, 32> text{};
    (void)std::snprintf(text.data(), text.size(), "%g", std::strtod(value.c_str(), nullptr));
    return text.data();
  }
  static std::vector<std::string> both_ends(const Setting& setting) {
    const std::string lowest = std::to_string(setting.lowest);
    const std::string highest = std::to_string(setting.highest);
    switch (setting.kind) {
      case Setting::Kind::kFlag:
        return {"0", "1"};
      case Setting::Kind::kNumber:
        return {lowest, highest};
      case Setting::Kind::kSeconds:
        return {lowest, highest, lowest + ".5"};
      case Setting::Kind::kText:
        return {"", std::string(console::kMaxParameterBytes, 'x')};
      case Setting::Kind::kNames:
        return {"", "options, extra_float_digits,search_path"};
    }
    return {};
  }
};

TEST_P(Parameters, TheTableIsWhatThisVersionHas) {
  PgBouncer pgbouncer(GetParam(), postgres_.make_user("app", "s3cret", "orders"));
  pgbouncer.start();
  const engine::Rows rows = show(pgbouncer, console::kShowConfig);
  std::set<std::string> unseen;
  for (const Setting& setting : console::all_settings()) {
    if (has(setting)) unseen.emplace(setting.name);
  }
  for (const auto& row : rows.cells) {
    const std::string name = row.at(0).value_or("");
    const Setting* setting = console::find_setting(name);
    ASSERT_NE(setting, nullptr) << name;
    EXPECT_EQ(unseen.erase(name), 1U) << name;
    EXPECT_EQ(row.at(3).value_or(""), setting->restart_only ? "no" : "yes") << name;
    if (!setting->owned.empty()) continue;
    const bool older = GetParam() == Version::k124 && setting->initial_in_124;
    const std::string initial(older ? *setting->initial_in_124 : setting->initial);
    EXPECT_EQ(row.at(2).value_or(""), initial) << name;
  }
  EXPECT_THAT(unseen, ::testing::IsEmpty());
}

// In force after a RELOAD, or a start, with what the operator needs working as before.
TEST_P(Parameters, BothEndsOfEachRangeAreTaken) {
  const auto database = postgres_.make_user("app", "s3cret", "orders");
  PgBouncer reloaded(GetParam(), database);
  reloaded.start();
  for (const Setting& setting : console::all_settings()) {
    if (!setting.owned.empty() || !has(setting)) continue;
    for (const std::string& value : both_ends(setting)) {
      const std::string name(setting.name);
      const api::Texts parameters = {{name, value}};
      ASSERT_THAT(console::check_parameters(parameters, number_of(GetParam())),
                  ::testing::IsEmpty())
          << name << " = " << value;
      PgBouncer started(GetParam(), database);
      PgBouncer& pgbouncer = setting.restart_only ? started : reloaded;
      if (setting.restart_only) {
        started.set_parameters(parameters);
        started.start();
      } else {
        api::PoolerConfig config = PgBouncer::config();
        config.spec.pgbouncer.parameters = parameters;
        const auto next = console::render(config, {database, reloaded.admin(), 4});
        reloaded.write_files(next, next.hash);
        EXPECT_TRUE(ask(reloaded.console(), "RELOAD").ok());
        EXPECT_EQ(settings(reloaded)["syslog_ident"], next.hash) << name << " = " << value;
      }
      EXPECT_EQ(settings(pgbouncer)[name], shown(setting, value)) << name;
      EXPECT_EQ(value_of(pgbouncer.pooled(), "SELECT current_user"), "app")
          << name << " = " << value;
    }
  }
  expect_no_complaint(reloaded);
}

// What the table refuses because of its version stops the whole file: hence the column.
TEST_P(Parameters, NewerOnesAreRefusedByOlderVersions) {
  for (const Setting& setting : console::all_settings()) {
    if (setting.since.empty() || !setting.owned.empty()) continue;
    PgBouncer pgbouncer(GetParam(), postgres_.make_user("app", "s3cret", "orders"));
    pgbouncer.set_parameters({{std::string(setting.name), std::string(setting.initial)}});
    if (GetParam() == Version::k126) {
      EXPECT_NO_THROW(pgbouncer.start()) << setting.name;
    } else {
      EXPECT_ANY_THROW(pgbouncer.start()) << setting.name;
    }
  }
}

// ---- hostile values

constexpr int kHostileValues = 200;

// One of many, with something dangerous at both ends: each is different.
std::string hostile(int n) {
  static const std::vector<std::string> pieces = {"'",
                                                  "\"",
                                                  "\\",
                                                  "''",
                                                  "\"\" ",
                                                  "%include /etc/pgbouncer/x",
                                                  "[pgbouncer]",
                                                  "[users]",
                                                  ";",
                                                  "#",
                                                  " = ",
                                                  "admin_users = app",
                                                  "p@:/?#%& \"'\\",
                                                  "pässwörd",
                                                  "\u00a0",
                                                  "\u00ad\u2163",
                                                  "🔑",
                                                  "$(POD_NAME)",
                                                  "' host='192.0.2.1",
                                                  "\" \"md5x",
                                                  "--",
                                                  "*/",
                                                  "\\n",
                                                  "%41%00",
                                                  ",",
                                                  " ",
                                                  std::string(300, 'x') + "'\"\\"};
  const auto count = static_cast<int>(pieces.size());
  const auto piece = [&](int i) { return pieces.at(static_cast<std::size_t>(i % count)); };
  return piece(n) + std::to_string(n) + piece(n * 7 + n / count);
}

// A name that Postgres can have: at most 63 bytes, both ends kept.
std::string short_of(std::string text) {
  const auto inside = [&text](std::size_t at) {  // of a character
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80U;
  };
  if (text.size() <= 63) return text;
  std::size_t begin = 30;
  std::size_t end = text.size() - 30;
  while (inside(begin)) --begin;
  while (inside(end)) ++end;
  return text.erase(begin, end - begin);
}

class Hostile : public Files {
 protected:
  // All settings but those that every start changes.
  std::map<std::string, std::string> lasting_settings(PgBouncer& pgbouncer) {
    auto found = settings(pgbouncer);
    for (const char* name : {"auth_file", "listen_port", "syslog_ident"}) found.erase(name);
    return found;
  }
  std::set<std::string> databases(PgBouncer& pgbouncer) {
    std::set<std::string> names;
    for (const auto& row : show(pgbouncer, console::kShowDatabases).cells) {
      names.insert(row.at(0).value_or(""));
    }
    return names;
  }
  // Everything that a user can write has this value.
  void check(const std::string& value, const std::map<std::string, std::string>& plain) {
    const std::string name = short_of(value);
    const auto database = postgres_.make_user(name, value, name);
    ASSERT_THAT(console::check(database), ::testing::IsEmpty());
    PgBouncer pgbouncer(GetParam(), database);
    const api::Texts parameters = parameters_of(value);
    pgbouncer.set_parameters(parameters);
    pgbouncer.start();
    auto expected = plain;
    for (const auto& [key, text] : parameters) expected[key] = text;
    EXPECT_EQ(lasting_settings(pgbouncer), expected);
    EXPECT_EQ(settings(pgbouncer)["syslog_ident"], pgbouncer.revision().hash);
    EXPECT_EQ(databases(pgbouncer),
              (std::set<std::string>{"pgbouncer", console::client_database_name(database)}));
    EXPECT_EQ(show(pgbouncer, "SHOW PEERS").cells.size(),
              static_cast<std::size_t>(console::ordinals(PgBouncer::config())));
    EXPECT_EQ(value_of(pgbouncer.pooled(), "SELECT current_user || '/' || current_database()"),
              name + "/" + name);
    urls::Connection wrong = pgbouncer.pooled();
    wrong.password += "x";
    EXPECT_THAT(value_of(wrong, "SELECT 1"), ::testing::StartsWith("error: "));
    postgres_.sql("DROP DATABASE " + sql_name(name) + " WITH (FORCE)");
    postgres_.sql("DROP ROLE " + sql_name(name));
  }
  // Settings that take any text; blanks at its ends are refused, and so taken off here.
  static api::Texts parameters_of(const std::string& value) {
    std::string text = value;
    const api::Texts refused = {{"server_reset_query", text}};
    const bool blank = text.front() == ' ' || text.back() == ' ';
    EXPECT_EQ(console::check_parameters(refused).empty(), !blank);
    text = trim(text);
    api::Texts parameters = {{"server_reset_query", text}, {"server_check_query", text}};
    if (GetParam() == Version::k126) parameters["login_notify_message"] = text;
    return parameters;
  }
};

TEST_P(Hostile, ValuesAddNothingAndComeBackEqual) {
  PgBouncer usual(GetParam(), postgres_.make_user("app", "s3cret", "orders"));
  usual.start();
  const auto plain = lasting_settings(usual);
  std::set<std::string> seen;
  for (int n = 0; n < kHostileValues; ++n) {
    const std::string value = hostile(n);
    SCOPED_TRACE(value);
    ASSERT_TRUE(seen.insert(short_of(value)).second);
    check(value, plain);
    if (HasFatalFailure()) return;
  }
}

std::string name_of(const ::testing::TestParamInfo<Version>& each) {
  return each.param == Version::k124 ? "Trixie" : "Forky";
}

INSTANTIATE_TEST_SUITE_P(PgBouncer, Files, ::testing::Values(Version::k124, Version::k126),
                         name_of);
INSTANTIATE_TEST_SUITE_P(PgBouncer, Parameters, ::testing::Values(Version::k124, Version::k126),
                         name_of);
INSTANTIATE_TEST_SUITE_P(PgBouncer, Hostile, ::testing::Values(Version::k124, Version::k126),
                         name_of);

}  // namespace
}  // namespace pooler::ring
