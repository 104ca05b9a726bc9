#include "reconcile/judge.h"

#include <algorithm>
#include <utility>

#include "engine/pgbouncer/workload.h"

namespace pooler::reconcile {
namespace {

namespace pgbouncer = engine::pgbouncer;
using api::ConditionStatus;

class Judge {
 public:
  Judge(const Observed& observed, const Findings& found)
      : see_(observed),
        found_(found),
        config_(*observed.config),
        runs_pods_(config_.spec.engine == api::Engine::kPgBouncer),
        wanted_(config_.spec.replicas.value_or(0)) {}

  api::Status run() {
    count_pods();
    verdicts_.configuration_valid = configuration();
    verdicts_.database_reachable = database();
    verdicts_.pooler_available = availability();
    verdicts_.configuration_loaded = loading();
    verdicts_.secret_published = found_.published;
    verdicts_.scaling_active = scaling();
    const bool unasked = keep_what_was_known();
    verdicts_.may_be_unproved = api::publishes_at_once(config_.spec) || !runs_pods_;
    const bool unproved = verdicts_.may_be_unproved &&
                          verdicts_.configuration_loaded.status == ConditionStatus::kUnknown;
    const bool pausing = config_.spec.pgbouncer.paused &&
                         verdicts_.pooler_available.reason == api::reason::kProgressing;
    const bool changing =
        found_.writing || pausing || (found_.rollout.in_progress && !unasked && !unproved);
    verdicts_.in_progress = verdicts_.configuration_valid.status == ConditionStatus::kTrue &&
                            (changing || found_.published.status != ConditionStatus::kTrue);
    fill();
    return std::move(status_);
  }

 private:
  void count_pods() {
    for (const ObservedPod& pod : see_.pods) {
      status_.pods.serving += pod.ready && !pod.deleting ? 1 : 0;
      status_.pods.draining += pod.deleting ? 1 : 0;
      const auto state = see_.live.pods.find(pod.uid);
      if (state == see_.live.pods.end() || pod.deleting) continue;
      if (state->second.outcome == live::Outcome::kFailed) {
        ++status_.pods.unreachable;
        // A pod that does not serve says itself why; its console can't answer either.
        if (pod.ready) unreachable_ = "pod " + pod.name + ": " + state->second.message;
      }
      if (status_.version.empty()) status_.version = state->second.version;
    }
    for (const Ordinal& ordinal : found_.ordinals) {
      const bool wanted =
          !found_.target || pgbouncer::revision_of(ordinal.loaded) == found_.target->hash;
      const bool counts = ordinal.exists && !ordinal.deleting && ordinal.template_current;
      status_.pods.loaded += counts && wanted && settled(ordinal) ? 1 : 0;
    }
  }

  [[nodiscard]] Verdict configuration() const {
    if (found_.configuration) return *found_.configuration;
    if (found_.late) return *found_.late;
    if (see_.write_refused.empty()) {
      return yes(api::reason::kValid, "the spec can be run" + found_.certificates_end);
    }
    return no(api::reason::kInvalidPodTemplate,
              "the API server refuses what is made of this spec: " + see_.write_refused);
  }

  [[nodiscard]] Verdict database() const {
    const live::DatabaseState* state = found_.database_state;
    if (!found_.login()) {
      return unknown(api::reason::kUnknown, "not asked: the database is not known");
    }
    if (state == nullptr || state->outcome == live::Outcome::kUnknown) {
      return unknown(api::reason::kUnknown, "the database is being asked");
    }
    if (!found_.database_answers()) return no(state->reason, state->message + hint(*state));
    const std::string where = urls::host_ports(*found_.login());
    if (state->server && state->server->read_only) return read_only(*state->server, where);
    return yes(api::reason::kConnected, "logged in to " + where);
  }

  // What a person can't know who has not read Supabase's documentation.
  [[nodiscard]] std::string hint(const live::DatabaseState& state) const {
    if (runs_pods_ || !config_.spec.supabase) return {};
    const std::string& why = state.reason;
    if (state.refused) {
      return "; with this password no login is tried for half an hour, because Supabase bans "
             "addresses that try again";
    }
    if (why == api::reason::kConnectionRefused) {
      return "; an address that Supabase has banned for wrong passwords is refused, too: the "
             "project's database settings list such bans, and lift them";
    }
    const bool no_way =
        why == api::reason::kOperatorCannotReachDatabase || why == api::reason::kDnsFailure;
    if (!no_way || config_.spec.supabase->direct != api::SupabaseDirect::kDirect) return {};
    return "; it has an IPv6 address alone, unless the project has the IPv4 add-on: "
           "spec.supabase.direct SessionPooler leads the direct URL over IPv4";
  }

