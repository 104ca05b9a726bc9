#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "load/options.h"

namespace pooler::load {
namespace {

struct WatchOptions {
  CommonOptions common;
  double interval_ms = 10;
  double duration = 3600;
  bool all_databases = false;
  bool include_self = false;
  std::string database;
  std::vector<std::string> users;
  std::vector<std::string> exclude_users;
  std::vector<std::string> exclude_addresses;
  std::vector<std::string> exclude_applications;
  int bound = 0;
  int event_ms = 1000;
};

std::string in_list(const std::vector<std::string>& values) {
  std::string list;
  for (const auto& value : values) list += (list.empty() ? "" : ", ") + sql_literal(value);
  return list;
}

std::string sample_sql(const WatchOptions& options) {
  std::string sql =
      "select coalesce(usename, '-'), coalesce(host(client_addr), 'local'), count(*), count(*) "
      "filter "
      "(where state in ('active', 'idle in transaction', 'idle in transaction (aborted)')) from "
      "pg_stat_activity where backend_type = 'client backend'";
  if (!options.include_self) sql += " and pid <> pg_backend_pid()";
  if (!options.database.empty()) {
    sql += " and datname = " + sql_literal(options.database);
  } else if (!options.all_databases) {
    sql += " and datname = current_database()";
  }
  if (!options.users.empty()) sql += " and usename in (" + in_list(options.users) + ")";
  if (!options.exclude_users.empty()) {
    sql += " and coalesce(usename, '-') not in (" + in_list(options.exclude_users) + ")";
  }
  if (!options.exclude_addresses.empty()) {
    sql += " and coalesce(host(client_addr), 'local') not in (" +
           in_list(options.exclude_addresses) + ")";
  }
  if (!options.exclude_applications.empty()) {
    sql += " and coalesce(application_name, '') not in (" + in_list(options.exclude_applications) +
           ")";
  }
  return sql + " group by 1, 2";
}

/// Samples the server's connections over one session, comes back when that is cut.
class Watcher final : public Connection::Listener {
 public:
  Watcher(const WatchOptions& options, const Target& target, const ConnectionSettings& settings,
          const Output& output)
      : options_(options),
        target_(target),
        output_(output),
        sql_(sample_sql(options)),
        connection_(loop_, settings, *this) {}

  void run();
  bool ok() const { return samples_ > 0 && over_bound_ == 0; }
  nlohmann::ordered_json json() const;

  void on_ready(Connection& connection) override;
  void on_result(Connection& connection, const QueryResult& result) override;
  void on_closed(Connection& connection, const Closed& closed) override;

 private:
  void sample();
  void add(const QueryResult& result);

  const WatchOptions& options_;
  const Target& target_;
  const Output& output_;
  const std::string sql_;
  EventLoop loop_;
  Connection connection_;

