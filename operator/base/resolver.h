// Host names to addresses without blocking a poll loop, or with a thread that can be called back.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace pooler {

// One question. Dropping it gives it up at once, whatever the name servers do.
class Lookup {
 public:
  virtual ~Lookup() = default;
  // Becomes readable when the answer is there.
  [[nodiscard]] virtual int fd() const = 0;
  // Numeric addresses in the order to try, never none; or why there is none. nullopt: not yet.
  [[nodiscard]] virtual std::optional<Result<std::vector<std::string>, std::string>> take() = 0;
};

class Resolver {
 public:
  virtual ~Resolver() = default;
  [[nodiscard]] virtual std::unique_ptr<Lookup> look_up(const std::string& host) = 0;
};

// getaddrinfo on threads of its own: /etc/hosts, search domains and address order as everywhere on
// the machine. getaddrinfo can't be interrupted, so the threads are never waited for: one that is
// stuck when the resolver goes ends by itself later. Several, so that one dead name server doesn't
// hold up the names of others.
class ThreadResolver final : public Resolver {
 public:
  ThreadResolver();
  ~ThreadResolver() override;
  [[nodiscard]] std::unique_ptr<Lookup> look_up(const std::string& host) override;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

// Blocks until the answer is there. nullopt: there is none after `patience` of real time, or it was
// asked to stop.
[[nodiscard]] std::optional<Result<std::vector<std::string>, std::string>> wait_for(
    Lookup& lookup, Duration patience, std::stop_token stop);

// "127.0.0.1", "::1", "fe80::1%eth0": needs no name server.
[[nodiscard]] bool is_numeric_address(const std::string& host);

}  // namespace pooler
