#include <algorithm>
#include <array>
#include <set>

#include "api/pooler_config.h"
#include "base/strings.h"

namespace pooler::api {
namespace {

using Problems = std::vector<Problem>;

constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kDigits = "0123456789";

bool is_one_of(char c, std::initializer_list<std::string_view> sets) {
  return consists_of(std::string_view(&c, 1), sets);
}

void invalid(Problems& problems, std::string_view field, std::string message) {
  problems.push_back(
      {std::string(reason::kInvalidParameter), std::string(field), std::move(message)});
}

bool is_dns_label(std::string_view name) {
  return !name.empty() && is_one_of(name.front(), {kLower}) && name.back() != '-' &&
         consists_of(name, {kLower, kDigits, "-"});
}

bool is_object_name(std::string_view name) {
  return !name.empty() && name.size() <= 253 && is_one_of(name.front(), {kLower, kDigits}) &&
         is_one_of(name.back(), {kLower, kDigits}) && consists_of(name, {kLower, kDigits, "-."});
}

bool is_secret_key(std::string_view key) {
  return !key.empty() && key.size() <= 253 && consists_of(key, {kLower, kUpper, kDigits, "-_."});
}

// What a label's value and the name in a label's or annotation's key are made of.
bool is_label_text(std::string_view text) {
  return !text.empty() && text.size() <= 63 && is_one_of(text.front(), {kLower, kUpper, kDigits}) &&
         is_one_of(text.back(), {kLower, kUpper, kDigits}) &&
         consists_of(text, {kLower, kUpper, kDigits, "-_."});
}

// "name" or "prefix/name".
bool is_metadata_key(std::string_view key) {
  const auto slash = key.find('/');
  if (slash == std::string_view::npos) return is_label_text(key);
  return is_object_name(key.substr(0, slash)) && is_label_text(key.substr(slash + 1));
}

// An IPv6 address has two colons or more, "host:port" has one.
bool is_host(std::string_view host) {
  const auto colon = host.find(':');
  const bool address = colon != std::string_view::npos &&
                       host.find(':', colon + 1) != std::string_view::npos &&
                       consists_of(host, {kDigits, "abcdefABCDEF:."});
  return host.size() <= 253 &&
         (address || (consists_of(host, {kLower, kUpper, kDigits, "-_."}) && host.front() != '-' &&
                      host.front() != '.' && host.back() != '-'));
}

void check_range(Problems& problems, std::string_view field, int value, int low, int high) {
  if (value >= low && value <= high) return;
  invalid(problems, field,
          "must be from " + std::to_string(low) + " to " + std::to_string(high) + ", and is " +
              std::to_string(value));
}

void check_name(Problems& problems, const PoolerConfig& config) {
  if (config.name.size() > kMaxNameLength) {
    invalid(problems, "metadata.name",
            "has at most " + std::to_string(kMaxNameLength) + " characters, this one has " +
                std::to_string(config.name.size()) + ": create it again under a shorter name");
  }
  if (!is_dns_label(config.name)) {
    invalid(
        problems, "metadata.name",
        "must be a DNS label (lower-case letters, digits and '-', a letter first, no '-' last): "
        "create it again under such a name");
  }
}

void check_keys(Problems& problems, const SecretKeys& keys) {
  struct Key {
    std::string_view field;
    const std::string& value;
  };
  const std::array<Key, 6> all = {{{"uri", keys.uri},
                                   {"host", keys.host},
                                   {"port", keys.port},
                                   {"dbname", keys.dbname},
                                   {"user", keys.user},
                                   {"password", keys.password}}};
  for (const auto& [field, value] : all) {
    if (is_secret_key(value)) continue;
    invalid(problems, "spec.database.secretRef.keys." + std::string(field),
            "is no key that a Secret can have: letters, digits, '-', '_' and '.', at most 253");
  }
}

void check_identifier(Problems& problems, std::string_view field, const std::string& value) {
  if (value.size() > 63)
    invalid(problems, field, "must not be longer than 63 bytes, as in Postgres");
  if (has_control_characters(value)) {
    invalid(problems, field, "must not hold control characters");
  }
}

void check_secret_name(Problems& problems, std::string_view field, const std::string& name) {
  if (name.empty() || is_object_name(name)) return;
  invalid(problems, field,
          "must name a Secret of this namespace: lower-case letters, digits, '-' and '.'");
}

void check_database_tls(Problems& problems, const DatabaseTls& tls) {
  using Mode = DatabaseTls::Mode;
  const std::string field = "spec.database.tls.";
  check_secret_name(problems, field + "caSecretRef.name", tls.ca_secret);
  check_secret_name(problems, field + "clientCertSecretRef.name", tls.client_secret);
  if (!is_secret_key(tls.ca_key)) {
    invalid(problems, field + "caSecretRef.key",
            "is no key that a Secret can have: letters, digits, '-', '_' and '.', at most 253");
  }
  const bool verifies = tls.mode == Mode::kVerifyCa || tls.mode == Mode::kVerifyFull;
  if (!tls.ca_secret.empty() && tls.mode && !verifies) {
    invalid(problems, field + "mode",
            "does not check the server's certificate, and caSecretRef is there to check it: use "
            "VerifyCA or VerifyFull, or take caSecretRef out");
  }
  if (!tls.client_secret.empty() && tls.mode == Mode::kDisable) {
    invalid(problems, field + "clientCertSecretRef",
            "is only ever shown on an encrypted connection: take it out, or use another mode than "
            "Disable");
  }
}

void check_client_tls(Problems& problems, const ClientTls& tls) {
  check_secret_name(problems, "spec.clientTLS.secretRef.name", tls.secret);
  if (mode_of(tls) == ClientTls::Mode::kDisabled || !tls.secret.empty()) return;
  invalid(problems, "spec.clientTLS.secretRef",
          "is required in the modes Optional and Required: name a Secret of type "
          "kubernetes.io/tls");
}

void check_database(Problems& problems, const Database& database) {
  if (!is_object_name(database.secret_name)) {
    invalid(problems, "spec.database.secretRef.name",
            "must name a Secret of this namespace: lower-case letters, digits, '-' and '.'");
  }
  check_keys(problems, database.keys);
  if (!database.host.empty() && !is_host(database.host)) {
    invalid(problems, "spec.database.host",
            "is neither a host name nor an address; the port has its own field");
  }
  if (database.port) check_range(problems, "spec.database.port", *database.port, 1, 65535);
  check_identifier(problems, "spec.database.name", database.name);
  check_identifier(problems, "spec.database.user", database.user);
  check_database_tls(problems, database.tls);
}

void check_replicas(Problems& problems, const Spec& spec) {
  check_range(problems, "spec.scaling.maxReplicas", spec.scaling.max_replicas, 1, kMaxReplicas);
  check_range(problems, "spec.scaling.clientsPerReplica", spec.scaling.clients_per_replica, 1,
              100000);
  if (spec.engine == Engine::kSupabase) return;  // it has none
  if (!spec.replicas) {
    invalid(problems, "spec.replicas",
            "is required in scaling mode Manual: say how many pooler pods should run");
    return;
  }
  check_range(problems, "spec.replicas", *spec.replicas, 0, kMaxReplicas);
  if (*spec.replicas > spec.scaling.max_replicas) {
    invalid(problems, "spec.replicas",
            "must not be above spec.scaling.maxReplicas (" +
                std::to_string(spec.scaling.max_replicas) + "): lower it, or raise maxReplicas");
  }
}

void check_budget(Problems& problems, const Budget& budget) {
  if (budget.server_connections) {
    check_range(problems, "spec.budget.serverConnections", *budget.server_connections, 1, 262143);
  }
  check_range(problems, "spec.budget.directReservePercent", budget.direct_reserve_percent, 0, 90);
}

bool is_operators_secret(const PoolerConfig& config, const std::string& name) {
  return name == config.name + "-pooler-config" || name == config.name + "-pooler-admin";
}

void check_connection_secret(Problems& problems, const PoolerConfig& config) {
  constexpr std::string_view kField = "spec.connectionSecret.name";
  const std::string& name = config.spec.connection_secret.name;
  if (!is_object_name(name)) {
    invalid(problems, kField,
            "must be a name that a Secret can have: lower-case letters, digits, '-' and '.'");
  }
  if (name == config.spec.database.secret_name) {
    invalid(
        problems, kField,
        "is also the name of the database's own Secret: give another one in a new PoolerConfig");
  }
  if (is_operators_secret(config, name)) {
    invalid(problems, kField,
            "is the name of a Secret with the operator's own data: choose another");
  }
}

// The operator would read what it writes itself.
void check_certificate_names(Problems& problems, const PoolerConfig& config) {
  const DatabaseTls& tls = config.spec.database.tls;
  const std::array<std::pair<std::string_view, const std::string*>, 3> named = {
      {{"spec.clientTLS.secretRef.name", &config.spec.client_tls.secret},
       {"spec.database.tls.caSecretRef.name", &tls.ca_secret},
       {"spec.database.tls.clientCertSecretRef.name", &tls.client_secret}}};
  for (const auto& [field, name] : named) {
    if (name->empty()) continue;
    if (*name == config.spec.connection_secret.name || is_operators_secret(config, *name)) {
      invalid(problems, field,
              "is the name of a Secret that the operator writes: give that with the certificates "
              "another one");
    }
  }
}

// At most 32 of each kind: what the CRD has, which keeps the Secret small.
constexpr std::size_t kMaxKeys = 32;
constexpr std::size_t kMaxParameters = 32;
constexpr std::size_t kMaxParameterLength = 1024;
constexpr std::size_t kMaxSettings = 64;
constexpr std::size_t kMaxMetadata = 64;
constexpr std::size_t kMaxAnnotationLength = 2048;

void check_count(Problems& problems, std::string_view field, std::size_t count, std::size_t most) {
  if (count <= most) return;
  invalid(problems, field,
          "has " + std::to_string(count) + " entries, and at most " + std::to_string(most) +
              " are allowed: take some out");
}

void check_published_keys(Problems& problems, const std::vector<PublishedKey>& keys) {
  constexpr std::string_view kField = "spec.connectionSecret.keys";
  check_count(problems, kField, keys.size(), kMaxKeys);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string& name = keys[i].name;
    const std::string field = std::string(kField) + "[" + std::to_string(i) + "].name";
    if (!is_secret_key(name) || name == "." || name.starts_with("..")) {
      invalid(problems, field,
              "is no key that a Secret can have: letters, digits, '-', '_' and '.', at most 253, "
              "and no '..' first");
    } else if (is_binding_key(name)) {
      invalid(problems, field,
              name +
                  " belongs to the service binding, which is the pooled way in: choose another "
                  "name");
    } else if (!seen.insert(name).second) {
      invalid(problems, field, name + " is there twice: take one of them out");
    }
  }
}

// Parts of a URL that come from the database's Secret: as parameters they would lead elsewhere.
constexpr std::array<std::string_view, 11> kNoParameters = {
    "host",     "hostaddr", "port",     "dbname",  "database",   "user",
    "username", "password", "passfile", "service", "servicefile"};

void check_parameters(Problems& problems, const std::string& field, const Texts& parameters) {
  check_count(problems, field, parameters.size(), kMaxParameters);
  for (const auto& [name, value] : parameters) {
    if (name.empty() || name.size() > 63 || !consists_of(name, {kLower, kUpper, kDigits, "-_."})) {
      invalid(problems, field, "has a parameter that is no word of letters, digits, '-', '_', '.'");
    } else if (std::find(kNoParameters.begin(), kNoParameters.end(), name) != kNoParameters.end()) {
      invalid(problems, field + "." + name,
              "is no parameter but a part of the URL: it comes from spec.database");
    } else if (value.size() > kMaxParameterLength || has_control_characters(value)) {
      invalid(problems, field + "." + name,
              "must have at most 1024 bytes and no control characters");
    }
  }
}

// Labels and annotations by which the operator, and people, know its objects.
bool is_ours(std::string_view key) {
  constexpr std::array<std::string_view, 4> kOurs = {
      "app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by",
      "app.kubernetes.io/component"};
  const std::string_view prefix = key.substr(0, key.find('/'));
  return prefix == kGroup || prefix.ends_with("." + std::string(kGroup)) ||
         std::find(kOurs.begin(), kOurs.end(), key) != kOurs.end();
}

void check_metadata(Problems& problems, const std::string& field, const Texts& texts) {
  check_count(problems, field, texts.size(), kMaxMetadata);
  for (const auto& [key, value] : texts) {
    if (!is_metadata_key(key)) {
      invalid(problems, field,
              "has a key that Kubernetes does not take: [prefix/]name, the name at "
              "most 63 letters, digits, '-', '_' and '.'");
    } else if (is_ours(key)) {
      invalid(problems, field + "." + key, "is the operator's own: choose another name");
    }
  }
}

void check_label_values(Problems& problems, const std::string& field, const Texts& labels) {
  for (const auto& [key, value] : labels) {
    if (value.empty() || is_label_text(value)) continue;
    invalid(problems, field + "." + key,
            "is no value that a label can have: at most 63 letters, digits, '-', '_' and '.'");
  }
}

void check_published(Problems& problems, const ConnectionSecret& secret) {
  const std::string field = "spec.connectionSecret.";
  check_published_keys(problems, secret.keys);
  check_parameters(problems, field + "parameters.pooled", secret.pooled_parameters);
  check_parameters(problems, field + "parameters.direct", secret.direct_parameters);
  check_metadata(problems, field + "labels", secret.labels);
  check_label_values(problems, field + "labels", secret.labels);
  check_metadata(problems, field + "annotations", secret.annotations);
  for (const auto& [key, value] : secret.annotations) {
    if (value.size() <= kMaxAnnotationLength) continue;
    invalid(problems, field + "annotations." + key, "must have at most 2048 bytes");
  }
}

constexpr std::size_t kMaxQueryLength = 2048;

// Whether the query is SQL that does its work is the engine's and the database's to say.
void check_auth_query(Problems& problems, const std::string& query) {
  constexpr std::string_view kField = "spec.pgbouncer.auth.query";
  if (query.size() > kMaxQueryLength) {
    invalid(problems, kField, "must have at most 2048 bytes: let it call a function");
  }
  if (has_control_characters(query)) {
    invalid(problems, kField,
            "must not hold a line break or another control character: write it in one line (in "
            "YAML after >-)");
  } else if (!query.empty() && query.find("$1") == std::string::npos) {
    invalid(problems, kField, "must have $1 in it, where the name that a client logs in with goes");
  }
}

void check_auth(Problems& problems, const PoolerAuth& auth) {
  const std::string field = "spec.pgbouncer.auth";
  const PoolerAuth bare;
  const bool names_user = !auth.user_secret.empty() || auth.user_key != bare.user_key ||
                          auth.password_key != bare.password_key;
  if (auth.mode == PoolerAuth::Mode::kUser && (names_user || !auth.query.empty())) {
    invalid(problems, field,
            "userSecretRef and query are only for mode Query: set spec.pgbouncer.auth.mode to "
            "Query, or take them out");
  }
  if (names_user && auth.user_secret.empty()) {
    invalid(problems, field + ".userSecretRef.name",
            "is required: name a Secret of this namespace, or take userSecretRef out");
  }
  check_secret_name(problems, field + ".userSecretRef.name", auth.user_secret);
  const std::array<std::pair<const char*, const std::string&>, 2> keys = {
      {{".userSecretRef.keys.user", auth.user_key},
       {".userSecretRef.keys.password", auth.password_key}}};
  for (const auto& [part, key] : keys) {
    if (is_secret_key(key)) continue;
    invalid(problems, field + part,
            "is no key that a Secret can have: letters, digits, '-', '_' and '.', at most 253");
  }
  check_auth_query(problems, auth.query);
}

// Which there are, and what each may be, is the engine's to say.
void check_pgbouncer(Problems& problems, const PgBouncer& pgbouncer) {
  const std::string field = "spec.pgbouncer.parameters";
  check_count(problems, field, pgbouncer.parameters.size(), kMaxSettings);
  for (const auto& [name, value] : pgbouncer.parameters) {
    if (value.size() <= kMaxParameterLength && !has_control_characters(value)) continue;
    const bool word = consists_of(name, {kLower, kDigits, "_"}) && name.size() <= 63;
    invalid(problems, word ? field + "." + name : field,
            "must have at most 1024 bytes and no line break or other control character");
  }
  check_auth(problems, pgbouncer.auth);
}

void check_pod(Problems& problems, const Spec& spec) {
  const std::string& image = spec.pgbouncer.image;
  const bool plausible = image.empty() || (image.size() <= 1024 &&
                                           is_one_of(image.front(), {kLower, kUpper, kDigits}) &&
                                           is_one_of(image.back(), {kLower, kUpper, kDigits}) &&
                                           consists_of(image, {kLower, kUpper, kDigits, "-._/:@"}));
  if (!plausible) invalid(problems, "spec.pgbouncer.image", "is no image reference");
  check_range(problems, "spec.drain.endpointPropagationSeconds",
              spec.drain.endpoint_propagation_seconds, 1, 300);
  check_range(problems, "spec.drain.maxTransactionSeconds", spec.drain.max_transaction_seconds, 1,
              86400);
}

void check_service(Problems& problems, const Service& service) {
  check_range(problems, "spec.service.port", service.port, 1, 65535);
  check_metadata(problems, "spec.service.annotations", service.annotations);
  if (!service.external_host.empty() && !is_host(service.external_host)) {
    invalid(problems, "spec.service.externalHost",
            "is neither a host name nor an address; the port is spec.service.port");
  }
}

// What says something of a pooler that the operator runs, or of a database that is anywhere. Where
// the CRD fills in a default, the default says nothing.
void check_without_pooler(Problems& problems, const Spec& spec) {
  const Spec bare;
  const std::array<std::pair<std::string_view, bool>, 10> fields = {{
      {"spec.replicas", spec.replicas.has_value()},
      {"spec.scaling", spec.scaling != bare.scaling},
      {"spec.budget", spec.budget != bare.budget},
      {"spec.pgbouncer", spec.pgbouncer != bare.pgbouncer},
      {"spec.clientTLS", spec.client_tls != bare.client_tls},
      {"spec.drain", spec.drain != bare.drain},
      {"spec.service", spec.service != bare.service},
      {"spec.networkPolicy", spec.network_policy != bare.network_policy},
      {"spec.podDisruptionBudget", spec.pod_disruption_budget != bare.pod_disruption_budget},
      {"spec.pod", spec.pod != bare.pod},
  }};
  for (const auto& [field, given] : fields) {
    if (!given) continue;
    invalid(problems, field,
            "means nothing with engine Supabase, which runs its pooler: take it out");
  }
  const std::array<std::pair<std::string_view, bool>, 2> derived = {
      {{"spec.database.host", !spec.database.host.empty()},
       {"spec.database.port", spec.database.port.has_value()}}};
  for (const auto& [field, given] : derived) {
    if (!given) continue;
    invalid(problems, field,
            "follows from spec.supabase.projectRef with engine Supabase: take it out");
  }
}

void check_supabase(Problems& problems, const Supabase& supabase) {
  if (!is_supabase_project_ref(supabase.project_ref)) {
    invalid(problems, "spec.supabase.projectRef",
            "must be the project's reference, 20 lower-case letters: it stands in the address of "
            "the project's dashboard");
  }
  if (!supabase.pooler_host.empty() && !is_supabase_pooler_host(supabase.pooler_host)) {
    invalid(problems, "spec.supabase.poolerHost",
            "must be a host under pooler.supabase.com, such as "
            "aws-0-eu-central-1.pooler.supabase.com: the dashboard shows it under Connect");
  }
  if (!supabase.token_secret_name.empty() && !is_object_name(supabase.token_secret_name)) {
    invalid(problems, "spec.supabase.managementTokenSecretRef.name",
            "must name a Secret of this namespace: lower-case letters, digits, '-' and '.'");
  }
  if (!is_secret_key(supabase.token_secret_key)) {
    invalid(problems, "spec.supabase.managementTokenSecretRef.key",
            "is no key that a Secret can have: letters, digits, '-', '_' and '.', at most 253");
  }
}

void check_engine(Problems& problems, const Spec& spec) {
  if (spec.engine != Engine::kSupabase) {
    if (!spec.supabase) return;
    invalid(problems, "spec.supabase",
            "is only for engine Supabase: take it out, or create a PoolerConfig with that engine");
    return;
  }
  check_without_pooler(problems, spec);
  if (spec.pool_mode == PoolMode::kStatement) {
    invalid(problems, "spec.poolMode",
            "can't be statement with engine Supabase, whose pooler has the modes transaction and "
            "session");
  }
  if (spec.supabase) return check_supabase(problems, *spec.supabase);
  invalid(problems, "spec.supabase",
          "is required with engine Supabase: say at least which project, by its projectRef");
}

}  // namespace

