// The operator's one connection to the database of a PoolerConfig: does a login work, what are the
// limits, and can it be written? The connection is counted in the budget, so there are never two.
// Only a new login tells where the name leads now, so none lasts long: kSessionLasts, and
// kUnsettledLasts for kUnsettledFor after a change. A login with SCRAM costs libpq 13 ms of CPU:
// most of what an operator at rest uses.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "live/probe.h"
#include "live/refusals.h"
#include "live/state.h"

namespace pooler::live {

// One row, all as text; NULL where a limit is unknown. `session_user`, because connections are
// counted for the role that logged in.
inline constexpr std::string_view kServerQuery =
    "SELECT pg_catalog.host(pg_catalog.inet_server_addr()) AS address,"
    " pg_catalog.inet_server_port() AS port,"
    " pg_catalog.current_setting('server_version_num') AS version_num,"
    " pg_catalog.current_setting('max_connections') AS max_connections,"
    " pg_catalog.current_setting('superuser_reserved_connections') AS superuser_reserved,"
    " pg_catalog.current_setting('reserved_connections', true) AS reserved,"
    " (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = session_user) AS role_limit,"
    " (SELECT datconnlimit FROM pg_catalog.pg_database"
    " WHERE datname = pg_catalog.current_database()) AS database_limit,"
    " pg_catalog.pg_is_in_recovery() AS in_recovery,"
    " pg_catalog.current_setting('transaction_read_only') AS read_only";
inline constexpr std::string_view kAliveQuery =
    "SELECT pg_catalog.current_setting('transaction_read_only') AS read_only";

// `peer`: stands in for the server's address where it doesn't know one (a Unix socket behind some
// proxy). nullopt: the answer is not one to kServerQuery.
[[nodiscard]] std::optional<Server> read_server(const pg::Rows& rows, const pg::Endpoint& peer);

class DatabaseProbe final : public Probe {
 public:
  // `not_before`: a login of the same PoolerConfig that was closed a moment ago still counts at the
  // server. `sessions` and `refusals` outlive it.
  DatabaseProbe(pg::SessionFactory& sessions, Refusals& refusals, const DatabaseTarget& target,
                MonotonicTime not_before);

  [[nodiscard]] const DatabaseState& state() const { return state_; }

  // How long the server may still count a connection that was closed.
  static constexpr Duration kCooling = std::chrono::seconds(1);
  static constexpr Duration kAliveEvery = std::chrono::seconds(5);
  static constexpr Duration kSessionLasts = std::chrono::seconds(60);
  static constexpr Duration kUnsettledLasts = std::chrono::seconds(5);
  static constexpr Duration kUnsettledFor = std::chrono::seconds(60);
  // A server that was seen in this time and is seen again, with nothing wrong in between, is one of
  // several behind a load balancer: no move.
  static constexpr Duration kRemembered = std::chrono::minutes(10);

 protected:
  MonotonicTime may_open(MonotonicTime now) override;
  std::optional<std::string> question(MonotonicTime now) override;
  [[nodiscard]] MonotonicTime next_question() const override { return ask_at_; }
  void answered(const Answer& answer, const pg::Session& session, MonotonicTime now) override;
  void failed(const pg::Error& error, bool had_answered, MonotonicTime now) override;

 private:
  void fail(const pg::Error& error);
  // False: the answer is none.
  bool take_server(const pg::Rows& rows, const pg::Endpoint& peer, MonotonicTime now);
  bool take_alive(const pg::Rows& rows, MonotonicTime now);
  void compare(const Server& seen, MonotonicTime now);
  void moved(std::string how, MonotonicTime now);
  void leave_when_old(MonotonicTime now);

  const urls::Connection connection_;
  PasswordRule password_;
  bool refused_before_;
  DatabaseState state_;
  MonotonicTime ask_at_;       // the next question
  bool fresh_ = true;          // ... is the session's first: the whole kServerQuery
  bool asked_server_ = false;  // the last one was
  MonotonicTime session_since_;
  MonotonicTime unsettled_until_;
  bool lost_ = false;                          // a session or a login, since the last answer
  std::map<std::string, MonotonicTime> seen_;  // identities, and when last
};

}  // namespace pooler::live
