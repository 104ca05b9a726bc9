#include "fault/object_store.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace pooler::fault {
namespace {

Object cause(const std::string& reason, const std::string& message, const std::string& field) {
  return {{"reason", reason}, {"message", message}, {"field", field}};
}

Refusal refuse(int code, const std::string& reason, const TypeRules& type, const std::string& name,
               const std::string& message) {
  Refusal refusal{code, reason, message, {{"name", name}, {"kind", type.plural}}, std::nullopt};
  return refusal;
}

Refusal not_found(const TypeRules& type, const std::string& name) {
  return refuse(404, "NotFound", type, name, type.plural + " \"" + name + "\" not found");
}

Refusal invalid(const TypeRules& type, const std::string& name, const std::string& field,
                const std::string& what, const std::string& reason = "FieldValueInvalid") {
  Refusal refusal = refuse(422, "Invalid", type, name,
                           type.kind + " \"" + name + "\" is invalid: " + field + ": " + what);
  refusal.details["causes"] = Object::array({cause(reason, what, field)});
  return refusal;
}

Refusal conflict(const TypeRules& type, const std::string& name, const std::string& what) {
  return refuse(409, "Conflict", type, name,
                "Operation cannot be fulfilled on " + type.plural + " \"" + name + "\": " + what);
}

std::string text(const Object& metadata, const char* field) { return metadata.value(field, ""); }

Object without_managed_fields(Object object) {
  object["metadata"].erase("managedFields");
  return object;
}

bool has_finalizers(const Object& object) {
  const auto& metadata = object.at("metadata");
  return metadata.contains("finalizers") && !metadata.at("finalizers").empty();
}

std::string dotted(const std::string& pointer) {
  std::string field = pointer.substr(1);
  std::replace(field.begin(), field.end(), '/', '.');
  return field;
}

}  // namespace

Object to_status(const Refusal& refusal) {
  return {
      {"kind", "Status"},           {"apiVersion", "v1"},         {"metadata", Object::object()},
      {"status", "Failure"},        {"message", refusal.message}, {"reason", refusal.reason},
      {"details", refusal.details}, {"code", refusal.code}};
}

ObjectStore::ObjectStore(const Clock& clock) : clock_(clock) {
  for (auto& rules : builtin_types()) serve(std::move(rules));
}

void ObjectStore::serve(TypeRules rules) {
  const std::pair key{rules.api_version, rules.plural};
  types_[key] = std::move(rules);
}

const TypeRules* ObjectStore::type(std::string_view api_version, std::string_view plural) const {
  const auto found = types_.find({std::string(api_version), std::string(plural)});
  return found == types_.end() ? nullptr : &found->second;
}

std::string ObjectStore::now() const { return rfc3339(clock_.wall()); }

std::string ObjectStore::new_uid() {
  char text[40];
  std::snprintf(text, sizeof text, "%08llx-0000-4000-8000-000000000000",
                static_cast<unsigned long long>(++uids_));
  return text;
}

Answer<Object> ObjectStore::get(const TypeRules& type, const kube::ObjectKey& key) const {
  const auto objects = objects_.find(type.plural);
  if (objects == objects_.end() || !objects->second.contains(key)) {
    return failure(not_found(type, key.name));
  }
  return *objects->second.at(key);
}

std::vector<Snapshot> ObjectStore::list(const TypeRules& type, std::string_view ns) const {
  std::vector<Snapshot> found;
  const auto objects = objects_.find(type.plural);
  if (objects == objects_.end()) return found;
  for (const auto& [key, object] : objects->second) {
    if (ns.empty() || key.ns == ns) found.push_back(object);
  }
  return found;
}

