// A connection URI taken apart, before defaults and checks. Only for the .cpp files of this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "urls/connection.h"

namespace pooler::urls {

// Decoded; nullopt where the URI does not say it.
struct UriParts {
  std::optional<std::string> hosts;  // separated by commas
  std::optional<std::string> ports;  // separated by commas, some may be empty
  std::optional<std::string> database;
  std::optional<std::string> user;
  std::optional<std::string> password;
  std::vector<std::pair<std::string, std::string>> parameters;
};

[[nodiscard]] Result<UriParts, std::string> parse_parts(std::string_view text);
[[nodiscard]] bool is_postgres_uri(std::string_view text);  // by its scheme

// As many ports as hosts, or one for all, or none: then 5432.
[[nodiscard]] Result<std::vector<HostPort>, std::string> pair_hosts(std::string_view hosts,
                                                                    std::string_view ports);

// 1..65535.
[[nodiscard]] std::optional<int> parse_port(std::string_view text);

}  // namespace pooler::urls
