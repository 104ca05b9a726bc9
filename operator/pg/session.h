// A session with a server that speaks Postgres' protocol (Postgres itself, PgBouncer's admin
// console), driven by somebody else's poll loop. Nothing here blocks, sleeps or owns a thread.
//
// The loop's duty: wait until fd() is ready for wants() or deadline() has come, then call
// advance(); both may be different after every advance() and every query(). A call too many does no
// harm.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/certificates.h"
#include "base/clock.h"
#include "base/result.h"

namespace pooler::pg {

// libpq's connection keywords: user, password, dbname, sslmode, ...
using Params = std::map<std::string, std::string>;

struct Endpoint {
  std::string host;     // name or address; what a certificate is checked against
  std::string address;  // numeric; empty: `host` is looked up
  int port = 5432;
};

struct Target {
  std::vector<Endpoint> endpoints;  // tried in order, at least one; each with all its addresses
  Params params;                    // without host, hostaddr and port
  Duration timeout = std::chrono::seconds(5);  // names, connections and login together
  Certificates certificates;                   // in place of sslrootcert, sslcert and sslkey
};

// An answer as text, as the simple query protocol gives it.
struct Rows {
  std::vector<std::string> columns;
  std::vector<std::vector<std::optional<std::string>>> cells;  // nullopt: SQL NULL
};

struct Error {
  enum class Kind {
    kName,            // the host name has no address
    kRefused,         // nobody listens at that address and port
    kUnreachable,     // no way to that address
    kTimeout,         // no answer in time
    kTls,             // encryption is refused, or the certificate is not trusted
    kAuthentication,  // no common way to log in; decided on this side
    kServer,          // the server's own word: sqlstate and message are from it
    kLost,            // the connection ended without a word
    kOther,           // no Postgres at the other end, a bad parameter, ...
  };
  enum class Phase { kName, kConnect, kLogin, kSession };

  Kind kind = Kind::kOther;
  Phase phase = Phase::kConnect;
  std::string sqlstate;  // five characters; only with kServer
  std::string message;   // one line, valid UTF-8, bounded; never holds the password
  Endpoint where;        // what was tried, with the address where one was known
};

struct Wants {
  bool read = false;
  bool write = false;
  bool operator==(const Wants&) const = default;
};

class Session {
 public:
  enum class State { kConnecting, kIdle, kBusy, kFailed };

  virtual ~Session() = default;  // closes it, politely where that needs no waiting

  [[nodiscard]] virtual State state() const = 0;
  // What the loop has to wait for; -1: only the deadline.
  [[nodiscard]] virtual int fd() const = 0;
  [[nodiscard]] virtual Wants wants() const = 0;
  // MonotonicTime::max() where time alone changes nothing.
  [[nodiscard]] virtual MonotonicTime deadline() const = 0;

  virtual void advance(MonotonicTime now) = 0;

  // Requires kIdle. Without an answer by `deadline` the session fails.
  virtual void query(std::string_view text, MonotonicTime deadline) = 0;
  // The answer to the last query, once; nullopt while there is none. An error here leaves the
  // session usable, unless state() says kFailed.
  [[nodiscard]] virtual std::optional<Result<Rows, Error>> take() = 0;

  // Why it failed; requires kFailed. A failed session never recovers.
  [[nodiscard]] virtual const Error& error() const = 0;
  // Where it is connected to, with the numeric address; of interest once it has been kIdle.
  [[nodiscard]] virtual const Endpoint& peer() const = 0;
  // Fingerprint (base/certificates.h) of the certificate that it was shown there; empty where the
  // connection is not encrypted. The same for the whole life of the session.
  [[nodiscard]] virtual const std::string& peer_certificate() const = 0;
};

class SessionFactory {
 public:
  virtual ~SessionFactory() = default;
  [[nodiscard]] virtual std::unique_ptr<Session> connect(Target target, MonotonicTime now) = 0;
};

}  // namespace pooler::pg
