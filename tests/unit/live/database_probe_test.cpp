#include "live/database_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/live/world.h"

namespace pooler::live::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

class DatabaseProbeTest : public ::testing::Test {
 protected:
  DatabaseProbeTest() { be_postgres(script()); }
  Script& script() { return world_.server.script(); }
  void run(Duration by) { world_.run(probe_, by); }
  [[nodiscard]] int asked(std::string_view text) {
    const auto queries = script().queries();
    return static_cast<int>(std::count(queries.begin(), queries.end(), text));
  }

  World world_;
  DatabaseProbe probe_{world_.server, world_.refusals, {orders(), "t1"}, world_.now()};
};

TEST_F(DatabaseProbeTest, IsUnknownAtFirst) {
  EXPECT_EQ(probe_.state().outcome, Outcome::kUnknown);
  EXPECT_EQ(probe_.state().token, "t1");
  EXPECT_EQ(probe_.state().server, std::nullopt);
}

TEST_F(DatabaseProbeTest, ReadsTheServer) {
  run(seconds(1));
  const DatabaseState& state = probe_.state();
  EXPECT_EQ(state.outcome, Outcome::kOk);
  EXPECT_EQ(state.reason, "");
  ASSERT_TRUE(state.server.has_value());
  EXPECT_EQ(state.server->identity, "10.0.0.7:5432");
  EXPECT_EQ(state.server->version_num, 170004);
  EXPECT_EQ(state.server->max_connections, 60);
  EXPECT_EQ(state.server->superuser_reserved_connections, 3);
  EXPECT_EQ(state.server->reserved_connections, 2);
  EXPECT_EQ(state.server->role_limit, std::nullopt);
  EXPECT_EQ(state.server->database_limit, std::nullopt);
  EXPECT_FALSE(state.server->in_recovery);
}

// Each session lasts 60 s, and the next begins a second after its end.
TEST_F(DatabaseProbeTest, OneSessionAtATimeForAnHour) {
  run(minutes(60));
  EXPECT_NEAR(script().connects(), 59, 1);
  EXPECT_EQ(asked(kServerQuery), script().connects());
  EXPECT_NEAR(asked(kAliveQuery), 12 * script().connects(), 12);
  EXPECT_EQ(script().most_open(), 1);
  EXPECT_EQ(probe_.state().moves, 0);
}

TEST_F(DatabaseProbeTest, ANameThatLeadsToAnotherServerIsAMove) {
  run(seconds(1));
  script().on_query(std::string(kServerQuery), server_rows("10.0.0.8"));
  run(seconds(62));
  EXPECT_EQ(probe_.state().moves, 1);
  EXPECT_EQ(probe_.state().last_move, "10.0.0.7:5432 -> 10.0.0.8:5432");
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
}

TEST_F(DatabaseProbeTest, SeveralServersBehindOneNameAreNoMovesForLong) {
  for (int i = 0; i < 40; ++i) {
    script().on_query(std::string(kServerQuery), server_rows(i % 2 == 0 ? "10.0.0.7" : "10.0.0.8"));
    run(seconds(61));
  }
  EXPECT_EQ(probe_.state().moves, 1) << "the second one was new once";
}

TEST_F(DatabaseProbeTest, ThereAndBackAfterALossAreTwoMoves) {
  for (const char* address : {"10.0.0.7", "10.0.0.8", "10.0.0.7"}) {
    script().on_query(std::string(kServerQuery), server_rows(address));
    script().drop_sessions({"57P01", "terminating connection due to administrator command"});
    run(seconds(2));
  }
  EXPECT_EQ(probe_.state().moves, 2);
}

TEST_F(DatabaseProbeTest, ARestartOfTheSameServerIsNone) {
  run(seconds(1));
  script().drop_sessions({"57P01", "terminating connection due to administrator command"});
  run(seconds(60));
  EXPECT_EQ(probe_.state().moves, 0);
}

