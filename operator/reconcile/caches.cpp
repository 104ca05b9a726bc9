#include "reconcile/caches.h"

#include <algorithm>
#include <string>

namespace pooler::reconcile {

std::string Caches::unsynced() const {
  std::string missing;
  const auto need = [&missing](bool synced, const char* name) {
    if (!synced)
      missing += (missing.empty() ? "waiting for the first list of " : ", ") + std::string(name);
  };
  need(configs.synced(), "poolerconfigs");
  need(secrets.synced() && secret_names.synced(), "secrets");
  need(services.synced(), "services");
  need(workloads.synced(), "statefulsets");
  need(disruption_budgets.synced(), "poddisruptionbudgets");
  need(network_policies.synced(), "networkpolicies");
  need(pods.synced(), "pods");
  return missing;
}

kube::ObjectKey owner_of(const kube::Meta& meta) {
  const kube::OwnerReference* owner = meta.controller_owner();
  if (owner != nullptr && owner->kind == api::kKind) return {meta.ns, owner->name};
  const auto label = meta.labels.find(std::string(api::kNameLabel));
  return {meta.ns, label == meta.labels.end() ? "" : label->second};
}

std::vector<kube::ObjectKey> users_of_secret(const Caches& caches, const kube::ObjectKey& secret) {
  std::vector<kube::ObjectKey> users;
  for (const auto& object : caches.configs.list(secret.ns)) {
    const api::Spec& spec = object->config->spec;
    std::vector<std::string> names = api::certificate_secrets(spec);
    names.insert(names.end(), {spec.database.secret_name, spec.connection_secret.name,
                               spec.pgbouncer.auth.user_secret});
    if (spec.supabase) names.push_back(spec.supabase->token_secret_name);
    if (std::find(names.begin(), names.end(), secret.name) != names.end()) {
      users.push_back(object->meta.key());
    }
  }
  return users;
}

}  // namespace pooler::reconcile
