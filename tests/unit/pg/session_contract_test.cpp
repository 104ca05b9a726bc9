// What every Session does, the real one and the fake one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "pg/libpq_session.h"
#include "unit/pg/drive.h"
#include "unit/pg/fake_session.h"
#include "unit/pg/wire_server.h"

namespace pooler::pg::testing {
namespace {

using State = Session::State;
using std::chrono::milliseconds;
using std::chrono::minutes;

class Backend {
 public:
  virtual ~Backend() = default;
  virtual SessionFactory& factory() = 0;
  virtual Script& script() = 0;
  virtual Target target() = 0;
  virtual void refuse_connections() = 0;
};

Params login() {
  return {{"user", "app"}, {"password", "s3cret"}, {"dbname", "orders"}, {"sslmode", "prefer"}};
}

class FakeBackend final : public Backend {
 public:
  SessionFactory& factory() override { return server_; }
  Script& script() override { return server_.script(); }
  Target target() override { return {{{"db.test", "192.0.2.1", 5432}}, login()}; }
  void refuse_connections() override { server_.script().refuse_connections(true); }

 private:
  FakeServer server_;
};

class RealBackend final : public Backend {
 public:
  SessionFactory& factory() override { return factory_; }
  Script& script() override { return server_.script(); }
  Target target() override { return {{{"db.test", "127.0.0.1", server_.port()}}, login()}; }
  void refuse_connections() override { server_.close_port(); }

 private:
  WireServer server_;
  ThreadResolver resolver_;
  LibpqSessionFactory factory_{resolver_};
};

enum class Kind { kFake, kLibpq };

class SessionContract : public ::testing::TestWithParam<Kind> {
 protected:
  SessionContract() {
    if (GetParam() == Kind::kFake) {
      backend_ = std::make_unique<FakeBackend>();
    } else {
      backend_ = std::make_unique<RealBackend>();
    }
  }
  Script& script() { return backend_->script(); }
  std::unique_ptr<Session> connect() { return connect(backend_->target()); }
  std::unique_ptr<Session> connect(Target target) {
    return backend_->factory().connect(std::move(target), clock_.monotonic());
  }
  // The answer to `text`.
  Result<Rows, Error> ask(Session& session, const std::string& text) {
    session.query(text, clock_.monotonic() + minutes(1));
    std::optional<Result<Rows, Error>> answer;
    EXPECT_TRUE(drive(session, [&] {
      answer = session.take();
      return answer.has_value();
    }));
    return *answer;
  }

  SystemClock clock_;
  std::unique_ptr<Backend> backend_;
};

TEST_P(SessionContract, LogsInAndAnswers) {
  script().on_query("SHOW x", Rows{{"a", "b"}, {{"1", std::nullopt}, {"", "ü"}}});
  auto session = connect();
  EXPECT_EQ(session->state(), State::kConnecting);
  ASSERT_TRUE(drive_to(*session, State::kIdle));
  EXPECT_EQ(script().startup()["user"], "app");
  EXPECT_EQ(script().startup()["database"], "orders");
  EXPECT_EQ(session->peer().host, "db.test");
  EXPECT_NE(session->peer().address, "");
  EXPECT_EQ(session->peer_certificate(), "") << "the script speaks in the clear";

  const auto answer = ask(*session, "SHOW x");
  ASSERT_TRUE(answer.ok());
  EXPECT_THAT(answer.value().columns, ::testing::ElementsAre("a", "b"));
  ASSERT_EQ(answer.value().cells.size(), 2u);
  EXPECT_EQ(answer.value().cells[0][0], "1");
  EXPECT_EQ(answer.value().cells[0][1], std::nullopt);
  EXPECT_EQ(answer.value().cells[1][0], "");
  EXPECT_EQ(answer.value().cells[1][1], "ü");
  EXPECT_EQ(session->state(), State::kIdle);
  EXPECT_EQ(session->take(), std::nullopt);
}

TEST_P(SessionContract, OneQueryAfterAnother) {
  script().on_query("SELECT 1", one_cell("n", "1"));
  script().on_query("SELECT 2", one_cell("n", "2"));
  auto session = connect();
  ASSERT_TRUE(drive_to(*session, State::kIdle));
  for (const std::string n : {"1", "2", "1"}) {
    const auto answer = ask(*session, "SELECT " + n);
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer.value().cells[0][0], n);
  }
  EXPECT_EQ(script().connects(), 1);
}

TEST_P(SessionContract, AnErrorLeavesItUsable) {
  script().on_query("SELECT 1", one_cell("n", "1"));
  script().on_query("SELECT x", failure(Refusal{"42703", "column \"x\" does not exist"}));
  auto session = connect();
  ASSERT_TRUE(drive_to(*session, State::kIdle));
  const auto bad = ask(*session, "SELECT x");
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().kind, Error::Kind::kServer);
  EXPECT_EQ(bad.error().phase, Error::Phase::kSession);
  EXPECT_EQ(bad.error().sqlstate, "42703");
  EXPECT_EQ(bad.error().message, "column \"x\" does not exist");
  EXPECT_EQ(session->state(), State::kIdle);
  EXPECT_TRUE(ask(*session, "SELECT 1").ok());
}

