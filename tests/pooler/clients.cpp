#include "pooler/clients.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

namespace pooler::ring {
namespace {

// Room for all clients of a test on server connections of their own.
constexpr int kServerConnections = 4;

std::string first_line(std::string text) {
  text.resize(std::min(text.size(), text.find('\n')));
  return text;
}

// A database with something in it, and a role that may do what an application may.
const urls::Connection& database() {
  static const urls::Connection made = [] {
    Postgres& postgres = shared_postgres();
    urls::Connection visitor = postgres.make_user("visitor", "s3cret", "features");
    postgres.sql("CREATE ROLE tenant");
    postgres.sql("GRANT tenant TO visitor");
    postgres.sql("ALTER ROLE visitor REPLICATION");
    const Answer answer =
        Client(visitor).ask_all({"CREATE TABLE things (n int)", "CREATE TABLE numbered (id serial)",
                                 "CREATE SCHEMA elsewhere"});
    if (!answer.ok()) throw std::runtime_error(answer.error);
    return visitor;
  }();
  return made;
}

}  // namespace

Client::Client(const urls::Connection& to, const std::map<std::string, std::string>& more)
    : connection_(nullptr, &PQfinish) {
  std::map<std::string, std::string> parameters = {
      {"host", to.hosts.front().host}, {"port", std::to_string(to.hosts.front().port)},
      {"dbname", to.database},         {"user", to.user},
      {"password", to.password},       {"sslmode", "disable"},
      {"gssencmode", "disable"},       {"connect_timeout", "60"}};
  for (const auto& [key, value] : more) parameters[key] = value;
  std::vector<const char*> keys;
  std::vector<const char*> values;
  for (const auto& [key, value] : parameters) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  connection_.reset(PQconnectdbParams(keys.data(), values.data(), 0));
  if (PQstatus(raw()) == CONNECTION_OK) {
    PQsetNoticeProcessor(
        raw(), [](void*, const char*) {}, nullptr);  // warnings are expected
  } else {
    refusal_ = words();
  }
}

std::string Client::words() const {
  std::string text = PQerrorMessage(connection_.get());
  const std::string fatal = "FATAL:  ";
  if (const auto at = text.find(fatal); at != std::string::npos) text.erase(0, at + fatal.size());
  return text.empty() ? "no reason was given" : first_line(text);
}

Client::Result Client::next() {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (PQisBusy(raw()) != 0) {
    if (std::chrono::steady_clock::now() > give_up) throw std::runtime_error("no answer");
    pollfd item{PQsocket(raw()), POLLIN, 0};
    poll(&item, 1, 1000);
    if (PQconsumeInput(raw()) == 0) break;  // it is lost, and the result will say so
  }
  return {PQgetResult(raw()), &PQclear};
}

void Client::note(const PGresult* result, Answer& answer) {
  switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
      if (PQntuples(result) > 0 && PQnfields(result) > 0) answer.value = PQgetvalue(result, 0, 0);
      return;
    case PGRES_BAD_RESPONSE:
    case PGRES_FATAL_ERROR:
    case PGRES_PIPELINE_ABORTED: {
      if (!answer.ok()) return;
      const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
      answer.error = primary != nullptr ? primary : words();
      return;
    }
    default:
      return;
  }
}

Answer Client::ask(const std::string& statement) {
  send(statement);
  return collect();
}

Answer Client::ask_all(const Statements& statements) {
  Answer answer;
  for (const std::string& statement : statements) {
    answer = ask(statement);
    if (!answer.ok()) break;
  }
  return answer;
}

void Client::send(const std::string& statement) { PQsendQuery(raw(), statement.c_str()); }

Answer Client::collect() {
  Answer answer;
  if (PQstatus(raw()) != CONNECTION_OK) answer.error = words();
  while (const Result result = next()) note(result.get(), answer);
  return answer;
}

