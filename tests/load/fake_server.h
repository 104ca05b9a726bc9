#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "load/client.h"

namespace pooler::load {

/// The server's end of one connection, for scripts that block.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  /// Reads the startup message and answers it without asking for a password. False when it was a
  /// CancelRequest.
  bool login();
  /// Reads an untagged message (startup, CancelRequest); empty at the end of the connection.
  std::string read_start();
  /// The SQL of the next Query; empty on Terminate and at the end of the connection.
  std::string read_query();
  void send(const std::string& bytes) const;
  static std::string message(char type, const std::string& body);
  static std::string error(const std::string& severity, const std::string& state,
                           const std::string& text);
  static std::string complete(const std::string& tag);
  static std::string row(const std::vector<std::string>& values);
  static std::string ready(char status);
  /// Answers BEGIN, INSERT, pg_sleep, COMMIT and ROLLBACK as a server whose pooler is at `address`.
  void answer(const std::string& sql, const std::string& address) const;
  /// Ends the connection by a TCP reset.
  void reset();

 private:
  bool read_exactly(char* out, std::size_t size) const;
  std::string read_body() const;
  int fd_;
};

/// Listens on a loopback port and runs `script` on a thread of its own for each connection, with
/// its number from 0.
class FakeServer {
 public:
  explicit FakeServer(std::function<void(Peer&, int number)> script);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  std::uint16_t port() const { return port_; }
  Endpoint endpoint() const;
  int connections() const { return connections_; }
  /// Stops listening; connections under way go on.
  void stop_listening();

 private:
  std::function<void(Peer&, int)> script_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace pooler::load