Answer<Object> ObjectStore::create(const TypeRules& type, const std::string& ns, Object body,
                                   const Write& write, const std::string& operation) {
  if (!body.is_object() || !body.contains("metadata")) {
    return failure(refuse(400, "BadRequest", type, "", "the body is no object"));
  }
  Object& metadata = body["metadata"];
  const kube::ObjectKey key{ns, text(metadata, "name")};
  if (key.name.empty()) {
    return failure(invalid(type, "", "metadata.name",
                           "Required value: name or generateName is required",
                           "FieldValueRequired"));
  }
  if (text(metadata, "namespace") != ns && !text(metadata, "namespace").empty()) {
    return failure(refuse(400, "BadRequest", type, key.name,
                          "the namespace of the provided object does not match the namespace sent "
                          "on the request"));
  }
  if (!text(metadata, "resourceVersion").empty()) {
    return failure(refuse(400, "BadRequest", type, key.name,
                          "resourceVersion should not be set on objects to be created"));
  }
  if (terminating_.contains(ns)) {
    Refusal refusal = refuse(403, "Forbidden", type, key.name,
                             type.plural + " \"" + key.name +
                                 "\" is forbidden: unable to create new "
                                 "content in namespace " +
                                 ns + " because it is being terminated");
    refusal.details["causes"] = Object::array({cause(
        "NamespaceTerminating", "namespace " + ns + " is being terminated", "metadata.namespace")});
    return failure(std::move(refusal));
  }
  if (objects_[type.plural].contains(key)) {
    return failure(refuse(409, "AlreadyExists", type, key.name,
                          type.plural + " \"" + key.name + "\" already exists"));
  }
  body["apiVersion"] = type.api_version;
  body["kind"] = type.kind;
  metadata["namespace"] = ns;
  metadata["uid"] = new_uid();
  metadata["creationTimestamp"] = now();
  metadata.erase("managedFields");
  metadata.erase("deletionTimestamp");
  if (type.generation) metadata["generation"] = 1;
  if (type.status_subresource) body.erase("status");
  if (type.defaults) type.defaults(body);
  std::vector<Ownership> entries;
  const Object nothing{{"metadata", Object::object()}};
  Object written = body;
  written.erase("status");
  record_update(entries, nothing, written, {write.manager, operation, "", type.api_version, {}});
  write_managed_fields(body, entries, now());
  auto made = store(type, key, std::move(body), nullptr, write, "create");
  // Whose owners are all gone already, the garbage collector takes away.
  if (made.ok() && orphaned(*made)) erase(type, key, "gc");
  return made;
}

// What a writer can't change: it is taken from the object as it is.
void ObjectStore::keep_identity(const TypeRules& type, const Object& before, Object& next) const {
  for (const char* field : {"uid", "creationTimestamp", "generation", "deletionTimestamp",
                            "deletionGracePeriodSeconds", "namespace", "name"}) {
    next["metadata"].erase(field);
    if (before["metadata"].contains(field)) next["metadata"][field] = before["metadata"][field];
  }
  next["apiVersion"] = type.api_version;
  next["kind"] = type.kind;
}

Answer<Object> ObjectStore::update(const TypeRules& type, const kube::ObjectKey& key,
                                   Object changed, const Write& write, const std::string& verb) {
  auto& objects = objects_[type.plural];
  const auto found = objects.find(key);
  if (found == objects.end()) return failure(not_found(type, key.name));
  const Snapshot before = found->second;
  const Object& metadata = before->at("metadata");
  const std::string uid = text(changed["metadata"], "uid");
  if (!uid.empty() && uid != metadata.at("uid")) {
    return failure(invalid(type, key.name, "metadata.uid", "Invalid value: field is immutable"));
  }
  const std::string version = text(changed["metadata"], "resourceVersion");
  if (!version.empty() && version != metadata.at("resourceVersion")) {
    return failure(conflict(type, key.name,
                            "the object has been modified; please apply your changes to the latest "
                            "version and try again"));
  }
  if (write.subresource == "status") {
    Object next = *before;
    next["status"] = changed.value("status", Object::object());
    changed = std::move(next);
  } else if (type.status_subresource) {
    changed.erase("status");
    if (before->contains("status")) changed["status"] = before->at("status");
  }
  keep_identity(type, *before, changed);
  if (type.defaults) type.defaults(changed);
  const bool given = changed["metadata"].contains("managedFields");
  auto entries = read_managed_fields(given ? changed : *before);
  record_update(entries, *before, changed,
                {write.manager, "Update", write.subresource, type.api_version, {}});
  write_managed_fields(changed, entries, now());
  return store(type, key, std::move(changed), before, write, verb);
}

