// Time as a constructor argument, so that tests own it.
#pragma once

#include <chrono>
#include <string>

namespace pooler {

using Duration = std::chrono::nanoseconds;
using MonotonicTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  // For every decision: it never jumps.
  [[nodiscard]] virtual MonotonicTime monotonic() const = 0;
  // Only for what people read (lastTransitionTime, Events, logs).
  [[nodiscard]] virtual WallTime wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] MonotonicTime monotonic() const override {
    return std::chrono::steady_clock::now();
  }
  [[nodiscard]] WallTime wall() const override { return std::chrono::system_clock::now(); }
};

// Moves only when told to.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] MonotonicTime monotonic() const override { return MonotonicTime(now_); }
  [[nodiscard]] WallTime wall() const override {
    return WallTime(std::chrono::duration_cast<WallTime::duration>(now_ + kEpoch));
  }
  void advance(Duration by) { now_ += by; }

 private:
  static constexpr Duration kEpoch = std::chrono::hours(24 * 365 * 56);
  Duration now_ = std::chrono::hours(1);
};

// RFC 3339 in UTC: "2026-01-31T23:59:59Z", as metav1.Time is written.
[[nodiscard]] std::string rfc3339(WallTime time);
// "2026-01-31T23:59:59.123456Z", as metav1.MicroTime is written.
[[nodiscard]] std::string rfc3339_micro(WallTime time);

}  // namespace pooler
