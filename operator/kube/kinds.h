// The kinds that are cached, as structs with only the fields that are used.
//
// A kind K is a struct with `Meta meta`, `static const ResourceType kType` and
// `static Result<K, std::string> decode(std::string_view json)`; Store, Watcher and Client take
// any.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kube/meta.h"

namespace pooler::kube {

template <class K>
using Decoded = Result<K, std::string>;

// `body`, where a kind has it: the object as compact JSON with apiVersion and kind, without status
// and managedFields, to check that what we want is a subset of it.

struct Secret {
  static constexpr ResourceType kType{"v1", "Secret", "secrets"};
  static Decoded<Secret> decode(std::string_view json);
  Meta meta;
  std::string type;
  bool immutable = false;
  std::map<std::string, std::string> data;  // decoded from base64
  std::string body;
};

struct Service {
  static constexpr ResourceType kType{"v1", "Service", "services"};
  static Decoded<Service> decode(std::string_view json);
  Meta meta;
  std::vector<std::string> cluster_ips;  // "None" for a headless one
  std::string body;
};

struct StatefulSet {
  static constexpr ResourceType kType{"apps/v1", "StatefulSet", "statefulsets"};
  static Decoded<StatefulSet> decode(std::string_view json);
  Meta meta;
  std::int32_t replicas = 1;  // spec
  std::int32_t status_replicas = 0;
  std::int32_t ready_replicas = 0;
  std::string current_revision;
  std::string update_revision;
  std::int64_t observed_generation = 0;
  std::string body;
};

struct PodDisruptionBudget {
  static constexpr ResourceType kType{"policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"};
  static Decoded<PodDisruptionBudget> decode(std::string_view json);
  Meta meta;
  std::string body;
};

struct NetworkPolicy {
  static constexpr ResourceType kType{"networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"};
  static Decoded<NetworkPolicy> decode(std::string_view json);
  Meta meta;
  std::string body;
};

struct ContainerStatus {
  std::string name;
  bool ready = false;
  bool started = false;
  bool running = false;
  std::int32_t restart_count = 0;
  std::string image;           // as asked for in the spec
  std::string image_id;        // as the node resolved it
  std::string waiting_reason;  // "ImagePullBackOff", "CrashLoopBackOff", ...
  std::string waiting_message;
  std::string terminated_reason;  // of the state, else of the last state: "OOMKilled", "Error"
  std::int32_t terminated_exit_code = 0;
};

struct Pod {
  static constexpr ResourceType kType{"v1", "Pod", "pods"};
  static Decoded<Pod> decode(std::string_view json);
  Meta meta;
  std::string phase;
  std::string ip;
  std::string node;
  bool ready = false;     // condition Ready=True
  bool scheduled = true;  // false: condition PodScheduled=False, with its reason and message
  std::string unscheduled_reason;
  std::string unscheduled_message;
  std::string reason;  // of the status: "Evicted", ...
  std::string message;
  std::vector<ContainerStatus> containers;  // without init containers
  [[nodiscard]] const ContainerStatus* container(std::string_view name) const;
};

// An object of any type of which only metadata was asked for (give the type to the Watcher).
struct PartialObject {
  static constexpr ResourceType kType{"meta.k8s.io/v1", "PartialObjectMetadata", ""};
  static Decoded<PartialObject> decode(std::string_view json);
  Meta meta;
};

// metadata.resourceVersion alone (a bookmark's object has no more).
[[nodiscard]] Result<std::string, std::string> decode_resource_version(std::string_view json);

// For kinds that are defined elsewhere.
[[nodiscard]] Result<Meta, std::string> decode_meta(std::string_view json);
[[nodiscard]] Result<std::string, std::string> decode_body(std::string_view json,
                                                           const ResourceType& type);

}  // namespace pooler::kube