TEST_F(DatabaseProbeTest, AServerThatTurnsReadOnlyIsLeftForTheOneThatFollows) {
  run(seconds(1));
  script().on_query(std::string(kAliveQuery), one_cell("read_only", "on"));
  pg::Rows standby = server_rows();
  standby.cells[0][8] = "t";
  standby.cells[0][9] = "on";
  script().on_query(std::string(kServerQuery), standby);
  run(seconds(5));
  EXPECT_EQ(probe_.state().last_move, "10.0.0.7:5432 is read-only now");
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
  EXPECT_TRUE(probe_.state().server->read_only);
  run(seconds(2));
  EXPECT_TRUE(probe_.state().server->in_recovery) << "the next login tells more";
  script().on_query(std::string(kServerQuery), server_rows("10.0.0.8"));
  script().on_query(std::string(kAliveQuery), one_cell("read_only", "off"));
  run(seconds(11));
  EXPECT_EQ(probe_.state().last_move, "10.0.0.7:5432 -> 10.0.0.8:5432");
  EXPECT_FALSE(probe_.state().server->read_only);
  EXPECT_EQ(script().most_open(), 1);
  const int connects = script().connects();
  run(minutes(10));
  EXPECT_LE(script().connects() - connects, 12 + 20) << "it calms down after a minute";
}

TEST_F(DatabaseProbeTest, LimitsAreFollowed) {
  run(seconds(1));
  pg::Rows rows = server_rows();
  rows.cells[0][3] = "200";
  script().on_query(std::string(kServerQuery), rows);
  run(seconds(70));
  EXPECT_EQ(probe_.state().server->max_connections, 200);
}

TEST_F(DatabaseProbeTest, ALossIsNoNewsWhileTheNextLoginWorks) {
  run(seconds(1));
  const DatabaseState before = probe_.state();
  script().drop_sessions({"57P01", "terminating connection due to administrator command"});
  probe_.advance(world_.now());
  EXPECT_EQ(probe_.state(), before);
  run(seconds(1));
  EXPECT_EQ(probe_.state(), before);
  EXPECT_EQ(script().connects(), 2);
  EXPECT_EQ(script().most_open(), 1);
}

TEST_F(DatabaseProbeTest, KeepsTheServerWhileTheDatabaseIsDown) {
  run(seconds(1));
  const auto server = probe_.state().server;
  script().refuse_logins(Refusal{"57P03", "the database system is shutting down"});
  script().drop_sessions({"57P01", "terminating connection due to administrator command"});
  run(seconds(30));
  EXPECT_EQ(probe_.state().outcome, Outcome::kFailed);
  EXPECT_EQ(probe_.state().server, server);
  script().refuse_logins(std::nullopt);
  run(seconds(10));
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
  EXPECT_EQ(probe_.state().message, "");
  EXPECT_EQ(script().most_open(), 1);
}

TEST_F(DatabaseProbeTest, NeverAStormOfLogins) {
  script().refuse_logins(Refusal{"53300", "sorry, too many clients already"});
  run(minutes(10));
  EXPECT_LE(script().connects(), 66);
  EXPECT_GE(script().connects(), 55);
  EXPECT_EQ(script().most_open(), 1);
}

TEST_F(DatabaseProbeTest, NoStormWhereLoginsWorkAndSessionsDoNotLast) {
  for (int i = 0; i < 600; ++i) {
    script().drop_sessions({"57P01", "terminating connection due to administrator command"});
    run(seconds(1));
  }
  EXPECT_LE(script().connects(), 70);
}

TEST_F(DatabaseProbeTest, AServerThatHangs) {
  run(seconds(1));
  script().ignore_queries(true);
  script().ignore_logins(true);
  run(seconds(40));
  EXPECT_EQ(probe_.state().outcome, Outcome::kFailed);
  EXPECT_EQ(probe_.state().reason, "OperatorCannotReachDatabase");
  EXPECT_EQ(script().most_open(), 1);
  script().ignore_queries(false);
  script().ignore_logins(false);
  run(seconds(16));
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
}

TEST_F(DatabaseProbeTest, NotBeforeItsTime) {
  DatabaseProbe later(world_.server, world_.refusals, {orders(), "t2"}, world_.now() + seconds(1));
  world_.run(later, milliseconds(999));
  EXPECT_EQ(script().connects(), 0);
  world_.run(later, milliseconds(1));
  EXPECT_EQ(script().connects(), 1);
}

