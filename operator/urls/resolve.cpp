#include <algorithm>
#include <array>

#include "base/strings.h"
#include "urls/connection.h"
#include "urls/parameters.h"
#include "urls/uri_parts.h"

namespace pooler::urls {
namespace {

using Values = std::map<std::string, std::string>;

constexpr std::string_view kSecretField = "spec.database.secretRef";

using Names = std::array<std::string_view, 6>;  // the rest empty

// How the parts of a login are called in Secrets that nobody made for this operator. A Secret is
// read by the first family that has a password or a URI in it, and by no other: a user of one
// and a password of another don't belong together. Within a list the first name that is there
// counts. Keys of a pooler (pgbouncer-uri, pgbouncer-host, ...) are in no list on purpose.
struct Family {
  Names uri, host, port, dbname, user, password;
};

constexpr std::array kFamilies = std::to_array<Family>({
    // CloudNativePG (-app), Crunchy and Percona (-pguser-), Zalando, https://servicebinding.io, AWS
    // Secrets Manager, External Secrets.
    {.uri = {"uri", "url", "connectionString", "connection-string", "connection_string"},
     .host = {"host", "hostname", "endpoint"},
     .port = {"port"},
     .dbname = {"dbname", "database"},
     .user = {"username", "user"},
     .password = {"password"}},
    // Environments of applications. Where one has two URLs, the database is the one past a pooler.
    {.uri = {"DATABASE_URL_UNPOOLED", "POSTGRES_URL_NON_POOLING", "DIRECT_URL", "DATABASE_URL",
             "DATABASE_URI", "POSTGRES_URL"},
     .host = {},
     .port = {},
     .dbname = {},
     .user = {},
     .password = {}},
    // libpq's own environment.
    {.uri = {},
     .host = {"PGHOST"},
     .port = {"PGPORT"},
     .dbname = {"PGDATABASE"},
     .user = {"PGUSER"},
     .password = {"PGPASSWORD"}},
    // Of the postgres image, and of many applications.
    {.uri = {},
     .host = {"POSTGRES_HOST"},
     .port = {"POSTGRES_PORT"},
     .dbname = {"POSTGRES_DB"},
     .user = {"POSTGRES_USER"},
     .password = {"POSTGRES_PASSWORD"}},
    {.uri = {},
     .host = {"DB_HOST"},
     .port = {"DB_PORT"},
     .dbname = {"DB_NAME"},
     .user = {"DB_USER"},
     .password = {"DB_PASSWORD"}},
});

// A value of the Secret and the key that it stands under.
struct Found {
  std::string key;
  std::string value;
};

// The parts of one login, each from the strongest source that has it.
class Resolver {
 public:
  Resolver(const api::Database& database, const Values& secret, std::string_view ns)
      : database_(database), secret_(secret), ns_(ns) {}

  Result<Connection, api::Problem> resolve() {
    choose_family();
    read_uri();
    Connection connection;
    connection.hosts = hosts();
    connection.user = first_of(database_.user, user(), uri_.user);
    connection.password = first_of("", password(), uri_.password);
    connection.database = first_of(database_.name, dbname(), uri_.database);
    if (connection.database.empty()) connection.database = connection.user;
    connection.parameters = uri_.parameters;
    set_sslmode(connection);
    require(connection.user, database_.keys.user, "user", "spec.database.user");
    require(connection.password, database_.keys.password, "password", "");
    if (problem_) return failure(*problem_);
    return connection;
  }

  Result<Connection, api::Problem> resolve_supabase(const std::string& project) {
    choose_family();
    read_uri();
    Connection connection;
    connection.hosts = {{"db." + project + ".supabase.co", kDefaultPostgresPort}};
    connection.user = without_project(first_of(database_.user, user(), uri_.user), project);
    connection.password = first_of("", password(), uri_.password);
    connection.database = first_of(database_.name, dbname(), uri_.database);
    if (connection.user.empty()) connection.user = "postgres";
    if (connection.database.empty()) connection.database = "postgres";
    connection.parameters = uri_.parameters;
    set_sslmode(connection);
    require(connection.password, database_.keys.password, "password", "");
    check_host(connection.hosts.front().host);
    for (api::Problem& wrong : check_login(connection)) fail(std::move(wrong));
    if (problem_) return failure(*problem_);
    return for_libpq(connection);
  }

 private:
  // "postgres.<project>" is what the pooler calls the user.
  std::string without_project(const std::string& name, const std::string& project) {
    const auto dot = name.rfind('.');
    if (dot == std::string::npos) return name;
    const std::string suffix = name.substr(dot + 1);
    if (suffix == project) return name.substr(0, dot);
    if (api::is_supabase_project_ref(suffix)) {
      fail({std::string(api::reason::kSecretInvalid), std::string(kSecretField),
            "the user in Secret " + database_.secret_name +
                " (or in spec.database.user) is of another project than spec.supabase.projectRef: "
                "correct one of them"});
    }
    return name;
  }

