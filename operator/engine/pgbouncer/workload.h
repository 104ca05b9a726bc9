// The Kubernetes objects of one PoolerConfig with engine PgBouncer, as JSON bodies for create and
// apply: complete (ownerReference, labels), deterministic, no Secret value outside a Secret. The
// admin Secret and the published one are the same with every engine.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "api/pooler_config.h"
#include "base/json_fwd.h"
#include "engine/pgbouncer/render.h"
#include "urls/connection.h"

namespace pooler::engine::pgbouncer {

// Names of the objects of a PoolerConfig.
[[nodiscard]] std::string workload_name(const api::PoolerConfig& config);  // "<name>-pooler"
[[nodiscard]] std::string peers_name(const api::PoolerConfig& config);
[[nodiscard]] std::string config_secret_name(const api::PoolerConfig& config);
[[nodiscard]] std::string admin_secret_name(const api::PoolerConfig& config);
// Name of the Service in the cluster: "<name>-pooler.<namespace>.svc".
[[nodiscard]] std::string service_host(const api::PoolerConfig& config);

// What clients connect to, as published: spec.service.externalHost or the Service, and its port.
[[nodiscard]] urls::HostPort way_in(const api::PoolerConfig& config);

[[nodiscard]] Json client_service(const api::PoolerConfig& config);
[[nodiscard]] Json peers_service(const api::PoolerConfig& config);
[[nodiscard]] Json admin_secret(const api::PoolerConfig& config, const Admin& admin);
// nullopt: the Secret was edited and is no longer usable (a new one must be made).
[[nodiscard]] std::optional<Admin> read_admin_secret(
    const std::map<std::string, std::string>& data);
// From fresh random bytes: 32-byte password, salt and hash key.
[[nodiscard]] Admin make_admin(std::string_view random);
inline constexpr std::size_t kAdminRandomBytes = 80;
[[nodiscard]] Json config_secret(const api::PoolerConfig& config,
                                 const std::map<std::string, std::string>& files);
[[nodiscard]] Json stateful_set(const api::PoolerConfig& config, const std::string& image,
                                int replicas);
// A pod as the StatefulSet would make it, to ask the API server whether it takes such a one; it is
// never made.
[[nodiscard]] Json pod_of_template(const api::PoolerConfig& config, const std::string& image);
// To the one port of the pods, which is that of clients, peers and the console: from the clients of
// spec.networkPolicy.from, from each other, and from the operator where its namespace is known.
[[nodiscard]] Json network_policy(const api::PoolerConfig& config,
                                  const std::string& operator_namespace);
// The pooler's image in such a body, as stored; empty where there is none.
[[nodiscard]] std::string image_of(const Json& stateful_set);
// Made only while replicas > 1.
[[nodiscard]] Json pod_disruption_budget(const api::PoolerConfig& config);
// Annotation: a keyed hash, of the whole body; on the published Secret of its data.
inline constexpr const char* kContentHashAnnotation = "pooler.dev/content-hash";
// `data`: urls::published_keys. `content_hash`: keyed, because a plain hash would be an oracle.
// With deletionPolicy Retain it has no owner but kOwnerUidAnnotation.
[[nodiscard]] Json published_secret(const api::PoolerConfig& config,
                                    const std::map<std::string, std::string>& data,
                                    const std::string& content_hash);

// Every key of `data` in a fixed order, HMAC-SHA256 with the operator's key, 16 hex digits.
[[nodiscard]] std::string content_hash(const Admin& admin,
                                       const std::map<std::string, std::string>& data);

}  // namespace pooler::engine::pgbouncer
