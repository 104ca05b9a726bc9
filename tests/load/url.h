#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pooler::load {

/// A host and a port as a connection string names them; `host` is a name or an address without
/// brackets.
struct HostPort {
  std::string host;
  std::uint16_t port = 5432;

  bool operator==(const HostPort&) const = default;
};

/// What a `postgres://` or `postgresql://` connection string says, percent-decoded.
///
/// This parser is deliberately not the operator's own: the load tool is an independent witness of
/// the URLs that the operator publishes.
struct ConnectionUrl {
  std::vector<HostPort> hosts;  ///< at least one; tried in this order
  std::string user;
  std::string password;
  std::string database;  ///< the user's name where the URL names none (libpq's rule)
  std::map<std::string, std::string>
      parameters;  ///< everything after `?`, keys that are not ours included
};

/// Parses a connection string by libpq's rules (PostgreSQL documentation, 34.1.1.2 "Connection
/// URIs"): several hosts, IPv6 addresses in brackets, percent-encoding in every part,
/// host/port/user/password/dbname also as parameters.
///
/// On failure returns nothing and says why in `error`. The text never holds any part of the URL, so
/// it is safe to print. Refused as well: unix sockets and an sslmode that insists on TLS, because
/// the tool speaks plain TCP.
std::optional<ConnectionUrl> parse_url(std::string_view text, std::string& error);

/// Undoes percent-encoding; nothing when a `%` is not followed by two hex digits or encodes a NUL
/// byte.
std::optional<std::string> percent_decode(std::string_view text);

/// Parses `ADDRESS`, `ADDRESS:PORT` or `[IPV6]:PORT`; a missing port becomes `default_port`.
std::optional<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port);

}  // namespace pooler::load
