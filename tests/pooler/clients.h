// Applications, as libpq lets them be: several clients of one pooler, one of which can be brought
// to another server connection at the worst moment.
#pragma once

#include <libpq-fe.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pooler/servers.h"

namespace pooler::ring {

struct Answer {
  std::string value;  // first cell of the last rows
  std::string error;  // of the first thing that failed, in the server's words; empty: nothing did
  [[nodiscard]] bool ok() const { return error.empty(); }
};

using Statements = std::vector<std::string>;

// One connection. Everything that waits for the server throws after a minute without an answer.
class Client {
 public:
  // `more`: further parameters of libpq.
  explicit Client(const urls::Connection& to, const std::map<std::string, std::string>& more = {});

  // Why it could not log in, in the server's words; empty: it is logged in.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

  // The simple query protocol. Of several statements the first that fails is the last.
  Answer ask(const std::string& statement);
  Answer ask_all(const Statements& statements);
  void send(const std::string& statement);
  Answer collect();
  // COPY: what goes in, what comes out.
  Answer copy_in(const std::string& statement, const std::string& rows);
  Answer copy_out(const std::string& statement);

  // The extended protocol: an unnamed statement; a named Parse; Bind and Execute.
  Answer ask_with(const std::string& statement, const std::string& parameter);
  Answer prepare(const std::string& name, const std::string& statement);
  Answer execute(const std::string& name, const std::string& parameter);
  // All at once, with one Sync.
  Answer pipeline(const Statements& statements);

  void cancel();  // what runs
  // Somebody has notified this client of something.
  [[nodiscard]] bool notified();

  [[nodiscard]] PGconn* raw() { return connection_.get(); }

 private:
  using Result = std::unique_ptr<PGresult, void (*)(PGresult*)>;

  Result next();
  void note(const PGresult* result, Answer& answer);
  [[nodiscard]] std::string words() const;  // of the connection's own error

  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
  std::string refusal_;
};

// A pooler that nobody has used yet, in one pool mode, with room for 4 server connections.
class Bench {
 public:
  Bench(Version version, api::PoolMode mode);

  Client client(const std::map<std::string, std::string>& more = {});
  // Past the pooler, as the same user.
  [[nodiscard]] Client direct() const;
  Client& beside() { return beside_; }  // one such that is always there

  // A statement like no other that runs for minutes, and a wait until it runs.
  static std::string endless();
  // Its backend's process.
  std::string wait_until_runs(const std::string& statement);

 private:
  PgBouncer pgbouncer_;
  Client beside_;
};

// Another client whose statement runs on the server connection that was idle, or on a new one where
// none was: who asks next in mode transaction or statement comes to another one than before.
class Busy {
 public:
  explicit Busy(Bench& bench);
  ~Busy();
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

  // Ends the statement; the client has read everything that came.
  Client& end();
  [[nodiscard]] const std::string& backend() const { return backend_; }

 private:
  Bench& bench_;
  Client client_;
  std::string backend_;
  bool ended_ = false;
};

}  // namespace pooler::ring
