#include "fault/field_sets.h"

#include <algorithm>
#include <map>

namespace pooler::fault {
namespace {

// Lists merged by keys, by the name of the field that holds them.
const std::map<std::string, std::vector<std::string>>& keyed_lists() {
  static const std::map<std::string, std::vector<std::string>> keys_of_lists{
      {"containers", {"name"}},
      {"initContainers", {"name"}},
      {"volumes", {"name"}},
      {"env", {"name"}},
      {"volumeMounts", {"mountPath"}},
      {"imagePullSecrets", {"name"}},
      {"ownerReferences", {"uid"}},
      {"conditions", {"type"}},
      {"topologySpreadConstraints", {"topologyKey", "whenUnsatisfiable"}},
  };
  return keys_of_lists;
}

// Service has its ports by port and protocol, a container by containerPort and protocol.
std::vector<std::string> keys_of(const std::string& field, const Object& list) {
  if (field == "ports" && !list.empty()) {
    const bool container = list.front().contains("containerPort");
    return {container ? "containerPort" : "port", "protocol"};
  }
  const auto found = keyed_lists().find(field);
  return found == keyed_lists().end() ? std::vector<std::string>{} : found->second;
}

// Maps that are owned as one value.
bool atomic_map(const FieldPath& path) {
  static const std::set<std::string> atomic_lists{"f:selector",        "f:labelSelector",
                                                  "f:fieldRef",        "f:secretKeyRef",
                                                  "f:configMapKeyRef", "f:resourceFieldRef"};
  return atomic_lists.contains(path.back());
}

const std::set<std::string>& identity_fields() {
  static const std::set<std::string> identity_fields{"name",
                                                     "namespace",
                                                     "uid",
                                                     "resourceVersion",
                                                     "generation",
                                                     "creationTimestamp",
                                                     "managedFields",
                                                     "deletionTimestamp",
                                                     "deletionGracePeriodSeconds"};
  return identity_fields;
}

std::string key_element(const Object& item, const std::vector<std::string>& keys) {
  Object key = Object::object();
  for (const auto& name : keys) {
    if (item.contains(name)) {
      key[name] = item.at(name);
    } else if (name == "protocol") {
      key[name] = "TCP";  // the API's default is part of the key
    }
  }
  return "k:" + key.dump();
}

FieldPath child(const FieldPath& path, const std::string& element) {
  FieldPath longer = path;
  longer.push_back(element);
  return longer;
}

void collect(const Object& value, const FieldPath& path, FieldSet& out) {
  if (value.is_object() && !value.empty() && !atomic_map(path)) {
    for (const auto& [name, inner] : value.items()) collect(inner, child(path, "f:" + name), out);
    return;
  }
  if (value.is_array() && !value.empty()) {
    const std::string field = path.back().substr(2);
    if (const auto keys = keys_of(field, value); !keys.empty()) {
      for (const Object& item : value) {
        const FieldPath at = child(path, key_element(item, keys));
        out.insert(at);
        for (const auto& [name, inner] : item.items()) collect(inner, child(at, "f:" + name), out);
      }
      return;
    }
    if (field == "finalizers") {
      for (const Object& item : value) out.insert(child(path, "v:" + item.dump()));
      return;
    }
  }
  out.insert(path);
}

bool starts_with(const FieldPath& path, const FieldPath& prefix) {
  return path.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), path.begin());
}

bool owns_part(const FieldSet& fields, const FieldPath& path) {
  const auto at = fields.lower_bound(path);
  return at != fields.end() && starts_with(*at, path);
}

// The element of a list that "k:..." or "v:..." names; -1: none.
int list_index(const Object& list, const std::string& element, const std::string& field) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string own = element.starts_with("v:") ? "v:" + list[i].dump()
                                                      : key_element(list[i], keys_of(field, list));
    if (own == element) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace

FieldSet fields_of(const Object& object) {
  FieldSet out;
  for (const auto& [name, value] : object.items()) {
    if (name == "apiVersion" || name == "kind") continue;
    if (name != "metadata") {
      collect(value, {"f:" + name}, out);
      continue;
    }
    for (const auto& [field, inner] : value.items()) {
      if (!identity_fields().contains(field)) collect(inner, {"f:metadata", "f:" + field}, out);
    }
  }
  return out;
}

Object to_fields_v1(const FieldSet& fields) {
  Object trie = Object::object();
  for (const FieldPath& path : fields) {
    Object* at = &trie;
    for (const auto& element : path) {
      if (!at->contains(element)) (*at)[element] = Object::object();
      at = &(*at)[element];
    }
    if (path.back().starts_with("k:")) (*at)["."] = Object::object();
  }
  return trie;
}

static void read_trie(const Object& trie, const FieldPath& path, FieldSet& out) {
  if (!path.empty() && (trie.empty() || trie.contains("."))) out.insert(path);
  for (const auto& [element, inner] : trie.items()) {
    if (element != ".") read_trie(inner, child(path, element), out);
  }
}

FieldSet from_fields_v1(const Object& fields) {
  FieldSet out;
  read_trie(fields, {}, out);
  return out;
}

const Object* find_field(const Object& object, const FieldPath& path) {
  const Object* at = &object;
  std::string field;
  for (const auto& element : path) {
    if (element.starts_with("f:")) {
      field = element.substr(2);
      if (!at->is_object() || !at->contains(field)) return nullptr;
      at = &at->at(field);
      continue;
    }
    if (!at->is_array()) return nullptr;
    const int index = list_index(*at, element, field);
    if (index < 0) return nullptr;
    at = &(*at)[static_cast<std::size_t>(index)];
  }
  return at;
}