std::vector<Problem> validate(const PoolerConfig& config) {
  Problems problems = config.unreadable;
  check_name(problems, config);
  check_database(problems, config.spec.database);
  check_replicas(problems, config.spec);
  check_budget(problems, config.spec.budget);
  check_connection_secret(problems, config);
  check_published(problems, config.spec.connection_secret);
  check_pgbouncer(problems, config.spec.pgbouncer);
  check_client_tls(problems, config.spec.client_tls);
  check_certificate_names(problems, config);
  check_pod(problems, config.spec);
  check_service(problems, config.spec.service);
  check_engine(problems, config.spec);
  return problems;
}

bool publishes_at_once(const Spec& spec) {
  const PublishPolicy unsaid =
      spec.engine == Engine::kSupabase ? PublishPolicy::kImmediate : PublishPolicy::kVerified;
  return spec.connection_secret.publish_policy.value_or(unsaid) == PublishPolicy::kImmediate;
}

bool has_many_users(const Spec& spec) {
  return spec.engine == Engine::kPgBouncer && spec.pgbouncer.auth.mode == PoolerAuth::Mode::kQuery;
}

bool is_supabase_project_ref(std::string_view text) {
  return text.size() == 20 && consists_of(text, {kLower});
}

bool is_supabase_pooler_host(std::string_view host) {
  constexpr std::string_view kDomain = ".pooler.supabase.com";
  if (host.size() > 253 || !host.ends_with(kDomain)) return false;
  for (const std::string& label : split(host.substr(0, host.size() - kDomain.size()), '.')) {
    const bool sound = !label.empty() && label.size() <= 63 && label.front() != '-' &&
                       label.back() != '-' && consists_of(label, {kLower, kDigits, "-"});
    if (!sound) return false;
  }
  return true;
}

