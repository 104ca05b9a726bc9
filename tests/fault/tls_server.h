// A small HTTPS server on loopback, inside the test's process: one thread per connection, and a
// handler that may do to a connection whatever a bad network does.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "fault/certificates.h"
#include "kube/transport.h"

namespace pooler::fault {

struct HttpRequest {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class Connection {
 public:
  virtual ~Connection() = default;
  // False: the peer is gone.
  virtual bool write(std::string_view bytes) = 0;
  // Closes without saying so in TLS, as a broken line does.
  virtual void cut() = 0;
  // Until the peer closes, or the server stops.
  virtual void wait_until_closed() = 0;

  bool respond(int status, std::string_view body, const std::string& more_headers = "");
  bool begin_chunks(int status = 200, const std::string& more_headers = "");
  bool chunk(std::string_view bytes);
  bool end_chunks() { return write("0\r\n\r\n"); }
};

class TlsServer {
 public:
  // False closes the connection.
  using Handler = std::function<bool(const HttpRequest&, Connection&)>;
  struct Options {
    KeyPair identity;
    std::string client_ca;    // PEM; set: a client certificate is required
    int highest_version = 0;  // of TLS, as OpenSSL has it; 0: any
  };
  TlsServer(Options options, Handler handler);
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  [[nodiscard]] std::string url() const;
  [[nodiscard]] int connections() const { return connections_; }  // accepted so far

 private:
  struct Client;
  void accept_all(std::stop_token stop);
  void serve(int socket);

  const Options options_;
  const Handler handler_;
  void* context_ = nullptr;  // SSL_CTX
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::list<int> open_;
  std::vector<std::jthread> threads_;
  std::jthread acceptor_;
};

// Serves another transport over HTTPS: watches as chunked lines.
[[nodiscard]] TlsServer::Handler serve_transport(kube::HttpTransport& backend);

}  // namespace pooler::fault
