#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "load/options.h"

namespace pooler::load {
namespace {

struct ConnectOptions {
  CommonOptions common;
  int clients = 100;
  double rate = 0;
  int concurrency = 0;
  double hold = 5;
  double repeat = 0;
  bool until_input_ends = false;
  std::string query;
};

class Connect;

/// One client: logs in, asks once, stays, asks again every --repeat seconds.
class Holder final : public Connection::Listener {
 public:
  Holder(Connect& run, int index);
  void start();
  void ask();
  void leave() { connection_.close(); }

  void on_ready(Connection& connection) override;
  void on_result(Connection& connection, const QueryResult& result) override;
  void on_closed(Connection& connection, const Closed& closed) override;

 private:
  void settle();

  Connect& run_;
  int index_;
  Connection connection_;
  int answers_ = 0;
  bool settled_ = false;  ///< has its first answer or an error
};

class Connect {
 public:
  Connect(const ConnectOptions& options, const Target& target, const ConnectionSettings& settings,
          const Output& output)
      : options_(options),
        target_(target),
        settings_(settings),
        output_(output),
        pacer_(loop_, options.rate, options.concurrency) {
    for (int i = 0; i < options.clients; ++i)
      holders_.push_back(std::make_unique<Holder>(*this, i));
  }

  void run();
  bool ok() const { return answered_ == options_.clients && lost_errors_.total() == 0; }
  nlohmann::ordered_json json() const;

 private:
  friend class Holder;

  void settled_one();
  void stop(const char* why);

  const ConnectOptions& options_;
  const Target& target_;
  const ConnectionSettings& settings_;
  const Output& output_;
  EventLoop loop_;
  Pacer pacer_;
  std::vector<std::unique_ptr<Holder>> holders_;

