#pragma once

#include <optional>
#include <string>
#include <vector>

#include "load/ledger.h"
#include "load/options.h"

namespace pooler::load {

/// Reads the rows of `run_id` from the table and holds them against the ledgers. Blocks; needs that
/// no other EventLoop lives. Nothing, with a reason in `error`, when the table cannot be read.
std::optional<Verdict> verify_rows(const Target& target, const ConnectionSettings& settings,
                                   const std::string& table, const std::string& run_id,
                                   const std::vector<ClientLedger>& ledgers, std::string& error);

}  // namespace pooler::load
