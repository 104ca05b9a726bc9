#include "serve/server.h"

#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/log.h"

namespace pooler::serve {
namespace {

constexpr int kBacklog = 64;
constexpr unsigned kMaxConnections = 64;
constexpr unsigned kIdleSeconds = 10;

struct Answer {
  unsigned status = MHD_HTTP_OK;
  std::string body;
  const char* content_type = "text/plain; charset=utf-8";
};

Answer answer(const Sources& sources, std::string_view method, std::string_view path) {
  if (method != "GET" && method != "HEAD") {
    return {.status = MHD_HTTP_METHOD_NOT_ALLOWED, .body = "only GET and HEAD\n"};
  }
  if (path == "/healthz") return {.body = "ok\n"};
  if (path == "/readyz") {
    const std::optional<std::string> reason = sources.not_ready();
    if (!reason) return {.body = "ok\n"};
    return {.status = MHD_HTTP_SERVICE_UNAVAILABLE, .body = "not ready: " + *reason + "\n"};
  }
  if (path == "/metrics") {
    return {.body = render(sources.snapshot(), read_process()),
            .content_type = "text/plain; version=0.0.4; charset=utf-8"};
  }
  return {.status = MHD_HTTP_NOT_FOUND, .body = "there are /healthz, /readyz and /metrics\n"};
}

MHD_Result send(MHD_Connection* connection, Answer answer) {
  MHD_Response* response = MHD_create_response_from_buffer(answer.body.size(), answer.body.data(),
                                                           MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.content_type);
  MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
  if (answer.status == MHD_HTTP_METHOD_NOT_ALLOWED) {
    MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
  }
  const MHD_Result queued = MHD_queue_response(connection, answer.status, response);
  MHD_destroy_response(response);
  return queued;
}

// libmicrohttpd calls this once with the head of a request, then for each piece of its body, then
// with none left; only then may an answer be queued without breaking the connection.
MHD_Result on_request(void* sources, MHD_Connection* connection, const char* path,
                      const char* method, const char* /*version*/, const char* /*body*/,
                      std::size_t* body_size, void** seen) {
  static constexpr char kSeen = 0;
  if (*seen == nullptr) {
    *seen = const_cast<char*>(&kSeen);
    return MHD_YES;
  }
  if (*body_size != 0) {
    *body_size = 0;
    return MHD_YES;
  }
  return send(connection, answer(*static_cast<const Sources*>(sources), method, path));
}

std::string in_words(const Options& options, const char* what, const char* why) {
  const std::string address = options.address.empty() ? "every address" : options.address;
  return std::string(what) + " port " + std::to_string(options.port) + " of " + address + ": " +
         why;
}

// IPv6 sockets take IPv4 clients too. A kernel without IPv6 has no such socket: then IPv4 alone.
std::string wildcard() {
  const int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return "0.0.0.0";
  close(probe);
  return "::";
}

// The descriptor of a listening socket.
Result<int, std::string> listen_on(const Options& options) {
  const bool all = options.address.empty() || options.address == "::";
  const std::string host = all ? wildcard() : options.address;
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(options.port).c_str(), &hints, &found);
  if (error != 0) return failure(in_words(options, "cannot listen on", gai_strerror(error)));
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  const int off = 0;
  bool done = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
  if (done && all && found->ai_family == AF_INET6) {
    done = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0;
  }
  done = done && bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, kBacklog) == 0;
  const int why = errno;
  freeaddrinfo(found);
  if (done) return fd;
  if (fd >= 0) close(fd);
  return failure(in_words(options, "cannot listen on", std::strerror(why)));
}

int port_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

}  // namespace

class Server::Http {
 public:
  Http(Options options, Sources sources)
      : options_(std::move(options)), sources_(std::move(sources)) {}
  ~Http() { stop(); }
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  Result<Unit, std::string> start() {
    const Result<int, std::string> fd = listen_on(options_);
    if (!fd) return failure(fd.error());
    daemon_ = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, 0, nullptr, nullptr,
                               &on_request, &sources_, MHD_OPTION_LISTEN_SOCKET, fd.value(),
                               MHD_OPTION_CONNECTION_LIMIT, kMaxConnections,
                               MHD_OPTION_CONNECTION_TIMEOUT, kIdleSeconds, MHD_OPTION_END);
    if (daemon_ == nullptr) {
      close(fd.value());
      return failure(in_words(options_, "cannot serve on", "libmicrohttpd did not start"));
    }
    port_ = port_of(fd.value());
    log_info("http server listens", {{"port", std::to_string(port_)}});
    return Unit{};
  }

  void stop() {
    if (daemon_ != nullptr) MHD_stop_daemon(std::exchange(daemon_, nullptr));
    port_ = 0;
  }

  [[nodiscard]] int port() const { return port_; }

 private:
  const Options options_;
  Sources sources_;
  MHD_Daemon* daemon_ = nullptr;
  int port_ = 0;
};

Server::Server(Options options, Sources sources)
    : http_(std::make_unique<Http>(std::move(options), std::move(sources))) {}
Server::~Server() = default;

Result<Unit, std::string> Server::start() { return http_->start(); }
void Server::stop() { http_->stop(); }
int Server::port() const { return http_->port(); }

}  // namespace pooler::serve
