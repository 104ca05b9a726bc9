// One persistent session to the admin console of one pod, by its address: what has it really
// loaded, which version is it? Where told to, it has the pod load its files until it shows the
// wanted marker, and holds its clients.
#pragma once

#include <deque>
#include <map>
#include <string>

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

  // See PodTarget::certificates. What it shows is seen at the beginning of a session only, so one
  // that shows another certificate than it should is looked at again in a new session; where that
  // shows it, too, the marker is not believed, and a RELOAD counts as refused.
  void expect(const std::map<std::string, std::string>& certificates);

  // RECONNECT when `moves` has grown (nullopt: no news), and once more kReconnectAgain later,
  // because the pod may have found the old server again: not all nodes learn at once where a
  // Service leads.
  void follow(std::optional<int> moves, MonotonicTime now);

  // Clients wait, for as long as it takes, until they may go on. What they waited counts against
  // `wait_limit` again once all of them had kQueueDrains to be served.
  void pause(bool paused, const std::string& wait_limit, MonotonicTime now);

  static constexpr Duration kReconnectAgain = std::chrono::seconds(5);
  static constexpr Duration kQueueDrains = std::chrono::seconds(30);
  static constexpr Duration kReloadPatience = std::chrono::seconds(30);
  static constexpr int kRefusals = 3;

 protected:
  std::optional<std::string> question(MonotonicTime now) override;
  [[nodiscard]] MonotonicTime next_question() const override;
  void answered(const Answer& answer, const pg::Session& session, MonotonicTime now) override;
  void failed(const pg::Error& error, bool had_answered, MonotonicTime now) override;

 private:
  enum class Asked {
    kNothing,
    kVersion,
    kConfig,
    kReload,
    kState,
    kConnections,
    kPause,
    kResume,
    kWaitForEver,
    kWaitAsBefore,
    kReconnect,
  };

  [[nodiscard]] bool reloading() const;
  [[nodiscard]] bool proved(const std::string& marker, const std::string& certificate) const;
  void look_anew(MonotonicTime now);
  void take_loaded(const std::string& marker, bool certified);
  void read_config(const std::string& marker, bool certified, MonotonicTime now);
  void answered_about_flow(const Answer& answer, MonotonicTime now);
  void read_state(const engine::Rows& rows, MonotonicTime now);
  void read_connections(const engine::Rows& rows, MonotonicTime now);
  [[nodiscard]] std::string ask(Asked what);
  void give_up(std::string why);

  PodState state_;
  Asked asked_ = Asked::kNothing;
  std::deque<Asked> next_;                           // to be asked before ask_at_
  std::map<std::string, std::string> certificates_;  // revision -> fingerprint
  bool looked_anew_ = false;                         // this session is only for its certificate
  std::optional<int> moves_;
  int reconnects_ = 0;  // to be done, the next at reconnect_at_
  MonotonicTime reconnect_at_;
  bool paused_ = false;  // wanted
  std::string wait_limit_;
  std::string wait_shown_;  // query_wait_timeout of the last SHOW CONFIG
  MonotonicTime serving_since_;
  std::string version_;  // of the present session, shown once the marker is known too
  MonotonicTime ask_at_;
  MonotonicTime reload_since_;
  std::string reload_error_;  // of the last RELOAD
  int refusals_ = 0;          // in a row
  int failures_ = 0;          // in a row
  MonotonicTime silent_since_;
};

}  // namespace pooler::live
