// The live loop: one thread, one poll loop over all Postgres sockets. For each PoolerConfig it
// keeps a session to the database (login, limits, recovery), one to each pod's admin console
// (marker, version), and verifies the published way in until it has succeeded once per token.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "live/state.h"

namespace pooler::pg {
class SessionFactory;
}

namespace pooler::live {

class Live {
 public:
  // Called on the live thread, without locks, when the state of `key` has changed. Keys are the
  // caller's ("namespace/name").
  using OnChange = std::function<void(const std::string& key)>;

  // `clock` outlives it.
  Live(const Clock& clock, OnChange on_change);
  // With sessions of another kind than libpq's; `sessions` outlives it.
  Live(const Clock& clock, OnChange on_change, pg::SessionFactory& sessions);
  ~Live();  // stops and joins within a second

  void start();
  void stop();

  // Replaces what is watched for `key`; sessions to what did not change go on undisturbed.
  void set_target(const std::string& key, LiveTarget target);
  void forget(const std::string& key);
  // Asks the pods of `key` again now (a pod was just replaced or touched).
  void hurry(const std::string& key);

  [[nodiscard]] LiveState state(const std::string& key) const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace pooler::live
