// The Secret that applications read: one struct makes every key. Presets and keys are a table.
#pragma once

#include <map>
#include <string>

#include "urls/connection.h"

namespace pooler::urls {

struct Published {
  Connection pooled;
  Connection direct;
};

enum class Preset { kSupabase };

// All keys with their values (not base64): binding keys (type provider host port username password
// database uri), both ways (pooled-uri direct-uri direct-host direct-port pooled-jdbc-uri
// direct-jdbc-uri pgpass) and the preset's environment keys. In preset Supabase DATABASE_URL is
// the direct way and DATABASE_POOLED_URL the pooled one.
[[nodiscard]] std::map<std::string, std::string> published_keys(const Published& published,
                                                                Preset preset);

// The pooled way in for a database: `host`:`port` instead of its hosts, same user, password and
// database; parameters that mean something only to the server's own hosts are dropped
// (target_session_attrs, load_balance_hosts, sslmode and certificates of the server side,
// channel_binding).
[[nodiscard]] Connection pooled_connection(const Connection& database, const std::string& host,
                                           int port);

}  // namespace pooler::urls
