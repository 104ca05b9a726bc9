#include "reconcile/conditions.h"

#include <algorithm>
#include <array>
#include <utility>

namespace pooler::reconcile {
namespace {

using api::ConditionStatus;

// Waiting can't help with these; everything else may mend itself.
constexpr std::array kStalling = {api::reason::kInvalidParameter, api::reason::kBudgetTooSmall,
                                  api::reason::kInvalidPodTemplate, api::reason::kNotOwned,
                                  api::reason::kPoolerHostUnknown};

bool stalls(const Verdict& verdict) {
  return verdict.status == ConditionStatus::kFalse &&
         std::find(kStalling.begin(), kStalling.end(), verdict.reason) != kStalling.end();
}

// The four that make an object Ready, in the order in which a person should mend them.
std::array<const Verdict*, 4> gates(const Verdicts& v) {
  return {&v.configuration_valid, &v.pooler_available, &v.configuration_loaded,
          &v.secret_published};
}

Verdict ready(const Verdicts& verdicts) {
  for (const Verdict* gate : gates(verdicts)) {
    if (gate == &verdicts.configuration_loaded && verdicts.may_be_unproved &&
        gate->status == ConditionStatus::kUnknown) {
      continue;
    }
    if (gate->status != ConditionStatus::kTrue) {
      return {.status = ConditionStatus::kFalse, .reason = gate->reason, .message = gate->message};
    }
  }
  return yes(api::reason::kReady, verdicts.secret_published.message);
}

std::optional<Verdict> stalled(const Verdicts& verdicts) {
  for (const Verdict* gate : gates(verdicts)) {
    if (stalls(*gate)) return yes(gate->reason, gate->message);
  }
  return std::nullopt;
}

api::Condition made(std::string_view type, const Verdict& verdict, const api::PoolerConfig& config,
                    WallTime now) {
  const api::Condition* before = config.status.find(type);
  const bool flipped =
      before == nullptr || before->status != verdict.status || before->last_transition_time.empty();
  return {.type = std::string(type),
          .status = verdict.status,
          .reason = verdict.reason,
          .message = verdict.message,
          .observed_generation = config.generation,
          .last_transition_time = flipped ? rfc3339(now) : before->last_transition_time};
}

bool flipped_to(const api::Status& before, const api::Condition& now, ConditionStatus status) {
  const api::Condition* old = before.find(now.type);
  if (now.status != status) return false;
  return old == nullptr || old->status != status || old->reason != now.reason;
}

// Once for each: the message has the moment.
bool expires_anew(const api::Status& before, const api::Condition& now) {
  const api::Condition* old = before.find(now.type);
  return now.status == ConditionStatus::kTrue &&
         now.message.find(kShouldBeRenewed) != std::string::npos &&
         (old == nullptr || old->message != now.message);
}

}  // namespace

Verdict yes(std::string_view reason, std::string message) {
  return {ConditionStatus::kTrue, std::string(reason), std::move(message)};
}
Verdict no(std::string_view reason, std::string message) {
  return {ConditionStatus::kFalse, std::string(reason), std::move(message)};
}
Verdict unknown(std::string_view reason, std::string message) {
  return {ConditionStatus::kUnknown, std::string(reason), std::move(message)};
}

std::vector<api::Condition> conditions(const Verdicts& verdicts, const api::PoolerConfig& config,
                                       WallTime now) {
  std::vector<api::Condition> list;
  const auto add = [&](std::string_view type, const Verdict& verdict) {
    list.push_back(made(type, verdict, config, now));
  };
  add(api::condition::kReady, ready(verdicts));
  add(api::condition::kConfigurationValid, verdicts.configuration_valid);
  add(api::condition::kDatabaseReachable, verdicts.database_reachable);
  add(api::condition::kPoolerAvailable, verdicts.pooler_available);
  add(api::condition::kConfigurationLoaded, verdicts.configuration_loaded);
  add(api::condition::kSecretPublished, verdicts.secret_published);
  add(api::condition::kScalingActive, verdicts.scaling_active);
  if (const auto stall = stalled(verdicts)) {
    add(api::condition::kStalled, *stall);
  } else if (verdicts.in_progress) {
    const Verdict now_ready = ready(verdicts);
    add(api::condition::kReconciling,
        yes(api::reason::kProgressing, now_ready.status == ConditionStatus::kTrue
                                           ? verdicts.configuration_loaded.message
                                           : now_ready.message));
  }
  return list;
}

std::vector<Notice> notices(const api::Status& before, const api::Status& after) {
  using Type = kube::Event::Type;
  std::vector<Notice> list;
  for (const api::Condition& now : after.conditions) {
    const bool wrong = flipped_to(before, now, ConditionStatus::kFalse);
    if (now.type == api::condition::kConfigurationValid && wrong) {
      list.push_back({Type::kWarning, "InvalidConfiguration", "Validate", now.message});
    }
    if (now.type == api::condition::kConfigurationValid && expires_anew(before, now)) {
      list.push_back({Type::kWarning, "CertificateExpires", "Validate", now.message});
    }
    if (now.type == api::condition::kDatabaseReachable && wrong &&
        now.reason != api::reason::kReadOnly) {
      list.push_back({Type::kWarning, "DatabaseUnreachable", "Connect", now.message});
    }
    if (now.type == api::condition::kSecretPublished && wrong &&
        now.reason == api::reason::kNotOwned) {
      list.push_back({Type::kWarning, "NotOwned", "Publish", now.message});
    }
    if (now.type == api::condition::kPoolerAvailable && wrong &&
        now.reason == api::reason::kNotOwned) {
      list.push_back({Type::kWarning, "NotOwned", "Create", now.message});
    }
  }
  if (before.effective.budget && after.effective.budget &&
      *before.effective.budget != *after.effective.budget) {
    list.push_back({Type::kNormal, "BudgetChanged", "Budget",
                    "server connections: " + std::to_string(*before.effective.budget) + " -> " +
                        std::to_string(*after.effective.budget)});
  }
  if (before.observed_generation != 0 && before.desired_replicas != after.desired_replicas) {
    list.push_back({Type::kNormal, "Scaled", "Scale",
                    std::to_string(before.desired_replicas) + " -> " +
                        std::to_string(after.desired_replicas) + " replicas: spec.replicas"});
  }
  return list;
}

}  // namespace pooler::reconcile
