// The per-pod state machine: brings each ordinal to the wanted revision and pod template, by RELOAD
// where that is enough, else by drained replacement. Pure; what it wants done, the caller writes.
//
// Reload
// * One pod, the canary, is given the new revision first; everything else keeps the one before,
//   what is born or restarted meanwhile included.
// * When the canary shows the revision and a login through it has worked, all others follow.
// * A canary that fails is pointed back, by a marker of its own that also tells the next operator
//   what was refused. It is not tried again until the wanted revision is another one, or that pod
//   is gone.
//
// Replace
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
  bool unasked = false;  // serves, and its console was not asked yet: it may run anything
  bool console_answers = false;
  bool login_refused =
      false;             // runs with another admin password: certainly not the wanted revision
  std::string assigned;  // marker that its file leads to; empty: no file
  std::string loaded;    // marker that it shows; empty: unknown
  bool reload_failed = false;  // it was told to load `assigned`, and could not
  // A login through this very pod, with what it has loaded.
  enum class Proof { kNone, kPassed, kFailed } proof = Proof::kNone;
};

struct RolloutInput {
  // Index is the ordinal; covers every ordinal that may exist and every pod that does.
  std::vector<Ordinal> ordinals;
  int limit = 0;                      // ordinals below may be used: maxReplicas and the spare
  int desired = 0;                    // replicas that the user wants
  int replicas = 0;                   // that the StatefulSet has; 0 where there is none yet
  std::optional<std::string> target;  // revision; nullopt: keep what is
  bool may_replace = true;  // false: no pod is touched for a change, only births are prepared
  bool hold_pods = false;   // no pod that serves is replaced: clients that wait there would be cut
  // Whether the StatefulSet is known to have the wanted template; a new configuration may need it.
  bool template_written = true;
  int ceiling = 0;  // server connections, without the operator's
  // Connections that a pod with this revision may open. Unknown revision: a number above ceiling.
  std::function<int(const std::string& revision)> floor;
  // Whether RELOAD is enough to bring a process from one revision to another.
  std::function<bool(const std::string& from, const std::string& to)> reloadable =
      [](const std::string&, const std::string&) { return false; };
};

struct Rollout {
  std::map<int, std::string> assign;  // ordinal -> marker, for every ordinal that gets a file
  int replicas = 0;
  // Ordinal -> marker that its pod has to load by RELOAD; its file leads there already.
  std::map<int, std::string> reload;
  std::optional<int> trial;         // has loaded the target; a login through it has to be tried
  std::optional<int> pointed_back;  // the canary that has just failed
  bool rejected = false;            // the target was tried and failed: what was before stays
  bool spread = false;              // in this step the target goes to all
  std::optional<int> replace;       // its file already names the target: delete the pod now
  bool in_progress = false;         // some pod is not yet what is wanted
  std::string waiting;              // for people: what the next step waits for
  int held = 0;                     // sum of the floors of pods that exist or may be born
};

[[nodiscard]] Rollout roll_out(const RolloutInput& input);

// Shows what its file names.
[[nodiscard]] bool settled(const Ordinal& ordinal);

}  // namespace pooler::reconcile
