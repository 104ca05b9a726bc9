// Turning the fields that our POST owns into fields that our apply owns.
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "kube/client.h"

namespace pooler::kube {
namespace {

std::string text(const Json& entry, const char* name) {
  const auto found = entry.find(name);
  return found != entry.end() && found->is_string() ? found->get<std::string>() : "";
}

bool is_own(const Json& entry, std::string_view manager, std::string_view operation) {
  return entry.is_object() && text(entry, "manager") == manager &&
         text(entry, "operation") == operation && text(entry, "subresource").empty();
}

// fieldsV1 is a trie of field names: the union of two is the union of their keys.
void merge_fields(Json& into, const Json& from) {
  if (!into.is_object() || !from.is_object()) return;
  for (const auto& [key, value] : from.items()) {
    if (into.contains(key)) {
      merge_fields(into[key], value);
    } else {
      into[key] = value;
    }
  }
}

}  // namespace

bool adopt_own_updates(Json& object, std::string_view manager) {
  if (!object.is_object() || !object.contains("metadata")) return false;
  Json& metadata = object["metadata"];
  if (!metadata.is_object() || !metadata.contains("managedFields")) return false;
  const Json& entries = metadata["managedFields"];
  if (!entries.is_array()) return false;

  Json kept = Json::array();
  Json applied;  // null until there is one
  bool found = false;
  for (const Json& entry : entries) {
    const bool update = is_own(entry, manager, "Update");
    if (!update && !is_own(entry, manager, "Apply")) {
      kept.push_back(entry);
      continue;
    }
    found = found || update;
    if (applied.is_null()) {
      applied = entry;
      applied["operation"] = "Apply";
    } else if (entry.contains("fieldsV1")) {
      merge_fields(applied["fieldsV1"], entry["fieldsV1"]);
    }
  }
  if (!found) return false;
  kept.push_back(std::move(applied));
  metadata["managedFields"] = std::move(kept);
  return true;
}

}  // namespace pooler::kube
