#include "load/client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>

namespace pooler::load {
namespace {

std::string label_of(const sockaddr* address, socklen_t length) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (getnameinfo(address, length, host.data(), host.size(), port.data(), port.size(),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "?";
  }
  const std::string name = host.data();
  const bool ipv6 = name.find(':') != std::string::npos;
  return (ipv6 ? "[" + name + "]" : name) + ":" + port.data();
}

std::string errno_text(int error) { return std::strerror(error); }

CloseCause connect_cause(int error) {
  switch (error) {
    case EADDRNOTAVAIL:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
      return CloseCause::kLocal;
    case ETIMEDOUT:
      return CloseCause::kTimeout;
    case ECONNRESET:
      return CloseCause::kReset;
    default:
      return CloseCause::kRefused;
  }
}

int socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

}  // namespace

std::vector<Endpoint> resolve(const HostPort& host, std::string& error) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int failure =
      getaddrinfo(host.host.c_str(), std::to_string(host.port).c_str(), &hints, &list);
  if (failure != 0) {
    error = "host " + host.host + ": " + gai_strerror(failure);
    return {};
  }
  std::vector<Endpoint> endpoints;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    Endpoint endpoint;
    std::memcpy(&endpoint.address, entry->ai_addr, entry->ai_addrlen);
    endpoint.length = entry->ai_addrlen;
    endpoint.label = label_of(entry->ai_addr, entry->ai_addrlen);
    endpoints.push_back(std::move(endpoint));
  }
  freeaddrinfo(list);
  return endpoints;
}

int start_connect(const Endpoint& endpoint) {
  const int fd = socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const auto* address = reinterpret_cast<const sockaddr*>(&endpoint.address);
  if (::connect(fd, address, endpoint.length) == 0 || errno == EINPROGRESS) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

const char* name_of(CloseCause cause) {
  switch (cause) {
    case CloseCause::kRefused:
      return "refused";
    case CloseCause::kTimeout:
      return "timeout";
    case CloseCause::kRejected:
      return "rejected";
    case CloseCause::kReset:
      return "reset";
    case CloseCause::kEof:
      return "closed";
    case CloseCause::kProtocol:
      return "protocol";
    case CloseCause::kLocal:
      return "local";
  }
  return "unknown";
}

Connection::Connection(EventLoop& loop, const ConnectionSettings& settings, Listener& listener)
    : loop_(loop), settings_(settings), listener_(listener) {}

Connection::~Connection() { release(); }

void Connection::open(std::vector<Endpoint> endpoints) {
  assert(state_ == State::kClosed && !endpoints.empty());
  endpoints_ = std::move(endpoints);
  endpoint_index_ = 0;
  opened_at_ = Clock::now();
  deadline_ = opened_at_ + settings_.connect_timeout;
  last_error_.reset();
  cancel_key_.reset();
  scram_.reset();
  scram_verified_ = false;
  if (try_endpoints()) return;
  // The caller hears of it from the loop, never from inside open().
  state_ = State::kConnecting;
  const int error = errno;
  loop_.after(Duration::zero(), [this, error, epoch = epoch_] {
    if (epoch == epoch_) fail(connect_cause(error), errno_text(error));
  });
}

bool Connection::try_endpoints() {
  for (; endpoint_index_ < endpoints_.size(); ++endpoint_index_) {
    fd_ = start_connect(endpoints_[endpoint_index_]);
    if (fd_ < 0) continue;
    state_ = State::kConnecting;
    watch_id_ = loop_.watch(fd_, EPOLLOUT, this);
    return true;
  }
  endpoint_index_ = endpoints_.size() - 1;
  return false;
}

void Connection::query(std::string_view sql) {
  assert(state_ == State::kIdle);
  state_ = State::kBusy;
  result_ = {};
  query_at_ = Clock::now();
  deadline_ = settings_.query_timeout > Duration::zero() ? query_at_ + settings_.query_timeout
                                                         : TimePoint::max();
  send(query_message(sql));
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  if (state_ == State::kIdle && fd_ >= 0 && out_.empty()) {
    const std::string goodbye = terminate_message();
    // A peer that is already gone makes this fail, which is as good.
    [[maybe_unused]] const ssize_t sent = ::send(fd_, goodbye.data(), goodbye.size(), MSG_NOSIGNAL);
  }
  release();
}

void Connection::release() {
  if (fd_ >= 0) {
    loop_.unwatch(watch_id_, fd_);
    ::close(fd_);
  }
  fd_ = -1;
  state_ = State::kClosed;
  deadline_ = TimePoint::max();
  out_.clear();
  wants_write_ = false;
  reader_.reset();
  ++epoch_;
}

void Connection::fail(CloseCause cause, std::string detail) {
  Closed closed;
  closed.during_login = state_ == State::kConnecting || state_ == State::kLogin;
  closed.query_unanswered = state_ == State::kBusy;
  closed.error = last_error_;
  closed.cause = closed.during_login && last_error_ ? CloseCause::kRejected : cause;
  closed.detail = std::move(detail);
  release();
  listener_.on_closed(*this, closed);
}

void Connection::on_tick(TimePoint now) {
  if (now < deadline_) return;
  fail(CloseCause::kTimeout, state_ == State::kBusy ? "query timed out" : "login timed out");
}

void Connection::on_io(std::uint32_t events) {
  const auto epoch = epoch_;
  if (state_ == State::kConnecting) {
    connected();
    return;
  }
  // What the server said before it closed comes first, so reading goes before writing.
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) read_some();
  if (epoch == epoch_ && (events & EPOLLOUT) != 0) flush();
}

