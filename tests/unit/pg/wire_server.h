// A script spoken in Postgres' real protocol (version 3) on a free loopback port. One thread serves
// all connections; it uses only what the sessions under test need.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "unit/pg/script.h"

namespace pooler::pg::testing {

class WireServer {
 public:
  explicit WireServer(const std::string& address = "127.0.0.1")
      : address_(address), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    listen_anew();
    thread_ = std::thread([this] { serve(); });
  }
  ~WireServer() {
    stopping_ = true;
    wake();
    thread_.join();
    for (auto& connection : connections_) close(connection.fd);
    close_listener();
    close(wake_);
  }
  WireServer(const WireServer&) = delete;
  WireServer& operator=(const WireServer&) = delete;

  Script& script() { return script_; }
  int port() const { return port_; }
  // Makes the thread look at the script again.
  void wake() { eventfd_write(wake_, 1); }

  // Stops listening, so that connections are refused by the kernel, and returns once it is so.
  void close_port() {
    wanted_open_ = false;
    wake();
    while (open_) std::this_thread::yield();
  }

 private:
  struct Connection {
    int fd = -1;
    std::string in;
    bool started = false;
    bool closing = false;
    int epoch = 0;
  };

  void listen_anew() {
    const bool v6 = address_.find(':') != std::string::npos;
    listener_ = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage storage{};
    socklen_t length = 0;
    if (v6) {
      auto* where = reinterpret_cast<sockaddr_in6*>(&storage);
      where->sin6_family = AF_INET6;
      inet_pton(AF_INET6, address_.c_str(), &where->sin6_addr);
      length = sizeof(sockaddr_in6);
    } else {
      auto* where = reinterpret_cast<sockaddr_in*>(&storage);
      where->sin_family = AF_INET;
      inet_pton(AF_INET, address_.c_str(), &where->sin_addr);
      length = sizeof(sockaddr_in);
    }
    const bool bound = bind(listener_, reinterpret_cast<sockaddr*>(&storage), length) == 0 &&
                       listen(listener_, 64) == 0;
    assert(bound);
    (void)bound;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&storage), &length);
    port_ = ntohs(v6 ? reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port
                     : reinterpret_cast<sockaddr_in*>(&storage)->sin_port);
    open_ = true;
  }

  void close_listener() {
    if (listener_ >= 0) close(listener_);
    listener_ = -1;
    open_ = false;
  }

  void serve() {
    while (!stopping_) {
      std::vector<pollfd> items = {{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
      for (const auto& connection : connections_) items.push_back({connection.fd, POLLIN, 0});
      poll(items.data(), items.size(), 20);
      eventfd_t ignored = 0;
      eventfd_read(wake_, &ignored);
      if (!wanted_open_ && listener_ >= 0) close_listener();
      std::size_t i = 2;
      for (auto& connection : connections_) {
        if (items[i++].revents != 0) read_from(connection);
        if (script_.epoch() != connection.epoch && !connection.closing) {
          send_error(connection, "FATAL", script_.farewell());
          connection.closing = true;
        }
      }
      if (listener_ >= 0 && (items[1].revents & POLLIN) != 0) accept_one();
      reap();
    }
  }

  void accept_one() {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    script_.opened();
    connections_.push_back({fd, "", false, false, script_.epoch()});
  }

  void reap() {
    for (auto it = connections_.begin(); it != connections_.end();) {
      if (!it->closing) {
        ++it;
        continue;
      }
      close(it->fd);
      script_.closed();
      it = connections_.erase(it);
    }
  }

  void read_from(Connection& connection) {
    std::array<char, 4096> buffer{};
    const ssize_t got = read(connection.fd, buffer.data(), buffer.size());
    if (got <= 0) {
      connection.closing = true;
      return;
    }
    connection.in.append(buffer.data(), static_cast<std::size_t>(got));
    while (!connection.closing && handle_one(connection)) {
    }
  }

  static std::uint32_t read_u32(std::string_view bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  }
  static std::string u32(std::uint32_t value) {
    std::string out;
    for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(value >> shift & 0xff);
    return out;
  }
  static std::string u16(std::uint16_t value) { return u32(value).substr(2); }

  bool handle_one(Connection& connection) {
    const std::size_t head = connection.started ? 1 : 0;
    if (connection.in.size() < head + 4) return false;
    const std::uint32_t length = read_u32(std::string_view(connection.in).substr(head));
    if (connection.in.size() < head + length) return false;
    const std::string body = connection.in.substr(head + 4, length - 4);
    const char type = connection.started ? connection.in[0] : '\0';
    connection.in.erase(0, head + length);
    if (type == '\0') {
      start(connection, body);
    } else if (type == 'Q') {
      answer(connection, body.c_str());
    } else {
      connection.closing = true;
    }
    return true;
  }

  void start(Connection& connection, const std::string& body) {
    constexpr std::uint32_t kTls = 80877103;
    if (read_u32(body) == kTls) return send_raw(connection, "N");
    Params params;
    const std::vector<std::string> words = zero_ended(std::string_view(body).substr(4));
    for (std::size_t i = 0; i + 1 < words.size(); i += 2) params[words[i]] = words[i + 1];
    script_.saw_startup(std::move(params));
    connection.started = true;
    if (script_.ignoring_logins()) return;
    if (const auto refusal = script_.refusal()) {
      send_error(connection, "FATAL", *refusal);
      connection.closing = true;
      return;
    }
    send(connection, 'R', u32(0));
    send(connection, 'K', u32(1) + u32(2));
    send(connection, 'Z', "I");
  }

  static std::vector<std::string> zero_ended(std::string_view bytes) {
    std::vector<std::string> words;
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\0');
      if (end == std::string_view::npos || end == 0) break;
      words.emplace_back(bytes.substr(0, end));
      bytes.remove_prefix(end + 1);
    }
    return words;
  }

  void answer(Connection& connection, const std::string& text) {
    if (script_.ignoring_queries()) return;
    const Reply reply = script_.reply(text);
    if (!reply.ok()) {
      send_error(connection, "ERROR", reply.error());
    } else {
      send_rows(connection, reply.value());
    }
    send(connection, 'Z', "I");
  }

  void send_rows(Connection& connection, const Rows& rows) {
    std::string head = u16(static_cast<std::uint16_t>(rows.columns.size()));
    for (const auto& name : rows.columns) {
      head += name + '\0' + u32(0) + u16(0) + u32(25) + u16(0xffff) + u32(0xffffffff) + u16(0);
    }
    send(connection, 'T', head);
    for (const auto& row : rows.cells) {
      std::string data = u16(static_cast<std::uint16_t>(row.size()));
      for (const auto& cell : row) {
        data += cell ? u32(static_cast<std::uint32_t>(cell->size())) + *cell : u32(0xffffffff);
      }
      send(connection, 'D', data);
    }
    send(connection, 'C', std::string("SELECT 1") + '\0');
  }

  void send_error(Connection& connection, const std::string& severity, const Refusal& refusal) {
    std::string body;
    for (const auto& [code, text] : std::array<std::pair<char, std::string>, 4>{
             {{'S', severity}, {'V', severity}, {'C', refusal.sqlstate}, {'M', refusal.message}}}) {
      body += code + text + '\0';
    }
    send(connection, 'E', body + '\0');
  }

  void send(Connection& connection, char type, const std::string& body) {
    send_raw(connection, type + u32(static_cast<std::uint32_t>(body.size() + 4)) + body);
  }
  void send_raw(Connection& connection, const std::string& bytes) {
    if (::send(connection.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) {
      connection.closing = true;
    }
  }

  const std::string address_;
  const int wake_;
  Script script_;
  std::list<Connection> connections_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> open_ = false;
  std::atomic<bool> wanted_open_ = true;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace pooler::pg::testing
