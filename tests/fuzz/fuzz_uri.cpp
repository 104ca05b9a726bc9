// Any text as a connection URI: no crash, no part of it in an error, and what was understood is
// what is written again.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "fuzz/must.h"
#include "urls/connection.h"
#include "urls/published.h"

namespace pooler::fuzz {
namespace {

// Every text that parse_uri() may say. A message made from parts of the URI is in no such list.
constexpr std::array<std::string_view, 14> kErrors = {
    "must begin with postgresql:// or postgres://",
    "no host is given",
    "a host is empty",
    "a host is neither a name nor an address",
    "the host is a Unix socket: a pooler in another pod can't reach it, give a host name",
    "a port is no number from 1 to 65535",
    "there are not as many ports as hosts",
    "an @ stands after the one that ends the login: in a user or password it is %40",
    "an IPv6 address has no closing ]",
    "an IPv6 address must be followed by a port, a database or nothing",
    "a % is not followed by two hexadecimal digits: a % itself is written %25",
    "a zero byte can't be part of it",
    "a parameter after ? lacks its =",
    "a parameter after ? has more than one =: in a value it is %3D",
};

void check_error(const std::string& error) {
  must(!error.empty() && std::find(kErrors.begin(), kErrors.end(), error) != kErrors.end(),
       "an error is one of the fixed texts");
}

void check_understood(const urls::Connection& connection) {
  must(!connection.hosts.empty(), "a connection has a host");
  for (const auto& host : connection.hosts) {
    must(urls::is_host(host.host), "hosts are names or addresses");
    must(host.port >= 1 && host.port <= 65535, "ports are in range");
  }
  const auto again = urls::parse_uri(urls::to_uri(connection));
  must(again.ok() && *again == connection, "what is written reads the same");
  const urls::Connection pooled =
      urls::pooled_connection(connection, "orders-pooler.shop.svc", 6432);
  const auto pooled_again = urls::parse_uri(urls::to_uri(pooled));
  must(pooled_again.ok() && *pooled_again == pooled, "the pooled URL reads the same");
  for (const auto& [key, value] :
       urls::published_keys({pooled, connection}, api::ConnectionSecret())) {
    must(!key.empty(), "keys have names");
    if (key != "pgpass" && key != "password" && key != "username" && key != "database") {
      must(value.find_first_of("\n '\"") == std::string::npos, "URLs hold no raw bytes");
    }
  }
}

}  // namespace
}  // namespace pooler::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto connection = pooler::urls::parse_uri(text);
  if (connection.ok()) {
    pooler::fuzz::check_understood(*connection);
  } else {
    pooler::fuzz::check_error(connection.error());
  }
  pooler::api::Database database;
  database.secret_name = "db";
  const auto resolved = pooler::urls::resolve(database, {{"uri", std::string(text)}}, "shop");
  if (resolved.ok()) pooler::fuzz::check_understood(*resolved);
  return 0;
}
