// A Postgres-like server as a script: what it does with logins and queries, and what it has seen.
// Two servers follow it: FakeServer (fake_session.h, in memory, for tests that own the time) and
// WireServer (wire_server.h, the real protocol on a loopback port, for the real session). The
// contract tests hold both to the same behaviour.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "pg/session.h"

namespace pooler::pg::testing {

struct Refusal {
  std::string sqlstate;
  std::string message;
};

using Reply = Result<Rows, Refusal>;

inline Rows one_cell(const std::string& column, const std::string& value) {
  return Rows{{column}, {{value}}};
}

// Every member may be called from any thread.
class Script {
 public:
  // --- what it does -------------------------------------------------------------------------
  void refuse_connections(bool refuse) {
    with([&] { refusing_ = refuse; });
  }
  void refuse_logins(std::optional<Refusal> refusal) {
    with([&] { refusal_ = std::move(refusal); });
  }
  void ignore_logins(bool ignore) {
    with([&] { ignoring_logins_ = ignore; });
  }
  void ignore_queries(bool ignore) {
    with([&] { ignoring_queries_ = ignore; });
  }
  void on_query(const std::string& text, Reply reply) {
    with([&] { replies_.insert_or_assign(text, std::move(reply)); });
  }
  // Fingerprint of what it shows to sessions from now on (in memory only); empty: no encryption.
  void show_certificate(std::string fingerprint) {
    with([&] { certificate_ = std::move(fingerprint); });
  }
  // Ends the sessions that are open now.
  void drop_sessions(Refusal farewell) {
    with([&] {
      farewell_ = std::move(farewell);
      ++epoch_;
    });
  }

  // --- what it has seen ---------------------------------------------------------------------
  int open() const {
    return with([&] { return open_; });
  }
  int most_open() const {
    return with([&] { return most_open_; });
  }
  int connects() const {
    return with([&] { return connects_; });
  }
  std::vector<std::string> queries() const {
    return with([&] { return queries_; });
  }
  Params startup() const {
    return with([&] { return startup_; });
  }

  // --- for the two servers ------------------------------------------------------------------
  bool refusing() const {
    return with([&] { return refusing_; });
  }
  bool ignoring_logins() const {
    return with([&] { return ignoring_logins_; });
  }
  bool ignoring_queries() const {
    return with([&] { return ignoring_queries_; });
  }
  std::optional<Refusal> refusal() const {
    return with([&] { return refusal_; });
  }
  std::string certificate() const {
    return with([&] { return certificate_; });
  }
  Refusal farewell() const {
    return with([&] { return farewell_; });
  }
  int epoch() const {
    return with([&] { return epoch_; });
  }
  Reply reply(const std::string& text) {
    return with([&]() -> Reply {
      queries_.push_back(text);
      const auto found = replies_.find(text);
      if (found != replies_.end()) return found->second;
      return failure(Refusal{"42601", "syntax error: the script knows no such query"});
    });
  }
  void opened() {
    with([&] {
      ++connects_;
      most_open_ = std::max(most_open_, ++open_);
    });
  }
  void closed() {
    with([&] { --open_; });
  }
  void saw_startup(Params params) {
    with([&] { startup_ = std::move(params); });
  }

 private:
  template <class F>
  std::invoke_result_t<F> with(F&& body) const {
    std::lock_guard held(mutex_);
    return body();
  }

  mutable std::mutex mutex_;
  bool refusing_ = false;
  bool ignoring_logins_ = false;
  bool ignoring_queries_ = false;
  std::optional<Refusal> refusal_;
  std::string certificate_;
  std::map<std::string, Reply> replies_;
  Refusal farewell_;
  int epoch_ = 0;
  int open_ = 0;
  int most_open_ = 0;
  int connects_ = 0;
  std::vector<std::string> queries_;
  Params startup_;
};

}  // namespace pooler::pg::testing
