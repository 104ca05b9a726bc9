#include "load/ledger.h"

#include <nlohmann/json.hpp>

namespace pooler::load {
namespace {

constexpr std::size_t kMaxExamples = 10;
/// More than a client can do in a day; keeps a damaged file from asking for all memory.
constexpr std::uint64_t kMaxNumber = 1'000'000'000;

void example(Verdict& verdict, int client, std::uint64_t number, const char* what) {
  if (verdict.examples.size() >= kMaxExamples) return;
  verdict.examples.push_back("client " + std::to_string(client) + " number " +
                             std::to_string(number) + ": " + what);
}

void compare_client(const ClientLedger& ledger, const std::vector<std::uint64_t>& rows,
                    Verdict& verdict) {
  std::vector<std::uint32_t> seen(ledger.last + 1, 0);
  for (const auto number : rows) {
    if (number >= 1 && number <= ledger.last) {
      ++seen[number];
    } else {
      ++verdict.unexpected;
      example(verdict, ledger.client, number, "a row that no client has sent");
    }
  }
  std::vector<Fate> fates(ledger.last + 1, Fate::kAcknowledged);
  for (const auto number : ledger.not_committed) fates.at(number) = Fate::kNotCommitted;
  for (const auto number : ledger.unknown) fates.at(number) = Fate::kUnknown;
  for (std::uint64_t number = 1; number <= ledger.last; ++number) {
    if (seen[number] > 1) {
      ++verdict.duplicated;
      example(verdict, ledger.client, number, "more than one row");
    }
    const bool there = seen[number] > 0;
    if (fates[number] == Fate::kUnknown)
      ++(there ? verdict.unknown_committed : verdict.unknown_not_committed);
    if (fates[number] == Fate::kAcknowledged && !there) {
      ++verdict.missing;
      example(verdict, ledger.client, number, "acknowledged, no row");
    }
    if (fates[number] == Fate::kNotCommitted && there) {
      ++verdict.unexpected;
      example(verdict, ledger.client, number, "a row though COMMIT was never sent or failed");
    }
  }
}

/// Whether every number of the lists is one that the client has used, as compare_client() relies
/// on.
bool consistent(const ClientLedger& ledger) {
  for (const auto* list : {&ledger.not_committed, &ledger.unknown}) {
    for (const auto number : *list) {
      if (number < 1 || number > ledger.last) return false;
    }
  }
  return ledger.last <= kMaxNumber &&
         ledger.not_committed.size() + ledger.unknown.size() <= ledger.last;
}

bool valid_identifier(std::string_view name) {
  if (name.empty() || name.size() > 63 || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

}  // namespace

bool is_connected(TxStep step) { return step != TxStep::kOff && step != TxStep::kConnecting; }

bool in_transaction(TxStep step) { return step == TxStep::kHold || in_statement(step); }

bool in_statement(TxStep step) {
  return step == TxStep::kInsert || step == TxStep::kSleep || step == TxStep::kCommit;
}

Cut cut_at(TxStep step) {
  switch (step) {
    case TxStep::kOff:
    case TxStep::kConnecting:
      return Cut::kNone;
    case TxStep::kIdle:
    case TxStep::kRollback:
      return Cut::kBoundaryIdle;
    case TxStep::kBegin:
      return Cut::kBoundaryBegin;
    case TxStep::kInsert:
    case TxStep::kSleep:
      return Cut::kLostStatement;
    case TxStep::kHold:
      return Cut::kLostHold;
    case TxStep::kCommit:
      return Cut::kLostCommit;
  }
  return Cut::kNone;
}

bool is_lost(Cut cut) {
  return cut == Cut::kLostStatement || cut == Cut::kLostHold || cut == Cut::kLostCommit;
}

bool is_boundary(Cut cut) { return cut == Cut::kBoundaryIdle || cut == Cut::kBoundaryBegin; }

Fate fate_at(TxStep step) { return step == TxStep::kCommit ? Fate::kUnknown : Fate::kNotCommitted; }

void ClientLedger::settle(std::uint64_t number, Fate fate) {
  if (fate == Fate::kNotCommitted) not_committed.push_back(number);
  if (fate == Fate::kUnknown) unknown.push_back(number);
}

nlohmann::ordered_json RunLedger::json() const {
  auto list = nlohmann::ordered_json::array();
  for (const auto& ledger : clients) {
    list.push_back({{"client", ledger.client},
                    {"last", ledger.last},
                    {"not_committed", ledger.not_committed},
                    {"unknown", ledger.unknown}});
  }
  return {{"run_id", run_id}, {"table", table}, {"clients", list}};
}

std::optional<RunLedger> RunLedger::parse(std::string_view text, std::string& error) {
  RunLedger run;
  try {
    const auto json = nlohmann::json::parse(text);
    run.run_id = json.at("run_id").get<std::string>();
    run.table = json.at("table").get<std::string>();
    for (const auto& entry : json.at("clients")) {
      ClientLedger ledger;
      ledger.client = entry.at("client").get<int>();
      ledger.last = entry.at("last").get<std::uint64_t>();
      ledger.not_committed = entry.at("not_committed").get<std::vector<std::uint64_t>>();
      ledger.unknown = entry.at("unknown").get<std::vector<std::uint64_t>>();
      run.clients.push_back(std::move(ledger));
    }
  } catch (const nlohmann::json::exception& exception) {
    error = exception.what();
    return std::nullopt;
  }
  for (const auto& ledger : run.clients) {
    if (!consistent(ledger)) {
      error = "client " + std::to_string(ledger.client) + " lists a number that it never used";
      return std::nullopt;
    }
  }
  if (!valid_table_name(run.table)) {
    error = "the table's name is not one of ours";
    return std::nullopt;
  }
  return run;
}

nlohmann::ordered_json Verdict::json() const {
  return {{"ok", ok()},
          {"acknowledged", acknowledged},
          {"rows", rows},
          {"missing", missing},
          {"duplicated", duplicated},
          {"unexpected", unexpected},
          {"unknown_committed", unknown_committed},
          {"unknown_not_committed", unknown_not_committed},
          {"examples", examples}};
}

Verdict compare(const std::vector<ClientLedger>& ledgers, const FoundRows& found) {
  Verdict verdict;
  std::map<int, const ClientLedger*> known;
  for (const auto& ledger : ledgers) {
    known[ledger.client] = &ledger;
    verdict.acknowledged += ledger.acknowledged();
    const auto rows = found.find(ledger.client);
    compare_client(ledger, rows == found.end() ? std::vector<std::uint64_t>() : rows->second,
                   verdict);
  }
  for (const auto& [client, rows] : found) {
    verdict.rows += rows.size();
    if (known.contains(client)) continue;
    verdict.unexpected += rows.size();
    if (!rows.empty()) example(verdict, client, rows.front(), "a client of no ledger");
  }
  return verdict;
}

bool valid_table_name(std::string_view name) {
  const auto dot = name.find('.');
  if (dot == std::string_view::npos) return valid_identifier(name);
  return valid_identifier(name.substr(0, dot)) && valid_identifier(name.substr(dot + 1));
}

}  // namespace pooler::load
