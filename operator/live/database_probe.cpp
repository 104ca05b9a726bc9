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

std::optional<bool> read_only_in(const Row& row) {
  const auto setting = row.text("read_only");
  if (setting != "on" && setting != "off") return std::nullopt;
  return setting == "on";
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
  const auto read_only = read_only_in(row);
  if (!read_only || (recovery != "t" && recovery != "f")) return std::nullopt;
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
  server.read_only = *read_only;
  return server;
}

DatabaseProbe::DatabaseProbe(pg::SessionFactory& sessions, Refusals& refusals,
                             const DatabaseTarget& target, MonotonicTime not_before)
    : Probe(sessions, database_target(target.connection), kAnswerTimeout,
            Backoff{milliseconds(500), seconds(10)}, not_before),
      connection_(target.connection),
      password_(refusals, target.refusal_scope, target.connection.password, target.refusal_pause),
      refused_before_(target.refused_before) {
  state_.token = target.token;
}

MonotonicTime DatabaseProbe::may_open(MonotonicTime now) {
  if (std::exchange(refused_before_, false)) {
    password_.remember(
        "the password of the database Secret was refused before the operator was started anew: "
        "correct it",
        now);
  }
  if (const Refusal* refusal = password_.refusal(now)) {
    state_.outcome = Outcome::kFailed;
    state_.reason = api::reason::kAuthenticationFailed;
    state_.message = told_of(*refusal, state_.token);
    state_.refused = true;
  }
  return password_.begin(now);
}

std::optional<std::string> DatabaseProbe::question(MonotonicTime now) {
  if (now < ask_at_) return std::nullopt;
  ask_at_ = now + kAliveEvery;
  asked_server_ = std::exchange(fresh_, false);
  if (asked_server_) session_since_ = now;
  return std::string(asked_server_ ? kServerQuery : kAliveQuery);
}

void DatabaseProbe::answered(const Answer& answer, const pg::Session& session, MonotonicTime now) {
  password_.accept();
  if (!answer.ok()) {
    fresh_ = true;
    return fail(answer.error());
  }
  const bool understood = asked_server_ ? take_server(answer.value(), session.peer(), now)
                                        : take_alive(answer.value(), now);
  if (!understood) {
    pg::Error error;
    error.phase = pg::Error::Phase::kSession;
    error.where = session.peer();
    fresh_ = true;
    return fail(error);
  }
  state_.outcome = Outcome::kOk;
  state_.reason.clear();
  state_.message.clear();
  state_.refused = false;
  leave_when_old(now);
}

bool DatabaseProbe::take_server(const pg::Rows& rows, const pg::Endpoint& peer, MonotonicTime now) {
  auto server = read_server(rows, peer);
  if (!server) return false;
  compare(*server, now);
  state_.server = std::move(server);
  return true;
}

bool DatabaseProbe::take_alive(const pg::Rows& answer, MonotonicTime now) {
  const engine::Rows rows = to_engine(answer);
  const auto read_only = read_only_in(Row(rows));
  if (!read_only || !state_.server) return false;
  Server server = *state_.server;
  server.read_only = *read_only;
  compare(server, now);
  state_.server = std::move(server);
  return true;
}

void DatabaseProbe::compare(const Server& seen, MonotonicTime now) {
  std::erase_if(seen_, [now](const auto& entry) { return now - entry.second >= kRemembered; });
  const bool known = seen_.contains(seen.identity);
  seen_[seen.identity] = now;
  const bool lost = std::exchange(lost_, false);
  if (!state_.server) return;
  const Server& last = *state_.server;
  const std::string now_read_only = seen.read_only ? ", which is read-only" : "";
  if (seen.identity != last.identity) {
    const bool something_wrong = lost || last.read_only || !known;
    if (something_wrong) moved(last.identity + " -> " + seen.identity + now_read_only, now);
  } else if (seen.read_only != last.read_only) {
    moved(seen.identity + (seen.read_only ? " is read-only now" : " can be written again"), now);
  }
}

void DatabaseProbe::moved(std::string how, MonotonicTime now) {
  ++state_.moves;
  state_.last_move = std::move(how);
  unsettled_until_ = now + kUnsettledFor;
}

void DatabaseProbe::leave_when_old(MonotonicTime now) {
  const Duration lasts = now < unsettled_until_ ? kUnsettledLasts : kSessionLasts;
  if (now - session_since_ < lasts) return;
  fresh_ = true;
  ask_at_ = now;
  leave_until(now + kCooling);
}

void DatabaseProbe::failed(const pg::Error& error, bool had_answered, MonotonicTime now) {
  ask_at_ = now;
  fresh_ = true;
  lost_ = true;
  // A backend that we gave up on lives on for a moment.
  if (error.kind == pg::Error::Kind::kTimeout) hold_until(now + kCooling);
  // The end of a good session says only that: the login that follows tells how things are.
  if (had_answered && state_.outcome == Outcome::kOk) return;
  fail(error);
  if (!password_.on()) return;
  state_.refused = is_password_refused(error);
  if (!state_.refused) return password_.end();
  password_.refuse(state_.token, state_.message, now);
}

void DatabaseProbe::fail(const pg::Error& error) {
  Verdict verdict = database_verdict(error, connection_);
  state_.outcome = Outcome::kFailed;
  state_.reason = std::move(verdict.reason);
  state_.message = std::move(verdict.message);
  state_.refused = false;
}

}  // namespace pooler::live
