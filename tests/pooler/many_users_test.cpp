// spec.pgbouncer.auth.mode Query, as both versions of PgBouncer and Postgres take it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/strings.h"
#include "engine/pgbouncer/auth_query.h"
#include "live/rows.h"
#include "pooler/clients.h"
#include "pooler/servers.h"

namespace pooler::ring {
namespace {

namespace pgbouncer = engine::pgbouncer;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kDatabase = "orders";
const pgbouncer::AuthUser kLookup{"lookup", "l00k \"it' up\\"};

class ManyUsers : public ::testing::TestWithParam<Version> {
 protected:
  ManyUsers() {
    make_role(kLookup.name, kLookup.password);
    grant(kLookup.name);
  }

  // What the default query reads; privileges on it are of each database.
  void grant(const std::string& role) {
    postgres_.sql(
        "GRANT SELECT (rolname, rolpassword, rolcanlogin, rolsuper, rolreplication, rolvaliduntil)"
        " ON pg_catalog.pg_authid TO " +
            sql_name(role),
        kDatabase);
  }
  // May log in with this password, and nothing else of what an earlier test has said of it.
  void make_role(const std::string& name, const std::string& password,
                 const std::string& options = {}) {
    if (postgres_.sql("SELECT 1 FROM pg_roles WHERE rolname = " + sql_string(name)).cells.empty()) {
      postgres_.sql("CREATE ROLE " + sql_name(name));
    }
    postgres_.sql("ALTER ROLE " + sql_name(name) +
                  " LOGIN NOSUPERUSER NOREPLICATION VALID UNTIL 'infinity' PASSWORD " +
                  sql_string(password));
    if (!options.empty()) postgres_.sql("ALTER ROLE " + sql_name(name) + " " + options);
  }
  std::unique_ptr<PgBouncer> start(int floor = 4, const std::string& query = {}) {
    auto pooler = std::make_unique<PgBouncer>(GetParam(), database_);
    pooler->set_lookups(kLookup, query);
    pooler->start(floor);
    return pooler;
  }
  static urls::Connection as(const PgBouncer& pooler, const std::string& user,
                             const std::string& password) {
    urls::Connection way = pooler.pooled();
    way.user = user;
    way.password = password;
    return way;
  }
  static std::string who(const PgBouncer& pooler, const std::string& user,
                         const std::string& password) {
    return value_of(as(pooler, user, password), "SELECT current_user || '/' || session_user");
  }
  std::string count(const std::string& of) {
    return *postgres_.sql("SELECT count(*) FROM pg_stat_activity WHERE " + of).cells.at(0).at(0);
  }
  static void load(PgBouncer& pooler, const pgbouncer::AuthUser& lookup) {
    pooler.set_lookups(lookup);
    const auto next = pooler.render();
    pooler.write_files(next, next.hash);
    EXPECT_TRUE(ask(pooler.console(), "RELOAD").ok()) << pooler.log();
  }

