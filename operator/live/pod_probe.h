// One persistent session to the admin console of one pod, by its address: what has it really
// loaded, which version is it? Where told to, it has the pod load its files until it shows the
// wanted marker.
#pragma once

#include "engine/rows.h"
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
  // RELOAD, again and again, until the pod shows `marker`; the files arrive when the kubelet brings
  // them. Given up after kReloadPatience, or when the pod refuses them kRefusals times on end.
  // Empty: no more of it.
  void reload_to(const std::string& marker, MonotonicTime now);

  static constexpr Duration kReloadPatience = std::chrono::seconds(30);
  static constexpr int kRefusals = 3;

 protected:
  std::optional<std::string> question(MonotonicTime now) override;
  [[nodiscard]] MonotonicTime next_question() const override { return ask_at_; }
  void answered(const Answer& answer, const pg::Session& session, MonotonicTime now) override;
  void failed(const pg::Error& error, bool had_answered, MonotonicTime now) override;

 private:
  enum class Asked { kNothing, kVersion, kConfig, kReload };

  [[nodiscard]] bool reloading() const;
  void take_loaded(const std::string& marker);
  void read_config(const engine::Rows& rows, MonotonicTime now);
  void give_up(std::string why);

  PodState state_;
  Asked asked_ = Asked::kNothing;
  std::string version_;  // of the present session, shown once the marker is known too
  MonotonicTime ask_at_;
  MonotonicTime reload_since_;
  std::string reload_error_;  // of the last RELOAD
  int refusals_ = 0;          // in a row
  int failures_ = 0;          // in a row
  MonotonicTime silent_since_;
};

}  // namespace pooler::live
