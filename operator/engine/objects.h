// What every object of a PoolerConfig has, with every engine. Only for the .cpp files of this
// folder and of those below it.
#pragma once

#include <map>
#include <string>

#include "api/pooler_config.h"
#include "base/json_fwd.h"

namespace pooler::engine {

// Of the pods; every object has them, too.
[[nodiscard]] Json selector_labels(const api::PoolerConfig& config);
[[nodiscard]] Json labels(const api::PoolerConfig& config);
// apiVersion, kind and metadata, with the PoolerConfig as its owner.
[[nodiscard]] Json object(const api::PoolerConfig& config, const char* api_version,
                          const char* kind, const std::string& name);
[[nodiscard]] Json secret(const api::PoolerConfig& config, const std::string& name,
                          const char* type, const std::map<std::string, std::string>& data);

}  // namespace pooler::engine
