// The conditions of api.md from what one plan found out. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/status.h"
#include "reconcile/observed.h"
#include "reconcile/plan.h"

namespace pooler::reconcile {

struct Verdict {
  api::ConditionStatus status = api::ConditionStatus::kUnknown;
  std::string reason{api::reason::kUnknown};
  std::string message;
};

[[nodiscard]] Verdict yes(std::string_view reason, std::string message);
[[nodiscard]] Verdict no(std::string_view reason, std::string message);
[[nodiscard]] Verdict unknown(std::string_view reason, std::string message);

struct Verdicts {
  Verdict configuration_valid;
  Verdict database_reachable;
  Verdict pooler_available;
  Verdict configuration_loaded;
  Verdict secret_published;
  Verdict scaling_active;
  bool in_progress = false;  // a change is on its way
  // publishPolicy Immediate, or nothing of ours to load: Ready does not wait for what the operator
  // has no way to see.
  bool may_be_unproved = false;
};

// Ready follows from the others; Reconciling and Stalled are there only while True (kstatus).
// lastTransitionTime is `now` where the status flips, else what `before` has.
[[nodiscard]] std::vector<api::Condition> conditions(const Verdicts& verdicts,
                                                     const api::PoolerConfig& config, WallTime now);

// In ConfigurationValid's message, before the time.
inline constexpr std::string_view kShouldBeRenewed = " should be renewed: it is valid until ";

// What changed between two statuses that a person wants to read about.
[[nodiscard]] std::vector<Notice> notices(const api::Status& before, const api::Status& after);

}  // namespace pooler::reconcile
