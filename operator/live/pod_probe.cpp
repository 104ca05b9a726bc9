#include "live/pod_probe.h"

#include "engine/pgbouncer/console.h"
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
constexpr Duration kAnswerTimeout = seconds(3);
// One failure is no news: a pod that has just begun does not listen yet.
constexpr int kFailuresToTell = 2;
constexpr Duration kSilenceToTell = seconds(3);

}  // namespace

PodProbe::PodProbe(pg::SessionFactory& sessions, const PodTarget& pod, const ConsoleLogin& login,
                   MonotonicTime now)
    : Probe(sessions, console_target(pod, login), kAnswerTimeout,
            Backoff{milliseconds(200), seconds(5)}, now),
      silent_since_(now) {}

void PodProbe::hurry(MonotonicTime now) {
  ask_at_ = now;
  retry_now(now);
}

std::optional<std::string> PodProbe::question(MonotonicTime now) {
  if (version_.empty() && asked_ != Asked::kVersion) {
    asked_ = Asked::kVersion;
    return std::string(console::kShowVersion);
  }
  if (now < ask_at_) return std::nullopt;
  asked_ = Asked::kConfig;
  ask_at_ = now + kUnknownEvery;
  return std::string(console::kShowConfig);
}

void PodProbe::answered(const Answer& answer, const pg::Session&, MonotonicTime now) {
  failures_ = 0;
  silent_since_ = now;
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
  state_.outcome = Outcome::kOk;
  state_.message.clear();
  state_.login_refused = false;
  state_.version = version_;
  state_.revision = console::read_marker(rows).value_or("");
  ask_at_ = now + (state_.revision.empty() ? kUnknownEvery : kKnownEvery);
}

void PodProbe::failed(const pg::Error& error, bool had_answered, MonotonicTime now) {
  if (had_answered) silent_since_ = now;
  asked_ = Asked::kNothing;
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
