// What only the real session has: names, several addresses and hosts, libpq's texts.
#include "pg/libpq_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <map>
#include <memory>

#include "pg/libpq_errors.h"
#include "unit/pg/drive.h"
#include "unit/pg/wire_server.h"

namespace pooler::pg::testing {
namespace {

using State = Session::State;
using std::chrono::milliseconds;

// Names by a table; a name that maps to nothing never gets an answer.
class TableResolver final : public Resolver {
 public:
  using Answer = Result<std::vector<std::string>, std::string>;
  std::map<std::string, std::optional<Answer>> table;
  int asked = 0;

  std::unique_ptr<Lookup> look_up(const std::string& host) override {
    ++asked;
    return std::make_unique<TableLookup>(table.at(host));
  }

 private:
  class TableLookup final : public Lookup {
   public:
    explicit TableLookup(std::optional<Answer> answer)
        : fd_(eventfd(answer ? 1 : 0, EFD_CLOEXEC)), answer_(std::move(answer)) {}
    ~TableLookup() override { close(fd_); }
    int fd() const override { return fd_; }
    std::optional<Answer> take() override { return answer_; }

   private:
    int fd_;
    std::optional<Answer> answer_;
  };
};

class LibpqSessionTest : public ::testing::Test {
 protected:
  std::unique_ptr<Session> connect(Target target) {
    target.params["user"] = "app";
    target.params["dbname"] = "orders";
    return factory_.connect(std::move(target), clock_.monotonic());
  }
  static TableResolver::Answer addresses(std::vector<std::string> list) { return list; }

