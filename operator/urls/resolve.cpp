#include "base/strings.h"
#include "urls/connection.h"
#include "urls/uri_parts.h"

namespace pooler::urls {
namespace {

using Values = std::map<std::string, std::string>;

constexpr std::string_view kSecretField = "spec.database.secretRef";

// The parts of one login, each from the strongest source that has it.
class Resolver {
 public:
  Resolver(const api::Database& database, const Values& secret, std::string_view ns)
      : database_(database), secret_(secret), ns_(ns) {}

  Result<Connection, api::Problem> resolve() {
    read_uri();
    Connection connection;
    connection.hosts = hosts();
    connection.user = first_of(database_.user, value(database_.keys.user), uri_.user);
    connection.password = first_of("", value(database_.keys.password), uri_.password);
    connection.database = first_of(database_.name, value(database_.keys.dbname), uri_.database);
    if (connection.database.empty()) connection.database = connection.user;
    connection.parameters = uri_.parameters;
    require(connection.user, database_.keys.user, "user", "spec.database.user");
    require(connection.password, database_.keys.password, "password", "");
    if (problem_) return failure(*problem_);
    return connection;
  }

 private:
  // nullopt where the Secret lacks the key, or has it empty.
  std::optional<std::string> value(const std::string& key) const {
    const auto found = secret_.find(key);
    if (found == secret_.end() || found->second.empty()) return std::nullopt;
    return found->second;
  }

  // A line break at the end is what `echo` leaves, and can't be meant here.
  std::optional<std::string> trimmed(const std::string& key) const {
    auto text = value(key);
    if (text) text = std::string(trim(*text));
    if (text && text->empty()) return std::nullopt;
    return text;
  }

  static std::string first_of(const std::string& inline_value,
                              const std::optional<std::string>& discrete,
                              const std::optional<std::string>& from_uri) {
    if (!inline_value.empty()) return inline_value;
    return discrete ? *discrete : from_uri.value_or("");
  }

  void read_uri() {
    const auto text = trimmed(database_.keys.uri);
    if (!text) return;
    auto parts = parse_parts(*text);
    if (!parts) return invalid("uri", database_.keys.uri, "is no connection URI: " + parts.error());
    uri_ = std::move(*parts);
  }

  std::vector<HostPort> hosts() {
    const auto discrete = trimmed(database_.keys.host);
    if (database_.host.empty() && !discrete) return hosts_of_uri();
    const std::string host =
        qualified(unbracketed(database_.host.empty() ? *discrete : database_.host));
    if (!is_host(host)) {
      const std::string wrong =
          "is neither a host name nor an address; the port has a key of its own";
      if (database_.host.empty()) {
        invalid("host", database_.keys.host, wrong);
      } else {
        fail({std::string(api::reason::kInvalidParameter), "spec.database.host", wrong});
      }
      return {};
    }
    return {{host, port().value_or(port_of_uri())}};
  }

  std::vector<HostPort> hosts_of_uri() {
    if (!uri_.hosts || uri_.hosts->empty()) {
      missing(database_.keys.host, "host", "spec.database.host");
      return {};
    }
    auto pairs = pair_hosts(*uri_.hosts, uri_.ports.value_or(""));
    if (!pairs) {
      invalid("uri", database_.keys.uri, "can't be used: " + pairs.error());
      return {};
    }
    const auto given = port();
    for (auto& [host, number] : *pairs) {
      host = qualified(host);
      if (given) number = *given;
    }
    return std::move(*pairs);
  }

  // Inline or discrete.
  std::optional<int> port() {
    if (database_.port) return database_.port;
    const auto text = trimmed(database_.keys.port);
    if (!text) return std::nullopt;
    const auto number = parse_port(*text);
    if (!number) invalid("port", database_.keys.port, "is no number from 1 to 65535");
    return number;
  }

  // Where another source has the host: the URI's port, when it has one for all hosts.
  int port_of_uri() const {
    const auto number = parse_port(uri_.ports.value_or(""));
    return number.value_or(kDefaultPostgresPort);
  }

  static std::string unbracketed(const std::string& host) {
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    return bracketed ? host.substr(1, host.size() - 2) : host;
  }

  std::string qualified(const std::string& host) const {
    const bool bare = host.find_first_of(".:") == std::string::npos && host != "localhost";
    return bare && !ns_.empty() ? host + "." + std::string(ns_) + ".svc" : host;
  }

  void require(const std::string& found, const std::string& key, std::string_view what,
               std::string_view inline_field) {
    if (found.empty()) missing(key, what, inline_field);
  }

  void missing(const std::string& key, std::string_view what, std::string_view inline_field) {
    std::string message = "Secret " + database_.secret_name + " has no " + std::string(what) +
                          ": neither key " + key + " nor the URI in key " + database_.keys.uri +
                          " says it. Add the key, or name the right one in " +
                          std::string(kSecretField) + ".keys";
    if (!inline_field.empty()) message += ", or set " + std::string(inline_field);
    fail({std::string(api::reason::kSecretKeyMissing), std::string(kSecretField), message});
  }

  void invalid(std::string_view field, const std::string& key, const std::string& wrong) {
    fail({std::string(api::reason::kSecretInvalid),
          std::string(kSecretField) + ".keys." + std::string(field),
          "key " + key + " of Secret " + database_.secret_name + " " + wrong});
  }

  void fail(api::Problem problem) {
    if (!problem_) problem_ = std::move(problem);
  }

  const api::Database& database_;
  const Values& secret_;
  std::string_view ns_;
  UriParts uri_;
  std::optional<api::Problem> problem_;  // the first one
};

}  // namespace

Result<Connection, api::Problem> resolve(const api::Database& database, const Values& secret,
                                         std::string_view ns) {
  return Resolver(database, secret, ns).resolve();
}

}  // namespace pooler::urls