  Postgres& postgres_ = shared_postgres();
  const urls::Connection database_ = postgres_.make_user("app", "s3cret", kDatabase);
};

TEST_P(ManyUsers, EachLogsInAsItself) {
  make_role("anna", "pw of anna");
  make_role("bert", "pw of bert");
  const auto pooler = start();
  EXPECT_EQ(who(*pooler, "app", "s3cret"), "app/app") << "the published one";
  EXPECT_EQ(who(*pooler, "anna", "pw of anna"), "anna/anna");
  EXPECT_EQ(who(*pooler, "bert", "pw of bert"), "bert/bert");
  EXPECT_EQ(who(*pooler, kLookup.name, kLookup.password), "lookup/lookup");
  EXPECT_THAT(who(*pooler, "anna", "pw of bert"), StartsWith("error: "));
  EXPECT_EQ(who(*pooler, "anna", "pw of anna"), "anna/anna");
  EXPECT_TRUE(ask(pooler->console(), "SHOW CONFIG").ok());
}

TEST_P(ManyUsers, InModeSessionToo) {
  make_role("anna", "pw of anna");
  PgBouncer pooler(GetParam(), database_);
  pooler.set_pool_mode(api::PoolMode::kSession);
  pooler.set_lookups(kLookup);
  pooler.start();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(who(pooler, "anna", "pw of anna"), "anna/anna");
}

// The lookups' own role may be the database's user.
TEST_P(ManyUsers, TheDatabasesOwnUserLooksUp) {
  make_role("anna", "pw of anna");
  grant("app");
  PgBouncer pooler(GetParam(), database_);
  pooler.set_lookups({database_.user, database_.password});
  pooler.start();
  EXPECT_EQ(who(pooler, "app", "s3cret"), "app/app");
  EXPECT_EQ(who(pooler, "anna", "pw of anna"), "anna/anna");
}

TEST_P(ManyUsers, WhoMustNotComeInDoesNot) {
  make_role("boss", "pw", "SUPERUSER");
  make_role("copier", "pw", "REPLICATION");
  make_role("expired", "pw", "VALID UNTIL '2020-01-01'");
  make_role("group", "pw", "NOLOGIN");
  make_role("without", "pw", "PASSWORD NULL");
  make_role("anna", "pw of anna");
  const auto pooler = start();
  for (const char* role : {"boss", "copier", "expired", "group", "without", "nobody", ""}) {
    EXPECT_THAT(who(*pooler, role, "pw"), StartsWith("error: ")) << role;
    EXPECT_THAT(who(*pooler, role, ""), StartsWith("error: ")) << role;
  }
  EXPECT_EQ(who(*pooler, "anna", "pw of anna"), "anna/anna") << pooler->log();
  make_role("anna", "pw of anna", "VALID UNTIL '2020-01-01'");
  EXPECT_THAT(who(*pooler, "anna", "pw of anna"), StartsWith("error: ")) << "from now on";
}

// The entry for the lookups would run what is asked on the one connection that all logins need.
TEST_P(ManyUsers, NobodyComesInByTheEntryForTheLookups) {
  make_role("anna", "pw of anna");
  const auto pooler = start();
  EXPECT_EQ(who(*pooler, "anna", "pw of anna"), "anna/anna");
  urls::Connection way = as(*pooler, "anna", "pw of anna");
  way.database = "pooler_operator_auth";
  EXPECT_THAT(value_of(way, "SELECT 1"), StartsWith("error: "));
  way.user = "app";
  way.password = "s3cret";
  EXPECT_THAT(value_of(way, "SELECT 1"), StartsWith("error: "));
}

TEST_P(ManyUsers, AnotherPasswordCountsAtOnce) {
  make_role("anna", "one");
  const auto pooler = start();
  EXPECT_EQ(who(*pooler, "anna", "one"), "anna/anna");
  make_role("anna", "two");
  EXPECT_THAT(who(*pooler, "anna", "one"), StartsWith("error: "));
  EXPECT_EQ(who(*pooler, "anna", "two"), "anna/anna");
  EXPECT_TRUE(ask(pooler->console(), "RECONNECT").ok());
  EXPECT_EQ(who(*pooler, "anna", "two"), "anna/anna") << "in a new server connection";
}

// Each of three users wants more than there is.
TEST_P(ManyUsers, ServerConnectionsStayWithinTheFloor) {
  constexpr int kFloor = 4;
  const std::vector<std::string> users = {"anna", "bert", "carl"};
  for (const std::string& user : users) make_role(user, "pw");
  const std::string pooled = "datname = 'orders' AND usename <> 'postgres'";
  ASSERT_TRUE(wait_until([&] { return count(pooled) == "0"; })) << "an earlier test's are left";
  const auto pooler = start(kFloor);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 4; ++i) {
    for (const std::string& user : users) {
      clients.push_back(std::make_unique<Client>(as(*pooler, user, "pw")));
      ASSERT_EQ(clients.back()->refusal(), "");
    }
  }
  int most = 0;
  for (int round = 0; round < 3; ++round) {
    for (const auto& client : clients) client->send("SELECT pg_sleep(0.1), current_user");
    for (int i = 0; i < 20; ++i) {
      most = std::max(most, std::stoi(count(pooled)));
    }
    for (const auto& client : clients) EXPECT_EQ(client->collect().error, "");
  }
  EXPECT_GT(most, 1);
  EXPECT_LE(most, kFloor);
  EXPECT_EQ(count("datname = 'orders' AND usename = 'lookup'"), "1");
}

TEST_P(ManyUsers, HostileNamesAndPasswords) {
  const std::vector<std::string> texts = {"two  words\"s'",
                                          "' OR true --",
                                          "\"; DROP TABLE x; --",
                                          "back\\slash",
                                          "pässwörd",
                                          "%include x",
                                          "$1",
                                          "a=b;#c",
                                          "[databases]",
                                          "p@:/?#%& \"'\\",
                                          "pgbouncer",
                                          "Anna",
                                          "\u00ad\u2163",
                                          "🔑",
                                          "md5x",
                                          "SCRAM-SHA-25"};
  const auto pooler = start();
  for (const std::string& text : texts) {
    make_role(text, text);
    EXPECT_EQ(value_of(as(*pooler, text, text), "SELECT current_user"), text);
    EXPECT_THAT(value_of(as(*pooler, text, text + "x"), "SELECT 1"), StartsWith("error: "));
    postgres_.sql("DROP ROLE " + sql_name(text));
    EXPECT_THAT(value_of(as(*pooler, text, text), "SELECT 1"), StartsWith("error: ")) << text;
  }
}

TEST_P(ManyUsers, HostileLoginsOfTheRoleThatLooksUp) {
  make_role("anna", "pw");
  for (const std::string text : {"two  words\"s'", "' auth_user='app", "\" \"x", "back\\slash",
                                 " pässwörd ", "%include x"}) {
    make_role(text, text);
    grant(text);
    PgBouncer pooler(GetParam(), database_);
    pooler.set_lookups({text, text});
    pooler.start();
    EXPECT_EQ(who(pooler, "anna", "pw"), "anna/anna") << text << pooler.log();
    postgres_.sql(
        "REVOKE SELECT (rolname, rolpassword, rolcanlogin, rolsuper, rolreplication,"
        " rolvaliduntil) ON pg_catalog.pg_authid FROM " +
            sql_name(text),
        kDatabase);
    pooler.stop(9);
    postgres_.sql("DROP ROLE " + sql_name(text));
  }
}

// What a client puts before pg_catalog is not looked at.
TEST_P(ManyUsers, TablesThatShadowTheCatalogDoNoHarm) {
  for (const std::string table : {"pg_authid", "pg_shadow"}) {
    postgres_.sql("DROP TABLE IF EXISTS public." + table, kDatabase);
    postgres_.sql("CREATE TABLE public." + table +
                      " AS SELECT 'mallory'::name AS rolname, 'evil'::text AS rolpassword, true AS"
                      " rolcanlogin, false AS rolsuper, false AS rolreplication,"
                      " NULL::timestamptz AS rolvaliduntil",
                  kDatabase);
    postgres_.sql("GRANT SELECT ON public." + table + " TO PUBLIC", kDatabase);
  }
  postgres_.sql("ALTER ROLE lookup SET search_path = public, pg_catalog");
  PgBouncer pooler(GetParam(), database_);
  pooler.set_lookups(kLookup);
  pooler.set_parameters({{"track_extra_parameters", "search_path"},
                         {"ignore_startup_parameters", "extra_float_digits,options"}});
  pooler.start();
  for (const char* options : {"", "-c search_path=public,pg_catalog"}) {
    const Client mallory(as(pooler, "mallory", "evil"), {{"options", options}});
    EXPECT_NE(mallory.refusal(), "") << options;
  }
  EXPECT_EQ(who(pooler, "app", "s3cret"), "app/app");
  postgres_.sql("ALTER ROLE lookup RESET search_path");
  for (const std::string table : {"pg_authid", "pg_shadow"}) {
    postgres_.sql("DROP TABLE public." + table, kDatabase);
  }
}

// An open connection would hide that the new password is wrong.
TEST_P(ManyUsers, AReloadTriesTheRolesNewPassword) {
  make_role("anna", "pw");
  const auto pooler = start();
  EXPECT_EQ(who(*pooler, "anna", "pw"), "anna/anna");
  load(*pooler, {kLookup.name, "wrong"});
  EXPECT_THAT(who(*pooler, "anna", "pw"), StartsWith("error: "));
  make_role(kLookup.name, "another");
  load(*pooler, {kLookup.name, "another"});
  std::string answer;
  EXPECT_TRUE(wait_until([&] {
    answer = who(*pooler, "anna", "pw");
    return answer == "anna/anna";
  })) << answer
      << pooler->log();
  EXPECT_EQ(who(*pooler, kLookup.name, "another"), "lookup/lookup");
  EXPECT_THAT(who(*pooler, kLookup.name, kLookup.password), StartsWith("error: "));
}

TEST_P(ManyUsers, OtherQueriesAreLoadedByReload) {
  make_role("anna", "pw");
  const auto pooler = start();
  EXPECT_EQ(who(*pooler, "anna", "pw"), "anna/anna");
  pooler->set_lookups(kLookup,
                      "SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1 "
                      "AND rolname <> 'anna;''[users]# %include'");
  auto next = pooler->render();
  pooler->write_files(next, next.hash);
  EXPECT_TRUE(ask(pooler->console(), "RELOAD").ok());
  EXPECT_EQ(who(*pooler, "anna", "pw"), "anna/anna") << pooler->log();
  pooler->set_lookups(kLookup, "SELECT 'x', 'y' WHERE $1 = 'anna,'");
  next = pooler->render();
  pooler->write_files(next, next.hash);
  EXPECT_TRUE(ask(pooler->console(), "RELOAD").ok());
  EXPECT_THAT(who(*pooler, "anna", "pw"), StartsWith("error: "));
  EXPECT_EQ(value_of(as(*pooler, kLookup.name, kLookup.password), "SELECT 1"), "1");
}

// ---- what docs/how-to/many-users.md gives to copy

// The blocks of SQL on that page.
std::vector<std::string> blocks_of_sql() {
  const std::string page = read_file(SOURCE_DIR "/docs/how-to/many-users.md");
  const std::string fence = "```sql\n";
  std::vector<std::string> blocks;
  for (auto at = page.find(fence); at != std::string::npos; at = page.find(fence, at)) {
    at += fence.size();
    blocks.push_back(page.substr(at, page.find("```", at) - at));
  }
  return blocks;
}

// The line of YAML on that page that names the function.
std::string documented_query() {
  const std::string page = read_file(SOURCE_DIR "/docs/how-to/many-users.md");
  const std::string key = "query: ";
  const auto at = page.find(key) + key.size();
  return page.substr(at, page.find('\n', at) - at);
}

TEST_P(ManyUsers, TheDocumentedSqlWorks) {
  make_role("anna", "pw");
  make_role("boss", "pw", "SUPERUSER");
  make_role("expired", "pw", "VALID UNTIL '2020-01-01'");
  const auto blocks = blocks_of_sql();
  ASSERT_EQ(blocks.size(), 2U);
  postgres_.sql("DROP SCHEMA IF EXISTS pooler CASCADE", kDatabase);
  if (!postgres_.sql("SELECT 1 FROM pg_roles WHERE rolname = 'pooler_lookup'").cells.empty()) {
    postgres_.sql("DROP OWNED BY pooler_lookup", kDatabase);
    postgres_.sql("DROP ROLE pooler_lookup");
  }
  postgres_.sql(blocks[0], kDatabase);
  PgBouncer pooler(GetParam(), database_);
  pooler.set_lookups({"pooler_lookup", "CHANGE-ME"}, documented_query());
  pooler.start();
  EXPECT_EQ(who(pooler, "anna", "pw"), "anna/anna") << pooler.log();
  EXPECT_EQ(who(pooler, "app", "s3cret"), "app/app");
  EXPECT_THAT(who(pooler, "boss", "pw"), StartsWith("error: "));
  EXPECT_THAT(who(pooler, "expired", "pw"), StartsWith("error: "));
  EXPECT_THAT(value_of(as(pooler, "anna", "pw"), "SELECT * FROM pooler.lookup('app')"),
              HasSubstr("permission denied"));
  pooler.stop(9);

  // The other way: what the default query reads.
  postgres_.sql(blocks[1], kDatabase);
  PgBouncer plain(GetParam(), database_);
  plain.set_lookups({"pooler_lookup", "CHANGE-ME"});
  plain.start();
  EXPECT_EQ(who(plain, "anna", "pw"), "anna/anna") << plain.log();
}

INSTANTIATE_TEST_SUITE_P(PgBouncer, ManyUsers, ::testing::Values(Version::k124, Version::k126),
                         [](const auto& each) {
                           return each.param == Version::k124 ? "Trixie" : "Forky";
                         });

// ---- what the operator asks

class AuthQuestion : public ::testing::Test {
 protected:
  static api::PoolerConfig with_query(const std::string& query) {
    api::PoolerConfig config;
    config.spec.pgbouncer.auth.mode = api::PoolerAuth::Mode::kQuery;
    config.spec.pgbouncer.auth.query = query;
    EXPECT_TRUE(pgbouncer::check_auth_query(config).empty()) << query;
    return config;
  }
  // What stands against a login of this user; the SQLSTATE where the query fails.
  std::string trouble(const std::string& user, const std::string& query = {}) {
    const auto answer = ask(way_, pgbouncer::auth_question(with_query(query), user));
    if (!answer.ok()) return answer.error().sqlstate;
    return pgbouncer::trouble_with_found_user(live::to_engine(answer.value()));
  }
  void make(const std::string& role, const std::string& options) {
    if (postgres_.sql("SELECT 1 FROM pg_roles WHERE rolname = " + sql_string(role)).cells.empty()) {
      postgres_.sql("CREATE ROLE " + sql_name(role));
    }
    postgres_.sql("ALTER ROLE " + sql_name(role) + " " + options);
  }

