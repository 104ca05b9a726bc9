// Sessions in memory: a FakeServer is a SessionFactory whose sessions all end at its script. They
// need no descriptor: whatever there is to do is due at once.
#pragma once

#include <cassert>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "unit/pg/script.h"

namespace pooler::pg::testing {

class FakeSession final : public Session {
 public:
  FakeSession(std::shared_ptr<Script> script, Target target, MonotonicTime now)
      : script_(std::move(script)), target_(std::move(target)), connect_by_(now + target_.timeout) {
    peer_ = target_.endpoints.front();
    if (peer_.address.empty()) peer_.address = "192.0.2.1";
    epoch_ = script_->epoch();
    Params startup = target_.params;
    startup["database"] = startup["dbname"];
    script_->saw_startup(std::move(startup));
  }
  ~FakeSession() override { close(); }

  State state() const override { return state_; }
  int fd() const override { return -1; }
  Wants wants() const override { return {}; }
  const Error& error() const override { return error_; }
  const Endpoint& peer() const override { return peer_; }
  const std::string& peer_certificate() const override { return certificate_; }

  MonotonicTime deadline() const override {
    constexpr MonotonicTime kAtOnce{};
    switch (state_) {
      case State::kConnecting:
        return script_->ignoring_logins() ? connect_by_ : kAtOnce;
      case State::kBusy:
        return script_->ignoring_queries() ? answer_by_ : kAtOnce;
      case State::kIdle:
        return script_->epoch() == epoch_ ? MonotonicTime::max() : kAtOnce;
      default:
        return MonotonicTime::max();
    }
  }

  void advance(MonotonicTime now) override {
    if (state_ == State::kConnecting) return log_in(now);
    if (state_ == State::kFailed) return;
    if (script_->epoch() != epoch_) {
      const Refusal farewell = script_->farewell();
      return fail(Error::Kind::kServer, Error::Phase::kSession, farewell);
    }
    if (state_ == State::kBusy) answer(now);
  }

  void query(std::string_view text, MonotonicTime deadline) override {
    assert(state_ == State::kIdle);
    state_ = State::kBusy;
    text_ = text;
    answer_by_ = deadline;
    answer_.reset();
  }

  std::optional<Result<Rows, Error>> take() override {
    return std::exchange(answer_, std::nullopt);
  }

 private:
  void log_in(MonotonicTime now) {
    if (script_->refusing()) {
      return fail(Error::Kind::kRefused, Error::Phase::kConnect, {"", "Connection refused"});
    }
    if (!open_) script_->opened();
    open_ = true;
    if (script_->ignoring_logins()) {
      if (now >= connect_by_) {
        fail(Error::Kind::kTimeout, Error::Phase::kLogin, {"", "no answer in time"});
      }
      return;
    }
    if (const auto refusal = script_->refusal()) {
      return fail(Error::Kind::kServer, Error::Phase::kLogin, *refusal);
    }
    certificate_ = script_->certificate();
    state_ = State::kIdle;
  }

  void answer(MonotonicTime now) {
    if (script_->ignoring_queries()) {
      if (now >= answer_by_) {
        fail(Error::Kind::kTimeout, Error::Phase::kSession, {"", "no answer to a query in time"});
      }
      return;
    }
    const Reply reply = script_->reply(text_);
    if (reply.ok()) {
      answer_.emplace(reply.value());
    } else {
      answer_.emplace(
          failure(make_error(Error::Kind::kServer, Error::Phase::kSession, reply.error())));
    }
    state_ = State::kIdle;
  }

  Error make_error(Error::Kind kind, Error::Phase phase, const Refusal& refusal) const {
    Error error;
    error.kind = kind;
    error.phase = phase;
    error.sqlstate = refusal.sqlstate;
    error.message = refusal.message;
    error.where = peer_;
    return error;
  }

  void fail(Error::Kind kind, Error::Phase phase, const Refusal& refusal) {
    error_ = make_error(kind, phase, refusal);
    if (state_ == State::kBusy) answer_.emplace(failure(error_));
    state_ = State::kFailed;
    close();
  }

  void close() {
    if (open_) script_->closed();
    open_ = false;
  }

  std::shared_ptr<Script> script_;
  const Target target_;
  const MonotonicTime connect_by_;
  Endpoint peer_;
  std::string certificate_;
  State state_ = State::kConnecting;
  bool open_ = false;
  int epoch_ = 0;
  std::string text_;
  MonotonicTime answer_by_;
  std::optional<Result<Rows, Error>> answer_;
  Error error_;
};

class FakeServer final : public SessionFactory {
 public:
  std::unique_ptr<Session> connect(Target target, MonotonicTime now) override {
    return std::make_unique<FakeSession>(script_of(target), std::move(target), now);
  }

  Script& script() { return *script_; }
  // A server of its own for one host or address and port.
  Script& script_at(const std::string& host, int port) {
    auto& script = scripts_[{host, port}];
    if (!script) script = std::make_shared<Script>();
    return *script;
  }

 private:
  std::shared_ptr<Script> script_of(const Target& target) {
    const Endpoint& end = target.endpoints.front();
    const auto found = scripts_.find({end.address.empty() ? end.host : end.address, end.port});
    return found == scripts_.end() ? script_ : found->second;
  }

  std::shared_ptr<Script> script_ = std::make_shared<Script>();
  std::map<std::pair<std::string, int>, std::shared_ptr<Script>> scripts_;
};

}  // namespace pooler::pg::testing
