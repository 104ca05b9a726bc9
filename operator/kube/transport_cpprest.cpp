// The only file that includes cpprestsdk. What it must keep in mind:
//  - never block in a continuation or a stream buffer: there is one I/O thread for everything;
//  - a connection is closed on that thread alone: the library locks only the begin of a read, and a
//    TLS read that goes on while another thread closes its socket ends the process;
//  - never throw from a stream buffer: the library has no handler there and the process ends; nor
//    give back a failed task: the library waits for the buffer's end on the I/O thread itself;
//  - the library looks every name up on one more thread for everything, and what it waits for there
//    can't be given up: it is given addresses alone;
//  - the library's timeout is one of inactivity, and it runs on while we hold back a slow stream;
//  - error codes of a cut body mean nothing: any failure after the headers is "disconnected".
#include "kube/transport_cpprest.h"

#include <cpprest/http_client.h>
#include <cpprest/rawptrstream.h>
#include <netinet/tcp.h>
#include <pplx/threadpool.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ssl.hpp>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"

namespace pooler::kube {
namespace {

namespace http = web::http;
using web::http::client::http_client;
using web::http::client::http_client_config;
using Kind = TransportError::Kind;

constexpr std::size_t kErrorBodyBytes = std::size_t{64} * 1024;
constexpr long long kLongestRetryAfter = 86400;  // seconds

// The parts of a write-only stream buffer that mean nothing here.
class PushBuffer : public concurrency::streams::details::streambuf_state_manager<uint8_t> {
 public:
  PushBuffer() : streambuf_state_manager(std::ios_base::out) {}
  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(size_t, std::ios_base::openmode) override {}
  size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return traits::eof(); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return traits::eof(); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override {
    return traits::eof();
  }
  bool acquire(uint8_t*& pointer, size_t& count) override {
    pointer = nullptr;
    count = 0;
    return false;
  }
  void release(uint8_t*, size_t) override {}

 protected:
  pplx::task<int_type> _putc(uint8_t byte) override {
    return _putn(&byte, 1).then([byte](size_t) -> int_type { return byte; });
  }
  pplx::task<int_type> _bumpc() override { return pplx::task_from_result<int_type>(traits::eof()); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return pplx::task_from_result<int_type>(traits::eof()); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return pplx::task_from_result<int_type>(traits::eof()); }
  pplx::task<int_type> _ungetc() override {
    return pplx::task_from_result<int_type>(traits::eof());
  }
  pplx::task<size_t> _getn(uint8_t*, size_t) override { return pplx::task_from_result<size_t>(0); }
  size_t _scopy(uint8_t*, size_t) override { return 0; }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  uint8_t* _alloc(size_t) override { return nullptr; }
  void _commit(size_t) override {}
};

// A whole body, up to a limit; `on_too_long` is called once, and what comes is dropped from there.
class BodyBuffer final : public PushBuffer {
 public:
  BodyBuffer(std::size_t limit, std::function<void()> on_too_long)
      : limit_(limit), on_too_long_(std::move(on_too_long)) {}
  // After the body is complete (or has failed).
  [[nodiscard]] std::string take() { return std::move(body_); }
  [[nodiscard]] bool too_long() const { return too_long_; }

 protected:
  pplx::task<size_t> _putn(const uint8_t* bytes, size_t count) override {
    if (!too_long_ && body_.size() + count > limit_) {
      too_long_ = true;
      on_too_long_();
    }
    if (!too_long_) body_.append(reinterpret_cast<const char*>(bytes), count);
    return pplx::task_from_result(count);
  }

 private:
  const std::size_t limit_;
  const std::function<void()> on_too_long_;
  std::string body_;
  std::atomic<bool> too_long_{false};
};

// Bytes on their way from an I/O thread to the reader. Holding more than `limit`, it lets the I/O
// wait: its task is completed by the reader, and the library reads no further chunk before.
class ByteChannel final : public PushBuffer {
 public:
  explicit ByteChannel(std::size_t limit) : limit_(limit) {}

  // All bytes there are; empty at the end (see finished()), or when asked to stop.
  std::string take(std::stop_token stop) {
    std::unique_lock held(mutex_);
    changed_.wait(held, stop, [&] { return !bytes_.empty() || finished_; });
    std::string taken = std::move(bytes_);
    bytes_.clear();
    resume(held);
    return taken;
  }
  // Nothing more is wanted: lets go of a waiting I/O, drops what still comes.
  void abandon() {
    std::unique_lock held(mutex_);
    abandoned_ = true;
    bytes_.clear();
    resume(held);
  }
  // `error`: nullopt where the server has ended the body in good order.
  void finish(std::optional<TransportError> error) {
    std::lock_guard held(mutex_);
    finished_ = true;
    error_ = std::move(error);
    changed_.notify_all();
  }
  // Valid once take() has given "".
  [[nodiscard]] std::optional<TransportError> error() {
    std::lock_guard held(mutex_);
    return error_;
  }

