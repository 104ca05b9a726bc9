#include "engine/objects.h"

#include "base/json.h"
#include "base/strings.h"

namespace pooler::engine {
namespace {

// Of the software, as app.kubernetes.io/name has it.
const char* name_of(api::Engine engine) {
  switch (engine) {
    case api::Engine::kPgBouncer:
      return "pgbouncer";
    case api::Engine::kSupabase:
      return "supabase";
  }
  return "";
}

}  // namespace

Json selector_labels(const api::PoolerConfig& config) {
  return {{std::string(api::kNameLabel), config.name}, {"app.kubernetes.io/component", "pooler"}};
}

Json labels(const api::PoolerConfig& config) {
  Json all = selector_labels(config);
  all["app.kubernetes.io/name"] = name_of(config.spec.engine);
  all["app.kubernetes.io/instance"] = config.name;
  all["app.kubernetes.io/managed-by"] = "pooler-operator";
  return all;
}

Json object(const api::PoolerConfig& config, const char* api_version, const char* kind,
            const std::string& name) {
  return {{"apiVersion", api_version},
          {"kind", kind},
          {"metadata",
           {{"name", name},
            {"namespace", config.ns},
            {"labels", labels(config)},
            {"ownerReferences", Json::array({{{"apiVersion", std::string(api::kApiVersion)},
                                              {"kind", std::string(api::kKind)},
                                              {"name", config.name},
                                              {"uid", config.uid},
                                              {"controller", true},
                                              {"blockOwnerDeletion", true}}})}}}};
}

Json secret(const api::PoolerConfig& config, const std::string& name, const char* type,
            const std::map<std::string, std::string>& data) {
  Json body = object(config, "v1", "Secret", name);
  body["type"] = type;
  body["data"] = Json::object();
  for (const auto& [key, value] : data) body["data"][key] = base64_encode(value);
  return body;
}

}  // namespace pooler::engine
