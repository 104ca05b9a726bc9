#include "serve/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <sstream>
#include <utility>

namespace pooler::serve {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

ClientMetric counter(Labels labels, std::uint64_t value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = static_cast<double>(value);
  return metric;
}

ClientMetric gauge(Labels labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  return metric;
}

ClientMetric histogram(Labels labels, const HistogramValues& values) {
  ClientMetric metric;
  metric.label = std::move(labels);
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < values.buckets.size(); ++i) {
    so_far += values.buckets[i];
    const bool last = i >= values.bounds.size();
    metric.histogram.bucket.push_back(
        {so_far, last ? std::numeric_limits<double>::infinity() : values.bounds[i]});
  }
  metric.histogram.sample_count = so_far;
  metric.histogram.sample_sum = values.sum;
  return metric;
}

// The families of one scrape, in the order in which they are added. What add() returns is valid
// until the next add().
class Families {
 public:
  MetricFamily& add(const char* name, const char* help, MetricType type) {
    return families_.emplace_back(MetricFamily{name, help, type, {}});
  }

  void add(const char* name, const char* help, MetricType type, std::optional<double> value) {
    if (!value) return;
    ClientMetric metric;
    (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = *value;
    add(name, help, type).metric.push_back(std::move(metric));
  }

  [[nodiscard]] std::string text() {
    std::erase_if(families_, [](const MetricFamily& family) { return family.metric.empty(); });
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families_);
    return out.str();
  }

 private:
  std::vector<MetricFamily> families_;
};

void add_controllers(Families& families, const std::vector<Controller>& controllers) {
  auto& rounds = families
                     .add("controller_runtime_reconcile_total",
                          "Total number of reconciliations per controller", MetricType::Counter)
                     .metric;
  for (const Controller& c : controllers) {
    rounds.push_back(counter({{"controller", c.name}, {"result", "error"}}, c.error));
    rounds.push_back(
        counter({{"controller", c.name}, {"result", "requeue_after"}}, c.requeue_after));
    rounds.push_back(counter({{"controller", c.name}, {"result", "success"}}, c.success));
  }
  auto& errors =
      families
          .add("controller_runtime_reconcile_errors_total",
               "Total number of reconciliation errors per controller", MetricType::Counter)
          .metric;
  for (const Controller& c : controllers) {
    errors.push_back(counter({{"controller", c.name}}, c.error));
  }
  auto& seconds =
      families
          .add("controller_runtime_reconcile_time_seconds",
               "Length of time per reconciliation per controller", MetricType::Histogram)
          .metric;
  for (const Controller& c : controllers) {
    if (c.reconcile_seconds.buckets.empty()) continue;
    seconds.push_back(histogram({{"controller", c.name}}, c.reconcile_seconds));
  }
  auto& most = families
                   .add("controller_runtime_max_concurrent_reconciles",
                        "Maximum number of concurrent reconciles per controller", MetricType::Gauge)
                   .metric;
  for (const Controller& c : controllers) {
    most.push_back(gauge({{"controller", c.name}}, c.max_concurrent_reconciles));
  }
  auto& active = families
                     .add("controller_runtime_active_workers",
                          "Number of currently used workers per controller", MetricType::Gauge)
                     .metric;
  for (const Controller& c : controllers) {
    active.push_back(gauge({{"controller", c.name}}, c.active_workers));
  }
}

void add_queues(Families& families, const std::vector<Queue>& queues) {
  const auto labels = [](const Queue& q) {
    return Labels{{"controller", q.name}, {"name", q.name}};
  };
  auto& depth =
      families.add("workqueue_depth", "Current depth of workqueue", MetricType::Gauge).metric;
  for (const Queue& q : queues) depth.push_back(gauge(labels(q), static_cast<double>(q.depth)));
  auto& adds = families
                   .add("workqueue_adds_total", "Total number of adds handled by workqueue",
                        MetricType::Counter)
                   .metric;
  for (const Queue& q : queues) adds.push_back(counter(labels(q), q.adds));
  auto& retries = families
                      .add("workqueue_retries_total",
                           "Total number of retries handled by workqueue", MetricType::Counter)
                      .metric;
  for (const Queue& q : queues) retries.push_back(counter(labels(q), q.retries));
}

void add_requests(Families& families, const std::vector<ApiRequests>& requests) {
  auto& total = families
                    .add("rest_client_requests_total",
                         "Number of requests to the API server, by status code and method",
                         MetricType::Counter)
                    .metric;
  for (const ApiRequests& r : requests) {
    total.push_back(counter({{"code", r.code}, {"method", r.method}}, r.count));
  }
}

void add_process(Families& families, const Process& process) {
  families.add("process_cpu_seconds_total", "Total user and system CPU time spent in seconds",
               MetricType::Counter, process.cpu_seconds);
  families.add("process_resident_memory_bytes", "Resident memory size in bytes", MetricType::Gauge,
               process.resident_bytes);
  families.add("process_virtual_memory_bytes", "Virtual memory size in bytes", MetricType::Gauge,
               process.virtual_bytes);
  families.add("process_open_fds", "Number of open file descriptors", MetricType::Gauge,
               process.open_fds);
  families.add("process_max_fds", "Maximum number of open file descriptors", MetricType::Gauge,
               process.max_fds);
  families.add("process_start_time_seconds",
               "Start time of the process since unix epoch in seconds", MetricType::Gauge,
               process.start_time_seconds);
  families.add("process_threads", "Number of threads of the process", MetricType::Gauge,
               process.threads);
}

}  // namespace

void DurationHistogram::observe(std::chrono::nanoseconds duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  const auto* const bound =
      std::lower_bound(kReconcileBounds.begin(), kReconcileBounds.end(), seconds);
  counts_[static_cast<std::size_t>(bound - kReconcileBounds.begin())].fetch_add(
      1, std::memory_order_relaxed);
  nanoseconds_.fetch_add(duration.count(), std::memory_order_relaxed);
}

HistogramValues DurationHistogram::values() const {
  HistogramValues values;
  values.bounds.assign(kReconcileBounds.begin(), kReconcileBounds.end());
  for (const auto& count : counts_) {
    values.buckets.push_back(count.load(std::memory_order_relaxed));
  }
  values.sum = static_cast<double>(nanoseconds_.load(std::memory_order_relaxed)) * 1e-9;
  return values;
}

std::string render(const Snapshot& snapshot, const Process& process) {
  Families families;
  families
      .add("pooler_operator_build_info", "Version and revision of the operator; always 1",
           MetricType::Gauge)
      .metric.push_back(
          gauge({{"revision", snapshot.build.revision}, {"version", snapshot.build.version}}, 1));
  add_controllers(families, snapshot.controllers);
  add_queues(families, snapshot.queues);
  add_requests(families, snapshot.requests);
  add_process(families, process);
  return families.text();
}

}  // namespace pooler::serve
