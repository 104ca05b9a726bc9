// The Secret that applications read: one struct makes every key. Presets and keys are a table.
#pragma once

#include <map>
#include <string>

#include "api/pooler_config.h"
#include "urls/connection.h"

namespace pooler::urls {

struct Published {
  Connection pooled;
  Connection direct;
  // Whether DATABASE_POOLED_URL of preset Supabase has pgbouncer=true, as Supabase's own
  // documentation writes it. Prisma alone understands it, and libpq refuses it: so no other key
  // has it.
  bool pgbouncer_flag = false;
};

// All keys with their values (not base64): binding keys (type provider host port username password
// database uri), both ways (pooled-uri direct-uri direct-host direct-port pooled-jdbc-uri
// direct-jdbc-uri pgpass), the preset's environment keys, and spec.connectionSecret.keys, which win
// over all but the binding; ca.crt and direct-ca.crt, where the way has authorities.
// spec.connectionSecret.parameters are added here; in `uri` and in format Libpq only what libpq
// knows is left.
[[nodiscard]] std::map<std::string, std::string> published_keys(
    const Published& published, const api::ConnectionSecret& wanted);

// The preset's environment keys, for people: "DATABASE_URL (direct) and DATABASE_POOLED_URL
// (pooled)"; without a preset pooled-uri and direct-uri.
[[nodiscard]] std::string describe_keys(const api::ConnectionSecret& wanted);

// The pooled way in for a database: `host`:`port` instead of its hosts, same user, password and
// database; parameters that mean something only to the server's own hosts are dropped
// (target_session_attrs, load_balance_hosts, sslmode and certificates of the server side,
// channel_binding). sslmode by what the pooler has: disable, none (clients choose), require.
[[nodiscard]] Connection pooled_connection(
    const Connection& database, const std::string& host, int port,
    api::ClientTls::Mode tls = api::ClientTls::Mode::kDisabled);

// Both ways to a project of Supabase whose pooler is at `pooler_host`; `login`: resolve_supabase().
// Database and pooler have certificates of the same authority; a certificate of the login's own is
// for the database alone.
[[nodiscard]] Published supabase_ways(const api::Spec& spec, const Connection& login,
                                      const std::string& pooler_host);

}  // namespace pooler::urls
