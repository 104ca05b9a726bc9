#include "load/url.h"

#include <gtest/gtest.h>

namespace pooler::load {
namespace {

ConnectionUrl must_parse(std::string_view text) {
  std::string error;
  auto url = parse_url(text, error);
  EXPECT_TRUE(url) << text << ": " << error;
  return url.value_or(ConnectionUrl{});
}

std::string must_fail(std::string_view text) {
  std::string error;
  EXPECT_FALSE(parse_url(text, error)) << text;
  EXPECT_FALSE(error.empty());
  return error;
}

TEST(Url, SplitsEveryPart) {
  const auto url = must_parse("postgresql://app:secret@db.example:6432/shop?pgbouncer=true");
  EXPECT_EQ(url.user, "app");
  EXPECT_EQ(url.password, "secret");
  EXPECT_EQ(url.hosts, (std::vector<HostPort>{{"db.example", 6432}}));
  EXPECT_EQ(url.database, "shop");
  EXPECT_EQ(url.parameters.at("pgbouncer"), "true");
}

TEST(Url, DefaultsPortAndDatabase) {
  const auto url = must_parse("postgres://app@db");
  EXPECT_EQ(url.hosts, (std::vector<HostPort>{{"db", 5432}}));
  EXPECT_EQ(url.database, "app");
  EXPECT_EQ(url.password, "");
}

TEST(Url, DecodesPercentInEveryPart) {
  const auto url = must_parse(
      "postgres://we%20ird%22r:p%40%3A%2F%3F%23%25%26%20%22%27%60%5C@db/we%27ird%20db"
      "?application%5Fname=a%26b");
  EXPECT_EQ(url.user, "we ird\"r");
  EXPECT_EQ(url.password, "p@:/?#%& \"'`\\");
  EXPECT_EQ(url.database, "we'ird db");
  EXPECT_EQ(url.parameters.at("application_name"), "a&b");
}

TEST(Url, KeepsUtf8AndLongPasswords) {
  EXPECT_EQ(must_parse("postgres://a:p%C3%A4ssw%C3%B6rd@h/d").password, "pässwörd");
  EXPECT_EQ(must_parse("postgres://a:pässwörd@h/d").password, "pässwörd");
  const std::string longest(900, 'x');
  EXPECT_EQ(must_parse("postgres://a:" + longest + "@h/d").password, longest);
}

TEST(Url, ColonsAfterTheFirstBelongToThePassword) {
  EXPECT_EQ(must_parse("postgres://a:b:c@h/d").password, "b:c");
}

TEST(Url, ReadsIpv6) {
  EXPECT_EQ(must_parse("postgres://a@[::1]:6432/d").hosts, (std::vector<HostPort>{{"::1", 6432}}));
  EXPECT_EQ(must_parse("postgres://a@[fd00::a:1]/d").hosts,
            (std::vector<HostPort>{{"fd00::a:1", 5432}}));
  must_fail("postgres://a@[::1/d");
  must_fail("postgres://a@[::1]x/d");
}

TEST(Url, ReadsSeveralHosts) {
  EXPECT_EQ(must_parse("postgres://a@one,two:7,[::1]:8/d").hosts,
            (std::vector<HostPort>{{"one", 5432}, {"two", 7}, {"::1", 8}}));
}

TEST(Url, ParametersWinOverTheUrlAsInLibpq) {
  const auto url = must_parse("postgres://a:x@h:1/d?user=b&password=y%3D&host=k&port=2&dbname=e");
  EXPECT_EQ(url.user, "b");
  EXPECT_EQ(url.password, "y=");
  EXPECT_EQ(url.hosts, (std::vector<HostPort>{{"k", 2}}));
  EXPECT_EQ(url.database, "e");
}

TEST(Url, RefusesWhatItCannotSpeak) {
  EXPECT_NE(must_fail("postgres://a@h/d?sslmode=require").find("TLS"), std::string::npos);
  EXPECT_NE(must_fail("postgres://a@h/d?sslmode=verify-full").find("TLS"), std::string::npos);
  must_parse("postgres://a@h/d?sslmode=prefer");
  must_fail("postgres://a@/d?host=/var/run/postgresql");
  must_fail("postgres://a@%2Fvar%2Frun/d");
  must_fail("postgres:///d");
}

TEST(Url, RefusesBrokenTextWithoutRepeatingIt) {
  for (const std::string text :
       {"", "app:s3cret@h/d", "mysql://app:s3cret@h/d", "postgres://app:s3cret%@h/d",
        "postgres://app:s3cret%4@h/d", "postgres://app:s3cret%zz@h/d",
        "postgres://app:s3cret%00@h/d", "postgres://app:s3cret@h:0/d",
        "postgres://app:s3cret@h:65536/d", "postgres://app:s3cret@h:s3cret/d",
        "postgres://:s3cret@h/d", "postgres://app:s3cret@h/d?s3cret",
        "postgres://app:s3cret@h/d?port=s3cret"}) {
    EXPECT_EQ(must_fail(text).find("s3cret"), std::string::npos) << text;
  }
}

TEST(HostPort, TakesTheDefaultPort) {
  EXPECT_EQ(parse_host_port("10.0.0.1", 6432), (HostPort{"10.0.0.1", 6432}));
  EXPECT_EQ(parse_host_port("10.0.0.1:1", 6432), (HostPort{"10.0.0.1", 1}));
  EXPECT_EQ(parse_host_port("fd00::1", 6432), (HostPort{"fd00::1", 6432}));
  EXPECT_EQ(parse_host_port("[fd00::1]:1", 6432), (HostPort{"fd00::1", 1}));
  EXPECT_FALSE(parse_host_port("10.0.0.1:99999", 6432));
}

}  // namespace
}  // namespace pooler::load
