#include "reconcile/pgbouncer_pods.h"

#include <algorithm>
#include <utility>

#include "engine/pgbouncer/console.h"
#include "engine/pgbouncer/parameters.h"
#include "engine/pgbouncer/workload.h"
#include "kube/kinds.h"
#include "reconcile/pgbouncer_auth.h"
#include "reconcile/pgbouncer_way_in.h"
#include "reconcile/writer.h"

namespace pooler::reconcile {
namespace {

namespace pgbouncer = engine::pgbouncer;

}  // namespace

std::vector<Ordinal> PgBouncerPods::ordinals() const {
  std::size_t count = static_cast<std::size_t>(pgbouncer::ordinals(config_));
  for (const ObservedPod& pod : see_.pods) {
    count = std::max(count, static_cast<std::size_t>(pod.ordinal) + 1);
  }
  std::vector<Ordinal> list(std::min<std::size_t>(count, 2 * api::kMaxReplicas));
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto file = see_.files.data.find(pgbouncer::pod_file_name(config_, static_cast<int>(i)));
    if (file == see_.files.data.end()) continue;
    const std::string marker = pgbouncer::marker_of_pod_file(file->second);
    const bool whole =
        see_.files.data.contains(pgbouncer::settings_file_name(pgbouncer::revision_of(marker)));
    if (whole) list[i].assigned = marker;
  }
  for (const ObservedPod& pod : see_.pods) {
    if (pod.ordinal < 0 || static_cast<std::size_t>(pod.ordinal) >= list.size()) continue;
    fill(list[static_cast<std::size_t>(pod.ordinal)], pod);
  }
  return list;
}

void PgBouncerPods::fill(Ordinal& ordinal, const ObservedPod& pod) const {
  ordinal.exists = true;
  ordinal.ready = pod.ready;
  ordinal.deleting = pod.deleting;
  ordinal.template_current =
      !see_.workload.revision_known || pod.template_revision == see_.workload.update_revision;
  const auto state = see_.live.pods.find(pod.uid);
  const bool asked =
      state != see_.live.pods.end() && state->second.outcome != live::Outcome::kUnknown;
  ordinal.unasked = pod.ready && !pod.deleting && !asked;
  if (state == see_.live.pods.end()) return;
  ordinal.console_answers = state->second.outcome == live::Outcome::kOk;
  ordinal.login_refused = state->second.login_refused;
  ordinal.loaded = state->second.marker;
  const live::PodState::Reload& reload = state->second.reload;
  ordinal.reload_failed = reload.failed && reload.marker == ordinal.assigned;
  ordinal.proof = proof_of(pod, ordinal.loaded);
}

// ---- the trial

std::string PgBouncerPods::trial_token(const ObservedPod& pod, const std::string& marker) const {
  return token_of("trial " + pod.uid + " " + marker + " " + round_.database_token);
}

Ordinal::Proof PgBouncerPods::proof_of(const ObservedPod& pod, const std::string& marker) const {
  // A query would wait as all others do. That the database takes these credentials is known.
  if (round_.paused()) {
    return found_.database_answers() ? Ordinal::Proof::kPassed : Ordinal::Proof::kNone;
  }
  const live::VerificationState& trial = see_.live.verification;
  if (!found_.database || trial.token != trial_token(pod, marker)) return Ordinal::Proof::kNone;
  if (trial.outcome == live::Outcome::kOk) return Ordinal::Proof::kPassed;
  // While the database is away, a failure says nothing of the configuration.
  const bool failed = trial.persistent && found_.database_answers();
  return failed ? Ordinal::Proof::kFailed : Ordinal::Proof::kNone;
}

void PgBouncerPods::try_canary() {
  if (!found_.rollout.trial || !found_.database || round_.paused()) return;
  const ObservedPod* pod = pod_at(*found_.rollout.trial);
  if (pod == nullptr || pod->address.empty()) return;
  urls::Connection way = pooled_way(round_);
  way.hosts = {{pgbouncer::service_host(config_), pgbouncer::kPort}};
  const std::string& marker = found_.ordinals.at(static_cast<std::size_t>(pod->ordinal)).loaded;
  plan_.target.verification = {way, pod->address, trial_token(*pod, marker), round_.certificate()};
}

const ObservedPod* PgBouncerPods::pod_at(int ordinal) const {
  for (const ObservedPod& pod : see_.pods) {
    if (pod.ordinal == ordinal && !pod.deleting) return &pod;
  }
  return nullptr;
}

