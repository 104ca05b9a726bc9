#include "load/report.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace pooler::load {
namespace {

std::string without_numbers(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) {
      out.push_back(c);
    } else if (out.empty() || out.back() != 'N') {
      out.push_back('N');
    }
  }
  return out;
}

void print_line(const nlohmann::ordered_json& object) {
  // Server messages may hold bytes that are no UTF-8; they must not end the run.
  const std::string line =
      object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

double rounded(double value) { return std::round(value * 1000) / 1000; }

std::size_t Latency::bucket_of(std::uint64_t micros) {
  if (micros < kSubBuckets) return micros;
  const auto power = static_cast<std::size_t>(std::bit_width(micros)) - 6;
  const std::size_t bucket = (power + 1) * kSubBuckets + ((micros >> power) - kSubBuckets);
  return std::min<std::size_t>(bucket, 40 * kSubBuckets - 1);
}

std::uint64_t Latency::top_of(std::size_t bucket) {
  if (bucket < kSubBuckets) return bucket;
  const std::size_t power = bucket / kSubBuckets - 1;
  return ((bucket % kSubBuckets + kSubBuckets + 1) << power) - 1;
}

void Latency::add(Duration value) {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(value).count();
  ++buckets_[bucket_of(static_cast<std::uint64_t>(std::max<std::int64_t>(micros, 0)))];
  ++count_;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
  sum_ += value;
}

Duration Latency::percentile(double share) const {
  if (count_ == 0) return Duration::zero();
  const auto rank = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen < rank) continue;
    const Duration top = std::chrono::microseconds(top_of(bucket));
    return std::clamp(top, min_, max_);
  }
  return max_;
}

nlohmann::ordered_json Latency::json() const {
  nlohmann::ordered_json out = {{"count", count_}};
  if (count_ == 0) return out;
  out["min_ms"] = rounded(to_ms(min_));
  out["mean_ms"] = rounded(to_ms(sum_) / static_cast<double>(count_));
  out["p50_ms"] = rounded(to_ms(percentile(0.50)));
  out["p90_ms"] = rounded(to_ms(percentile(0.90)));
  out["p99_ms"] = rounded(to_ms(percentile(0.99)));
  out["max_ms"] = rounded(to_ms(max_));
  return out;
}

std::string class_of(const ServerError& error) {
  const std::string state = error.sqlstate.empty() ? "-----" : error.sqlstate;
  return state + " " + without_numbers(error.message);
}

std::string class_of(const Closed& closed) {
  if (closed.error && closed.cause != CloseCause::kTimeout) return class_of(*closed.error);
  const std::string phase = closed.during_login ? " at login" : "";
  return name_of(closed.cause) + phase + ": " + without_numbers(closed.detail);
}

void ErrorCounts::add(const ServerError& error) { add(class_of(error)); }
void ErrorCounts::add(const Closed& closed) { add(class_of(closed)); }

void ErrorCounts::add(std::string_view error_class) {
  ++total_;
  if (const auto found = counts_.find(error_class); found != counts_.end()) {
    ++found->second;
  } else {
    ++counts_[counts_.size() < kMaxClasses ? std::string(error_class) : std::string("other")];
  }
}

nlohmann::ordered_json ErrorCounts::json() const {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (const auto& [name, count] : counts_) out[name] = count;
  return out;
}

void Output::event(std::string_view name, const nlohmann::ordered_json& fields) const {
  if (!events_) return;
  nlohmann::ordered_json line = {
      {"event", name}, {"t", unix_time()}, {"elapsed", rounded(elapsed())}};
  line.update(fields);
  print_line(line);
}

void Output::progress(const std::string& text) const {
  if (quiet_) return;
  std::fprintf(stderr, "[%6.1f s] %s\n", elapsed(), text.c_str());
}

void Output::result(std::string_view command, bool ok, const nlohmann::ordered_json& fields) const {
  nlohmann::ordered_json line = {{"event", "result"},
                                 {"command", command},
                                 {"ok", ok},
                                 {"t", unix_time()},
                                 {"elapsed", rounded(elapsed())}};
  line.update(fields);
  print_line(line);
}

}  // namespace pooler::load
