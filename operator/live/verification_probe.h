// One query through the pooler with the published credentials, tried until it succeeds once. After
// that nothing is connected any more.
#pragma once

#include <optional>
#include <string>

#include "live/probe.h"
#include "live/refusals.h"
#include "live/state.h"
#include "live/verdict.h"

namespace pooler::live {

class VerificationProbe final : public Probe {
 public:
  // `sessions` and `refusals` outlive it.
  VerificationProbe(pg::SessionFactory& sessions, Refusals& refusals,
                    const VerificationTarget& target, MonotonicTime not_before);

  [[nodiscard]] const VerificationState& state() const { return state_; }

  // Failures over this time are no accident.
  static constexpr Duration kPersistent = std::chrono::seconds(10);

 protected:
  MonotonicTime may_open(MonotonicTime now) override;
  std::optional<std::string> question(MonotonicTime now) override;
  [[nodiscard]] MonotonicTime next_question() const override { return ask_at_; }
  void answered(const Answer& answer, const pg::Session& session, MonotonicTime now) override;
  void failed(const pg::Error& error, bool had_answered, MonotonicTime now) override;

 private:
  void fail(Verdict verdict, MonotonicTime now);

  const std::string certificate_;  // that has to be shown; empty: any, or none
  PasswordRule password_;
  VerificationState state_;
  MonotonicTime ask_at_;
  std::optional<MonotonicTime> failing_since_;
};

}  // namespace pooler::live