live::PodState::Reload PgBouncerPods::reload_state(const ObservedPod& pod) const {
  const auto state = see_.live.pods.find(pod.uid);
  return state == see_.live.pods.end() ? live::PodState::Reload{} : state->second.reload;
}

void PgBouncerPods::hurry_files() {
  for (const auto& [ordinal, marker] : found_.rollout.reload) {
    const ObservedPod* pod = pod_at(ordinal);
    if (pod == nullptr) continue;
    const live::PodState::Reload reload = reload_state(*pod);
    std::string value = marker;
    if (reload.marker == marker && reload.nudges > 0) value += "." + std::to_string(reload.nudges);
    if (pod->touched == value || reload.failed) continue;
    kube::Meta meta;
    meta.name = pod->name;
    meta.ns = config_.ns;
    meta.uid = pod->uid;
    plan_.touches.push_back({std::move(meta), std::move(value)});
  }
}

void PgBouncerPods::explain_refusal() {
  const Rollout& rollout = found_.rollout;
  if (rollout.pointed_back) {
    const ObservedPod* pod = pod_at(*rollout.pointed_back);
    const std::string why = pod == nullptr ? "" : reload_state(*pod).message;
    plan_.reload_refused = "pod " + (pod == nullptr ? "" : pod->name) + ": " +
                           (why.empty() ? see_.live.verification.message + auth_hint(round_) : why);
  } else if (rollout.rejected) {
    plan_.reload_refused = see_.reload_refused;
  }
  found_.reload_refused = plan_.reload_refused;
}

void PgBouncerPods::replace(int ordinal) {
  for (const ObservedPod& pod : see_.pods) {
    if (pod.ordinal != ordinal) continue;
    const bool same_template =
        found_.ordinals.at(static_cast<std::size_t>(ordinal)).template_current;
    plan_.removals.push_back(
        {kube::Pod::kType,
         {config_.ns, pod.name},
         pod.uid,
         note("PodReplaced", "Replace",
              "pod " + pod.name + " is drained and replaced: its " +
                  (same_template ? "configuration" : "template") + " is old")});
  }
}

// ---- what live does

std::map<std::string, std::string> PgBouncerPods::certificates() const {
  std::map<std::string, std::string> shown;
  const auto files = round_.known_files();
  for (const std::string& revision : pgbouncer::revisions_in(files)) {
    auto leaf = pgbouncer::shown_certificate(files, revision);
    if (leaf) shown.emplace(revision, std::move(*leaf));
  }
  return shown;
}

void PgBouncerPods::ask() {
  if (!round_.admin) return;
  const auto shown = certificates();
  plan_.target.console = {std::string(pgbouncer::kAdminUser), round_.admin->password};
  for (const ObservedPod& pod : see_.pods) {
    if (pod.deleting || pod.address.empty()) continue;
    const auto reload = found_.rollout.reload.find(pod.ordinal);
    plan_.target.pods.push_back(
        {.uid = pod.uid,
         .name = pod.name,
         .address = pod.address,
         .port = pgbouncer::kPort,
         .reload_to = reload == found_.rollout.reload.end() ? std::string() : reload->second,
         .moves = moves(),
         .paused = round_.paused(),
         .wait_limit = wait_limit(pod),
         .certificates = shown});
  }
}

std::optional<int> PgBouncerPods::moves() const {
  if (found_.database_state == nullptr) return std::nullopt;
  return found_.database_state->moves;
}

void PgBouncerPods::tell_of_move() {
  plan_.moves_told = moves().value_or(see_.moves_told);
  if (plan_.moves_told <= see_.moves_told || !see_.workload.ours()) return;
  plan_.notices.push_back({kube::Event::Type::kNormal, "Failover", "Reconnect",
                           "the database: " + found_.database_state->last_move +
                               "; every replica replaces its server connections as their "
                               "transactions end"});
}

std::string PgBouncerPods::wait_limit(const ObservedPod& pod) const {
  const auto state = see_.live.pods.find(pod.uid);
  if (state == see_.live.pods.end()) return {};
  const std::string revision = pgbouncer::revision_of(state->second.marker);
  const auto file = see_.files.data.find(pgbouncer::settings_file_name(revision));
  if (file == see_.files.data.end()) return {};
  return pgbouncer::setting_of(file->second, pgbouncer::kWaitSetting).value_or("");
}

}  // namespace pooler::reconcile
