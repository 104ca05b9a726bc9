#include "load/verify.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "load/sql.h"

namespace pooler::load {
namespace {

struct VerifyOptions {
  CommonOptions common;
  std::vector<std::string> ledgers;
};

bool read_ledgers(const std::vector<std::string>& files, RunLedger& all) {
  std::set<int> seen;
  for (const auto& file : files) {
    std::ifstream stream(file);
    std::ostringstream text;
    text << stream.rdbuf();
    std::string error = "cannot be read";
    const auto run = stream ? RunLedger::parse(text.str(), error) : std::nullopt;
    if (run && !all.clients.empty() && (run->run_id != all.run_id || run->table != all.table)) {
      error = "belongs to another run or table than the first ledger";
    } else if (run) {
      error.clear();
      all.run_id = run->run_id;
      all.table = run->table;
      for (const auto& client : run->clients) {
        if (!seen.insert(client.client).second) error = "repeats a client of another ledger";
        all.clients.push_back(client);
      }
    }
    if (!error.empty()) {
      std::fprintf(stderr, "pooler-load: %s: %s\n", file.c_str(), error.c_str());
      return false;
    }
  }
  return true;
}

int run_verify(const VerifyOptions& options) {
  RunLedger ledger;
  if (!read_ledgers(options.ledgers, ledger)) return kCannotRun;
  const auto target = load_target(options.common.url_env, options.common.host_overrides);
  if (!target) return kCannotRun;
  ScramKeyCache keys;
  const auto settings = connection_settings(*target, options.common, keys);
  const Output output(options.common.events, options.common.quiet);
  std::string error;
  const auto verdict =
      verify_rows(*target, settings, ledger.table, ledger.run_id, ledger.clients, error);
  nlohmann::ordered_json fields = {{"run_id", ledger.run_id}, {"table", ledger.table}};
  if (verdict) {
    fields.update(verdict->json());
  } else {
    fields["error"] = error;
    output.progress("the table cannot be read: " + error);
  }
  const bool ok = verdict && verdict->ok();
  output.result("verify", ok, fields);
  return ok ? kOk : kNotOk;
}

}  // namespace

std::optional<Verdict> verify_rows(const Target& target, const ConnectionSettings& settings,
                                   const std::string& table, const std::string& run_id,
                                   const std::vector<ClientLedger>& ledgers, std::string& error) {
  // One row per client: half a million numbers come as a few megabytes of text.
  const auto result =
      run_sql(target, settings,
              {"select client, string_agg(number::text, ' ' order by number) from " + table +
               " where run_id = " + sql_literal(run_id) + " group by client"},
              error);
  if (!result) return std::nullopt;
  FoundRows found;
  for (const auto& row : result->rows) {
    if (row.size() != 2 || !row[0] || !row[1]) continue;
    auto& numbers = found[std::stoi(*row[0])];
    std::istringstream text(*row[1]);
    for (std::uint64_t number = 0; text >> number;) numbers.push_back(number);
  }
  return compare(ledgers, found);
}

void add_verify(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("verify",
                                     "Hold the table of `transactions` against its ledger: every "
                                     "acknowledged number exactly once");
  command->footer(
      "ok: no acknowledged row is missing, none is there twice, none is there whose COMMIT was "
      "never "
      "sent.\nResult: run_id, table, acknowledged, rows, missing, duplicated, unexpected, "
      "unknown_committed, unknown_not_committed (COMMIT sent, answer lost; either is right), "
      "examples.");
  auto options = std::make_shared<VerifyOptions>();
  add_common_options(*command, options->common);
  command
      ->add_option(
          "--ledger", options->ledgers,
          "File written by transactions --ledger; several for several processes of one run")
      ->required();
  command->callback([options, &exit_code] { exit_code = run_verify(*options); });
}

}  // namespace pooler::load
