// What the watches know, and which PoolerConfig a change concerns.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "kube/kinds.h"
#include "kube/store.h"
#include "reconcile/kinds.h"

namespace pooler::reconcile {

// Objects that the operator makes carry this label; the watches of owned kinds select by it.
inline constexpr std::string_view kManagedByLabel = "app.kubernetes.io/managed-by";
inline constexpr std::string_view kManagedBy = "pooler-operator";

struct Caches {
  kube::Store<PoolerConfigObject> configs;
  kube::Store<kube::Secret> secrets;  // ours only
  kube::Store<kube::Service> services;
  kube::Store<kube::StatefulSet> workloads;
  kube::Store<kube::PodDisruptionBudget> disruption_budgets;
  kube::Store<kube::NetworkPolicy> network_policies;
  kube::Store<kube::Pod> pods;
  kube::Store<kube::PartialObject> secret_names;  // every Secret's metadata, to see rotations

  // Why not all of them are there yet; empty when they are.
  [[nodiscard]] std::string unsynced() const;
};

// The PoolerConfig whose object this is, by label and owner; empty name where it is nobody's.
[[nodiscard]] kube::ObjectKey owner_of(const kube::Meta& meta);

// The PoolerConfigs that read a Secret, or want to publish under its name.
[[nodiscard]] std::vector<kube::ObjectKey> users_of_secret(const Caches& caches,
                                                           const kube::ObjectKey& secret);

}  // namespace pooler::reconcile
