// Composition root: reads flags, builds the parts, connects them, stops them in order.

#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/memory.h"
#include "hosted/management.h"
#include "hosted/reader.h"
#include "kube/transport_cpprest.h"
#include "kube/watcher.h"
#include "live/live.h"
#include "live/targets.h"
#include "reconcile/reconciler.h"
#include "serve/server.h"

namespace {

using namespace pooler;  // NOLINT: this file knows everybody
using reconcile::Caches;

struct Flags {
  std::string kubeconfig;
  std::string context;
  std::vector<std::string> namespaces;
  std::string pgbouncer_image = "pgbouncer:1.26.1";
  std::string supabase_api = "https://api.supabase.com";
  std::string http_address;
  int http_port = 8081;
  int workers = 2;
  std::string log_level = "info";
  std::string log_format = "text";
};

int parse(int argc, char** argv, Flags& flags) {
  CLI::App app("Runs Postgres connection poolers for PoolerConfig objects.", "pooler-operator");
  app.set_version_flag("--version", std::string("pooler-operator ") + POOLER_VERSION);
  app.add_option(
      "--kubeconfig", flags.kubeconfig,
      "kubeconfig file (default: KUBECONFIG, the pod's service account, ~/.kube/config)");
  app.add_option("--context", flags.context, "context of the kubeconfig");
  app.add_option("--watch-namespace", flags.namespaces,
                 "namespace to serve, repeatable (default: the whole cluster)");
  app.add_option("--pgbouncer-image", flags.pgbouncer_image,
                 "image of PgBouncer where spec.pgbouncer.image is empty")
      ->capture_default_str();
  app.add_option("--supabase-api", flags.supabase_api,
                 "where Supabase's Management API is, for PoolerConfigs that name a token of it")
      ->check([](const std::string& url) { return hosted::trouble_with_api_url(url); })
      ->capture_default_str();
  app.add_option("--http-address", flags.http_address,
                 "address of /healthz, /readyz and /metrics (default: all)");
  app.add_option("--http-port", flags.http_port, "port of the same")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--workers", flags.workers, "PoolerConfigs that are reconciled at the same time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--log-level", flags.log_level)
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  app.add_option("--log-format", flags.log_format)
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return error.get_exit_code() == 0 ? -1 : code;
  }
  return 0;
}

