#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "load/client.h"
#include "load/loop.h"

namespace pooler::load {

/// Durations in buckets of 1/32 of their power of two: percentiles within 3 %, extremes and mean
/// exact, constant memory.
class Latency {
 public:
  void add(Duration value);
  std::uint64_t count() const { return count_; }
  /// `share` in [0, 1]; zero when empty. Never above the maximum.
  Duration percentile(double share) const;
  /// {"count", "min_ms", "mean_ms", "p50_ms", "p90_ms", "p99_ms", "max_ms"}; only the count when
  /// empty.
  nlohmann::ordered_json json() const;

 private:
  static constexpr std::size_t kSubBuckets = 32;
  static std::size_t bucket_of(std::uint64_t micros);
  static std::uint64_t top_of(std::size_t bucket);

  std::array<std::uint64_t, 40 * kSubBuckets> buckets_{};
  std::uint64_t count_ = 0;
  Duration min_ = Duration::max();
  Duration max_ = Duration::zero();
  Duration sum_ = Duration::zero();
};

/// Counts errors by class: `SQLSTATE message` for what the server said, else the cause of the
/// close. Runs of digits in a message become N, so that ports and process ids do not split a class;
/// past kMaxClasses all is "other".
class ErrorCounts {
 public:
  static constexpr std::size_t kMaxClasses = 64;

  void add(const ServerError& error);
  void add(const Closed& closed);
  void add(std::string_view error_class);
  std::uint64_t total() const { return total_; }
  nlohmann::ordered_json json() const;

 private:
  std::map<std::string, std::uint64_t, std::less<>> counts_;
  std::uint64_t total_ = 0;
};

/// To three places: microseconds of a number in milliseconds.
double rounded(double value);

std::string class_of(const ServerError& error);
std::string class_of(const Closed& closed);

/// Where a run speaks: events and the result as JSON lines on standard output, progress for people
/// on standard error.
class Output {
 public:
  Output(bool events, bool quiet) : events_(events), quiet_(quiet), started_(Clock::now()) {}

  bool events() const { return events_; }
  /// Prints {"event": name, "t": unix seconds, "elapsed": seconds since the start, ...fields} when
  /// events are wanted.
  void event(std::string_view name, const nlohmann::ordered_json& fields) const;
  /// One line for people, with the elapsed time before it.
  void progress(const std::string& text) const;
  /// The last line of standard output: {"event": "result", "command", "ok", "t", "elapsed",
  /// ...fields}.
  void result(std::string_view command, bool ok, const nlohmann::ordered_json& fields) const;
  double elapsed() const { return to_seconds(Clock::now() - started_); }

 private:
  bool events_;
  bool quiet_;
  TimePoint started_;
};

}  // namespace pooler::load
