#include "live/database_probe.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "api/status.h"
#include "base/strings.h"
#include "engine/rows.h"
#include "live/rows.h"
#include "live/targets.h"
#include "live/verdict.h"

namespace pooler::live {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kAliveEvery = seconds(10);
constexpr Duration kLimitsEvery = seconds(60);
constexpr Duration kAnswerTimeout = seconds(5);

// The cells of one row by column name.
class Row {
 public:
  explicit Row(const engine::Rows& rows) : rows_(rows) {}

  [[nodiscard]] std::optional<std::string> text(std::string_view name) const {
    const auto column = rows_.column(name);
    if (!column || rows_.cells.empty() || *column >= rows_.cells[0].size()) return std::nullopt;
    return rows_.cells[0][*column];
  }
  [[nodiscard]] std::optional<int> number(std::string_view name) const {
    const auto cell = text(name);
    const auto value = cell ? parse_integer(*cell) : std::nullopt;
    if (!value || *value > INT32_MAX) return std::nullopt;
    return static_cast<int>(*value);
  }
  // The column is there and holds NULL, a number, or one of `others`.
  [[nodiscard]] bool sound(std::string_view name,
                           std::initializer_list<std::string_view> others = {}) const {
    const auto column = rows_.column(name);
    if (!column || rows_.cells.empty() || *column >= rows_.cells[0].size()) return false;
    const auto cell = text(name);
    return !cell || number(name) || std::find(others.begin(), others.end(), *cell) != others.end();
  }

 private:
  const engine::Rows& rows_;
};

std::string identity_of(const Row& row, const pg::Endpoint& peer) {
  const auto address = row.text("address");
  const auto port = row.number("port");
  const bool told = address && !address->empty() && port;
  const std::string host = told ? *address : peer.address;
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(told ? *port : peer.port);
}

}  // namespace

std::optional<Server> read_server(const pg::Rows& answer, const pg::Endpoint& peer) {
  const engine::Rows rows = to_engine(answer);
  const Row row(rows);
  const auto version = row.number("version_num");
  const auto most = row.number("max_connections");
  const auto superuser = row.number("superuser_reserved");
  const auto recovery = row.text("in_recovery");
  if (!version || !most || !superuser) return std::nullopt;
  if (recovery != "t" && recovery != "f") return std::nullopt;
  // A limit that can't be read is none of the answers that are known: not "no limit".
  if (!row.sound("reserved") || !row.sound("role_limit", {"-1", "-2"}) ||
      !row.sound("database_limit", {"-1", "-2"})) {
    return std::nullopt;
  }
  Server server;
  server.identity = identity_of(row, peer);
  server.version_num = *version;
  server.max_connections = *most;
  server.superuser_reserved_connections = *superuser;
  server.reserved_connections = row.number("reserved").value_or(0);
  // -1, no limit, is no number here; neither is -2, which marks a database that is half dropped.
  server.role_limit = row.number("role_limit");
  server.database_limit = row.number("database_limit");
  server.in_recovery = *recovery == "t";
  return server;
}

DatabaseProbe::DatabaseProbe(pg::SessionFactory& sessions, const DatabaseTarget& target,
                             MonotonicTime not_before)
    : Probe(sessions, database_target(target.connection), kAnswerTimeout,
            Backoff{milliseconds(500), seconds(10)}, not_before),
      connection_(target.connection) {
  state_.token = target.token;
}

std::optional<std::string> DatabaseProbe::question(MonotonicTime now) {
  if (now < ask_at_) return std::nullopt;
  ask_at_ = now + kAliveEvery;
  asked_limits_ = now >= limits_at_;
  if (asked_limits_) limits_at_ = now + kLimitsEvery;
  return std::string(asked_limits_ ? kServerQuery : kAliveQuery);
}

void DatabaseProbe::answered(const Answer& answer, const pg::Session& session, MonotonicTime now) {
  if (!answer.ok()) {
    limits_at_ = now;  // with the next question
    return fail(answer.error());
  }
  if (asked_limits_) {
    auto server = read_server(answer.value(), session.peer());
    if (!server) {
      pg::Error error;
      error.phase = pg::Error::Phase::kSession;
      error.where = session.peer();
      limits_at_ = now;
      return fail(error);
    }
    state_.server = std::move(server);
  }
  state_.outcome = Outcome::kOk;
  state_.reason.clear();
  state_.message.clear();
}

void DatabaseProbe::failed(const pg::Error& error, bool had_answered, MonotonicTime now) {
  ask_at_ = now;
  limits_at_ = now;
  // A backend that we gave up on lives on for a moment.
  if (error.kind == pg::Error::Kind::kTimeout) hold_until(now + kCooling);
  // The end of a good session says only that: the login that follows tells how things are.
  if (had_answered && state_.outcome == Outcome::kOk) return;
  fail(error);
}

void DatabaseProbe::fail(const pg::Error& error) {
  Verdict verdict = database_verdict(error, connection_);
  state_.outcome = Outcome::kFailed;
  state_.reason = std::move(verdict.reason);
  state_.message = std::move(verdict.message);
}

}  // namespace pooler::live
