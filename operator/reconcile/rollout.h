// The per-pod state machine: brings each ordinal to the wanted revision and pod template, one
// drained replacement at a time. Pure; what it wants done, the caller writes.
//
// * At most one pod is away at any time, and the next goes only after the last is back, ready, and
//   shows the revision that it was given.
// * The file of an ordinal names the new revision just before its pod is replaced, so a crash or a
//   restart anywhere loads what that pod was given.
// * One replica first becomes two: the spare takes over, then ordinal 0 is replaced.
// * The floors of all pods that exist or may be born stay within the ceiling at every step.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pooler::reconcile {

struct Ordinal {
  bool exists = false;
  bool ready = false;
  bool deleting = false;
  bool template_current = true;
  bool console_answers = false;
  bool login_refused =
      false;             // runs with another admin password: certainly not the wanted revision
  std::string assigned;  // revision that its file names; empty: no file
  std::string loaded;    // revision that it shows; empty: unknown
};

struct RolloutInput {
  // Index is the ordinal; covers every ordinal that may exist and every pod that does.
  std::vector<Ordinal> ordinals;
  int limit = 0;                      // ordinals below may be used: maxReplicas and the spare
  int desired = 0;                    // replicas that the user wants
  int replicas = 0;                   // that the StatefulSet has; 0 where there is none yet
  std::optional<std::string> target;  // nullopt: keep what is
  bool may_replace = true;            // false: assignments and births only
  int ceiling = 0;                    // server connections, without the operator's
  // Connections that a pod with this revision may open. Unknown revision: a number above ceiling.
  std::function<int(const std::string& revision)> floor;
};

struct Rollout {
  std::map<int, std::string> assign;  // ordinal -> revision, for every ordinal that gets a file
  int replicas = 0;
  std::optional<int> replace;  // its file already names the target: delete the pod now
  bool in_progress = false;    // some pod is not yet what is wanted
  std::string waiting;         // for people: what the next step waits for
  int held = 0;                // sum of the floors of pods that exist or may be born
};

[[nodiscard]] Rollout roll_out(const RolloutInput& input);

// Shows what its file names.
[[nodiscard]] bool settled(const Ordinal& ordinal);

}  // namespace pooler::reconcile
