// The rules of the built-in types that the operator uses.
#include "fault/object_store.h"

namespace pooler::fault {
namespace {

void secret_defaults(Object& secret) {
  if (!secret.contains("type")) secret["type"] = "Opaque";
}

void service_defaults(Object& service) {
  Object& spec = service["spec"];
  if (!spec.contains("clusterIP")) spec["clusterIP"] = "10.96.0.10";
  if (!spec.contains("clusterIPs")) spec["clusterIPs"] = Object::array({spec["clusterIP"]});
  if (!spec.contains("type")) spec["type"] = "ClusterIP";
  if (!spec.contains("ports")) return;
  for (Object& port : spec["ports"]) {
    if (!port.contains("protocol")) port["protocol"] = "TCP";
    if (!port.contains("targetPort")) port["targetPort"] = port["port"];
  }
}

void stateful_set_defaults(Object& set) {
  Object& spec = set["spec"];
  if (!spec.contains("replicas")) spec["replicas"] = 1;
  if (!spec.contains("podManagementPolicy")) spec["podManagementPolicy"] = "OrderedReady";
  if (!spec.contains("revisionHistoryLimit")) spec["revisionHistoryLimit"] = 10;
  if (!set.contains("status")) set["status"] = {{"replicas", 0}};
}

using Wrong = std::optional<std::pair<std::string, std::string>>;

// Two of the rules for a pod's spec: one that a template is held to as well, and one of the
// admission that only pods meet.
Wrong wrong_toleration(const Object& spec, const std::string& path) {
  const Object tolerations = spec.value("tolerations", Object::array());
  for (std::size_t i = 0; i < tolerations.size(); ++i) {
    const std::string word = tolerations[i].value("operator", "Equal");
    if (word == "Equal" || word == "Exists") continue;
    return std::pair{"Unsupported value: \"" + word + "\": supported values: \"Equal\", \"Exists\"",
                     path + ".tolerations[" + std::to_string(i) + "].operator"};
  }
  return std::nullopt;
}

Wrong wrong_pod(const Object& pod) {
  const Object spec = pod.value("spec", Object::object());
  const std::string priority = spec.value("priorityClassName", "");
  if (!priority.empty() && !priority.starts_with("system-")) {
    return std::pair{"no PriorityClass with name " + priority + " was found",
                     std::string("spec.priorityClassName")};
  }
  return wrong_toleration(spec, "spec");
}

Wrong wrong_stateful_set(const Object& set) {
  return wrong_toleration(set.value("/spec/template/spec"_json_pointer, Object::object()),
                          "spec.template.spec");
}

TypeRules rules(std::string api_version, std::string kind, std::string plural) {
  TypeRules type;
  type.api_version = std::move(api_version);
  type.kind = std::move(kind);
  type.plural = std::move(plural);
  return type;
}

}  // namespace

std::vector<TypeRules> builtin_types() {
  std::vector<TypeRules> types;
  TypeRules secret = rules("v1", "Secret", "secrets");
  secret.immutable = {"/type"};
  secret.defaults = secret_defaults;
  types.push_back(secret);
  types.push_back(rules("v1", "ConfigMap", "configmaps"));
  TypeRules service = rules("v1", "Service", "services");
  service.status_subresource = true;
  service.immutable = {"/spec/clusterIP"};
  service.defaults = service_defaults;
  types.push_back(service);
  TypeRules pod = rules("v1", "Pod", "pods");
  pod.status_subresource = true;
  pod.generation = true;
  pod.graceful = true;
  pod.immutable = {"/spec"};
  pod.validate = wrong_pod;
  types.push_back(pod);
  TypeRules set = rules("apps/v1", "StatefulSet", "statefulsets");
  set.status_subresource = true;
  set.generation = true;
  set.immutable = {"/spec/serviceName", "/spec/selector", "/spec/podManagementPolicy",
                   "/spec/volumeClaimTemplates"};
  set.defaults = stateful_set_defaults;
  set.validate = wrong_stateful_set;
  types.push_back(set);
  TypeRules deployment = rules("apps/v1", "Deployment", "deployments");
  deployment.status_subresource = true;
  deployment.generation = true;
  deployment.immutable = {"/spec/selector"};
  types.push_back(deployment);
  TypeRules budget = rules("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets");
  budget.status_subresource = true;
  budget.generation = true;
  types.push_back(budget);
  TypeRules policy = rules("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies");
  policy.generation = true;
  types.push_back(policy);
  types.push_back(rules("events.k8s.io/v1", "Event", "events"));
  return types;
}

}  // namespace pooler::fault
