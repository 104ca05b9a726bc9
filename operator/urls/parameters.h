// Connection parameters, and what the clients other than libpq call them: one table.
#pragma once

#include <string>
#include <string_view>

#include "api/pooler_config.h"
#include "urls/connection.h"

namespace pooler::urls {

enum class Client { kLibpq, kJdbc, kNpgsql, kAsyncpg };

// The parameter as `client` has it: its own name, and the value in its words. Both empty where the
// client does not know it, or not this value.
struct Translated {
  std::string name;
  std::string value;
};
[[nodiscard]] Translated translated(std::string_view name, const std::string& value, Client client);

// Those that may stand in a URI: all but the ones that only belong to another form (JDBC, Npgsql).
[[nodiscard]] Connection for_uri(const Connection& connection);
// Those that libpq knows. It refuses a URI with any other.
[[nodiscard]] Connection for_libpq(const Connection& connection);

// `parameters` added or in place of what is there; an empty value takes one out.
[[nodiscard]] Connection with_parameters(Connection connection, const api::Texts& parameters);

}  // namespace pooler::urls
