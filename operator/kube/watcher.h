// Watcher<K>: keeps a Store<K> true by list and watch, and tells what changed.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "kube/client.h"
#include "kube/meta.h"
#include "kube/store.h"
#include "kube/watch_machine.h"

namespace pooler::kube {

struct WatchOptions {
  std::vector<std::string> namespaces;  // empty: the whole cluster
  std::string label_selector;           // "key=value,other" as the API server takes it
  std::string field_selector;
  bool metadata_only = false;  // K is PartialObject (or reads no more than metadata)
  ResourceType type{};         // where it isn't K::kType (PartialObject)
  WatchTimes times{};
  std::function<double()> random;                        // in [0, 1); empty: a generator of its own
  std::function<bool(Duration, std::stop_token)> sleep;  // replaced in tests
};

struct WatchMetrics {
  std::atomic<std::uint64_t> lists{0};  // complete ones
  std::atomic<std::uint64_t> watches{0};
  std::atomic<std::uint64_t> events{0};
  std::atomic<std::uint64_t> errors{0};   // failed lists and watches
  std::atomic<std::uint64_t> skipped{0};  // objects that could not be read
};

// What a Watcher needs to know of its kind, so that the I/O is compiled once.
class WatchTarget {
 public:
  virtual ~WatchTarget() = default;
  virtual void begin_list() = 0;
  virtual bool list_item(std::string_view json) = 0;  // false: can't be read
  virtual void end_list(const std::string& scope, const std::string& resource_version) = 0;
  // The object's resourceVersion; nullopt: can't be read.
  virtual std::optional<std::string> changed(std::string_view json) = 0;
  virtual std::optional<std::string> removed(std::string_view json) = 0;
  virtual void progressed(const std::string& scope, const std::string& resource_version) = 0;
};

// One scope (a namespace, or all) of one type on the caller's thread, until stopped.
class ScopeWatch {
 public:
  ScopeWatch(HttpTransport& transport, const Clock& clock, const WatchOptions& options,
             ResourceType type, std::string scope, WatchTarget& target, WatchMetrics& metrics);
  void run(std::stop_token stop);
  // One action of the machine: a page, a watch until it ends, or a wait.
  void step(std::stop_token stop);
  [[nodiscard]] const WatchMachine& machine() const { return machine_; }

 private:
  void list(const WatchMachine::List& action, std::stop_token stop);
  void watch(const WatchMachine::Watch& action, std::stop_token stop);
  void read_page(std::string_view body);
  void failed(std::string_view what, const ApiError& error);
  [[nodiscard]] std::string query() const;  // path and selectors, open for more

  HttpTransport& transport_;
  const WatchOptions& options_;
  const ResourceType type_;
  const std::string scope_;
  WatchTarget& target_;
  WatchMetrics& metrics_;
  WatchMachine machine_;
};

// Threads: one per namespace of the options (one for the whole cluster).
template <class K>
class Watcher {
 public:
  // Either is null: added, or deleted. Called in the order of events, on the watcher's thread; map
  // both to the keys to enqueue (a dropped reference concerns the old owner).
  using OnChange = std::function<void(const K* before, const K* after)>;

  // All arguments outlive the watcher.
  Watcher(HttpTransport& transport, const Clock& clock, Store<K>& store, OnChange on_change,
          WatchOptions options);
  ~Watcher() { stop(); }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  void start();
  // Within a second. The store keeps what it has.
  void stop();
  [[nodiscard]] const WatchMetrics& metrics() const { return metrics_; }

 private:
  class Target;
  Store<K>& store_;
  const OnChange on_change_;
  const WatchOptions options_;
  WatchMetrics metrics_;
  std::vector<std::unique_ptr<Target>> targets_;
  std::vector<std::unique_ptr<ScopeWatch>> scopes_;
  std::vector<std::jthread> threads_;
};

}  // namespace pooler::kube

#include "kube/watcher_inl.h"  // IWYU pragma: keep
