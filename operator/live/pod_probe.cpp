#include "live/pod_probe.h"

#include <algorithm>
#include <utility>

#include "engine/pgbouncer/console.h"
#include "engine/pgbouncer/render.h"
#include "live/rows.h"
#include "live/targets.h"
#include "live/verdict.h"

namespace pooler::live {
namespace {

namespace console = engine::pgbouncer;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kUnknownEvery = seconds(2);
constexpr Duration kKnownEvery = seconds(10);
constexpr Duration kReloadEvery = milliseconds(200);
constexpr Duration kPausingEvery = milliseconds(500);
constexpr Duration kNudgeEvery = seconds(2);
constexpr Duration kConsoleTimeout = seconds(3);
// One failure is no news: a pod that has just begun does not listen yet.
constexpr int kFailuresToTell = 2;
constexpr Duration kSilenceToTell = seconds(3);

}  // namespace

PodProbe::PodProbe(pg::SessionFactory& sessions, const PodTarget& pod, const ConsoleLogin& login,
                   MonotonicTime now)
    : Probe(sessions, console_target(pod, login), kConsoleTimeout,
            Backoff{milliseconds(200), seconds(5)}, now),
      silent_since_(now) {}

void PodProbe::hurry(MonotonicTime now) {
  ask_at_ = now;
  retry_now(now);
}

void PodProbe::reload_to(const std::string& marker, MonotonicTime now) {
  if (state_.reload.marker == marker) return;
  state_.reload = {.marker = marker};
  reload_error_.clear();
  refusals_ = 0;
  reload_since_ = now;
  if (reloading()) ask_at_ = now;
}

void PodProbe::pause(bool paused, const std::string& wait_limit, MonotonicTime now) {
  wait_limit_ = wait_limit;
  if (std::exchange(paused_, paused) != paused) ask_at_ = now;
}

void PodProbe::follow(std::optional<int> moves, MonotonicTime now) {
  if (!moves) return;
  const auto before = std::exchange(moves_, moves);
  if (!before || *moves <= *before) return;
  reconnects_ = 2;
  reconnect_at_ = now;
}

void PodProbe::expect(const std::map<std::string, std::string>& certificates) {
  certificates_ = certificates;
}

MonotonicTime PodProbe::next_question() const {
  return reconnects_ == 0 ? ask_at_ : std::min(ask_at_, reconnect_at_);
}

bool PodProbe::reloading() const {
  const PodState::Reload& reload = state_.reload;
  return !reload.marker.empty() && !reload.failed && state_.marker != reload.marker;
}

std::string PodProbe::ask(Asked what) {
  asked_ = what;
  switch (what) {
    case Asked::kNothing:
    case Asked::kVersion:
      break;
    case Asked::kConfig:
      return std::string(console::kShowConfig);
    case Asked::kReload:
      return std::string(console::kReload);
    case Asked::kState:
      return std::string(console::kShowState);
    case Asked::kConnections:
      return std::string(console::kShowDatabases);
    case Asked::kPause:
      return std::string(console::kPause);
    case Asked::kResume:
      return std::string(console::kResume);
    case Asked::kWaitForEver:
      return console::set_wait("0");
    case Asked::kWaitAsBefore:
      return console::set_wait(wait_limit_);
    case Asked::kReconnect:
      return std::string(console::kReconnect);
  }
  return std::string(console::kShowVersion);
}

std::optional<std::string> PodProbe::question(MonotonicTime now) {
  if (version_.empty() && asked_ != Asked::kVersion) return ask(Asked::kVersion);
  if (!next_.empty()) {
    const Asked next = next_.front();
    next_.pop_front();
    if (next == Asked::kConfig) ask_at_ = now + kUnknownEvery;
    return ask(next);
  }
  if (reconnects_ > 0 && now >= reconnect_at_) {
    reconnect_at_ = now + kReconnectAgain;
    return ask(Asked::kReconnect);
  }
  if (now < ask_at_) return std::nullopt;
  if (reloading() && asked_ != Asked::kReload) return ask(Asked::kReload);
  ask_at_ = now + kUnknownEvery;
  return ask(Asked::kConfig);
}

void PodProbe::answered(const Answer& answer, const pg::Session& session, MonotonicTime now) {
  failures_ = 0;
  silent_since_ = now;
  if (asked_ == Asked::kReload) {
    reload_error_ = answer.ok() ? "" : answer.error().message;
    // It has put back the time that clients may wait.
    if (paused_) next_ = {Asked::kWaitForEver, Asked::kConfig};
    return;
  }
  if (asked_ > Asked::kReload) return answered_about_flow(answer, now);
  if (!answer.ok()) {
    state_.outcome = Outcome::kFailed;
    state_.message = console_message(answer.error());
    return;
  }
  const engine::Rows rows = to_engine(answer.value());
  if (asked_ == Asked::kVersion) {
    version_ = console::read_version(rows).value_or("");
    return;
  }
  const std::string marker = console::read_marker(rows).value_or("");
  const bool certified = proved(marker, session.peer_certificate());
  if (!certified && !looked_anew_ && reload_error_.empty()) return look_anew(now);
  looked_anew_ = false;
  state_.outcome = Outcome::kOk;
  state_.message.clear();
  state_.login_refused = false;
  state_.version = version_;
  read_config(marker, certified, now);
  wait_shown_ = console::read_setting(rows, console::kWaitSetting).value_or("");
  if (paused_ && wait_shown_ != "0") next_.push_back(Asked::kWaitForEver);
  next_.push_back(Asked::kState);
}

bool PodProbe::proved(const std::string& marker, const std::string& certificate) const {
  const auto expected = certificates_.find(console::revision_of(marker));
  return expected == certificates_.end() || expected->second == certificate;
}

void PodProbe::look_anew(MonotonicTime now) {
  looked_anew_ = true;
  next_.clear();
  asked_ = Asked::kReload;  // so that the new session begins with what is loaded
  ask_at_ = now;
  leave_until(now);
}

// Where it can't be told, nothing is done about it, and the next round asks again.
void PodProbe::answered_about_flow(const Answer& answer, MonotonicTime now) {
  if (!answer.ok()) return;
  if (asked_ == Asked::kReconnect) --reconnects_;
  const engine::Rows rows = to_engine(answer.value());
  if (asked_ == Asked::kState) read_state(rows, now);
  if (asked_ == Asked::kConnections) read_connections(rows, now);
  // What it was told is read back soon.
  const bool told = asked_ == Asked::kPause || asked_ == Asked::kResume;
  if (told) ask_at_ = std::min(ask_at_, now + kReloadEvery);
}

void PodProbe::read_state(const engine::Rows& rows, MonotonicTime now) {
  using Flow = PodState::Flow;
  const auto held = console::read_paused(rows);
  if (!held) {
    state_.flow = Flow::kUnknown;
    return;
  }
  if (*held != paused_) next_.push_back(paused_ ? Asked::kPause : Asked::kResume);
  if (*held) {
    if (state_.flow != Flow::kPaused) state_.flow = Flow::kPausing;
    if (paused_) next_.push_back(Asked::kConnections);
    return;
  }
  if (std::exchange(state_.flow, Flow::kServing) != Flow::kServing) serving_since_ = now;
  const bool drained = now - serving_since_ >= kQueueDrains;
  const bool left_over = wait_shown_ == "0" && !wait_limit_.empty() && wait_limit_ != "0";
  if (!paused_ && drained && left_over) next_.push_back(Asked::kWaitAsBefore);
}

void PodProbe::read_connections(const engine::Rows& rows, MonotonicTime now) {
  const auto held = console::read_server_connections(rows);
  if (held) state_.flow = *held == 0 ? PodState::Flow::kPaused : PodState::Flow::kPausing;
  if (state_.flow != PodState::Flow::kPaused) ask_at_ = std::min(ask_at_, now + kPausingEvery);
}

void PodProbe::read_config(const std::string& marker, bool certified, MonotonicTime now) {
  if (reloading() || state_.reload.failed) {
    take_loaded(marker, certified);
  } else if (certified) {
    state_.marker = marker;
  } else if (state_.marker.empty()) {
    state_.marker = console::kNoMarker;  // nothing that we know as a whole
  }
  ask_at_ = now + (state_.marker.empty() ? kUnknownEvery : kKnownEvery);
  if (!reloading()) return;
  ask_at_ = now + kReloadEvery;
  state_.reload.nudges = static_cast<int>((now - reload_since_) / kNudgeEvery);
  if (now - reload_since_ >= kReloadPatience) {
    give_up(
        "it was told to load its new configuration for " +
        std::to_string(kReloadPatience / seconds(1)) +
        " s and does not show it: its file has an error, which its log names, or the node is slow");
  }
}

// An error in a file puts all settings that come after it to their defaults, the marker too, and
// 1.24 says nothing else. An error in TLS leaves the new marker, and 1.26 says so.
void PodProbe::take_loaded(const std::string& marker, bool certified) {
  const bool refused = !reload_error_.empty() || marker == console::kNoMarker || !certified;
  if (!refused) {
    refusals_ = 0;
    state_.marker = marker;
    return;
  }
  if (state_.marker.empty()) state_.marker = console::kNoMarker;
  if (++refusals_ < kRefusals) return;
  if (reload_error_.empty() && !certified) {
    return give_up(
        "it does not show the certificate of its configuration (spec.clientTLS); its "
        "log says why");
  }
  give_up("it refuses its configuration" +
          (reload_error_.empty() ? "" : " (" + reload_error_ + ")") + "; its log says why");
}

void PodProbe::give_up(std::string why) {
  state_.reload.failed = true;
  state_.reload.message = std::move(why);
}

void PodProbe::failed(const pg::Error& error, bool had_answered, MonotonicTime now) {
  if (had_answered) silent_since_ = now;
  asked_ = Asked::kNothing;
  next_.clear();
  refusals_ = 0;
  version_.clear();
  ask_at_ = now;
  // The end of a good session says only that: perhaps the container was restarted.
  if (had_answered && state_.outcome == Outcome::kOk) return;
  ++failures_;
  const bool tell = failures_ >= kFailuresToTell || now - silent_since_ >= kSilenceToTell;
  state_.outcome = tell ? Outcome::kFailed : Outcome::kUnknown;
  state_.message = tell ? console_message(error) : "";
  state_.login_refused = tell && is_console_login_refused(error);
}

}  // namespace pooler::live
