#include "reconcile/pgbouncer_way_in.h"

#include "engine/pgbouncer/workload.h"
#include "reconcile/pgbouncer_auth.h"
#include "urls/parameters.h"
#include "urls/published.h"

namespace pooler::reconcile {
namespace {

namespace pgbouncer = engine::pgbouncer;
using api::ConditionStatus;

}  // namespace

urls::Connection pooled_way(const PgBouncerRound& round) {
  const urls::HostPort way = pgbouncer::way_in(round.config);
  auto pooled = urls::pooled_connection(*round.found.database, way.host, way.port,
                                        api::mode_of(round.config.spec.client_tls));
  if (round.client_tls) pooled.certificates.authorities = round.client_tls->authorities;
  pooled.database = pgbouncer::client_database_name(*round.found.database);
  return pooled;
}

void PgBouncerWayIn::try_it() {
  const api::Condition* before = round_.config.status.find(api::condition::kPoolerAvailable);
  const bool was_available = before != nullptr && before->status == ConditionStatus::kTrue;
  found_.way_in_proven = true;
  if (!found_.database || !round_.admin) return;
  const urls::Connection way = pooled_way(round_);
  publisher_.set({way, *found_.database});
  if (round_.paused() || round_.immediate() || !found_.target || see_.client.cluster_ip.empty()) {
    return;
  }
  const auto pooled =
      urls::with_parameters(way, round_.config.spec.connection_secret.pooled_parameters);
  const bool to_publish =
      see_.published.ownership != Ownership::kForeign && !publisher_.is_current();
  const std::string serving = serving_pods();
  found_.way_in_proven = was_available;
  if (round_.plan.target.verification || serving.empty() ||
      (was_available && !(to_publish && all_loaded())))
    return;

  // Until all have loaded it, some may rightly show another one.
  const std::string shown = all_loaded() ? round_.certificate() : "";
  const std::string token =
      token_of(token_of(pooled) + " " + see_.client.cluster_ip + " " + serving + shown);
  round_.plan.target.verification = {pooled, see_.client.cluster_ip, token, shown};
  const live::VerificationState& state = see_.live.verification;
  if (state.token != token || state.outcome == live::Outcome::kUnknown) return;
  trial_ = &state;
  // A refused login came from the pooler: that is a way in, too.
  found_.way_in_proven = was_available || state.outcome == live::Outcome::kOk ||
                         state.reason == api::reason::kVerificationFailed;
}

std::string PgBouncerWayIn::serving_pods() const {
  std::string text;
  for (const ObservedPod& pod : see_.pods) {
    if (!pod.ready || pod.deleting) continue;
    const auto state = see_.live.pods.find(pod.uid);
    text += pod.uid + "=" + (state == see_.live.pods.end() ? "" : state->second.marker) + " ";
  }
  return text;
}

bool PgBouncerWayIn::all_loaded() const {
  bool any = false;
  for (const Ordinal& ordinal : found_.ordinals) {
    if (!ordinal.exists || ordinal.deleting || !ordinal.ready) continue;
    if (!settled(ordinal) || pgbouncer::revision_of(ordinal.loaded) != found_.target->hash) {
      return false;
    }
    any = true;
  }
  return any;
}

void PgBouncerWayIn::publish() {
  if (!publisher_.begin()) return;
  // Known at once: no login and no pod is waited for, the first time.
  const bool known = round_.immediate() && !publisher_.was_published() && !found_.configuration;
  if (!found_.database || (!found_.target && !known)) return publisher_.keep();
  if (!publisher_.is_current() && !round_.immediate() && !verified()) return;
  publisher_.write();
}

bool PgBouncerWayIn::verified() {
  if (round_.desired() == 0) {
    publisher_.wait("the pooler has no replicas to verify the URLs with");
  } else if (round_.paused()) {
    publisher_.wait("the pooler is paused (spec.pgbouncer.paused): no query can verify the URLs");
  } else if (!all_loaded()) {
    publisher_.wait("the Secret waits until the pods serve this configuration");
  } else if (trial_ == nullptr) {
    publisher_.wait("a query through the pooler is being tried");
  } else if (trial_->outcome == live::Outcome::kFailed) {
    const bool refused = trial_->reason == api::reason::kVerificationFailed;
    found_.published =
        no(trial_->reason, trial_->message + (refused ? auth_hint(round_) : std::string()));
  } else {
    return true;
  }
  return false;
}

}  // namespace pooler::reconcile
