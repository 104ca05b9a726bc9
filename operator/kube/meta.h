// What every Kubernetes object has: a key, a type with its paths, metadata.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pooler::kube {

// Namespace and name. `ns` is empty for cluster-scoped objects.
struct ObjectKey {
  std::string ns;
  std::string name;
  auto operator<=>(const ObjectKey&) const = default;
};

[[nodiscard]] std::string to_string(const ObjectKey& key);  // "namespace/name", or "name"

struct OwnerReference {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
  bool controller = false;
  bool operator==(const OwnerReference&) const = default;
};

struct Meta {
  std::string name;
  std::string ns;
  std::string uid;
  std::string resource_version;
  std::int64_t generation = 0;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;  // without kubectl's last-applied-configuration
  std::vector<OwnerReference> owners;
  std::int64_t creation_seconds = 0;  // creationTimestamp, seconds since 1970; 0: not set
  bool deleting = false;              // deletionTimestamp is present
  std::optional<std::int64_t> deletion_grace_seconds;
  // Field managers with an entry operation=Apply on the object itself (not on a subresource): all
  // that is kept of managedFields.
  std::vector<std::string> appliers;

  [[nodiscard]] ObjectKey key() const { return {ns, name}; }
  [[nodiscard]] bool applied_by(std::string_view manager) const;
  // The owner reference with controller=true, or null.
  [[nodiscard]] const OwnerReference* controller_owner() const;
  [[nodiscard]] bool owned_by(std::string_view owner_uid) const;
};

// A served type, for example {"apps/v1", "StatefulSet", "statefulsets"}.
struct ResourceType {
  std::string_view api_version;  // "v1" or "group/version"
  std::string_view kind;
  std::string_view plural;

  // "/apis/apps/v1/namespaces/NS/statefulsets", without the namespace where `ns` is empty.
  [[nodiscard]] std::string collection(std::string_view ns) const;
  [[nodiscard]] std::string object(const ObjectKey& key) const;
  [[nodiscard]] std::string subresource(const ObjectKey& key, std::string_view name) const;
  bool operator==(const ResourceType&) const = default;
};

// Percent-encodes all but RFC 3986's unreserved characters: for a path segment or a query value.
[[nodiscard]] std::string url_encode(std::string_view text);

// Orders two resourceVersions of one type (Kubernetes 1.35, KEP-5504: decimal, no leading zero).
// nullopt where either is none of these: then nothing may be concluded.
[[nodiscard]] std::optional<std::strong_ordering> compare_resource_versions(std::string_view a,
                                                                            std::string_view b);

}  // namespace pooler::kube

template <>
struct std::hash<pooler::kube::ObjectKey> {
  std::size_t operator()(const pooler::kube::ObjectKey& key) const noexcept {
    const std::size_t h = std::hash<std::string>{}(key.ns);
    return std::hash<std::string>{}(key.name) ^ (h + 0x9e3779b97f4a7c15U + (h << 6U) + (h >> 2U));
  }
};