void Connection::connected() {
  const int error = socket_error(fd_);
  if (error != 0) {
    loop_.unwatch(watch_id_, fd_);
    ::close(fd_);
    fd_ = -1;
    ++endpoint_index_;
    if (!try_endpoints()) fail(connect_cause(error), errno_text(error));
    return;
  }
  state_ = State::kLogin;
  loop_.change(watch_id_, fd_, EPOLLIN);
  std::vector<std::pair<std::string, std::string>> parameters = {
      {"user", settings_.user},
      {"database", settings_.database},
      {"application_name", settings_.application_name},
      {"client_encoding", "UTF8"}};
  if (!settings_.options.empty()) parameters.emplace_back("options", settings_.options);
  send(startup_message(parameters));
}

void Connection::send(std::string_view bytes) {
  const bool was_empty = out_.empty();
  out_.append(bytes);
  if (was_empty) flush();
}

void Connection::flush() {
  while (!out_.empty()) {
    const ssize_t count = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
    if (count > 0) {
      out_.erase(0, static_cast<std::size_t>(count));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      if (!wants_write_) loop_.change(watch_id_, fd_, EPOLLIN | EPOLLOUT);
      wants_write_ = true;
      return;
    }
    // Broken. The reading side reports it, with the server's last words if there are any; epoll
    // tells of it at once.
    out_.clear();
  }
  if (wants_write_) loop_.change(watch_id_, fd_, EPOLLIN);
  wants_write_ = false;
}

void Connection::read_some() {
  static thread_local std::array<char, 1 << 16> chunk;
  const auto epoch = epoch_;
  const ssize_t count = ::recv(fd_, chunk.data(), chunk.size(), 0);
  if (count < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    fail(CloseCause::kReset, errno_text(errno));
    return;
  }
  if (count == 0) {
    fail(CloseCause::kEof, "closed by the server");
    return;
  }
  reader_.feed({chunk.data(), static_cast<std::size_t>(count)});
  while (const auto message = reader_.next()) {
    if (!handle(*message) || epoch != epoch_) return;
  }
  if (reader_.broken()) fail(CloseCause::kProtocol, "a message of impossible length");
}

bool Connection::handle(const Message& message) {
  switch (message.type) {
    case 'R':
      return handle_authentication(message.body);
    case 'K':
      cancel_key_ = parse_backend_key(message.body);
      return true;
    case 'E': {
      last_error_ = parse_error(message.body);
      if (!result_.error) result_.error = last_error_;
      if (state_ != State::kLogin) return true;
      // An error ends the login; there is no need to wait for the server to close.
      fail(CloseCause::kRejected, "login refused");
      return false;
    }
    case 'D': {
      auto row = parse_data_row(message.body);
      if (!row) {
        fail(CloseCause::kProtocol, "a broken DataRow");
        return false;
      }
      result_.rows.push_back(std::move(*row));
      return true;
    }
    case 'C':
      result_.tag = parse_string(message.body);
      return true;
    case 'Z':
      return handle_ready(message.body);
    case 'S':
    case 'N':
    case 'A':
    case 'T':
    case 'I':
    case 'v':
      return true;
    default:
      fail(CloseCause::kProtocol, "a message that does not belong here");
      return false;
  }
}

