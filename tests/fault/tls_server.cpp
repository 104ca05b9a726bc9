#include "fault/tls_server.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/strings.h"

namespace pooler::fault {
namespace {

template <class T, class Read, class Free, class Use>
void with_pem(const std::string& pem, Read read, Free release, Use use) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  T* item = read(bio, nullptr, nullptr, nullptr);
  if (item == nullptr) std::abort();
  use(item);
  release(item);
  BIO_free(bio);
}

SSL_CTX* make_context(const TlsServer::Options& options) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  with_pem<X509>(options.identity.certificate, PEM_read_bio_X509, X509_free,
                 [&](X509* c) { SSL_CTX_use_certificate(context, c); });
  with_pem<EVP_PKEY>(options.identity.key, PEM_read_bio_PrivateKey, EVP_PKEY_free,
                     [&](EVP_PKEY* k) { SSL_CTX_use_PrivateKey(context, k); });
  if (options.highest_version != 0) {
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, 0);
    SSL_CTX_set_max_proto_version(context, options.highest_version);
  }
  if (!options.client_ca.empty()) {
    with_pem<X509>(options.client_ca, PEM_read_bio_X509, X509_free,
                   [&](X509* c) { X509_STORE_add_cert(SSL_CTX_get_cert_store(context), c); });
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

class TlsConnection final : public Connection {
 public:
  TlsConnection(SSL* ssl, int socket) : ssl_(ssl), socket_(socket) {}

  bool write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const auto part = std::min<std::size_t>(bytes.size(), 16384);
      const int written = SSL_write(ssl_, bytes.data(), static_cast<int>(part));
      if (written <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }
  void cut() override { ::shutdown(socket_, SHUT_RDWR); }
  void wait_until_closed() override {
    // Of the socket, not through TLS: another thread may be writing.
    pollfd end{socket_, POLLRDHUP, 0};
    while (::poll(&end, 1, -1) < 0 && errno == EINTR) {
    }
  }

  // False at the end of the connection.
  std::optional<HttpRequest> read_request() {
    std::size_t end = 0;
    while ((end = pending_.find("\r\n\r\n")) == std::string::npos) {
      if (!read_some()) return std::nullopt;
    }
    HttpRequest request = parse_head(pending_.substr(0, end));
    pending_.erase(0, end + 4);
    const auto length = parse_integer(request.headers["content-length"]).value_or(0);
    while (pending_.size() < static_cast<std::size_t>(length)) {
      if (!read_some()) return std::nullopt;
    }
    request.body = pending_.substr(0, static_cast<std::size_t>(length));
    pending_.erase(0, static_cast<std::size_t>(length));
    return request;
  }

 private:
  bool read_some() {
    char buffer[4096];
    const int count = SSL_read(ssl_, buffer, sizeof buffer);
    if (count <= 0) return false;
    pending_.append(buffer, static_cast<std::size_t>(count));
    return true;
  }

  static HttpRequest parse_head(const std::string& head) {
    HttpRequest request;
    const auto lines = split(head, '\n');
    const auto words = split(trim(lines.front()), ' ');
    request.method = words.at(0);
    request.target = words.at(1);
    for (std::size_t i = 1; i < lines.size(); ++i) {
      const auto colon = lines[i].find(':');
      std::string name = lines[i].substr(0, colon);
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      request.headers[name] = trim(std::string_view(lines[i]).substr(colon + 1));
    }
    return request;
  }

  SSL* ssl_;
  const int socket_;
  std::string pending_;
};

}  // namespace

bool Connection::respond(int status, std::string_view body, const std::string& more_headers) {
  return write("HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\n" +
               more_headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
               std::string(body));
}

bool Connection::begin_chunks(int status, const std::string& more_headers) {
  return write("HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\n" +
               more_headers + "Transfer-Encoding: chunked\r\n\r\n");
}

bool Connection::chunk(std::string_view bytes) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return write(size + std::string(bytes) + "\r\n");
}

TlsServer::TlsServer(Options options, Handler handler)
    : options_(std::move(options)), handler_(std::move(handler)), context_(make_context(options_)) {
  std::signal(SIGPIPE, SIG_IGN);
  listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(listener_, 128) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::jthread([this](std::stop_token stop) { accept_all(stop); });
}

TlsServer::~TlsServer() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  {
    std::lock_guard held(mutex_);
    for (const int socket : open_) ::shutdown(socket, SHUT_RDWR);
  }
  threads_.clear();
  SSL_CTX_free(static_cast<SSL_CTX*>(context_));
}

std::string TlsServer::url() const { return "https://127.0.0.1:" + std::to_string(port_); }

void TlsServer::accept_all(std::stop_token) {
  while (!stopping_) {
    const int socket = ::accept(listener_, nullptr, nullptr);
    if (socket < 0) return;
    ++connections_;
    {
      std::lock_guard held(mutex_);
      open_.push_back(socket);
    }
    threads_.emplace_back([this, socket] { serve(socket); });
  }
}

void TlsServer::serve(int socket) {
  SSL* ssl = SSL_new(static_cast<SSL_CTX*>(context_));
  SSL_set_fd(ssl, socket);
  if (SSL_accept(ssl) == 1) {
    TlsConnection connection(ssl, socket);
    while (const auto request = connection.read_request()) {
      if (stopping_ || !handler_(*request, connection)) break;
    }
    SSL_shutdown(ssl);
  }
  ERR_clear_error();
  SSL_free(ssl);
  std::lock_guard held(mutex_);
  std::erase(open_, socket);
  ::close(socket);
}

namespace {

kube::Method method_of(const std::string& name) {
  for (const auto method : {kube::Method::kGet, kube::Method::kPost, kube::Method::kPut,
                            kube::Method::kPatch, kube::Method::kDelete}) {
    if (to_string(method) == name) return method;
  }
  std::abort();
}

// Sends each line on as one chunk.
class ChunkSink final : public kube::LineSink {
 public:
  explicit ChunkSink(Connection& connection) : connection_(connection) {}
  void on_open() override {
    connection_.begin_chunks();
    opened_ = true;
  }
  bool on_line(std::string_view line) override {
    return connection_.chunk(std::string(line) + "\n");
  }
  [[nodiscard]] bool opened() const { return opened_; }

 private:
  Connection& connection_;
  bool opened_ = false;
};

}  // namespace

TlsServer::Handler serve_transport(kube::HttpTransport& backend) {
  return [&backend](const HttpRequest& request, Connection& connection) {
    kube::Request forward;
    forward.method = method_of(request.method);
    forward.path = request.target;
    forward.body = request.body;
    const auto header = [&](const char* name) {
      const auto found = request.headers.find(name);
      return found == request.headers.end() ? "" : found->second;
    };
    forward.content_type = header("content-type");
    forward.accept = header("accept");
    if (request.target.find("watch=1") != std::string::npos) {
      // The peer's close ends the backend's stream.
      ChunkSink sink(connection);
      std::stop_source stop;
      const std::jthread reader([&] {
        connection.wait_until_closed();
        stop.request_stop();
      });
      const auto end = backend.stream(forward, sink, stop.get_token());
      if (!sink.opened() && end.ok()) {
        connection.respond(end->status, end->body);
      } else if (end.ok()) {
        connection.end_chunks();
      }
      connection.cut();  // which ends the reader too
      return false;
    }
    const auto answer = backend.send(forward, {});
    if (!answer) return false;
    std::string more;
    if (answer->retry_after) {
      more = "Retry-After: " + std::to_string(answer->retry_after->count()) + "\r\n";
    }
    return connection.respond(answer->status, answer->body, more);
  };
}

}  // namespace pooler::fault
