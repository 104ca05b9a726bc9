#include "live/probe.h"

#include <utility>

namespace pooler::live {

Probe::Probe(pg::SessionFactory& sessions, pg::Target target, Duration answer_timeout,
             Backoff backoff, MonotonicTime not_before)
    : sessions_(sessions),
      target_(std::move(target)),
      answer_timeout_(answer_timeout),
      backoff_(backoff),
      open_at_(not_before) {}

MonotonicTime Probe::due() const {
  if (!session_) return open_at_;
  if (session_->state() == pg::Session::State::kIdle) {
    return std::min(session_->deadline(), next_question());
  }
  return session_->deadline();
}

void Probe::advance(MonotonicTime now) {
  using State = pg::Session::State;
  if (!session_ && now < open_at_) return;
  if (!session_) {
    const MonotonicTime allowed = may_open(now);
    if (allowed > now) {
      open_at_ = allowed;
      return;
    }
    open(now);
  }
  session_->advance(now);
  while (session_->state() == State::kIdle) {
    if (const auto answer = session_->take()) {
      had_answered_ = true;
      answered(*answer, *session_, now);
      if (std::exchange(leaving_, false)) return close(now);
    }
    const auto text = question(now);
    if (!text) return;
    session_->query(*text, now + answer_timeout_);
    session_->advance(now);
  }
  if (session_->state() == State::kFailed) lose(now);
}

void Probe::open(MonotonicTime now) {
  session_ = sessions_.connect(target_, now);
  opened_at_ = now;
}

void Probe::close(MonotonicTime now) {
  session_.reset();
  had_answered_ = false;
  closed_at_ = now;
}

void Probe::lose(MonotonicTime now) {
  const pg::Error error = session_->error();
  const bool had_answered = had_answered_;
  close(now);
  if (had_answered && now - opened_at_ >= backoff_.most()) backoff_.reset();
  open_at_ = now + backoff_.next();
  failed(error, had_answered, now);
}

void Probe::retry_now(MonotonicTime now) {
  backoff_.reset();
  if (!session_) open_at_ = std::min(open_at_, now);
}

std::optional<MonotonicTime> Probe::last_open(MonotonicTime now) const {
  return session_ ? now : closed_at_;
}

}  // namespace pooler::live
