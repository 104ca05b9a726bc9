#include "urls/published.h"

#include <array>

namespace pooler::urls {
namespace {

using Make = std::string (*)(const Published&);

// One line per key of the Secret.
struct Key {
  std::string_view name;
  Make make;
};

std::string hosts_of(const Connection& connection) {
  std::string text;
  for (const auto& host : connection.hosts) text += (text.empty() ? "" : ",") + host.host;
  return text;
}

// One number where all hosts have the same port, as libpq takes it.
std::string ports_of(const Connection& connection) {
  bool same = true;
  std::string all;
  for (const auto& host : connection.hosts) {
    same = same && host.port == connection.hosts.front().port;
    all += (all.empty() ? "" : ",") + std::to_string(host.port);
  }
  return same && !connection.hosts.empty() ? std::to_string(connection.hosts.front().port) : all;
}

// https://servicebinding.io/spec/core/1.1.0/#well-known-secret-entries, and `database`, which the
// libraries that read such Secrets expect. The binding leads through the pooler.
constexpr std::array<Key, 8> kBindingKeys = {{
    {"type", [](const Published&) -> std::string { return "postgresql"; }},
    {"provider", [](const Published&) -> std::string { return "pooler-operator"; }},
    {"host", [](const Published& p) { return hosts_of(p.pooled); }},
    {"port", [](const Published& p) { return ports_of(p.pooled); }},
    {"username", [](const Published& p) { return p.pooled.user; }},
    {"password", [](const Published& p) { return p.pooled.password; }},
    {"database", [](const Published& p) { return p.pooled.database; }},
    {"uri", [](const Published& p) { return to_uri(p.pooled); }},
}};

constexpr std::array<Key, 7> kBothWays = {{
    {"pooled-uri", [](const Published& p) { return to_uri(p.pooled); }},
    {"direct-uri", [](const Published& p) { return to_uri(p.direct); }},
    {"direct-host", [](const Published& p) { return hosts_of(p.direct); }},
    {"direct-port", [](const Published& p) { return ports_of(p.direct); }},
    {"pooled-jdbc-uri", [](const Published& p) { return to_jdbc(p.pooled); }},
    {"direct-jdbc-uri", [](const Published& p) { return to_jdbc(p.direct); }},
    {"pgpass", [](const Published& p) { return to_pgpass(p.pooled) + to_pgpass(p.direct); }},
}};

// Environment variables, for envFrom. In Supabase's convention DATABASE_URL is the direct way.
struct PresetKey {
  Preset preset;
  Key key;
};
constexpr std::array<PresetKey, 2> kEnvironmentKeys = {{
    {Preset::kSupabase, {"DATABASE_URL", [](const Published& p) { return to_uri(p.direct); }}},
    {Preset::kSupabase,
     {"DATABASE_POOLED_URL", [](const Published& p) { return to_uri(p.pooled); }}},
}};

// What a client may also say to a pooler. Everything else in the source's URI is about the server's
// own hosts and certificates, or is understood by a single driver.
constexpr std::array<std::string_view, 10> kPooledParameters = {
    "application_name", "fallback_application_name",
    "client_encoding",  "connect_timeout",
    "options",          "keepalives",
    "keepalives_idle",  "keepalives_interval",
    "keepalives_count", "tcp_user_timeout",
};

// node-postgres reads `prefer`, libpq's default, as verified TLS: left out it means the same to
// everyone else.
Connection without_prefer(Connection connection) {
  std::erase_if(connection.parameters, [](const auto& parameter) {
    return parameter.first == "sslmode" && parameter.second == "prefer";
  });
  return connection;
}

}  // namespace

std::map<std::string, std::string> published_keys(const Published& published, Preset preset) {
  const Published written{published.pooled, without_prefer(published.direct)};
  std::map<std::string, std::string> keys;
  const auto add = [&](const Key& key) { keys[std::string(key.name)] = key.make(written); };
  for (const auto& key : kBindingKeys) add(key);
  for (const auto& key : kBothWays) add(key);
  for (const auto& [owner, key] : kEnvironmentKeys) {
    if (owner == preset) add(key);
  }
  return keys;
}

Connection pooled_connection(const Connection& database, const std::string& host, int port) {
  Connection pooled = database;
  pooled.hosts = {{host, port}};
  std::erase_if(pooled.parameters, [](const auto& parameter) {
    for (const auto name : kPooledParameters) {
      if (parameter.first == name) return false;
    }
    return true;
  });
  // The pooler has no TLS towards clients: said, so that no client insists on trying.
  pooled.parameters.emplace_back("sslmode", "disable");
  return pooled;
}

}  // namespace pooler::urls
