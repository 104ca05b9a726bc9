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
// Every server connection is closed as its transaction ends, and a new one made when needed.
inline constexpr std::string_view kReconnect = "RECONNECT";
inline constexpr std::string_view kShowVersion = "SHOW VERSION";
inline constexpr std::string_view kShowDatabases = "SHOW DATABASES";
inline constexpr std::string_view kShowState = "SHOW STATE";
// Holds from the moment it is sent, whoever leaves the console (measured); it is answered when the
// last server connection is released, at the end of its transaction (in session mode: its client).
inline constexpr std::string_view kPause = "PAUSE";
inline constexpr std::string_view kResume = "RESUME";
// How long a client may wait for a server, in seconds; 0: for ever.
inline constexpr std::string_view kWaitSetting = "query_wait_timeout";
[[nodiscard]] std::string set_wait(std::string_view seconds);

// The marker of a PgBouncer that has loaded none: syslog_ident's default.
inline constexpr std::string_view kNoMarker = "pgbouncer";

// Readers go by column name, and say nullopt where the answer lacks what they need: unknown is
// never zero.
[[nodiscard]] std::optional<std::string> read_marker(const Rows& show_config);
[[nodiscard]] std::optional<std::string> read_setting(const Rows& show_config,
                                                      std::string_view name);
// Paused, or on its way there.
[[nodiscard]] std::optional<bool> read_paused(const Rows& show_state);
// "PgBouncer 1.26.1" -> "1.26.1".
[[nodiscard]] std::optional<std::string> read_version(const Rows& show_version);
// Server connections that this pod holds now, over all databases but the console.
[[nodiscard]] std::optional<int> read_server_connections(const Rows& show_databases);

}  // namespace pooler::engine::pgbouncer