  // A password is not sent to another server than it is for.
  void check_host(const std::string& expected) {
    const auto discrete = host();
    const std::string given = discrete ? discrete->value : uri_.hosts.value_or("");
    if (given.empty() || given == expected || api::is_supabase_pooler_host(given)) return;
    invalid(discrete ? "host" : "uri", discrete ? discrete->key : uri_key_,
            "leads to another server than the project of spec.supabase.projectRef: correct it, or "
            "take it out (the password alone is enough)");
  }

  // nullopt where the Secret lacks the key, or has it empty.
  std::optional<Found> value(std::string_view key) const {
    const auto found = secret_.find(std::string(key));
    if (found == secret_.end() || found->second.empty()) return std::nullopt;
    return Found{found->first, found->second};
  }

  // Under the key that the spec names; under one of `others` only where that one is the default.
  std::optional<Found> value(const std::string& key, const std::string& standard,
                             const Names& others) const {
    auto named = value(key);
    if (named || key != standard) return named;
    for (const std::string_view other : others) {
      if (auto found = value(other)) return found;
    }
    return std::nullopt;
  }

  // A line break at the end is what `echo` leaves, and can't be meant in a host, port or URI.
  static std::optional<Found> trimmed(std::optional<Found> found) {
    if (found) found->value = std::string(trim(found->value));
    if (found && found->value.empty()) return std::nullopt;
    return found;
  }

  std::optional<Found> uri(const Family& family) const {
    const std::string& key = database_.keys.uri;
    auto named = trimmed(value(key));
    if (named || key != standard_.uri) return named;
    for (const std::string_view other : family.uri) {
      auto found = trimmed(value(other));
      // What was not named may be anything: an address of a web page, a JDBC URL.
      if (found && is_postgres_uri(found->value)) return found;
    }
    return std::nullopt;
  }
  std::optional<Found> host() const {
    return trimmed(value(database_.keys.host, standard_.host, family_->host));
  }
  std::optional<Found> port_text() const {
    return trimmed(value(database_.keys.port, standard_.port, family_->port));
  }
  std::optional<Found> dbname() const {
    return value(database_.keys.dbname, standard_.dbname, family_->dbname);
  }
  std::optional<Found> user() const {
    return value(database_.keys.user, standard_.user, family_->user);
  }
  std::optional<Found> password() const { return password(*family_); }
  std::optional<Found> password(const Family& family) const {
    return value(database_.keys.password, standard_.password, family.password);
  }

  void choose_family() {
    const auto* const chosen =
        std::find_if(kFamilies.begin(), kFamilies.end(), [this](const Family& family) {
          return uri(family).has_value() || password(family).has_value();
        });
    if (chosen != kFamilies.end()) family_ = chosen;
  }

  static std::string first_of(const std::string& inline_value, const std::optional<Found>& discrete,
                              const std::optional<std::string>& from_uri) {
    if (!inline_value.empty()) return inline_value;
    return discrete ? discrete->value : from_uri.value_or("");
  }

  void read_uri() {
    const auto text = uri(*family_);
    if (!text) return;
    uri_key_ = text->key;
    auto parts = parse_parts(text->value);
    if (!parts) return invalid("uri", uri_key_, "is no connection URI: " + parts.error());
    uri_ = std::move(*parts);
  }

  std::vector<HostPort> hosts() {
    const auto discrete = host();
    if (database_.host.empty() && !discrete) return hosts_of_uri();
    const std::string host =
        qualified(unbracketed(database_.host.empty() ? discrete->value : database_.host));
    if (!is_host(host)) {
      const std::string wrong =
          "is neither a host name nor an address; the port has a key of its own";
      if (database_.host.empty()) {
        invalid("host", discrete->key, wrong);
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
      invalid("uri", uri_key_, "can't be used: " + pairs.error());
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
    const auto text = port_text();
    if (!text) return std::nullopt;
    const auto number = parse_port(text->value);
    if (!number) invalid("port", text->key, "is no number from 1 to 65535");
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

  void set_sslmode(Connection& connection) {
    const auto mode = api::mode_of(database_.tls);
    if (!mode && !database_.tls.client_secret.empty() &&
        connection.parameter("sslmode") == "disable") {
      invalid(
          "uri", uri_key_,
          "says sslmode=disable, and spec.database.tls.clientCertSecretRef is only ever shown on "
          "an encrypted connection: take one of them out");
    }
    if (!mode) return;
    std::erase_if(connection.parameters, [](const auto& each) { return each.first == "sslmode"; });
    connection.parameters.emplace_back("sslmode", api::to_string(*mode));
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
  const api::SecretKeys standard_;
  const Family* family_ = kFamilies.data();
  UriParts uri_;
  std::string uri_key_;
  std::optional<api::Problem> problem_;  // the first one
};

}  // namespace

Result<Connection, api::Problem> resolve(const api::Database& database, const Values& secret,
                                         std::string_view ns) {
  return Resolver(database, secret, ns).resolve();
}

Result<Connection, api::Problem> resolve_supabase(const api::Spec& spec, const Values& secret) {
  return Resolver(spec.database, secret, {}).resolve_supabase(spec.supabase->project_ref);
}

}  // namespace pooler::urls