Answer<Object> ObjectStore::apply(const TypeRules& type, const kube::ObjectKey& key,
                                  const Object& body, const Write& write, bool force) {
  auto& objects = objects_[type.plural];
  const auto found = objects.find(key);
  const Object& given = body.at("metadata");
  if (given.contains("managedFields") && !given.at("managedFields").empty()) {
    return failure(refuse(400, "BadRequest", type, key.name, "metadata.managedFields must be nil"));
  }
  const std::string uid = text(given, "uid");
  if (found == objects.end()) {
    if (!write.subresource.empty()) return failure(not_found(type, key.name));
    if (!uid.empty()) {
      return failure(conflict(type, key.name,
                              "uid mismatch: the provided object specified uid " + uid +
                                  ", and no existing object was found"));
    }
    return create(type, key.ns, body, write, "Apply");
  }
  const Snapshot before = found->second;
  // Not of a custom resource's status: there the server takes metadata from the stored object.
  const bool compares_uid = !type.custom_resource || write.subresource.empty();
  if (compares_uid && !uid.empty() && uid != before->at("metadata").at("uid")) {
    return failure(invalid(type, key.name, "metadata.uid", "Invalid value: field is immutable"));
  }
  const std::string version = text(given, "resourceVersion");
  if (!version.empty() && version != before->at("metadata").at("resourceVersion")) {
    return failure(conflict(type, key.name, "the object has been modified"));
  }
  // The status is written through its subresource only, and that writes nothing else.
  Object wanted = body;
  if (write.subresource == "status") {
    wanted = {{"metadata", {{"name", key.name}}},
              {"status", body.value("status", Object::object())}};
  } else if (type.status_subresource) {
    wanted.erase("status");
  }
  auto outcome =
      apply_fields(without_managed_fields(*before), wanted, read_managed_fields(*before),
                   {write.manager, "Apply", write.subresource, type.api_version, {}}, force);
  if (!outcome.conflicts.empty()) {
    Refusal refusal = refuse(409, "Conflict", type, key.name, "Apply failed with conflicts");
    refusal.details["causes"] =
        Object::array({cause("FieldManagerConflict", "conflict with another manager",
                             outcome.conflicts.front().back())});
    return failure(std::move(refusal));
  }
  keep_identity(type, *before, outcome.object);
  if (type.defaults) type.defaults(outcome.object);
  write_managed_fields(outcome.object, outcome.entries, now());
  return store(type, key, std::move(outcome.object), before, write,
               write.subresource.empty() ? "apply" : "apply/status");
}

std::optional<Refusal> ObjectStore::check(const TypeRules& type, const Object& before,
                                          const Object& next) const {
  const std::string name = text(next.at("metadata"), "name");
  if (!before.is_null()) {
    for (const std::string& pointer : type.immutable) {
      const Object::json_pointer at(pointer);
      const Object was = before.contains(at) ? before.at(at) : Object();
      const Object is = next.contains(at) ? next.at(at) : Object();
      if (was != is)
        return invalid(type, name, dotted(pointer), "Invalid value: field is immutable");
    }
    if (before.value("immutable", false) &&
        (before.value("data", Object()) != next.value("data", Object()) ||
         !next.value("immutable", false))) {
      return invalid(type, name, "data", "Forbidden: field is immutable when `immutable` is set",
                     "FieldValueForbidden");
    }
  }
  if (type.validate) {
    if (const auto wrong = type.validate(next)) {
      return invalid(type, name, wrong->second, wrong->first);
    }
  }
  return std::nullopt;
}

Answer<Object> ObjectStore::store(const TypeRules& type, const kube::ObjectKey& key, Object next,
                                  const Snapshot& before, const Write& write,
                                  const std::string& verb) {
  const Object old = before ? *before : Object();
  if (auto refusal = check(type, old, next)) return failure(std::move(*refusal));
  if (before) {
    next["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"];
    // A write that changes nothing is none, whatever the time in managedFields.
    if (write_time_aside(next) == write_time_aside(old)) return old;
    if (type.generation && next.value("spec", Object()) != old.value("spec", Object())) {
      next["metadata"]["generation"] = old["metadata"].value("generation", 0) + 1;
    }
  }
  next["metadata"]["resourceVersion"] = std::to_string(++version_);
  auto after = std::make_shared<const Object>(std::move(next));
  objects_[type.plural][key] = after;
  log(type, key, before, after, write, verb);
  // A deletion that waited for this write.
  if (after->at("metadata").contains("deletionTimestamp") && !has_finalizers(*after) &&
      !type.graceful) {
    erase(type, key, "delete");
  }
  return *after;
}

Object ObjectStore::write_time_aside(Object object) {
  for (Object& entry : object["metadata"]["managedFields"]) entry.erase("time");
  return object;
}

