// The objects of FakeApiServer with the rules of writing: versions, uids, generations, status apart
// from the rest, ownership of fields, preconditions, deletion, garbage collection, history.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "fault/field_sets.h"
#include "kube/meta.h"

namespace pooler::fault {

// What differs from type to type.
struct TypeRules {
  std::string api_version;
  std::string kind;
  std::string plural;
  bool status_subresource = false;
  bool generation = false;
  bool custom_resource = false;           // items of a list carry apiVersion and kind
  bool graceful = false;                  // Pods: a delete only marks, somebody removes later
  std::vector<std::string> immutable;     // JSON pointers
  std::function<void(Object&)> defaults;  // after every write
  // Message and field of what is wrong; nullopt: valid.
  std::function<std::optional<std::pair<std::string, std::string>>(const Object&)> validate;
};

// A refused request, as the Status it is answered with.
struct Refusal {
  int code = 0;
  std::string reason;
  std::string message;
  Object details = Object::object();
  std::optional<int> retry_after;
};
[[nodiscard]] Object to_status(const Refusal& refusal);

template <class T>
using Answer = Result<T, Refusal>;
using Snapshot = std::shared_ptr<const Object>;

// An accepted write that changed something.
struct WriteRecord {
  std::string verb;  // "create", "update", "patch", "apply", "delete", "gc"; status: "apply/status"
  std::string plural;
  kube::ObjectKey key;
  std::string manager;
  std::uint64_t version = 0;
};

struct HistoryEntry {
  std::uint64_t version = 0;
  std::string plural;
  Snapshot before;  // null: added
  Snapshot after;   // null: deleted
  Object last;      // of a deleted one, with the version of the deletion
};

struct Write {
  std::string manager;
  std::string subresource;  // "" or "status"
};

// Not thread-safe: FakeApiServer holds the lock.
class ObjectStore {
 public:
  explicit ObjectStore(const Clock& clock);

  void serve(TypeRules rules);
  [[nodiscard]] const TypeRules* type(std::string_view api_version, std::string_view plural) const;

  [[nodiscard]] Answer<Object> get(const TypeRules& type, const kube::ObjectKey& key) const;
  [[nodiscard]] std::vector<Snapshot> list(const TypeRules& type, std::string_view ns) const;
  Answer<Object> create(const TypeRules& type, const std::string& ns, Object body,
                        const Write& write, const std::string& operation = "Update");
  // `changed` is the whole object as it shall be; its resourceVersion, where set, must be the
  // present one.
  Answer<Object> update(const TypeRules& type, const kube::ObjectKey& key, Object changed,
                        const Write& write, const std::string& verb = "update");
  Answer<Object> apply(const TypeRules& type, const kube::ObjectKey& key, const Object& body,
                       const Write& write, bool force);
  // The object where it only begins to go, null where it is gone.
  Answer<std::optional<Object>> remove(const TypeRules& type, const kube::ObjectKey& key,
                                       const Object& options, const Write& write);
  // Takes an object away at once, whatever its grace and finalizers (as kubelet ends a Pod).
  void erase(const TypeRules& type, const kube::ObjectKey& key, const std::string& verb);

  // Puts everything back to how it is now: for a dry run.
  [[nodiscard]] std::function<void()> undo();

  void terminate_namespace(const std::string& ns) { terminating_.insert(ns); }

  [[nodiscard]] std::uint64_t version() const { return version_; }
  [[nodiscard]] const std::vector<HistoryEntry>& history() const { return history_; }
  // Watches from before this version are answered 410.
  [[nodiscard]] std::uint64_t oldest() const { return oldest_; }
  void compact();
  void keep_history(std::size_t entries);
  [[nodiscard]] const std::vector<WriteRecord>& writes() const { return writes_; }

 private:
  using Objects = std::map<kube::ObjectKey, Snapshot>;
  Answer<Object> store(const TypeRules& type, const kube::ObjectKey& key, Object next,
                       const Snapshot& before, const Write& write, const std::string& verb);
  void keep_identity(const TypeRules& type, const Object& before, Object& next) const;
  [[nodiscard]] std::optional<Refusal> check(const TypeRules& type, const Object& before,
                                             const Object& next) const;
  void collect_garbage(const std::string& owner_uid);
  [[nodiscard]] bool alive(const std::string& uid) const;
  [[nodiscard]] bool orphaned(const Object& object) const;
  void log(const TypeRules& type, const kube::ObjectKey& key, Snapshot before, Snapshot after,
           const Write& write, const std::string& verb);
  [[nodiscard]] static Object write_time_aside(Object object);
  [[nodiscard]] std::string new_uid();
  [[nodiscard]] std::string now() const;

  const Clock& clock_;
  std::map<std::pair<std::string, std::string>, TypeRules> types_;
  std::map<std::string, Objects> objects_;  // by plural
  std::set<std::string> terminating_;
  std::uint64_t version_ = 990;  // soon of four digits: versions are no strings to compare
  std::uint64_t uids_ = 0;
  std::uint64_t oldest_ = 0;
  std::size_t history_limit_ = 10000;
  std::vector<HistoryEntry> history_;
  std::vector<WriteRecord> writes_;
  std::string log_manager_;  // of the delete that is being carried out
};

// Secrets, ConfigMaps, Services, Pods, StatefulSets, Deployments, PodDisruptionBudgets,
// NetworkPolicies, Events.
[[nodiscard]] std::vector<TypeRules> builtin_types();

}  // namespace pooler::fault
