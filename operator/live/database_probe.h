// The operator's one connection to the database of a PoolerConfig: does a login work, and what are
// the limits? The connection is counted in the budget, so there are never two.
#pragma once

#include <string_view>

#include "live/probe.h"
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
    " pg_catalog.pg_is_in_recovery() AS in_recovery";
inline constexpr std::string_view kAliveQuery = "SELECT 1";

// `peer`: stands in for the server's address where it doesn't know one (a Unix socket behind some
// proxy). nullopt: the answer is not one to kServerQuery.
[[nodiscard]] std::optional<Server> read_server(const pg::Rows& rows, const pg::Endpoint& peer);

class DatabaseProbe final : public Probe {
 public:
  // `not_before`: a login of the same PoolerConfig that was closed a moment ago still counts at the
  // server.
  DatabaseProbe(pg::SessionFactory& sessions, const DatabaseTarget& target,
                MonotonicTime not_before);

  [[nodiscard]] const DatabaseState& state() const { return state_; }

  // How long the server may still count a connection that was closed.
  static constexpr Duration kCooling = std::chrono::seconds(1);

 protected:
  std::optional<std::string> question(MonotonicTime now) override;
  [[nodiscard]] MonotonicTime next_question() const override { return ask_at_; }
  void answered(const Answer& answer, const pg::Session& session, MonotonicTime now) override;
  void failed(const pg::Error& error, bool had_answered, MonotonicTime now) override;

 private:
  void fail(const pg::Error& error);

  const urls::Connection connection_;
  DatabaseState state_;
  MonotonicTime ask_at_;     // the next question
  MonotonicTime limits_at_;  // ... is for the limits from here on
  bool asked_limits_ = false;
};

}  // namespace pooler::live
