#include <array>

#include "api/pooler_config.h"
#include "base/strings.h"

namespace pooler::api {
namespace {

using Problems = std::vector<Problem>;

constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kDigits = "0123456789";

bool consists_of(std::string_view text, std::initializer_list<std::string_view> sets) {
  for (const char c : text) {
    bool found = false;
    for (const auto set : sets) found = found || set.find(c) != std::string_view::npos;
    if (!found) return false;
  }
  return true;
}

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
}

void check_replicas(Problems& problems, const Spec& spec) {
  check_range(problems, "spec.scaling.maxReplicas", spec.scaling.max_replicas, 1, kMaxReplicas);
  check_range(problems, "spec.scaling.clientsPerReplica", spec.scaling.clients_per_replica, 1,
              100000);
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

void check_connection_secret(Problems& problems, const PoolerConfig& config) {
  constexpr std::string_view kField = "spec.connectionSecret.name";
  const std::string& name = config.spec.connection_secret_name;
  if (!is_object_name(name)) {
    invalid(problems, kField,
            "must be a name that a Secret can have: lower-case letters, digits, '-' and '.'");
  }
  if (name == config.spec.database.secret_name) {
    invalid(
        problems, kField,
        "is also the name of the database's own Secret: give another one in a new PoolerConfig");
  }
  if (name == config.name + "-pooler-config" || name == config.name + "-pooler-admin") {
    invalid(problems, kField,
            "is the name of a Secret with the operator's own data: choose another");
  }
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

}  // namespace

std::vector<Problem> validate(const PoolerConfig& config) {
  Problems problems = config.unreadable;
  check_name(problems, config);
  check_database(problems, config.spec.database);
  check_replicas(problems, config.spec);
  check_budget(problems, config.spec.budget);
  check_connection_secret(problems, config);
  check_pod(problems, config.spec);
  return problems;
}

std::string_view to_string(Engine engine) {
  switch (engine) {
    case Engine::kPgBouncer:
      return "PgBouncer";
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
