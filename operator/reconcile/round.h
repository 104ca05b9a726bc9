// What one plan works on: the steps of plan() fill it in, one after the other. Only for the .cpp
// files of this folder.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/secrets.h"
#include "reconcile/certificates.h"
#include "reconcile/judge.h"
#include "reconcile/observed.h"
#include "reconcile/plan.h"
#include "urls/connection.h"

namespace pooler::reconcile {

struct Round {
  explicit Round(const Observed& observed) : see(observed), config(*observed.config) {}

  const Observed& see;
  const api::PoolerConfig& config;
  Plan plan;
  Findings found;
  bool spec_invalid = false;  // then nothing is written
  std::optional<engine::Admin> admin;
  std::string database_token;  // of the login to found.database

  // The first problem counts; the others are told when it is mended.
  void refuse(const api::Problem& problem);
  void refuse(const CertificateProblem& problem);
  // `field` names Secret `name`, which does not exist; `needs`: what it has to hold.
  void refuse_missing(const std::string& field, const std::string& name, const std::string& needs);
  // False: the spec can't be used, for the first of these.
  bool accept_spec(const std::vector<api::Problem>& problems);
  void look_again(Duration after);
  // When a certificate expires, which is no event: `field` names its Secret. One that has, and is
  // in use, is told, and holds nothing back.
  void tell_end(const char* field, const CheckedCertificates& read);
  // What a person is told of all that was found and is written: the status, and what is news in it.
  void conclude();
  [[nodiscard]] bool immediate() const { return api::publishes_at_once(config.spec); }
};

// With engine PgBouncer.
struct PgBouncerRound : Round {
  using Round::Round;

  bool makes_objects = false;
  std::optional<Certificates> client_tls;                // nullopt: they can't be used
  std::optional<engine::pgbouncer::AuthUser> auth_user;  // nullopt: mode User, or it can't be used
  const live::Server* server = nullptr;
  int floor = 0;

  [[nodiscard]] const std::string& image() const {
    return config.spec.pgbouncer.image.empty() ? see.default_image : config.spec.pgbouncer.image;
  }
  [[nodiscard]] int desired() const { return config.spec.replicas.value_or(0); }
  [[nodiscard]] bool paused() const { return config.spec.pgbouncer.paused; }
  // The Secret's files, with those of the target as they have to be: they may have been edited.
  [[nodiscard]] std::map<std::string, std::string> known_files() const;
  // What the pods are given, a canary excepted; nullopt: nothing yet.
  [[nodiscard]] std::optional<engine::pgbouncer::RevisionTls> tls_in_use() const;
  // What clients are shown by the target; empty: nothing is encrypted, or there is no target.
  [[nodiscard]] std::string certificate() const;
};

// A token for live: a text that changes with `text` and does not tell it.
[[nodiscard]] std::string token_of(const std::string& text);
// Of a login, with its certificates.
[[nodiscard]] std::string token_of(const urls::Connection& login);

}  // namespace pooler::reconcile
