// The live loop against the real ones.
#include "live/live.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <functional>
#include <thread>

#include "base/strings.h"
#include "live/rows.h"
#include "live/targets.h"
#include "pg/libpq_session.h"
#include "pooler/live_ring.h"
#include "pooler/servers.h"
#include "unit/pg/drive.h"

namespace pooler::ring {
namespace {

namespace pgb = engine::pgbouncer;
using live::LiveState;
using live::LiveTarget;
using live::Outcome;
using ::testing::HasSubstr;
using ::testing::Not;

// --- the database -----------------------------------------------------------------------------

class LiveDatabase : public LiveRing {
 protected:
  void expect_failure(const urls::Connection& connection, std::string_view reason,
                      const std::string& words) {
    const live::DatabaseState state = ask_database(connection);
    EXPECT_EQ(state.outcome, Outcome::kFailed);
    EXPECT_EQ(state.reason, reason);
    EXPECT_THAT(state.message, HasSubstr(words));
    EXPECT_THAT(state.message, Not(HasSubstr("s3cret")));
    EXPECT_EQ(state.server, std::nullopt);
  }

  Postgres postgres_{
      {"max_connections=30", "superuser_reserved_connections=4", "reserved_connections=2"}};
  urls::Connection orders_ = postgres_.make_user("app", "s3cret", "orders");
};

TEST_F(LiveDatabase, TellsItsLimits) {
  postgres_.sql("ALTER ROLE app CONNECTION LIMIT 11");
  postgres_.sql("ALTER DATABASE orders CONNECTION LIMIT 9");
  const live::DatabaseState state = ask_database(orders_);
  ASSERT_EQ(state.outcome, Outcome::kOk) << state.message;
  ASSERT_TRUE(state.server.has_value());
  EXPECT_EQ(state.server->identity, "127.0.0.1:" + std::to_string(postgres_.port()));
  EXPECT_EQ(state.server->version_num / 10000, 17);
  EXPECT_EQ(state.server->max_connections, 30);
  EXPECT_EQ(state.server->superuser_reserved_connections, 4);
  EXPECT_EQ(state.server->reserved_connections, 2);
  EXPECT_EQ(state.server->role_limit, 11);
  EXPECT_EQ(state.server->database_limit, 9);
  EXPECT_FALSE(state.server->in_recovery);
}

TEST_F(LiveDatabase, TheRoleThatLoggedInCounts) {
  postgres_.sql("CREATE ROLE other CONNECTION LIMIT 3");
  postgres_.sql("GRANT other TO app");
  postgres_.sql("ALTER ROLE app CONNECTION LIMIT 11");
  postgres_.sql("ALTER ROLE app SET role = other");
  EXPECT_EQ(ask_database(orders_).server->role_limit, 11);
}

TEST_F(LiveDatabase, ByNameAndByIPv6) {
  orders_.hosts = {{"localhost", postgres_.port()}};
  EXPECT_EQ(ask_database(orders_).outcome, Outcome::kOk);
  orders_.hosts = {{"::1", postgres_.port()}};
  const live::DatabaseState state = ask_database(orders_);
  EXPECT_EQ(state.server->identity, "[::1]:" + std::to_string(postgres_.port()));
}

TEST_F(LiveDatabase, NobodyListens) {
  orders_.hosts[0].port = free_port();
  expect_failure(orders_, "ConnectionRefused",
                 "127.0.0.1:" + std::to_string(orders_.hosts[0].port));
}

TEST_F(LiveDatabase, WrongPassword) {
  orders_.password = "not s3cret";
  expect_failure(orders_, "AuthenticationFailed", "password authentication failed");
}

TEST_F(LiveDatabase, UnknownUser) {
  orders_.user = "nobody";
  expect_failure(orders_, "AuthenticationFailed", "nobody");
}

TEST_F(LiveDatabase, UnknownHost) {
  orders_.hosts = {{"no-such-host.invalid", 5432}};
  expect_failure(orders_, "DNSFailure", "no-such-host.invalid");
}

TEST_F(LiveDatabase, UnknownDatabase) {
  orders_.database = "nodb";
  expect_failure(orders_, "DatabaseNotFound", "\"nodb\"");
}

TEST_F(LiveDatabase, NoRightToConnect) {
  postgres_.sql("REVOKE CONNECT ON DATABASE orders FROM PUBLIC");
  postgres_.sql("CREATE ROLE stranger LOGIN PASSWORD 's3cret'");
  orders_.user = "stranger";
  expect_failure(orders_, "AuthenticationFailed", "permission denied for database");
}

TEST_F(LiveDatabase, EncryptionThatTheServerDoesNotOffer) {
  orders_.parameters = {{"sslmode", "require"}};
  expect_failure(orders_, "TLSFailure", "SSL");
}

TEST_F(LiveDatabase, SlotsFull) {
  ASSERT_TRUE(wait_until([this] {  // the server has seen the end of what earlier tests opened
    return value_of(
               postgres_.superuser(),
               "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'") ==
           "1";
  }));
  ThreadResolver resolver;
  pg::LibpqSessionFactory factory(resolver);
  std::vector<std::unique_ptr<pg::Session>> sessions;
  while (true) {
    sessions.push_back(factory.connect(live::database_target(orders_), clock_.monotonic()));
    pg::Session& last = *sessions.back();
    ASSERT_TRUE(pg::testing::drive(last, [&] {
      return last.state() == pg::Session::State::kIdle ||
             last.state() == pg::Session::State::kFailed;
    }));
    if (last.state() == pg::Session::State::kFailed) break;
    ASSERT_LT(sessions.size(), 31u);
  }
  EXPECT_EQ(sessions.size(), 25u);  // 30 - 4 - 2, and the one that was refused
  expect_failure(orders_, "TooManyConnections", "remaining connection slots are reserved");
  sessions.clear();
  EXPECT_TRUE(wait([](const LiveState& state) { return state.database.outcome == Outcome::kOk; }));
}

TEST_F(LiveDatabase, LimitOfTheRole) {
  postgres_.sql("ALTER ROLE app CONNECTION LIMIT 0");
  expect_failure(orders_, "TooManyConnections", "too many connections for role");
}

TEST_F(LiveDatabase, ARestartIsFollowed) {
  Postgres postgres;
  const auto before = ask_database(postgres.superuser()).server;
  postgres.stop();
  ASSERT_TRUE(
      wait([](const LiveState& state) { return state.database.outcome == Outcome::kFailed; }));
  EXPECT_EQ(live_.state(kKey).database.reason, "ConnectionRefused");
  EXPECT_EQ(live_.state(kKey).database.server, before);
  postgres.set_options({"max_connections=40"});
  postgres.start();
  ASSERT_TRUE(wait([](const LiveState& state) { return state.database.outcome == Outcome::kOk; }));
  EXPECT_EQ(live_.state(kKey).database.server->max_connections, 40);
}

TEST_F(LiveDatabase, NeverTwoConnections) {
  postgres_.sql("ALTER ROLE app CONNECTION LIMIT 1");  // the server itself counts
  for (int i = 0; i < 4; ++i) {
    const live::DatabaseState state = ask_database(orders_);
    EXPECT_EQ(state.outcome, Outcome::kOk) << state.message;
  }
  postgres_.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
      " WHERE usename = 'app'");
  EXPECT_EQ(ask_database(orders_).outcome, Outcome::kOk);
}

class LiveEncrypted : public LiveRing {
 protected:
  LiveEncrypted() {
    postgres_.stop();
    postgres_.make_certificate();
    postgres_.start();
    orders_ = postgres_.make_user("app", "s3cret", "orders");
    orders_.hosts[0].host = "localhost";
  }
  live::DatabaseState ask_with(const std::string& mode, const std::string& roots = "") {
    orders_.parameters = {{"sslmode", mode}};
    if (!roots.empty()) orders_.parameters.emplace_back("sslrootcert", roots);
    return ask_database(orders_);
  }
  // Of the operator's own connection.
  std::string encrypted() {
    return value_of(postgres_.superuser(),
                    "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                    " WHERE usename = 'app'");
  }

  Postgres postgres_;
  urls::Connection orders_;
};

TEST_F(LiveEncrypted, WhereTheModeAsksForIt) {
  for (const std::string mode : {"prefer", "require"}) {
    const live::DatabaseState state = ask_with(mode);
    EXPECT_EQ(state.outcome, Outcome::kOk) << state.message;
    EXPECT_EQ(encrypted(), "t");
  }
  EXPECT_EQ(ask_with("disable").outcome, Outcome::kOk);
  EXPECT_EQ(encrypted(), "f");
}

TEST_F(LiveEncrypted, OnlyATrustedCertificateIsVerified) {
  const live::DatabaseState unknown = ask_with("verify-full");
  EXPECT_EQ(unknown.reason, "TLSFailure");
  EXPECT_THAT(unknown.message, HasSubstr("certificate verify failed"));
  for (const std::string mode : {"verify-ca", "verify-full"}) {
    const live::DatabaseState state = ask_with(mode, postgres_.certificate());
    EXPECT_EQ(state.outcome, Outcome::kOk) << state.message;
    EXPECT_EQ(encrypted(), "t");
  }
  orders_.hosts[0].host = "127.0.0.1";
  EXPECT_EQ(ask_with("verify-ca", postgres_.certificate()).outcome, Outcome::kOk);
  const live::DatabaseState misnamed = ask_with("verify-full", postgres_.certificate());
  EXPECT_EQ(misnamed.reason, "TLSFailure");
  EXPECT_THAT(misnamed.message, HasSubstr("127.0.0.1"));
}

TEST_F(LiveEncrypted, ThroughThePooler) {
  orders_.parameters = {{"sslmode", "require"}};
  for (const Version version : {Version::k124, Version::k126}) {
    PgBouncer pgbouncer(version, orders_);
    pgbouncer.start();
    EXPECT_EQ(
        value_of(pgbouncer.pooled(), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"),
        "t");
  }
}

// --- pods and the published way in ------------------------------------------------------------

class LivePooler : public LiveRing, public ::testing::WithParamInterface<Version> {
 protected:
  LiveTarget pod_target() {
    LiveTarget target;
    target.console = {std::string(engine::pgbouncer::kAdminUser), pgbouncer_.admin().password};
    target.pods = {{"u1", "orders-pooler-0", "127.0.0.1", pgbouncer_.port()}};
    return target;
  }
  bool wait_for_pod(const std::function<bool(const live::PodState&)>& done) {
    return wait([&](const LiveState& state) {
      return state.pods.contains("u1") && done(state.pods.at("u1"));
    });
  }

  Postgres& postgres_ = shared_postgres();
  urls::Connection orders_ = postgres_.make_user("app", "s3cret", "orders");
  PgBouncer pgbouncer_{GetParam(), orders_};
};

TEST_P(LivePooler, ReadsTheMarkerBack) {
  pgbouncer_.start();
  live_.set_target(kKey, pod_target());
  ASSERT_TRUE(wait_for_pod([](const auto& pod) { return pod.outcome == Outcome::kOk; }));
  EXPECT_EQ(live_.state(kKey).pods.at("u1").marker, pgbouncer_.revision().hash);
  EXPECT_EQ(live_.state(kKey).pods.at("u1").version, number_of(GetParam()));
}

TEST_P(LivePooler, FollowsARestart) {
  pgbouncer_.start(4);
  live_.set_target(kKey, pod_target());
  const std::string first = pgbouncer_.revision().hash;
  ASSERT_TRUE(wait_for_pod([&](const auto& pod) { return pod.marker == first; }));
  pgbouncer_.stop(SIGKILL);
  EXPECT_TRUE(wait_for_pod([](const auto& pod) { return pod.outcome == Outcome::kFailed; }));
  pgbouncer_.start(5);
  EXPECT_NE(pgbouncer_.revision().hash, first);
  EXPECT_TRUE(wait_for_pod([&](const auto& pod) {
    return pod.outcome == Outcome::kOk && pod.marker == pgbouncer_.revision().hash;
  }));
}

TEST_P(LivePooler, TellsThatThePasswordIsAnother) {
  pgbouncer_.start();
  LiveTarget target = pod_target();
  target.console.password = "of another operator";
  live_.set_target(kKey, target);
  EXPECT_TRUE(wait_for_pod([](const auto& pod) { return pod.login_refused; }));
  EXPECT_EQ(live_.state(kKey).pods.at("u1").outcome, Outcome::kFailed);
  live_.set_target(kKey, pod_target());
  EXPECT_TRUE(wait_for_pod(
      [](const auto& pod) { return pod.outcome == Outcome::kOk && !pod.login_refused; }));
}

// ---- RELOAD

class LiveReload : public LivePooler {
 protected:
  void start() {
    pgbouncer_.start();
    live_.set_target(kKey, pod_target());
    ASSERT_TRUE(
        wait_for_pod([&](const auto& pod) { return pod.marker == pgbouncer_.revision().hash; }));
  }
  // Another revision of the same pooler, in session mode.
  pgb::Revision session_mode() const {
    api::PoolerConfig config = PgBouncer::config();
    config.spec.pool_mode = api::PoolMode::kSession;
    return pgb::render(config, {orders_, pgbouncer_.admin(), 4});
  }
  void reload_to(const std::string& marker) {
    LiveTarget target = pod_target();
    target.pods[0].reload_to = marker;
    live_.set_target(kKey, target);
  }
  std::string pool_mode() {
    const auto rows = ask(pgbouncer_.console(), "SHOW CONFIG");
    for (const auto& row : rows.value().cells) {
      if (row.at(0) == "pool_mode") return row.at(1).value();
    }
    return "";
  }
};

TEST_P(LiveReload, AnOpenTransactionGoesOnOnTheSameBackend) {
  start();
  ThreadResolver resolver;
  pg::LibpqSessionFactory factory(resolver);
  const auto client =
      factory.connect(live::database_target(pgbouncer_.pooled()), clock_.monotonic());
  const auto backend = [&](const std::string& sql) {
    EXPECT_TRUE(pg::testing::drive_to(*client, pg::Session::State::kIdle));
    client->query(sql, clock_.monotonic() + std::chrono::minutes(1));
    EXPECT_TRUE(
        pg::testing::drive(*client, [&] { return client->state() != pg::Session::State::kBusy; }));
    auto answer = client->take().value();
    return answer.ok() && !answer->cells.empty() ? answer->cells[0][0] : std::nullopt;
  };
  backend("BEGIN");
  const auto before = backend("SELECT pg_backend_pid()");
  ASSERT_TRUE(before);
  const pgb::Revision next = session_mode();
  reload_to(next.hash);
  pgbouncer_.write_files(next, next.hash);
  ASSERT_TRUE(wait_for_pod([&](const auto& pod) { return pod.marker == next.hash; }));
  EXPECT_EQ(pool_mode(), "session");
  EXPECT_EQ(backend("SELECT pg_backend_pid()"), before);
  backend("COMMIT");
}

TEST_P(LiveReload, AFileWithAnErrorIsAFailureAndIsUndone) {
  start();
  pgb::Revision bad = session_mode();
  // After pool_mode, so that a part of it is applied.
  std::string& settings = bad.files.at(pgb::settings_file_name(bad.hash));
  settings.insert(settings.find("max_prepared_statements"), "no_such_setting = 1\n");
  pgbouncer_.write_files(bad, bad.hash);
  reload_to(bad.hash);
  ASSERT_TRUE(wait_for_pod([](const auto& pod) { return pod.reload.failed; }));
  EXPECT_EQ(live_.state(kKey).pods.at("u1").marker, pgbouncer_.revision().hash);
  EXPECT_EQ(pool_mode(), "session") << "what came before the error is in force";

  const std::string back = pgb::back_marker(pgbouncer_.revision().hash, bad.hash);
  pgbouncer_.write_files(pgbouncer_.revision(), back);
  reload_to(back);
  ASSERT_TRUE(wait_for_pod([&](const auto& pod) { return pod.marker == back; }));
  EXPECT_EQ(pool_mode(), "transaction");
}

TEST_P(LiveReload, ANewPasswordOfTheDatabaseIsTakenOver) {
  start();
  EXPECT_EQ(value_of(pgbouncer_.pooled(), "SELECT 1"), "1");
  urls::Connection rotated = orders_;
  rotated.password = "n€w p@:/?#%& \"'\\";
  postgres_.sql("ALTER ROLE app PASSWORD " + sql_string(rotated.password));
  const pgb::Revision next = pgb::render(PgBouncer::config(), {rotated, pgbouncer_.admin(), 4});
  pgbouncer_.write_files(next, next.hash);
  reload_to(next.hash);
  ASSERT_TRUE(wait_for_pod([&](const auto& pod) { return pod.marker == next.hash; }));
  urls::Connection pooled = pgbouncer_.pooled();
  EXPECT_THAT(value_of(pooled, "SELECT 1"), HasSubstr("authentication failed"));
  pooled.password = rotated.password;
  ASSERT_TRUE(ask(pgbouncer_.console(), "RECONNECT").ok());
  EXPECT_EQ(value_of(pooled, "SELECT 1"), "1") << "with a new server connection";
}

// ---- PAUSE

TEST_P(LivePooler, PausesOnceTransactionsHaveEndedAndServesAgain) {
  using Flow = live::PodState::Flow;
  using State = pg::Session::State;
  pgbouncer_.start();
  LiveTarget target = pod_target();
  target.pods[0].wait_limit = "30";
  live_.set_target(kKey, target);
  ASSERT_TRUE(wait_for_pod([](const auto& pod) { return pod.flow == Flow::kServing; }));
  ThreadResolver resolver;
  pg::LibpqSessionFactory factory(resolver);
  const auto client =
      factory.connect(live::database_target(pgbouncer_.pooled()), clock_.monotonic());
  ASSERT_TRUE(pg::testing::drive_to(*client, State::kIdle));
  const auto soon = [this] { return clock_.monotonic() + std::chrono::minutes(1); };
  client->query("BEGIN", soon());
  ASSERT_TRUE(pg::testing::drive_to(*client, State::kIdle));

  target.pods[0].paused = true;
  live_.set_target(kKey, target);
  ASSERT_TRUE(wait_for_pod([](const auto& pod) { return pod.flow == Flow::kPausing; }))
      << "the console's PAUSE is not answered yet, and holds";
  client->query("COMMIT", soon());
  ASSERT_TRUE(pg::testing::drive(*client, [&] { return client->state() != State::kBusy; }));
  ASSERT_TRUE(client->take().value().ok());
  ASSERT_TRUE(wait_for_pod([](const auto& pod) { return pod.flow == Flow::kPaused; }));
  EXPECT_TRUE(wait_until([this] {
    return value_of(postgres_.superuser(),
                    "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'") == "0";
  }));

  client->query("SELECT 42", soon());
  target.pods[0].paused = false;
  live_.set_target(kKey, target);
  ASSERT_TRUE(pg::testing::drive(*client, [&] { return client->state() != State::kBusy; }));
  const auto answer = client->take().value();
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer.value().cells[0][0], "42");
  EXPECT_TRUE(wait_for_pod([](const auto& pod) { return pod.flow == Flow::kServing; }));
}

TEST_P(LivePooler, ADrainingPodStillAnswers) {
  pgbouncer_.start();
  live_.set_target(kKey, pod_target());
  ASSERT_TRUE(wait_for_pod([](const auto& pod) { return pod.outcome == Outcome::kOk; }));
  // A client in a transaction holds the pod; its admin session goes on, new logins are refused.
  ThreadResolver resolver;
  pg::LibpqSessionFactory factory(resolver);
  const auto client =
      factory.connect(live::database_target(pgbouncer_.pooled()), clock_.monotonic());
  ASSERT_TRUE(pg::testing::drive_to(*client, pg::Session::State::kIdle));
  client->query("BEGIN", clock_.monotonic() + std::chrono::minutes(1));
  ASSERT_TRUE(pg::testing::drive_to(*client, pg::Session::State::kIdle));
  std::thread stopped([this] { pgbouncer_.stop(SIGINT); });
  EXPECT_TRUE(wait_until([this] { return !answers(pgbouncer_.port()); }));
  live_.set_target(kKey, pod_target());
  live_.hurry(kKey);
  const live::PodState state = live_.state(kKey).pods.at("u1");
  EXPECT_EQ(state.outcome, Outcome::kOk);
  client->query("COMMIT", clock_.monotonic() + std::chrono::minutes(1));
  EXPECT_TRUE(
      pg::testing::drive(*client, [&] { return client->state() != pg::Session::State::kBusy; }));
  EXPECT_TRUE(client->take().value().ok());
  stopped.join();
  EXPECT_TRUE(wait_for_pod([](const auto& pod) { return pod.outcome == Outcome::kFailed; }));
}

TEST_P(LivePooler, VerifiesOnceAndHoldsNothing) {
  pgbouncer_.start();
  EXPECT_EQ(verify(pgbouncer_.pooled(), pgbouncer_.port()).outcome, Outcome::kOk);
  EXPECT_TRUE(wait_until([this] {
    return value_of(orders_,
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = 'orders'"
                    " AND state <> 'idle' AND pid <> pg_backend_pid()") == "0";
  }));
  const auto clients = ask(pgbouncer_.console(), "SHOW CLIENTS");
  ASSERT_TRUE(clients.ok());
  for (const auto& row : clients.value().cells) EXPECT_NE(row.at(1), "app");
}

TEST_P(LivePooler, VerificationTellsWhy) {
  const live::VerificationState nobody = verify(pgbouncer_.pooled(), pgbouncer_.port());
  EXPECT_EQ(nobody.reason, "OperatorCannotReachPooler");
  EXPECT_THAT(nobody.message, HasSubstr(kService));
  pgbouncer_.start();
  EXPECT_TRUE(
      wait([](const LiveState& state) { return state.verification.outcome == Outcome::kOk; }));

  urls::Connection wrong = pgbouncer_.pooled();
  wrong.password = "not s3cret";
  const live::VerificationState refused = verify(wrong, pgbouncer_.port());
  EXPECT_EQ(refused.reason, "VerificationFailed");
  EXPECT_THAT(refused.message, HasSubstr("authentication failed"));
  EXPECT_THAT(refused.message, Not(HasSubstr("s3cret")));

  urls::Connection elsewhere = pgbouncer_.pooled();
  elsewhere.database = "nodb";
  EXPECT_THAT(verify(elsewhere, pgbouncer_.port()).message, HasSubstr("no such database"));
}

TEST_P(LivePooler, VerificationWaitsForTheDatabase) {
  pgbouncer_.start();
  postgres_.stop();
  const live::VerificationState waiting = verify(pgbouncer_.pooled(), pgbouncer_.port());
  EXPECT_EQ(waiting.outcome, Outcome::kFailed);
  EXPECT_EQ(waiting.reason, "VerificationFailed");
  postgres_.start();
  EXPECT_TRUE(
      wait([](const LiveState& state) { return state.verification.outcome == Outcome::kOk; }));
}

INSTANTIATE_TEST_SUITE_P(PgBouncer, LiveReload, ::testing::Values(Version::k124, Version::k126),
                         [](const auto& each) {
                           return each.param == Version::k124 ? "Trixie" : "Forky";
                         });

INSTANTIATE_TEST_SUITE_P(PgBouncer, LivePooler, ::testing::Values(Version::k124, Version::k126),
                         [](const auto& each) {
                           return each.param == Version::k124 ? "Trixie" : "Forky";
                         });

}  // namespace
}  // namespace pooler::ring
