#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "load/options.h"

namespace pooler::load {
namespace {

struct CancelOptions {
  CommonOptions common;
  std::string control_url_env;
  std::string via = "pairs";
  int queries = 27;
  double interval_ms = 20;
  double sleep = 60;
  double settle = 1;
  double start_timeout = 30;
  double again_ms = 0;
  double deadline = 10;
};

enum class Outcome { kPending, kCanceled, kOtherError, kCompleted, kClosed };

class CancelRun;

/// One long query and what became of it.
class Sleeper final : public Connection::Listener {
 public:
  Sleeper(CancelRun& run, int index);
  void start();
  void send_cancel();
  bool sleeping() const { return connection_.busy() && outcome_ == Outcome::kPending; }
  /// Nothing more is to be expected of it.
  bool settled() const { return !connection_.is_open() || (answered_ && connection_.idle()); }
  const Route& owner() const;
  const Route& via() const;
  bool forwarded() const { return owner().label != via().label; }

  void on_ready(Connection& connection) override;
  void on_result(Connection& connection, const QueryResult& result) override;
  void on_closed(Connection& connection, const Closed& closed) override;

  Outcome outcome_ = Outcome::kPending;
  bool sent_ = false;
  bool usable_after_ = false;

 private:
  CancelRun& run_;
  std::size_t index_;
  Connection connection_;
  bool answered_ = false;
  TimePoint sent_at_;
  std::vector<std::unique_ptr<CancelRequest>> requests_;
};

/// Asks Postgres which of the queries run, and for which pooler.
class Control final : public Connection::Listener {
 public:
  Control(CancelRun& run, const Target& target, const ConnectionSettings& settings);
  void start() { connection_.open(target_.service.endpoints); }

  void on_ready(Connection& connection) override { ask(connection); }
  void on_result(Connection& connection, const QueryResult& result) override;
  void on_closed(Connection& connection, const Closed& closed) override;

 private:
  void ask(Connection& connection);

  CancelRun& run_;
  const Target& target_;
  Connection connection_;
};

class CancelRun {
 public:
  CancelRun(const CancelOptions& options, const Target& target, const ConnectionSettings& settings,
            const Target* control, const ConnectionSettings* control_settings, const Output& output)
      : options_(options),
        target_(target),
        settings_(settings),
        output_(output),
        tag_("pooler-load cancel " + scram_nonce()) {
    for (int i = 0; i < options.queries; ++i)
      sleepers_.push_back(std::make_unique<Sleeper>(*this, i));
    if (control != nullptr)
      control_ = std::make_unique<Control>(*this, *control, *control_settings);
  }

  void run();
  bool ok() const;
  nlohmann::ordered_json json() const;

 private:
  friend class Sleeper;
  friend class Control;

  void sleeping_one();
  void seen(const QueryResult& result);
  void begin_cancels();
  void check_end();

  const CancelOptions& options_;
  const Target& target_;
  const ConnectionSettings& settings_;
  const Output& output_;
  const std::string tag_;
  EventLoop loop_;
  std::vector<std::unique_ptr<Sleeper>> sleepers_;
  std::unique_ptr<Control> control_;

