// Json: ordered, so that the same object always has the same bytes (and hash). Include base/json.h
// only in .cpp files that build or walk JSON; headers use base/json_fwd.h.
#pragma once

#include <nlohmann/json.hpp>

#include "base/json_fwd.h"

namespace pooler {

// True when every field of `desired` is in `actual` with the same value: objects by key, lists by
// position and length. Fields that only `actual` has (defaults of the API server, other managers')
// don't count. An empty object, list or null in `desired` equals an absent one: the API server
// drops them.
[[nodiscard]] bool is_subset(const Json& desired, const Json& actual);

// Compact bytes; invalid UTF-8 is replaced, never thrown.
[[nodiscard]] std::string to_bytes(const Json& json);

// Null where `text` is no JSON.
[[nodiscard]] Json parse_json(std::string_view text);

}  // namespace pooler
