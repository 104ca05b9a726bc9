#include "pooler/servers.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <thread>
#include <utility>

#include "base/crypto.h"
#include "base/strings.h"
#include "live/targets.h"
#include "pg/libpq_session.h"
#include "unit/pg/drive.h"
#include "urls/published.h"

namespace pooler::ring {
namespace {

namespace fs = std::filesystem;
namespace pgbouncer = engine::pgbouncer;

constexpr uid_t kPostgresUser = 999;  // of the image
constexpr uid_t kPoolerUser = 65532;  // of the pods
constexpr const char* kPostgresBin = "/usr/lib/postgresql/17/bin/";
constexpr const char* kPostgresData = "/var/lib/postgresql/data";
constexpr const char* kSuperuserPassword = "of the superuser";
constexpr const char* kLoopback = "127.0.0.1";

std::string quoted(const std::string& text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote) out += c;
    out += c;
  }
  return out + quote;
}

// initdb takes seconds, a copy of what it made does not. Made once for each root, beside the test's
// binary; other test processes wait.
std::string database_template(const std::string& root) {
  const std::string folder =
      fs::read_symlink("/proc/self/exe").parent_path() / "pooler-ring-template";
  const std::string made = folder + "/" + hex_encode(sha256(root)).substr(0, 16);
  fs::create_directories(folder);
  const int lock = open((folder + "/lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  flock(lock, LOCK_EX);
  if (!fs::exists(made)) {
    TemporaryFolder scratch;
    const std::string data = scratch.path() + "/data";
    fs::create_directory(data);
    write_file(data + "/../password", kSuperuserPassword);
    fs::permissions(scratch.path(), fs::perms::all);
    run({"chown", "-R", std::to_string(kPostgresUser), scratch.path()});
    Process initdb({.root = root,
                    .command = {std::string(kPostgresBin) + "initdb", "-D", "/mnt/data", "-U",
                                "postgres", "--pwfile=/mnt/password", "-A", "scram-sha-256",
                                "--wal-segsize=1", "--no-sync", "--no-instructions", "-E", "UTF8"},
                    .user = kPostgresUser,
                    .binds = {{scratch.path(), "/mnt"}},
                    .log = scratch.path() + "/log"});
    if (initdb.wait() != 0) {
      throw std::runtime_error("initdb failed: " + read_file(scratch.path() + "/log"));
    }
    run({"cp", "-a", data, made + ".new"});
    fs::rename(made + ".new", made);
  }
  close(lock);
  return made;
}

// Until somebody listens there; false where the program has ended.
bool wait_for_port(Process& process, int port) {
  return wait_until([&] { return !process.running() || answers(port); }) && process.running();
}

}  // namespace

bool wait_until(const std::function<bool()>& done) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!done()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

std::string sql_name(const std::string& name) { return quoted(name, '"'); }
std::string sql_string(const std::string& text) { return quoted(text, '\''); }

Result<pg::Rows, pg::Error> ask(pg::Target target, const std::string& text) {
  using State = pg::Session::State;
  const SystemClock clock;
  ThreadResolver resolver;
  pg::LibpqSessionFactory factory(resolver);
  const auto session = factory.connect(std::move(target), clock.monotonic());
  const bool settled = pg::testing::drive(*session, [&] {
    return session->state() == State::kIdle || session->state() == State::kFailed;
  });
  if (!settled) throw std::runtime_error("a session does not keep its deadline");
  if (session->state() == State::kFailed) return failure(session->error());
  session->query(text, clock.monotonic() + std::chrono::minutes(1));
  std::optional<Result<pg::Rows, pg::Error>> answer;
  while (!answer) {
    (void)pg::testing::drive(*session, [&] { return session->state() != State::kBusy; });
    answer = session->take();
  }
  return *answer;
}

Result<pg::Rows, pg::Error> ask(const urls::Connection& to, const std::string& text) {
  return ask(live::database_target(to), text);
}

std::string value_of(const urls::Connection& to, const std::string& text) {
  const auto answer = ask(to, text);
  if (!answer.ok()) return "error: " + answer.error().message;
  const auto& cells = answer.value().cells;
  return cells.empty() || cells[0].empty() ? "" : cells[0][0].value_or("NULL");
}

Postgres::Postgres(std::vector<std::string> options)
    : root_(root_from_environment("POOLER_ROOT_POSTGRES")),
      options_(std::move(options)),
      port_(free_port()) {
  run({"cp", "-a", database_template(root_), data()});
  start();
}

void Postgres::start() {
  std::vector<std::string> command = {std::string(kPostgresBin) + "postgres", "-D", kPostgresData};
  for (const std::string& option :
       {std::string("listen_addresses=127.0.0.1,::1"), "port=" + std::to_string(port_),
        std::string("unix_socket_directories="), std::string("fsync=off")}) {
    command.insert(command.end(), {"-c", option});
  }
  for (const std::string& option : options_) command.insert(command.end(), {"-c", option});
  process_ = std::make_unique<Process>(Program{.root = root_,
                                               .command = command,
                                               .user = kPostgresUser,
                                               .binds = {{data(), kPostgresData}},
                                               .log = folder_.path() + "/log"});
  const bool up = wait_for_port(*process_, port_) && wait_until([&] {
                    return !process_->running() || ask(superuser(), "SELECT 1").ok();
                  });
  if (!up)
    throw std::runtime_error("Postgres does not start: " + read_file(folder_.path() + "/log"));
}

void Postgres::stop() {
  process_->signal(SIGINT);
  process_->wait();
}

void Postgres::make_certificate() {
  const std::string key = data() + "/server.key";
  run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
       "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
       key, "-out", certificate(), "-batch"});
  run({"cp", certificate(), data() + "/server.crt"});
  for (const std::string& file : {key, data() + "/server.crt"}) {
    fs::permissions(file, fs::perms::owner_read);
    run({"chown", std::to_string(kPostgresUser), file});
  }
  options_.push_back("ssl=on");
}

