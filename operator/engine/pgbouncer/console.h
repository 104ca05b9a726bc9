// What to ask PgBouncer's admin console and how to read the answers. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/rows.h"

namespace pooler::engine::pgbouncer {

inline constexpr std::string_view kConsoleDatabase = "pgbouncer";
inline constexpr std::string_view kShowConfig = "SHOW CONFIG";
inline constexpr std::string_view kReload = "RELOAD";
inline constexpr std::string_view kShowVersion = "SHOW VERSION";
inline constexpr std::string_view kShowDatabases = "SHOW DATABASES";

// The marker of a PgBouncer that has loaded none: syslog_ident's default.
inline constexpr std::string_view kNoMarker = "pgbouncer";

// Readers go by column name, and say nullopt where the answer lacks what they need: unknown is
// never zero.
[[nodiscard]] std::optional<std::string> read_marker(const Rows& show_config);
// "PgBouncer 1.26.1" -> "1.26.1".
[[nodiscard]] std::optional<std::string> read_version(const Rows& show_version);
// Server connections that this pod holds now, over all databases but the console.
[[nodiscard]] std::optional<int> read_server_connections(const Rows& show_databases);

}  // namespace pooler::engine::pgbouncer