  [[nodiscard]] Verdict read_only(const live::Server& server, const std::string& where) const {
    return no(api::reason::kReadOnly,
              "logged in to " + where + ", and writes fail there: the server " + server.identity +
                  (server.in_recovery ? " is in recovery (a standby)"
                                      : " has default_transaction_read_only on") +
                  (runs_pods_ ? "; the pooler goes on, and reconnects when the name leads to "
                                "another server"
                              : "; the pooler goes on"));
  }

  [[nodiscard]] Verdict availability() const {
    const std::string ratio =
        std::to_string(status_.pods.serving) + "/" + std::to_string(wanted_) + " replicas serve";
    if (!found_.foreign.empty()) {
      return no(api::reason::kNotOwned,
                found_.foreign + "; it is left as it is: delete or rename it, or use another name");
    }
    if (found_.availability) return *found_.availability;
    if (found_.blocked) {
      return no(api::reason::kProgressing,
                "waits for what is left of an earlier PoolerConfig of this name to go");
    }
    if (wanted_ == 0) return no(api::reason::kScaledToZero, "spec.replicas is 0");
    if (config_.spec.pgbouncer.paused && status_.pods.serving > 0) return paused();
    if (status_.pods.serving > 0 && found_.way_in_proven) return yes(api::reason::kServing, ratio);
    if (status_.pods.serving > 0) {
      return no(api::reason::kProgressing, ratio + "; a query through the Service is being tried");
    }
    if (const ObservedPod* pod = troubled()) {
      return no(pod->trouble, "pod " + pod->name + ": " + pod->trouble_message);
    }
    return no(api::reason::kProgressing, what_it_waits_for(ratio));
  }

  [[nodiscard]] Verdict paused() const {
    int holding = 0;
    for (const ObservedPod& pod : see_.pods) {
      const auto state = see_.live.pods.find(pod.uid);
      if (state == see_.live.pods.end() || !pod.ready || pod.deleting) continue;
      holding += state->second.flow == live::PodState::Flow::kPaused ? 1 : 0;
    }
    if (holding == status_.pods.serving) {
      return no(api::reason::kPaused,
                "clients wait until spec.pgbouncer.paused is false; no replica holds a server "
                "connection");
    }
    return no(api::reason::kProgressing,
              "pausing: " + std::to_string(holding) + "/" + std::to_string(status_.pods.serving) +
                  " replicas hold no server connection any more; the others wait for open "
                  "transactions to end (in pool mode session: for their clients)");
  }

  [[nodiscard]] std::string what_it_waits_for(const std::string& otherwise) const {
    if (!see_.workload.ours() && !found_.target) {
      const bool budget = found_.database_answers() && !found_.share.waiting.empty();
      return "waits for " + (budget ? "its budget: " + found_.share.waiting : "the database");
    }
    const std::string& waiting = found_.rollout.waiting;
    return waiting.empty() ? otherwise : "waits for " + waiting;
  }

  [[nodiscard]] Verdict scaling() const {
    if (runs_pods_) {
      return no(api::reason::kManual, "spec.replicas is followed (spec.scaling.mode Manual)");
    }
    return no(api::reason::kManagedByProvider,
              "Supabase runs the pooler: its size is set in the project's settings");
  }

  [[nodiscard]] Verdict loading() const {
    if (found_.loading) return *found_.loading;
    const int loaded = std::min(status_.pods.loaded, wanted_);
    const bool kept = found_.configuration && !found_.target;
    std::string progress = std::to_string(loaded) + "/" + std::to_string(wanted_) +
                           " replicas run the " + (kept ? "last good" : "wanted") +
                           " configuration";
    // A new configuration is not even made while it can't be said what it may use.
    if (see_.workload.ours() && !found_.target && !found_.configuration &&
        found_.database_answers() && !found_.share.waiting.empty()) {
      return no(api::reason::kReloading,
                "the new configuration waits for its budget: " + found_.share.waiting);
    }
    if (!found_.rollout.in_progress && loaded == wanted_) {
      return yes(api::reason::kLoaded, progress);
    }
    if (const ObservedPod* pod = troubled()) {
      return no(pod->trouble, progress + "; pod " + pod->name + ": " + pod->trouble_message);
    }
    if (found_.rollout.rejected || found_.rollout.pointed_back) return refused();
    if (!unreachable_.empty()) {
      return unknown(api::reason::kOperatorCannotReachPooler, unreachable_);
    }
    const std::string& waiting = found_.rollout.waiting;
    if (!waiting.empty()) progress += "; waits for " + waiting;
    return no(api::reason::kReloading, progress);
  }

