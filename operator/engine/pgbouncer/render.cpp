#include "engine/pgbouncer/render.h"

#include <algorithm>
#include <cassert>

#include "base/crypto.h"
#include "base/strings.h"
#include "engine/pgbouncer/auth_query.h"
#include "engine/pgbouncer/console.h"
#include "engine/pgbouncer/parameters.h"
#include "engine/pgbouncer/workload.h"

namespace pooler::engine::pgbouncer {
namespace {

constexpr std::string_view kRevisionPrefix = "rev-";
constexpr std::string_view kDatabasesSuffix = ".databases.ini";
constexpr std::string_view kSettingsSuffix = ".pgbouncer.ini";
constexpr std::string_view kUsersSuffix = ".userlist.txt";
constexpr std::string_view kTlsPrefix = "tls-";
constexpr std::string_view kServerSslmode = "server_tls_sslmode";
constexpr std::string_view kServerAuthorities = "server_tls_ca_file";
constexpr std::string_view kServerChain = "server_tls_cert_file";
constexpr std::string_view kServerKey = "server_tls_key_file";
constexpr std::string_view kClientChain = "client_tls_cert_file";
constexpr std::string_view kClientKey = "client_tls_key_file";
constexpr std::array kTlsSettings = {kServerAuthorities, kServerChain, kServerKey, kClientChain,
                                     kClientKey};
constexpr std::string_view kFloorSetting = "default_pool_size";
constexpr std::string_view kPeerId = "peer_id = ";
constexpr std::string_view kMarker = "syslog_ident = ";
constexpr char kBack = '+';
constexpr std::size_t kHashDigits = 16;
constexpr std::string_view kOddDatabaseKey = "app";
constexpr std::string_view kAuthDatabaseKey = "pooler_operator_auth";
constexpr std::string_view kAuthQuerySetting = "auth_query";
constexpr std::string_view kCaBundle = "/etc/ssl/certs/ca-certificates.crt";

bool is_key(std::string_view name) {
  return !name.empty() && name.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == std::string_view::npos;
}

std::string path_of(std::string_view file) {
  return std::string(kMountPath) + "/" + std::string(file);
}

std::string revision_file(std::string_view hash, std::string_view suffix) {
  return std::string(kRevisionPrefix) + std::string(hash) + std::string(suffix);
}

bool is_hash(std::string_view text) {
  return text.size() == kHashDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// A value of [databases] and [peers]: quotes doubled, a backslash is itself (measured).
std::string ini_quoted(std::string_view value) {
  std::string text = "'";
  for (const char c : value) {
    if (c == '\'') text += '\'';
    text += c;
  }
  return text + "'";
}

// A field of userlist.txt: only the double quote is doubled.
std::string userlist_field(std::string_view value) {
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"') text += '"';
    text += c;
  }
  return text + "\"";
}

std::string joined_hosts(const urls::Connection& database) {
  std::string hosts;
  for (const auto& host : database.hosts) hosts += (hosts.empty() ? "" : ",") + host.host;
  return hosts;
}

// An entry of [databases] for this database; `users`: who comes in, and as whom.
std::string database_entry(std::string_view key, const urls::Connection& database,
                           const std::string& users) {
  std::string text = std::string(key) + " = host=" + ini_quoted(joined_hosts(database)) +
                     " port=" + ini_quoted(std::to_string(database.hosts.front().port)) +
                     " dbname=" + ini_quoted(database.database) + users;
  // libpq tries its hosts in order, PgBouncer by default takes them in turn.
  const bool random = database.parameter("load_balance_hosts") == "random";
  if (database.hosts.size() > 1 && !random) text += " load_balance_hosts='disable'";
  return text + "\n";
}

std::string hash_of(std::string_view key, const std::vector<std::string_view>& files) {
  std::string message;
  for (const auto file : files) message += std::to_string(file.size()) + ":" + std::string(file);
  return hex_encode(hmac_sha256(key, message)).substr(0, kHashDigits);
}

// The entry for the lookups. What is asked without a schema is looked for in pg_catalog; in pool
// mode session that would be undone after each lookup. Another login makes another connect_query,
// and that, on RELOAD, another connection: an open one would say nothing of the new password.
std::string auth_entry(const Inputs& inputs) {
  const std::string login =
      hash_of(inputs.admin.hash_key, {inputs.auth_user.name, inputs.auth_user.password});
  return database_entry(
      kAuthDatabaseKey, inputs.database,
      " pool_mode='transaction' pool_size='1' max_db_connections='1' connect_query=" +
          ini_quoted("SET search_path = pg_catalog, pg_temp /* " + login + " */"));
}

std::string databases_ini(const api::PoolerConfig& config, const Inputs& inputs) {
  const std::string key = client_database_name(inputs.database);
  std::string text = "[databases]\n";
  if (api::has_many_users(config.spec)) {
    text += database_entry(key, inputs.database,
                           " auth_user=" + ini_quoted(inputs.auth_user.name) +
                               " auth_dbname=" + ini_quoted(kAuthDatabaseKey));
    text += auth_entry(inputs);
  } else {
    text += database_entry(key, inputs.database, " user=" + ini_quoted(inputs.database.user));
  }
  text += "\n[peers]\n";
  for (int ordinal = 0; ordinal < ordinals(config); ++ordinal) {
    text += std::to_string(ordinal + 1) + " = host=" +
            ini_quoted(pod_name(config, ordinal) + "." + peers_name(config) + "." + config.ns +
                       ".svc") +
            " port=" + ini_quoted(std::to_string(kPort)) + "\n";
  }
  return text;
}

using Settings = std::vector<std::pair<std::string_view, std::string>>;

// A file of certificates or a key: what it holds, and the setting that leads to it.
struct TlsFile {
  std::string_view setting;
  std::string_view bytes;
  std::string name;
};

// Those that there are. Named by what they hold: PgBouncer takes another path for other TLS, and
// replaces all its server connections then.
std::vector<TlsFile> tls_files(const Inputs& inputs) {
  const Certificates& server = inputs.database.certificates;
  std::vector<TlsFile> files = {{kServerAuthorities, server.authorities, ".crt"},
                                {kServerChain, server.chain, ".crt"},
                                {kServerKey, server.key, ".key"},
                                {kClientChain, inputs.client_tls.chain, ".crt"},
                                {kClientKey, inputs.client_tls.key, ".key"}};
  std::erase_if(files, [](const TlsFile& file) { return file.bytes.empty(); });
  for (TlsFile& file : files) {
    file.name = std::string(kTlsPrefix) + hash_of(inputs.admin.hash_key, {file.bytes}) + file.name;
  }
  return files;
}

void add_tls(Settings& lines, const api::PoolerConfig& config, const Inputs& inputs) {
  const std::string sslmode = inputs.database.parameter("sslmode");
  lines.emplace_back(kServerSslmode, sslmode.empty() ? "prefer" : sslmode);
  // Always: without a file that exists, turning TLS on later fails and keeps the old setting while
  // SHOW CONFIG shows the new one (measured).
  if (inputs.database.certificates.authorities.empty()) {
    lines.emplace_back(kServerAuthorities, kCaBundle);
  }
  const auto mode = api::mode_of(config.spec.client_tls);
  if (mode != api::ClientTls::Mode::kDisabled) {
    const bool required = mode == api::ClientTls::Mode::kRequired;
    lines.emplace_back("client_tls_sslmode", required ? "require" : "allow");
  }
  for (const TlsFile& file : tls_files(inputs)) {
    lines.emplace_back(file.setting, path_of(file.name));
  }
}

// Connections of each pod that only look users up.
int lookups(const api::PoolerConfig& config) { return api::has_many_users(config.spec) ? 1 : 0; }

// What the operator sets by itself; the user's parameters come into it.
Settings own_settings(const api::PoolerConfig& config, const Inputs& inputs) {
  const std::string pool = std::to_string(inputs.floor - lookups(config));
  const int clients = 4 * config.spec.scaling.clients_per_replica;
  Settings lines = {
      {"listen_addr", "*"},
      {"listen_port", std::to_string(kPort)},
      {"listen_backlog", "4096"},
      {"unix_socket_dir", ""},  // the root is read-only
      {"auth_type", "scram-sha-256"},
      {"admin_users", std::string(kAdminUser)},
      {"pool_mode", std::string(api::to_string(config.spec.pool_mode))},
      {"max_client_conn", std::to_string(clients)},
      // What this replica may hold of the server: a pool_size of its own in [databases] would stop
      // SET from changing it, and 0 would mean no limit.
      {kFloorSetting, pool},
      {"max_db_connections", pool},
      {"min_pool_size", "0"},
      {"reserve_pool_size", "0"},
  };
  if (api::has_many_users(config.spec)) {
    lines.emplace_back(kAuthQuerySetting, auth_query(config));
  }
  add_tls(lines, config, inputs);
  const Settings others = {
      {"server_login_retry", "1"},
      {"query_wait_timeout", "30"},
      {"dns_max_ttl", "2"},
      {"dns_nxdomain_ttl", "2"},  // a peer's name appears with its pod
      {"log_connections", "0"},
      {"log_disconnections", "0"},
      // search_path: 1.26 tracks it, with errors that its maintainers have announced.
      {"ignore_startup_parameters", "extra_float_digits,options,search_path"},
      {"max_prepared_statements", "200"},
  };
  lines.insert(lines.end(), others.begin(), others.end());
  return lines;
}

// Everything but the two lines at the end. A parameter takes the place of what the operator would
// set; others follow, by name.
Settings settings(const api::PoolerConfig& config, const Inputs& inputs) {
  Settings lines = own_settings(config, inputs);
  for (const auto& [name, value] : config.spec.pgbouncer.parameters) {
    const auto own = std::find_if(lines.begin(), lines.end(),
                                  [&key = name](const auto& line) { return line.first == key; });
    if (own != lines.end()) {
      own->second = value;
    } else {
      lines.emplace_back(name, value);
    }
  }
  return lines;
}

std::string settings_ini(const api::PoolerConfig& config, const Inputs& inputs,
                         std::string_view hash) {
  std::string text;
  const auto add = [&](std::string_view key, std::string_view value) {
    text += std::string(key) + " =" + (value.empty() ? "" : " ") + std::string(value) + "\n";
  };
  for (const auto& [key, value] : settings(config, inputs)) add(key, value);
  add("auth_file", path_of(revision_file(hash, kUsersSuffix)));
  // Last, so that it proves everything before it.
  return text + std::string(kMarker) + std::string(hash) + "\n";
}

// The user's own password is both what clients log in with and what PgBouncer logs in to the server
// with: the one form that works on all versions, also when it changes. In mode Query only the auth
// user has one here.
std::string userlist(const api::PoolerConfig& config, const Inputs& inputs) {
  const AuthUser known = api::has_many_users(config.spec)
                             ? inputs.auth_user
                             : AuthUser{inputs.database.user, inputs.database.password};
  return userlist_field(known.name) + " " + userlist_field(known.password) + "\n" +
         userlist_field(kAdminUser) + " " + userlist_field(inputs.admin.verifier) + "\n";
}

// What a reload must not take away: the keys of [databases] with their forced users or those that
// look up the others, the names in userlist.txt, and the operator's own entry.
std::vector<std::string> identities(std::string_view databases, std::string_view users) {
  std::vector<std::string> list;
  for (const std::string& line : split(databases, '\n')) {
    // The first such words: a database's name may hold some, too.
    const auto user = std::min(line.find(" auth_user="), line.find(" user="));
    if (user == std::string::npos) continue;
    list.push_back(line.substr(0, line.find(' ')) + line.substr(user));
  }
  for (const std::string& line : split(users, '\n')) {
    const bool admin = line.starts_with(userlist_field(kAdminUser));
    list.push_back(admin ? line : line.substr(0, line.find("\" \"") + 1));
  }
  return list;
}

// Name of the file that a revision's setting leads to; empty: it leads to none of the Secret's.
std::string tls_file(const std::map<std::string, std::string>& files, std::string_view hash,
                     std::string_view setting) {
  const auto settings = files.find(settings_file_name(hash));
  if (settings == files.end()) return {};
  const std::string path = setting_of(settings->second, setting).value_or("");
  const std::string directory = path_of("");
  return path.starts_with(directory) ? path.substr(directory.size()) : std::string();
}

class Checker {
 public:
  explicit Checker(const urls::Connection& database) {
    check_hosts(database);
    check_text("spec.database.name", "the database's name", database.database, 63);
    check_login("spec.database.user", kPasswordField, database.user, database.password);
    check_sslmode(database);
  }
  explicit Checker(const AuthUser& user) {
    constexpr std::string_view kField = "spec.pgbouncer.auth.userSecretRef";
    check_login(kField, kField, user.name, user.password);
  }

