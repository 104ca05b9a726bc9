#pragma once

#include <nlohmann/json_fwd.hpp>

namespace pooler {
using Json = nlohmann::ordered_json;
}  // namespace pooler
