// The pods of engine PgBouncer: what each ordinal is and runs, what is asked and told of it, and
// the trial of a new configuration. Only for the .cpp files of this folder.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconcile/rollout.h"
#include "reconcile/round.h"

namespace pooler::reconcile {

class PgBouncerPods {
 public:
  explicit PgBouncerPods(PgBouncerRound& round) : round_(round) {}

  [[nodiscard]] std::vector<Ordinal> ordinals() const;
  // A login through the one pod that has a new configuration.
  void try_canary();
  // The kubelet is hurried once when a pod has a new file, and again for every two seconds that the
  // pod has not read it.
  void hurry_files();
  // Why the canary was pointed back, while the revision that it refused is still the wanted one.
  void explain_refusal();
  void replace(int ordinal);
  // What live asks the pods, and has them do.
  void ask();
  void tell_of_move();

 private:
  void fill(Ordinal& ordinal, const ObservedPod& pod) const;
  [[nodiscard]] std::string trial_token(const ObservedPod& pod, const std::string& marker) const;
  [[nodiscard]] Ordinal::Proof proof_of(const ObservedPod& pod, const std::string& marker) const;
  [[nodiscard]] const ObservedPod* pod_at(int ordinal) const;
  [[nodiscard]] live::PodState::Reload reload_state(const ObservedPod& pod) const;
  [[nodiscard]] std::optional<int> moves() const;
  // What clients are shown by each revision of which the files are known.
  [[nodiscard]] std::map<std::string, std::string> certificates() const;
  // By the files that it has loaded.
  [[nodiscard]] std::string wait_limit(const ObservedPod& pod) const;

  PgBouncerRound& round_;
  const Observed& see_ = round_.see;
  const api::PoolerConfig& config_ = round_.config;
  Plan& plan_ = round_.plan;
  Findings& found_ = round_.found;
};

}  // namespace pooler::reconcile
