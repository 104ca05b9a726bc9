// Whether the role of spec.pgbouncer.auth can look users up: one login of its own to the database,
// where it is asked the engine's auth_question() until that has worked once. After that nothing is
// connected any more. The connection is counted in the budget, so there are never two.
#pragma once

#include <optional>
#include <string>

#include "live/probe.h"
#include "live/state.h"

namespace pooler::live {

class AuthProbe final : public Probe {
 public:
  AuthProbe(pg::SessionFactory& sessions, const AuthTarget& target, MonotonicTime not_before);

  [[nodiscard]] const AuthState& state() const { return state_; }

  static constexpr Duration kAgainEvery = std::chrono::seconds(5);

 protected:
  std::optional<std::string> question(MonotonicTime now) override;
  [[nodiscard]] MonotonicTime next_question() const override { return ask_at_; }
  void answered(const Answer& answer, const pg::Session& session, MonotonicTime now) override;
  void failed(const pg::Error& error, bool had_answered, MonotonicTime now) override;

 private:
  void fail(const pg::Error& error);

  const urls::Connection connection_;
  const std::string question_;
  const std::string user_;
  AuthState state_;
  MonotonicTime ask_at_;
};

}  // namespace pooler::live
