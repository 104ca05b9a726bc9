#include "reconcile/pgbouncer_auth.h"

#include <utility>

#include "engine/pgbouncer/auth_query.h"

namespace pooler::reconcile {
namespace {

namespace pgbouncer = engine::pgbouncer;

constexpr const char* kUserField = "spec.pgbouncer.auth.userSecretRef";

}  // namespace

void PgBouncerAuth::take_user() {
  if (!api::has_many_users(round_.config.spec)) return;
  if (!round_.config.spec.pgbouncer.auth.user_secret.empty()) return read_secret();
  const auto& database = round_.found.database;
  if (database) round_.auth_user = pgbouncer::AuthUser{database->user, database->password};
}

void PgBouncerAuth::read_secret() {
  const api::PoolerAuth& auth = round_.config.spec.pgbouncer.auth;
  const std::string secret = "Secret " + round_.config.ns + "/" + auth.user_secret;
  if (!round_.see.auth_secret) {
    return round_.refuse_missing(kUserField, auth.user_secret,
                                 "the keys " + auth.user_key + " and " + auth.password_key +
                                     ", the login of the role that runs the query");
  }
  const auto value = [&](const std::string& key, const char* part) {
    const auto found = round_.see.auth_secret->find(key);
    if (found != round_.see.auth_secret->end()) return found->second;
    round_.refuse({std::string(api::reason::kSecretKeyMissing),
                   std::string(kUserField) + ".keys." + part,
                   secret + " has no key " + key + ": add it, or name another one here"});
    return std::string();
  };
  pgbouncer::AuthUser user{value(auth.user_key, "user"), value(auth.password_key, "password")};
  const auto problems = pgbouncer::check(user);
  // A key that is missing was told already.
  if (!problems.empty()) return round_.refuse(problems.front());
  const auto& database = round_.found.database;
  if (database && user.name == database->user && user.password != database->password) {
    round_.refuse({std::string(api::reason::kSecretInvalid), kUserField,
                   secret + " names the same user as the database Secret, with another password: "
                            "correct one of them, or name another role"});
    return;
  }
  round_.auth_user = std::move(user);
}

void PgBouncerAuth::ask() {
  const auto& database = round_.found.database;
  if (!round_.auth_user || !database) return;
  urls::Connection login = *database;
  login.user = round_.auth_user->name;
  login.password = round_.auth_user->password;
  // PgBouncer does not look up the role itself: its password is in the files.
  const std::string to_find = login.user == database->user ? "" : database->user;
  const std::string question = pgbouncer::auth_question(round_.config, database->user);
  const std::string token = token_of("auth " + token_of(login) + " " + to_find + " " + question);
  round_.plan.target.auth = live::AuthTarget{login, token, question, to_find};
  const live::AuthState& state = round_.see.live.auth;
  if (state.token != token || state.outcome == live::Outcome::kUnknown) return stay_refused();
  works_ = state.outcome == live::Outcome::kOk;
  // While the database is away, that is what is told.
  if (state.outcome == live::Outcome::kFailed && round_.found.database_answers()) {
    round_.refuse({std::string(api::reason::kAuthQueryFailed), state.field, state.message});
  }
}

void PgBouncerAuth::stay_refused() {
  const api::Status& before = round_.config.status;
  const api::Condition* told = before.find(api::condition::kConfigurationValid);
  const bool refused = told != nullptr && told->reason == api::reason::kAuthQueryFailed &&
                       before.observed_generation == round_.config.generation;
  if (refused) round_.refuse({told->reason, "", told->message});
}

bool PgBouncerAuth::works() const { return works_ || !api::has_many_users(round_.config.spec); }

std::string auth_hint(const PgBouncerRound& round) {
  if (!round.auth_user) return {};
  return "; each user is looked up at its login by user \"" + round.auth_user->name +
         "\" (spec.pgbouncer.auth), which the database has to let in from the pods, too";
}

}  // namespace pooler::reconcile