  TimePoint next_at_;
  TimePoint last_sample_;
  std::uint64_t samples_ = 0;
  std::uint64_t over_bound_ = 0;
  double sum_ = 0;
  int last_ = 0;
  int max_ = 0;
  int max_active_ = 0;
  double max_t_ = 0;
  double first_t_ = 0;
  double last_t_ = 0;
  std::map<int, std::uint64_t> histogram_;
  std::map<std::string, int> max_by_address_;
  std::map<std::string, int> max_by_user_;
  nlohmann::ordered_json at_max_;
  ErrorCounts errors_;
  Latency interval_;
  Latency query_;
};

void Watcher::on_ready(Connection& /*connection*/) {
  output_.event("watching", nlohmann::ordered_json::object());
  last_sample_ = {};
  next_at_ = Clock::now();
  sample();
}

void Watcher::sample() {
  if (connection_.idle()) connection_.query(sql_);
}

void Watcher::on_result(Connection& /*connection*/, const QueryResult& result) {
  if (result.error) {
    errors_.add(*result.error);
  } else {
    add(result);
    query_.add(result.latency);
  }
  const TimePoint now = Clock::now();
  // A late sample moves all later ones, so that a slow server is not asked in bursts.
  next_at_ = std::max(next_at_ + seconds(options_.interval_ms / 1000), now);
  loop_.after(next_at_ - now, [this] { sample(); });
}

void Watcher::add(const QueryResult& result) {
  const TimePoint now = Clock::now();
  if (last_sample_ != TimePoint()) interval_.add(now - last_sample_);
  last_sample_ = now;
  int total = 0;
  int active = 0;
  std::map<std::string, int> by_address;
  std::map<std::string, int> by_user;
  for (const auto& row : result.rows) {
    if (row.size() != 4 || !row[0] || !row[1] || !row[2] || !row[3]) continue;
    const int count = std::stoi(*row[2]);
    total += count;
    active += std::stoi(*row[3]);
    by_user[*row[0]] += count;
    by_address[*row[1]] += count;
  }
  last_t_ = unix_time();
  if (samples_++ == 0) first_t_ = last_t_;
  last_ = total;
  sum_ += total;
  ++histogram_[total];
  if (options_.bound > 0 && total > options_.bound) ++over_bound_;
  if (total > max_ || samples_ == 1) {
    max_ = total;
    max_t_ = last_t_;
    at_max_ = {{"by_address", by_address}, {"by_user", by_user}};
  }
  max_active_ = std::max(max_active_, active);
  for (const auto& [name, count] : by_address) {
    max_by_address_[name] = std::max(max_by_address_[name], count);
  }
  for (const auto& [name, count] : by_user)
    max_by_user_[name] = std::max(max_by_user_[name], count);
}

void Watcher::on_closed(Connection& connection, const Closed& closed) {
  errors_.add(closed);
  loop_.after(std::chrono::milliseconds(100),
              [this, &connection] { connection.open(target_.route(0).endpoints); });
}

void Watcher::run() {
  stop_on_signal(loop_, [this] { loop_.stop(); });
  loop_.after(seconds(options_.duration), [this] { loop_.stop(); });
  loop_.every(std::chrono::milliseconds(options_.event_ms), [this] {
    output_.event("status", {{"connections", last_}, {"max", max_}, {"samples", samples_}});
  });
  loop_.every(std::chrono::seconds(1), [this] {
    output_.progress(std::to_string(last_) + " server connections, most so far " +
                     std::to_string(max_));
  });
  connection_.open(target_.route(0).endpoints);
  loop_.run();
  connection_.close();
}

nlohmann::ordered_json Watcher::json() const {
  auto histogram = nlohmann::ordered_json::object();
  for (const auto& [value, count] : histogram_) histogram[std::to_string(value)] = count;
  nlohmann::ordered_json out = {{"samples", samples_},
                                {"max", max_},
                                {"max_t", max_t_},
                                {"max_in_use", max_active_},
                                {"mean", samples_ == 0 ? 0 : sum_ / static_cast<double>(samples_)},
                                {"last", last_},
                                {"first_t", first_t_},
                                {"last_t", last_t_},
                                {"histogram", histogram},
                                {"max_by_address", max_by_address_},
                                {"max_by_user", max_by_user_},
                                {"at_max", at_max_},
                                {"interval", interval_.json()},
                                {"query", query_.json()},
                                {"errors", errors_.json()}};
  if (options_.bound > 0) {
    out["bound"] = options_.bound;
    out["samples_over_bound"] = over_bound_;
  }
  return out;
}

int run_watch(const WatchOptions& options) {
  const auto target = load_target(options.common.url_env, options.common.host_overrides);
  if (!target) return kCannotRun;
  ScramKeyCache keys;
  const auto settings = connection_settings(*target, options.common, keys);
  const Output output(options.common.events, options.common.quiet);
  Watcher watcher(options, *target, settings, output);
  watcher.run();
  output.result("watch-server", watcher.ok(), watcher.json());
  return watcher.ok() ? kOk : kNotOk;
}

}  // namespace

void add_watch_server(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "watch-server", "Count the server's client connections every few milliseconds");
  command->footer(
      "Reads pg_stat_activity over one direct connection; a role without pg_read_all_stats sees "
      "other "
      "roles' connections\nwithout their addresses (\"local\"). max_in_use counts those with a "
      "query "
      "or a transaction.\n"
      "ok: there is at least one sample and (--bound) none above the bound.");
  auto options = std::make_shared<WatchOptions>();
  options->common.url_env = "DATABASE_URL";
  options->common.application_name = "pooler-load-watch";
  command->add_option("--interval-ms", options->interval_ms, "Milliseconds between two samples")
      ->check(CLI::Range(1.0, 60000.0))
      ->capture_default_str();
  command->add_option("--duration", options->duration, "Seconds; SIGTERM ends it as well")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  command->add_option("--database", options->database, "Count this database (default: the URL's)");
  command->add_flag("--all-databases", options->all_databases, "Count all databases");
  command->add_flag("--include-self,!--exclude-self", options->include_self,
                    "Count the watching connection too (default: not)");
  command->add_option("--user", options->users, "Count only these roles");
  command->add_option("--exclude-user", options->exclude_users, "Do not count these roles");
  command->add_option("--exclude-address", options->exclude_addresses,
                      "Do not count connections from these addresses");
  command->add_option("--exclude-application", options->exclude_applications,
                      "Do not count connections with these application names");
  command
      ->add_option("--bound", options->bound,
                   "Count the samples above it; ok is false if there are any")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--status-ms", options->event_ms, "Milliseconds between two events `status`")
      ->check(CLI::Range(10, 60000))
      ->capture_default_str();
  add_common_options(*command, options->common);
  command->callback([options, &exit_code] { exit_code = run_watch(*options); });
}

}  // namespace pooler::load
