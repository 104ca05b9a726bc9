// What /metrics shows, as plain values: the callback that main.cpp gives to serve::Server fills a
// Snapshot on each scrape, and render() turns it into Prometheus' text form. Names, labels and
// buckets are controller-runtime's, so that dashboards and alerts made for it work here too.
// What was never measured is left out: an absent series, never a zero.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pooler::serve {

// Upper bounds in seconds of controller_runtime_reconcile_time_seconds (controller-runtime,
// pkg/internal/controller/metrics/metrics.go).
inline constexpr std::array<double, 40> kReconcileBounds = {
    0.005, 0.01, 0.025, 0.05, 0.1,  0.15, 0.2,  0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6,
    0.7,   0.8,  0.9,   1,    1.25, 1.5,  1.75, 2,    2.5, 3,    3.5, 4,    4.5, 5,
    6,     7,    8,     9,    10,   15,   20,   25,   30,  40,   50,  60};

struct HistogramValues {
  std::vector<double> bounds;          // seconds, ascending, without +Inf
  std::vector<std::uint64_t> buckets;  // bounds.size() + 1 counts, not cumulative; the last: +Inf
  double sum = 0;                      // seconds
};

// Durations that many threads put in and a scrape reads, without a lock.
class DurationHistogram {
 public:
  void observe(std::chrono::nanoseconds duration);
  [[nodiscard]] HistogramValues values() const;

 private:
  std::array<std::atomic<std::uint64_t>, kReconcileBounds.size() + 1> counts_{};
  std::atomic<std::int64_t> nanoseconds_{0};
};

struct Controller {
  std::string name;                   // "poolerconfig"
  std::uint64_t success = 0;          // rounds that left nothing to do
  std::uint64_t requeue_after = 0;    // rounds that asked to come again at a given time
  std::uint64_t error = 0;            // rounds that failed and are retried with backoff
  HistogramValues reconcile_seconds;  // of all rounds; empty: not shown
  int active_workers = 0;
  int max_concurrent_reconciles = 0;
};

struct Queue {
  std::string name;  // "poolerconfig"
  std::uint64_t depth = 0;
  std::uint64_t adds = 0;
  std::uint64_t retries = 0;
};

// Requests to the API server by answer; code is the HTTP status ("200"), or "<error>" where none
// came, as client-go counts them.
struct ApiRequests {
  std::string code;
  std::string method;  // "GET"
  std::uint64_t count = 0;
};

struct BuildInfo {
  std::string version;
  std::string revision;  // may be empty
};

struct Snapshot {
  BuildInfo build;
  std::vector<Controller> controllers;
  std::vector<Queue> queues;
  std::vector<ApiRequests> requests;
};

// This process, from /proc/self; what can't be read is nullopt.
struct Process {
  std::optional<double> cpu_seconds;  // user and system
  std::optional<double> resident_bytes;
  std::optional<double> virtual_bytes;
  std::optional<double> open_fds;
  std::optional<double> max_fds;
  std::optional<double> start_time_seconds;  // since the epoch
  std::optional<double> threads;
};

[[nodiscard]] Process read_process();

// Prometheus' text exposition format 0.0.4.
[[nodiscard]] std::string render(const Snapshot& snapshot, const Process& process);

}  // namespace pooler::serve
