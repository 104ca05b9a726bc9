#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The books of numbered transactions (pure): where a cut falls, what must be in the table
/// afterwards.
namespace pooler::load {

/// Where a client is. A transaction is open from the answer to BEGIN to the answer to COMMIT.
enum class TxStep {
  kOff,         ///< not connected and not trying
  kConnecting,  ///< waiting for its turn, connecting or logging in
  kIdle,        ///< between transactions, nothing sent
  kBegin,       ///< BEGIN sent
  kInsert,      ///< open: INSERT sent
  kSleep,       ///< open: pg_sleep sent
  kHold,        ///< open, nothing sent: the client thinks or waits at the gate
  kCommit,      ///< open: COMMIT sent
  kRollback,    ///< a statement was answered by an error; ROLLBACK sent
};

bool is_connected(TxStep step);
bool in_transaction(TxStep step);
/// A statement of an open transaction is on its way.
bool in_statement(TxStep step);

/// What the end of a connection meant for the client.
enum class Cut {
  kNone,           ///< there was nothing to cut: not yet connected
  kBoundaryIdle,   ///< between transactions with nothing sent: safe to retry
  kBoundaryBegin,  ///< BEGIN sent and not answered: nothing was done, safe to retry
  kLostStatement,  ///< a statement of an open transaction sent and not answered
  kLostHold,       ///< the transaction was open, no statement was on its way
  kLostCommit,     ///< COMMIT sent and not answered: nobody knows
};

Cut cut_at(TxStep step);
bool is_lost(Cut cut);
bool is_boundary(Cut cut);

/// What the table must hold for a numbered transaction.
enum class Fate {
  kAcknowledged,  ///< exactly one row
  kNotCommitted,  ///< none: COMMIT was never sent, or was answered by an error
  kUnknown,       ///< none or one: COMMIT was sent and not answered
};

Fate fate_at(TxStep step);

/// The numbers of one client: 1, 2, 3, ... with the few that were not acknowledged.
struct ClientLedger {
  int client = 0;
  std::uint64_t last = 0;
  std::vector<std::uint64_t> not_committed;
  std::vector<std::uint64_t> unknown;

  std::uint64_t next() { return ++last; }
  void settle(std::uint64_t number, Fate fate);
  std::uint64_t acknowledged() const { return last - not_committed.size() - unknown.size(); }
};

/// What a run leaves for `verify`.
struct RunLedger {
  std::string run_id;
  std::string table;
  std::vector<ClientLedger> clients;

  nlohmann::ordered_json json() const;
  /// Nothing (and a reason in `error`) when the text is no ledger.
  static std::optional<RunLedger> parse(std::string_view text, std::string& error);
};

/// The rows of one client as found in the table, in any order, duplicates included.
using FoundRows = std::map<int, std::vector<std::uint64_t>>;

struct Verdict {
  std::uint64_t acknowledged = 0;  ///< by the ledgers
  std::uint64_t rows = 0;          ///< in the table
  std::uint64_t missing = 0;       ///< acknowledged and not there
  std::uint64_t duplicated = 0;    ///< numbers that are there more than once
  std::uint64_t unexpected =
      0;  ///< there though COMMIT was never sent, or never begun by any client
  std::uint64_t unknown_committed = 0;      ///< COMMIT not answered, row there
  std::uint64_t unknown_not_committed = 0;  ///< COMMIT not answered, row not there
  std::vector<std::string> examples;        ///< a few "client 3 number 17: missing"

  bool ok() const { return missing == 0 && duplicated == 0 && unexpected == 0; }
  nlohmann::ordered_json json() const;
};

Verdict compare(const std::vector<ClientLedger>& ledgers, const FoundRows& found);

/// `name` or `schema.name` of lower-case letters, digits and underscores: safe in SQL as it is.
bool valid_table_name(std::string_view name);

}  // namespace pooler::load
