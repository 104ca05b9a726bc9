#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "load/options.h"
#include "load/probe.h"
#include "load/sql.h"
#include "load/tx_client.h"
#include "load/verify.h"

namespace pooler::load {
namespace {

struct TransactionsOptions {
  CommonOptions common;
  TxOptions tx;
  int clients = 20;
  std::string schedule;
  double duration = 10;
  double rate = 0;
  int concurrency = 0;
  int client_offset = 0;
  bool init = false;
  bool verify = false;
  std::string admin_url_env;
  std::string ledger_file;
  bool probe = false;
  bool gate = false;
  double gate_max = 60;
  int barrier = 0;
  std::string barrier_at;
  int status_ms = 100;
  double stop_grace = 15;
};

/// From `at` seconds on, `clients` clients work.
struct Step {
  double at = 0;
  int clients = 0;
};

std::optional<std::vector<Step>> parse_schedule(const std::string& text) {
  std::vector<Step> steps;
  for (const auto& part : CLI::detail::split(text, ',')) {
    const auto colon = part.find(':');
    Step step;
    if (colon == std::string::npos || !CLI::detail::lexical_cast(part.substr(0, colon), step.at) ||
        !CLI::detail::lexical_cast(part.substr(colon + 1), step.clients) || step.at < 0 ||
        step.clients < 0 || step.clients > kMaxClients) {
      return std::nullopt;
    }
    steps.push_back(step);
  }
  return steps;
}

std::string random_run_id() {
  std::string id = scram_nonce().substr(0, 12);
  for (char& c : id) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : 'x';
  return id;
}

/// One run from the first login to the last logout.
class Transactions {
 public:
  Transactions(const TransactionsOptions& options, const Target& target,
               const ConnectionSettings& settings, std::vector<Step> schedule, const Output& output)
      : options_(options),
        schedule_(std::move(schedule)),
        output_(output),
        pacer_(loop_, options.rate, options.concurrency),
        run_(loop_, target, options.tx, settings, pacer_) {
    int most = 0;
    for (const auto& step : schedule_) most = std::max(most, step.clients);
    for (int i = 0; i < most; ++i) {
      run_.clients.push_back(std::make_unique<TxClient>(run_, i, options.client_offset + i));
    }
  }

  void run() {
    run_.gate_closed = options_.gate;
    stop_on_signal(
        loop_, [this] { stop("signal"); },
        [this](int signal) { set_gate(signal == SIGUSR2, "signal"); });
    for (const auto& step : schedule_) {
      loop_.after(seconds(step.at), [this, step] { set_clients(step.clients); });
    }
    loop_.after(seconds(options_.duration), [this] { stop("duration"); });
    if (options_.gate) {
      loop_.after(seconds(options_.gate_max), [this] { set_gate(false, "gate-max"); });
    }
    if (options_.probe) start_probes(run_.target);
    loop_.every(std::chrono::milliseconds(options_.status_ms), [this] { status(); });
    loop_.every(std::chrono::milliseconds(10), [this] { watch(); });
    loop_.every(std::chrono::seconds(1), [this] { report_progress(); });
    output_.event("start", {{"run_id", options_.tx.run_id}, {"clients", run_.clients.size()}});
    loop_.run();
    // A second signal ends the loop with transactions open: they are not acknowledged.
    for (const auto& client : run_.clients) client->abandon();
  }

  RunLedger ledger() const {
    RunLedger result{options_.tx.run_id, options_.tx.table, {}};
    for (const auto& client : run_.clients) result.clients.push_back(client->ledger());
    return result;
  }

  bool ok() const {
    const auto& total = run_.total;
    return total.lost() == 0 && total.aborted == 0 && total.unfinished == 0 &&
           total.acknowledged > 0;
  }

  nlohmann::ordered_json json() const;

 private:
  void set_clients(int count);
  void set_gate(bool closed, const char* by);
  void stop(const char* why);
  void start_probes(const Target& target);
  void listener_gone(const std::string& label);
  void watch();
  void status();
  void report_progress();