TEST_F(DatabaseProbeTest, AnAnswerOfAnotherKind) {
  script().on_query(std::string(kServerQuery), one_cell("n", "1"));
  run(seconds(1));
  EXPECT_EQ(probe_.state().outcome, Outcome::kFailed);
  EXPECT_EQ(probe_.state().server, std::nullopt);
  be_postgres(script());
  run(seconds(10));
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
  EXPECT_EQ(script().connects(), 1);
}

TEST(ReadServer, LimitsOfRoleAndDatabase) {
  pg::Rows rows = server_rows();
  rows.cells[0][6] = "7";
  rows.cells[0][7] = "0";
  const auto server = read_server(rows, {});
  ASSERT_TRUE(server.has_value());
  EXPECT_EQ(server->role_limit, 7);
  EXPECT_EQ(server->database_limit, 0);
}

TEST(ReadServer, BeforePostgres16) {
  pg::Rows rows = server_rows();
  rows.cells[0][5] = std::nullopt;
  EXPECT_EQ(read_server(rows, {})->reserved_connections, 0);
}

TEST(ReadServer, AServerThatDoesNotKnowItsAddress) {
  pg::Rows rows = server_rows();
  rows.cells[0][0] = std::nullopt;
  rows.cells[0][1] = std::nullopt;
  EXPECT_EQ(read_server(rows, {"db.test", "10.1.2.3", 6543})->identity, "10.1.2.3:6543");
  EXPECT_EQ(read_server(rows, {"db.test", "::1", 6543})->identity, "[::1]:6543");
}

TEST(ReadServer, UnknownIsNeverZero) {
  for (const std::size_t column : {2u, 3u, 4u, 8u, 9u}) {
    pg::Rows rows = server_rows();
    rows.cells[0][column] = std::nullopt;
    EXPECT_EQ(read_server(rows, {}), std::nullopt) << column;
  }
  for (const std::size_t column : {2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u}) {
    pg::Rows rows = server_rows();
    rows.cells[0][column] = "many";
    EXPECT_EQ(read_server(rows, {}), std::nullopt) << column;
  }
  EXPECT_EQ(read_server({}, {}), std::nullopt);
}

TEST(ReadServer, NoLimitIsNoNumber) {
  pg::Rows rows = server_rows();
  rows.cells[0][6] = "-1";
  rows.cells[0][7] = "-2";  // of a database that is half dropped
  const auto server = read_server(rows, {});
  ASSERT_TRUE(server.has_value());
  EXPECT_EQ(server->role_limit, std::nullopt);
  EXPECT_EQ(server->database_limit, std::nullopt);
}

struct Case {
  const char* sqlstate;
  const char* message;
  const char* reason;
};

class DatabaseRefusals : public ::testing::TestWithParam<Case> {};

TEST_P(DatabaseRefusals, AreClassifiedByTheServersWord) {
  World world;
  world.server.script().refuse_logins(Refusal{GetParam().sqlstate, GetParam().message});
  DatabaseProbe probe(world.server, world.refusals, {orders(), "t1"}, world.now());
  world.run(probe, seconds(1));
  EXPECT_EQ(probe.state().outcome, Outcome::kFailed);
  EXPECT_EQ(probe.state().reason, GetParam().reason);
  EXPECT_THAT(probe.state().message, HasSubstr("db.test:5432"));
  EXPECT_THAT(probe.state().message, HasSubstr(GetParam().message));
  EXPECT_THAT(probe.state().message, Not(HasSubstr("s3cret")));
}

INSTANTIATE_TEST_SUITE_P(
    All, DatabaseRefusals,
    ::testing::Values(
        Case{"28P01", "password authentication failed for user \"app\"", "AuthenticationFailed"},
        Case{"28000", "no pg_hba.conf entry for host \"10.0.0.1\"", "AuthenticationFailed"},
        Case{"42501", "permission denied for database \"orders\"", "AuthenticationFailed"},
        Case{"3D000", "database \"orders\" does not exist", "DatabaseNotFound"},
        Case{"53300", "too many connections for role \"app\"", "TooManyConnections"},
        Case{"57P03", "the database system is starting up", "ConnectionRefused"},
        Case{"XX000", "something else", "OperatorCannotReachDatabase"}));