Answer Client::copy_in(const std::string& statement, const std::string& rows) {
  send(statement);
  if (PQresultStatus(next().get()) == PGRES_COPY_IN) {
    PQputCopyData(raw(), rows.data(), static_cast<int>(rows.size()));
    PQputCopyEnd(raw(), nullptr);
  }
  return collect();
}

Answer Client::copy_out(const std::string& statement) {
  send(statement);
  std::string rows;
  if (PQresultStatus(next().get()) == PGRES_COPY_OUT) {
    char* row = nullptr;
    for (int size = 0; (size = PQgetCopyData(raw(), &row, 0)) > 0; PQfreemem(row)) {
      rows.append(row, static_cast<std::size_t>(size));
    }
  }
  Answer answer = collect();
  answer.value = rows;
  return answer;
}

Answer Client::ask_with(const std::string& statement, const std::string& parameter) {
  const char* values = parameter.c_str();
  PQsendQueryParams(raw(), statement.c_str(), 1, nullptr, &values, nullptr, nullptr, 0);
  return collect();
}

Answer Client::prepare(const std::string& name, const std::string& statement) {
  PQsendPrepare(raw(), name.c_str(), statement.c_str(), 0, nullptr);
  return collect();
}

Answer Client::execute(const std::string& name, const std::string& parameter) {
  const char* values = parameter.c_str();
  PQsendQueryPrepared(raw(), name.c_str(), 1, &values, nullptr, nullptr, 0);
  return collect();
}

Answer Client::pipeline(const Statements& statements) {
  Answer answer;
  PQenterPipelineMode(raw());
  for (const std::string& statement : statements) {
    PQsendQueryParams(raw(), statement.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0);
  }
  PQpipelineSync(raw());
  while (PQstatus(raw()) == CONNECTION_OK) {
    const Result result = next();  // nullptr between two statements
    if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) break;
    if (result != nullptr) note(result.get(), answer);
  }
  PQexitPipelineMode(raw());
  return answer;
}

void Client::cancel() {
  const std::unique_ptr<PGcancel, void (*)(PGcancel*)> key(PQgetCancel(raw()), &PQfreeCancel);
  char why[256] = "";
  if (PQcancel(key.get(), why, sizeof(why)) == 0) throw std::runtime_error(why);
}

bool Client::notified() {
  PQconsumeInput(raw());
  const std::unique_ptr<PGnotify, void (*)(void*)> got(PQnotifies(raw()), &PQfreemem);
  return got != nullptr;
}

Bench::Bench(Version version, api::PoolMode mode)
    : pgbouncer_(version, database()), beside_(database()) {
  pgbouncer_.set_pool_mode(mode);
  pgbouncer_.start(kServerConnections);
}

Client Bench::client(const std::map<std::string, std::string>& more) {
  return Client(pgbouncer_.pooled(), more);
}

Client Bench::direct() const { return Client(database()); }

std::string Bench::endless() {
  static int number = 0;
  return "SELECT pg_sleep(600) AS number_" + std::to_string(++number);
}

std::string Bench::wait_until_runs(const std::string& statement) {
  Answer found;
  const bool runs = wait_until([&] {
    found = beside_.ask("SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query = " +
                        sql_string(statement));
    return !found.value.empty();
  });
  if (!runs) throw std::runtime_error("a statement does not reach the server " + found.error);
  return found.value;
}

Busy::Busy(Bench& bench) : bench_(bench), client_(bench.client()) {
  const std::string statement = Bench::endless();
  client_.send(statement);
  backend_ = bench_.wait_until_runs(statement);
}

Busy::~Busy() {
  if (!ended_) bench_.beside().ask("SELECT pg_cancel_backend(" + backend_ + ")");
}

Client& Busy::end() {
  bench_.beside().ask("SELECT pg_cancel_backend(" + backend_ + ")");
  ended_ = true;
  client_.collect();
  return client_;
}

}  // namespace pooler::ring
