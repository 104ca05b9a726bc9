// All probes of one PoolerConfig, and what they know together. Not thread-safe: it belongs to the
// live thread; time and sessions come from outside, so tests own both.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "live/auth_probe.h"
#include "live/database_probe.h"
#include "live/pod_probe.h"
#include "live/refusals.h"
#include "live/state.h"
#include "live/verification_probe.h"

namespace pooler::live {

class Watched {
 public:
  // Both outlive it. `refusals`: those that all PoolerConfigs know of.
  Watched(pg::SessionFactory& sessions, Refusals& refusals)
      : sessions_(sessions), refusals_(refusals) {}

  // Probes of what did not change go on undisturbed; the others are dropped, with their sessions,
  // before new ones begin.
  void set_target(LiveTarget target, MonotonicTime now);
  void hurry(MonotonicTime now);

  // Valid until the next set_target().
  [[nodiscard]] std::vector<Probe*> probes() const;
  [[nodiscard]] LiveState state() const;

 private:
  void set_database(const std::optional<DatabaseTarget>& target, MonotonicTime now);
  void set_auth(const std::optional<AuthTarget>& target, MonotonicTime now);
  void set_pods(const LiveTarget& target, MonotonicTime now);
  void set_verification(const std::optional<VerificationTarget>& target, MonotonicTime now);

  struct Pod {
    PodTarget target;
    ConsoleLogin login;
    std::unique_ptr<PodProbe> probe;  // nullptr while it has no address
  };

  pg::SessionFactory& sessions_;
  Refusals& refusals_;
  std::unique_ptr<DatabaseProbe> database_;
  MonotonicTime database_free_at_;  // no login before: an earlier one may still count
  std::unique_ptr<AuthProbe> auth_;
  MonotonicTime auth_free_at_;       // as database_free_at_
  std::map<std::string, Pod> pods_;  // by uid
  std::unique_ptr<VerificationProbe> verification_;
};

}  // namespace pooler::live