  const TransactionsOptions& options_;
  std::vector<Step> schedule_;
  const Output& output_;
  EventLoop loop_;
  Pacer pacer_;
  TxRun run_;
  bool stopping_ = false;
  double stopped_after_ = 0;
  TxNow peak_;
  std::map<std::string, TxNow> peak_by_pooler_;
  std::optional<nlohmann::ordered_json> barrier_;
  std::vector<std::unique_ptr<ListenerProbe>> probes_;
  nlohmann::ordered_json listeners_gone_ = nlohmann::ordered_json::object();
};

void Transactions::set_clients(int count) {
  if (stopping_) return;
  output_.event("clients", {{"target", count}});
  for (std::size_t i = 0; i < run_.clients.size(); ++i) {
    if (static_cast<int>(i) < count) {
      run_.clients[i]->start();
    } else {
      run_.clients[i]->stop();
    }
  }
}

void Transactions::set_gate(bool closed, const char* by) {
  if (run_.gate_closed == closed) return;
  run_.gate_closed = closed;
  output_.event("gate", {{"closed", closed}, {"by", by}});
  output_.progress(closed ? "gate closed" : "gate open");
  if (closed) return;
  for (const auto& client : run_.clients) client->pass_gate();
}

void Transactions::stop(const char* why) {
  if (stopping_) return;
  stopping_ = true;
  stopped_after_ = output_.elapsed();
  output_.event("stopping", {{"by", why}});
  for (const auto& client : run_.clients) client->stop();
  set_gate(false, "stop");
  loop_.after(seconds(options_.stop_grace), [this] {
    for (const auto& client : run_.clients) client->abandon();
  });
}

void Transactions::start_probes(const Target& target) {
  for (const auto& route : target.direct) {
    probes_.push_back(std::make_unique<ListenerProbe>(
        loop_, route.endpoints.front(), std::chrono::milliseconds(10),
        [this, label = route.endpoints.front().label] { listener_gone(label); }));
    probes_.back()->start();
  }
}

void Transactions::listener_gone(const std::string& label) {
  // Clients on the pooler by the address dialled: it is known from the first moment, and right on
  // loopback as well.
  TxNow here;
  for (const auto& client : run_.clients) {
    if (client->dialled() == label) here.add(client->step());
  }
  auto fields = here.json();
  fields["address"] = label;
  output_.event("listener_gone", fields);
  output_.progress(label + " takes no more connections, " + std::to_string(here.in_transaction) +
                   " in a transaction on it");
  fields["t"] = unix_time();
  listeners_gone_[label] = fields;
}

void Transactions::watch() {
  const TxNow now = run_.now();
  peak_.connected = std::max(peak_.connected, now.connected);
  peak_.in_transaction = std::max(peak_.in_transaction, now.in_transaction);
  peak_.in_statement = std::max(peak_.in_statement, now.in_statement);
  for (const auto& [pooler, here] : run_.now_by_pooler()) {
    auto& peak = peak_by_pooler_[pooler];
    peak.connected = std::max(peak.connected, here.connected);
    peak.in_transaction = std::max(peak.in_transaction, here.in_transaction);
    peak.in_statement = std::max(peak.in_statement, here.in_statement);
  }
  if (options_.barrier > 0 && !barrier_) {
    const TxNow here = run_.now(options_.barrier_at);
    if (here.in_transaction >= options_.barrier) {
      barrier_ = here.json();
      (*barrier_)["at"] = options_.barrier_at.empty() ? "any" : options_.barrier_at;
      output_.event("barrier", *barrier_);
      (*barrier_)["t"] = unix_time();
      output_.progress("barrier: " + std::to_string(here.in_transaction) + " in a transaction");
    }
  }
  if (!stopping_) return;
  for (const auto& client : run_.clients) {
    if (client->step() != TxStep::kOff) return;
  }
  for (const auto& probe : probes_) probe->stop();
  loop_.stop();
}

void Transactions::status() {
  if (!output_.events()) return;
  nlohmann::ordered_json fields = run_.now().json();
  fields["acknowledged"] = run_.total.acknowledged;
  fields["lost"] = run_.total.lost();
  fields["boundary"] = run_.total.boundary();
  fields["aborted"] = run_.total.aborted;
  fields["connect_failures"] = run_.connect_errors.total();
  auto poolers = nlohmann::ordered_json::object();
  for (const auto& [pooler, now] : run_.now_by_pooler()) poolers[pooler] = now.json();
  fields["by_pooler"] = poolers;
  output_.event("status", fields);
}

void Transactions::report_progress() {
  const TxNow now = run_.now();
  const auto& total = run_.total;
  output_.progress(
      std::to_string(now.connected) + " connected, " + std::to_string(now.in_transaction) +
      " in a transaction, " + std::to_string(total.acknowledged) + " committed, " +
      std::to_string(total.lost()) + " lost, " + std::to_string(total.boundary()) +
      " cut at a boundary, " + std::to_string(run_.connect_errors.total()) + " failed logins");
}

nlohmann::ordered_json Transactions::json() const {
  nlohmann::ordered_json out = {{"run_id", options_.tx.run_id},
                                {"table", options_.tx.table},
                                {"clients", run_.clients.size()}};
  out.update(run_.total.json());
  const double time = stopped_after_ > 0 ? stopped_after_ : output_.elapsed();
  out["per_second"] = rounded(static_cast<double>(run_.total.acknowledged) / std::max(time, 0.001));
  out["peak"] = peak_.json();
  out["errors"] = {{"lost", run_.lost_errors.json()},
                   {"boundary", run_.boundary_errors.json()},
                   {"aborted", run_.aborted_errors.json()},
                   {"connect", run_.connect_errors.json()}};
  out["latency"] = {{"connect", run_.connect_latency.json()},
                    {"begin", run_.begin_latency.json()},
                    {"commit", run_.commit_latency.json()},
                    {"transaction", run_.transaction_latency.json()}};
  auto poolers = nlohmann::ordered_json::object();
  for (const auto& [pooler, counts] : run_.by_pooler) {
    if (counts.empty()) continue;
    poolers[pooler] = {{"connections", counts.connected},     {"begun", counts.begun},
                       {"acknowledged", counts.acknowledged}, {"lost", counts.lost()},
                       {"aborted", counts.aborted},           {"boundary", counts.boundary()}};
    if (const auto peak = peak_by_pooler_.find(pooler); peak != peak_by_pooler_.end()) {
      poolers[pooler]["peak"] = peak->second.json();
    }
    if (const auto cut = run_.first_cut.find(pooler); cut != run_.first_cut.end()) {
      poolers[pooler]["first_cut"] = {{"t", cut->second.t}, {"error", cut->second.error}};
      poolers[pooler]["first_cut"].update(cut->second.now.json());
    }
  }
  out["by_pooler"] = poolers;
  auto routes = nlohmann::ordered_json::object();
  for (const auto& [route, counts] : run_.by_route) routes[route] = counts.json();
  out["by_route"] = routes;
  out["listener_gone"] = listeners_gone_;
  out["barrier"] = barrier_ ? *barrier_ : nlohmann::ordered_json();
  return out;
}

bool create_table(const TransactionsOptions& options, const Target& target,
                  const ConnectionSettings& settings) {
  std::string error;
  // Two processes that create it at once: the later one gets one of these two errors.
  const std::vector<std::string> already_there = {"42P07", "23505"};
  const auto result = run_sql(target, settings,
                              {"create table if not exists " + options.tx.table +
                               " (run_id text not null, client integer not null, number bigint not "
                               "null, at timestamptz not null default clock_timestamp())"},
                              error, already_there);
  if (!result) std::fprintf(stderr, "pooler-load: --init: %s\n", error.c_str());
  return result.has_value();
}

bool write_ledger(const std::string& file, const RunLedger& ledger) {
  std::ofstream stream(file);
  stream << ledger.json().dump() << "\n";
  stream.close();
  if (stream) return true;
  std::fprintf(stderr, "pooler-load: cannot write %s\n", file.c_str());
  return false;
}

int run_transactions(TransactionsOptions options) {
  if (options.tx.run_id.empty()) options.tx.run_id = random_run_id();
  if (options.admin_url_env.empty()) options.admin_url_env = options.common.url_env;
  if (!valid_table_name(options.tx.table)) {
    std::fprintf(stderr, "pooler-load: --table is no plain lower-case name\n");
    return kCannotRun;
  }
  auto schedule = options.schedule.empty()
                      ? std::optional<std::vector<Step>>({Step{0, options.clients}})
                      : parse_schedule(options.schedule);
  if (!schedule) {
    std::fprintf(stderr, "pooler-load: --schedule is no list of SECONDS:CLIENTS\n");
    return kCannotRun;
  }
  const auto target = load_target(options.common.url_env, options.common.host_overrides);
  const auto admin = target ? load_target(options.admin_url_env) : nullptr;
  int most = 0;
  for (const auto& step : *schedule) most = std::max(most, step.clients);
  if (!target || !admin || !make_room_for(most)) return kCannotRun;
  ScramKeyCache keys;
  const auto settings = connection_settings(*target, options.common, keys);
  const auto admin_settings = connection_settings(*admin, options.common, keys);
  if (options.init && !create_table(options, *admin, admin_settings)) return kCannotRun;

  const Output output(options.common.events, options.common.quiet);
  nlohmann::ordered_json fields;
  RunLedger ledger;
  bool ok = false;
  {
    Transactions transactions(options, *target, settings, std::move(*schedule), output);
    transactions.run();
    fields = transactions.json();
    ledger = transactions.ledger();
    ok = transactions.ok();
  }
  fields["scram_keys_computed"] = keys.computed();
  if (!options.ledger_file.empty()) ok = write_ledger(options.ledger_file, ledger) && ok;
  if (options.verify) {
    std::string error;
    const auto verdict =
        verify_rows(*admin, admin_settings, ledger.table, ledger.run_id, ledger.clients, error);
    fields["verify"] =
        verdict ? verdict->json() : nlohmann::ordered_json{{"ok", false}, {"error", error}};
    ok = ok && verdict && verdict->ok();
  }
  output.result("transactions", ok, fields);
  return ok ? kOk : kNotOk;
}

void add_client_options(CLI::App& command, TransactionsOptions& options) {
  const auto seconds_range = CLI::Range(0.0, 3600.0);
  command.add_option("--clients", options.clients, "Clients that work at once")
      ->check(CLI::Range(1, kMaxClients))
      ->capture_default_str();
  command.add_option("--schedule", options.schedule,
                     "SECONDS:CLIENTS,... instead of --clients: how many work from when on, for "
                     "example 0:200,10:4000,70:200");
  command.add_option("--duration", options.duration, "Seconds until the clients are told to end")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  command.add_option("--rate", options.rate, "Logins begun per second; 0 is all at once")
      ->check(CLI::Range(0.0, 100000.0))
      ->capture_default_str();
  command
      .add_option("--concurrency", options.concurrency, "Logins under way at once; 0 is no limit")
      ->check(CLI::Range(0, kMaxClients))
      ->capture_default_str();
  command.add_option("--think", options.tx.think, "Seconds idle inside each transaction")
      ->check(seconds_range)
      ->capture_default_str();
  command.add_option("--sleep", options.tx.sleep, "Seconds of pg_sleep inside each transaction")
      ->check(seconds_range)
      ->capture_default_str();
  command.add_option("--pause", options.tx.pause, "Seconds between two transactions of a client")
      ->check(seconds_range)
      ->capture_default_str();
  command
      .add_option("--slow-share", options.tx.slow_share,
                  "Share of the transactions that sleep for --slow-seconds instead")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--slow-seconds", options.tx.slow_seconds, "pg_sleep of the slow ones")
      ->check(seconds_range)
      ->capture_default_str();
  command.add_option("--jitter", options.tx.jitter, "All waits vary by this share, up and down")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--retry", options.tx.retry, "Seconds to wait after a failed login")
      ->check(CLI::Range(0.001, 60.0))
      ->capture_default_str();
}

void add_book_options(CLI::App& command, TransactionsOptions& options) {
  command.add_option("--table", options.tx.table, "Table of the numbered rows")
      ->capture_default_str();
  command.add_flag("--init", options.init, "Create the table where it is missing");
  command.add_option("--run-id", options.tx.run_id, "Marks this run's rows; random when left out");
  command
      .add_option("--client-offset", options.client_offset,
                  "Number of the first client, for several processes with one --run-id")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  command.add_option("--ledger", options.ledger_file, "File for `verify`: what was acknowledged");
  command.add_flag("--verify", options.verify, "Verify at the end of the run");
  command.add_option("--admin-url-env", options.admin_url_env,
                     "Environment variable of the URL for --init and --verify, for example "
                     "DATABASE_URL (default: as --url-env)");
}

void add_barrier_options(CLI::App& command, TransactionsOptions& options) {
  command
      .add_option("--direct-share", options.tx.direct_share,
                  "Share of the clients that begin at the --host-override addresses")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_flag("--sticky", options.tx.sticky,
                   "They come back to that address after a cut (default: to the URL's host)");
  command.add_flag(
      "--probe", options.probe,
      "Connect to the --host-override addresses every 10 ms and say (event "
      "`listener_gone`) when one stops listening, which is the moment of its shutdown, "
      "and how many of its clients were in a transaction");
  command
      .add_option("--barrier", options.barrier,
                  "Say so (event `barrier`) once this many clients are in a transaction")
      ->check(CLI::Range(0, kMaxClients));
  command.add_option("--barrier-at", options.barrier_at,
                     "Count only those on this pooler (its address as Postgres sees it)");
  command.add_flag(
      "--gate", options.gate,
      "Every client waits inside its transaction, before COMMIT, until SIGUSR1; SIGUSR2 "
      "closes the gate again");
  command.add_option("--gate-max", options.gate_max, "Seconds until the gate opens by itself")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command.add_option("--status-ms", options.status_ms, "Milliseconds between two events `status`")
      ->check(CLI::Range(10, 60000))
      ->capture_default_str();
  command
      .add_option("--stop-grace", options.stop_grace,
                  "Seconds for open transactions to end after the duration")
      ->check(CLI::Range(0.0, 600.0))
      ->capture_default_str();
}

}  // namespace

void add_transactions(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("transactions",
                                     "Clients that commit numbered rows, come back after every "
                                     "cut, and keep books of what was lost");
  command->footer(
      "Each client loops: BEGIN; INSERT of its next number; pg_sleep (--sleep); think (--think); "
      "COMMIT.\n"
      "lost: an open transaction (BEGIN answered) whose connection ended before COMMIT was "
      "answered:\n"
      "  lost_statement (a statement was on its way), lost_hold (none was), lost_commit.\n"
      "boundary: cut between transactions or before BEGIN was answered; safe to retry.\n"
      "aborted: a statement was answered by an error and the connection lived.\n"
      "unfinished: still open when --stop-grace was over.\n"
      "ok: lost, aborted and unfinished are 0, something was acknowledged, --verify found nothing "
      "wrong.\n"
      "by_pooler is keyed by the address that Postgres sees (\"?\": cut before the first answer), "
      "by_route by the address dialled;\nfirst_cut says how many of a pooler's clients were in a "
      "transaction when it cut the first one.");
  auto options = std::make_shared<TransactionsOptions>();
  add_client_options(*command, *options);
  add_book_options(*command, *options);
  add_barrier_options(*command, *options);
  add_common_options(*command, options->common);
  command->callback([options, &exit_code] { exit_code = run_transactions(*options); });
}

}  // namespace pooler::load
