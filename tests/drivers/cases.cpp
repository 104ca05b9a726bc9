// Prints hostile connections in every form that is published, and what is meant by each, for the
// programs of this folder: lines of fields with tabs between, values in base64.
//
//   want  CASE FORM PART VALUE     PART: host port user password database sslmode application_name
//   url   CASE FORM VALUE
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "base/strings.h"
#include "urls/connection.h"

namespace pooler::urls {
namespace {

struct Case {
  std::string name;
  Connection connection;
};

std::vector<Case> cases() {
  std::string ascii;
  for (char c = 32; c < 127; ++c) ascii += c;
  const std::pair<const char*, std::string> texts[] = {{"plain", "orders"},
                                                       {"url", "p@:/?#%& \"'\\"},
                                                       {"umlaut", "pässwörd"},
                                                       {"soft-hyphen", "a\u00ADb"},
                                                       {"roman", "\u2163"},
                                                       {"ascii", ascii},
                                                       {"long", std::string(900, '%')},
                                                       {"blanks", " a b "},
                                                       {"plus", "a+b"},
                                                       {"encoded", "%41%2F"},
                                                       {"separators", "a,b;c=d"},
                                                       {"brackets", "[x]{y}"},
                                                       {"quotes", "'a' \"b\""},
                                                       {"tab", "a\tb"},
                                                       {"semicolon", ";"},
                                                       {"dollar", "$(id)`x`"}};
  std::vector<Case> all;
  for (const auto& [name, text] : texts) {
    const Connection connection{.hosts = {{"db.example.com", 5433}},
                                .database = text,
                                .user = text,
                                .password = text,
                                .parameters = {{"sslmode", "require"}, {"application_name", text}}};
    all.push_back({name, connection});
  }
  Connection connection = all.front().connection;
  connection.hosts = {{"fd00::1", 6432}};
  all.push_back({"ipv6", connection});
  connection.hosts = {{"a.example.com", 1}, {"b.example.com", 2}};
  all.push_back({"several", connection});
  connection.hosts = {{"a.example.com", 1}, {"fd00::1", 2}};
  all.push_back({"several-ipv6", connection});
  return all;
}

struct Form {
  const char* name;
  std::string (*make)(const Connection&);
  bool parameters;  // has application_name
};
constexpr std::array kForms = std::to_array<Form>({{"uri", to_uri, true},
                                                   {"jdbc", to_jdbc, true},
                                                   {"npgsql", to_npgsql, true},
                                                   {"libpq", to_libpq, true},
                                                   {"sqlalchemy", to_sqlalchemy_asyncpg, false},
                                                   {"pgpass", to_pgpass, false}});

void print(const std::string& head, const std::string& value) {
  std::printf("%s\t%s\n", head.c_str(), base64_encode(value).c_str());
}

void print(const Case& each, const Form& form) {
  const std::string where = each.name + "\t" + form.name;
  const Connection& connection = each.connection;
  std::string ports;  // one for each host, whatever the form makes of equal ones
  for (const auto& host : connection.hosts) {
    ports += (ports.empty() ? "" : ",") + std::to_string(host.port);
  }
  print("want\t" + where + "\thost", hosts_of(connection));
  print("want\t" + where + "\tport", ports);
  print("want\t" + where + "\tuser", connection.user);
  print("want\t" + where + "\tpassword", connection.password);
  print("want\t" + where + "\tdatabase", connection.database);
  print("want\t" + where + "\tsslmode", connection.parameter("sslmode"));
  if (form.parameters) {
    print("want\t" + where + "\tapplication_name", connection.parameter("application_name"));
  }
  print("url\t" + where, form.make(connection));
}

}  // namespace
}  // namespace pooler::urls

int main() {
  for (const auto& each : pooler::urls::cases()) {
    for (const auto& form : pooler::urls::kForms) pooler::urls::print(each, form);
  }
}
