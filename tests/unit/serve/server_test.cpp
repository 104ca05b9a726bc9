#include "serve/server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pooler::serve {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A client's end of one connection.
class Client {
 public:
  explicit Client(int port, int family = AF_INET) : fd_(socket(family, SOCK_STREAM, 0)) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<std::uint16_t>(port));
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = v4.sin_port;
    v6.sin6_addr = in6addr_loopback;
    const int connected = family == AF_INET
                              ? connect(fd_, reinterpret_cast<sockaddr*>(&v4), sizeof v4)
                              : connect(fd_, reinterpret_cast<sockaddr*>(&v6), sizeof v6);
    EXPECT_EQ(connected, 0);
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void say(std::string_view text) {
    EXPECT_EQ(send(fd_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }

  // Everything until the server closes.
  std::string rest() {
    std::string all;
    std::array<char, 4096> piece{};
    for (ssize_t n = 0; (n = recv(fd_, piece.data(), piece.size(), 0)) > 0;) {
      all.append(piece.data(), static_cast<std::size_t>(n));
    }
    return all;
  }

 private:
  int fd_;
};

std::string ask(int port, const std::string& head, int family = AF_INET) {
  Client client(port, family);
  client.say(head + "\r\nHost: test\r\nConnection: close\r\n\r\n");
  return client.rest();
}

struct Running {
  explicit Running(Options options = {.address = "127.0.0.1", .port = 0})
      : server(std::move(options),
               {.not_ready = [this]() -> std::optional<std::string> {
                  return ready ? std::nullopt
                               : std::optional<std::string>("waiting for the list of secrets");
                },
                .snapshot =
                    [this] {
                      Snapshot snapshot;
                      snapshot.controllers = {{.name = "poolerconfig", .success = ++scrapes}};
                      return snapshot;
                    }}) {
    const auto started = server.start();
    EXPECT_TRUE(started.ok()) << (started.ok() ? "" : started.error());
  }
  std::atomic<bool> ready{false};
  std::atomic<std::uint64_t> scrapes{0};
  Server server;
};

TEST(Server, HealthzAnswersWhileNotReady) {
  Running running;
  const std::string answer = ask(running.server.port(), "GET /healthz HTTP/1.1");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nok\n"));
}

TEST(Server, ReadyzSaysWhyNotAndThenThatItIs) {
  Running running;
  const std::string before = ask(running.server.port(), "GET /readyz HTTP/1.1");
  EXPECT_THAT(before, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(before, EndsWith("\r\n\r\nnot ready: waiting for the list of secrets\n"));
  running.ready = true;
  EXPECT_THAT(ask(running.server.port(), "GET /readyz?verbose HTTP/1.1"),
              StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST(Server, MetricsAreOfTheMoment) {
  Running running;
  const std::string series =
      "controller_runtime_reconcile_total{controller=\"poolerconfig\",result=\"success\"} ";
  const std::string first = ask(running.server.port(), "GET /metrics HTTP/1.1");
  EXPECT_THAT(first, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(first, HasSubstr(series + "1\n"));
  EXPECT_THAT(first, HasSubstr("process_resident_memory_bytes "));
  EXPECT_THAT(ask(running.server.port(), "GET /metrics HTTP/1.1"), HasSubstr(series + "2\n"));
}

TEST(Server, RefusesTheRest) {
  Running running;
  const int port = running.server.port();
  EXPECT_THAT(ask(port, "GET /etc/passwd HTTP/1.1"), StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(ask(port, "GET /healthz/../metrics HTTP/1.1"), StartsWith("HTTP/1.1 404"));
  const std::string deleted = ask(port, "DELETE /metrics HTTP/1.1");
  EXPECT_THAT(deleted, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(deleted, HasSubstr("Allow: GET, HEAD\r\n"));
  Client posts(port);
  posts.say(
      "POST /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody");
  EXPECT_THAT(posts.rest(), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(ask(port, "nonsense"), Not(HasSubstr(" 200 ")));
  EXPECT_EQ(running.scrapes, 0u);
}

TEST(Server, HeadHasNoBody) {
  Running running;
  EXPECT_THAT(ask(running.server.port(), "HEAD /healthz HTTP/1.1"), EndsWith("\r\n\r\n"));
}

TEST(Server, SilentClientsDelayNobody) {
  Running running;
  std::vector<std::unique_ptr<Client>> silent;
  for (int i = 0; i < 20; ++i) {
    silent.push_back(std::make_unique<Client>(running.server.port()));
    if (i % 2 == 0) silent.back()->say("GET /heal");
  }
  EXPECT_THAT(ask(running.server.port(), "GET /healthz HTTP/1.1"), StartsWith("HTTP/1.1 200"));
}

TEST(Server, StopCutsOpenConnections) {
  Running running;
  Client silent(running.server.port());
  silent.say("GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n");  // answered and kept alive
  running.server.stop();
  EXPECT_EQ(running.server.port(), 0);
  EXPECT_THAT(silent.rest(), Not(HasSubstr("HTTP/1.1 5")));
  running.server.stop();
}

TEST(Server, EveryAddressMeansIPv6Too) {
  Running running({.address = "", .port = 0});
  for (const int family : {AF_INET, AF_INET6}) {
    EXPECT_THAT(ask(running.server.port(), "GET /healthz HTTP/1.1", family),
                StartsWith("HTTP/1.1 200"));
  }
}

TEST(Server, OneIPv6AddressWithoutBrackets) {
  Running running({.address = "::1", .port = 0});
  EXPECT_THAT(ask(running.server.port(), "GET /healthz HTTP/1.1", AF_INET6),
              StartsWith("HTTP/1.1 200"));
}

TEST(Server, SaysWhatKeepsItFromListening) {
  Running running;
  const int port = running.server.port();
  Server second({.address = "127.0.0.1", .port = port}, {});
  const auto taken = second.start();
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error(), "cannot listen on port " + std::to_string(port) +
                               " of 127.0.0.1: Address already in use");
  Server nowhere({.address = "orders.example.com", .port = 0}, {});
  const auto no_name = nowhere.start();
  ASSERT_FALSE(no_name.ok());
  EXPECT_THAT(no_name.error(), StartsWith("cannot listen on port 0 of orders.example.com: "));
}

}  // namespace
}  // namespace pooler::serve