LogLevel level_of(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warning") return LogLevel::kWarning;
  return name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

// The live loop as the reconciler sees it.
class LivePart final : public reconcile::LiveLoop {
 public:
  LivePart(const Clock& clock, live::Live::OnChange on_change)
      : live_(clock, std::move(on_change)) {}
  void set_target(const std::string& key, live::LiveTarget target) override {
    live_.set_target(key, std::move(target));
  }
  void forget(const std::string& key) override { live_.forget(key); }
  live::LiveState state(const std::string& key) const override { return live_.state(key); }
  live::Live& loop() { return live_; }

 private:
  live::Live live_;
};

// The reader of Supabase's Management API as the reconciler sees it.
class ProjectPart final : public reconcile::ProjectReader {
 public:
  ProjectPart(kube::HttpTransport& transport, const Clock& clock,
              hosted::Reader::OnChange on_change)
      : reader_(transport, clock, std::move(on_change)) {}
  void set_target(const std::string& key, const hosted::ProjectTarget& target) override {
    reader_.set_target(key, target);
  }
  void forget(const std::string& key) override { reader_.forget(key); }
  hosted::ProjectState state(const std::string& key) const override { return reader_.state(key); }
  hosted::Reader& reader() { return reader_; }

 private:
  hosted::Reader reader_;
};

kube::ObjectKey key_of(const std::string& text) {
  const auto slash = text.find('/');
  return {text.substr(0, slash), text.substr(slash + 1)};
}

class Operator {
 public:
  Operator(Flags flags, const kube::ClusterConfig& cluster)
      : flags_(std::move(flags)),
        requests_(transport(cluster)),
        watches_(transport(cluster)),
        client_(*requests_, {.field_manager = "pooler-operator"}, stop_.get_token()),
        queue_(clock_),
        events_(client_, clock_,
                {.controller = "pooler.dev/pooler-operator", .instance = instance()}),
        live_(clock_, [this](const std::string& key) { queue_.add(key_of(key)); }),
        management_(management_transport()),
        projects_(*management_, clock_,
                  [this](const std::string& key) { queue_.add(key_of(key)); }),
        reconciler_(caches_, client_, live_, projects_, clock_,
                    {.default_image = flags_.pgbouncer_image,
                     .operator_namespace = cluster.in_pod ? cluster.ns : ""}),
        server_({.address = flags_.http_address, .port = flags_.http_port},
                {.not_ready = [this] { return not_ready(); },
                 .snapshot = [this] { return snapshot(); }}) {
    reconciler_.emit = [this](kube::Event event) { events_.emit(std::move(event)); };
    reconciler_.enqueue = [this](const kube::ObjectKey& key) { queue_.add(key); };
    metrics_.observe = [this](kube::ReconcileOutcome, Duration time) { durations_.observe(time); };
    make_watchers();
  }

  bool start() {
    if (const auto listening = server_.start(); !listening) {
      log_error("can't serve HTTP", {{"reason", listening.error()}});
      return false;
    }
    live_.loop().start();
    projects_.reader().start();
    for (const auto& watcher : watchers_) watcher->start();
    return true;
  }

  // Lets the workers begin, and keeps the process small from then on, until asked to stop.
  void keep_house(std::stop_token stop) {
    if (!wait_synced(stop)) return;
    release_code();
    while (!stop.stop_requested()) {
      release_heap();
      kube::interruptible_sleep(std::chrono::minutes(1), stop);
    }
  }

  void resync() {
    caches_.configs.for_each([this](const auto& object) { queue_.add(object->meta.key()); });
  }

  void stop() {
    queue_.shut_down();
    stop_.request_stop();  // ends requests in flight
    workers_.reset();
    for (const auto& watcher : watchers_) watcher->stop();
    live_.loop().stop();
    projects_.reader().stop();
    events_.stop();
    server_.stop();
  }

 private:
  // Workers begin when every cache has its first list: a missing child would be made twice.
  bool wait_synced(std::stop_token stop) {
    while (!stop.stop_requested()) {
      if (caches_.unsynced().empty()) {
        workers_.emplace(
            queue_, flags_.workers,
            [this](const kube::ObjectKey& key) { return reconciler_.reconcile(key); }, metrics_,
            clock_);
        log_info("caches are filled", {{"poolerconfigs", std::to_string(caches_.configs.size())}});
        return true;
      }
      kube::interruptible_sleep(std::chrono::milliseconds(20), stop);
    }
    return false;
  }

  struct AnyWatcher {
    virtual ~AnyWatcher() = default;
    virtual void start() = 0;
    virtual void stop() = 0;
  };
  template <class K>
  struct WatcherOf final : AnyWatcher {
    template <class... Args>
    explicit WatcherOf(Args&&... args) : watcher(std::forward<Args>(args)...) {}
    void start() override { watcher.start(); }
    void stop() override { watcher.stop(); }
    kube::Watcher<K> watcher;
  };

  [[nodiscard]] std::unique_ptr<kube::HttpTransport> transport(
      const kube::ClusterConfig& cluster) const {
    return kube::make_cpprest_transport(
        cluster, clock_, {.user_agent = std::string("pooler-operator/") + POOLER_VERSION});
  }

  // Trusts the authorities of the system, and has no token of its own: each request brings one.
  [[nodiscard]] std::unique_ptr<kube::HttpTransport> management_transport() const {
    kube::ClusterConfig config;
    config.server = flags_.supabase_api;
    config.ca.file = live::kSystemRoots;
    return kube::make_cpprest_transport(
        std::move(config), clock_,
        {.idle_timeout = std::chrono::seconds(10),
         .user_agent = std::string("pooler-operator/") + POOLER_VERSION,
         .max_body_bytes = hosted::kMaxAnswerBytes});
  }

  static std::string instance() {
    const char* name = std::getenv("POD_NAME");
    return name != nullptr ? name : "pooler-operator";
  }

  template <class K>
  void watch(kube::Store<K>& store, kube::WatchOptions options,
             std::function<void(const kube::Meta&)> on_change) {
    options.namespaces = flags_.namespaces;
    watchers_.push_back(std::make_unique<WatcherOf<K>>(
        *watches_, clock_, store,
        [on_change = std::move(on_change)](const K* before, const K* after) {
          if (before != nullptr) on_change(before->meta);
          if (after != nullptr) on_change(after->meta);
        },
        std::move(options)));
  }

  void make_watchers() {
    const auto enqueue_owner = [this](const kube::Meta& meta) {
      const kube::ObjectKey owner = reconcile::owner_of(meta);
      if (!owner.name.empty()) queue_.add(owner);
    };
    const kube::WatchOptions ours{.label_selector = std::string(reconcile::kManagedByLabel) + "=" +
                                                    std::string(reconcile::kManagedBy)};
    watch(caches_.configs, {}, [this](const kube::Meta& meta) { queue_.add(meta.key()); });
    watch(caches_.secrets, ours, enqueue_owner);
    watch(caches_.services, ours, enqueue_owner);
    watch(caches_.workloads, ours, enqueue_owner);
    watch(caches_.disruption_budgets, ours, enqueue_owner);
    watch(caches_.network_policies, ours, enqueue_owner);
    watch(caches_.pods, ours, enqueue_owner);
    watch(caches_.secret_names, {.metadata_only = true, .type = kube::Secret::kType},
          [this](const kube::Meta& meta) {
            for (const auto& user : reconcile::users_of_secret(caches_, meta.key())) {
              queue_.add(user);
            }
          });
  }

  [[nodiscard]] std::optional<std::string> not_ready() const {
    std::string missing = caches_.unsynced();
    return missing.empty() ? std::nullopt : std::optional(std::move(missing));
  }

  [[nodiscard]] serve::Snapshot snapshot() const {
    serve::Snapshot shot;
    shot.build = {.version = POOLER_VERSION, .revision = ""};
    shot.controllers.push_back({.name = "poolerconfig",
                                .success = metrics_.success,
                                .requeue_after = metrics_.requeue_after,
                                .error = metrics_.error,
                                .reconcile_seconds = durations_.values(),
                                .active_workers = static_cast<int>(metrics_.active),
                                .max_concurrent_reconciles = flags_.workers});
    shot.queues.push_back({.name = "poolerconfig",
                           .depth = queue_.depth(),
                           .adds = queue_.metrics().adds,
                           .retries = queue_.metrics().retries});
    for (const auto& [what, count] : client_.metrics().snapshot()) {
      const auto& [method, code] = what;
      shot.requests.push_back({code == 0 ? "<error>" : std::to_string(code), method, count});
    }
    return shot;
  }

  const Flags flags_;
  const SystemClock clock_;
  std::stop_source stop_;
  std::unique_ptr<kube::HttpTransport> requests_;
  std::unique_ptr<kube::HttpTransport> watches_;
  kube::Client client_;
  kube::WorkQueue queue_;
  kube::ReconcileMetrics metrics_;
  serve::DurationHistogram durations_;
  Caches caches_;
  kube::EventRecorder events_;
  LivePart live_;
  std::unique_ptr<kube::HttpTransport> management_;
  ProjectPart projects_;
  reconcile::Reconciler reconciler_;
  serve::Server server_;
  std::vector<std::unique_ptr<AnyWatcher>> watchers_;
  std::optional<kube::Workers> workers_;
};

// SIGTERM and SIGINT stop, SIGHUP looks at every PoolerConfig again. Signals are taken by a thread
// that does nothing else, so that a handler never runs in the middle of something.
class Signals {
 public:
  static void block() {
    sigset_t set = all();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
  }
  static int wait() {
    sigset_t set = all();
    int signal = 0;
    sigwait(&set, &signal);
    return signal;
  }

 private:
  static sigset_t all() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
    return set;
  }
};

