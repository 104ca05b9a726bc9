#include "pg/libpq_session.h"

#include <libpq-fe.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>

#include <algorithm>
#include <cassert>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/crypto.h"
#include "base/strings.h"
#include "pg/libpq_errors.h"
#include "pg/memory_file.h"

namespace pooler::pg {
namespace {

struct ConnectionDeleter {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ResultDeleter {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ConnectionPtr = std::unique_ptr<PGconn, ConnectionDeleter>;
using ResultPtr = std::unique_ptr<PGresult, ResultDeleter>;

constexpr std::string_view kCannotConnectNow = "57P03";

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? "" : text;
}

Rows read_rows(const PGresult* result) {
  Rows rows;
  const int columns = PQnfields(result);
  for (int c = 0; c < columns; ++c) rows.columns.emplace_back(PQfname(result, c));
  for (int r = 0; r < PQntuples(result); ++r) {
    auto& row = rows.cells.emplace_back();
    for (int c = 0; c < columns; ++c) {
      if (PQgetisnull(result, r, c) != 0) {
        row.emplace_back(std::nullopt);
      } else {
        row.emplace_back(std::string(PQgetvalue(result, r, c),
                                     static_cast<std::size_t>(PQgetlength(result, r, c))));
      }
    }
  }
  return rows;
}

bool is_ready(int fd, Wants wants) {
  pollfd item{fd, static_cast<short>((wants.read ? POLLIN : 0) | (wants.write ? POLLOUT : 0)), 0};
  return poll(&item, 1, 0) > 0;
}

std::string peer_fingerprint(PGconn* connection) {
  auto* ssl = static_cast<SSL*>(PQsslStruct(connection, "OpenSSL"));
  X509* certificate = ssl == nullptr ? nullptr : SSL_get1_peer_certificate(ssl);
  unsigned char* der = nullptr;
  const int size = certificate == nullptr ? 0 : i2d_X509(certificate, &der);
  std::string fingerprint;
  if (size > 0) {
    fingerprint =
        hex_encode(sha256({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)}));
  }
  OPENSSL_free(der);
  X509_free(certificate);
  return fingerprint;
}

class LibpqSession final : public Session {
 public:
  LibpqSession(Resolver& resolver, Target target, MonotonicTime now)
      : resolver_(resolver),
        target_(std::move(target)),
        connect_by_(now + target_.timeout),
        params_(target_.params) {
    assert(!target_.endpoints.empty());
    current_ = target_.endpoints.front();
    const auto password = target_.params.find("password");
    if (password != target_.params.end()) password_ = password->second;
    const bool held = hold("sslrootcert", target_.certificates.authorities) &&
                      hold("sslcert", target_.certificates.chain) &&
                      hold("sslkey", target_.certificates.key);
    if (held) {
      start_endpoint(now);
    } else {
      fail(session_error(Error::Kind::kOther, "no memory for its certificates"));
    }
  }

  State state() const override { return state_; }
  int fd() const override {
    if (lookup_) return lookup_->fd();
    return connection_ ? PQsocket(connection_.get()) : -1;
  }
  Wants wants() const override { return lookup_ ? Wants{.read = true} : wants_; }
  MonotonicTime deadline() const override {
    switch (state_) {
      case State::kConnecting:
        return step_by_;
      case State::kBusy:
        return answer_by_;
      default:
        return MonotonicTime::max();
    }
  }
  const Error& error() const override {
    assert(state_ == State::kFailed);
    return error_;
  }
  const Endpoint& peer() const override { return current_; }
  const std::string& peer_certificate() const override { return peer_certificate_; }

  void advance(MonotonicTime now) override {
    if (state_ == State::kConnecting) advance_connecting(now);
    if (state_ == State::kIdle || state_ == State::kBusy) advance_connected(now);
  }

  void query(std::string_view text, MonotonicTime deadline) override {
    assert(state_ == State::kIdle);
    answer_.reset();
    collected_.reset();
    answer_by_ = deadline;
    state_ = State::kBusy;
    if (PQsendQuery(connection_.get(), std::string(text).c_str()) == 0) return fail_lost();
    flush();
  }

  std::optional<Result<Rows, Error>> take() override {
    return std::exchange(answer_, std::nullopt);
  }

 private:
  // libpq reads certificates from files only. They are held until it has logged in.
  bool hold(const char* parameter, const std::string& text) {
    if (text.empty()) return true;
    files_.emplace_back(text);
    params_[parameter] = files_.back().path();
    return !params_[parameter].empty();
  }

  // --- connecting: endpoint by endpoint, address by address ---------------------------------

  void start_endpoint(MonotonicTime now) {
    while (next_endpoint_ < target_.endpoints.size()) {
      current_ = target_.endpoints[next_endpoint_++];
      if (!current_.address.empty()) {
        addresses_ = {current_.address};
        return start_address(now);
      }
      lookup_ = resolver_.look_up(current_.host);
      step_by_ = now + share(now, 1);
      return;
    }
    fail(best_error_.value_or(Error{}));
  }

