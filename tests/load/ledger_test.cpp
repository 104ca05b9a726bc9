#include "load/ledger.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace pooler::load {
namespace {

TEST(Ledger, ACutMeansWhatTheStepSays) {
  EXPECT_EQ(cut_at(TxStep::kConnecting), Cut::kNone);
  EXPECT_EQ(cut_at(TxStep::kIdle), Cut::kBoundaryIdle);
  EXPECT_EQ(cut_at(TxStep::kBegin), Cut::kBoundaryBegin);
  EXPECT_EQ(cut_at(TxStep::kInsert), Cut::kLostStatement);
  EXPECT_EQ(cut_at(TxStep::kSleep), Cut::kLostStatement);
  EXPECT_EQ(cut_at(TxStep::kHold), Cut::kLostHold);
  EXPECT_EQ(cut_at(TxStep::kCommit), Cut::kLostCommit);
}

TEST(Ledger, EveryCutOfAnOpenTransactionIsALoss) {
  for (const auto step :
       {TxStep::kOff, TxStep::kConnecting, TxStep::kIdle, TxStep::kBegin, TxStep::kInsert,
        TxStep::kSleep, TxStep::kHold, TxStep::kCommit, TxStep::kRollback}) {
    EXPECT_EQ(is_lost(cut_at(step)), in_transaction(step));
    EXPECT_EQ(is_boundary(cut_at(step)), is_connected(step) && !in_transaction(step));
    EXPECT_EQ(fate_at(step), step == TxStep::kCommit ? Fate::kUnknown : Fate::kNotCommitted);
  }
}

/// Five numbers: 1, 2 and 4 acknowledged, 3 not committed, 5 unknown.
ClientLedger five() {
  ClientLedger ledger;
  ledger.client = 7;
  for (int i = 0; i < 5; ++i) ledger.next();
  ledger.settle(1, Fate::kAcknowledged);
  ledger.settle(3, Fate::kNotCommitted);
  ledger.settle(5, Fate::kUnknown);
  return ledger;
}

TEST(Ledger, AcceptsExactlyTheAcknowledgedRows) {
  EXPECT_EQ(five().acknowledged(), 3U);
  const auto without = compare({five()}, {{7, {1, 2, 4}}});
  EXPECT_TRUE(without.ok());
  EXPECT_EQ(without.acknowledged, 3U);
  EXPECT_EQ(without.rows, 3U);
  EXPECT_EQ(without.unknown_not_committed, 1U);
  const auto with = compare({five()}, {{7, {5, 4, 2, 1}}});
  EXPECT_TRUE(with.ok());
  EXPECT_EQ(with.unknown_committed, 1U);
  EXPECT_EQ(with.unknown_not_committed, 0U);
}

TEST(Ledger, FindsAMissingRow) {
  const auto verdict = compare({five()}, {{7, {1, 4}}});
  EXPECT_FALSE(verdict.ok());
  EXPECT_EQ(verdict.missing, 1U);
  EXPECT_EQ(verdict.examples, std::vector<std::string>{"client 7 number 2: acknowledged, no row"});
  EXPECT_EQ(compare({five()}, {}).missing, 3U);
}

TEST(Ledger, FindsADuplicate) {
  const auto verdict = compare({five()}, {{7, {1, 2, 4, 4}}});
  EXPECT_FALSE(verdict.ok());
  EXPECT_EQ(verdict.duplicated, 1U);
  EXPECT_EQ(verdict.missing, 0U);
}

TEST(Ledger, FindsRowsThatNobodyCommitted) {
  EXPECT_EQ(compare({five()}, {{7, {1, 2, 3, 4}}}).unexpected, 1U) << "COMMIT never sent";
  EXPECT_EQ(compare({five()}, {{7, {1, 2, 4, 6}}}).unexpected, 1U) << "never begun";
  EXPECT_EQ(compare({five()}, {{7, {0, 1, 2, 4}}}).unexpected, 1U);
  EXPECT_EQ(compare({five()}, {{7, {1, 2, 4}}, {8, {1, 2}}}).unexpected, 2U) << "unknown client";
}

TEST(Ledger, SurvivesTheFile) {
  const RunLedger run{"run", "schema.table", {five()}};
  std::string error;
  const auto read = RunLedger::parse(run.json().dump(), error);
  ASSERT_TRUE(read) << error;
  EXPECT_EQ(read->run_id, "run");
  EXPECT_EQ(read->table, "schema.table");
  EXPECT_EQ(read->json(), run.json());
}

TEST(Ledger, RefusesADamagedFile) {
  const RunLedger run{"run", "t", {five()}};
  auto outside = run.json();
  outside["clients"][0]["unknown"] = {6};
  auto negative = run.json();
  negative["clients"][0]["last"] = 99'999'999'999;
  auto table = run.json();
  table["table"] = "t; drop table t";
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[1]"), outside.dump(), negative.dump(),
        table.dump(), run.json().dump().substr(0, 40)}) {
    std::string error;
    EXPECT_FALSE(RunLedger::parse(text, error)) << text;
    EXPECT_FALSE(error.empty());
  }
}

TEST(Ledger, TableNamesAreSafeInSql) {
  EXPECT_TRUE(valid_table_name("pooler_load_tx"));
  EXPECT_TRUE(valid_table_name("app.rows2"));
  for (const auto* name : {"", ".", "a.", ".a", "a.b.c", "A", "a b", "a;b", "a'b", "a\"b", "2a"}) {
    EXPECT_FALSE(valid_table_name(name)) << name;
  }
}

}  // namespace
}  // namespace pooler::load
