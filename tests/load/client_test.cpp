#include "load/client.h"

#include <gtest/gtest.h>

#include <functional>

#include "load/fake_server.h"

namespace pooler::load {
namespace {

using std::chrono::milliseconds;

/// A connection with a listener that writes down what it hears; run() ends at `until` heard things.
class Client final : public Connection::Listener {
 public:
  Client() : connection(loop, settings, *this) {
    settings.user = "app";
    settings.database = "app";
    settings.password = "secret";
    settings.connect_timeout = std::chrono::seconds(10);
    settings.scram_keys = &keys;
  }

  void run() {
    loop.after(std::chrono::seconds(20), [this] {
      ADD_FAILURE() << "nothing happened for 20 s";
      loop.stop();
    });
    loop.run();
  }

  void on_ready(Connection& who) override {
    ++ready;
    if (sql.empty()) {
      loop.stop();
    } else {
      who.query(sql);
    }
  }
  void on_result(Connection& who, const QueryResult& result) override {
    results.push_back(result);
    if (after_result) {
      after_result(who);
    } else {
      loop.stop();
    }
  }
  void on_closed(Connection& who, const Closed& reason) override {
    closed.push_back(reason);
    if (after_closed) {
      after_closed(who);
    } else {
      loop.stop();
    }
  }

