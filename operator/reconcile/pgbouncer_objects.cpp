#include "reconcile/pgbouncer_objects.h"

#include <utility>
#include <vector>

#include "base/json.h"
#include "engine/pgbouncer/workload.h"
#include "kube/kinds.h"

namespace pooler::reconcile {
namespace {

namespace pgbouncer = engine::pgbouncer;

}  // namespace

void PgBouncerObjects::write_base() {
  // Nothing is made for a PoolerConfig that can't be run.
  const bool can_run = !round_.spec_invalid && (found_.database || see_.workload.ours());
  round_.makes_objects = can_run && !blocked_by_others() && round_.admin;
  if (!round_.makes_objects) return;
  writer_.write(kube::Secret::kType, engine::admin_secret(config_, *round_.admin), see_.admin);
  writer_.write(kube::Service::kType, pgbouncer::client_service(config_), see_.client);
  writer_.write(kube::Service::kType, pgbouncer::peers_service(config_), see_.peers);
  // Before the pods, so that nobody gets in first.
  if (config_.spec.network_policy.enabled) {
    writer_.write(kube::NetworkPolicy::kType,
                  pgbouncer::network_policy(config_, see_.operator_namespace), see_.network_policy);
  } else {
    writer_.remove(kube::NetworkPolicy::kType, see_.network_policy);
  }
}

bool PgBouncerObjects::blocked_by_others() {
  std::vector<std::pair<const char*, const Child*>> named = {{"StatefulSet", &see_.workload},
                                                             {"Service", &see_.client},
                                                             {"Service", &see_.peers},
                                                             {"Secret", &see_.files},
                                                             {"Secret", &see_.admin}};
  if (wants_disruption_budget()) {
    named.emplace_back("PodDisruptionBudget", &see_.disruption_budget);
  }
  if (config_.spec.network_policy.enabled) {
    named.emplace_back("NetworkPolicy", &see_.network_policy);
  }
  for (const auto& [kind, child] : named) {
    if (writer_.usable(*child)) continue;
    if (!see_.workload.ours()) found_.blocked = true;
    if (child->ownership == Ownership::kForeign) found_.foreign = whose(kind, child->meta);
  }
  return found_.blocked;
}

bool PgBouncerObjects::wants_disruption_budget() const {
  return config_.spec.pod_disruption_budget && round_.desired() > 1;
}

bool PgBouncerObjects::template_written() const {
  return see_.workload.ours() && see_.workload.revision_known && round_.admin &&
         only_replicas_differ();
}

bool PgBouncerObjects::only_replicas_differ() const {
  return !writer_.differs(pgbouncer::stateful_set(config_, round_.image(), see_.workload.replicas),
                          see_.workload);
}

void PgBouncerObjects::write_workload() {
  const bool has_files = found_.target || see_.files.ours();
  if (!has_files) return;  // the database was never reached: nothing to run yet
  write_files();
  const bool changed = write_stateful_set();
  if (changed && see_.workload.ownership == Ownership::kAbsent) {
    plan_.writes.back().notice =
        note("Created", "Create",
             "PgBouncer with " + std::to_string(found_.rollout.replicas) + " replicas, " +
                 std::to_string(round_.floor) + " server connections each");
  }
  if (wants_disruption_budget()) {
    writer_.write(kube::PodDisruptionBudget::kType, pgbouncer::pod_disruption_budget(config_),
                  see_.disruption_budget);
  } else {
    writer_.remove(kube::PodDisruptionBudget::kType, see_.disruption_budget);
  }
  if (found_.rollout.replace && plan_.writes.empty() && see_.workload.revision_known) {
    pods_.replace(*found_.rollout.replace);
  }
}

bool PgBouncerObjects::write_stateful_set() {
  if (!writer_.write(kube::StatefulSet::kType,
                     pgbouncer::stateful_set(config_, round_.image(), found_.rollout.replicas),
                     see_.workload)) {
    return false;
  }
  if (only_replicas_differ()) return true;
  const Write& set = plan_.writes.back();
  plan_.trials.push_back({set.type, set.body, set.current, {}});
  plan_.trials.push_back(
      {kube::Pod::kType, to_bytes(pgbouncer::pod_of_template(config_, round_.image())), {}, {}});
  return true;
}

void PgBouncerObjects::write_files() {
  if (!writer_.write(kube::Secret::kType, pgbouncer::config_secret(config_, files()), see_.files)) {
    return pods_.hurry_files();
  }
  if (found_.rollout.spread) {
    plan_.writes.back().notice =
        note("Reloaded", "Reload",
             "a new configuration works on one pod, by RELOAD; the others load it now");
  } else if (found_.rollout.pointed_back) {
    plan_.writes.back().notice =
        Notice{kube::Event::Type::kWarning, "ReloadFailed", "Reload",
               found_.reload_refused + "; the configuration before it stays"};
  }
}

std::set<std::string> PgBouncerObjects::revisions_in_use() const {
  // A pod that can't be asked must not make the Secret grow: 1 MiB is the most that it may have.
  constexpr std::size_t kMost = 8;
  constexpr std::size_t kMostBytes = 512 * 1024;
  std::set<std::string> used;
  for (const auto& [ordinal, marker] : found_.rollout.assign) {
    used.insert(pgbouncer::revision_of(marker));
  }
  const auto known = pgbouncer::revisions_in(see_.files.data);
  std::size_t bytes = 0;
  for (const auto& [name, file] : see_.files.data) bytes += file.size();
  for (const Ordinal& pod : found_.ordinals) {
    if (!pod.exists || pod.deleting) continue;
    if (!pod.loaded.empty()) {
      used.insert(pgbouncer::revision_of(pod.loaded));
    } else if (known.size() <= kMost && bytes <= kMostBytes) {
      used.insert(known.begin(), known.end());
    }
  }
  return used;
}

std::map<std::string, std::string> PgBouncerObjects::files() const {
  std::map<std::string, std::string> wanted;
  for (const auto& [ordinal, marker] : found_.rollout.assign) {
    wanted[pgbouncer::pod_file_name(config_, ordinal)] = pgbouncer::pod_file(ordinal, marker);
  }
  const auto files = round_.known_files();
  for (const std::string& revision : revisions_in_use()) {
    for (const std::string& name : pgbouncer::files_of(files, revision)) {
      wanted[name] = files.at(name);
    }
  }
  return wanted;
}

}  // namespace pooler::reconcile
