// One thing that the live loop asks again and again: a session that is opened when it is due, asked
// question after question, and opened anew after a loss, with backoff. At most one session of a
// probe exists at any time. What is asked and what the answers mean is up to the kinds of probes.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "pg/session.h"

namespace pooler::live {

using Answer = Result<pg::Rows, pg::Error>;

// `first`, then twice as long each time up to `most`; a session that lasted that long ends the row.
class Backoff {
 public:
  Backoff(Duration first, Duration most) : first_(first), most_(most), next_(first) {}

  Duration next() { return std::exchange(next_, std::min(2 * next_, most_)); }
  void reset() { next_ = first_; }
  [[nodiscard]] Duration most() const { return most_; }

 private:
  Duration first_;
  Duration most_;
  Duration next_;
};

class Probe {
 public:
  // No session is opened before `not_before`.
  Probe(pg::SessionFactory& sessions, pg::Target target, Duration answer_timeout, Backoff backoff,
        MonotonicTime not_before);
  virtual ~Probe() = default;
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  // What the loop waits for, as with pg::Session; all of them change only in advance() and in
  // calls that say so.
  [[nodiscard]] int fd() const { return session_ ? session_->fd() : -1; }
  [[nodiscard]] pg::Wants wants() const { return session_ ? session_->wants() : pg::Wants{}; }
  [[nodiscard]] MonotonicTime due() const;
  void advance(MonotonicTime now);

  // When it last had a session, the present one included; nullopt: never.
  [[nodiscard]] std::optional<MonotonicTime> last_open(MonotonicTime now) const;

 protected:
  // When the next session may be opened; later than `now`: it is asked again then.
  virtual MonotonicTime may_open(MonotonicTime now) { return now; }
  // What to ask now; nullopt: nothing before next_question(). Called on an idle session.
  virtual std::optional<std::string> question(MonotonicTime now) = 0;
  [[nodiscard]] virtual MonotonicTime next_question() const = 0;
  virtual void answered(const Answer& answer, const pg::Session& session, MonotonicTime now) = 0;
  // The session is gone. `had_answered`: it was a good one, something was answered on it.
  virtual void failed(const pg::Error& error, bool had_answered, MonotonicTime now) = 0;

  // From answered(): the session is closed, and the next one opened at `time`.
  void leave_until(MonotonicTime time) {
    leaving_ = true;
    open_at_ = time;
  }
  // From answered(): this was all; the session is closed and none is opened again.
  void finish() { leave_until(MonotonicTime::max()); }
  // Opens the next session at once, where there is none, and forgets past failures.
  void retry_now(MonotonicTime now);
  // Opens no session before `time`.
  void hold_until(MonotonicTime time) { open_at_ = std::max(open_at_, time); }

 private:
  void open(MonotonicTime now);
  void close(MonotonicTime now);
  void lose(MonotonicTime now);

  pg::SessionFactory& sessions_;
  const pg::Target target_;
  const Duration answer_timeout_;
  Backoff backoff_;
  MonotonicTime open_at_;
  std::unique_ptr<pg::Session> session_;
  bool had_answered_ = false;
  bool leaving_ = false;
  MonotonicTime opened_at_;
  std::optional<MonotonicTime> closed_at_;
};

}  // namespace pooler::live