void Postgres::use_certificate(const fault::KeyPair& identity, const std::string& clients) {
  const auto put = [this](const std::string& name, const std::string& pem) {
    const std::string path = data() + "/" + name;
    write_file(path, pem);
    fs::permissions(path, fs::perms::owner_read);
    run({"chown", std::to_string(kPostgresUser), path});
  };
  put("server.crt", identity.certificate);
  put("server.key", identity.key);
  options_.emplace_back("ssl=on");
  if (clients.empty()) return;
  put("clients.crt", clients);
  options_.emplace_back("ssl_ca_file=clients.crt");
  write_file(data() + "/pg_hba.conf",
             "host all postgres all scram-sha-256\n"
             "hostssl all all all scram-sha-256 clientcert=verify-full\n");
}

pg::Rows Postgres::sql(const std::string& text, const std::string& database) {
  auto answer = ask(superuser(database), text);
  if (!answer.ok()) throw std::runtime_error(answer.error().message);
  return std::move(answer.value());
}

urls::Connection Postgres::make_user(const std::string& user, const std::string& password,
                                     const std::string& database) {
  const std::string role = sql_name(user);
  const std::string name = sql_name(database);
  if (sql("SELECT 1 FROM pg_roles WHERE rolname = " + sql_string(user)).cells.empty()) {
    sql("CREATE ROLE " + role);
  }
  sql("ALTER ROLE " + role + " LOGIN CONNECTION LIMIT -1 PASSWORD " + sql_string(password));
  sql("ALTER ROLE " + role + " RESET ALL");
  if (sql("SELECT 1 FROM pg_database WHERE datname = " + sql_string(database)).cells.empty()) {
    sql("CREATE DATABASE " + name);
  }
  sql("ALTER DATABASE " + name + " OWNER TO " + role);
  sql("ALTER DATABASE " + name + " CONNECTION LIMIT -1");
  sql("GRANT CONNECT ON DATABASE " + name + " TO PUBLIC");
  urls::Connection made = superuser(database);
  made.user = user;
  made.password = password;
  return made;
}

