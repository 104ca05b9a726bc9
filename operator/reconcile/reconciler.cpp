#include "reconcile/reconciler.h"

#include <algorithm>
#include <utility>

#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/secrets.h"

namespace pooler::reconcile {
namespace {

// A person reads it, and every write is an event for every watcher of the cluster.
constexpr std::chrono::seconds kStatusInterval{1};

kube::ReconcileError as_error(const kube::ApiError& error) {
  return {std::string(to_string(error.kind)) + ": " + error.message};
}

// The API server will not take this object, however often it is sent.
bool is_refusal(const kube::ApiError& error) {
  return error.kind == kube::ErrorKind::kInvalid || error.kind == kube::ErrorKind::kForbidden ||
         error.kind == kube::ErrorKind::kBadRequest;
}

// With the object that it is about.
kube::ApiError named(kube::ApiError error, const Write& write) {
  const Json body = parse_json(write.body);
  const kube::ObjectKey key{body["metadata"]["namespace"], body["metadata"]["name"]};
  error.message =
      std::string(write.type.kind) + " " + to_string(key) + ": " + std::move(error.message);
  return error;
}

// Says nothing of the template: a name that is taken (the write tells of whom), no room in a quota
// for one more pod where one takes the place of another, a namespace so new that it has no service
// account yet.
bool is_beside_the_point(const kube::ApiError& error) {
  const auto says = [&error](const char* words) {
    return error.message.find(words) != std::string::npos;
  };
  return error.kind == kube::ErrorKind::kAlreadyExists ||
         (error.kind == kube::ErrorKind::kForbidden &&
          (says("exceeded quota") || says("error looking up service account")));
}

Json status_body(const api::PoolerConfig& config, const api::Status& status) {
  return {{"apiVersion", api::kApiVersion},
          {"kind", api::kKind},
          {"metadata", {{"name", config.name}, {"namespace", config.ns}}},
          {"status", api::encode(status)}};
}

}  // namespace

Reconciler::Reconciler(Caches& caches, kube::Client& client, LiveLoop& live,
                       ProjectReader& projects, const Clock& clock, Options options)
    : caches_(caches),
      client_(client),
      live_(live),
      projects_(projects),
      clock_(clock),
      options_(std::move(options)),
      observer_(caches, client) {}

Result<kube::Requeue, kube::ReconcileError> Reconciler::reconcile(const kube::ObjectKey& key) {
  const auto object = caches_.configs.get(key);
  if (!object || object->meta.deleting) {
    gone(key);
    return kube::Requeue{};
  }
  if (object->config->reconcile_disabled) {
    projects_.forget(to_string(key));
    publish_unseen(key, "it has pods, and reconciling it is disabled");
    return kube::Requeue{};
  }
  auto observed = observer_.observe(*object);
  if (!observed) {
    // The kind alone: the message is for those who may see this namespace, others read this.
    publish_unseen(key, "it has pods, and can't be reconciled (" +
                            std::string(to_string(observed.error().kind)) + ")");
    return failure(as_error(observed.error()));
  }
  observed->live = live_.state(to_string(key));
  observed->project = projects_.state(to_string(key));
  observed->others = claims_of_others(*object);
  observed->default_image = options_.default_image;
  observed->operator_namespace = options_.operator_namespace;
  observed->fresh_random = random_bytes(engine::kAdminRandomBytes);
  observed->now = clock_.wall();
  {
    auto memory = memory_.lock();
    observed->write_refused = (*memory)[key].write_refused;
    observed->reload_refused = (*memory)[key].reload_refused;
    observed->moves_told = (*memory)[key].moves_told;
  }

  Plan planned = plan(*observed);
  (*memory_.lock())[key].reload_refused = planned.reload_refused;
  live_.set_target(to_string(key), std::move(planned.target));
  if (planned.project) {
    projects_.set_target(to_string(key), *planned.project);
  } else {
    projects_.forget(to_string(key));
  }
  publish_claim(key, planned.claim);
  const auto failed = carry_out(*object->config, planned);
  if (failed && failed->namespace_terminating()) return kube::Requeue{};  // it goes with it
  const bool refused = failed && is_refusal(*failed);
  const std::string refusal = refused ? failed->message : "";
  const bool before = !std::exchange((*memory_.lock())[key].write_refused, refusal).empty();
  if (refused && !before) {  // this round's status does not know of it yet
    enqueue(key);
    return failure(as_error(*failed));
  }

  const auto wait = write_status(*object, planned.status);
  if (!wait) return failure(as_error(wait.error()));
  if (!*wait) {
    for (const Notice& notice : planned.notices) tell(*object->config, notice);
    (*memory_.lock())[key].moves_told = planned.moves_told;
  }
  if (before && !refused) enqueue(key);
  if (failed) return failure(as_error(*failed));
  kube::Requeue again{planned.look_again};
  if (*wait) again.after = again.after ? std::min(*again.after, **wait) : **wait;
  return again;
}

void Reconciler::gone(const kube::ObjectKey& key) {
  live_.forget(to_string(key));
  projects_.forget(to_string(key));
  observer_.forget(key);
  memory_.lock()->erase(key);
  // What its pods hold is held until they are gone.
  if (has_pods(key)) return;
  publish_claim(key, {.asked = true});
  claims_.lock()->erase(to_string(key));
}

bool Reconciler::has_pods(const kube::ObjectKey& key) const {
  const auto pods = caches_.pods.list(key.ns);
  return std::any_of(pods.begin(), pods.end(),
                     [&key](const auto& pod) { return owner_of(pod->meta) == key; });
}

std::map<std::string, Claim> Reconciler::claims_of_others(const PoolerConfigObject& object) {
  std::map<std::string, Claim> others;
  if (object.config->spec.budget.server_connections) return others;  // shares with nobody
  const std::string self = to_string(object.meta.key());
  const auto claims = claims_.copy();
  caches_.configs.for_each([&](const auto& other) {
    if (!other->meta.deleting) others[to_string(other->meta.key())] = {};
  });
  for (const auto& [key, claim] : claims) others[key] = claim;
  others.erase(self);
  return others;
}

void Reconciler::publish_unseen(const kube::ObjectKey& key, const std::string& why) {
  const auto sets = caches_.workloads.list(key.ns);
  const bool makes_pods = std::any_of(sets.begin(), sets.end(), [&key](const auto& set) {
    return owner_of(set->meta) == key && set->replicas > 0;
  });
  if (!makes_pods && !has_pods(key)) return publish_claim(key, {.asked = true});
  const auto claims = claims_.copy();
  const auto seen = claims.find(to_string(key));
  if (seen != claims.end() && seen->second.asked && !seen->second.identity.empty()) return;
  publish_claim(key, {.unknown_because = why});
}

void Reconciler::publish_claim(const kube::ObjectKey& key, Claim claim) {
  {
    auto claims = claims_.lock();
    Claim& known = (*claims)[to_string(key)];
    // Pods stay where they are while the database Secret is missing or new.
    if (claim.identity.empty() && claim.held > 0) claim.identity = known.identity;
    if (known == claim) return;
    known = std::move(claim);
  }
  caches_.configs.for_each([&](const auto& other) {
    if (other->meta.key() != key && !other->config->spec.budget.server_connections) {
      enqueue(other->meta.key());
    }
  });
}

std::optional<kube::ApiError> Reconciler::carry_out(const api::PoolerConfig& config,
                                                    const Plan& plan) {
  for (const Write& each : plan.trials) {
    const auto answer = client_.dry_run(each.type, parse_json(each.body), each.current);
    if (!answer && !is_beside_the_point(answer.error())) return named(answer.error(), each);
  }
  for (const Write& each : plan.writes) {
    if (auto failed = write(each)) return failed;
    tell(config, each.notice);
  }
  for (const Touch& each : plan.touches) touch(each);
  for (const Removal& each : plan.removals) {
    if (auto failed = remove(each)) return failed;
    tell(config, each.notice);
  }
  return std::nullopt;
}

std::optional<kube::ApiError> Reconciler::write(const Write& each) {
  if (each.type == kube::Secret::kType) return write_as(each, caches_.secrets);
  if (each.type == kube::Service::kType) return write_as(each, caches_.services);
  if (each.type == kube::StatefulSet::kType) return write_as(each, caches_.workloads);
  if (each.type == kube::NetworkPolicy::kType) return write_as(each, caches_.network_policies);
  return write_as(each, caches_.disruption_budgets);
}

template <class K>
std::optional<kube::ApiError> Reconciler::write_as(const Write& each, kube::Store<K>& store) {
  const Json body = parse_json(each.body);
  const bool create = each.current.uid.empty();
  auto answer = create ? client_.create<K>(body) : client_.apply<K>(body, each.current);
  const kube::ObjectKey key{body["metadata"]["namespace"], body["metadata"]["name"]};
  if (answer) {
    log_info(create ? "created" : "applied",
             {{"kind", std::string(K::kType.kind)}, {"object", to_string(key)}});
    store.wrote(std::move(answer).value());
    return std::nullopt;
  }
  // Ours that the watch has not shown yet, or somebody's: the next look tells.
  if (create && answer.error().kind == kube::ErrorKind::kAlreadyExists) {
    observer_.taken(K::kType, key);
  }
  return named(answer.error(), each);
}

// Only hurries what comes anyway: a pod that is gone, or a lost answer, is no error.
void Reconciler::touch(const Touch& touch) {
  auto answer = client_.annotate<kube::Pod>(touch.pod, kTouchAnnotation, touch.value);
  if (answer) caches_.pods.wrote(std::move(answer).value());
}

std::optional<kube::ApiError> Reconciler::remove(const Removal& removal) {
  const auto answer = client_.remove(removal.type, removal.key, {.uid = removal.uid});
  if (answer) {
    log_info("deleted",
             {{"kind", std::string(removal.type.kind)}, {"object", to_string(removal.key)}});
    if (removal.type == kube::PodDisruptionBudget::kType) {
      caches_.disruption_budgets.deleted(removal.key, removal.uid);
    } else if (removal.type == kube::NetworkPolicy::kType) {
      caches_.network_policies.deleted(removal.key, removal.uid);
    } else if (auto draining = client_.get<kube::Pod>(removal.key)) {
      // The watch may be behind; the next look must see that this pod is on its way.
      caches_.pods.wrote(std::move(draining).value());
    }
    return std::nullopt;
  }
  if (answer.error().kind == kube::ErrorKind::kNotFound) return std::nullopt;
  return answer.error();
}

kube::ApiResult<std::optional<Duration>> Reconciler::write_status(const PoolerConfigObject& object,
                                                                  const api::Status& status) {
  if (status == object.config->status) return std::optional<Duration>();
  {
    auto memory = memory_.lock();
    auto& last = (*memory)[object.meta.key()].status_written;
    const MonotonicTime now = clock_.monotonic();
    if (last && now - *last < kStatusInterval) {
      return std::optional<Duration>(*last + kStatusInterval - now);
    }
    last = now;
  }
  auto answer =
      client_.apply_status<PoolerConfigObject>(status_body(*object.config, status), object.meta);
  if (!answer) {
    if (answer.error().kind == kube::ErrorKind::kNotFound) return std::optional<Duration>();
    return failure(answer.error());
  }
  caches_.configs.wrote(std::move(answer).value());
  return std::optional<Duration>();
}

void Reconciler::tell(const api::PoolerConfig& config, const std::optional<Notice>& notice) {
  if (!notice) return;
  emit({.type = notice->type,
        .reason = notice->reason,
        .action = notice->action,
        .note = notice->note,
        .regarding = {std::string(api::kApiVersion),
                      std::string(api::kKind),
                      {config.ns, config.name},
                      config.uid},
        .related = std::nullopt});
}

}  // namespace pooler::reconcile
