#include "api/status.h"

#include "base/json.h"

namespace pooler::api {
namespace {

Json encode(const Condition& condition) {
  return {{"type", condition.type},
          {"status", to_string(condition.status)},
          {"observedGeneration", condition.observed_generation},
          {"lastTransitionTime", condition.last_transition_time},
          {"reason", condition.reason},
          {"message", condition.message}};
}

// Strings that are not known are left out: an empty one would claim to be a value.
void put(Json& json, const char* key, const std::string& value) {
  if (!value.empty()) json[key] = value;
}

Json encode(const Status::Effective& effective) {
  Json json = Json::object();
  put(json, "image", effective.image);
  if (effective.budget) json["budget"] = *effective.budget;
  put(json, "budgetSource", effective.budget_source);
  if (effective.max_replicas > 0) json["maxReplicas"] = effective.max_replicas;
  return json;
}

Json encode(const Status::Pods& pods) {
  return {{"serving", pods.serving},
          {"draining", pods.draining},
          {"unreachable", pods.unreachable},
          {"loaded", pods.loaded}};
}

}  // namespace

const Condition* Status::find(std::string_view type) const {
  for (const auto& condition : conditions) {
    if (condition.type == type) return &condition;
  }
  return nullptr;
}

std::string_view to_string(ConditionStatus status) {
  switch (status) {
    case ConditionStatus::kTrue:
      return "True";
    case ConditionStatus::kFalse:
      return "False";
    case ConditionStatus::kUnknown:
      break;
  }
  return "Unknown";
}

Json encode(const Status& status) {
  Json json = Json::object();
  json["observedGeneration"] = status.observed_generation;
  put(json, "engine", status.engine);
  put(json, "version", status.version);
  json["replicas"] = status.replicas;
  json["readyReplicas"] = status.ready_replicas;
  json["desiredReplicas"] = status.desired_replicas;
  put(json, "selector", status.selector);
  if (!status.binding_name.empty()) json["binding"] = {{"name", status.binding_name}};
  Json endpoints = Json::object();
  put(endpoints, "pooled", status.endpoint_pooled);
  put(endpoints, "direct", status.endpoint_direct);
  if (!endpoints.empty()) json["endpoints"] = std::move(endpoints);
  Json effective = encode(status.effective);
  if (!effective.empty()) json["effective"] = std::move(effective);
  json["pods"] = encode(status.pods);
  Json conditions = Json::array();
  for (const auto& condition : status.conditions) conditions.push_back(encode(condition));
  json["conditions"] = std::move(conditions);
  return json;
}

}  // namespace pooler::api
