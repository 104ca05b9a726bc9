// The Kubernetes objects of one PoolerConfig with engine PgBouncer, as JSON bodies for create and
// apply: complete (ownerReference, labels), deterministic, no Secret value outside a Secret. The
// admin Secret and the published one are in engine/secrets.h.
#pragma once

#include <map>
#include <string>

#include "api/pooler_config.h"
#include "base/json_fwd.h"
#include "engine/pgbouncer/render.h"
#include "urls/connection.h"

namespace pooler::engine::pgbouncer {

// Names of the objects of a PoolerConfig.
[[nodiscard]] std::string workload_name(const api::PoolerConfig& config);  // "<name>-pooler"
[[nodiscard]] std::string peers_name(const api::PoolerConfig& config);
[[nodiscard]] std::string config_secret_name(const api::PoolerConfig& config);
// Name of the Service in the cluster: "<name>-pooler.<namespace>.svc".
[[nodiscard]] std::string service_host(const api::PoolerConfig& config);

// What clients connect to, as published: spec.service.externalHost or the Service, and its port.
[[nodiscard]] urls::HostPort way_in(const api::PoolerConfig& config);

[[nodiscard]] Json client_service(const api::PoolerConfig& config);
[[nodiscard]] Json peers_service(const api::PoolerConfig& config);
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

}  // namespace pooler::engine::pgbouncer