  Postgres& postgres_ = shared_postgres();
  urls::Connection way_ = postgres_.superuser();
};

TEST_F(AuthQuestion, TellsWhoIsFound) {
  const std::string odd = "we'ird \\ \"$1\"";
  make(odd, "LOGIN PASSWORD 'x'");
  EXPECT_EQ(trouble(odd), "");
  postgres_.sql("DROP ROLE " + sql_name(odd));
  EXPECT_THAT(trouble(odd), HasSubstr("not found"));
  EXPECT_THAT(trouble("postgres"), HasSubstr("superusers"));
  make("without", "LOGIN PASSWORD NULL");
  EXPECT_THAT(trouble("without"), HasSubstr("no password"));
  make("old", "LOGIN PASSWORD 'md5" + std::string(32, 'a') + "'");
  EXPECT_THAT(trouble("old"), HasSubstr("MD5"));
}

TEST_F(AuthQuestion, TellsWhatIsWrongWithTheQuery) {
  EXPECT_EQ(trouble("app", "SELECT $1::text, 'plain'"), "");
  EXPECT_EQ(trouble("app", "WITH one AS (SELECT 'x') SELECT $1, 'x' FROM one ORDER BY 1 LIMIT 1"),
            "");
  EXPECT_EQ(trouble("app", "SELECT $1"), "42601") << "one column";
  EXPECT_EQ(trouble("app", "SELECT $1, 'x', 'y'"), "42601") << "three columns";
  EXPECT_EQ(trouble("app", "SELEC $1, 'x'"), "42601");
  EXPECT_EQ(trouble("app", "SELECT * FROM nowhere.lookup($1)"), "3F000");
  EXPECT_THAT(trouble("app", "SELECT $1, 'x' UNION ALL SELECT $1, 'y'"), HasSubstr("2 times"));
  way_ = postgres_.make_user("app", "s3cret", kDatabase);
  postgres_.sql(
      "REVOKE SELECT (rolname, rolpassword, rolcanlogin, rolsuper, rolreplication,"
      " rolvaliduntil) ON pg_catalog.pg_authid FROM app",
      kDatabase);
  EXPECT_EQ(trouble("app"), "42501");
}

}  // namespace
}  // namespace pooler::ring
