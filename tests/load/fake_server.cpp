#include "load/fake_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "load/wire.h"

namespace pooler::load {
namespace {

std::string u32(std::uint32_t value) {
  const std::uint32_t big = htonl(value);
  return {reinterpret_cast<const char*>(&big), sizeof big};
}

}  // namespace

Peer::~Peer() {
  if (fd_ >= 0) close(fd_);
}

bool Peer::read_exactly(char* out, std::size_t size) const {
  while (size > 0) {
    const ssize_t count = recv(fd_, out, size, 0);
    if (count <= 0) return false;
    out += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

std::string Peer::read_body() const {
  std::uint32_t length = 0;
  if (!read_exactly(reinterpret_cast<char*>(&length), sizeof length)) return {};
  std::string body(ntohl(length) - 4, '\0');
  return read_exactly(body.data(), body.size()) ? body : std::string();
}

std::string Peer::read_start() { return read_body(); }

bool Peer::login() {
  if (read_start().size() <= 12) return false;
  send(message('R', u32(0)) +
       message('S', std::string("server_version\0"
                                "17\0",
                                18)) +
       message('K', u32(1) + u32(2)) + ready('I'));
  return true;
}

std::string Peer::read_query() {
  char type = 0;
  if (!read_exactly(&type, 1) || type != 'Q') return {};
  return std::string(parse_string(read_body()));
}

void Peer::send(const std::string& bytes) const {
  // The client may be gone; the script notices when it reads.
  [[maybe_unused]] const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

std::string Peer::message(char type, const std::string& body) {
  return type + u32(static_cast<std::uint32_t>(body.size()) + 4) + body;
}

std::string Peer::error(const std::string& severity, const std::string& state,
                        const std::string& text) {
  return message('E', "S" + severity + '\0' + "V" + severity + '\0' + "C" + state + '\0' + "M" +
                          text + '\0' + '\0');
}

std::string Peer::complete(const std::string& tag) { return message('C', tag + '\0'); }

std::string Peer::row(const std::vector<std::string>& values) {
  std::string body{'\0', static_cast<char>(values.size())};
  for (const auto& value : values) body += u32(static_cast<std::uint32_t>(value.size())) + value;
  return message('D', body);
}

std::string Peer::ready(char status) { return message('Z', std::string(1, status)); }

void Peer::answer(const std::string& sql, const std::string& address) const {
  if (sql == "BEGIN") {
    send(complete("BEGIN") + ready('T'));
  } else if (sql.starts_with("insert")) {
    send(row({address}) + complete("INSERT 0 1") + ready('T'));
  } else if (sql.starts_with("select")) {
    send(row({""}) + complete("SELECT 1") + ready('T'));
  } else {
    send(complete(sql) + ready('I'));
  }
}

void Peer::reset() {
  const linger hard{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close(fd_);
  fd_ = -1;
}

FakeServer::FakeServer(std::function<void(Peer&, int)> script) : script_(std::move(script)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
  listen(listener_, 64);
  socklen_t length = sizeof address;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] {
    while (!stopping_) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      // A client that never says more must not keep the test alive.
      const timeval limit{20, 0};
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      const int number = connections_++;
      const std::lock_guard lock(mutex_);
      threads_.emplace_back([this, fd, number] {
        Peer peer(fd);
        script_(peer, number);
      });
    }
  });
}

FakeServer::~FakeServer() {
  stop_listening();
  for (auto& thread : threads_) thread.join();
}

void FakeServer::stop_listening() {
  if (stopping_.exchange(true)) return;
  // Shutting a listener down wakes the accept() that waits on it.
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  close(listener_);
}

Endpoint FakeServer::endpoint() const {
  std::string error;
  return resolve({"127.0.0.1", port_}, error).at(0);
}

}  // namespace pooler::load
