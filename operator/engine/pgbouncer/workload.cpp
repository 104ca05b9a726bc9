#include "engine/pgbouncer/workload.h"

#include <array>

#include "base/json.h"
#include "engine/objects.h"

// Bodies say things as the API server stores them (no zero values, canonical quantities), so that
// comparing them with what it has tells a real difference.
namespace pooler::engine::pgbouncer {
namespace {

constexpr int kUser = 65532;

// Beyond what a pod is given to end its transactions: for PgBouncer to leave.
constexpr int kGraceMarginSeconds = 10;
// On the operator's own pod; the chart sets it.
constexpr const char* kOperatorLabel = "pooler.dev/component";

Json service(const api::PoolerConfig& config, const std::string& name, int port) {
  Json body = object(config, "v1", "Service", name);
  body["spec"] = {{"selector", selector_labels(config)},
                  {"ports", Json::array({{{"name", "pgbouncer"},
                                          {"port", port},
                                          {"protocol", "TCP"},
                                          {"targetPort", "pgbouncer"}}})}};
  return body;
}

// By the label that every namespace has.
Json of_namespace(const std::string& name) {
  return {{"matchLabels", {{"kubernetes.io/metadata.name", name}}}};
}

// Asks nothing of the database: a pooler whose database is down is a pooler that works.
Json tcp_probe(int period, int failures) {
  return {{"tcpSocket", {{"port", "pgbouncer"}}},
          {"periodSeconds", period},
          {"timeoutSeconds", 1},
          {"successThreshold", 1},
          {"failureThreshold", failures}};
}

// `ours` with what the user adds or sets otherwise.
Json with_users(Json ours, const Json& pod, const char* field) {
  if (pod.contains(field)) ours.update(pod[field]);
  return ours;
}

Json resources(const Json& pod) {
  if (pod.contains("resources") && !pod["resources"].empty()) return pod["resources"];
  return {{"requests", {{"cpu", "50m"}, {"memory", "32Mi"}}},
          {"limits", {{"cpu", "1"}, {"memory", "256Mi"}}}};
}

Json container_security(const Json& pod) {
  return with_users({{"allowPrivilegeEscalation", false},
                     {"readOnlyRootFilesystem", true},
                     {"capabilities", {{"drop", Json::array({"ALL"})}}}},
                    pod, "containerSecurityContext");
}

Json container(const api::PoolerConfig& config, const Json& pod, const std::string& image) {
  Json liveness = tcp_probe(10, 6);
  // A process that does not accept has no transactions worth the pod's long grace.
  liveness["timeoutSeconds"] = 5;
  liveness["terminationGracePeriodSeconds"] = 10;
  return {
      {"name", "pgbouncer"},
      {"image", image},
      {"command", Json::array({"pgbouncer"})},
      {"args", Json::array({std::string(kMountPath) + "/$(POD_NAME).ini"})},
      {"env",
       Json::array({{{"name", "POD_NAME"},
                     {"valueFrom",
                      {{"fieldRef", {{"apiVersion", "v1"}, {"fieldPath", "metadata.name"}}}}}}})},
      {"ports",
       Json::array({{{"name", "pgbouncer"}, {"containerPort", kPort}, {"protocol", "TCP"}}})},
      {"readinessProbe", tcp_probe(1, 3)},
      {"livenessProbe", std::move(liveness)},
      // The pod has left the endpoints; until every node knows, clients still come.
      {"lifecycle",
       {{"preStop", {{"sleep", {{"seconds", config.spec.drain.endpoint_propagation_seconds}}}}}}},
      {"resources", resources(pod)},
      {"securityContext", container_security(pod)},
      {"volumeMounts",
       Json::array(
           {{{"name", "config"}, {"mountPath", std::string(kMountPath)}, {"readOnly", true}}})}};
}

Json spread(const api::PoolerConfig& config, const char* topology_key) {
  return {{"maxSkew", 1},
          {"topologyKey", topology_key},
          {"whenUnsatisfiable", "ScheduleAnyway"},
          {"labelSelector", {{"matchLabels", selector_labels(config)}}}};
}

// The user's constraints know their pods' labels only by ours.
Json spreads(const api::PoolerConfig& config, const Json& pod) {
  if (!pod.contains("topologySpreadConstraints")) {
    return Json::array(
        {spread(config, "kubernetes.io/hostname"), spread(config, "topology.kubernetes.io/zone")});
  }
  Json constraints = pod["topologySpreadConstraints"];
  for (Json& constraint : constraints) {
    if (constraint.contains("labelSelector")) continue;
    constraint["labelSelector"] = {{"matchLabels", selector_labels(config)}};
  }
  return constraints;
}

Json pod_spec(const api::PoolerConfig& config, const Json& pod, const std::string& image) {
  const auto& drain = config.spec.drain;
  Json spec = {
      {"automountServiceAccountToken", false},
      {"enableServiceLinks", false},
      {"terminationGracePeriodSeconds",
       drain.endpoint_propagation_seconds + drain.max_transaction_seconds + kGraceMarginSeconds},
      // The group lets this user read the files of the Secret, and nobody else.
      {"securityContext", with_users({{"runAsNonRoot", true},
                                      {"runAsUser", kUser},
                                      {"runAsGroup", kUser},
                                      {"fsGroup", kUser},
                                      {"seccompProfile", {{"type", "RuntimeDefault"}}}},
                                     pod, "securityContext")},
      {"topologySpreadConstraints", spreads(config, pod)},
      {"containers", Json::array({container(config, pod, image)})},
      {"volumes",
       Json::array(
           {{{"name", "config"},
             {"secret", {{"secretName", config_secret_name(config)}, {"defaultMode", 0440}}}}})}};
  for (const char* field :
       {"nodeSelector", "tolerations", "affinity", "priorityClassName", "imagePullSecrets"}) {
    if (pod.contains(field)) spec[field] = pod[field];
  }
  return spec;
}

// Ours win: Services, watches and the drain go by them.
Json pod_metadata(const api::PoolerConfig& config, const Json& pod) {
  const Json given = pod.value("metadata", Json::object());
  const Json added = given.value("labels", Json::object());
  Json metadata = {{"labels", labels(config)}};
  for (const auto& [key, value] : added.items()) {
    if (!metadata["labels"].contains(key)) metadata["labels"][key] = value;
  }
  if (given.contains("annotations")) metadata["annotations"] = given["annotations"];
  return metadata;
}

Json pod_template(const api::PoolerConfig& config, const std::string& image) {
  const Json pod = parse_json(config.spec.pod);
  return {{"metadata", pod_metadata(config, pod)}, {"spec", pod_spec(config, pod, image)}};
}

}  // namespace

std::string workload_name(const api::PoolerConfig& config) { return config.name + "-pooler"; }

std::string peers_name(const api::PoolerConfig& config) { return workload_name(config) + "-peers"; }

std::string config_secret_name(const api::PoolerConfig& config) {
  return workload_name(config) + "-config";
}

std::string service_host(const api::PoolerConfig& config) {
  return workload_name(config) + "." + config.ns + ".svc";
}

urls::HostPort way_in(const api::PoolerConfig& config) {
  const api::Service& service = config.spec.service;
  return {service.external_host.empty() ? service_host(config) : service.external_host,
          service.port};
}

Json client_service(const api::PoolerConfig& config) {
  const api::Service& wanted = config.spec.service;
  Json body = service(config, workload_name(config), wanted.port);
  const bool balanced = wanted.type == api::ServiceType::kLoadBalancer;
  body["spec"]["type"] = balanced ? "LoadBalancer" : "ClusterIP";
  for (const auto& [key, value] : wanted.annotations) body["metadata"]["annotations"][key] = value;
  return body;
}

Json peers_service(const api::PoolerConfig& config) {
  Json body = service(config, peers_name(config), kPort);
  body["spec"]["clusterIP"] = "None";
  body["spec"]["publishNotReadyAddresses"] = true;
  return body;
}

Json config_secret(const api::PoolerConfig& config,
                   const std::map<std::string, std::string>& files) {
  return secret(config, config_secret_name(config), "Opaque", files);
}

Json stateful_set(const api::PoolerConfig& config, const std::string& image, int replicas) {
  Json body = object(config, "apps/v1", "StatefulSet", workload_name(config));
  body["spec"] = {{"replicas", replicas},
                  {"serviceName", peers_name(config)},
                  {"podManagementPolicy", "Parallel"},
                  {"updateStrategy", {{"type", "OnDelete"}}},
                  {"revisionHistoryLimit", 2},
                  {"selector", {{"matchLabels", selector_labels(config)}}},
                  {"template", pod_template(config, image)}};
  return body;
}

Json pod_of_template(const api::PoolerConfig& config, const std::string& image) {
  Json body = {{"apiVersion", "v1"}, {"kind", "Pod"}};
  body.update(pod_template(config, image));
  body["metadata"]["name"] = workload_name(config) + "-dry-run";
  body["metadata"]["namespace"] = config.ns;
  return body;
}

Json network_policy(const api::PoolerConfig& config, const std::string& operator_namespace) {
  Json from = parse_json(config.spec.network_policy.from);
  if (from.empty()) from = Json::array({{{"namespaceSelector", of_namespace(config.ns)}}});
  // Cancel requests go from peer to peer, and nothing else guards that hop.
  from.push_back({{"podSelector", {{"matchLabels", selector_labels(config)}}}});
  if (!operator_namespace.empty()) {
    from.push_back({{"namespaceSelector", of_namespace(operator_namespace)},
                    {"podSelector", {{"matchLabels", {{kOperatorLabel, "operator"}}}}}});
  }
  Json body = object(config, "networking.k8s.io/v1", "NetworkPolicy", workload_name(config));
  body["spec"] = {
      {"podSelector", {{"matchLabels", selector_labels(config)}}},
      {"policyTypes", Json::array({"Ingress"})},
      {"ingress",
       Json::array({{{"from", std::move(from)},
                     {"ports", Json::array({{{"port", kPort}, {"protocol", "TCP"}}})}}})}};
  return body;
}

std::string image_of(const Json& stateful_set) {
  static const Json::json_pointer path("/spec/template/spec/containers/0/image");
  const bool there = stateful_set.contains(path) && stateful_set.at(path).is_string();
  return there ? stateful_set.at(path).get<std::string>() : std::string();
}

Json pod_disruption_budget(const api::PoolerConfig& config) {
  Json body = object(config, "policy/v1", "PodDisruptionBudget", workload_name(config));
  body["spec"] = {{"maxUnavailable", 1},
                  {"selector", {{"matchLabels", selector_labels(config)}}},
                  {"unhealthyPodEvictionPolicy", "AlwaysAllow"}};
  return body;
}

}  // namespace pooler::engine::pgbouncer