// ---- a provider that bans who tries wrong passwords

class RefusalPause : public ::testing::Test {
 protected:
  RefusalPause() { be_postgres(script()); }
  Script& script() { return world_.server.script(); }
  static DatabaseTarget target(bool refused_before = false) {
    return {orders(), "t1", minutes(30), refused_before};
  }

  World world_;
};

TEST_F(RefusalPause, AWrongPasswordIsTriedTwiceAnHour) {
  script().refuse_logins(Refusal{"28P01", "password authentication failed for user \"app\""});
  DatabaseProbe probe(world_.server, world_.refusals, target(), world_.now());
  world_.run(probe, minutes(29));
  EXPECT_EQ(script().connects(), 1);
  EXPECT_EQ(probe.state().reason, "AuthenticationFailed");
  world_.run(probe, minutes(32));
  EXPECT_EQ(script().connects(), 3);
  EXPECT_TRUE(probe.state().refused);
  script().refuse_logins(std::nullopt);
  world_.run(probe, minutes(30));
  EXPECT_EQ(probe.state().outcome, Outcome::kOk);
}

TEST_F(RefusalPause, WhatThePoolerOfSupabaseSaysOfABanCountsToo) {
  script().refuse_logins(
      Refusal{"XX000",
              "(ECIRCUITBREAKER) too many authentication failures, new connections are "
              "temporarily blocked"});
  DatabaseProbe probe(world_.server, world_.refusals, target(), world_.now());
  world_.run(probe, minutes(29));
  EXPECT_EQ(script().connects(), 1);
  EXPECT_EQ(probe.state().reason, "AuthenticationFailed");
}

TEST_F(RefusalPause, OtherFailuresAreTriedAgainAsAlways) {
  script().refuse_logins(Refusal{"57P03", "the database system is starting up"});
  DatabaseProbe probe(world_.server, world_.refusals, target(), world_.now());
  world_.run(probe, minutes(1));
  EXPECT_GT(script().connects(), 5);
  EXPECT_FALSE(probe.state().refused);
}

// Waiting does not mend it, nothing bans for it, and the user is at work on something else.
TEST_F(RefusalPause, ARefusalForAnotherReasonThanThePasswordIsTriedAgainAsAlways) {
  for (const char* sqlstate : {"28000", "42501"}) {
    script().refuse_logins(Refusal{sqlstate, "no pg_hba.conf entry, no encryption"});
    DatabaseProbe probe(world_.server, world_.refusals, target(), world_.now());
    const int before = script().connects();
    world_.run(probe, minutes(1));
    EXPECT_GT(script().connects(), before + 5) << sqlstate;
    EXPECT_FALSE(probe.state().refused) << sqlstate;
    script().refuse_logins(std::nullopt);
    world_.run(probe, minutes(1));
    EXPECT_EQ(probe.state().outcome, Outcome::kOk) << sqlstate;
  }
}

TEST_F(RefusalPause, WhatAnEarlierOperatorWasRefusedIsNotTriedAtItsStart) {
  DatabaseProbe probe(world_.server, world_.refusals, target(true), world_.now());
  world_.run(probe, minutes(29));
  EXPECT_EQ(script().connects(), 0);
  EXPECT_EQ(probe.state().reason, "AuthenticationFailed");
  EXPECT_TRUE(probe.state().refused);
  world_.run(probe, minutes(2));
  EXPECT_EQ(probe.state().outcome, Outcome::kOk);
}

TEST(DatabaseFailures, NobodyListens) {
  World world;
  world.server.script().refuse_connections(true);
  DatabaseProbe probe(world.server, world.refusals, {orders(), "t1"}, world.now());
  world.run(probe, seconds(1));
  EXPECT_EQ(probe.state().reason, "ConnectionRefused");
  EXPECT_THAT(probe.state().message, HasSubstr("db.test:5432"));
}

}  // namespace
}  // namespace pooler::live::testing