  void start_address(MonotonicTime now) {
    while (!addresses_.empty()) {
      step_by_ = now + share(now, addresses_.size());
      current_.address = std::move(addresses_.front());
      addresses_.pop_front();
      start_connection();
      if (PQstatus(connection_.get()) != CONNECTION_BAD) return;
      note(read_connect_error(PQerrorMessage(connection_.get()), password_),
           Error::Phase::kConnect);
      connection_.reset();
    }
    start_endpoint(now);
  }

  // An equal share of what is left for each address that is still to be tried, so that one that
  // swallows packets doesn't use up the time of the next.
  Duration share(MonotonicTime now, std::size_t addresses) const {
    const std::size_t left = addresses + (target_.endpoints.size() - next_endpoint_);
    return std::max<Duration>(connect_by_ - now, Duration::zero()) / static_cast<long>(left);
  }

  void start_connection() {
    Params params = params_;
    params["host"] = current_.host;
    params["hostaddr"] = current_.address;
    params["port"] = std::to_string(current_.port);
    std::vector<const char*> names;
    std::vector<const char*> values;
    for (const auto& [name, value] : params) {
      names.push_back(name.c_str());
      values.push_back(value.c_str());
    }
    names.push_back(nullptr);
    values.push_back(nullptr);
    connection_.reset(PQconnectStartParams(names.data(), values.data(), 0));
    PQsetErrorVerbosity(connection_.get(), PQERRORS_VERBOSE);
    PQsetNoticeReceiver(connection_.get(), &LibpqSession::on_notice, this);
    wants_ = {.read = false, .write = true};
  }

  void advance_connecting(MonotonicTime now) {
    if (lookup_) return advance_lookup(now);
    // libpq takes a socket that isn't ready yet for one that is connected.
    if (!is_ready(fd(), wants_)) {
      if (now >= step_by_) next_address(timeout_error("no answer in time"), now);
      return;
    }
    switch (PQconnectPoll(connection_.get())) {
      case PGRES_POLLING_OK:
        return become_idle();
      case PGRES_POLLING_FAILED:
        return next_address(read_connect_error(PQerrorMessage(connection_.get()), password_), now);
      case PGRES_POLLING_WRITING:
        wants_ = {.read = false, .write = true};
        break;
      default:
        wants_ = {.read = true, .write = false};
    }
    reached_ = reached_ || PQstatus(connection_.get()) > CONNECTION_STARTED;
    if (now >= step_by_) next_address(timeout_error("no answer in time"), now);
  }

  void advance_lookup(MonotonicTime now) {
    auto answer = lookup_->take();
    if (answer && answer->ok()) {
      lookup_.reset();
      addresses_.assign(answer->value().begin(), answer->value().end());
      return start_address(now);
    }
    if (!answer && now < step_by_) return;
    Error error;
    error.kind = Error::Kind::kName;
    error.message =
        answer ? printable(answer->error(), password_) : "the name servers did not answer in time";
    lookup_.reset();
    note(std::move(error), Error::Phase::kName);
    start_endpoint(now);
  }

  void next_address(Error error, MonotonicTime now) {
    const bool reached = reached_ || PQstatus(connection_.get()) > CONNECTION_STARTED ||
                         error.kind == Error::Kind::kServer;
    connection_.reset();
    reached_ = false;
    // A server that refuses the login has decided; another host is asked only where this one
    // couldn't decide (it is starting or stopping, or is not of the kind that was asked for).
    const bool final = error.kind == Error::Kind::kServer && error.sqlstate != kCannotConnectNow;
    note(std::move(error), reached ? Error::Phase::kLogin : Error::Phase::kConnect);
    if (final) return fail(*std::move(best_error_));
    start_address(now);
  }

  // The error of the try that came furthest is the one to show; of equals the first.
  void note(Error error, Error::Phase phase) {
    error.phase = phase;
    error.where = current_;
    const bool final = error.kind == Error::Kind::kServer && error.sqlstate != kCannotConnectNow;
    if (!best_error_ || final || phase > best_error_->phase) best_error_ = std::move(error);
  }

  void become_idle() {
    PQsetnonblocking(connection_.get(), 1);
    wants_ = {.read = true, .write = false};
    peer_certificate_ = peer_fingerprint(connection_.get());
    files_.clear();
    state_ = State::kIdle;
    best_error_.reset();
  }

  // --- connected ----------------------------------------------------------------------------