  std::vector<api::Problem> problems() { return std::move(problems_); }

 private:
  static constexpr std::string_view kPasswordField = "spec.database.secretRef.keys.password";

  void check_login(std::string_view user_field, std::string_view password_field,
                   const std::string& user, const std::string& password) {
    check_text(user_field, "the user's name", user, 63);
    check_text(password_field, "the password", password, kMaxPasswordBytes);
    if (user == kAdminUser) {
      refuse(user_field, "the user is called " + std::string(kAdminUser) +
                             ", as the operator's own user of the pooler is: use another role");
    }
    if (looks_like_a_hash(password)) {
      refuse(password_field,
             "the password has the form of a password hash, which PgBouncer would take it for: "
             "give the role another password");
    }
  }

  void check_hosts(const urls::Connection& database) {
    constexpr std::string_view kField = "spec.database.host";
    if (database.hosts.empty()) return refuse(kField, "no host is given");
    for (const auto& host : database.hosts) {
      if (!urls::is_host(host.host)) refuse(kField, "a host is neither a name nor an address");
      if (host.port < 1 || host.port > 65535) refuse(kField, "a port is not from 1 to 65535");
      if (host.port != database.hosts.front().port) {
        refuse(kField, "PgBouncer can't have several hosts with different ports: give one host");
      }
    }
    const std::string wanted = database.parameter("target_session_attrs");
    if (database.hosts.size() > 1 && !wanted.empty() && wanted != "any") {
      refuse(kField,
             "PgBouncer can't look for the right one among several hosts "
             "(target_session_attrs): give one host name that leads to it");
    }
  }