  int asked_ = 0;
  int running_ = 0;
  bool cancelling_ = false;
  int sent_ = 0;
  int again_ = 0;
  std::map<std::string, int> owners_;
  std::map<CancelRequest::Outcome, int> requests_;
  ErrorCounts errors_;
  Latency latency_;
  Latency direct_latency_;
  Latency forwarded_latency_;
};

Sleeper::Sleeper(CancelRun& run, int index)
    : run_(run),
      index_(static_cast<std::size_t>(index)),
      connection_(run.loop_, run.settings_, *this) {}

void Sleeper::start() { connection_.open(owner().endpoints); }

const Route& Sleeper::owner() const { return run_.target_.route(index_); }

const Route& Sleeper::via() const {
  const std::size_t count = run_.target_.direct.size();
  if (count == 0 || run_.options_.via == "service") return run_.target_.service;
  const std::size_t round = index_ / count;
  if (run_.options_.via == "same") return owner();
  if (run_.options_.via == "other" && count > 1) {
    return run_.target_.route(index_ + 1 + round % (count - 1));
  }
  // Pairs: with n addresses, n * n queries in a row try every (owner, via) once.
  return run_.target_.route(round);
}

void Sleeper::on_ready(Connection& connection) {
  connection.query("select pg_sleep(" + std::to_string(run_.options_.sleep) + ") /* " + run_.tag_ +
                   " */");
  run_.sleeping_one();
}

void Sleeper::send_cancel() {
  if (!sleeping() || !connection_.cancel_key()) return;
  if (!sent_) sent_at_ = Clock::now();
  ++(sent_ ? run_.again_ : run_.sent_);
  sent_ = true;
  requests_.push_back(std::make_unique<CancelRequest>(
      run_.loop_, via().endpoints.front(), *connection_.cancel_key(),
      seconds(run_.options_.common.connect_timeout),
      [this](CancelRequest::Outcome outcome) { ++run_.requests_[outcome]; }));
  requests_.back()->start();
  if (run_.options_.again_ms > 0) {
    run_.loop_.after(seconds(run_.options_.again_ms / 1000), [this] { send_cancel(); });
  }
}

void Sleeper::on_result(Connection& connection, const QueryResult& result) {
  if (answered_) {
    usable_after_ = !result.error;
    run_.check_end();
    return;
  }
  answered_ = true;
  if (result.error && result.error->sqlstate == "57014" && sent_) {
    outcome_ = Outcome::kCanceled;
    run_.latency_.add(Clock::now() - sent_at_);
    (forwarded() ? run_.forwarded_latency_ : run_.direct_latency_).add(Clock::now() - sent_at_);
  } else if (result.error) {
    outcome_ = Outcome::kOtherError;
    run_.errors_.add(*result.error);
  } else {
    outcome_ = Outcome::kCompleted;
  }
  connection.query("select 1");
}

void Sleeper::on_closed(Connection& /*connection*/, const Closed& closed) {
  if (!answered_) outcome_ = Outcome::kClosed;
  run_.errors_.add(closed);
  if (closed.during_login) run_.sleeping_one();
  run_.check_end();
}

Control::Control(CancelRun& run, const Target& target, const ConnectionSettings& settings)
    : run_(run), target_(target), connection_(run.loop_, settings, *this) {}

void Control::ask(Connection& connection) {
  connection.query(
      "select coalesce(host(client_addr), 'local'), count(*) from pg_stat_activity where state = "
      "'active' and pid <> pg_backend_pid() and position(" +
      sql_literal(run_.tag_) + " in query) > 0 group by 1");
}

void Control::on_result(Connection& connection, const QueryResult& result) {
  if (result.error) run_.errors_.add("control: " + class_of(*result.error));
  run_.seen(result);
  if (run_.cancelling_) {
    connection.close();
    return;
  }
  run_.loop_.after(std::chrono::milliseconds(50), [this, &connection] {
    if (connection.idle()) ask(connection);
  });
}

void Control::on_closed(Connection& /*connection*/, const Closed& closed) {
  run_.errors_.add("control: " + class_of(closed));
}

void CancelRun::sleeping_one() {
  if (++asked_ != options_.queries) return;
  output_.event("asked", {{"queries", asked_}});
  if (control_) {
    control_->start();
    loop_.after(seconds(options_.start_timeout), [this] { begin_cancels(); });
  } else {
    loop_.after(seconds(options_.settle), [this] { begin_cancels(); });
  }
}

void CancelRun::seen(const QueryResult& result) {
  running_ = 0;
  owners_.clear();
  for (const auto& row : result.rows) {
    if (row.size() != 2 || !row[0] || !row[1]) continue;
    const int count = std::stoi(*row[1]);
    owners_[*row[0]] = count;
    running_ += count;
  }
  if (running_ >= options_.queries) begin_cancels();
}

void CancelRun::begin_cancels() {
  if (cancelling_) return;
  cancelling_ = true;
  output_.event("cancelling", {{"running", running_}});
  output_.progress("cancelling " + std::to_string(options_.queries) + " queries, " +
                   std::to_string(options_.interval_ms) + " ms apart");
  for (std::size_t i = 0; i < sleepers_.size(); ++i) {
    const double at = static_cast<double>(i) * options_.interval_ms / 1000;
    loop_.after(seconds(at), [this, i] { sleepers_[i]->send_cancel(); });
  }
  const double last = static_cast<double>(sleepers_.size()) * options_.interval_ms / 1000;
  loop_.after(seconds(last + options_.deadline), [this] { loop_.stop(); });
}

void CancelRun::check_end() {
  for (const auto& sleeper : sleepers_) {
    if (!sleeper->settled()) return;
  }
  // Late answers to the cancel connections themselves; they come within milliseconds of the query's
  // end.
  loop_.after(std::chrono::milliseconds(100), [this] { loop_.stop(); });
}

void CancelRun::run() {
  stop_on_signal(loop_, [this] { loop_.stop(); });
  for (const auto& sleeper : sleepers_) sleeper->start();
  loop_.run();
}

bool CancelRun::ok() const {
  for (const auto& sleeper : sleepers_) {
    if (sleeper->outcome_ != Outcome::kCanceled || !sleeper->usable_after_) return false;
  }
  return !control_ || running_ >= options_.queries;
}

nlohmann::ordered_json CancelRun::json() const {
  std::map<Outcome, int> outcomes;
  struct Pair {
    int sent = 0;
    int canceled = 0;
    nlohmann::ordered_json json() const { return {{"sent", sent}, {"canceled", canceled}}; }
  };
  Pair direct;
  Pair forwarded;
  std::map<std::string, Pair> pairs;
  int usable = 0;
  for (const auto& sleeper : sleepers_) {
    ++outcomes[sleeper->outcome_];
    usable += sleeper->usable_after_ ? 1 : 0;
    const int canceled = sleeper->outcome_ == Outcome::kCanceled ? 1 : 0;
    for (auto* pair : {sleeper->forwarded() ? &forwarded : &direct,
                       &pairs[sleeper->owner().label + " via " + sleeper->via().label]}) {
      pair->sent += sleeper->sent_ ? 1 : 0;
      pair->canceled += canceled;
    }
  }
  const auto count = [](const auto& map, auto key) {
    const auto found = map.find(key);
    return found == map.end() ? 0 : found->second;
  };
  nlohmann::ordered_json out = {{"queries", options_.queries},
                                {"running", nlohmann::ordered_json()},
                                {"sent", sent_},
                                {"again", again_},
                                {"canceled", count(outcomes, Outcome::kCanceled)},
                                {"other_error", count(outcomes, Outcome::kOtherError)},
                                {"completed", count(outcomes, Outcome::kCompleted)},
                                {"closed", count(outcomes, Outcome::kClosed)},
                                {"pending", count(outcomes, Outcome::kPending)},
                                {"usable_after", usable}};
  if (control_) out["running"] = running_;
  // Behind one address nobody can tell from outside which pooler took a cancel.
  const bool known = !target_.direct.empty() && options_.via != "service";
  out["direct"] = known ? direct.json() : nlohmann::ordered_json();
  out["forwarded"] = known ? forwarded.json() : nlohmann::ordered_json();
  const int taken = count(requests_, CancelRequest::Outcome::kTaken);
  const int failed = count(requests_, CancelRequest::Outcome::kFailed);
  const int timeout = count(requests_, CancelRequest::Outcome::kTimeout);
  out["requests"] = {{"taken", taken},
                     {"failed", failed},
                     {"timeout", timeout},
                     {"open", sent_ + again_ - taken - failed - timeout}};
  out["latency"] = {{"all", latency_.json()}};
  if (known) {
    out["latency"]["direct"] = direct_latency_.json();
    out["latency"]["forwarded"] = forwarded_latency_.json();
  }
  out["errors"] = errors_.json();
  out["owners"] = owners_;
  auto& by_pair = out["by_pair"] = nlohmann::ordered_json::object();
  for (const auto& [name, pair] : pairs) by_pair[name] = pair.json();
  return out;
}

int run_cancel(const CancelOptions& options) {
  const auto target = load_target(options.common.url_env, options.common.host_overrides);
  if (!target || !make_room_for(2 * options.queries)) return kCannotRun;
  ScramKeyCache keys;
  auto settings = connection_settings(*target, options.common, keys);
  settings.query_timeout = Duration::zero();
  std::unique_ptr<Target> control;
  ConnectionSettings control_settings;
  if (!options.control_url_env.empty()) {
    control = load_target(options.control_url_env);
    if (!control) return kCannotRun;
    control_settings = connection_settings(*control, options.common, keys);
  }
  const Output output(options.common.events, options.common.quiet);
  CancelRun run(options, *target, settings, control.get(), &control_settings, output);
  run.run();
  output.result("cancel", run.ok(), run.json());
  return run.ok() ? kOk : kNotOk;
}

}  // namespace

void add_cancel(CLI::App& app, int& exit_code) {
  auto* command =
      app.add_subcommand("cancel", "Long queries, each cancelled over a connection of its own");
  command->footer(
      "With --host-override ADDRESS for each pooler, queries take turns over the addresses, and "
      "--via "
      "says where their cancels go:\n"
      "  pairs: every combination in turn (27 queries, 3 addresses: 9 direct, 18 forwarded);\n"
      "  other: never the query's own; same: only that; service: the URL's host.\n"
      "Without overrides all goes to the URL's host; direct and forwarded are then null, for "
      "nobody "
      "can tell.\n"
      "With --control-url-env the cancels wait until Postgres shows all queries as active "
      "(running, "
      "and owners by client address);\nthat role must see the others' queries. Without it they "
      "wait "
      "--settle seconds.\n"
      "ok: every query ended with SQLSTATE 57014 after its cancel and its connection answered once "
      "more.");
  auto options = std::make_shared<CancelOptions>();
  command->add_option("--queries", options->queries, "Long queries")
      ->check(CLI::Range(1, 2000))
      ->capture_default_str();
  command
      ->add_option("--interval-ms", options->interval_ms,
                   "Milliseconds between two cancels; 0: all at once")
      ->check(CLI::Range(0.0, 60000.0))
      ->capture_default_str();
  command->add_option("--via", options->via, "pairs, other, same or service")
      ->check(CLI::IsMember({"pairs", "other", "same", "service"}))
      ->capture_default_str();
  command
      ->add_option("--again-ms", options->again_ms,
                   "Milliseconds until a query that still runs gets another cancel; 0: never")
      ->check(CLI::Range(0.0, 60000.0))
      ->capture_default_str();
  command->add_option("--sleep", options->sleep, "Seconds that each query would take")
      ->check(CLI::Range(1.0, 3600.0))
      ->capture_default_str();
  command->add_option("--control-url-env", options->control_url_env,
                      "Environment variable of a direct URL, for example DATABASE_URL");
  command->add_option("--settle", options->settle, "Seconds to wait before cancelling without it")
      ->check(CLI::Range(0.0, 60.0))
      ->capture_default_str();
  command
      ->add_option("--start-timeout", options->start_timeout,
                   "Seconds until cancelling begins though not all queries run")
      ->check(CLI::Range(0.1, 600.0))
      ->capture_default_str();
  command->add_option("--deadline", options->deadline, "Seconds after the last cancel")
      ->check(CLI::Range(0.1, 600.0))
      ->capture_default_str();
  add_common_options(*command, options->common);
  command->callback([options, &exit_code] { exit_code = run_cancel(*options); });
}

}  // namespace pooler::load
