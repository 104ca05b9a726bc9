// The operator's HTTP server: GET (and HEAD) of
//   /healthz  200 "ok" as long as the process can answer
//   /readyz   200 "ok", or 503 with the reason in words
//   /metrics  the Snapshot of the moment, see serve/metrics.h
// Everything else is 404, other methods 405. Plain HTTP, nothing secret, no state of its own. One
// thread with one poll loop: a client that connects and says nothing delays nobody.
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
  int port = 8081;      // 0: the system chooses, see Server::port()
};

// Called on the server's thread, one at a time; neither may block nor throw.
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

  // Listens and answers from now on. Error: what the address or the port's owner did not allow, in
  // words. Once per object.
  [[nodiscard]] Result<Unit, std::string> start();
  // Waits for the request in flight and cuts all connections, in milliseconds. Twice is once.
  void stop();
  // The port that is listened on; 0 when not started.
  [[nodiscard]] int port() const;

 private:
  class Http;
  std::unique_ptr<Http> http_;
};

}  // namespace pooler::serve
