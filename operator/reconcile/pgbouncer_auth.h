// Users of spec.pgbouncer.auth in mode Query: the role that looks them up, and whether it can. Only
// for the .cpp files of this folder.
#pragma once

#include <string>

#include "reconcile/round.h"

namespace pooler::reconcile {

class PgBouncerAuth {
 public:
  explicit PgBouncerAuth(PgBouncerRound& round) : round_(round) {}

  // Of its own Secret, or the database's user. Requires a valid spec.
  void take_user();
  // At the database itself, before any pod depends on it. That it fails is only told: what runs
  // goes on.
  void ask();
  // Pods may be given a configuration that nobody has tried yet.
  [[nodiscard]] bool works() const;

 private:
  void read_secret();
  // What was told before is told until there is an answer: a restart of the operator is no news.
  void stay_refused();

  PgBouncerRound& round_;
  bool works_ = false;
};

// What may stand behind a login that fails at the pooler, to follow its message; empty in mode
// User.
[[nodiscard]] std::string auth_hint(const PgBouncerRound& round);

}  // namespace pooler::reconcile