urls::Connection Postgres::superuser(const std::string& database) const {
  urls::Connection connection;
  connection.hosts = {{kLoopback, port_}};
  connection.database = database;
  connection.user = "postgres";
  connection.password = kSuperuserPassword;
  return connection;
}

Postgres& shared_postgres() {
  static Postgres postgres({"max_prepared_transactions=2"});  // by default there are none
  return postgres;
}

std::string number_of(Version version) { return version == Version::k124 ? "1.24.1" : "1.26.1"; }

PgBouncer::PgBouncer(Version version, urls::Connection database)
    : root_(root_from_environment(version == Version::k124 ? "POOLER_ROOT_TRIXIE"
                                                           : "POOLER_ROOT_FORKY")),
      database_(std::move(database)),
      admin_(engine::make_admin(random_bytes(engine::kAdminRandomBytes))),
      port_(free_port()) {
  fs::create_directory(folder_.path() + "/etc");
}

api::PoolerConfig PgBouncer::config() {
  api::PoolerConfig config;
  config.name = "orders";
  config.ns = "shop";
  config.spec.scaling.max_replicas = 3;
  config.spec.replicas = 1;
  return config;
}

pgbouncer::Revision PgBouncer::render(int floor) const {
  api::PoolerConfig rendered = config();
  rendered.spec.pool_mode = pool_mode_;
  rendered.spec.pgbouncer.parameters = parameters_;
  rendered.spec.client_tls = client_tls_;
  rendered.spec.pgbouncer.auth = auth_;
  return pgbouncer::render(rendered, {database_, admin_, floor, "", certificates_, auth_user_});
}

void PgBouncer::start(int floor) {
  revision_ = render(floor);
  write_files(revision_, revision_.hash);
  const std::string name = pgbouncer::pod_file_name(config(), 0);
  process_ = std::make_unique<Process>(
      Program{.root = root_,
              .command = {"/usr/sbin/pgbouncer", std::string(pgbouncer::kMountPath) + "/" + name},
              .user = kPoolerUser,
              .binds = {{folder_.path() + "/etc", std::string(pgbouncer::kMountPath)}},
              .log = log_path()});
  if (!wait_for_port(*process_, port_))
    throw std::runtime_error("PgBouncer does not start: " + log());
}

void PgBouncer::write_files(const pgbouncer::Revision& revision, const std::string& marker) {
  const std::string etc = folder_.path() + "/etc/";
  for (const auto& [name, bytes] : revision.files) write_file(etc + name, bytes);
  // Its own pod has an address to itself; here it gets a port.
  write_file(etc + pgbouncer::pod_file_name(config(), 0),
             pgbouncer::pod_file(0, marker) + "listen_addr = " + kLoopback +
                 "\nlisten_port = " + std::to_string(port_) + "\n");
}

void PgBouncer::remove_files(const pgbouncer::Revision& before, const pgbouncer::Revision& after) {
  for (const auto& [name, bytes] : before.files) {
    if (!after.files.contains(name)) fs::remove(folder_.path() + "/etc/" + name);
  }
}

void PgBouncer::stop(int signal) {
  process_->signal(signal);
  process_->wait();
}

urls::Connection PgBouncer::pooled() const {
  urls::Connection pooled =
      urls::pooled_connection(database_, kLoopback, port_, api::mode_of(client_tls_));
  pooled.certificates.authorities = certificates_.authorities;
  pooled.database = pgbouncer::client_database_name(database_);
  return pooled;
}

pg::Target PgBouncer::console() const {
  return live::console_target({"uid", "orders-pooler-0", kLoopback, port_},
                              {std::string(pgbouncer::kAdminUser), admin_.password});
}

}  // namespace pooler::ring
