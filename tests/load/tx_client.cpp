#include "load/tx_client.h"

#include <nlohmann/json.hpp>

namespace pooler::load {
namespace {

std::uint64_t value_of(const std::map<Cut, std::uint64_t>& cuts, Cut cut) {
  const auto found = cuts.find(cut);
  return found == cuts.end() ? 0 : found->second;
}

}  // namespace

std::uint64_t TxCounts::lost() const {
  std::uint64_t sum = 0;
  for (const auto& [cut, count] : cuts) sum += is_lost(cut) ? count : 0;
  return sum;
}

std::uint64_t TxCounts::boundary() const {
  std::uint64_t sum = boundary_errors;
  for (const auto& [cut, count] : cuts) sum += is_boundary(cut) ? count : 0;
  return sum;
}

nlohmann::ordered_json TxCounts::json() const {
  std::uint64_t failed = 0;
  for (const auto& [cause, count] : failures) failed += count;
  nlohmann::ordered_json connects = {
      {"attempted", attempts}, {"connected", connected}, {"failed", failed}};
  for (const auto cause :
       {CloseCause::kRefused, CloseCause::kTimeout, CloseCause::kRejected, CloseCause::kReset,
        CloseCause::kEof, CloseCause::kProtocol, CloseCause::kLocal}) {
    const auto found = failures.find(cause);
    connects[name_of(cause)] = found == failures.end() ? 0 : found->second;
  }
  return {{"begun", begun},
          {"acknowledged", acknowledged},
          {"lost", lost()},
          {"lost_statement", value_of(cuts, Cut::kLostStatement)},
          {"lost_hold", value_of(cuts, Cut::kLostHold)},
          {"lost_commit", value_of(cuts, Cut::kLostCommit)},
          {"aborted", aborted},
          {"unfinished", unfinished},
          {"boundary", boundary()},
          {"boundary_idle", value_of(cuts, Cut::kBoundaryIdle)},
          {"boundary_begin", value_of(cuts, Cut::kBoundaryBegin) + boundary_errors},
          {"connects", connects}};
}

void TxNow::add(TxStep step) {
  connected += is_connected(step) ? 1 : 0;
  in_transaction += load::in_transaction(step) ? 1 : 0;
  in_statement += load::in_statement(step) ? 1 : 0;
}

nlohmann::ordered_json TxNow::json() const {
  return {
      {"connected", connected}, {"in_transaction", in_transaction}, {"in_statement", in_statement}};
}

TxNow TxRun::now(const std::string& pooler) const {
  TxNow result;
  for (const auto& client : clients) {
    if (pooler.empty() || client->pooler() == pooler) result.add(client->step());
  }
  return result;
}

std::map<std::string, TxNow> TxRun::now_by_pooler() const {
  std::map<std::string, TxNow> result;
  for (const auto& client : clients) {
    if (client->connected()) result[client->pooler()].add(client->step());
  }
  return result;
}

Duration TxRun::vary(double wait) {
  std::uniform_real_distribution<double> factor(1 - options.jitter, 1 + options.jitter);
  return seconds(wait * factor(random));
}

TxClient::TxClient(TxRun& run, int index, int client)
    : run_(run), index_(index), connection_(run.loop, run.settings, *this) {
  ledger_.client = client;
}

template <typename Change>
void TxClient::count(Change change) {
  change(run_.total);
  change(run_.by_pooler[pooler_]);
  change(run_.by_route[route().label]);
}

const Route& TxClient::route() const {
  return direct_ ? run_.target.route(static_cast<std::size_t>(index_)) : run_.target.service;
}

void TxClient::start() {
  stopping_ = false;
  if (step_ != TxStep::kOff) return;
  // Bresenham's line spreads the share evenly over the indexes, so that a smaller schedule keeps
  // it.
  const double share = run_.options.direct_share;
  direct_ = !run_.target.direct.empty() &&
            static_cast<int>((index_ + 1) * share + 1e-9) > static_cast<int>(index_ * share + 1e-9);
  enqueue_connect();
}

void TxClient::enqueue_connect() {
  enter(TxStep::kConnecting);
  pooler_ = kUnknownPooler;
  run_.pacer.enqueue([this, turn = turn_] {
    if (turn != turn_) {
      run_.pacer.finished();
      return;
    }
    in_pacer_ = true;
    ++run_.total.attempts;
    ++run_.by_route[route().label].attempts;
    connection_.open(route().endpoints);
  });
}

void TxClient::retry_later() {
  enter(TxStep::kConnecting);
  later(run_.vary(run_.options.retry), [this] { enqueue_connect(); });
}

void TxClient::later(Duration wait, std::function<void()> action) {
  run_.loop.after(wait, [this, turn = turn_, action = std::move(action)] {
    if (turn == turn_) action();
  });
}

void TxClient::stop() {
  stopping_ = true;
  if (step_ == TxStep::kIdle || step_ == TxStep::kConnecting) disconnect();
}

void TxClient::abandon() {
  if (in_transaction(step_)) {
    ledger_.settle(number_, fate_at(step_));
    count([](TxCounts& counts) { ++counts.unfinished; });
  }
  stopping_ = true;
  disconnect();
}

void TxClient::disconnect() {
  connection_.close();
  if (in_pacer_) run_.pacer.finished();
  in_pacer_ = false;
  at_gate_ = false;
  enter(TxStep::kOff);
}

void TxClient::send(TxStep step, const std::string& sql) {
  enter(step);
  connection_.query(sql);
}

void TxClient::on_ready(Connection& connection) {
  in_pacer_ = false;
  run_.connect_latency.add(connection.login_time());
  ++run_.total.connected;
  ++run_.by_route[route().label].connected;
  enter(TxStep::kIdle);
  begin();
  run_.pacer.finished();
}

void TxClient::between() {
  enter(TxStep::kIdle);
  if (stopping_) {
    disconnect();
  } else if (run_.options.pause > 0) {
    later(run_.vary(run_.options.pause), [this] { begin(); });
  } else {
    begin();
  }
}

void TxClient::begin() {
  if (stopping_) {
    disconnect();
    return;
  }
  begun_at_ = Clock::now();
  send(TxStep::kBegin, "BEGIN");
}

void TxClient::on_result(Connection& /*connection*/, const QueryResult& result) {
  if (step_ == TxStep::kBegin) {
    after_begin(result);
  } else if (step_ == TxStep::kRollback) {
    between();
  } else if (step_ == TxStep::kCommit) {
    after_commit(result);
  } else if (result.error) {
    abort_transaction(result);
  } else if (step_ == TxStep::kInsert) {
    after_insert(result);
  } else if (step_ == TxStep::kSleep) {
    hold();
  }
}

void TxClient::after_begin(const QueryResult& result) {
  if (result.error) {
    run_.boundary_errors.add(*result.error);
    count([](TxCounts& counts) { ++counts.boundary_errors; });
    enter(TxStep::kIdle);
    later(run_.vary(run_.options.retry), [this] { begin(); });
    return;
  }
  run_.begin_latency.add(result.latency);
  number_ = ledger_.next();
  count([](TxCounts& counts) { ++counts.begun; });
  send(TxStep::kInsert, "insert into " + run_.options.table + " (run_id, client, number) values (" +
                            sql_literal(run_.options.run_id) + ", " +
                            std::to_string(ledger_.client) + ", " + std::to_string(number_) +
                            ") returning " + kPoolerSql);
}

void TxClient::after_insert(const QueryResult& result) {
  if (!result.rows.empty() && !result.rows[0].empty() && result.rows[0][0]) {
    if (pooler_ == kUnknownPooler) {
      // This transaction was begun on this pooler too; the unknown one's book keeps only what never
      // got to know its pooler.
      --run_.by_pooler[pooler_].begun;
      pooler_ = *result.rows[0][0];
      ++run_.by_pooler[pooler_].begun;
      ++run_.by_pooler[pooler_].connected;
    }
  }
  const bool slow = run_.options.slow_share > 0 && std::uniform_real_distribution<double>(
                                                       0, 1)(run_.random) < run_.options.slow_share;
  const double sleep = slow ? run_.options.slow_seconds : run_.options.sleep;
  if (sleep > 0) {
    send(TxStep::kSleep, "select pg_sleep(" + std::to_string(to_seconds(run_.vary(sleep))) + ")");
  } else {
    hold();
  }
}

void TxClient::hold() {
  enter(TxStep::kHold);
  if (run_.gate_closed) {
    at_gate_ = true;
  } else if (run_.options.think > 0) {
    later(run_.vary(run_.options.think), [this] { commit(); });
  } else {
    commit();
  }
}

void TxClient::pass_gate() {
  if (!at_gate_) return;
  at_gate_ = false;
  commit();
}

void TxClient::commit() { send(TxStep::kCommit, "COMMIT"); }

void TxClient::after_commit(const QueryResult& result) {
  // COMMIT of a failed transaction is answered, without an error, by the tag ROLLBACK.
  if (result.error || result.tag != "COMMIT") {
    abort_transaction(result);
    return;
  }
  ledger_.settle(number_, Fate::kAcknowledged);
  run_.commit_latency.add(result.latency);
  run_.transaction_latency.add(Clock::now() - begun_at_);
  count([](TxCounts& counts) { ++counts.acknowledged; });
  between();
}

void TxClient::abort_transaction(const QueryResult& result) {
  ledger_.settle(number_, Fate::kNotCommitted);
  count([](TxCounts& counts) { ++counts.aborted; });
  if (result.error) {
    run_.aborted_errors.add(*result.error);
  } else {
    run_.aborted_errors.add("COMMIT answered by " + result.tag);
  }
  if (result.transaction_status == 'I') {
    between();
  } else {
    send(TxStep::kRollback, "ROLLBACK");
  }
}

void TxClient::on_closed(Connection& /*connection*/, const Closed& closed) {
  at_gate_ = false;
  const bool was_in_pacer = in_pacer_;
  in_pacer_ = false;
  if (closed.during_login) {
    run_.connect_errors.add(closed);
    ++run_.total.failures[closed.cause];
    ++run_.by_route[route().label].failures[closed.cause];
  } else {
    record_cut(cut_at(step_), closed);
  }
  if (!run_.options.sticky) direct_ = false;
  if (stopping_) {
    enter(TxStep::kOff);
  } else if (closed.during_login) {
    retry_later();
  } else {
    enqueue_connect();
  }
  if (was_in_pacer) run_.pacer.finished();
}

void TxClient::record_cut(Cut cut, const Closed& closed) {
  // A query that took us too long says nothing of the pooler. This client counts as well: it is
  // there until now.
  if (closed.cause != CloseCause::kTimeout && pooler_ != kUnknownPooler &&
      !run_.first_cut.contains(pooler_)) {
    run_.first_cut[pooler_] = {unix_time(), run_.now(pooler_), class_of(closed)};
  }
  if (in_transaction(step_)) ledger_.settle(number_, fate_at(step_));
  (is_lost(cut) ? run_.lost_errors : run_.boundary_errors).add(closed);
  count([cut](TxCounts& counts) { ++counts.cuts[cut]; });
}

}  // namespace pooler::load