bool is_binding_key(std::string_view name) {
  // https://servicebinding.io/spec/core/1.1.0/#well-known-secret-entries; `database` and ca.crt are
  // what the libraries that read such Secrets expect besides.
  constexpr std::array<std::string_view, 9> kNames = {
      "type", "provider", "host", "port", "username", "password", "database", "uri", "ca.crt"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

std::optional<DatabaseTls::Mode> mode_of(const DatabaseTls& tls) {
  if (tls.mode || tls.ca_secret.empty()) return tls.mode;
  return DatabaseTls::Mode::kVerifyFull;
}

ClientTls::Mode mode_of(const ClientTls& tls) {
  return tls.mode.value_or(tls.secret.empty() ? ClientTls::Mode::kDisabled
                                              : ClientTls::Mode::kRequired);
}

std::vector<std::string> certificate_secrets(const Spec& spec) {
  std::set<std::string> names = {spec.database.tls.ca_secret, spec.database.tls.client_secret};
  if (mode_of(spec.client_tls) != ClientTls::Mode::kDisabled) names.insert(spec.client_tls.secret);
  names.erase("");
  return {names.begin(), names.end()};
}

std::string_view to_string(DatabaseTls::Mode mode) {
  switch (mode) {
    case DatabaseTls::Mode::kDisable:
      return "disable";
    case DatabaseTls::Mode::kPrefer:
      return "prefer";
    case DatabaseTls::Mode::kRequire:
      return "require";
    case DatabaseTls::Mode::kVerifyCa:
      return "verify-ca";
    case DatabaseTls::Mode::kVerifyFull:
      return "verify-full";
  }
  return "";
}

std::string_view to_string(Engine engine) {
  switch (engine) {
    case Engine::kPgBouncer:
      return "PgBouncer";
    case Engine::kSupabase:
      return "Supabase";
  }
  return "";
}

std::string_view to_string(PoolMode mode) {
  switch (mode) {
    case PoolMode::kTransaction:
      return "transaction";
    case PoolMode::kSession:
      return "session";
    case PoolMode::kStatement:
      return "statement";
  }
  return "";
}

}  // namespace pooler::api
