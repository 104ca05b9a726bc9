// Holds crds/poolerconfigs.yaml and operator/api together: the same fields, defaults and ranges.
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "api/pooler_config.h"
#include "base/json.h"
#include "base/strings.h"

namespace pooler::api {
namespace {

YAML::Node schema() {
  return YAML::LoadFile(
      SOURCE_DIR "/crds/poolerconfigs.yaml")["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
}

// Calls `visit` with the path and schema of every property below `node`; "[0]" is a list's item.
void walk(const YAML::Node& node, const std::string& path,
          const std::function<void(const std::string&, const YAML::Node&)>& visit) {
  for (const auto& property : node["properties"]) {
    const std::string at = path + "." + property.first.as<std::string>();
    visit(at, property.second);
    walk(property.second, at, visit);
    if (property.second["items"]) walk(property.second["items"], at + "[0]", visit);
  }
}

void walk_spec(const std::function<void(const std::string&, const YAML::Node&)>& visit) {
  walk(schema()["properties"]["spec"], "spec", visit);
}

// A valid object with `value` at `path`.
PoolerConfig with(const std::string& path, const Json& value) {
  Json object = {{"metadata", {{"name", "orders"}}},
                 {"spec",
                  {{"database", {{"secretRef", {{"name", "orders-db"}}}}},
                   {"scaling", {{"maxReplicas", kMaxReplicas}}},
                   {"replicas", 1}}}};
  Json* at = &object;
  for (auto part : split(path, '.')) {
    const bool list = part.ends_with("[0]");
    if (list) part.resize(part.size() - 3);
    at = &(*at)[part];
    if (list) at = &(*at)[0];
  }
  *at = value;
  auto config = decode(to_bytes(object));
  EXPECT_TRUE(config.ok());
  return config.value();
}

bool complains_about(const PoolerConfig& config, const std::string& path) {
  for (const auto& problem : validate(config)) {
    if (problem.field == path) return true;
  }
  return false;
}

TEST(Crd, EveryFieldOfSpecIsDecoded) {
  int fields = 0;
  walk_spec([&](const std::string& path, const YAML::Node& node) {
    const bool text = node["type"].as<std::string>() == "string";
    const PoolerConfig config = with(path, text ? Json(7) : Json("seven"));
    ASSERT_EQ(config.unreadable.size(), 1U) << path << " is in the CRD and not decoded";
    EXPECT_EQ(config.unreadable.front().field, path);
    ++fields;
  });
  EXPECT_GE(fields, 100);
}

TEST(Crd, DefaultsAreThoseOfTheOperator) {
  const PoolerConfig bare = with("spec.poolMode", nullptr);
  int defaults = 0;
  walk_spec([&](const std::string& path, const YAML::Node& node) {
    if (!node["default"] || !node["default"].IsScalar()) return;
    const std::string type = node["type"].as<std::string>();
    const Json value = type == "integer"   ? Json(node["default"].as<int>())
                       : type == "boolean" ? Json(node["default"].as<bool>())
                                           : Json(node["default"].as<std::string>());
    PoolerConfig given = with(path, value);
    given.spec.scaling.max_replicas = bare.spec.scaling.max_replicas;  // what with() itself sets
    EXPECT_EQ(given.spec.database.keys, bare.spec.database.keys) << path;
    EXPECT_EQ(given.spec.database.tls.ca_key, bare.spec.database.tls.ca_key) << path;
    EXPECT_EQ(given.spec.engine, bare.spec.engine) << path;
    EXPECT_EQ(given.spec.pool_mode, bare.spec.pool_mode) << path;
    EXPECT_EQ(given.spec.scaling.clients_per_replica, bare.spec.scaling.clients_per_replica);
    EXPECT_EQ(given.spec.budget.direct_reserve_percent, bare.spec.budget.direct_reserve_percent);
    EXPECT_EQ(given.spec.drain.endpoint_propagation_seconds,
              bare.spec.drain.endpoint_propagation_seconds);
    EXPECT_EQ(given.spec.drain.max_transaction_seconds, bare.spec.drain.max_transaction_seconds);
    EXPECT_EQ(given.spec.connection_secret.preset, bare.spec.connection_secret.preset);
    EXPECT_EQ(given.spec.connection_secret.deletion_policy,
              bare.spec.connection_secret.deletion_policy);
    if (!given.spec.connection_secret.keys.empty()) {
      EXPECT_EQ(given.spec.connection_secret.keys.front(), PublishedKey()) << path;
    }
    EXPECT_EQ(given.spec.service.type, bare.spec.service.type);
    EXPECT_EQ(given.spec.service.port, bare.spec.service.port);
    EXPECT_EQ(given.spec.network_policy.enabled, bare.spec.network_policy.enabled);
    EXPECT_EQ(given.spec.pod_disruption_budget, bare.spec.pod_disruption_budget);
    EXPECT_EQ(given.spec.pgbouncer, bare.spec.pgbouncer) << path;
    if (given.spec.supabase) {
      EXPECT_EQ(given.spec.supabase->direct, Supabase().direct);
      EXPECT_EQ(given.spec.supabase->token_secret_key, Supabase().token_secret_key);
    }
    EXPECT_TRUE(given.unreadable.empty()) << path;
    if (path == "spec.scaling.maxReplicas") {
      EXPECT_EQ(value, Scaling().max_replicas);
    }
    ++defaults;
  });
  EXPECT_EQ(defaults, 29);
}

TEST(Crd, RangesAreThoseOfValidate) {
  int ranges = 0;
  walk_spec([&](const std::string& path, const YAML::Node& node) {
    if (node["type"].as<std::string>() != "integer") return;
    const auto low = node["minimum"].as<std::int64_t>();
    const auto high = node["maximum"].as<std::int64_t>();
    EXPECT_TRUE(complains_about(with(path, low - 1), path)) << path;
    EXPECT_FALSE(complains_about(with(path, low), path)) << path;
    EXPECT_FALSE(complains_about(with(path, high), path)) << path;
    EXPECT_TRUE(complains_about(with(path, high + 1), path)) << path;
    ++ranges;
  });
  EXPECT_EQ(ranges, 20);
}

TEST(Crd, EveryFieldIsBoundedAndDescribed) {
  walk(schema(), "", [](const std::string& path, const YAML::Node& node) {
    if (path == ".apiVersion" || path == ".kind" || path.rfind(".metadata", 0) == 0) return;
    const std::string type = node["type"].as<std::string>();
    EXPECT_TRUE(node["description"]) << path;
    if (type == "string") {
      EXPECT_TRUE(node["maxLength"] || node["enum"] || node["format"]) << path;
    }
    if (type == "array") {
      EXPECT_TRUE(node["maxItems"] && node["x-kubernetes-list-type"]) << path;
    }
    if (const auto values = node["additionalProperties"]) {
      EXPECT_TRUE(node["maxProperties"] && values["maxLength"]) << path;
    }
    EXPECT_FALSE(node["x-kubernetes-preserve-unknown-fields"]) << path;
  });
}

TEST(Crd, BindingKeysAreThoseOfTheOperator) {
  const YAML::Node rules =
      schema()["properties"]["spec"]["properties"]["connectionSecret"]["properties"]["keys"]
              ["items"]["properties"]["name"]["x-kubernetes-validations"];
  const auto rule = rules[1]["rule"].as<std::string>();
  std::size_t names = 0;
  for (const char* name :
       {"type", "provider", "host", "port", "username", "password", "database", "uri", "ca.crt"}) {
    EXPECT_TRUE(is_binding_key(name)) << name;
    EXPECT_NE(rule.find("'" + std::string(name) + "'"), std::string::npos) << name;
    names += 2;
  }
  EXPECT_EQ(static_cast<std::size_t>(std::count(rule.begin(), rule.end(), '\'')), names);
}

TEST(Crd, PartsOfTheUrlThatAreNoParametersAreThoseOfValidate) {
  const YAML::Node ways = schema()["properties"]["spec"]["properties"]["connectionSecret"]
                                  ["properties"]["parameters"]["properties"];
  const auto rule = ways["pooled"]["x-kubernetes-validations"][0]["rule"].as<std::string>();
  EXPECT_EQ(ways["direct"]["x-kubernetes-validations"][0]["rule"].as<std::string>(), rule);
  const auto words = split(rule, '\'');  // every second one stands in quotes
  EXPECT_EQ(words.size(), 2 * 11 + 1U);
  for (std::size_t i = 1; i < words.size(); i += 2) {
    const auto problems =
        validate(with("spec.connectionSecret.parameters.pooled." + words[i], Json("x")));
    EXPECT_EQ(problems.size(), 1U) << words[i];
  }
}

TEST(Crd, FieldsWithoutMeaningForSupabaseAreThoseOfValidate) {
  std::vector<std::string> forbidden;
  for (const auto& rule : schema()["properties"]["spec"]["x-kubernetes-validations"]) {
    if (rule["message"].as<std::string>().starts_with("means nothing with engine Supabase")) {
      forbidden.push_back("spec" + rule["fieldPath"].as<std::string>());
    }
  }
  EXPECT_EQ(forbidden.size(), 10U);
  const Json other = {{"replicas", 1},
                      {"pgbouncer", {{"paused", true}}},
                      {"clientTLS", {{"secretRef", {{"name", "orders-tls"}}}}},
                      {"pod", {{"priorityClassName", "high"}}},
                      {"scaling", {{"maxReplicas", 3}}},
                      {"budget", {{"serverConnections", 9}}},
                      {"drain", {{"maxTransactionSeconds", 61}}},
                      {"service", {{"port", 5432}}},
                      {"networkPolicy", {{"enabled", true}}},
                      {"podDisruptionBudget", {{"enabled", false}}}};
  Json spec = {{"database", {{"secretRef", {{"name", "orders-db"}}}}},
               {"engine", "Supabase"},
               {"supabase", {{"projectRef", "abcdefghijklmnopqrst"}}}};
  const auto problems = [&spec] {
    std::vector<std::string> fields;
    const Json object = {{"metadata", {{"name", "orders"}}}, {"spec", spec}};
    for (const auto& problem : validate(decode(to_bytes(object)).value())) {
      fields.push_back(problem.field);
    }
    return fields;
  };
  EXPECT_EQ(problems(), std::vector<std::string>());
  spec.update(other);
  auto found = problems();
  std::sort(found.begin(), found.end());
  std::sort(forbidden.begin(), forbidden.end());
  EXPECT_EQ(found, forbidden);
}

// That nothing of spec.<part> is given, in CEL: each of its fields is as the CRD's defaults have
// it.
std::vector<std::string> untouched(const YAML::Node& spec, const std::string& part) {
  const YAML::Node node = spec["properties"][part];
  const std::string self = "self." + part;
  if (!node["default"]) return {"!has(" + self + ")"};
  std::vector<std::string> terms;
  for (const auto& property : node["properties"]) {
    const std::string field = self + "." + property.first.as<std::string>();
    const YAML::Node& each = property.second;
    if (each["enum"] && each["enum"].size() == 1) continue;  // it can't be anything else
    if (!each["default"]) {
      terms.push_back("!has(" + field + ")");
      continue;
    }
    const auto value = each["default"].as<std::string>();
    const auto type = each["type"].as<std::string>();
    if (type == "boolean") {
      terms.push_back((value == "true" ? "" : "!") + field);
    } else {
      terms.push_back(field + " == " + (type == "string" ? "'" + value + "'" : value));
    }
  }
  return terms;
}

TEST(Crd, WhatMeansNothingForSupabaseIsAllThatIsNoDefault) {
  const YAML::Node spec = schema()["properties"]["spec"];
  int rules = 0;
  for (const auto& each : spec["x-kubernetes-validations"]) {
    if (!each["message"].as<std::string>().starts_with("means nothing with engine Supabase")) {
      continue;
    }
    const auto rule = each["rule"].as<std::string>();
    const std::string begin = "self.engine != 'Supabase' || ";
    ASSERT_TRUE(rule.starts_with(begin)) << rule;
    std::string text = rule.substr(begin.size());
    if (text.starts_with('(')) text = text.substr(1, text.size() - 2);
    std::vector<std::string> terms;
    for (std::size_t at = 0; at != std::string::npos;) {
      const auto end = text.find(" && ", at);
      terms.push_back(text.substr(at, end == std::string::npos ? end : end - at));
      at = end == std::string::npos ? end : end + 4;
    }
    auto wanted = untouched(spec, each["fieldPath"].as<std::string>().substr(1));
    std::sort(terms.begin(), terms.end());
    std::sort(wanted.begin(), wanted.end());
    EXPECT_EQ(terms, wanted) << rule;
    ++rules;
  }
  EXPECT_EQ(rules, 10);
}

// Writes every value of a status and finds each in the schema.
TEST(Crd, StatusHasEveryFieldThatIsWritten) {
  Status status;
  status.engine = status.version = status.selector = status.binding_name = "x";
  status.endpoint_pooled = status.endpoint_direct = "x";
  status.effective = {"x", 1, "Server", 1};
  status.conditions = {{"Ready", ConditionStatus::kTrue, "R", "m", 1, "2026-01-31T23:59:59Z"}};
  const std::function<void(const Json&, const YAML::Node&, const std::string&)> find =
      [&](const Json& value, const YAML::Node& node, const std::string& path) {
        ASSERT_TRUE(node) << path << " is written and not in the CRD";
        if (value.is_array()) {
          for (const auto& item : value) find(item, node["items"], path + "[0]");
        }
        if (!value.is_object()) return;
        for (const auto& [key, member] : value.items()) {
          find(member, node["properties"][key], path + "." + key);
        }
      };
  find(encode(status), schema()["properties"]["status"], "status");
}

}  // namespace
}  // namespace pooler::api