Answer<std::optional<Object>> ObjectStore::remove(const TypeRules& type, const kube::ObjectKey& key,
                                                  const Object& options, const Write& write) {
  auto& objects = objects_[type.plural];
  const auto found = objects.find(key);
  if (found == objects.end()) return failure(not_found(type, key.name));
  const Snapshot before = found->second;
  const Object& metadata = before->at("metadata");
  const Object conditions = options.value("preconditions", Object::object());
  for (const auto& [field, label] :
       {std::pair{"uid", "UID"}, std::pair{"resourceVersion", "ResourceVersion"}}) {
    if (conditions.contains(field) && conditions.at(field) != metadata.at(field)) {
      return failure(conflict(type, key.name,
                              std::string("Precondition failed: ") + label +
                                  " in precondition: " + text(conditions, field) + ", " + label +
                                  " in object meta: " + text(metadata, field)));
    }
  }
  // A Pod that no node has taken has nothing to end in grace.
  const bool scheduled = !before->value("spec", Object::object()).value("nodeName", "").empty();
  const int grace = options.value("gracePeriodSeconds", 30);
  const bool wait = type.graceful && scheduled && grace > 0;
  if (!wait && !has_finalizers(*before)) {
    log_manager_ = write.manager;
    erase(type, key, "delete");
    return std::optional<Object>();
  }
  if (metadata.contains("deletionTimestamp")) return std::optional<Object>(*before);
  Object next = *before;
  next["metadata"]["deletionTimestamp"] = now();
  next["metadata"]["deletionGracePeriodSeconds"] = type.graceful ? grace : 0;
  next["metadata"]["resourceVersion"] = std::to_string(++version_);
  auto after = std::make_shared<const Object>(std::move(next));
  objects[key] = after;
  log(type, key, before, after, write, "delete");
  return std::optional<Object>(*after);
}

void ObjectStore::erase(const TypeRules& type, const kube::ObjectKey& key,
                        const std::string& verb) {
  auto& objects = objects_[type.plural];
  const auto found = objects.find(key);
  if (found == objects.end()) return;
  const Snapshot before = found->second;
  objects.erase(found);
  ++version_;
  log(type, key, before, nullptr, {std::exchange(log_manager_, ""), ""}, verb);
  collect_garbage(before->at("metadata").at("uid"));
}

bool ObjectStore::alive(const std::string& uid) const {
  for (const auto& [plural, objects] : objects_) {
    for (const auto& [key, object] : objects) {
      if (object->at("metadata").at("uid") == uid) return true;
    }
  }
  return false;
}

bool ObjectStore::orphaned(const Object& object) const {
  const Object owners = object.at("metadata").value("ownerReferences", Object::array());
  return !owners.empty() && std::none_of(owners.begin(), owners.end(), [&](const Object& owner) {
    return alive(owner.value("uid", ""));
  });
}

// Background deletion: what has no living owner left goes.
void ObjectStore::collect_garbage(const std::string& owner_uid) {
  std::vector<std::pair<const TypeRules*, kube::ObjectKey>> orphans;
  for (const auto& [id, rules] : types_) {
    const auto objects = objects_.find(rules.plural);
    if (objects == objects_.end()) continue;
    for (const auto& [key, object] : objects->second) {
      const Object owners = object->at("metadata").value("ownerReferences", Object::array());
      const bool concerned = std::any_of(owners.begin(), owners.end(), [&](const Object& owner) {
        return owner.value("uid", "") == owner_uid;
      });
      if (concerned && orphaned(*object)) orphans.emplace_back(&rules, key);
    }
  }
  for (const auto& [rules, key] : orphans) erase(*rules, key, "gc");
}

void ObjectStore::log(const TypeRules& type, const kube::ObjectKey& key, Snapshot before,
                      Snapshot after, const Write& write, const std::string& verb) {
  writes_.push_back({verb, type.plural, key, write.manager, version_});
  HistoryEntry entry{version_, type.plural, std::move(before), std::move(after), {}};
  if (!entry.after) {
    entry.last = *entry.before;
    entry.last["metadata"]["resourceVersion"] = std::to_string(version_);
  }
  history_.push_back(std::move(entry));
  keep_history(history_limit_);
}

std::function<void()> ObjectStore::undo() {
  return [this, objects = objects_, version = version_, uids = uids_, oldest = oldest_,
          history = history_, writes = writes_] {
    objects_ = objects;
    version_ = version;
    uids_ = uids;
    oldest_ = oldest;
    history_ = history;
    writes_ = writes;
  };
}

void ObjectStore::compact() {
  oldest_ = version_;
  history_.clear();
}

void ObjectStore::keep_history(std::size_t entries) {
  history_limit_ = entries;
  if (history_.size() <= entries) return;
  const auto drop = static_cast<std::ptrdiff_t>(history_.size() - entries);
  oldest_ = history_[static_cast<std::size_t>(drop) - 1].version;
  history_.erase(history_.begin(), history_.begin() + drop);
}

}  // namespace pooler::fault