TEST_P(SessionContract, RefusedLogin) {
  script().refuse_logins(Refusal{"28P01", "password authentication failed for user \"app\""});
  auto session = connect();
  ASSERT_TRUE(drive_to(*session, State::kFailed));
  EXPECT_EQ(session->error().kind, Error::Kind::kServer);
  EXPECT_EQ(session->error().phase, Error::Phase::kLogin);
  EXPECT_EQ(session->error().sqlstate, "28P01");
  EXPECT_EQ(session->error().message, "password authentication failed for user \"app\"");
  EXPECT_EQ(session->error().where.host, "db.test");
}

TEST_P(SessionContract, NobodyListens) {
  backend_->refuse_connections();
  auto session = connect();
  ASSERT_TRUE(drive_to(*session, State::kFailed));
  EXPECT_EQ(session->error().kind, Error::Kind::kRefused);
  EXPECT_EQ(session->error().phase, Error::Phase::kConnect);
  EXPECT_EQ(session->error().sqlstate, "");
}

TEST_P(SessionContract, LoginWithoutAnAnswer) {
  script().ignore_logins(true);
  Target target = backend_->target();
  target.timeout = milliseconds(50);
  auto session = connect(target);
  ASSERT_TRUE(drive_to(*session, State::kFailed));
  EXPECT_EQ(session->error().kind, Error::Kind::kTimeout);
  EXPECT_EQ(session->error().phase, Error::Phase::kLogin);
}

TEST_P(SessionContract, QueryWithoutAnAnswer) {
  script().ignore_queries(true);
  auto session = connect();
  ASSERT_TRUE(drive_to(*session, State::kIdle));
  session->query("SELECT 1", clock_.monotonic() + milliseconds(20));
  EXPECT_EQ(session->state(), State::kBusy);
  ASSERT_TRUE(drive_to(*session, State::kFailed));
  EXPECT_EQ(session->error().kind, Error::Kind::kTimeout);
  EXPECT_EQ(session->error().phase, Error::Phase::kSession);
  const auto answer = session->take();
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->ok());
}

TEST_P(SessionContract, AFarewellWhileIdleIsHeard) {
  auto session = connect();
  ASSERT_TRUE(drive_to(*session, State::kIdle));
  script().drop_sessions({"57P01", "terminating connection due to administrator command"});
  ASSERT_TRUE(drive_to(*session, State::kFailed));
  EXPECT_EQ(session->error().kind, Error::Kind::kServer);
  EXPECT_EQ(session->error().phase, Error::Phase::kSession);
  EXPECT_EQ(session->error().sqlstate, "57P01");
}

TEST_P(SessionContract, AFarewellEndsTheQuery) {
  script().ignore_queries(true);
  auto session = connect();
  ASSERT_TRUE(drive_to(*session, State::kIdle));
  session->query("SELECT 1", clock_.monotonic() + minutes(1));
  script().drop_sessions({"57P01", "terminating connection due to administrator command"});
  ASSERT_TRUE(drive_to(*session, State::kFailed));
  EXPECT_EQ(session->error().sqlstate, "57P01");
  const auto answer = session->take();
  ASSERT_TRUE(answer.has_value());
  ASSERT_FALSE(answer->ok());
  EXPECT_EQ(answer->error().sqlstate, "57P01");
}

TEST_P(SessionContract, DroppingItClosesTheConnection) {
  auto session = connect();
  ASSERT_TRUE(drive_to(*session, State::kIdle));
  EXPECT_EQ(script().open(), 1);
  session.reset();
  auto other = connect();
  // The other one is only there to turn the time until the server has seen the end of the first.
  EXPECT_TRUE(
      drive(*other, [&] { return script().open() == 1 && other->state() == State::kIdle; }));
}

TEST_P(SessionContract, CallsTooManyDoNoHarm) {
  script().on_query("SELECT 1", one_cell("n", "1"));
  auto session = connect();
  for (int i = 0; i < 100 && session->state() == State::kConnecting; ++i) {
    session->advance(clock_.monotonic());
  }
  ASSERT_TRUE(drive_to(*session, State::kIdle));
  for (int i = 0; i < 100; ++i) session->advance(clock_.monotonic());
  EXPECT_EQ(session->state(), State::kIdle);
  EXPECT_TRUE(ask(*session, "SELECT 1").ok());
}

INSTANTIATE_TEST_SUITE_P(All, SessionContract, ::testing::Values(Kind::kFake, Kind::kLibpq),
                         [](const auto& each) {
                           return each.param == Kind::kFake ? "Fake" : "Libpq";
                         });

}  // namespace
}  // namespace pooler::pg::testing
