// Who owns which field: the part of server-side apply that FakeApiServer needs.
//
// Lists that have keys in the API's schema are merged by them, a few maps are atomic; the tables
// are in field_sets.cpp and hold what the operator's objects use.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace pooler::fault {

using Object = nlohmann::json;  // sorted keys: equal objects compare equal

// A field as the API writes it: {"f:spec", "f:containers", "k:{\"name\":\"a\"}", "f:image"}.
using FieldPath = std::vector<std::string>;
using FieldSet = std::set<FieldPath>;

// All leaves of an object that can be owned (not its identity).
[[nodiscard]] FieldSet fields_of(const Object& object);
[[nodiscard]] Object to_fields_v1(const FieldSet& fields);
[[nodiscard]] FieldSet from_fields_v1(const Object& fields);

// Null where there is none.
[[nodiscard]] const Object* find_field(const Object& object, const FieldPath& path);
void remove_field(Object& object, const FieldPath& path);
// `applied` over `live`, keyed lists by key.
void merge_applied(Object& live, const Object& applied);

// One entry of metadata.managedFields.
struct Ownership {
  std::string manager;
  std::string operation;  // "Apply", "Update"
  std::string subresource;
  std::string api_version;
  FieldSet fields;
};
[[nodiscard]] std::vector<Ownership> read_managed_fields(const Object& object);
void write_managed_fields(Object& object, const std::vector<Ownership>& entries,
                          const std::string& time);

// After a write that is no apply: what changed from `before` to `after` now is the writer's.
void record_update(std::vector<Ownership>& entries, const Object& before, const Object& after,
                   const Ownership& writer);

struct ApplyOutcome {
  Object object;                     // without managedFields
  std::vector<FieldPath> conflicts;  // not empty: nothing was done
  std::vector<Ownership> entries;
};
[[nodiscard]] ApplyOutcome apply_fields(const Object& live, const Object& applied,
                                        std::vector<Ownership> entries, const Ownership& writer,
                                        bool force);

}  // namespace pooler::fault
