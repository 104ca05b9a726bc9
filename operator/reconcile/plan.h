// plan(): from what is observed to what should be done next. Pure; does one step of many, and the
// same step again when it is asked again.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/status.h"
#include "base/clock.h"
#include "base/json_fwd.h"
#include "hosted/projects.h"
#include "kube/events.h"
#include "kube/meta.h"
#include "live/state.h"
#include "reconcile/observed.h"
#include "reconcile/share.h"

namespace pooler::reconcile {

struct Notice {
  kube::Event::Type type = kube::Event::Type::kNormal;
  std::string reason;
  std::string action;
  std::string note;
};

// Create where `current` has no uid, else apply onto exactly that object.
struct Write {
  kube::ResourceType type;
  std::string body;  // JSON
  kube::Meta current;
  std::optional<Notice> notice;  // told once it is done
};

struct Removal {
  kube::ResourceType type;
  kube::ObjectKey key;
  std::string uid;
  std::optional<Notice> notice;
};

// A new value for a pod's kTouchAnnotation.
struct Touch {
  kube::Meta pod;
  std::string value;
};

// Done in this order: trials, writes, touches, removals, status. The first that fails ends all but
// the last.
struct Plan {
  std::vector<Write> trials;  // dry runs: what has a pod template is refused before all else
  std::vector<Write> writes;
  std::vector<Touch> touches;
  std::vector<Removal> removals;
  api::Status status;
  std::vector<Notice> notices;  // told once the status is written
  live::LiveTarget target;
  std::optional<hosted::ProjectTarget> project;  // to be asked about at the Management API
  Claim claim;
  std::string reload_refused;          // for the next round's Observed
  int moves_told = 0;                  // the same, once the notices are told
  std::optional<Duration> look_again;  // for what no watch tells
};

[[nodiscard]] Plan plan(const Observed& observed);

}  // namespace pooler::reconcile
