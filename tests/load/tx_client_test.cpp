#include "load/tx_client.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "load/fake_server.h"
#include "load/probe.h"

namespace pooler::load {
namespace {

/// Some clients against a scripted server; run() works until `done` holds and then ends them.
class Bench {
 public:
  explicit Bench(const FakeServer& server)
      : pacer(loop, 0, 0), run_state(loop, target, options, settings, pacer) {
    target.service = {"service", {server.endpoint()}};
    settings.user = "app";
    settings.database = "app";
    settings.connect_timeout = std::chrono::seconds(10);
    settings.scram_keys = &keys;
    options.run_id = "run";
    options.retry = 0.001;
  }

  void add_clients(int count) {
    for (int i = 0; i < count; ++i) {
      run_state.clients.push_back(std::make_unique<TxClient>(run_state, i, i));
    }
  }

  void run(const std::function<bool()>& done) {
    for (const auto& client : run_state.clients) client->start();
    bool stopping = false;
    loop.every(std::chrono::milliseconds(1), [&] {
      if (!stopping && done()) {
        stopping = true;
        for (const auto& client : run_state.clients) client->stop();
      }
      bool all_off = stopping;
      for (const auto& client : run_state.clients) {
        all_off = all_off && client->step() == TxStep::kOff;
      }
      if (all_off) loop.stop();
    });
    loop.after(std::chrono::seconds(20), [this] {
      ADD_FAILURE() << "not done after 20 s";
      for (const auto& client : run_state.clients) client->abandon();
      loop.stop();
    });
    loop.run();
  }

  const ClientLedger& ledger() const { return run_state.clients.at(0)->ledger(); }
  std::uint64_t cuts(Cut cut) const {
    const auto found = run_state.total.cuts.find(cut);
    return found == run_state.total.cuts.end() ? 0 : found->second;
  }

