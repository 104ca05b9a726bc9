// Every password logs in: directly and through both versions of PgBouncer, with the very strings
// that the published Secret holds, read by libpq itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <memory>
#include <tuple>

#include "pooler/servers.h"
#include "urls/published.h"

namespace pooler::ring {
namespace {

struct Case {
  const char* name;
  std::string password;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = [] {
    std::string printable;
    for (char c = 0x20; c < 0x7f; ++c) printable += c;
    std::string umlauts;
    for (int i = 0; i < 450; ++i) umlauts += "ü";  // two bytes each
    return std::vector<Case>{
        {"Plain", "s3cret"},
        {"OfAUrl", "p@:/?#%& \"'\\"},
        {"Umlauts", "pässwörd"},
        {"Long", std::string(900, 'x')},
        {"LongUmlauts", umlauts},
        {"SingleQuotes", "''it's''"},
        {"DoubleQuotes", "\"\"quoted\""},
        {"Backslashes", "\\\\ends with one\\"},
        {"Semicolon", ";;comment"},
        {"Hash", "# comment"},
        {"Percent", "%41%zz"},
        {"Include", "%include x"},
        {"Header", "[pgbouncer]"},
        {"Equals", "a=b = c"},
        {"Blanks", "  in front and behind  "},
        {"Dollar", "$(POD_NAME) ${x} $1"},
        {"AllPrintable", printable},
        {"SoftHyphen", "pass\u00adword"},
        {"RomanNumeral", "pass\u2163word"},
        {"NonBreakingBlank", "pass\u00a0word"},
        {"Emoji", "🔑 pass"},
    };
  }();
  return all;
}

// What libpq says to a URI; "" where it logs in and asks successfully.
std::string trouble_with(const std::string& uri) {
  const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(PQconnectdb(uri.c_str()), &PQfinish);
  if (PQstatus(connection.get()) != CONNECTION_OK) return PQerrorMessage(connection.get());
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
      PQexec(connection.get(), "SELECT current_user"), &PQclear);
  if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) return PQerrorMessage(connection.get());
  return PQgetvalue(result.get(), 0, 0) == std::string("app") ? "" : "logged in as somebody else";
}

class Passwords : public ::testing::TestWithParam<std::tuple<Version, std::size_t>> {};

TEST_P(Passwords, LogIn) {
  const auto& [version, index] = GetParam();
  const std::string& password = cases().at(index).password;
  const urls::Connection direct = shared_postgres().make_user("app", password, "orders");
  ASSERT_TRUE(engine::pgbouncer::check(direct).empty());
  PgBouncer pgbouncer(version, direct);
  pgbouncer.start();

  const auto keys = urls::published_keys({pgbouncer.pooled(), direct}, api::ConnectionSecret());
  EXPECT_EQ(trouble_with(keys.at("DATABASE_URL")), "");
  EXPECT_EQ(trouble_with(keys.at("DATABASE_POOLED_URL")), "");
  EXPECT_EQ(trouble_with(keys.at("uri")), "");
  EXPECT_EQ(value_of(pgbouncer.pooled(), "SELECT current_user"), "app");

  urls::Connection wrong = pgbouncer.pooled();
  wrong.password += "x";
  EXPECT_THAT(value_of(wrong, "SELECT 1"), ::testing::StartsWith("error: "));
}

INSTANTIATE_TEST_SUITE_P(PgBouncer, Passwords,
                         ::testing::Combine(::testing::Values(Version::k124, Version::k126),
                                            ::testing::Range<std::size_t>(0, cases().size())),
                         [](const auto& each) {
                           return std::string(std::get<0>(each.param) == Version::k124 ? "Trixie"
                                                                                       : "Forky") +
                                  cases().at(std::get<1>(each.param)).name;
                         });

}  // namespace
}  // namespace pooler::ring
