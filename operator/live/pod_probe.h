// One persistent session to the admin console of one pod, by its address: which revision has it
// really loaded, which version is it?
#pragma once

#include "live/probe.h"
#include "live/state.h"

namespace pooler::live {

class PodProbe final : public Probe {
 public:
  PodProbe(pg::SessionFactory& sessions, const PodTarget& pod, const ConsoleLogin& login,
           MonotonicTime now);

  [[nodiscard]] const PodState& state() const { return state_; }
  // Asks now; the loop calls advance() next.
  void hurry(MonotonicTime now);

 protected:
  std::optional<std::string> question(MonotonicTime now) override;
  [[nodiscard]] MonotonicTime next_question() const override { return ask_at_; }
  void answered(const Answer& answer, const pg::Session& session, MonotonicTime now) override;
  void failed(const pg::Error& error, bool had_answered, MonotonicTime now) override;

 private:
  enum class Asked { kNothing, kVersion, kConfig };

  PodState state_;
  Asked asked_ = Asked::kNothing;
  std::string version_;  // of the present session, shown once the marker is known too
  MonotonicTime ask_at_;
  int failures_ = 0;  // in a row
  MonotonicTime silent_since_;
};

}  // namespace pooler::live