  EventLoop loop;
  ScramKeyCache keys;
  Target target;
  TxOptions options;
  ConnectionSettings settings;
  Pacer pacer;
  TxRun run_state;
};

/// Answers everything on every connection.
void serve(Peer& peer, const std::string& address = "10.0.0.1") {
  if (!peer.login()) return;
  for (auto sql = peer.read_query(); !sql.empty(); sql = peer.read_query()) {
    peer.answer(sql, address);
  }
}

/// On the first connection ends it instead of answering query number `query` (from 0); then all is
/// well.
FakeServer server_that_cuts_at(int query, const std::string& last_words = {}) {
  return FakeServer([query, last_words](Peer& peer, int number) {
    if (number > 0) return serve(peer, "10.0.0.2");
    peer.login();
    for (int i = 0; i < query; ++i) peer.answer(peer.read_query(), "10.0.0.1");
    peer.read_query();
    peer.send(last_words);
  });
}

TEST(TxClient, CountsWhatItCommits) {
  FakeServer server([](Peer& peer, int) { serve(peer); });
  Bench bench(server);
  bench.add_clients(5);
  bench.run([&] {
    return bench.run_state.total.acknowledged >= 50 &&
           bench.run_state.by_pooler["10.0.0.1"].connected == 5;
  });
  const auto& total = bench.run_state.total;
  EXPECT_EQ(total.begun, total.acknowledged);
  EXPECT_EQ(total.lost() + total.boundary() + total.aborted + total.unfinished, 0U);
  EXPECT_EQ(bench.run_state.by_pooler.at("10.0.0.1").acknowledged, total.acknowledged);
  EXPECT_EQ(bench.run_state.by_pooler.at("10.0.0.1").begun, total.begun);
  EXPECT_EQ(bench.run_state.by_pooler.at("10.0.0.1").connected, 5U);
  EXPECT_EQ(bench.run_state.by_pooler.at("?").begun, 0U);
  EXPECT_EQ(bench.run_state.by_route.at("service").acknowledged, total.acknowledged);
  std::uint64_t booked = 0;
  for (const auto& client : bench.run_state.clients) booked += client->ledger().acknowledged();
  EXPECT_EQ(booked, total.acknowledged);
}

struct CutCase {
  int query;
  Cut cut;
  std::uint64_t not_committed;
  std::uint64_t unknown;
};

class TxClientCut : public testing::TestWithParam<CutCase> {};

TEST_P(TxClientCut, IsBookedByTheStepItFallsOn) {
  const CutCase& wanted = GetParam();
  for (const auto& last_words : {std::string(), Peer::error("FATAL", "57P01", "bye")}) {
    const auto server = server_that_cuts_at(wanted.query, last_words);
    Bench bench(server);
    bench.options.sleep = 0.001;
    bench.add_clients(1);
    bench.run([&] { return server.connections() > 1 && bench.run_state.total.acknowledged >= 3; });
    EXPECT_EQ(bench.cuts(wanted.cut), 1U);
    EXPECT_EQ(bench.run_state.total.lost(), is_lost(wanted.cut) ? 1U : 0U);
    EXPECT_EQ(bench.run_state.total.boundary(), is_boundary(wanted.cut) ? 1U : 0U);
    EXPECT_EQ(bench.ledger().not_committed.size(), wanted.not_committed);
    EXPECT_EQ(bench.ledger().unknown.size(), wanted.unknown);
    EXPECT_EQ(bench.ledger().acknowledged(), bench.run_state.total.acknowledged);
    // Before its first INSERT was answered nobody knows which pooler cut it.
    ASSERT_EQ(bench.run_state.first_cut.size(), wanted.query < 2 ? 0U : 1U);
    if (wanted.query < 2) continue;
    EXPECT_EQ(bench.run_state.first_cut.at("10.0.0.1").now.in_transaction,
              is_lost(wanted.cut) ? 1 : 0);
  }
}

// The queries of a connection: BEGIN, INSERT, pg_sleep, COMMIT, BEGIN, ...
INSTANTIATE_TEST_SUITE_P(Steps, TxClientCut,
                         testing::Values(CutCase{0, Cut::kBoundaryBegin, 0, 0},
                                         CutCase{1, Cut::kLostStatement, 1, 0},
                                         CutCase{2, Cut::kLostStatement, 1, 0},
                                         CutCase{3, Cut::kLostCommit, 0, 1},
                                         CutCase{4, Cut::kBoundaryBegin, 0, 0}));

TEST(TxClient, ACutOfAnOpenTransactionWithNothingOnItsWayIsALoss) {
  FakeServer server([](Peer& peer, int number) {
    if (number > 0) return serve(peer);
    peer.login();
    peer.answer(peer.read_query(), "10.0.0.1");
    peer.answer(peer.read_query(), "10.0.0.1");
  });
  Bench bench(server);
  bench.run_state.gate_closed = true;
  bench.add_clients(1);
  bench.run([&] {
    if (server.connections() > 1) {
      bench.run_state.gate_closed = false;
      bench.run_state.clients[0]->pass_gate();
    }
    return bench.run_state.total.acknowledged >= 1;
  });
  EXPECT_EQ(bench.cuts(Cut::kLostHold), 1U);
  EXPECT_EQ(bench.ledger().not_committed, std::vector<std::uint64_t>{1});
}

TEST(TxClient, ACutBetweenTransactionsIsABoundary) {
  FakeServer server([](Peer& peer, int number) {
    if (number > 0) return serve(peer);
    peer.login();
    for (int i = 0; i < 3; ++i) peer.answer(peer.read_query(), "10.0.0.1");
    peer.send(Peer::error("FATAL", "08P01", "client_idle_timeout"));
  });
  Bench bench(server);
  bench.options.pause = 5;
  bench.add_clients(1);
  bench.run([&] {
    if (server.connections() > 1) bench.options.pause = 0;
    return bench.run_state.total.acknowledged >= 2;
  });
  EXPECT_EQ(bench.cuts(Cut::kBoundaryIdle), 1U);
  EXPECT_EQ(bench.run_state.total.lost(), 0U);
  EXPECT_EQ(bench.run_state.boundary_errors.json().dump(), R"({"08P01 client_idle_timeout":1})");
}

TEST(TxClient, AnAnsweredErrorAbortsButLosesNothing) {
  FakeServer server([](Peer& peer, int) {
    peer.login();
    bool failed = false;
    for (auto sql = peer.read_query(); !sql.empty(); sql = peer.read_query()) {
      if (sql.starts_with("insert") && !failed) {
        failed = true;
        peer.send(Peer::error("ERROR", "40001", "again") + Peer::ready('E'));
      } else {
        peer.answer(sql, "10.0.0.1");
      }
    }
  });
  Bench bench(server);
  bench.add_clients(1);
  bench.run([&] { return bench.run_state.total.acknowledged >= 2; });
  EXPECT_EQ(bench.run_state.total.aborted, 1U);
  EXPECT_EQ(bench.run_state.total.lost(), 0U);
  EXPECT_EQ(bench.ledger().not_committed, std::vector<std::uint64_t>{1});
}

TEST(TxClient, ACommitThatRollsBackIsNotAcknowledged) {
  FakeServer server([](Peer& peer, int) {
    peer.login();
    bool failed = false;
    for (auto sql = peer.read_query(); !sql.empty(); sql = peer.read_query()) {
      if (sql == "COMMIT" && !failed) {
        failed = true;
        peer.send(Peer::complete("ROLLBACK") + Peer::ready('I'));
      } else {
        peer.answer(sql, "10.0.0.1");
      }
    }
  });
  Bench bench(server);
  bench.add_clients(1);
  bench.run([&] { return bench.run_state.total.acknowledged >= 1; });
  EXPECT_EQ(bench.run_state.total.aborted, 1U);
  EXPECT_EQ(bench.ledger().not_committed, std::vector<std::uint64_t>{1});
}

TEST(TxClient, AnErrorToBeginIsABoundary) {
  FakeServer server([](Peer& peer, int) {
    peer.login();
    bool failed = false;
    for (auto sql = peer.read_query(); !sql.empty(); sql = peer.read_query()) {
      if (!failed) {
        failed = true;
        peer.send(Peer::error("ERROR", "57P03", "not now") + Peer::ready('I'));
      } else {
        peer.answer(sql, "10.0.0.1");
      }
    }
  });
  Bench bench(server);
  bench.add_clients(1);
  bench.run([&] { return bench.run_state.total.acknowledged >= 1; });
  EXPECT_EQ(bench.run_state.total.boundary(), 1U);
  EXPECT_EQ(bench.ledger().not_committed.size(), 0U);
}

TEST(TxClient, CountsLoginsThatFailAndTriesAgain) {
  FakeServer server([](Peer& peer, int number) {
    if (number > 2) return serve(peer);
    peer.read_start();
    if (number == 0) peer.send(Peer::error("FATAL", "53300", "full"));
  });
  Bench bench(server);
  bench.add_clients(1);
  bench.run([&] { return bench.run_state.total.acknowledged >= 1; });
  EXPECT_EQ(bench.run_state.total.failures[CloseCause::kRejected], 1U);
  EXPECT_EQ(bench.run_state.total.failures[CloseCause::kEof], 2U);
  EXPECT_EQ(bench.run_state.total.attempts, 4U);
  EXPECT_EQ(bench.run_state.total.connected, 1U);
  EXPECT_EQ(bench.run_state.total.boundary() + bench.run_state.total.lost(), 0U);
}

TEST(TxClient, WaitsAtTheGateInsideItsTransaction) {
  FakeServer server([](Peer& peer, int) { serve(peer); });
  Bench bench(server);
  bench.run_state.gate_closed = true;
  bench.add_clients(4);
  bool opened = false;
  bench.run([&] {
    if (!opened && bench.run_state.now("10.0.0.1").in_transaction == 4 &&
        bench.run_state.now().in_statement == 0) {
      EXPECT_EQ(bench.run_state.total.acknowledged, 0U);
      opened = true;
      bench.run_state.gate_closed = false;
      for (const auto& client : bench.run_state.clients) client->pass_gate();
    }
    return bench.run_state.total.acknowledged >= 8;
  });
  EXPECT_TRUE(opened);
  EXPECT_EQ(bench.run_state.total.lost(), 0U);
}

TEST(TxClient, AbandonedTransactionsAreUnfinishedAndBooked) {
  FakeServer server([](Peer& peer, int) { serve(peer); });
  Bench bench(server);
  bench.run_state.gate_closed = true;
  bench.add_clients(2);
  bench.run([&] {
    if (bench.run_state.now().in_transaction < 2 || bench.run_state.now().in_statement > 0) {
      return false;
    }
    for (const auto& client : bench.run_state.clients) client->abandon();
    return true;
  });
  EXPECT_EQ(bench.run_state.total.unfinished, 2U);
  EXPECT_EQ(bench.run_state.total.lost(), 0U);
  EXPECT_EQ(bench.ledger().not_committed, std::vector<std::uint64_t>{1});
}

TEST(TxClient, AShareBeginsAtTheDirectAddressAndComesBackThroughTheService) {
  FakeServer service([](Peer& peer, int) { serve(peer, "10.0.0.1"); });
  FakeServer victim([](Peer& peer, int) {
    peer.login();
    for (int i = 0; i < 3; ++i) peer.answer(peer.read_query(), "10.0.0.9");
  });
  Bench bench(service);
  bench.target.direct.push_back({"victim", {victim.endpoint()}});
  bench.options.direct_share = 0.25;
  bench.add_clients(8);
  bench.run(
      [&] { return victim.connections() == 2 && bench.run_state.now("10.0.0.1").connected == 8; });
  EXPECT_EQ(victim.connections(), 2) << "a quarter of 8, and none of them again";
  EXPECT_EQ(bench.run_state.by_route.at("victim").acknowledged, 2U);
  EXPECT_EQ(bench.run_state.by_route.at("victim").boundary(), 2U);
  EXPECT_EQ(bench.run_state.by_route.at("service").boundary(), 0U);
  EXPECT_TRUE(bench.run_state.first_cut.contains("10.0.0.9"));
}

TEST(ListenerProbe, SaysWhenTheListenerIsGone) {
  FakeServer server([](Peer&, int) {});
  EventLoop loop;
  bool gone = false;
  ListenerProbe probe(loop, server.endpoint(), std::chrono::milliseconds(1), [&] {
    gone = true;
    loop.stop();
  });
  probe.start();
  loop.after(std::chrono::seconds(20), [&] { loop.stop(); });
  loop.every(std::chrono::milliseconds(1), [&] {
    if (server.connections() >= 3) server.stop_listening();
    EXPECT_EQ(gone, false);
  });
  loop.run();
  EXPECT_TRUE(gone);
}

TEST(PacerTest, LetsNoMoreThanItsConcurrencyBegin) {
  EventLoop loop;
  Pacer pacer(loop, 0, 3);
  int begun = 0;
  for (int i = 0; i < 10; ++i) pacer.enqueue([&] { ++begun; });
  EXPECT_EQ(begun, 3);
  pacer.finished();
  EXPECT_EQ(begun, 4);
  pacer.clear();
  pacer.finished();
  EXPECT_EQ(begun, 4);
}

}  // namespace
}  // namespace pooler::load
