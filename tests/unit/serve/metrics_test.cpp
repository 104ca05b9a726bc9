#include "serve/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

namespace pooler::serve {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

Snapshot one_of_each() {
  DurationHistogram seconds;
  seconds.observe(4ms);
  seconds.observe(5ms);
  seconds.observe(250ms);
  seconds.observe(2min);
  Snapshot snapshot;
  snapshot.build = {"1.2.3", "abc"};
  snapshot.controllers = {{.name = "poolerconfig",
                           .success = 7,
                           .requeue_after = 2,
                           .error = 1,
                           .reconcile_seconds = seconds.values(),
                           .active_workers = 1,
                           .max_concurrent_reconciles = 2}};
  snapshot.queues = {{.name = "poolerconfig", .depth = 3, .adds = 40, .retries = 5}};
  snapshot.requests = {{"200", "GET", 11}, {"<error>", "PATCH", 1}};
  return snapshot;
}

TEST(Metrics, NamesAndLabelsAreThoseOfControllerRuntime) {
  const std::string text = render(one_of_each(), {});
  for (const char* line : {
           "pooler_operator_build_info{revision=\"abc\",version=\"1.2.3\"} 1\n",
           "controller_runtime_reconcile_total{controller=\"poolerconfig\",result=\"success\"} 7\n",
           "controller_runtime_reconcile_total{controller=\"poolerconfig\",result=\"error\"} 1\n",
           "controller_runtime_reconcile_total{controller=\"poolerconfig\",result=\"requeue_"
           "after\"}"
           " 2\n",
           "controller_runtime_reconcile_errors_total{controller=\"poolerconfig\"} 1\n",
           "controller_runtime_active_workers{controller=\"poolerconfig\"} 1\n",
           "controller_runtime_max_concurrent_reconciles{controller=\"poolerconfig\"} 2\n",
           "workqueue_depth{controller=\"poolerconfig\",name=\"poolerconfig\"} 3\n",
           "workqueue_adds_total{controller=\"poolerconfig\",name=\"poolerconfig\"} 40\n",
           "workqueue_retries_total{controller=\"poolerconfig\",name=\"poolerconfig\"} 5\n",
           "rest_client_requests_total{code=\"200\",method=\"GET\"} 11\n",
           "rest_client_requests_total{code=\"<error>\",method=\"PATCH\"} 1\n",
           "# TYPE controller_runtime_reconcile_total counter\n",
           "# TYPE controller_runtime_reconcile_time_seconds histogram\n",
           "# TYPE workqueue_depth gauge\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, BucketsAreCumulativeAndIncludeTheirBound) {
  const std::string text = render(one_of_each(), {});
  const std::string name = "controller_runtime_reconcile_time_seconds";
  const std::string bucket = name + "_bucket{controller=\"poolerconfig\",le=";
  EXPECT_THAT(text, HasSubstr(bucket + "\"0.005\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(bucket + "\"0.2\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(bucket + "\"0.25\"} 3\n"));
  EXPECT_THAT(text, HasSubstr(bucket + "\"60\"} 3\n"));
  EXPECT_THAT(text, HasSubstr(bucket + "\"+Inf\"} 4\n"));
  EXPECT_THAT(text, HasSubstr(name + "_count{controller=\"poolerconfig\"} 4\n"));
  EXPECT_THAT(text, HasSubstr(name + "_sum{controller=\"poolerconfig\"} 120.259"));
}

TEST(Metrics, WhatWasNotMeasuredIsAbsent) {
  Snapshot snapshot;
  snapshot.controllers = {{.name = "poolerconfig"}};
  const std::string text = render(snapshot, {});
  EXPECT_THAT(text, Not(HasSubstr("controller_runtime_reconcile_time_seconds")));
  EXPECT_THAT(text, Not(HasSubstr("workqueue_")));
  EXPECT_THAT(text, Not(HasSubstr("rest_client_")));
  EXPECT_THAT(text, Not(HasSubstr("process_")));
  // Counters of a controller that exists start at 0, so that a first error is an increase.
  EXPECT_THAT(text, HasSubstr("result=\"error\"} 0\n"));
}

TEST(Metrics, ManyThreadsObserve) {
  DurationHistogram seconds;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 1000; ++k) seconds.observe(1ms);
      });
    }
  }
  EXPECT_EQ(seconds.values().buckets.front(), 4000u);
  EXPECT_NEAR(seconds.values().sum, 4.0, 1e-6);
}

TEST(Process, IsThisOne) {
  volatile double burnt = 0;
  while (static_cast<double>(std::clock()) / CLOCKS_PER_SEC < 0.05) burnt = burnt + 1;
  const Process process = read_process();
  EXPECT_GE(process.cpu_seconds.value(), 0.04);
  EXPECT_GT(process.resident_bytes.value(), 1e6);
  EXPECT_GE(process.virtual_bytes.value(), process.resident_bytes.value());
  EXPECT_GE(process.open_fds.value(), 3);
  EXPECT_GE(process.max_fds.value(), process.open_fds.value());
  EXPECT_GE(process.threads.value(), 1);
  EXPECT_LE(process.start_time_seconds.value(), static_cast<double>(std::time(nullptr)) + 1);
  EXPECT_GE(process.start_time_seconds.value(), static_cast<double>(std::time(nullptr)) - 3600);
  EXPECT_THAT(render({}, process), HasSubstr("process_cpu_seconds_total "));
}

}  // namespace
}  // namespace pooler::serve