  SystemClock clock_;
  TableResolver resolver_;
  LibpqSessionFactory factory_{resolver_};
  WireServer server_;
};

TEST_F(LibpqSessionTest, AddressesOfANameAreTriedInOrder) {
  // Nobody listens at 127.0.0.2 on that port.
  resolver_.table["db.test"] = addresses({"127.0.0.2", "127.0.0.1"});
  auto session = connect({{{"db.test", "", server_.port()}}, {}});
  ASSERT_TRUE(drive_to(*session, State::kIdle));
  EXPECT_EQ(session->peer().address, "127.0.0.1");
  EXPECT_EQ(resolver_.asked, 1);
}

TEST_F(LibpqSessionTest, HostsAreTriedInOrder) {
  resolver_.table["gone.test"] = failure(std::string("Name or service not known"));
  resolver_.table["db.test"] = addresses({"127.0.0.1"});
  auto session = connect({{{"gone.test", "", 5432}, {"db.test", "", server_.port()}}, {}});
  ASSERT_TRUE(drive_to(*session, State::kIdle));
  EXPECT_EQ(session->peer().host, "db.test");
}

TEST_F(LibpqSessionTest, IPv6) {
  WireServer v6("::1");
  ThreadResolver resolver;
  LibpqSessionFactory factory(resolver);
  auto session = factory.connect({{{"::1", "", v6.port()}}, {{"user", "app"}}}, clock_.monotonic());
  ASSERT_TRUE(drive_to(*session, State::kIdle));
  EXPECT_EQ(session->peer().address, "::1");
}

TEST_F(LibpqSessionTest, NoAddress) {
  resolver_.table["gone.test"] = failure(std::string("Name or service not known"));
  auto session = connect({{{"gone.test", "", 5432}}, {}});
  ASSERT_TRUE(drive_to(*session, State::kFailed));
  EXPECT_EQ(session->error().kind, Error::Kind::kName);
  EXPECT_EQ(session->error().phase, Error::Phase::kName);
  EXPECT_EQ(session->error().message, "Name or service not known");
  EXPECT_EQ(session->error().where.host, "gone.test");
}

TEST_F(LibpqSessionTest, NameServerWithoutAnAnswer) {
  resolver_.table["slow.test"] = std::nullopt;
  Target target{{{"slow.test", "", 5432}}, {}};
  target.timeout = milliseconds(20);
  auto session = connect(target);
  ASSERT_TRUE(drive_to(*session, State::kFailed));
  EXPECT_EQ(session->error().kind, Error::Kind::kName);
}

TEST_F(LibpqSessionTest, ARefusedLoginIsNotTriedElsewhere) {
  WireServer other;
  server_.script().refuse_logins(Refusal{"28P01", "password authentication failed"});
  auto session =
      connect({{{"a", "127.0.0.1", server_.port()}, {"b", "127.0.0.1", other.port()}}, {}});
  ASSERT_TRUE(drive_to(*session, State::kFailed));
  EXPECT_EQ(session->error().sqlstate, "28P01");
  EXPECT_EQ(other.script().connects(), 0);
}

TEST_F(LibpqSessionTest, AServerThatIsStartingIsPassedOver) {
  WireServer other;
  server_.script().refuse_logins(Refusal{"57P03", "the database system is starting up"});
  auto session =
      connect({{{"a", "127.0.0.1", server_.port()}, {"b", "127.0.0.1", other.port()}}, {}});
  ASSERT_TRUE(drive_to(*session, State::kIdle));
  EXPECT_EQ(session->peer().port, other.port());
}

TEST_F(LibpqSessionTest, TheErrorThatCameFurthestIsShown) {
  WireServer gone;
  gone.close_port();
  server_.script().refuse_logins(Refusal{"57P03", "the database system is starting up"});
  auto session =
      connect({{{"a", "127.0.0.1", server_.port()}, {"b", "127.0.0.1", gone.port()}}, {}});
  ASSERT_TRUE(drive_to(*session, State::kFailed));
  EXPECT_EQ(session->error().sqlstate, "57P03");
  EXPECT_EQ(session->error().where.host, "a");
}

TEST_F(LibpqSessionTest, EncryptionThatIsRefused) {
  auto session = connect({{{"db", "127.0.0.1", server_.port()}}, {{"sslmode", "require"}}});
  ASSERT_TRUE(drive_to(*session, State::kFailed));
  EXPECT_EQ(session->error().kind, Error::Kind::kTls);
}

TEST_F(LibpqSessionTest, ABadParameter) {
  auto session = connect({{{"db", "127.0.0.1", server_.port()}}, {{"sslmode", "never"}}});
  ASSERT_TRUE(drive_to(*session, State::kFailed));
  EXPECT_THAT(session->error().message, ::testing::HasSubstr("sslmode"));
  EXPECT_EQ(server_.script().connects(), 0);
}

TEST(ConnectErrors, ServerLines) {
  const Error error = read_connect_error(
      "connection to server at \"db\" (10.0.0.1), port 5432 failed: FATAL:  53300: sorry, too many "
      "clients already\nLOCATION:  InitProcess, proc.c:353\n",
      "");
  EXPECT_EQ(error.kind, Error::Kind::kServer);
  EXPECT_EQ(error.sqlstate, "53300");
  EXPECT_EQ(error.message, "sorry, too many clients already");
}

TEST(ConnectErrors, ServerLinesInAnotherLanguage) {
  const Error error = read_connect_error(
      "connection to server at \"db\" (::1), port 5432 failed: ВАЖНО:  3D000: база данных \"x\" не "
      "существует\n",
      "");
  EXPECT_EQ(error.sqlstate, "3D000");
  EXPECT_EQ(error.message, "база данных \"x\" не существует");
}

TEST(ConnectErrors, OurSide) {
  const auto kind = [](const std::string& text) {
    return read_connect_error(
               "connection to server at \"db\" (10.0.0.1), port 5432 failed: " + text, "")
        .kind;
  };
  EXPECT_EQ(kind("Connection refused\n\tIs the server running on that host and accepting TCP/IP "
                 "connections?\n"),
            Error::Kind::kRefused);
  EXPECT_EQ(kind("No route to host\n"), Error::Kind::kUnreachable);
  EXPECT_EQ(kind("Connection timed out\n"), Error::Kind::kTimeout);
  EXPECT_EQ(kind("SSL error: certificate verify failed\n"), Error::Kind::kTls);
  EXPECT_EQ(kind("server closed the connection unexpectedly\n"), Error::Kind::kLost);
  EXPECT_EQ(kind("fe_sendauth: no password supplied\n"), Error::Kind::kAuthentication);
  EXPECT_EQ(kind("expected authentication request from server, but received H\n"),
            Error::Kind::kOther);
}

TEST(ConnectErrors, NeverThePassword) {
  const Error error =
      read_connect_error("x failed: FATAL:  28000: role s3cret is unknown\n", "s3cret");
  EXPECT_THAT(error.message, ::testing::Not(::testing::HasSubstr("s3cret")));
  EXPECT_EQ(error.sqlstate, "28000");
}

TEST(ConnectErrors, OneBoundedLineOfUtf8) {
  EXPECT_EQ(printable("  a\n\tb  c \n", ""), "a b c");
  EXPECT_EQ(printable("\xff!", ""), "?!");
  std::string umlauts;
  for (int i = 0; i < 400; ++i) umlauts += "ü";
  const std::string shown = printable("x" + umlauts, "");
  EXPECT_LE(shown.size(), 303u);
  EXPECT_TRUE(shown.ends_with("ü..."));
}

}  // namespace
}  // namespace pooler::pg::testing