int run(const Flags& flags) {
  const auto cluster = kube::load_cluster_config(flags.kubeconfig, flags.context);
  if (!cluster) {
    log_error("no cluster to work for", {{"reason", cluster.error()}});
    return 1;
  }
  log_info("starting", {{"version", POOLER_VERSION}, {"server", cluster->server}});
  if (!flags.supabase_api.starts_with("https://")) {
    log_warning("the Management API is asked without TLS: tokens go in clear");
  }
  Operator self(flags, *cluster);
  if (!self.start()) return 1;
  std::jthread house([&self](std::stop_token stop) { self.keep_house(stop); });
  int signal = Signals::wait();
  for (; signal == SIGHUP; signal = Signals::wait()) self.resync();
  log_info("stopping", {{"signal", std::to_string(signal)}});
  house.request_stop();
  house.join();
  self.stop();
  log_info("stopped");
  flush_log();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  if (const int code = parse(argc, argv, flags); code != 0) return code < 0 ? 0 : code;
  configure_log(level_of(flags.log_level),
                flags.log_format == "json" ? LogFormat::kJson : LogFormat::kText);
  Signals::block();
  signal(SIGPIPE, SIG_IGN);  // a peer that went away is an error of its socket, not our end
  kube::init_transport_threads();
  return run(flags);
}
