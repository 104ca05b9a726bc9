#include "load/options.h"

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace pooler::load {
namespace {

bool resolve_into(const HostPort& host, Route& route) {
  std::string error;
  auto endpoints = resolve(host, error);
  if (endpoints.empty()) {
    std::fprintf(stderr, "pooler-load: cannot resolve: %s\n", error.c_str());
    return false;
  }
  if (route.label.empty()) {
    const bool ipv6 = host.host.find(':') != std::string::npos;
    route.label = (ipv6 ? "[" + host.host + "]" : host.host) + ":" + std::to_string(host.port);
  }
  for (auto& endpoint : endpoints) route.endpoints.push_back(std::move(endpoint));
  return true;
}

}  // namespace

void add_common_options(CLI::App& app, CommonOptions& options) {
  const std::string group = "Common options";
  app.add_option("--url-env", options.url_env,
                 "Environment variable that holds the postgres:// URL (a URL is never an argument)")
      ->capture_default_str()
      ->group(group);
  app.add_option("--host-override", options.host_overrides,
                 "ADDRESS[:PORT] to connect to instead of the URL's host, for example one pod; "
                 "several take turns")
      ->group(group);
  app.add_option("--connect-timeout", options.connect_timeout, "Seconds from connect to logged in")
      ->check(CLI::Range(0.05, 3600.0))
      ->capture_default_str()
      ->group(group);
  app.add_option("--query-timeout", options.query_timeout,
                 "Seconds until a query counts as unanswered")
      ->check(CLI::Range(0.05, 3600.0))
      ->capture_default_str()
      ->group(group);
  app.add_option("--application-name", options.application_name,
                 "application_name of all connections")
      ->capture_default_str()
      ->group(group);
  app.add_flag("--events", options.events,
               "JSON lines on stdout while it runs; the result is the last one")
      ->group(group);
  app.add_flag("--quiet,-q", options.quiet, "No progress on stderr")->group(group);
}

std::unique_ptr<Target> load_target(const std::string& url_env,
                                    const std::vector<std::string>& overrides) {
  const char* text = std::getenv(url_env.c_str());
  if (text == nullptr || *text == '\0') {
    std::fprintf(stderr, "pooler-load: the environment variable %s is not set\n", url_env.c_str());
    return nullptr;
  }
  std::string error;
  auto url = parse_url(text, error);
  if (!url) {
    std::fprintf(stderr, "pooler-load: the URL in %s: %s\n", url_env.c_str(), error.c_str());
    return nullptr;
  }
  auto target = std::make_unique<Target>();
  target->url = std::move(*url);
  for (const auto& text_override : overrides) {
    const auto host = parse_host_port(text_override, target->url.hosts.front().port);
    if (!host) {
      std::fprintf(stderr, "pooler-load: --host-override %s cannot be read\n",
                   text_override.c_str());
      return nullptr;
    }
    if (!resolve_into(*host, target->direct.emplace_back())) return nullptr;
  }
  for (const auto& host : target->url.hosts) {
    if (!resolve_into(host, target->service)) return nullptr;
  }
  return target;
}

ConnectionSettings connection_settings(const Target& target, const CommonOptions& options,
                                       ScramKeyCache& keys) {
  ConnectionSettings settings;
  settings.user = target.url.user;
  settings.password = target.url.password;
  settings.database = target.url.database;
  settings.application_name = options.application_name;
  if (const auto found = target.url.parameters.find("options");
      found != target.url.parameters.end()) {
    settings.options = found->second;
  }
  settings.connect_timeout = seconds(options.connect_timeout);
  settings.query_timeout = seconds(options.query_timeout);
  settings.scram_keys = &keys;
  return settings;
}

bool make_room_for(int clients) {
  constexpr rlim_t kOwnFiles = 64;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (static_cast<rlim_t>(clients) + kOwnFiles <= limit.rlim_max) return true;
  std::fprintf(stderr, "pooler-load: %d clients need %d open files, the system allows %llu\n",
               clients, clients + static_cast<int>(kOwnFiles),
               static_cast<unsigned long long>(limit.rlim_max));
  return false;
}

void stop_on_signal(EventLoop& loop, std::function<void()> stop, std::function<void(int)> other) {
  loop.on_signal(
      [&loop, stop = std::move(stop), other = std::move(other), asked = false](int signal) mutable {
        if (signal == SIGUSR1 || signal == SIGUSR2) {
          if (other) other(signal);
        } else if (asked) {
          loop.stop();
        } else {
          asked = true;
          stop();
        }
      });
}

}  // namespace pooler::load
