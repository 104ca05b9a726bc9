#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "load/client.h"
#include "load/ledger.h"
#include "load/options.h"
#include "load/report.h"

namespace pooler::load {

/// What each client of `transactions` does. Times in seconds.
struct TxOptions {
  std::string table = "pooler_load_tx";
  std::string run_id;
  double think = 0;       ///< inside the transaction, nothing on its way
  double sleep = 0;       ///< inside the transaction, in pg_sleep
  double pause = 0;       ///< between transactions
  double slow_share = 0;  ///< this share of the transactions sleeps slow_seconds instead
  double slow_seconds = 5;
  double retry = 0.05;      ///< wait after a connection that could not be made
  double jitter = 0.2;      ///< all waits vary by this share, up and down
  double direct_share = 1;  ///< of the clients that begin at a --host-override address
  bool sticky = false;      ///< and come back to it after a cut, instead of to the URL's host
};

/// Counts since the start; each exists for the whole run, for each pooler and for each route.
struct TxCounts {
  std::uint64_t begun = 0;         ///< BEGIN answered
  std::uint64_t acknowledged = 0;  ///< COMMIT answered
  std::uint64_t aborted = 0;       ///< ended by an answered error
  std::uint64_t unfinished = 0;    ///< open when the tool itself had to end
  std::map<Cut, std::uint64_t> cuts;
  std::uint64_t boundary_errors = 0;  ///< BEGIN answered by an error that left the connection open
  std::uint64_t attempts = 0;         ///< connections begun
  std::uint64_t connected = 0;        ///< logins that succeeded
  std::map<CloseCause, std::uint64_t> failures;  ///< connections that were never made

  std::uint64_t lost() const;
  std::uint64_t boundary() const;
  /// Nothing was ever counted here.
  bool empty() const { return begun == 0 && attempts == 0 && lost() == 0 && boundary() == 0; }
  nlohmann::ordered_json json() const;
};

/// How many clients are where at this moment.
struct TxNow {
  int connected = 0;
  int in_transaction = 0;
  int in_statement = 0;
  void add(TxStep step);
  nlohmann::ordered_json json() const;
};

/// The first time that a connection to this pooler was cut, and who was in a transaction on it
/// then.
struct FirstCut {
  double t = 0;  ///< Unix seconds
  TxNow now;
  std::string error;
};

class TxClient;

/// The pooler of a connection whose first INSERT was not answered yet.
inline constexpr const char* kUnknownPooler = "?";

/// What the clients of one run share: settings, books and clock. The command owns it.
struct TxRun {
  TxRun(EventLoop& event_loop, const Target& where, const TxOptions& what,
        const ConnectionSettings& how, Pacer& login_pacer)
      : loop(event_loop), target(where), options(what), settings(how), pacer(login_pacer) {}

  EventLoop& loop;
  const Target& target;
  const TxOptions& options;
  const ConnectionSettings& settings;
  Pacer& pacer;

  std::vector<std::unique_ptr<TxClient>> clients;
  std::mt19937_64 random{1};
  bool gate_closed = false;

  TxCounts total;
  std::map<std::string, TxCounts> by_pooler;  ///< by the client_addr that Postgres sees
  std::map<std::string, TxCounts> by_route;   ///< by the address that the tool dialled
  std::map<std::string, FirstCut> first_cut;
  ErrorCounts lost_errors;
  ErrorCounts boundary_errors;
  ErrorCounts connect_errors;
  ErrorCounts aborted_errors;
  Latency connect_latency;
  Latency begin_latency;
  Latency commit_latency;
  Latency transaction_latency;

  /// Counts all clients, and those of one pooler where `pooler` is not empty.
  TxNow now(const std::string& pooler = {}) const;
  std::map<std::string, TxNow> now_by_pooler() const;
  Duration vary(double wait);
};

/// One client that commits numbered rows one after the other, and comes back after every cut.
class TxClient final : public Connection::Listener {
 public:
  TxClient(TxRun& run, int index, int client);

  void start();
  /// Ends after the transaction under way.
  void stop();
  /// Ends now; an open transaction counts as unfinished.
  void abandon();
  /// Lets a client that waits at the gate go on.
  void pass_gate();

  TxStep step() const { return step_; }
  bool connected() const { return is_connected(step_); }
  /// The pooler's address as Postgres sees it, "?" until the connection's first INSERT was
  /// answered.
  const std::string& pooler() const { return pooler_; }
  /// The address of the connection as dialled, empty while not connected.
  std::string dialled() const { return connected() ? connection_.endpoint().label : std::string(); }
  const ClientLedger& ledger() const { return ledger_; }

  void on_ready(Connection& connection) override;
  void on_result(Connection& connection, const QueryResult& result) override;
  void on_closed(Connection& connection, const Closed& closed) override;

 private:
  const Route& route() const;
  void enqueue_connect();
  void retry_later();
  void enter(TxStep step) {
    step_ = step;
    ++turn_;
  }
  void send(TxStep step, const std::string& sql);
  /// Calls `action` after `wait` unless the client has moved on by then.
  void later(Duration wait, std::function<void()> action);
  void between();
  void begin();
  void after_begin(const QueryResult& result);
  void after_insert(const QueryResult& result);
  void after_commit(const QueryResult& result);
  void hold();
  void commit();
  void abort_transaction(const QueryResult& result);
  void disconnect();
  void record_cut(Cut cut, const Closed& closed);
  template <typename Change>
  void count(Change change);

  TxRun& run_;
  int index_;
  ClientLedger ledger_;
  Connection connection_;
  TxStep step_ = TxStep::kOff;
  std::uint64_t turn_ = 0;
  bool stopping_ = false;
  bool direct_ = false;
  bool in_pacer_ = false;  ///< holds one of the pacer's places
  bool at_gate_ = false;
  std::string pooler_ = kUnknownPooler;
  std::uint64_t number_ = 0;
  TimePoint begun_at_;
};

}  // namespace pooler::load
