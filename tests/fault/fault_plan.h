// Faults on the way to an API server: rules say which request fares how.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kube/transport.h"

namespace pooler::fault {

// Which requests a rule is about.
struct Match {
  enum class What { kAny, kWrite, kRead, kList, kWatch };
  What what = What::kAny;
  std::string plural;  // "" = any type
  std::string name;    // "" = any object
  int first = 1;       // of the matching requests, counted from one,
  int last = 1 << 30;  // these
};

struct Fault {
  enum class Kind {
    kCrashBefore,    // not sent; from here on nothing is answered: the process is dead
    kCrashAfter,     // carried out, then dead
    kResponseLost,   // carried out, then the connection breaks
    kNotCarriedOut,  // a timeout, and the server never saw it
    kRefusedConnection,
    kStatus,  // answered so, and not carried out
    kFirst,   // `before` runs (another's edit), then the request as it is
    // Of watches:
    kCutAtByte,    // whole lines within the first `bytes`, then the connection breaks
    kCloseAtOnce,  // in good order, without an event
    kGone,         // after `count` lines an ERROR event with 410
    kDuplicate,    // every line twice
    kHold,         // lines wait until release()
  };
  Kind kind = Kind::kStatus;
  int status = 500;
  std::string reason = "InternalError";
  std::optional<std::chrono::seconds> retry_after;
  std::size_t bytes = 0;
  std::size_t count = 0;
  std::function<void()> before;
};

// Thread-safe. Rules are looked at in their order; the first that matches decides.
class FaultyTransport final : public kube::HttpTransport {
 public:
  explicit FaultyTransport(kube::HttpTransport& backend) : backend_(backend) {}

  void add(Match match, Fault fault);
  void clear();
  void release();  // what kHold holds
  [[nodiscard]] bool dead() const;
  // False after `limit`.
  bool wait_until_dead(std::chrono::seconds limit) const;
  void revive();
  [[nodiscard]] int faults() const;  // that have come to pass

  Result<kube::Response, kube::TransportError> send(const kube::Request& request,
                                                    std::stop_token stop) override;
  Result<kube::StreamEnd, kube::TransportError> stream(const kube::Request& request,
                                                       kube::LineSink& sink,
                                                       std::stop_token stop) override;

 private:
  struct Rule {
    Match match;
    Fault fault;
    int seen = 0;
  };
  class FaultySink;
  std::optional<Fault> fault_of(const kube::Request& request, bool watch);
  void die();
  kube::TransportError silence(std::stop_token stop);

  kube::HttpTransport& backend_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  std::vector<Rule> rules_;
  bool dead_ = false;
  int faults_ = 0;
  std::uint64_t releases_ = 0;
};

}  // namespace pooler::fault
