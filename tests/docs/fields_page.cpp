#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "docs/pages.h"

namespace pooler::docs {
namespace {

constexpr std::string_view kFieldsIntroduction = R"(# PoolerConfig

`kubectl explain poolerconfig.spec` says the same. The smallest one that works:

```yaml
apiVersion: pooler.dev/v1alpha1
kind: PoolerConfig
metadata: {name: orders, namespace: shop}
spec:
  database: {secretRef: {name: orders-db}}
  replicas: 2
```

Its `metadata.name` is a DNS label of at most 45 characters. The annotation `pooler.dev/reconcile: disabled` stops
everything that the operator does for it; its pods go on.

)";

constexpr std::string_view kTable = "| field | value | default | what it is |\n|---|---|---|---|\n";

// Fields that are as in the objects of Kubernetes itself: what is in them is not told again.
constexpr std::array<std::string_view, 6> kAsInKubernetes = {
    "affinity",    "containerSecurityContext", "from", "securityContext",
    "tolerations", "topologySpreadConstraints"};

std::string text_of(const YAML::Node& node) { return node ? node.as<std::string>() : ""; }

// As Markdown shows it in a table.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '<' ? "&lt;" : std::string(1, c);
  }
  return out;
}

std::string words(const YAML::Node& list) {
  std::string text;
  for (const auto& word : list) text += (text.empty() ? "" : ", ") + code(text_of(word));
  return text;
}

std::string number(const YAML::Node& schema) {
  const std::string lowest = text_of(schema["minimum"]);
  const std::string highest = text_of(schema["maximum"]);
  if (!lowest.empty() && !highest.empty()) return "number, " + lowest + " to " + highest;
  return "number";
}

// What a field may hold, in words.
std::string value_of(const YAML::Node& schema) {
  const std::string type = text_of(schema["type"]);
  if (schema["enum"]) return words(schema["enum"]);
  if (type == "integer") return number(schema);
  if (type == "boolean") return "`true`, `false`";
  if (type == "array") return "list";
  if (type != "object") return "text";
  return schema["additionalProperties"] ? "texts by name" : "";
}

std::string default_of(const YAML::Node& schema) {
  return schema["default"] && schema["default"].IsScalar() ? code(text_of(schema["default"])) : "";
}

bool is_required(const YAML::Node& parent, const std::string& name) {
  const YAML::Node list = parent["required"];
  return list && std::any_of(list.begin(), list.end(),
                             [&](const YAML::Node& each) { return text_of(each) == name; });
}

bool is_as_in_kubernetes(const std::string& name) {
  return std::find(kAsInKubernetes.begin(), kAsInKubernetes.end(), name) != kAsInKubernetes.end();
}

// The fields below `parent`, those of objects and lists in it right after them.
std::string rows(const YAML::Node& parent, const std::string& path) {
  std::string text;
  for (const auto& property : parent["properties"]) {
    const std::string name = text_of(property.first);
    const YAML::Node& schema = property.second;
    const std::string initial = is_required(parent, name) ? "**required**" : default_of(schema);
    text += "| " + code(path + name) + " | " + value_of(schema) + " | " + initial + " | " +
            cell(text_of(schema["description"])) + " |\n";
    if (is_as_in_kubernetes(name)) continue;
    if (schema["properties"]) text += rows(schema, path + name + ".");
    if (schema["items"] && schema["items"]["properties"]) {
      text += rows(schema["items"], path + name + "[].");
    }
  }
  return text;
}

// What the API server refuses by a rule about several fields, in its words.
std::string rules(const YAML::Node& schema, const std::string& path) {
  std::string text;
  for (const auto& rule : schema["x-kubernetes-validations"]) {
    std::string field = path + text_of(rule["fieldPath"]);
    if (field.starts_with('.')) field.erase(0, 1);
    text += "* " + code(field) + ": " + cell(text_of(rule["message"])) + "\n";
  }
  return text;
}

// Fields that are no objects are told first, the others have a section each.
std::string sections(const YAML::Node& spec) {
  YAML::Node single;
  single["required"] = spec["required"];
  std::string text;
  for (const auto& property : spec["properties"]) {
    const std::string name = text_of(property.first);
    const YAML::Node& schema = property.second;
    if (!schema["properties"]) {
      single["properties"][name] = schema;
      continue;
    }
    text += "\n## spec." + name + "\n\n" + text_of(schema["description"]) +
            (is_required(spec, name) ? " Required." : "") + "\n\n" + std::string(kTable) +
            rows(schema, "");
  }
  return "## spec\n\n" + std::string(kTable) + rows(single, "") + text;
}

}  // namespace

std::string fields_page(const std::string& crd) {
  const YAML::Node root = YAML::Load(crd)["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
  const YAML::Node spec = root["properties"]["spec"];
  const YAML::Node status = root["properties"]["status"];
  return std::string(kFieldsIntroduction) + sections(spec) +
         "\n## What the API server refuses\n\nBesides values that are not of the kind that the "
         "tables say:\n\n" +
         rules(root, "") + rules(spec, "spec") + "\n## status\n\n" +
         text_of(status["description"]) +
         " [conditions.md](conditions.md) has every condition with its remedy.\n\n" +
         "| field | value | | what it is |\n|---|---|---|---|\n" + rows(status, "");
}

}  // namespace pooler::docs
