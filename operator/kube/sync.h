// SyncGate: opens once all expected parts have reported.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace pooler::kube {

class SyncGate {
 public:
  void expect(std::string_view part);
  void arrived(std::string_view part);
  [[nodiscard]] bool done() const;
  // False after `limit` of real time, or when asked to stop.
  bool wait(std::stop_token stop, Duration limit) const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  std::set<std::string, std::less<>> missing_;
  bool any_ = false;
};

// Waits on our own threads; false when asked to stop before the time has passed.
bool interruptible_sleep(Duration time, std::stop_token stop);

}  // namespace pooler::kube
