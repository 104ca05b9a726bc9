#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "load/loop.h"
#include "load/scram.h"
#include "load/url.h"
#include "load/wire.h"

namespace pooler::load {

/// A resolved address to connect to.
struct Endpoint {
  sockaddr_storage address{};
  socklen_t length = 0;
  std::string label;  ///< `ADDRESS:PORT`, `[ADDRESS]:PORT` for IPv6
};

/// All addresses of a host; blocks on DNS, so only before the loop runs. Empty with a reason in
/// `error`.
std::vector<Endpoint> resolve(const HostPort& host, std::string& error);

/// A non-blocking socket whose connect() is under way; -1 with errno set when it failed at once.
int start_connect(const Endpoint& endpoint);

/// Why a connection is gone.
enum class CloseCause {
  kRefused,   ///< TCP: refused, unreachable
  kTimeout,   ///< connecting, logging in or a query took longer than allowed; closed by us
  kRejected,  ///< the server answered the login with an error
  kReset,     ///< TCP reset
  kEof,       ///< the server closed it
  kProtocol,  ///< bytes that the protocol does not allow, or an authentication method that we do
              ///< not speak
  kLocal,     ///< this machine is out of ports or descriptors: says nothing about the server
};

const char* name_of(CloseCause cause);

struct Closed {
  CloseCause cause = CloseCause::kEof;
  bool during_login = false;
  bool query_unanswered = false;     ///< a query had been sent and its ReadyForQuery had not come
  std::optional<ServerError> error;  ///< the server's last word, when it said one
  std::string detail;                ///< for people; never holds a secret
};

struct QueryResult {
  std::vector<Row> rows;
  std::string tag;                   ///< of the last command, for example "INSERT 0 1"
  std::optional<ServerError> error;  ///< the first one
  char transaction_status = 'I';     ///< I idle, T in a transaction, E in a failed one
  Duration latency{};
};

/// What all connections of a run share. Must outlive them.
struct ConnectionSettings {
  std::string user;
  std::string password;
  std::string database;
  std::string application_name = "pooler-load";
  std::string options;         ///< startup parameter `options`; left out when empty
  Duration connect_timeout{};  ///< from open() to the end of the login
  Duration query_timeout{};    ///< zero: none
  ScramKeyCache* scram_keys = nullptr;
};

/// One connection of one client. All callbacks run on the loop's thread and may call back into the
/// connection, open() included.
class Connection final : public EventLoop::Handler {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    /// Logged in and ready for the first query.
    virtual void on_ready(Connection& connection) = 0;
    /// A query has its ReadyForQuery.
    virtual void on_result(Connection& connection, const QueryResult& result) = 0;
    /// Gone, and not by close(). open() may be called again at once.
    virtual void on_closed(Connection& connection, const Closed& closed) = 0;
  };

  Connection(EventLoop& loop, const ConnectionSettings& settings, Listener& listener);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Begins to connect. When an endpoint can't be reached the next one is tried, as libpq does.
  /// Precondition: closed.
  void open(std::vector<Endpoint> endpoints);
  /// Sends one simple query. Precondition: idle().
  void query(std::string_view sql);
  /// Closes politely (Terminate) or, with a query under way, at once. No callback.
  void close();

  bool is_open() const { return state_ != State::kClosed; }
  bool idle() const { return state_ == State::kIdle; }
  bool busy() const { return state_ == State::kBusy; }

  const std::optional<CancelKey>& cancel_key() const { return cancel_key_; }
  /// The address in use, or the one tried last.
  const Endpoint& endpoint() const { return endpoints_.at(endpoint_index_); }
  /// From open() to the end of the login.
  Duration login_time() const { return ready_at_ - opened_at_; }

  void on_io(std::uint32_t events) override;
  void on_tick(TimePoint now) override;

 private:
  enum class State { kClosed, kConnecting, kLogin, kIdle, kBusy };

  bool try_endpoints();
  void connected();
  void read_some();
  void send(std::string_view bytes);
  void flush();
  bool handle(const Message& message);  ///< false: the connection is closed or another one by now
  bool handle_authentication(std::string_view body);
  bool handle_sasl_start(std::string_view mechanisms);
  bool handle_ready(std::string_view body);
  void fail(CloseCause cause, std::string detail);
  void release();

  EventLoop& loop_;
  const ConnectionSettings& settings_;
  Listener& listener_;

  std::vector<Endpoint> endpoints_;
  std::size_t endpoint_index_ = 0;
  int fd_ = -1;
  std::uint64_t watch_id_ = 0;
  std::uint64_t epoch_ = 0;  ///< counts closings, so that a callback that closed us is noticed
  State state_ = State::kClosed;
  TimePoint opened_at_;
  TimePoint ready_at_;
  TimePoint query_at_;
  TimePoint deadline_ = TimePoint::max();

  MessageReader reader_;
  std::string out_;
  bool wants_write_ = false;  ///< epoll waits for room to write
  std::optional<ScramClient> scram_;
  bool scram_verified_ = false;
  std::optional<CancelKey> cancel_key_;
  std::optional<ServerError> last_error_;
  QueryResult result_;
};

/// Sends one CancelRequest on a connection of its own and waits for the server to close it.
class CancelRequest final : public EventLoop::Handler {
 public:
  enum class Outcome { kTaken, kFailed, kTimeout };

  /// `done` is called once, with kTaken when the server has read the request and closed the
  /// connection.
  CancelRequest(EventLoop& loop, const Endpoint& endpoint, const CancelKey& key, Duration timeout,
                std::function<void(Outcome)> done);
  ~CancelRequest() override;
  CancelRequest(const CancelRequest&) = delete;
  CancelRequest& operator=(const CancelRequest&) = delete;

  void start();
  void on_io(std::uint32_t events) override;
  void on_tick(TimePoint now) override;

 private:
  void finish(Outcome outcome);

  EventLoop& loop_;
  Endpoint endpoint_;
  CancelKey key_;
  Duration timeout_;
  std::function<void(Outcome)> done_;
  TimePoint deadline_;
  int fd_ = -1;
  std::uint64_t watch_id_ = 0;
  bool sent_ = false;
};

}  // namespace pooler::load
