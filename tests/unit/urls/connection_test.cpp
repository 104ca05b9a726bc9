#include "urls/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/urls/libpq_witness.h"

namespace pooler::urls {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

Connection parsed(const std::string& uri) {
  auto connection = parse_uri(uri);
  EXPECT_TRUE(connection.ok()) << uri << ": " << (connection.ok() ? "" : connection.error());
  return connection.ok() ? connection.value() : Connection();
}

std::vector<std::string> hostile_texts() {
  std::string ascii;
  for (char c = 32; c < 127; ++c) ascii += c;
  return {"p@:/?#%& \"'\\",
          "pässwörd",
          "a\u00ADb",
          "\u2163",
          std::string(900, 'x'),
          std::string(900, '%'),
          ascii,
          " lead and trail ",
          "+",
          "%41",
          "a,b",
          "[x]",
          "x&y=z",
          "\t"};
}

Connection hostile(const std::string& text) {
  return {.hosts = {{"db.example.com", 5433}},
          .database = text,
          .user = text,
          .password = text,
          .parameters = {{"application_name", text}, {"sslmode", "require"}}};
}

TEST(Uri, RoundTripsHostileTexts) {
  for (const auto& text : hostile_texts()) EXPECT_EQ(parsed(to_uri(hostile(text))), hostile(text));
}

TEST(Uri, IsReadByLibpqAsWeMeanIt) {
  for (const auto& text : hostile_texts()) {
    const auto seen = libpq_reads(to_uri(hostile(text)));
    ASSERT_TRUE(seen) << text;
    const std::map<std::string, std::string> expected = {
        {"host", "db.example.com"}, {"port", "5433"}, {"user", text},
        {"password", text},         {"dbname", text}, {"application_name", text},
        {"sslmode", "require"}};
    for (const auto& [keyword, value] : expected) EXPECT_EQ(seen->at(keyword), value) << keyword;
  }
}

TEST(Uri, EveryByteRoundTrips) {
  for (int byte = 1; byte < 256; ++byte) {
    const Connection connection = hostile("a" + std::string(1, static_cast<char>(byte)) + "b");
    EXPECT_EQ(parsed(to_uri(connection)), connection) << byte;
  }
}

TEST(Uri, HoldsOnlyUnreservedCharactersInItsParts) {
  EXPECT_EQ(percent_encode("aZ9-._~"), "aZ9-._~");
  EXPECT_EQ(percent_encode(" +/ä"), "%20%2B%2F%C3%A4");
}

TEST(Uri, WritesIpv6InBrackets) {
  const Connection connection{
      .hosts = {{"fd00::1", 5432}, {"db", 6000}}, .database = "d", .user = "u"};
  EXPECT_EQ(to_uri(connection), "postgresql://u@[fd00::1]:5432,db:6000/d");
  EXPECT_EQ(host_ports(connection), "[fd00::1]:5432,db:6000");
  EXPECT_EQ(parsed(to_uri(connection)), connection);
  EXPECT_EQ(libpq_reads(to_uri(connection))->at("host"), "fd00::1,db");
}

// URIs in the wild, each with what libpq makes of it (checked against libpq itself below).
struct Wild {
  const char* uri;
  std::vector<HostPort> hosts;
  const char* database;
  const char* user;
  const char* password;
};

const Wild kWild[] = {
    {"postgres://app:pw@db/orders", {{"db", 5432}}, "orders", "app", "pw"},
    {"postgresql://app:pw@db:6000/orders", {{"db", 6000}}, "orders", "app", "pw"},
    {"postgresql://db", {{"db", 5432}}, "", "", ""},
    {"postgresql://db:6000", {{"db", 6000}}, "", "", ""},
    {"postgresql://app@db", {{"db", 5432}}, "app", "app", ""},
    {"postgresql://app:@db/", {{"db", 5432}}, "app", "app", ""},
    {"postgresql://:pw@db/d", {{"db", 5432}}, "d", "", "pw"},
    {"postgresql://a,b:1,[::1]:2/d", {{"a", 5432}, {"b", 1}, {"::1", 2}}, "d", "", ""},
    {"postgresql://u@a:1,b:2/d?sslmode=require", {{"a", 1}, {"b", 2}}, "d", "u", ""},
    {"postgresql:///d?host=h&port=7&user=u&password=p%20w", {{"h", 7}}, "d", "u", "p w"},
    {"postgresql://?host=a,b&port=7", {{"a", 7}, {"b", 7}}, "", "", ""},
    {"postgresql://ignored:1/?host=h&port=2&dbname=d", {{"h", 2}}, "d", "", ""},
    {"postgresql://u%40corp:p%3aw@h/d%2Fe", {{"h", 5432}}, "d/e", "u@corp", "p:w"},
    {"postgresql://u:p:w@h/d", {{"h", 5432}}, "d", "u", "p:w"},
    {"postgresql://h/d?connect_timeout=3&connect_timeout=5", {{"h", 5432}}, "d", "", ""},
    {"postgresql://h/d?", {{"h", 5432}}, "d", "", ""},
    {"postgresql://h/d?connect_timeout=3&", {{"h", 5432}}, "d", "", ""},
    {"postgresql://h?dbname=d", {{"h", 5432}}, "d", "", ""},
    {"postgresql://u:p%25w@h/a/b", {{"h", 5432}}, "a/b", "u", "p%w"},
};

TEST(Uri, ReadsWhatPeopleWrite) {
  for (const auto& wild : kWild) {
    const Connection connection = parsed(wild.uri);
    EXPECT_EQ(connection.hosts, wild.hosts) << wild.uri;
    EXPECT_EQ(connection.database, wild.database) << wild.uri;
    EXPECT_EQ(connection.user, wild.user) << wild.uri;
    EXPECT_EQ(connection.password, wild.password) << wild.uri;
  }
}

TEST(Uri, ReadsAsLibpqDoes) {
  const auto value = [](const auto& values, const char* key) {
    const auto found = values.find(key);
    return found == values.end() ? std::string() : found->second;
  };
  for (const auto& wild : kWild) {
    const auto seen = libpq_reads(wild.uri);
    ASSERT_TRUE(seen) << wild.uri;
    const Connection connection = parsed(wild.uri);
    std::string hosts;
    for (const auto& host : connection.hosts) hosts += (hosts.empty() ? "" : ",") + host.host;
    EXPECT_EQ(hosts, value(*seen, "host")) << wild.uri;
    EXPECT_EQ(connection.user, value(*seen, "user")) << wild.uri;
    EXPECT_EQ(connection.password, value(*seen, "password")) << wild.uri;
    const std::string database = value(*seen, "dbname");
    EXPECT_EQ(connection.database, database.empty() ? connection.user : database) << wild.uri;
  }
}

TEST(Uri, KeepsParametersInOrder) {
  const Connection connection =
      parsed("postgres://h/d?sslmode=prefer&options=-c%20a%3Db&ssl=true&x=&pgbouncer=true");
  EXPECT_THAT(connection.parameters,
              ElementsAre(Pair("sslmode", "require"), Pair("options", "-c a=b"), Pair("x", ""),
                          Pair("pgbouncer", "true")));
  EXPECT_EQ(connection.parameter("options"), "-c a=b");
  EXPECT_EQ(connection.parameter("absent"), "");
}

// Each holds "s3cret" somewhere, which no error may repeat.
const char* const kBroken[] = {
    "",
    "s3cret",
    "mysql://u:s3cret@h/d",
    "POSTGRES://u:s3cret@h/d",
    "postgres:/u:s3cret@h/d",
    "postgres://",
    "postgres:///s3cret",
    "postgres://u:s3cret@/d",
    "postgres://u:s3cret@h:0/d",
    "postgres://u:s3cret@h:65536/d",
    "postgres://u:s3cret@h:port/d",
    "postgres://u:s3cret@h:1,2:3:4/d",
    "postgres://u:s3cret%4@h/d",
    "postgres://u:s3cret%zz@h/d",
    "postgres://u:s3cret%00@h/d",
    "postgres://u:p@s3cret@h/d",
    "postgres://u:s3cret@[::1/d",
    "postgres://u:s3cret@[::1]x/d",
    "postgres://u:s3cret@[]/d",
    "postgres://u:s3cret@a,/d",
    "postgres://u:s3cret@h/d?a",
    "postgres://u:s3cret@h/d?a=b=c",
    "postgres://u:s3cret@h/d?host=/var/run",
    "postgres://u:s3cret@h/d?host=a,b,c&port=1,2",
    "postgres://u:s3cret@%2Frun/d",
    "postgres://u:s3cret@ h/d",
    "postgres://u:s3cret@h\n/d",
    "postgres://u:s3cret@h%0a[databases]/d",
    "jdbc:postgresql://h/d?password=s3cret",
};

TEST(Uri, RefusesBrokenOnesWithoutRepeatingThem) {
  for (const std::string uri : kBroken) {
    const auto connection = parse_uri(uri);
    ASSERT_FALSE(connection.ok()) << uri;
    EXPECT_FALSE(connection.error().empty());
    EXPECT_EQ(connection.error().find("s3cret"), std::string::npos) << uri;
  }
}

TEST(Uri, RefusesAZeroByte) {
  EXPECT_FALSE(parse_uri(std::string("postgres://h/d?a\0b=c", 20)).ok());
}

TEST(Uri, SaysHowToMendTheMostCommonMistakes) {
  EXPECT_THAT(parse_uri("postgres://u:p@ss@h/d").error(), HasSubstr("%40"));
  EXPECT_THAT(parse_uri("postgres://u:100%@h/d").error(), HasSubstr("%25"));
  EXPECT_THAT(parse_uri("postgres://h/d?a=b=c").error(), HasSubstr("%3D"));
}

TEST(Hosts, AreNamesOrAddresses) {
  for (const char* host : {"db", "db.example.com", "db.", "10.0.0.1", "::1", "fd00::a:1", "a_b",
                           "::ffff:10.0.0.1", "1"}) {
    EXPECT_TRUE(is_host(host)) << host;
  }
  for (const char* host : {"", "-a", ".", "a b", "a:b", "[::1]", "fe80::1%eth0", "ä", "/run", "a,b",
                           "a'b", "a\nb", ":", "a;b", "*"}) {
    EXPECT_FALSE(is_host(host)) << host;
  }
  EXPECT_FALSE(is_host(std::string(254, 'a')));
}

// What java.net.URLDecoder makes of a part: pgjdbc decodes all of them with it.
std::string form_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      decoded += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

TEST(Jdbc, CarriesHostileTexts) {
  for (const auto& text : hostile_texts()) {
    const std::string uri = to_jdbc(hostile(text));
    const std::string head = "jdbc:postgresql://db.example.com:5433/";
    ASSERT_EQ(uri.substr(0, head.size()), head);
    const auto query = uri.find('?');
    EXPECT_EQ(form_decoded(uri.substr(head.size(), query - head.size())), text);
    const std::string user = "?user=";
    const auto password = uri.find("&password=");
    EXPECT_EQ(form_decoded(uri.substr(query + user.size(), password - query - user.size())), text);
    const auto end = uri.find('&', password + 1);
    EXPECT_EQ(form_decoded(uri.substr(password + 10, end - password - 10)), text);
  }
}

TEST(Jdbc, TranslatesParametersAndDropsWhatPgjdbcDoesNotKnow) {
  const Connection connection = parsed(
      "postgres://u:p@[::1]:1,h:2/d?sslmode=verify-full&connect_timeout=5&application_name=shop&"
      "target_session_attrs=read-write&pgbouncer=true&keepalives=1");
  EXPECT_EQ(to_jdbc(connection),
            "jdbc:postgresql://[::1]:1,h:2/d?user=u&password=p&sslmode=verify-full&"
            "connectTimeout=5&ApplicationName=shop&targetServerType=primary");
}

TEST(Libpq, ReadsTheKeywordForm) {
  for (const auto& text : hostile_texts()) {
    const auto seen = libpq_reads(to_libpq(hostile(text)));
    ASSERT_TRUE(seen) << text;
    for (const char* keyword : {"user", "password", "dbname", "application_name"}) {
      EXPECT_EQ(seen->at(keyword), text) << keyword;
    }
    EXPECT_EQ(seen->at("host"), "db.example.com");
    EXPECT_EQ(seen->at("port"), "5433");
    EXPECT_EQ(seen->at("sslmode"), "require");
  }
  const Connection several =
      parsed("postgres://u:p@[::1]:1,h:2/d?pgbouncer=true&prepareThreshold=0");
  EXPECT_EQ(to_libpq(several), "host='::1,h' port='1,2' dbname='d' user='u' password='p'");
}

TEST(Npgsql, QuotesWhatIsNotPlain) {
  EXPECT_EQ(to_npgsql(parsed("postgres://u:p@h/d?sslmode=verify-full&application_name=a%22b%3Bc&"
                             "connect_timeout=5&pgbouncer=true&keepalives=1")),
            "Host=h;Port=5432;Database=d;Username=u;Password=p;SSL Mode=VerifyFull;"
            "Application Name=\"a\"\"b;c\";Timeout=5");
  EXPECT_EQ(to_npgsql(parsed("postgres://u:%20p'%22@[::1]:1,h:2/d?target_session_attrs=read-write&"
                             "NoResetOnClose=true")),
            "Host=[::1]:1,h:2;Database=d;Username=u;Password=\" p'\"\"\";"
            "Target Session Attributes=read-write;No Reset On Close=true");
  EXPECT_EQ(to_npgsql(parsed("postgres://u:p@[fd00::1]/d")),
            "Host=fd00::1;Port=5432;Database=d;Username=u;Password=p");
}

TEST(SqlAlchemy, PutsIntoThePathOnlyWhatNeedsNoDecoding) {
  EXPECT_EQ(to_sqlalchemy_asyncpg(parsed("postgres://u%40:p%2F@[::1]:1/d?sslmode=require&x=y")),
            "postgresql+asyncpg://u%40:p%2F@[::1]:1/d?ssl=require");
  EXPECT_EQ(to_sqlalchemy_asyncpg(parsed("postgres://u:p@a:1,[::1]:1/d%3Fe")),
            "postgresql+asyncpg://u:p@/?host=a%2C%3A%3A1&port=1%2C1&database=d%3Fe");
}

TEST(Pgpass, EscapesItsSeparators) {
  const Connection connection{.hosts = {{"fd00::1", 1}, {"h", 2}},
                              .database = "a:b",
                              .user = "c\\d",
                              .password = "p@:/?#%& \"'\\"};
  EXPECT_EQ(to_pgpass(connection),
            "fd00\\:\\:1:1:a\\:b:c\\\\d:p@\\:/?#%& \"'\\\\\n"
            "h:2:a\\:b:c\\\\d:p@\\:/?#%& \"'\\\\\n");
}

}  // namespace
}  // namespace pooler::urls