bool Connection::handle_authentication(std::string_view body) {
  const auto request = parse_authentication(body);
  if (!request || state_ != State::kLogin) {
    fail(CloseCause::kProtocol, "a broken authentication message");
    return false;
  }
  const auto& [code, data] = *request;
  std::string error = "only SCRAM-SHA-256 and trust are spoken";
  if (code == 0) {
    // A server that asked for SCRAM and skips its own proof is not the one we know.
    if (!scram_ || scram_verified_) return true;
    error = "SCRAM: the server ended the login without its proof";
  } else if (code == 10) {
    return handle_sasl_start(data);
  } else if (code == 11 && scram_) {
    if (const auto reply = scram_->final_message(data, error)) {
      send(sasl_response_message(*reply));
      return true;
    }
  } else if (code == 12 && scram_) {
    scram_verified_ = scram_->verify_server(data, error);
    if (scram_verified_) return true;
  }
  fail(CloseCause::kProtocol, error);
  return false;
}

bool Connection::handle_sasl_start(std::string_view mechanisms) {
  constexpr std::string_view kMechanism = "SCRAM-SHA-256";
  if (!offers_mechanism(mechanisms, kMechanism)) {
    fail(CloseCause::kProtocol, "the server offers no SCRAM-SHA-256");
    return false;
  }
  scram_.emplace(*settings_.scram_keys, settings_.password, scram_nonce());
  send(sasl_initial_message(kMechanism, scram_->first_message()));
  return true;
}

bool Connection::handle_ready(std::string_view body) {
  deadline_ = TimePoint::max();
  const auto epoch = epoch_;
  if (state_ == State::kLogin) {
    state_ = State::kIdle;
    ready_at_ = Clock::now();
    listener_.on_ready(*this);
  } else if (state_ == State::kBusy) {
    state_ = State::kIdle;
    result_.transaction_status = body.empty() ? 'I' : body[0];
    result_.latency = Clock::now() - query_at_;
    last_error_.reset();
    const QueryResult result = std::move(result_);
    result_ = {};
    listener_.on_result(*this, result);
  }
  return epoch == epoch_;
}

CancelRequest::CancelRequest(EventLoop& loop, const Endpoint& endpoint, const CancelKey& key,
                             Duration timeout, std::function<void(Outcome)> done)
    : loop_(loop), endpoint_(endpoint), key_(key), timeout_(timeout), done_(std::move(done)) {}

CancelRequest::~CancelRequest() {
  if (fd_ < 0) return;
  loop_.unwatch(watch_id_, fd_);
  ::close(fd_);
}

void CancelRequest::start() {
  deadline_ = Clock::now() + timeout_;
  fd_ = start_connect(endpoint_);
  if (fd_ < 0) {
    finish(Outcome::kFailed);
    return;
  }
  watch_id_ = loop_.watch(fd_, EPOLLOUT, this);
}

void CancelRequest::on_tick(TimePoint now) {
  if (now >= deadline_) finish(Outcome::kTimeout);
}

void CancelRequest::on_io(std::uint32_t /*events*/) {
  if (!sent_) {
    const std::string message = cancel_message(key_);
    if (socket_error(fd_) != 0 || ::send(fd_, message.data(), message.size(), MSG_NOSIGNAL) !=
                                      static_cast<ssize_t>(message.size())) {
      finish(Outcome::kFailed);
      return;
    }
    sent_ = true;
    loop_.change(watch_id_, fd_, EPOLLIN);
    return;
  }
  // The server answers nothing; it closes when it is done with the request.
  char byte = 0;
  const ssize_t count = ::recv(fd_, &byte, 1, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  finish(count == 0 ? Outcome::kTaken : Outcome::kFailed);
}

void CancelRequest::finish(Outcome outcome) {
  if (fd_ >= 0) {
    loop_.unwatch(watch_id_, fd_);
    ::close(fd_);
    fd_ = -1;
  }
  if (!done_) return;
  const auto done = std::move(done_);
  done_ = nullptr;
  done(outcome);
}

}  // namespace pooler::load
