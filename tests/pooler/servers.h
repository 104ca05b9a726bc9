// The real ones: Postgres 17, and PgBouncer in both versions that Debian ships, with the files that
// the operator renders. All on loopback.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/pgbouncer/render.h"
#include "engine/pgbouncer/workload.h"
#include "fault/certificates.h"
#include "pg/session.h"
#include "pooler/process.h"
#include "urls/connection.h"

namespace pooler::ring {

// Asks once, over a session of its own; the target's timeout counts.
[[nodiscard]] Result<pg::Rows, pg::Error> ask(pg::Target target, const std::string& text);
[[nodiscard]] Result<pg::Rows, pg::Error> ask(const urls::Connection& to, const std::string& text);
// The first cell of the answer, or "error: ..." in the server's words.
[[nodiscard]] std::string value_of(const urls::Connection& to, const std::string& text);

// Until `done`; false after a minute.
[[nodiscard]] bool wait_until(const std::function<bool()>& done);

[[nodiscard]] std::string sql_name(const std::string& name);    // "quoted"
[[nodiscard]] std::string sql_string(const std::string& text);  // 'quoted'

class Postgres {
 public:
  // `options`: settings, as "max_connections=12".
  explicit Postgres(std::vector<std::string> options = {});

  void start();
  void stop();  // as `pg_ctl stop -m fast`
  void set_options(std::vector<std::string> options) { options_ = std::move(options); }
  // Encrypts from the next start on, with a certificate for "localhost" that only it has signed.
  void make_certificate();
  [[nodiscard]] std::string certificate() const { return folder_.path() + "/server.crt"; }
  // Encrypts from the next start on. With an authority of `clients` only those may log in, besides
  // the superuser, who show a certificate of it with their name.
  void use_certificate(const fault::KeyPair& identity, const std::string& clients = {});

  [[nodiscard]] int port() const { return port_; }
  // As the superuser; throws where it fails.
  pg::Rows sql(const std::string& text, const std::string& database = "postgres");
  // A role that may log in, and a database of its own, both without limits; what an earlier test
  // made of them is undone.
  urls::Connection make_user(const std::string& user, const std::string& password,
                             const std::string& database);
  [[nodiscard]] urls::Connection superuser(const std::string& database = "postgres") const;

 private:
  [[nodiscard]] std::string data() const { return folder_.path() + "/data"; }

  std::string root_;
  std::vector<std::string> options_;
  int port_;
  TemporaryFolder folder_;
  std::unique_ptr<Process> process_;
};

// One that all tests of this process may use; they leave its settings as they are.
Postgres& shared_postgres();

enum class Version { k124, k126 };
[[nodiscard]] std::string number_of(Version version);  // "1.24.1"

class PgBouncer {
 public:
  PgBouncer(Version version, urls::Connection database);

  void set_database(urls::Connection database) { database_ = std::move(database); }
  // From the next start on.
  void set_pool_mode(api::PoolMode mode) { pool_mode_ = mode; }
  void set_parameters(api::Texts parameters) { parameters_ = std::move(parameters); }
  // spec.pgbouncer.auth with mode Query; `query`: empty for the default.
  void set_lookups(engine::pgbouncer::AuthUser by, std::string query = {}) {
    auth_.mode = api::PoolerAuth::Mode::kQuery;
    auth_.query = std::move(query);
    auth_user_ = std::move(by);
  }
  void set_client_tls(api::ClientTls::Mode mode, Certificates certificates) {
    client_tls_ = {mode, "orders-tls"};
    certificates_ = std::move(certificates);
  }
  // Of what is set.
  [[nodiscard]] engine::pgbouncer::Revision render(int floor = 4) const;
  // Renders the files and starts; throws with the log where it does not listen in the end.
  void start(int floor = 4);
  void stop(int signal);
  // The files of a revision, and the pod's own, which leads to `marker`: for the next start or
  // RELOAD.
  void write_files(const engine::pgbouncer::Revision& revision, const std::string& marker);

  // As the operator does when no pod runs `before` any more: what `after` reads, too, stays.
  void remove_files(const engine::pgbouncer::Revision& before,
                    const engine::pgbouncer::Revision& after);

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] const engine::pgbouncer::Revision& revision() const { return revision_; }
  [[nodiscard]] const engine::Admin& admin() const { return admin_; }
  [[nodiscard]] std::string log() const { return read_file(log_path()); }
  // As the published Secret has it, but for the host.
  [[nodiscard]] urls::Connection pooled() const;
  // The operator's own way in.
  [[nodiscard]] pg::Target console() const;

  static api::PoolerConfig config();

 private:
  [[nodiscard]] std::string log_path() const { return folder_.path() + "/log"; }

  std::string root_;
  urls::Connection database_;
  api::PoolMode pool_mode_ = api::PoolMode::kTransaction;
  api::Texts parameters_;
  api::PoolerAuth auth_;
  engine::pgbouncer::AuthUser auth_user_;
  api::ClientTls client_tls_;
  Certificates certificates_;  // that clients are shown
  engine::Admin admin_;
  int port_;
  TemporaryFolder folder_;
  engine::pgbouncer::Revision revision_;
  std::unique_ptr<Process> process_;
};

}  // namespace pooler::ring