  int settled_ = 0;
  int connected_ = 0;
  int now_connected_ = 0;
  int peak_connected_ = 0;
  int answered_ = 0;
  bool stopping_ = false;
  std::uint64_t answers_ = 0;
  double first_attempt_at_ = 0;
  double settled_at_ = 0;
  std::map<std::string, std::uint64_t> failed_by_cause_;
  std::map<std::string, int> poolers_;
  std::set<std::string> backends_;
  ErrorCounts connect_errors_;
  ErrorCounts lost_errors_;
  ErrorCounts query_errors_;
  Latency connect_latency_;
  Latency first_latency_;
  Latency repeat_latency_;
};

Holder::Holder(Connect& run, int index)
    : run_(run), index_(index), connection_(run.loop_, run.settings_, *this) {}

void Holder::start() {
  run_.pacer_.enqueue(
      [this] { connection_.open(run_.target_.route(static_cast<std::size_t>(index_)).endpoints); });
}

void Holder::on_ready(Connection& connection) {
  ++run_.connected_;
  ++run_.now_connected_;
  run_.peak_connected_ = std::max(run_.peak_connected_, run_.now_connected_);
  run_.connect_latency_.add(connection.login_time());
  ask();
  run_.pacer_.finished();
}

void Holder::ask() {
  if (connection_.idle()) connection_.query(run_.options_.query);
}

void Holder::on_result(Connection& /*connection*/, const QueryResult& result) {
  if (result.error) {
    run_.query_errors_.add(*result.error);
  } else {
    ++run_.answers_;
    (answers_ == 0 ? run_.first_latency_ : run_.repeat_latency_).add(result.latency);
    if (answers_++ == 0) ++run_.answered_;
    if (!result.rows.empty() && result.rows[0].size() == 2) {
      if (answers_ == 1) ++run_.poolers_[result.rows[0][0].value_or("NULL")];
      run_.backends_.insert(result.rows[0][1].value_or("NULL"));
    }
  }
  settle();
  if (run_.options_.repeat > 0) {
    run_.loop_.after(seconds(run_.options_.repeat), [this] { ask(); });
  }
}

void Holder::on_closed(Connection& /*connection*/, const Closed& closed) {
  if (closed.during_login) {
    run_.connect_errors_.add(closed);
    ++run_.failed_by_cause_[name_of(closed.cause)];
    run_.pacer_.finished();
  } else {
    --run_.now_connected_;
    run_.lost_errors_.add(closed);
  }
  settle();
}

void Holder::settle() {
  if (settled_) return;
  settled_ = true;
  run_.settled_one();
}

void Connect::settled_one() {
  if (++settled_ != options_.clients || stopping_) return;
  settled_at_ = output_.elapsed();
  output_.event("settled", {{"connected", now_connected_},
                            {"answered", answered_},
                            {"failed", connect_errors_.total()}});
  output_.progress("all clients have tried: " + std::to_string(now_connected_) + " hold, " +
                   std::to_string(connect_errors_.total()) + " could not connect");
  loop_.after(seconds(options_.hold), [this] { stop("hold"); });
}

void Connect::stop(const char* why) {
  if (stopping_) return;
  stopping_ = true;
  output_.event("stopping", {{"by", why}, {"connected", now_connected_}});
  pacer_.clear();
  for (const auto& holder : holders_) holder->leave();
  loop_.stop();
}

void Connect::run() {
  stop_on_signal(loop_, [this] { stop("signal"); });
  if (options_.until_input_ends) {
    loop_.on_input([this](const std::string& line, bool end) {
      if (end || line == "stop") stop("input");
    });
  }
  loop_.every(std::chrono::seconds(1), [this] {
    output_.progress(std::to_string(now_connected_) + " connected, " + std::to_string(answers_) +
                     " answers, " + std::to_string(connect_errors_.total()) + " failed logins, " +
                     std::to_string(lost_errors_.total()) + " cut");
    output_.event("status", {{"connected", now_connected_},
                             {"answers", answers_},
                             {"failed", connect_errors_.total()},
                             {"lost", lost_errors_.total()}});
  });
  first_attempt_at_ = unix_time();
  for (const auto& holder : holders_) holder->start();
  loop_.run();
}

nlohmann::ordered_json Connect::json() const {
  return {{"clients", options_.clients},
          {"connected", connected_},
          {"answered", answered_},
          {"answers", answers_},
          {"peak_connected", peak_connected_},
          {"failed", connect_errors_.total()},
          {"failed_by_cause", failed_by_cause_},
          {"lost", lost_errors_.total()},
          {"first_attempt_t", first_attempt_at_},
          {"settled_after", rounded(settled_at_)},
          {"errors",
           {{"connect", connect_errors_.json()},
            {"query", query_errors_.json()},
            {"lost", lost_errors_.json()}}},
          {"latency",
           {{"connect", connect_latency_.json()},
            {"first_query", first_latency_.json()},
            {"repeated_query", repeat_latency_.json()}}},
          {"by_pooler", poolers_},
          {"backends", backends_.size()}};
}

int run_connect(const ConnectOptions& options) {
  const auto target = load_target(options.common.url_env, options.common.host_overrides);
  if (!target || !make_room_for(options.clients)) return kCannotRun;
  ScramKeyCache keys;
  const auto settings = connection_settings(*target, options.common, keys);
  const Output output(options.common.events, options.common.quiet);
  Connect connect(options, *target, settings, output);
  connect.run();
  auto fields = connect.json();
  fields["scram_keys_computed"] = keys.computed();
  output.result("connect", connect.ok(), fields);
  return connect.ok() ? kOk : kNotOk;
}

}  // namespace

void add_connect(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "connect", "Clients that log in, ask one query each and hold their connections");
  command->footer(
      "ok: every client got an answer and none was cut.\n"
      "Ends --hold seconds after the last client has an answer or an error, on SIGTERM, or "
      "(--stdin) "
      "when standard input ends or says `stop`.\n"
      "by_pooler counts clients by the address that Postgres sees, backends the distinct "
      "pg_backend_pid(), both for the default query only.");
  auto options = std::make_shared<ConnectOptions>();
  options->query = std::string("select ") + kPoolerSql + ", pg_backend_pid()";
  command->add_option("--clients", options->clients, "Number of clients")
      ->check(CLI::Range(1, kMaxClients))
      ->capture_default_str();
  command->add_option("--rate", options->rate, "Logins begun per second; 0 is all at once")
      ->check(CLI::Range(0.0, 100000.0))
      ->capture_default_str();
  command
      ->add_option("--concurrency", options->concurrency, "Logins under way at once; 0 is no limit")
      ->check(CLI::Range(0, kMaxClients))
      ->capture_default_str();
  command->add_option("--hold", options->hold, "Seconds to stay after all have tried")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  command
      ->add_option("--repeat", options->repeat,
                   "Seconds between two queries of a client; 0: only one")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  command->add_option("--query", options->query, "What each client asks")->capture_default_str();
  command->add_flag("--stdin", options->until_input_ends,
                    "Stop when standard input ends or says `stop`");
  add_common_options(*command, options->common);
  command->callback([options, &exit_code] { exit_code = run_connect(*options); });
}

}  // namespace pooler::load