void remove_field(Object& object, const FieldPath& path) {
  FieldPath parent_path = path;
  parent_path.pop_back();
  auto* parent = const_cast<Object*>(find_field(object, parent_path));
  if (parent == nullptr) return;
  if (path.back().starts_with("f:")) {
    if (parent->is_object()) parent->erase(path.back().substr(2));
  } else if (parent->is_array()) {
    const int index = list_index(*parent, path.back(), parent_path.back().substr(2));
    if (index >= 0) parent->erase(static_cast<std::size_t>(index));
  }
  // What was there only to hold it goes too.
  if (!parent_path.empty() && parent_path.size() > 1 && parent->empty()) {
    remove_field(object, parent_path);
  }
}

static void merge_value(Object& live, const Object& applied, const FieldPath& path) {
  if (applied.is_object() && live.is_object() && (path.empty() || !atomic_map(path))) {
    for (const auto& [name, value] : applied.items()) {
      if (live.contains(name)) {
        merge_value(live[name], value, child(path, "f:" + name));
      } else {
        live[name] = value;
      }
    }
    return;
  }
  const std::string field = path.empty() ? "" : path.back().substr(2);
  const auto keys = applied.is_array() ? keys_of(field, applied) : std::vector<std::string>{};
  if (!keys.empty() && live.is_array()) {
    for (const Object& item : applied) {
      const std::string element = key_element(item, keys);
      if (const int index = list_index(live, element, field); index >= 0) {
        merge_value(live[static_cast<std::size_t>(index)], item, child(path, element));
      } else {
        live.push_back(item);
      }
    }
    return;
  }
  if (field == "finalizers" && applied.is_array() && live.is_array()) {
    for (const Object& item : applied) {
      if (std::find(live.begin(), live.end(), item) == live.end()) live.push_back(item);
    }
    return;
  }
  live = applied;
}

void merge_applied(Object& live, const Object& applied) { merge_value(live, applied, {}); }

std::vector<Ownership> read_managed_fields(const Object& object) {
  std::vector<Ownership> entries;
  const auto& metadata = object.at("metadata");
  if (!metadata.contains("managedFields")) return entries;
  for (const Object& entry : metadata.at("managedFields")) {
    entries.push_back({entry.value("manager", ""), entry.value("operation", ""),
                       entry.value("subresource", ""), entry.value("apiVersion", ""),
                       from_fields_v1(entry.value("fieldsV1", Object::object()))});
  }
  return entries;
}

void write_managed_fields(Object& object, const std::vector<Ownership>& entries,
                          const std::string& time) {
  Object list = Object::array();
  for (const Ownership& entry : entries) {
    if (entry.fields.empty()) continue;
    Object item{{"manager", entry.manager},        {"operation", entry.operation},
                {"apiVersion", entry.api_version}, {"time", time},
                {"fieldsType", "FieldsV1"},        {"fieldsV1", to_fields_v1(entry.fields)}};
    if (!entry.subresource.empty()) item["subresource"] = entry.subresource;
    list.push_back(std::move(item));
  }
  object["metadata"]["managedFields"] = std::move(list);
}

static Ownership& entry_of(std::vector<Ownership>& entries, const Ownership& writer) {
  for (Ownership& entry : entries) {
    if (entry.manager == writer.manager && entry.operation == writer.operation &&
        entry.subresource == writer.subresource) {
      return entry;
    }
  }
  entries.push_back(writer);
  entries.back().fields.clear();
  return entries.back();
}

void record_update(std::vector<Ownership>& entries, const Object& before, const Object& after,
                   const Ownership& writer) {
  const FieldSet now = fields_of(after);
  FieldSet changed;
  for (const FieldPath& path : now) {
    const Object* old = find_field(before, path);
    const Object* fresh = find_field(after, path);
    const bool membership = path.back().starts_with("k:");
    if (old == nullptr || (!membership && *old != *fresh)) changed.insert(path);
  }
  for (Ownership& entry : entries) {
    std::erase_if(entry.fields, [&](const FieldPath& path) {
      return changed.contains(path) || find_field(after, path) == nullptr;
    });
  }
  if (!changed.empty()) entry_of(entries, writer).fields.insert(changed.begin(), changed.end());
}

ApplyOutcome apply_fields(const Object& live, const Object& applied, std::vector<Ownership> entries,
                          const Ownership& writer, bool force) {
  ApplyOutcome out{live, {}, {}};
  const FieldSet wanted = fields_of(applied);
  Ownership& own = entry_of(entries, writer);
  for (Ownership& entry : entries) {
    if (&entry == &own) continue;
    for (const FieldPath& path : wanted) {
      if (!entry.fields.contains(path) || path.back().starts_with("k:")) continue;
      const Object* has = find_field(live, path);
      if (has != nullptr && *has == *find_field(applied, path)) continue;  // shared
      if (!force) out.conflicts.push_back(path);
      entry.fields.erase(path);
    }
  }
  if (!out.conflicts.empty()) return out;
  merge_applied(out.object, applied);
  for (const FieldPath& path : own.fields) {
    if (wanted.contains(path) || owns_part(wanted, path)) continue;
    const bool shared = std::any_of(entries.begin(), entries.end(), [&](const Ownership& entry) {
      return &entry != &own && owns_part(entry.fields, path);
    });
    if (!shared) remove_field(out.object, path);
  }
  own.fields = wanted;
  out.entries = std::move(entries);
  return out;
}

}  // namespace pooler::fault