  EventLoop loop;
  ScramKeyCache keys;
  ConnectionSettings settings;
  std::string sql = "select 1";
  int ready = 0;
  std::vector<QueryResult> results;
  std::vector<Closed> closed;
  std::function<void(Connection&)> after_result;
  std::function<void(Connection&)> after_closed;
  Connection connection;
};

Endpoint closed_port() {
  FakeServer server([](Peer&, int) {});
  return server.endpoint();
}

const std::string kAnswer = Peer::row({"1"}) + Peer::complete("SELECT 1") + Peer::ready('I');

TEST(Connection, LogsInAndAsks) {
  FakeServer server([](Peer& peer, int) {
    ASSERT_TRUE(peer.login());
    EXPECT_EQ(peer.read_query(), "select 1");
    peer.send(kAnswer);
    EXPECT_EQ(peer.read_query(), "") << "it says goodbye";
  });
  Client client;
  client.connection.open({server.endpoint()});
  client.run();
  ASSERT_EQ(client.results.size(), 1U);
  EXPECT_EQ(client.results[0].rows, (std::vector<Row>{{"1"}}));
  EXPECT_EQ(client.results[0].tag, "SELECT 1");
  EXPECT_EQ(client.results[0].transaction_status, 'I');
  ASSERT_TRUE(client.connection.cancel_key());
  EXPECT_EQ(client.connection.cancel_key()->secret, 2U);
  client.connection.close();
}

TEST(Connection, ReadsAnswersThatComeByteByByte) {
  FakeServer server([](Peer& peer, int) {
    ASSERT_TRUE(peer.login());
    peer.read_query();
    for (const char byte : kAnswer) peer.send(std::string(1, byte));
    peer.read_query();
  });
  Client client;
  client.connection.open({server.endpoint()});
  client.run();
  ASSERT_EQ(client.results.size(), 1U);
  EXPECT_EQ(client.results[0].rows, (std::vector<Row>{{"1"}}));
}

TEST(Connection, SaysThatTheLoginWasRejectedAndWhy) {
  FakeServer server([](Peer& peer, int) {
    peer.read_start();
    peer.send(Peer::error("FATAL", "53300", "sorry, too many clients already"));
  });
  Client client;
  client.connection.open({server.endpoint()});
  client.run();
  ASSERT_EQ(client.closed.size(), 1U);
  EXPECT_EQ(client.closed[0].cause, CloseCause::kRejected);
  EXPECT_TRUE(client.closed[0].during_login);
  ASSERT_TRUE(client.closed[0].error);
  EXPECT_EQ(client.closed[0].error->sqlstate, "53300");
}

TEST(Connection, SaysThatNobodyListens) {
  Client client;
  client.connection.open({closed_port()});
  client.run();
  ASSERT_EQ(client.closed.size(), 1U);
  EXPECT_EQ(client.closed[0].cause, CloseCause::kRefused);
  EXPECT_TRUE(client.closed[0].during_login);
}

TEST(Connection, TriesTheNextEndpoint) {
  FakeServer server([](Peer& peer, int) {
    peer.login();
    peer.read_query();
  });
  Client client;
  client.sql.clear();
  client.connection.open({closed_port(), server.endpoint()});
  client.run();
  EXPECT_EQ(client.ready, 1);
  EXPECT_EQ(client.connection.endpoint().label, server.endpoint().label);
}

TEST(Connection, KeepsTheServersLastWords) {
  FakeServer server([](Peer& peer, int) {
    peer.login();
    peer.read_query();
    peer.send(Peer::error("FATAL", "57P01", "server shutting down"));
  });
  Client client;
  client.connection.open({server.endpoint()});
  client.run();
  ASSERT_EQ(client.closed.size(), 1U);
  EXPECT_EQ(client.closed[0].cause, CloseCause::kEof);
  EXPECT_TRUE(client.closed[0].query_unanswered);
  EXPECT_FALSE(client.closed[0].during_login);
  ASSERT_TRUE(client.closed[0].error);
  EXPECT_EQ(client.closed[0].error->message, "server shutting down");
}

TEST(Connection, AnAnsweredErrorLeavesItOpen) {
  FakeServer server([](Peer& peer, int) {
    peer.login();
    peer.read_query();
    peer.send(Peer::error("ERROR", "42601", "syntax error") + Peer::ready('I'));
    peer.read_query();
    peer.send(kAnswer);
    peer.read_query();
  });
  Client client;
  client.after_result = [&](Connection& connection) {
    if (client.results.size() == 1) {
      connection.query("select 1");
    } else {
      client.loop.stop();
    }
  };
  client.connection.open({server.endpoint()});
  client.run();
  ASSERT_EQ(client.results.size(), 2U);
  EXPECT_EQ(client.results[0].error->sqlstate, "42601");
  EXPECT_FALSE(client.results[1].error);
}

TEST(Connection, NoticesAReset) {
  FakeServer server([](Peer& peer, int) {
    peer.login();
    peer.read_query();
    peer.reset();
  });
  Client client;
  client.connection.open({server.endpoint()});
  client.run();
  ASSERT_EQ(client.closed.size(), 1U);
  EXPECT_EQ(client.closed[0].cause, CloseCause::kReset);
  EXPECT_TRUE(client.closed[0].query_unanswered);
}

TEST(Connection, GivesUpALoginThatHangs) {
  FakeServer server([](Peer& peer, int) {
    peer.read_start();
    peer.read_query();
  });
  Client client;
  client.settings.connect_timeout = milliseconds(100);
  client.connection.open({server.endpoint()});
  client.run();
  ASSERT_EQ(client.closed.size(), 1U);
  EXPECT_EQ(client.closed[0].cause, CloseCause::kTimeout);
  EXPECT_TRUE(client.closed[0].during_login);
}

TEST(Connection, GivesUpAQueryThatHangs) {
  FakeServer server([](Peer& peer, int) {
    peer.login();
    peer.read_query();
    peer.read_query();
  });
  Client client;
  client.settings.query_timeout = milliseconds(100);
  client.connection.open({server.endpoint()});
  client.run();
  ASSERT_EQ(client.closed.size(), 1U);
  EXPECT_EQ(client.closed[0].cause, CloseCause::kTimeout);
  EXPECT_TRUE(client.closed[0].query_unanswered);
}

TEST(Connection, MayBeReopenedInsideItsCallbacks) {
  FakeServer server([](Peer& peer, int number) {
    peer.login();
    peer.read_query();
    if (number != 1) peer.send(kAnswer);
    if (number == 0) peer.read_query();
  });
  Client client;
  client.after_result = [&](Connection& connection) {
    if (client.results.size() == 2) {
      client.loop.stop();
      return;
    }
    connection.close();
    connection.open({server.endpoint()});
  };
  client.after_closed = [&](Connection& connection) { connection.open({server.endpoint()}); };
  client.connection.open({server.endpoint()});
  client.run();
  EXPECT_EQ(client.ready, 3);
  EXPECT_EQ(client.results.size(), 2U);
  EXPECT_EQ(client.closed.size(), 1U);
}

TEST(Connection, RefusesOtherAuthenticationAndGarbage) {
  const std::string cleartext = Peer::message('R', std::string("\0\0\0\x03", 4));
  const std::string no_scram = Peer::message('R', std::string("\0\0\0\x0aOTHER\0\0", 11));
  const std::string proof_from_nowhere = Peer::message('R', std::string("\0\0\0\x0cv=abcd", 10));
  for (const auto& bytes :
       {cleartext, no_scram, proof_from_nowhere, std::string("HTTP/1.1 200 OK\r\n"),
        Peer::message('R', ""), Peer::message('?', "x")}) {
    FakeServer server([bytes](Peer& peer, int) {
      peer.read_start();
      peer.send(bytes);
      peer.read_query();
    });
    Client client;
    client.connection.open({server.endpoint()});
    client.run();
    ASSERT_EQ(client.closed.size(), 1U);
    EXPECT_EQ(client.closed[0].cause, CloseCause::kProtocol);
    EXPECT_EQ(client.closed[0].detail.find("secret"), std::string::npos);
  }
}

TEST(Connection, RefusesAServerThatSkipsItsScramProof) {
  FakeServer server([](Peer& peer, int) {
    peer.read_start();
    peer.send(Peer::message('R', std::string("\0\0\0\x0aSCRAM-SHA-256\0\0", 19)));
    peer.send(Peer::message('R', std::string("\0\0\0\0", 4)) + Peer::ready('I'));
    peer.read_query();
  });
  Client client;
  client.connection.open({server.endpoint()});
  client.run();
  EXPECT_EQ(client.ready, 0);
  ASSERT_EQ(client.closed.size(), 1U);
  EXPECT_EQ(client.closed[0].cause, CloseCause::kProtocol);
}

TEST(CancelRequestTest, SendsTheKeyAndWaitsForTheClose) {
  std::string seen;
  EventLoop loop;
  auto outcome = CancelRequest::Outcome::kFailed;
  {
    FakeServer server([&](Peer& peer, int) { seen = peer.read_start(); });
    CancelRequest request(loop, server.endpoint(), {1234, 5678}, std::chrono::seconds(10),
                          [&](CancelRequest::Outcome result) {
                            outcome = result;
                            loop.stop();
                          });
    request.start();
    loop.run();
  }
  EXPECT_EQ(outcome, CancelRequest::Outcome::kTaken);
  EXPECT_EQ(seen, cancel_message({1234, 5678}).substr(4));
}

TEST(CancelRequestTest, SaysThatNobodyListens) {
  EventLoop loop;
  auto outcome = CancelRequest::Outcome::kTaken;
  CancelRequest request(loop, closed_port(), {1, 2}, std::chrono::seconds(10),
                        [&](CancelRequest::Outcome result) {
                          outcome = result;
                          loop.stop();
                        });
  request.start();
  loop.run();
  EXPECT_EQ(outcome, CancelRequest::Outcome::kFailed);
}

}  // namespace
}  // namespace pooler::load
