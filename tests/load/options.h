#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "load/client.h"
#include "load/report.h"
#include "load/url.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the name is CLI11's
class App;
}

namespace pooler::load {

/// What a command returns to the shell.
enum ExitCode : int {
  kOk = 0,         ///< it ran and `ok` of the result is true
  kNotOk = 1,      ///< it ran and `ok` is false
  kCannotRun = 2,  ///< bad arguments, no URL, host unknown: nothing was measured
};

/// No run may have more clients than this.
inline constexpr int kMaxClients = 20'000;

/// Options that every command takes.
struct CommonOptions {
  std::string url_env = "DATABASE_POOLED_URL";
  std::vector<std::string> host_overrides;  ///< ADDRESS[:PORT] instead of the URL's host, in turn
  double connect_timeout = 15;              ///< seconds
  double query_timeout = 60;                ///< seconds
  std::string application_name = "pooler-load";
  bool events = false;
  bool quiet = false;
};

void add_common_options(CLI::App& app, CommonOptions& options);

/// One way to the server: the URL's hosts, or one overriding address.
struct Route {
  std::string label;  ///< HOST:PORT of the URL's first host, or of the overriding address
  std::vector<Endpoint> endpoints;
};

/// The URL of `url_env` and the addresses of all routes, resolved.
struct Target {
  ConnectionUrl url;
  Route service;
  std::vector<Route> direct;

  /// The routes in turn: the direct ones where there are any, else the service.
  const Route& route(std::size_t i) const {
    return direct.empty() ? service : direct[i % direct.size()];
  }
};

/// Reads the environment variable and resolves; on failure prints why (never a secret) to standard
/// error.
std::unique_ptr<Target> load_target(const std::string& url_env,
                                    const std::vector<std::string>& overrides = {});

ConnectionSettings connection_settings(const Target& target, const CommonOptions& options,
                                       ScramKeyCache& keys);

/// Raises the limit of open files to what the system allows; false (and a message) when `clients`
/// do not fit.
bool make_room_for(int clients);

/// Ends the run on the first SIGTERM or SIGINT by `stop`, on the second one by loop.stop(). `other`
/// gets SIGUSR1, SIGUSR2.
void stop_on_signal(EventLoop& loop, std::function<void()> stop,
                    std::function<void(int)> other = {});

/// The server that answered: a pooler's address as Postgres sees it. A row's first column.
inline constexpr const char* kPoolerSql = "coalesce(host(inet_client_addr()), 'local')";

/// Each adds its subcommand to `app`; when chosen, it runs and leaves its exit code in `exit_code`.
void add_connect(CLI::App& app, int& exit_code);
void add_transactions(CLI::App& app, int& exit_code);
void add_verify(CLI::App& app, int& exit_code);
void add_cancel(CLI::App& app, int& exit_code);
void add_reconnect(CLI::App& app, int& exit_code);
void add_watch_server(CLI::App& app, int& exit_code);

}  // namespace pooler::load
