#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "load/options.h"

namespace pooler::load {
namespace {

struct ReconnectOptions {
  CommonOptions common;
  int connections = 200;
  int concurrency = 20;
  double rate = 0;
  double time_limit = 300;
  std::string query;
};

class Reconnect;

/// One of the --concurrency places: connects, asks, closes, and again until all connections are
/// used up.
class Visitor final : public Connection::Listener {
 public:
  explicit Visitor(Reconnect& run);
  void next();
  void leave() { connection_.close(); }

  void on_ready(Connection& connection) override;
  void on_result(Connection& connection, const QueryResult& result) override;
  void on_closed(Connection& connection, const Closed& closed) override;

 private:
  void done();

  Reconnect& run_;
  Connection connection_;
  TimePoint began_;
};

class Reconnect {
 public:
  Reconnect(const ReconnectOptions& options, const Target& target,
            const ConnectionSettings& settings, const Output& output)
      : options_(options),
        target_(target),
        settings_(settings),
        output_(output),
        pacer_(loop_, options.rate, 0) {
    for (int i = 0; i < options.concurrency; ++i)
      visitors_.push_back(std::make_unique<Visitor>(*this));
  }

  void run();
  bool ok() const { return answered_ == options_.connections; }
  nlohmann::ordered_json json() const;

 private:
  friend class Visitor;

  const ReconnectOptions& options_;
  const Target& target_;
  const ConnectionSettings& settings_;
  const Output& output_;
  EventLoop loop_;
  Pacer pacer_;
  std::vector<std::unique_ptr<Visitor>> visitors_;

  int begun_ = 0;
  int finished_ = 0;
  int answered_ = 0;
  TimePoint started_;
  double started_t_ = 0;
  Duration first_answer_{-1};
  bool timed_out_ = false;
  std::map<std::string, std::uint64_t> failed_by_cause_;
  std::map<std::string, int> poolers_;
  ErrorCounts errors_;
  Latency connect_latency_;
  Latency query_latency_;
  Latency whole_latency_;
};

Visitor::Visitor(Reconnect& run) : run_(run), connection_(run.loop_, run.settings_, *this) {}

void Visitor::next() {
  if (run_.begun_ == run_.options_.connections) return;
  const auto number = static_cast<std::size_t>(run_.begun_++);
  run_.pacer_.enqueue([this, number] {
    began_ = Clock::now();
    connection_.open(run_.target_.route(number).endpoints);
  });
}

void Visitor::on_ready(Connection& connection) {
  run_.connect_latency_.add(connection.login_time());
  connection.query(run_.options_.query);
}

void Visitor::on_result(Connection& connection, const QueryResult& result) {
  if (result.error) {
    run_.errors_.add(*result.error);
    ++run_.failed_by_cause_["query"];
  } else {
    if (run_.answered_++ == 0) run_.first_answer_ = Clock::now() - run_.started_;
    run_.query_latency_.add(result.latency);
    run_.whole_latency_.add(Clock::now() - began_);
    if (!result.rows.empty() && !result.rows[0].empty()) {
      ++run_.poolers_[result.rows[0].back().value_or("NULL")];
    }
  }
  connection.close();
  done();
}

void Visitor::on_closed(Connection& /*connection*/, const Closed& closed) {
  run_.errors_.add(closed);
  ++run_.failed_by_cause_[closed.during_login ? name_of(closed.cause) : "query"];
  done();
}

void Visitor::done() {
  run_.pacer_.finished();
  if (++run_.finished_ == run_.options_.connections) {
    run_.loop_.stop();
    return;
  }
  next();
}

void Reconnect::run() {
  const auto stop = [this] {
    timed_out_ = true;
    loop_.stop();
  };
  stop_on_signal(loop_, stop);
  loop_.after(seconds(options_.time_limit), stop);
  loop_.every(std::chrono::seconds(1), [this] {
    output_.progress(std::to_string(answered_) + " of " + std::to_string(options_.connections) +
                     " answered, " + std::to_string(errors_.total()) + " errors");
    output_.event("status", {{"answered", answered_}, {"errors", errors_.total()}});
  });
  started_ = Clock::now();
  started_t_ = unix_time();
  for (const auto& visitor : visitors_) visitor->next();
  loop_.run();
  for (const auto& visitor : visitors_) visitor->leave();
}

nlohmann::ordered_json Reconnect::json() const {
  nlohmann::ordered_json out = {{"connections", options_.connections},
                                {"begun", begun_},
                                {"answered", answered_},
                                {"failed", errors_.total()},
                                {"failed_by_cause", failed_by_cause_},
                                {"stopped_early", timed_out_},
                                {"started_t", started_t_}};
  out["first_answer_ms"] = answered_ > 0 ? nlohmann::ordered_json(rounded(to_ms(first_answer_)))
                                         : nlohmann::ordered_json();
  out["errors"] = errors_.json();
  out["latency"] = {{"connect", connect_latency_.json()},
                    {"query", query_latency_.json()},
                    {"whole", whole_latency_.json()}};
  out["by_pooler"] = poolers_;
  return out;
}

int run_reconnect(const ReconnectOptions& options) {
  const auto target = load_target(options.common.url_env, options.common.host_overrides);
  if (!target || !make_room_for(options.concurrency)) return kCannotRun;
  ScramKeyCache keys;
  const auto settings = connection_settings(*target, options.common, keys);
  const Output output(options.common.events, options.common.quiet);
  Reconnect reconnect(options, *target, settings, output);
  reconnect.run();
  auto fields = reconnect.json();
  fields["scram_keys_computed"] = keys.computed();
  output.result("reconnect", reconnect.ok(), fields);
  return reconnect.ok() ? kOk : kNotOk;
}

}  // namespace

void add_reconnect(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "reconnect", "Short connections: connect, one query, close; no attempt is repeated");
  command->footer(
      "ok: every connection got its answer.\n"
      "first_answer_ms counts from the start of the first connect; by_pooler counts answers by the "
      "address that Postgres sees (the query's last column).");
  auto options = std::make_shared<ReconnectOptions>();
  options->query = std::string("select 1, ") + kPoolerSql;
  command->add_option("--connections", options->connections, "Connections in all")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  command->add_option("--concurrency", options->concurrency, "Connections at once")
      ->check(CLI::Range(1, kMaxClients))
      ->capture_default_str();
  command->add_option("--rate", options->rate, "Connections begun per second; 0 is no limit")
      ->check(CLI::Range(0.0, 100000.0))
      ->capture_default_str();
  command->add_option("--time-limit", options->time_limit, "Seconds until the rest is given up")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  command->add_option("--query", options->query, "What each connection asks")
      ->capture_default_str();
  add_common_options(*command, options->common);
  command->callback([options, &exit_code] { exit_code = run_reconnect(*options); });
}

}  // namespace pooler::load
