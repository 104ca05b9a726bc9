// judge(): what a person is told, from what one plan found out. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/status.h"
#include "engine/pgbouncer/render.h"
#include "reconcile/conditions.h"
#include "reconcile/observed.h"
#include "reconcile/rollout.h"
#include "reconcile/share.h"
#include "urls/connection.h"

namespace pooler::reconcile {

// What plan() found out on its way. Absent: not known.
struct Findings {
  std::optional<urls::Connection> database;
  // What is asked while that can't be had: the login with the certificates that are in use.
  std::optional<urls::Connection> database_before;
  const live::DatabaseState* database_state = nullptr;  // of these very credentials
  std::optional<int> budget;
  std::string budget_source;
  Share share;
  std::optional<engine::pgbouncer::Revision> target;
  std::vector<Ordinal> ordinals;
  Rollout rollout;
  std::string image;
  std::string endpoint_pooled;  // "host:port"; empty: not known
  std::string reload_refused;   // why the wanted configuration could not be loaded
  std::string foreign;          // which object of the workload belongs to others, in words
  bool blocked = false;         // nothing is begun: a name of ours is taken, or not free yet
  bool writing = false;         // objects are being written in this very round
  bool way_in_proven = true;    // connections through the Service reach a pod
  std::string binding;          // name of the published Secret, once it is published
  std::optional<Verdict> configuration;  // what is wrong with the spec or a Secret that it names
  std::optional<Verdict> late;           // a certificate that is in use has expired
  std::string certificates_end;          // for people: when; empty: there are none
  // Where the operator runs no pods: what becomes of the conditions about them.
  std::optional<Verdict> availability;
  std::optional<Verdict> loading;
  Verdict published;

  [[nodiscard]] const std::optional<urls::Connection>& login() const {
    return database ? database : database_before;
  }
  [[nodiscard]] bool database_answers() const {
    return database_state != nullptr && database_state->outcome == live::Outcome::kOk;
  }
};

[[nodiscard]] api::Status judge(const Observed& observed, const Findings& found);

}  // namespace pooler::reconcile
