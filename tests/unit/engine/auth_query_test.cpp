#include "engine/pgbouncer/auth_query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

namespace pooler::engine::pgbouncer {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

api::PoolerConfig with_query(const std::string& query) {
  api::PoolerConfig config;
  config.spec.pgbouncer.auth.mode = api::PoolerAuth::Mode::kQuery;
  config.spec.pgbouncer.auth.query = query;
  return config;
}

std::string trouble(const std::string& query) {
  const auto problems = check_auth_query(with_query(query));
  if (problems.empty()) return "";
  EXPECT_EQ(problems.size(), 1U) << query;
  EXPECT_EQ(problems.front().field, "spec.pgbouncer.auth.query");
  EXPECT_EQ(problems.front().reason, api::reason::kInvalidParameter);
  return problems.front().message;
}

// What is looked for without a schema may be a client's.
TEST(DefaultAuthQuery, HasNoNameWithoutASchema) {
  const std::string query = auth_query(with_query(""));
  EXPECT_EQ(trouble(query), "");
  EXPECT_THAT(query, HasSubstr("pg_catalog.pg_authid"));
  for (const char* role : {"rolcanlogin", "NOT rolsuper", "NOT rolreplication", "rolvaliduntil"}) {
    EXPECT_THAT(query, HasSubstr(role));
  }
  const std::string rest = std::regex_replace(
      query, std::regex("pg_catalog\\.[a-z_]+|OPERATOR\\(pg_catalog\\.[=>]\\)"), "");
  EXPECT_THAT(rest, Not(::testing::ContainsRegex("[=<>+*/~|]"))) << rest;
  EXPECT_THAT(rest, Not(HasSubstr("now")));
}

TEST(AuthQuery, IsTheGivenOne) {
  EXPECT_EQ(auth_query(with_query("SELECT * FROM pooler.lookup($1)")),
            "SELECT * FROM pooler.lookup($1)");
}

TEST(CheckAuthQuery, TakesOneStatementWithTheName) {
  for (const std::string query :
       {"", "SELECT * FROM pooler.lookup($1)", "SELECT $1, 'a;b--c/*$2'",
        "SELECT $1, \"a;b--$2\" FROM t", "SELECT $1, E'it\\'s; $2'", "SELECT $1, e'\\\\'",
        "SELECT $1, E'a''b\\'c;'", "SELECT a$2, $1 FROM t", "SELECT $1::text, $1",
        "SELECT $1, 'it''s'", "WITH x AS (SELECT 1) SELECT $1, 'x' FROM x", "SELECT $1, U&'x'",
        "SELECT $1, passwörd FROM t", "SELECT $1, name'E;'"}) {
    EXPECT_EQ(trouble(query), "") << query;
  }
}

TEST(CheckAuthQuery, RefusesEverythingElse) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"SELECT 1, 2", "must have $1"},
      {"SELECT '$1', 2", "must have $1"},
      {"SELECT \"$1\", 2", "must have $1"},
      {"SELECT a$1, 2 FROM t", "must have $1"},
      {"SELECT $1, 2;", "one statement"},
      {"SELECT $1, 2; DROP TABLE t", "one statement"},
      {"SELECT $1, $2", "no other parameter"},
      {"SELECT $10, 1", "no other parameter"},
      {"SELECT $01, 1", "no other parameter"},
      {"SELECT $1, 2 -- $1", "comment"},
      {"SELECT $1, /* 2 */ 3", "comment"},
      {"SELECT $1, $$x$$", "must not hold a $"},
      {"SELECT $1, $x$x$x$", "must not hold a $"},
      {"SELECT $1, 'x", "not closed"},
      {"SELECT $1, \"x", "not closed"},
      {"SELECT $1, E'x\\'", "not closed"},
      {"SELECT $1, E'x\\", "not closed"},
      {"SELECT $1, 'x\\';'", "one statement"},
      {"SELECT $1, xE'\\';'", "one statement"},
      {"SELECT $1, '\xff'", "UTF-8"},
      {"SELECT $1, 'x'\nauth_type = trust", "line break"},
      {" SELECT $1, 2", "blank"},
      {"SELECT $1, 2 ", "blank"},
  };
  for (const auto& [query, words] : cases) EXPECT_THAT(trouble(query), HasSubstr(words)) << query;
}

TEST(AuthQuestion, HasTheNameInPlaceOfEachParameter) {
  const std::string question =
      auth_question(with_query("SELECT u, '$1' FROM f($1) WHERE u=$1"), "it's\\\"$1");
  EXPECT_THAT(question, HasSubstr("((SELECT u, '$1' FROM f(E'it''s\\\\\"$1') WHERE "
                                  "u=E'it''s\\\\\"$1') UNION ALL SELECT NULL, NULL WHERE false)"));
}

Rows answer(const std::string& found, const std::optional<std::string>& secret) {
  return {{"found", "secret"}, {{found, secret}}};
}

TEST(FoundUser, IsOneWithAPasswordThatPgbouncerCanUse) {
  EXPECT_EQ(trouble_with_found_user(answer("1", "usable")), "");
  EXPECT_THAT(trouble_with_found_user(answer("0", std::nullopt)), HasSubstr("superusers"));
  EXPECT_THAT(trouble_with_found_user(answer("2", "usable")), HasSubstr("2 times"));
  EXPECT_THAT(trouble_with_found_user(answer("1", "none")), HasSubstr("no password"));
  EXPECT_THAT(trouble_with_found_user(answer("1", "md5")), HasSubstr("scram-sha-256"));
  for (const Rows& other : {Rows{}, Rows{{"found"}, {{"1"}}}, answer("x", "usable")}) {
    EXPECT_THAT(trouble_with_found_user(other), Not(IsEmpty()));
  }
}

}  // namespace
}  // namespace pooler::engine::pgbouncer
