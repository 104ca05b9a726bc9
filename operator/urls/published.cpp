#include "urls/published.h"

#include <algorithm>
#include <array>
#include <utility>

#include "urls/parameters.h"

namespace pooler::urls {
namespace {

using api::Format;
using api::Preset;
using api::Way;

// One line per key of the Secret.
struct Key {
  std::string_view name;
  Way url;
  Format format;
};

// https://servicebinding.io/spec/core/1.1.0/#well-known-secret-entries, and `database`, which the
// libraries that read such Secrets expect. The binding leads through the pooler.
constexpr std::array<Key, 6> kBindingKeys = {{
    {"host", Way::kPooled, Format::kHost},
    {"port", Way::kPooled, Format::kPort},
    {"username", Way::kPooled, Format::kUsername},
    {"password", Way::kPooled, Format::kPassword},
    {"database", Way::kPooled, Format::kDatabase},
    {"uri", Way::kPooled, Format::kUri},
}};

constexpr std::array<Key, 6> kBothWays = {{
    {"pooled-uri", Way::kPooled, Format::kUri},
    {"direct-uri", Way::kDirect, Format::kUri},
    {"direct-host", Way::kDirect, Format::kHost},
    {"direct-port", Way::kDirect, Format::kPort},
    {"pooled-jdbc-uri", Way::kPooled, Format::kJdbc},
    {"direct-jdbc-uri", Way::kDirect, Format::kJdbc},
}};

// Environment variables, for envFrom, as each product's documentation names them. In the
// conventions of Supabase and Heroku DATABASE_URL is the direct way.
struct PresetKey {
  Preset preset;
  Key key;
};
constexpr std::array<PresetKey, 8> kEnvironmentKeys = {{
    {Preset::kSupabase, {"DATABASE_URL", Way::kDirect, Format::kUri}},
    {Preset::kSupabase, {"DATABASE_POOLED_URL", Way::kPooled, Format::kUri}},
    {Preset::kPrisma, {"DATABASE_URL", Way::kPooled, Format::kUri}},
    {Preset::kPrisma, {"DIRECT_URL", Way::kDirect, Format::kUri}},
    {Preset::kNeon, {"DATABASE_URL", Way::kPooled, Format::kUri}},
    {Preset::kNeon, {"DATABASE_URL_UNPOOLED", Way::kDirect, Format::kUri}},
    {Preset::kHeroku, {"DATABASE_URL", Way::kDirect, Format::kUri}},
    {Preset::kHeroku, {"DATABASE_CONNECTION_POOL_URL", Way::kPooled, Format::kUri}},
}};

std::string written(const Connection& connection, Format format) {
  switch (format) {
    case Format::kUri:
      return to_uri(for_uri(connection));
    case Format::kJdbc:
      return to_jdbc(connection);
    case Format::kNpgsql:
      return to_npgsql(connection);
    case Format::kPgpass:
      return to_pgpass(connection);
    case Format::kLibpq:
      return to_libpq(connection);
    case Format::kSqlAlchemyAsyncpg:
      return to_sqlalchemy_asyncpg(connection);
    case Format::kHost:
      return hosts_of(connection);
    case Format::kPort:
      return ports_of(connection);
    case Format::kUsername:
      return connection.user;
    case Format::kPassword:
      return connection.password;
    case Format::kDatabase:
      return connection.database;
  }
  return {};
}

// What a client may also say to a pooler. Everything else in the source's URI is about the server's
// own hosts and certificates, or is understood by a single driver.
constexpr std::array<std::string_view, 10> kPooledParameters = {
    "application_name", "fallback_application_name",
    "client_encoding",  "connect_timeout",
    "options",          "keepalives",
    "keepalives_idle",  "keepalives_interval",
    "keepalives_count", "tcp_user_timeout",
};

// A pooler that has TLS towards its clients takes these, too.
constexpr std::array<std::string_view, 5> kTlsParameters = {
    "sslmode", "sslrootcert", "sslcrl", "sslsni", "ssl_min_protocol_version",
};

template <std::size_t N>
bool is_among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// node-postgres reads `prefer`, libpq's default, as verified TLS: left out it means the same to
// everyone else.
Connection without_prefer(Connection connection) {
  std::erase_if(connection.parameters, [](const auto& parameter) {
    return parameter.first == "sslmode" && parameter.second == "prefer";
  });
  return connection;
}

Connection flagged(Connection connection) {
  connection.parameters.emplace_back("pgbouncer", "true");
  return connection;
}

}  // namespace

std::map<std::string, std::string> published_keys(const Published& published,
                                                  const api::ConnectionSecret& wanted) {
  const Connection pooled = with_parameters(published.pooled, wanted.pooled_parameters);
  const Connection direct =
      with_parameters(without_prefer(published.direct), wanted.direct_parameters);
  const Connection binding = for_libpq(pooled);
  std::map<std::string, std::string> keys = {{"type", "postgresql"},
                                             {"provider", "pooler-operator"},
                                             {"pgpass", to_pgpass(pooled) + to_pgpass(direct)}};
  const auto add = [&](std::string_view name, Way url, Format format) {
    keys[std::string(name)] = written(url == Way::kPooled ? pooled : direct, format);
  };
  for (const auto& [name, url, format] : kBothWays) add(name, url, format);
  for (const auto& [owner, key] : kEnvironmentKeys) {
    if (owner == wanted.preset) add(key.name, key.url, key.format);
  }
  if (published.pgbouncer_flag && wanted.preset == Preset::kSupabase) {
    const Connection own = with_parameters(flagged(published.pooled), wanted.pooled_parameters);
    keys["DATABASE_POOLED_URL"] = written(own, Format::kUri);
  }
  const std::string& direct_authorities = published.direct.certificates.authorities;
  if (!direct_authorities.empty()) keys["direct-ca.crt"] = direct_authorities;
  for (const auto& [name, url, format] : wanted.keys) add(name, url, format);
  for (const auto& [name, url, format] : kBindingKeys) {
    keys[std::string(name)] = written(binding, format);
  }
  const std::string& authorities = published.pooled.certificates.authorities;
  if (!authorities.empty()) keys["ca.crt"] = authorities;
  return keys;
}

std::string describe_keys(const api::ConnectionSecret& wanted) {
  std::string text;
  for (const auto& [owner, key] : kEnvironmentKeys) {
    if (owner != wanted.preset) continue;
    Way url = key.url;
    for (const auto& own : wanted.keys) {
      if (own.name == key.name) url = own.url;
    }
    text += (text.empty() ? "" : " and ") + std::string(key.name) +
            (url == Way::kPooled ? " (pooled)" : " (direct)");
  }
  return text.empty() ? "pooled-uri and direct-uri" : text;
}

Connection pooled_connection(const Connection& database, const std::string& host, int port,
                             api::ClientTls::Mode tls) {
  Connection pooled = database;
  pooled.certificates = {};
  pooled.hosts = {{host, port}};
  std::erase_if(pooled.parameters, [](const auto& parameter) {
    return !is_among(kPooledParameters, parameter.first);
  });
  switch (tls) {
    case api::ClientTls::Mode::kDisabled:  // said, so that no client insists on trying
      pooled.parameters.emplace_back("sslmode", "disable");
      break;
    case api::ClientTls::Mode::kOptional:
      break;
    case api::ClientTls::Mode::kRequired:
      pooled.parameters.emplace_back("sslmode", "require");
      break;
  }
  return pooled;
}

// https://supabase.com/docs/guides/database/connecting-to-postgres
Published supabase_ways(const api::Spec& spec, const Connection& login,
                        const std::string& pooler_host) {
  constexpr int kSessionPort = 5432;
  constexpr int kTransactionPort = 6543;
  const bool session = spec.pool_mode == api::PoolMode::kSession;
  Connection pooled = without_prefer(login);
  pooled.user += "." + spec.supabase->project_ref;
  pooled.hosts = {{pooler_host, kSessionPort}};
  pooled.certificates.chain.clear();
  pooled.certificates.key.clear();
  std::erase_if(pooled.parameters, [](const auto& parameter) {
    return !is_among(kPooledParameters, parameter.first) &&
           !is_among(kTlsParameters, parameter.first);
  });
  Published ways;
  const bool by_pooler = spec.supabase->direct == api::SupabaseDirect::kSessionPooler;
  ways.direct = by_pooler ? pooled : login;
  if (!session) pooled.hosts.front().port = kTransactionPort;
  ways.pooled = std::move(pooled);
  ways.pgbouncer_flag = !session;
  return ways;
}

}  // namespace pooler::urls