  void advance_connected(MonotonicTime now) {
    if (PQconsumeInput(connection_.get()) == 0) {
      if (state_ == State::kBusy) collect();  // the server's last words may be among what came
      if (state_ != State::kFailed) fail_lost();
      return;
    }
    if (state_ == State::kBusy) {
      flush();
      if (state_ == State::kBusy) collect();
    } else {
      (void)PQisBusy(
          connection_.get());  // makes libpq read what came unasked: a notice, a farewell
    }
    if (state_ == State::kBusy && now >= answer_by_) {
      Error error = timeout_error("no answer to a query in time");
      error.phase = Error::Phase::kSession;
      fail(std::move(error));
    }
  }

  void flush() {
    const int left = PQflush(connection_.get());
    if (left < 0) return fail_lost();
    wants_ = {.read = true, .write = left > 0};
  }

  void collect() {
    while (state_ == State::kBusy && PQisBusy(connection_.get()) == 0) {
      const ResultPtr result(PQgetResult(connection_.get()));
      if (!result) return finish_query();
      switch (PQresultStatus(result.get())) {
        case PGRES_TUPLES_OK:
          if (!collected_ || collected_->ok()) collected_.emplace(read_rows(result.get()));
          break;
        case PGRES_COMMAND_OK:
        case PGRES_EMPTY_QUERY:
          if (!collected_) collected_.emplace(Rows{});
          break;
        case PGRES_FATAL_ERROR:
          if (!collected_ || collected_->ok()) collected_.emplace(failure(query_error(*result)));
          break;
        default:
          fail(session_error(Error::Kind::kOther, "an answer of a kind that was not asked for"));
      }
    }
  }

  void finish_query() {
    if (PQstatus(connection_.get()) == CONNECTION_BAD) {
      if (collected_ && !collected_->ok()) return fail(collected_->error());
      return fail_lost();
    }
    answer_ = collected_ ? std::move(collected_) : Result<Rows, Error>(Rows{});
    collected_.reset();
    state_ = State::kIdle;
  }

  Error query_error(const PGresult& result) const {
    Error error = session_error(Error::Kind::kServer, field(&result, PG_DIAG_MESSAGE_PRIMARY));
    error.sqlstate = field(&result, PG_DIAG_SQLSTATE);
    if (error.sqlstate.empty()) {  // libpq's own words, not the server's
      error.kind = Error::Kind::kLost;
      error.message = printable(PQresultErrorMessage(&result), password_);
    }
    return error;
  }

  // --- failing ------------------------------------------------------------------------------

  Error session_error(Error::Kind kind, std::string_view message) const {
    Error error;
    error.kind = kind;
    error.phase = Error::Phase::kSession;
    error.message = printable(message, password_);
    error.where = current_;
    return error;
  }

  Error timeout_error(std::string message) const {
    Error error;
    error.kind = Error::Kind::kTimeout;
    error.message = std::move(message);
    error.where = current_;
    return error;
  }

  void fail_lost() {
    if (farewell_) return fail(*farewell_);
    fail(session_error(Error::Kind::kLost, PQerrorMessage(connection_.get())));
  }

  void fail(Error error) {
    error_ = std::move(error);
    if (error_.where.host.empty()) error_.where = current_;
    if (state_ == State::kBusy) answer_.emplace(failure(error_));
    state_ = State::kFailed;
    wants_ = {};
    lookup_.reset();
    connection_.reset();
    files_.clear();
  }

  // "terminating connection due to administrator command" comes without being asked for.
  static void on_notice(void* self, const PGresult* result) {
    auto* session = static_cast<LibpqSession*>(self);
    Error error =
        session->session_error(Error::Kind::kServer, field(result, PG_DIAG_MESSAGE_PRIMARY));
    error.sqlstate = field(result, PG_DIAG_SQLSTATE);
    const std::string severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity == "FATAL" || severity == "PANIC" || severity == "ERROR") {
      session->farewell_ = std::move(error);
    }
  }

  Resolver& resolver_;
  const Target target_;
  const MonotonicTime connect_by_;
  Params params_;  // the target's, with the paths of files_
  std::vector<MemoryFile> files_;
  std::string password_;

  State state_ = State::kConnecting;
  Wants wants_;
  Endpoint current_;
  std::size_t next_endpoint_ = 0;
  std::deque<std::string> addresses_;  // of current_, not tried yet
  MonotonicTime step_by_;
  bool reached_ = false;  // TCP stands
  std::unique_ptr<Lookup> lookup_;
  ConnectionPtr connection_;
  std::string peer_certificate_;
  std::optional<Error> best_error_;

  MonotonicTime answer_by_;
  std::optional<Result<Rows, Error>> collected_;  // of the query that runs
  std::optional<Result<Rows, Error>> answer_;
  std::optional<Error> farewell_;
  Error error_;
};

}  // namespace

std::unique_ptr<Session> LibpqSessionFactory::connect(Target target, MonotonicTime now) {
  return std::make_unique<LibpqSession>(resolver_, std::move(target), now);
}

}  // namespace pooler::pg
