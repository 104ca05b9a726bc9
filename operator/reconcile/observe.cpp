#include "reconcile/observe.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "engine/pgbouncer/workload.h"

namespace pooler::reconcile {
namespace {

namespace pgbouncer = engine::pgbouncer;

Ownership ownership_of(const kube::Meta& meta, const api::PoolerConfig& config) {
  const kube::OwnerReference* owner = meta.controller_owner();
  const bool namesake = owner != nullptr && owner->kind == api::kKind &&
                        owner->name == config.name && owner->api_version == api::kApiVersion;
  if (!namesake) return Ownership::kForeign;
  return owner->uid == config.uid && !meta.deleting ? Ownership::kOurs : Ownership::kLeaving;
}

template <class K>
void fill(Child& child, const K& object, const api::PoolerConfig& config) {
  child.ownership = ownership_of(object.meta, config);
  child.meta = object.meta;
  child.body = object.body;
}

void fill(SecretChild& child, const kube::Secret& secret, const api::PoolerConfig& config) {
  fill<kube::Secret>(child, secret, config);
  child.data = secret.data;
}

void fill(ServiceChild& child, const kube::Service& service, const api::PoolerConfig& config) {
  fill<kube::Service>(child, service, config);
  const bool has_ip = !service.cluster_ips.empty() && service.cluster_ips.front() != "None";
  child.cluster_ip = has_ip ? service.cluster_ips.front() : "";
}

void fill(WorkloadChild& child, const kube::StatefulSet& set, const api::PoolerConfig& config) {
  fill<kube::StatefulSet>(child, set, config);
  child.replicas = set.replicas;
  child.update_revision = set.update_revision;
  child.revision_known =
      !set.update_revision.empty() && set.observed_generation == set.meta.generation;
}

// A published Secret without an owner is ours by its marks (deletionPolicy Retain). A name is taken
// by one PoolerConfig at a time, so one that an earlier PoolerConfig of this very name has left has
// no other heir; what bears another name stays foreign, even where nobody of that name is left.
void claim_retained(SecretChild& secret, const api::PoolerConfig& config) {
  if (secret.ownership != Ownership::kForeign || secret.meta.controller_owner() != nullptr) return;
  const auto value = [](const auto& texts, std::string_view key) {
    const auto found = texts.find(std::string(key));
    return found == texts.end() ? std::string() : found->second;
  };
  const std::string writer = value(secret.meta.annotations, api::kOwnerUidAnnotation);
  if (writer.empty() || value(secret.meta.labels, api::kNameLabel) != config.name ||
      value(secret.meta.labels, kManagedByLabel) != kManagedBy) {
    return;
  }
  secret.ownership = secret.meta.deleting ? Ownership::kLeaving : Ownership::kOurs;
  secret.inherited = writer != config.uid;
}

// "orders-pooler-12" -> 12; nullopt for a pod that is none of the StatefulSet's.
std::optional<int> ordinal_of(const std::string& pod, const std::string& workload) {
  if (!pod.starts_with(workload + "-")) return std::nullopt;
  const auto ordinal = parse_integer(std::string_view(pod).substr(workload.size() + 1));
  if (!ordinal || *ordinal >= 2 * api::kMaxReplicas) return std::nullopt;
  return static_cast<int>(*ordinal);
}

std::string_view trouble_of(const kube::ContainerStatus& container) {
  const std::string& waiting = container.waiting_reason;
  if (waiting == "ErrImagePull" || waiting == "ImagePullBackOff" || waiting == "InvalidImageName" ||
      waiting == "ErrImageNeverPull") {
    return api::reason::kImagePullFailed;
  }
  if (waiting == "CrashLoopBackOff" || waiting == "RunContainerError" ||
      waiting == "CreateContainerError" || waiting == "CreateContainerConfigError") {
    return api::reason::kCrashLooping;
  }
  return {};
}

void fill_trouble(ObservedPod& pod, const kube::Pod& seen) {
  if (!seen.scheduled) {
    pod.trouble = api::reason::kUnschedulable;
    pod.trouble_message = seen.unscheduled_message;
    return;
  }
  for (const kube::ContainerStatus& container : seen.containers) {
    const std::string_view trouble = trouble_of(container);
    if (trouble.empty()) continue;
    pod.trouble = trouble;
    pod.trouble_message = container.waiting_reason;
    if (!container.waiting_message.empty()) pod.trouble_message += ": " + container.waiting_message;
    return;
  }
}

std::vector<ObservedPod> pods_of(const Caches& caches, const api::PoolerConfig& config) {
  std::vector<ObservedPod> pods;
  const std::string workload = pgbouncer::workload_name(config);
  for (const auto& pod : caches.pods.list(config.ns)) {
    const kube::OwnerReference* owner = pod->meta.controller_owner();
    if (owner == nullptr || owner->kind != "StatefulSet" || owner->name != workload) continue;
    const auto ordinal = ordinal_of(pod->meta.name, workload);
    if (!ordinal || pod->phase == "Succeeded" || pod->phase == "Failed") continue;
    ObservedPod seen{.name = pod->meta.name,
                     .uid = pod->meta.uid,
                     .address = pod->ip,
                     .ordinal = *ordinal,
                     .ready = pod->ready,
                     .deleting = pod->meta.deleting,
                     .scheduled = pod->scheduled};
    const auto label = pod->meta.labels.find("controller-revision-hash");
    if (label != pod->meta.labels.end()) seen.template_revision = label->second;
    const auto touched = pod->meta.annotations.find(std::string(kTouchAnnotation));
    if (touched != pod->meta.annotations.end()) seen.touched = touched->second;
    fill_trouble(seen, *pod);
    pods.push_back(std::move(seen));
  }
  std::sort(pods.begin(), pods.end(),
            [](const auto& a, const auto& b) { return a.ordinal < b.ordinal; });
  return pods;
}

}  // namespace

Observer::Observer(const Caches& caches, kube::Client& client) : caches_(caches), client_(client) {}

void Observer::taken(const kube::ResourceType& type, const kube::ObjectKey& key) {
  taken_.lock()->emplace(std::string(type.plural), key);
}

// From the store; where a create was refused before, from the server, until the name is free.
template <class K>
kube::ApiResult<std::shared_ptr<const K>> Observer::find(const kube::Store<K>& store,
                                                         const kube::ObjectKey& key) {
  const std::pair entry{std::string(K::kType.plural), key};
  if (auto known = store.get(key)) {
    taken_.lock()->erase(entry);
    return known;
  }
  if (!taken_.lock()->contains(entry)) return std::shared_ptr<const K>();
  auto answer = client_.get<K>(key);
  if (answer) return std::make_shared<const K>(std::move(answer).value());
  if (answer.error().kind != kube::ErrorKind::kNotFound) return failure(answer.error());
  taken_.lock()->erase(entry);
  return std::shared_ptr<const K>();
}

kube::ApiResult<std::optional<std::map<std::string, std::string>>> Observer::referenced_secret(
    const kube::ObjectKey& key, const kube::ObjectKey& user) {
  using Data = std::optional<std::map<std::string, std::string>>;
  // Where the watch shows none it may only be late: a person creates both at the same moment.
  if (const auto meta = caches_.secret_names.get(key)) {
    auto cache = referenced_secrets_.lock();
    const auto known = cache->find(key);
    if (known != cache->end() && known->second.resource_version == meta->meta.resource_version) {
      known->second.users.insert(user);
      return Data(known->second.data);
    }
  }
  auto answer = client_.get<kube::Secret>(key);
  if (!answer) {
    if (answer.error().kind != kube::ErrorKind::kNotFound) return failure(answer.error());
    referenced_secrets_.lock()->erase(key);
    return Data();
  }
  auto cache = referenced_secrets_.lock();
  CachedSecret& cached = (*cache)[key];
  cached.resource_version = answer->meta.resource_version;
  cached.data = answer->data;
  cached.users.insert(user);
  return Data(std::move(answer->data));
}

void Observer::refer(const kube::ObjectKey& config, const std::set<kube::ObjectKey>& secrets) {
  auto cache = referenced_secrets_.lock();
  for (auto& [secret, known] : *cache) {
    if (!secrets.contains(secret)) known.users.erase(config);
  }
  std::erase_if(*cache, [](const auto& known) { return known.second.users.empty(); });
}

kube::ApiResult<Observed> Observer::observe(const PoolerConfigObject& object) {
  const api::PoolerConfig& config = *object.config;
  Observed seen;
  seen.config = object.config;
  const auto at = [&config](const std::string& name) { return kube::ObjectKey{config.ns, name}; };
  const auto look = [&](const auto& store, const std::string& name,
                        auto& child) -> std::optional<kube::ApiError> {
    auto found = find(store, at(name));
    if (!found) return found.error();
    if (*found) fill(child, **found, config);
    return std::nullopt;
  };

  std::set<kube::ObjectKey> referred;
  const auto read = [&](const std::string& name) {
    referred.insert(at(name));
    return referenced_secret(at(name), at(config.name));
  };
  auto database = read(config.spec.database.secret_name);
  if (!database) return failure(database.error());
  seen.database_secret = std::move(database).value();
  if (config.spec.supabase && !config.spec.supabase->token_secret_name.empty()) {
    auto token = read(config.spec.supabase->token_secret_name);
    if (!token) return failure(token.error());
    seen.token_secret = std::move(token).value();
  }
  if (!config.spec.pgbouncer.auth.user_secret.empty()) {
    auto login = read(config.spec.pgbouncer.auth.user_secret);
    if (!login) return failure(login.error());
    seen.auth_secret = std::move(login).value();
  }
  for (const std::string& name : api::certificate_secrets(config.spec)) {
    auto secret = read(name);
    if (!secret) return failure(secret.error());
    if (*secret) seen.certificate_secrets.emplace(name, std::move(**secret));
  }

  const std::string workload = pgbouncer::workload_name(config);
  for (const auto& problem :
       {look(caches_.secrets, engine::admin_secret_name(config), seen.admin),
        look(caches_.secrets, pgbouncer::config_secret_name(config), seen.files),
        look(caches_.secrets, config.spec.connection_secret.name, seen.published),
        look(caches_.services, workload, seen.client),
        look(caches_.services, pgbouncer::peers_name(config), seen.peers),
        look(caches_.workloads, workload, seen.workload),
        look(caches_.disruption_budgets, workload, seen.disruption_budget),
        look(caches_.network_policies, workload, seen.network_policy)}) {
    if (problem) return failure(*problem);
  }
  // Only a spec that is new may name others.
  if (config.status.observed_generation != config.generation) refer(at(config.name), referred);
  claim_retained(seen.published, config);
  seen.pods = pods_of(caches_, config);
  return seen;
}

}  // namespace pooler::reconcile
