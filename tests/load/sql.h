#pragma once

#include <optional>
#include <string>
#include <vector>

#include "load/client.h"
#include "load/options.h"

namespace pooler::load {

/// Connects, runs the statements one after the other, closes; blocks until done. Needs that no
/// other EventLoop lives. Returns the last statement's result, or nothing with the reason in
/// `error`. Errors whose SQLSTATE is in `ignored` count as success.
std::optional<QueryResult> run_sql(const Target& target, const ConnectionSettings& settings,
                                   const std::vector<std::string>& statements, std::string& error,
                                   const std::vector<std::string>& ignored = {});

}  // namespace pooler::load
