#include "live/auth_probe.h"

#include <utility>

#include "api/status.h"
#include "engine/pgbouncer/auth_query.h"
#include "live/rows.h"
#include "live/targets.h"
#include "live/verdict.h"

namespace pooler::live {
namespace {

constexpr Duration kLookupTimeout = std::chrono::seconds(5);

}  // namespace

AuthProbe::AuthProbe(pg::SessionFactory& sessions, const AuthTarget& target,
                     MonotonicTime not_before)
    : Probe(sessions, database_target(target.connection), kLookupTimeout,
            Backoff{std::chrono::milliseconds(500), std::chrono::seconds(10)}, not_before),
      connection_(target.connection),
      question_(target.question),
      user_(target.user) {
  state_.token = target.token;
}

std::optional<std::string> AuthProbe::question(MonotonicTime now) {
  if (now < ask_at_) return std::nullopt;
  ask_at_ = now + kAgainEvery;
  return question_;
}

void AuthProbe::answered(const Answer& answer, const pg::Session& session, MonotonicTime now) {
  if (!answer.ok()) {
    leave_until(now + kAgainEvery);
    return fail(answer.error());
  }
  const std::string trouble =
      user_.empty() ? "" : engine::pgbouncer::trouble_with_found_user(to_engine(answer.value()));
  if (trouble.empty()) {
    state_ = {.token = state_.token, .outcome = Outcome::kOk};
    return finish();
  }
  leave_until(now + kAgainEvery);
  state_.outcome = Outcome::kFailed;
  state_.field = kAuthQueryField;
  state_.message = user_not_found(session.peer(), user_, trouble);
}

void AuthProbe::failed(const pg::Error& error, bool, MonotonicTime now) {
  ask_at_ = now;
  fail(error);
}

void AuthProbe::fail(const pg::Error& error) {
  AuthVerdict verdict = auth_verdict(error, connection_);
  state_.outcome = Outcome::kFailed;
  state_.field = std::move(verdict.field);
  state_.message = std::move(verdict.message);
}

}  // namespace pooler::live
