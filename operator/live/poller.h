// What the live loop waits on: descriptors and times of probes (epoll and one ordered set, so that
// a turn costs what is ready and not what exists), and a way for other threads to end the wait.
#pragma once

#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "live/probe.h"

namespace pooler::live {

class Poller {
 public:
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Takes over what the probe waits for now: after it was made and after each advance().
  void update(Probe& probe);
  void remove(Probe& probe);

  // Waits until a probe is ready or due, or wake() was called. Probes that were removed are never
  // returned; one may be returned without need.
  [[nodiscard]] std::vector<Probe*> wait(const Clock& clock);

  // From any thread.
  void wake();

 private:
  struct Entry {
    int fd = -1;
    pg::Wants wants;
    MonotonicTime due = MonotonicTime::max();
  };
  void watch(Probe& probe, int fd, pg::Wants wants);

  int epoll_;
  int wake_;
  std::unordered_map<Probe*, Entry> entries_;
  std::set<std::pair<MonotonicTime, Probe*>> times_;
};

}  // namespace pooler::live
