// A world for probes: servers in memory and a clock that only the test moves.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "live/database_probe.h"
#include "live/probe.h"
#include "live/refusals.h"
#include "unit/pg/fake_session.h"

namespace pooler::live::testing {

using pg::testing::FakeServer;
using pg::testing::one_cell;
using pg::testing::Refusal;
using pg::testing::Script;

inline pg::Rows server_rows(const std::string& address = "10.0.0.7") {
  return {{"address", "port", "version_num", "max_connections", "superuser_reserved", "reserved",
           "role_limit", "database_limit", "in_recovery", "read_only"},
          {{address, "5432", "170004", "60", "3", "2", "-1", "-1", "f", "off"}}};
}

inline pg::Rows config_rows(const std::string& marker, const std::string& wait = "30") {
  return {{"key", "value", "default", "changeable"},
          {{"listen_port", "6432", "6432", "no"},
           {"query_wait_timeout", wait, "120", "yes"},
           {"syslog_ident", marker, "pgbouncer", "yes"}}};
}

inline pg::Rows state_rows(bool paused) {
  return {{"key", "value"}, {{"active", paused ? "no" : "yes"}, {"paused", paused ? "yes" : "no"}}};
}

// Server connections of the one database.
inline pg::Rows connection_rows(int count) {
  return {{"name", "current_connections"}, {{"orders", std::to_string(count)}, {"pgbouncer", "0"}}};
}

// Lets `script` answer as Postgres 17 does.
inline void be_postgres(Script& script) {
  script.on_query(std::string(kServerQuery), server_rows());
  script.on_query(std::string(kAliveQuery), one_cell("read_only", "off"));
  script.on_query("SELECT 1", one_cell("?column?", "1"));  // of the verification
}

// Lets `script` answer as a PgBouncer that has loaded `marker`.
inline void be_console(Script& script, const std::string& marker) {
  script.on_query("SHOW VERSION", one_cell("version", "PgBouncer 1.26.1"));
  script.on_query("SHOW CONFIG", config_rows(marker));
  script.on_query("SHOW STATE", state_rows(false));
}

inline urls::Connection orders() {
  urls::Connection connection;
  connection.hosts = {{"db.test", 5432}};
  connection.database = "orders";
  connection.user = "app";
  connection.password = "s3cret";
  return connection;
}

inline PodTarget pod(const std::string& uid, const std::string& address) {
  return {uid, "orders-pooler-" + uid, address, 6432};
}

class World {
 public:
  FakeServer server;
  Refusals refusals;

  [[nodiscard]] MonotonicTime now() const { return clock_.monotonic(); }

  // Moves the time to `by` from now and lets the probes do all that is due on the way.
  void run(const std::vector<Probe*>& probes, Duration by) {
    const MonotonicTime end = now() + by;
    for (Probe* probe : probes) probe->advance(now());
    while (true) {
      MonotonicTime next = MonotonicTime::max();
      for (const Probe* probe : probes) next = std::min(next, probe->due());
      if (next > end) break;
      clock_.advance(std::max(next - now(), Duration::zero()));
      for (Probe* probe : probes) {
        if (probe->due() <= now()) probe->advance(now());
      }
      ASSERT_LT(++turns_, 1'000'000) << "a probe is due again and again";
    }
    clock_.advance(end - now());
  }
  void run(Probe& probe, Duration by) { run({&probe}, by); }

 private:
  ManualClock clock_;
  int turns_ = 0;
};

}  // namespace pooler::live::testing