  void check_text(std::string_view field, const std::string& what, const std::string& value,
                  std::size_t longest) {
    add(urls::check_text(field, what, value, longest));
  }

  void check_sslmode(const urls::Connection& database) { add(urls::check_sslmode(database)); }

  // "md5" and 32 hex digits, or a SCRAM verifier.
  static bool looks_like_a_hash(std::string_view password) {
    if (password.substr(0, 14) == "SCRAM-SHA-256$") return true;
    return password.size() == 35 && password.substr(0, 3) == "md5" &&
           password.find_first_not_of("0123456789abcdefABCDEF", 3) == std::string_view::npos;
  }

  void add(std::vector<api::Problem> more) {
    for (api::Problem& problem : more) problems_.push_back(std::move(problem));
  }
  void refuse(std::string_view field, const std::string& message) {
    problems_.push_back({std::string(api::reason::kSecretInvalid), std::string(field), message});
  }

  std::vector<api::Problem> problems_;
};

}  // namespace

std::vector<api::Problem> check(const urls::Connection& database) {
  return Checker(database).problems();
}

std::vector<api::Problem> check(const AuthUser& user) { return Checker(user).problems(); }

int least_floor(const api::PoolerConfig& config) { return 1 + lookups(config); }

int ordinals(const api::PoolerConfig& config) { return config.spec.scaling.max_replicas + 1; }

Revision render(const api::PoolerConfig& config, const Inputs& inputs) {
  assert(check(inputs.database).empty());
  assert(check_parameters(config.spec.pgbouncer.parameters).empty());
  assert((api::mode_of(config.spec.client_tls) == api::ClientTls::Mode::kDisabled) ==
         inputs.client_tls.chain.empty());
  assert(inputs.floor >= least_floor(config));
  assert(check_auth_query(config).empty());
  assert(!api::has_many_users(config.spec) || check(inputs.auth_user).empty());
  const std::string databases = databases_ini(config, inputs);
  const std::string users = userlist(config, inputs);
  const std::string unmarked = settings_ini(config, inputs, "");
  Revision revision;
  // The names of the TLS files are among the settings, and tell what is in them.
  revision.hash = hash_of(inputs.admin.hash_key, {databases, users, unmarked, inputs.image});
  revision.files[revision_file(revision.hash, kDatabasesSuffix)] = databases;
  revision.files[revision_file(revision.hash, kUsersSuffix)] = users;
  for (const TlsFile& file : tls_files(inputs)) revision.files[file.name] = file.bytes;
  revision.files[settings_file_name(revision.hash)] = settings_ini(config, inputs, revision.hash);
  return revision;
}

std::string client_database_name(const urls::Connection& database) {
  const bool usable = is_key(database.database) && database.database != kConsoleDatabase &&
                      database.database != kAuthDatabaseKey;
  return usable ? database.database : std::string(kOddDatabaseKey);
}

std::string pod_name(const api::PoolerConfig& config, int ordinal) {
  return workload_name(config) + "-" + std::to_string(ordinal);
}

std::string pod_file_name(const api::PoolerConfig& config, int ordinal) {
  return pod_name(config, ordinal) + ".ini";
}

std::string back_marker(std::string_view hash, std::string_view rejected) {
  return std::string(hash) + kBack + std::string(rejected);
}

std::string revision_of(std::string_view marker) {
  return std::string(marker.substr(0, marker.find(kBack)));
}

std::string rejected_of(std::string_view marker) {
  const auto back = marker.find(kBack);
  return back == std::string_view::npos ? "" : std::string(marker.substr(back + 1));
}

std::string pod_file(int ordinal, std::string_view marker) {
  const std::string hash = revision_of(marker);
  std::string text = "%include " + path_of(revision_file(hash, kDatabasesSuffix)) +
                     "\n[pgbouncer]\n" + std::string(kPeerId) + std::to_string(ordinal + 1) +
                     "\n%include " + path_of(settings_file_name(hash)) + "\n";
  if (marker != hash) text += std::string(kMarker) + std::string(marker) + "\n";
  return text;
}

std::string marker_of_pod_file(std::string_view text) {
  const auto after = [text](std::string_view words) -> std::string_view {
    const auto found = text.find(words);
    if (found == std::string_view::npos) return {};
    const std::string_view rest = text.substr(found + words.size());
    return rest.substr(0, rest.find('\n'));
  };
  const std::string hash(after(path_of(kRevisionPrefix)).substr(0, kHashDigits));
  const std::string_view last = after(kMarker);
  const std::string marker = last.empty() ? hash : std::string(last);
  const std::string rejected = rejected_of(marker);
  const bool whole =
      is_hash(hash) && revision_of(marker) == hash && (marker == hash || is_hash(rejected));
  const auto id = parse_integer(after(kPeerId));
  if (!whole || !id || *id < 1 || *id > 2 * api::kMaxReplicas) return {};
  return pod_file(static_cast<int>(*id) - 1, marker) == text ? marker : std::string();
}

std::optional<int> floor_of(std::string_view pgbouncer_ini) {
  const auto floor = parse_integer(setting_of(pgbouncer_ini, kFloorSetting).value_or(""));
  if (!floor || *floor < 1 || *floor > 1'000'000) return std::nullopt;
  const int looks_up = setting_of(pgbouncer_ini, kAuthQuerySetting) ? 1 : 0;
  return static_cast<int>(*floor) + looks_up;
}

std::string reload_obstacle(const std::map<std::string, std::string>& files,
                            std::string_view before, std::string_view after) {
  if (before == after) return {};
  const auto file = [&files](std::string_view hash, std::string_view suffix) {
    const auto found = files.find(revision_file(hash, suffix));
    return found == files.end() ? std::string() : found->second;
  };
  const std::string old_settings = file(before, kSettingsSuffix);
  const std::string new_settings = file(after, kSettingsSuffix);
  const std::string old_databases = file(before, kDatabasesSuffix);
  if (old_settings.empty() || old_databases.empty()) return "its present configuration is unknown";
  const auto restart_only = restart_only_changes(old_settings, new_settings);
  if (!restart_only.empty()) return restart_only.front() + " is read at the start only";
  if (floor_of(old_settings) != floor_of(new_settings)) {
    return "its share of server connections is another";
  }
  if (identities(old_databases, file(before, kUsersSuffix)) !=
      identities(file(after, kDatabasesSuffix), file(after, kUsersSuffix))) {
    return "the database's name, a user, or who may be one is another";
  }
  return {};
}

std::set<std::string> files_of(const std::map<std::string, std::string>& files,
                               std::string_view hash) {
  std::set<std::string> names;
  const std::string own = revision_file(hash, ".");
  for (const auto& [name, bytes] : files) {
    if (name.starts_with(own)) names.insert(name);
  }
  for (const std::string_view setting : kTlsSettings) names.insert(tls_file(files, hash, setting));
  std::erase_if(names, [&files](const std::string& name) { return !files.contains(name); });
  return names;
}

std::optional<RevisionTls> tls_of(const std::map<std::string, std::string>& files,
                                  std::string_view hash) {
  const auto settings = files.find(settings_file_name(hash));
  if (settings == files.end()) return std::nullopt;
  const auto text = [&](std::string_view setting) {
    const auto file = files.find(tls_file(files, hash, setting));
    return file == files.end() ? std::string() : file->second;
  };
  return RevisionTls{setting_of(settings->second, kServerSslmode).value_or("prefer"),
                     {text(kServerAuthorities), text(kServerChain), text(kServerKey)},
                     {"", text(kClientChain), text(kClientKey)}};
}

std::optional<std::string> shown_certificate(const std::map<std::string, std::string>& files,
                                             std::string_view hash) {
  const auto settings = files.find(settings_file_name(hash));
  if (settings == files.end()) return std::nullopt;
  if (!setting_of(settings->second, kClientChain)) return std::string();
  const auto chain = files.find(tls_file(files, hash, kClientChain));
  if (chain == files.end()) return std::nullopt;
  auto leaf = read_leaf(chain->second);
  return leaf.ok() ? std::optional(std::move(leaf->fingerprint)) : std::nullopt;
}

std::string settings_file_name(std::string_view hash) {
  return revision_file(hash, kSettingsSuffix);
}

std::vector<std::string> revisions_in(const std::map<std::string, std::string>& files) {
  std::vector<std::string> hashes;
  for (const auto& [name, bytes] : files) {
    const std::string_view rest = name;
    if (rest.substr(0, kRevisionPrefix.size()) != kRevisionPrefix) continue;
    const std::string_view hash = rest.substr(kRevisionPrefix.size(), kHashDigits);
    if (!is_hash(hash) || rest.substr(kRevisionPrefix.size() + kHashDigits, 1) != ".") continue;
    if (hashes.empty() || hashes.back() != hash) hashes.emplace_back(hash);  // names are sorted
  }
  return hashes;
}

}  // namespace pooler::engine::pgbouncer