  // After a restart of the operator only the status knows why.
  [[nodiscard]] Verdict refused() const {
    const api::Condition* before = config_.status.find(api::condition::kConfigurationLoaded);
    if (found_.reload_refused.empty() && before != nullptr &&
        before->reason == api::reason::kReloadFailed) {
      return no(before->reason, before->message);
    }
    return no(api::reason::kReloadFailed,
              found_.reload_refused +
                  "; the configuration before it stays in use: change the spec, or delete that pod "
                  "to try again");
  }

  [[nodiscard]] const ObservedPod* troubled() const {
    for (const ObservedPod& pod : see_.pods) {
      if (!pod.trouble.empty() && !pod.deleting) return &pod;
    }
    return nullptr;
  }

  // Right after a start nothing was asked yet. What was true then and that no watch contradicts is
  // no news: it stays until there is an answer, so a restart of the operator writes nothing. True:
  // no pod that serves was asked yet.
  bool keep_what_was_known() {
    const api::Status& before = config_.status;
    if (before.observed_generation != config_.generation) return false;
    if (found_.login()) keep(verdicts_.database_reachable, api::condition::kDatabaseReachable);
    const bool unasked = before.pods.serving == status_.pods.serving && status_.pods.serving > 0 &&
                         std::none_of(see_.pods.begin(), see_.pods.end(),
                                      [this](const ObservedPod& pod) { return asked(pod); });
    if (!unasked) return false;
    verdicts_.configuration_loaded = unknown(api::reason::kUnknown, "");
    keep(verdicts_.configuration_loaded, api::condition::kConfigurationLoaded);
    if (config_.spec.pgbouncer.paused) {
      verdicts_.pooler_available = unknown(api::reason::kUnknown, "");
      keep(verdicts_.pooler_available, api::condition::kPoolerAvailable);
    }
    status_.pods.loaded = before.pods.loaded;
    status_.pods.unreachable = before.pods.unreachable;
    return true;
  }

  void keep(Verdict& verdict, std::string_view type) const {
    const api::Condition* before = config_.status.find(type);
    if (verdict.status != ConditionStatus::kUnknown || before == nullptr) return;
    verdict = {before->status, before->reason, before->message};
  }

  [[nodiscard]] bool asked(const ObservedPod& pod) const {
    const auto state = see_.live.pods.find(pod.uid);
    return state != see_.live.pods.end() && state->second.outcome != live::Outcome::kUnknown;
  }

  void fill() {
    status_.observed_generation = config_.generation;
    status_.engine = api::to_string(config_.spec.engine);
    if (status_.version.empty()) status_.version = config_.status.version;
    status_.replicas = static_cast<int>(see_.pods.size());
    status_.ready_replicas = status_.pods.serving;
    status_.desired_replicas = wanted_;
    if (runs_pods_) status_.selector = std::string(api::kNameLabel) + "=" + config_.name;
    status_.binding_name = found_.binding;
    status_.endpoint_pooled =
        found_.endpoint_pooled.empty() ? config_.status.endpoint_pooled : found_.endpoint_pooled;
    status_.endpoint_direct =
        found_.database ? urls::host_ports(*found_.database) : config_.status.endpoint_direct;
    status_.effective = {.image = found_.image,
                         .budget = found_.budget,
                         .budget_source = found_.budget_source,
                         .max_replicas = runs_pods_ ? config_.spec.scaling.max_replicas : 0};
    status_.conditions = conditions(verdicts_, config_, see_.now);
  }

  const Observed& see_;
  const Findings& found_;
  const api::PoolerConfig& config_;
  const bool runs_pods_;
  const int wanted_;
  api::Status status_;
  Verdicts verdicts_;
  std::string unreachable_;
};

}  // namespace

api::Status judge(const Observed& observed, const Findings& found) {
  return Judge(observed, found).run();
}

}  // namespace pooler::reconcile
