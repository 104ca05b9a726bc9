// The operator's HTTP server: GET (and HEAD) of
//   /healthz  200 "ok" as long as the process can answer
//   /readyz   200 "ok", or 503 with the reason in words
//   /metrics  the Snapshot of the moment, see serve/metrics.h
// Everything else is 404, other methods 405. Plain HTTP, nothing secret, no state of its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "serve/metrics.h"

namespace pooler::serve {

struct Options {
  std::string address;  // IPv4, or IPv6 without brackets; "" or "::": every address of both
  int port = 8081;                  // 0: the system chooses, see Server::port()
};

// Called on a server thread, at most two at a time; neither may block.
struct Sources {
  // Why not ready, for a person ("waiting for the first list of secrets"); nullopt when ready.
  std::function<std::optional<std::string>()> not_ready;
  std::function<Snapshot()> snapshot;
};

class Server {
 public:
  Server(Options options, Sources sources);
  ~Server();  // stops
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listens and answers from now on, on two threads. Error: what the port's owner or the address
  // did not allow, in words.
  [[nodiscard]] Result<Unit, std::string> start();
  // Ends within a second, requests in flight included. Twice is once.
  void stop();
  // The port that is listened on; 0 when not started.
  [[nodiscard]] int port() const;

 private:
  class Civet;
  std::unique_ptr<Civet> civet_;
};

}  // namespace pooler::serve
