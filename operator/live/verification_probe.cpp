#include "live/verification_probe.h"

#include <utility>

#include "api/status.h"
#include "live/targets.h"

namespace pooler::live {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kQueryTimeout = seconds(5);
constexpr Duration kAgainEvery = seconds(1);

bool is_one(const pg::Rows& rows) {
  return rows.cells.size() == 1 && rows.cells[0].size() == 1 && rows.cells[0][0] == "1";
}

}  // namespace

VerificationProbe::VerificationProbe(pg::SessionFactory& sessions, Refusals& refusals,
                                     const VerificationTarget& target, MonotonicTime not_before)
    : Probe(sessions, verification_target(target), kQueryTimeout,
            Backoff{milliseconds(300), seconds(2)}, not_before),
      certificate_(expects_certificate(target) ? target.certificate : ""),
      password_(refusals, target.refusal_scope, target.connection.password, target.refusal_pause) {
  state_.token = target.token;
}

MonotonicTime VerificationProbe::may_open(MonotonicTime now) {
  if (const Refusal* refusal = password_.refusal(now)) {
    fail({std::string(api::reason::kVerificationFailed), told_of(*refusal, state_.token)}, now);
    state_.refused = true;
  }
  return password_.begin(now);
}

std::optional<std::string> VerificationProbe::question(MonotonicTime now) {
  if (now < ask_at_) return std::nullopt;
  ask_at_ = now + kAgainEvery;
  return "SELECT 1";
}

void VerificationProbe::answered(const Answer& answer, const pg::Session& session,
                                 MonotonicTime now) {
  password_.accept();
  if (answer.ok() && !certificate_.empty() && session.peer_certificate() != certificate_) {
    leave_until(now + kAgainEvery);  // another certificate takes another session
    return fail(certificate_verdict(session.peer()), now);
  }
  if (answer.ok() && is_one(answer.value())) {
    state_.outcome = Outcome::kOk;
    state_.reason.clear();
    state_.message.clear();
    state_.refused = false;
    return finish();
  }
  pg::Error error;
  error.phase = pg::Error::Phase::kSession;
  error.where = session.peer();
  fail(verification_verdict(answer.ok() ? error : answer.error()), now);
}

void VerificationProbe::failed(const pg::Error& error, bool, MonotonicTime now) {
  ask_at_ = now;
  fail(verification_verdict(error), now);
  if (!password_.on()) return;
  state_.refused = is_password_refused(error);
  if (!state_.refused) return password_.end();
  password_.refuse(state_.token, state_.message, now);
}

void VerificationProbe::fail(Verdict verdict, MonotonicTime now) {
  if (!failing_since_) failing_since_ = now;
  state_.persistent = now - *failing_since_ >= kPersistent;
  state_.outcome = Outcome::kFailed;
  state_.reason = std::move(verdict.reason);
  state_.message = std::move(verdict.message);
  state_.refused = false;
}

}  // namespace pooler::live
