// The objects of engine PgBouncer: what goes into each, and which of them there should be. Only for
// the .cpp files of this folder.
#pragma once

#include <map>
#include <set>
#include <string>

#include "reconcile/pgbouncer_pods.h"
#include "reconcile/writer.h"

namespace pooler::reconcile {

class PgBouncerObjects {
 public:
  PgBouncerObjects(PgBouncerRound& round, Writer& writer, PgBouncerPods& pods)
      : round_(round), writer_(writer), pods_(pods) {}

  // The operator's own Secret, the Services and the NetworkPolicy, where anything may be made.
  void write_base();
  // Whether RELOADs may begin: a new configuration may need the new template.
  [[nodiscard]] bool template_written() const;
  // As the roll-out wants it.
  void write_workload();

 private:
  // A name of ours is taken: a pooler that runs goes on, a new one is not begun.
  bool blocked_by_others();
  // With one replica it would only keep nodes from being drained.
  [[nodiscard]] bool wants_disruption_budget() const;
  [[nodiscard]] bool only_replicas_differ() const;
  // Whether there is something to write. A template that the API server refuses is found out
  // before anything is written that goes with it.
  bool write_stateful_set();
  void write_files();
  // The revisions that some ordinal's file leads to, and those that some pod still runs: their
  // files tell whether RELOAD can bring it away from there. Unknown is all that there are.
  [[nodiscard]] std::set<std::string> revisions_in_use() const;
  // Of the revisions in use, and of each ordinal.
  [[nodiscard]] std::map<std::string, std::string> files() const;

  PgBouncerRound& round_;
  const Observed& see_ = round_.see;
  const api::PoolerConfig& config_ = round_.config;
  Plan& plan_ = round_.plan;
  Findings& found_ = round_.found;
  Writer& writer_;
  PgBouncerPods& pods_;
};

}  // namespace pooler::reconcile