 protected:
  pplx::task<size_t> _putn(const uint8_t* bytes, size_t count) override {
    std::lock_guard held(mutex_);
    if (abandoned_) return pplx::task_from_result(count);
    bytes_.append(reinterpret_cast<const char*>(bytes), count);
    changed_.notify_all();
    if (bytes_.size() <= limit_) return pplx::task_from_result(count);
    waiting_.emplace();
    waiting_count_ = count;
    return pplx::create_task(*waiting_);
  }

 private:
  void resume(std::unique_lock<std::mutex>& held) {
    if (!waiting_) return;
    const auto event = *std::exchange(waiting_, std::nullopt);
    held.unlock();
    event.set(waiting_count_);
  }

  const std::size_t limit_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::string bytes_;
  bool finished_ = false;
  std::optional<TransportError> error_;
  bool abandoned_ = false;
  std::optional<pplx::task_completion_event<size_t>> waiting_;
  size_t waiting_count_ = 0;
};

concurrency::streams::ostream stream_to(const std::shared_ptr<PushBuffer>& buffer) {
  return concurrency::streams::ostream(concurrency::streams::streambuf<uint8_t>(
      std::static_pointer_cast<concurrency::streams::details::basic_streambuf<uint8_t>>(buffer)));
}

// What the TLS context could not be made of, in our own callback.
struct ContextError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Of a request that has no headers of an answer yet. The library tells by its text what it was at.
TransportError request_error(const std::exception& thrown, std::stop_token stop) {
  if (stop.stop_requested()) return {Kind::kCanceled, "asked to stop"};
  const std::string text = thrown.what();
  if (dynamic_cast<const ContextError*>(&thrown) != nullptr ||
      text.find("SSL handshake") != std::string::npos) {
    return {Kind::kTls, text};
  }
  const auto* failed = dynamic_cast<const http::http_exception*>(&thrown);
  if (failed == nullptr) return {Kind::kConnect, text};  // no URI that can be connected to, say
  if (text.find("resolving") != std::string::npos ||
      text.find("Failed to connect") != std::string::npos) {
    return {Kind::kConnect, text};
  }
  switch (failed->error_code().value()) {
    case ETIMEDOUT:
      return {Kind::kTimeout, text};
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return {Kind::kConnect, text};
    default:
      return {Kind::kDisconnected, text};
  }
}

// Of a body that did not end well: but for a time-out, its code means nothing.
TransportError body_error(const std::exception& thrown) {
  const auto* failed = dynamic_cast<const http::http_exception*>(&thrown);
  const bool timed_out = failed != nullptr && failed->error_code().value() == ETIMEDOUT;
  return {timed_out ? Kind::kTimeout : Kind::kDisconnected, thrown.what()};
}

TransportError body_too_long() { return {Kind::kProtocol, "body too long"}; }

std::optional<std::chrono::seconds> retry_after(const http::http_response& response) {
  const auto found = response.headers().find("Retry-After");
  if (found == response.headers().end()) return std::nullopt;
  const std::string& text = found->second;
  const bool number = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  if (!number) return std::nullopt;
  return std::chrono::seconds(
      std::min(parse_integer(text).value_or(kLongestRetryAfter), kLongestRetryAfter));
}

// A peer that vanished without a word is noticed in half a minute, far before the idle timeout. The
// library opens the socket later than this, so it is opened here, which takes a literal address.
void set_socket_options(void* handle, const std::string& host) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  if (error) return;
  using Tcp = boost::asio::ip::tcp;
  auto& socket = static_cast<boost::asio::ssl::stream<Tcp::socket&>*>(handle)->next_layer();
  if (!socket.is_open()) socket.open(address.is_v6() ? Tcp::v6() : Tcp::v4(), error);
  if (error) return;
  const auto set = [&](int level, int name, int value) {
    ::setsockopt(socket.native_handle(), level, name, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
}

// Of no URI an empty one, with which every request fails.
web::uri read_server(const std::string& text) {
  return web::uri::validate(text) ? web::uri(text) : web::uri();
}

std::string host_in(const web::uri& server) {
  const std::string& host = server.host();
  const bool bracketed = host.size() > 2 && host.front() == '[';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

// The server's URI, with `address` in place of its name.
web::uri at_address(const web::uri& server, const std::string& address) {
  web::uri_builder builder(server);
  // The library takes an IPv6 address without brackets, and then needs the port to be there.
  builder.set_host(address);
  if (server.is_port_default()) builder.set_port(server.scheme() == "https" ? 443 : 80);
  return builder.to_uri();
}

// Where the server is. What was connected to stays in use while it is (the library keeps a
// connection for less than kKept); otherwise, and after any failure, its name is looked up.
class ServerAddresses {
 public:
  static constexpr Duration kKept = std::chrono::minutes(1);

  ServerAddresses(const std::string& host, const Clock& clock, Resolver* resolver)
      : name_(host.empty() || is_numeric_address(host) ? "" : host),
        clock_(clock),
        own_(resolver == nullptr && !name_.empty() ? std::make_unique<ThreadResolver>() : nullptr),
        resolver_(own_ ? own_.get() : resolver) {}

  // Empty: it has an address alone.
  [[nodiscard]] const std::string& name() const { return name_; }

  // In the order to try. Requires a name.
  Result<std::vector<std::string>, TransportError> find(Duration patience, std::stop_token stop) {
    {
      std::lock_guard held(mutex_);
      if (!known_.empty() && clock_.monotonic() < known_until_) {
        return std::vector<std::string>{known_};
      }
    }
    const auto lookup = resolver_->look_up(name_);
    auto answer = wait_for(*lookup, patience, stop);
    if (stop.stop_requested()) return failure(TransportError{Kind::kCanceled, "asked to stop"});
    if (!answer) return failure(TransportError{Kind::kConnect, "no name server answers"});
    if (!answer->ok()) {
      return failure(TransportError{Kind::kConnect, "its name is not found: " + answer->error()});
    }
    return std::move(*answer).value();
  }

  void tried(const std::string& address, bool works) {
    std::lock_guard held(mutex_);
    known_ = works ? address : "";
    known_until_ = clock_.monotonic() + kKept;
  }

 private:
  const std::string name_;
  const Clock& clock_;
  const std::unique_ptr<Resolver> own_;
  Resolver* const resolver_;
  std::mutex mutex_;
  std::string known_;
  MonotonicTime known_until_;
};

// Ends a request: its connection is closed, by the I/O thread and a moment later.
class Cancel {
 public:
  [[nodiscard]] pplx::cancellation_token token() const { return source_.get_token(); }
  void request() const {
    crossplat::threadpool::shared_instance().service().post(
        [source = source_] { source.cancel(); });
  }

 private:
  pplx::cancellation_token_source source_;
};

http::method method_of(Method method) { return std::string(to_string(method)); }

class CpprestTransport final : public HttpTransport {
 public:
  CpprestTransport(ClusterConfig config, const Clock& clock, CpprestOptions options)
      : config_(std::move(config)),
        clock_(clock),
        options_(std::move(options)),
        server_(read_server(config_.server)),
        addresses_(host_in(server_), clock, options_.resolver),
        tokens_(clock, config_.token, config_.token_file),
        ca_(clock, config_.ca) {}

  Result<Response, TransportError> send(const Request& request, std::stop_token stop) override {
    return by_address<Response>(
        stop, [&](const web::uri& server) { return send_to(server, request, stop); });
  }

  Result<StreamEnd, TransportError> stream(const Request& request, LineSink& sink,
                                           std::stop_token stop) override {
    return by_address<StreamEnd>(
        stop, [&](const web::uri& server) { return stream_from(server, request, sink, stop); });
  }

 private:
  // Asks the server at one address after the other, until one can be connected to.
  template <class Answer, class Ask>
  Result<Answer, TransportError> by_address(const std::stop_token& stop, const Ask& ask) {
    if (addresses_.name().empty()) return ask(server_);
    const auto addresses = addresses_.find(options_.idle_timeout, stop);
    if (!addresses) return failure(addresses.error());
    Result<Answer, TransportError> answer =
        failure(TransportError{Kind::kConnect, "it has no address"});
    for (const std::string& address : *addresses) {
      answer = ask(at_address(server_, address));
      const bool canceled = !answer && answer.error().kind == Kind::kCanceled;
      if (!canceled) addresses_.tried(address, answer.ok());
      if (answer || answer.error().kind != Kind::kConnect || stop.stop_requested()) break;
    }
    return answer;
  }

  Result<Response, TransportError> send_to(const web::uri& server, const Request& request,
                                           const std::stop_token& stop) {
    const MonotonicTime began = clock_.monotonic();
    auto message = prepare(request);
    if (!message) return failure(message.error());
    const Cancel cancel;
    auto body =
        std::make_shared<BodyBuffer>(options_.max_body_bytes, [cancel] { cancel.request(); });
    message->set_response_stream(stream_to(body));
    std::optional<http::http_response> answer;
    try {
      const auto client = shared_client(server, request.idle_timeout);
      const std::stop_callback on_stop(stop, [&] { cancel.request(); });
      answer = client->request(*message, cancel.token()).get();
      answer->content_ready().get();
    } catch (const std::exception& thrown) {
      if (body->too_long()) return failure(body_too_long());
      if (!answer || stop.stop_requested()) return failure(request_error(thrown, stop));
      return failure(body_error(thrown));
    }
    if (body->too_long()) return failure(body_too_long());
    const bool own_token = request.bearer_token.empty();
    if (own_token && answer->status_code() == http::status_codes::Unauthorized) {
      tokens_.rejected(began);
    }
    return Response{answer->status_code(), retry_after(*answer), body->take()};
  }

  Result<StreamEnd, TransportError> stream_from(const web::uri& server, const Request& request,
                                                LineSink& sink, const std::stop_token& stop) {
    const MonotonicTime began = clock_.monotonic();
    auto message = prepare(request);
    if (!message) return failure(message.error());
    auto channel = std::make_shared<ByteChannel>(options_.stream_buffer_bytes);
    message->set_response_stream(stream_to(channel));
    const Cancel cancel;
    const std::stop_callback on_stop(stop, [&] { cancel.request(); });
    try {
      // Its own client, so its own connection and its own timeout.
      http_client client = new_client(server, request.idle_timeout, ca_.current().pem);
      const auto answer = client.request(*message, cancel.token()).get();
      if (answer.status_code() == http::status_codes::Unauthorized) tokens_.rejected(began);
      auto done = answer.content_ready().then([channel](pplx::task<http::http_response> body) {
        std::optional<TransportError> error;
        try {
          body.get();  // is done: does not block
        } catch (const std::exception& thrown) {
          error = body_error(thrown);
        }
        channel->finish(std::move(error));
      });
      auto end = read(answer, *channel, sink, stop);
      // Whatever the reason: the connection is let go before its client.
      cancel.request();
      channel->abandon();
      done.wait();
      return end;
    } catch (const std::exception& thrown) {
      channel->abandon();
      return failure(request_error(thrown, stop));
    }
  }

  static Result<StreamEnd, TransportError> read(const http::http_response& answer,
                                                ByteChannel& channel, LineSink& sink,
                                                std::stop_token stop) {
    StreamEnd end{answer.status_code(), retry_after(answer), ""};
    const bool lines = end.status == http::status_codes::OK;
    if (lines) sink.on_open();
    std::string pending;  // of an unfinished line
    while (true) {
      const std::string bytes = channel.take(stop);
      if (stop.stop_requested()) return failure(TransportError{Kind::kCanceled, "asked to stop"});
      if (bytes.empty()) break;
      if (!lines) {
        end.body += bytes.substr(0, kErrorBodyBytes - end.body.size());
        if (end.body.size() == kErrorBodyBytes) return end;
        continue;
      }
      const auto on = deliver(bytes, pending, sink, stop);
      if (!on) return failure(on.error());
      if (!*on) return end;
    }
    auto error = channel.error();
    if (!error || !lines) return end;
    return failure(std::move(*error));
  }

  // False: the sink wants no more.
  static Result<bool, TransportError> deliver(std::string_view bytes, std::string& pending,
                                              LineSink& sink, std::stop_token stop) {
    while (!bytes.empty()) {
      if (stop.stop_requested()) return failure(TransportError{Kind::kCanceled, "asked to stop"});
      const auto end = bytes.find('\n');
      const std::string_view part = bytes.substr(0, end);
      if (pending.size() + part.size() > kMaxLineBytes) {
        return failure(TransportError{Kind::kProtocol, "line of more than 4 MiB"});
      }
      if (end == std::string_view::npos) {
        pending += part;
        return true;
      }
      bytes.remove_prefix(end + 1);
      bool more = false;
      if (pending.empty()) {
        more = sink.on_line(part);
      } else {
        pending += part;
        more = sink.on_line(pending);
        pending.clear();
      }
      if (!more) return false;
    }
    return true;
  }

  Result<http::http_request, TransportError> prepare(const Request& request) {
    const auto token = tokens_.current();
    if (!token) return failure(TransportError{Kind::kConnect, token.error()});
    if (ca_.current().generation == 0) {
      return failure(TransportError{Kind::kTls, "no CA certificate could be read"});
    }
    try {
      http::http_request message(method_of(request.method));
      message.set_request_uri(web::uri(request.path));
      auto& headers = message.headers();
      headers.add("Accept", request.accept);
      headers.add("User-Agent", options_.user_agent);
      if (const std::string host = host_header(); !host.empty()) headers.add("Host", host);
      const std::string& bearer = request.bearer_token.empty() ? *token : request.bearer_token;
      if (!bearer.empty()) headers.add("Authorization", "Bearer " + bearer);
      if (!request.body.empty()) message.set_body(request.body, request.content_type);
      return message;
    } catch (const std::exception& thrown) {
      return failure(TransportError{Kind::kProtocol, thrown.what()});
    }
  }

  // Empty: the library's own, which is the address.
  std::string host_header() const {
    if (addresses_.name().empty()) return {};
    const bool name_alone = server_.is_port_default() || server_.scheme() == "https";
    return addresses_.name() + (name_alone ? "" : ":" + std::to_string(server_.port()));
  }

  // Requests share connections; another CA or address means new ones.
  std::shared_ptr<http_client> shared_client(const web::uri& server,
                                             std::chrono::seconds idle_timeout) {
    const auto ca = ca_.current();
    if (idle_timeout.count() != 0) {
      return std::make_shared<http_client>(new_client(server, idle_timeout, ca.pem));
    }
    std::lock_guard held(mutex_);
    if (!client_ || client_generation_ != ca.generation || client_->base_uri() != server) {
      client_ = std::make_shared<http_client>(new_client(server, idle_timeout, ca.pem));
      client_generation_ = ca.generation;
    }
    return client_;
  }

  http_client new_client(const web::uri& server, std::chrono::seconds idle_timeout,
                         const std::string& ca) {
    http_client_config config;
    config.set_timeout(idle_timeout.count() == 0 ? options_.idle_timeout : idle_timeout);
    config.set_max_redirects(0);  // the token goes nowhere else
    config.set_ssl_context_callback([this, ca](boost::asio::ssl::context& context) {
      try {
        set_up(context, ca);
      } catch (const std::exception& thrown) {
        throw ContextError(thrown.what());
      }
    });
    const std::string host = host_in(server);
    if (server.scheme() == "https") {  // without TLS the handle is of another type
      config.set_nativehandle_options(
          [host](web::http::client::native_handle handle) { set_socket_options(handle, host); });
    }
    return http_client(server, config);
  }

  void set_up(boost::asio::ssl::context& context, const std::string& ca) const {
    using boost::asio::ssl::context_base;
    context.set_options(context_base::default_workarounds | context_base::no_sslv2 |
                        context_base::no_sslv3 | context_base::no_tlsv1 | context_base::no_tlsv1_1);
    // Replaces the system's store, which the library has put there.
    SSL_CTX_set_cert_store(context.native_handle(), X509_STORE_new());
    context.add_certificate_authority(boost::asio::buffer(ca));
    use_client_certificate(context);
  }

  // For each new connection, so a renewed certificate is taken up. Throws where it can't be read.
  void use_client_certificate(boost::asio::ssl::context& context) const {
    if (config_.client_certificate.empty()) return;
    const auto certificate = config_.client_certificate.read();
    const auto key = config_.client_key.read();
    if (!certificate || !key) {
      throw std::runtime_error("client certificate: " +
                               (certificate ? key.error() : certificate.error()));
    }
    context.use_certificate_chain(boost::asio::buffer(*certificate));
    context.use_private_key(boost::asio::buffer(*key), boost::asio::ssl::context::pem);
  }

  const ClusterConfig config_;
  const Clock& clock_;
  const CpprestOptions options_;
  const web::uri server_;
  ServerAddresses addresses_;
  TokenSource tokens_;
  CaSource ca_;
  std::mutex mutex_;
  std::shared_ptr<http_client> client_;
  int client_generation_ = 0;
};

}  // namespace

void init_transport_threads() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::setenv("SSL_CERT_FILE", "/dev/null", 0);
    crossplat::threadpool::initialize_with_threads(1);
  });
}

std::unique_ptr<HttpTransport> make_cpprest_transport(ClusterConfig config, const Clock& clock,
                                                      CpprestOptions options) {
  return std::make_unique<CpprestTransport>(std::move(config), clock, std::move(options));
}

}  // namespace pooler::kube
