#include "pooler/features.h"

namespace pooler::ring {
namespace {

using Kind = Outcome::Kind;

// Functions, because tests ask for the table before main().
Outcome works() { return {}; }
Outcome error(const std::string& words) { return {Kind::kError, words}; }
Outcome silently(const std::string& what) { return {Kind::kSilentlyWrong, what}; }
Outcome refused(const std::string& words) { return {Kind::kRefused, words}; }

ByMode always(const Outcome& outcome) { return {outcome, outcome, outcome}; }
ByMode everywhere() { return always(works()); }
// What needs BEGIN.
ByMode in_transactions() {
  return {works(), works(), error("transaction blocks not allowed in statement pooling mode")};
}
// What a server connection keeps for the client that had it.
ByMode in_sessions(const Outcome& otherwise) { return {otherwise, works(), otherwise}; }
ByMode unless_it_leaks() {
  return in_sessions(silently("other clients get the value, its own client loses it"));
}

constexpr const char* kTransactions = "Transactions";
constexpr const char* kPrepared = "Prepared statements";
constexpr const char* kSettings = "Settings";
constexpr const char* kConnect = "When connecting";
constexpr const char* kSession = "What a session keeps";
constexpr const char* kRest = "Data and control";

// The same on both versions.
Feature row(const char* name, const char* topic, const char* what, const ByMode& outcomes,
            const char* remedy = "") {
  return {name, topic, what, outcomes, outcomes, remedy};
}

}  // namespace

const std::vector<Feature>& features() {
  static const std::vector<Feature> all = {
      row("TransactionBlock", kTransactions, "`BEGIN`, several statements, `COMMIT`",
          in_transactions()),
      row("Savepoint", kTransactions, "`SAVEPOINT`, `ROLLBACK TO` (nested transactions of ORMs)",
          in_transactions()),
      row("IsolationLevel", kTransactions, "`SET TRANSACTION ISOLATION LEVEL …` after `BEGIN`",
          in_transactions()),
      row("OneQuery", kTransactions, "several statements in one simple query", everywhere()),
      row("OneQueryWithBegin", kTransactions, "the same with `BEGIN` and `COMMIT` in it",
          everywhere()),
      row("Pipeline", kTransactions, "a pipeline of the extended protocol, one Sync", everywhere()),
      row("TwoPhase", kTransactions, "`PREPARE TRANSACTION`, later `COMMIT PREPARED`",
          in_transactions()),
      row("DoWithCommit", kTransactions, "`DO` with `COMMIT` in it", everywhere()),
      row("IndexConcurrently", kTransactions, "`CREATE INDEX CONCURRENTLY`", everywhere()),

      row("Unnamed", kPrepared, "parameters (an unnamed statement)", everywhere()),
      row("ProtocolPrepare", kPrepared, "prepared by the driver (protocol-level, named)",
          everywhere()),
      row("ProtocolPrepareByTwo", kPrepared, "the same, by two clients with one name",
          everywhere()),
      row("ManyPrepared", kPrepared, "more than 200 of them by one client", everywhere()),
      row("SqlPrepare", kPrepared, "SQL `PREPARE`, `EXECUTE`",
          in_sessions(error("prepared statement \"one\" does not exist")),
          "let the driver prepare"),
      row("SqlPrepareByTwo", kPrepared, "the same, by two clients with one name",
          in_sessions(error("prepared statement \"one\" already exists")),
          "let the driver prepare"),
      row("Deallocate", kPrepared, "`DEALLOCATE name` of what the driver prepared",
          in_sessions(error("prepared statement \"add\" does not exist")),
          "leave it out, or `DEALLOCATE ALL`"),
      row("DeallocateAll", kPrepared, "`DEALLOCATE ALL`, then the driver prepares again",
          everywhere()),
      row("DiscardAll", kPrepared, "`DISCARD ALL`, then the driver prepares again", everywhere()),

      row("SetLocal", kSettings,
          "`SET LOCAL`, `set_config(…, true)`, `SET LOCAL ROLE` in a transaction",
          in_transactions()),
      row("AlterRoleSet", kSettings, "`ALTER ROLE … SET`, before the pooler connects",
          everywhere()),
      row("SetTimeZone", kSettings, "`SET TIME ZONE`", everywhere()),
      row("SetApplicationName", kSettings, "`SET application_name`", everywhere()),
      row("SetClientEncoding", kSettings, "`SET client_encoding`", everywhere()),
      {"SetReadOnly", kSettings, "`SET default_transaction_read_only`", unless_it_leaks(),
       everywhere(), "`BEGIN READ ONLY`"},
      row("SetStatementTimeout", kSettings, "`SET statement_timeout`", unless_it_leaks(),
          "`SET LOCAL`, or `ALTER ROLE … SET`"),
      row("SetSearchPath", kSettings, "`SET search_path`", unless_it_leaks(),
          "`ALTER ROLE … SET`, `SET LOCAL`, or names with their schema"),
      row("SetConfig", kSettings, "`set_config(…, false)`, as `pg_dump` does with `search_path`",
          unless_it_leaks(), "direct URL"),
      row("SetOwn", kSettings, "`SET app.tenant` (row-level security)", unless_it_leaks(),
          "`SET LOCAL` or `set_config(…, true)` in a transaction"),
      row("SetRole", kSettings, "`SET ROLE`", unless_it_leaks(),
          "`SET LOCAL ROLE` in a transaction"),
      row("SetIsolation", kSettings, "`SET SESSION CHARACTERISTICS AS TRANSACTION …`",
          unless_it_leaks(), "`BEGIN ISOLATION LEVEL …`"),

      row("ConnectApplicationName", kConnect, "`application_name=` in the URL", everywhere()),
      row("ConnectOptionsTimeZone", kConnect, "`options=-c TimeZone=…`", everywhere()),
      row("ConnectOptions", kConnect, "`options=-c statement_timeout=…`",
          always(silently("ignored")), "`ALTER ROLE … SET`"),
      row("ConnectOptionsSearchPath", kConnect, "`options=-c search_path=…`",
          always(silently("ignored")), "`ALTER ROLE … SET`"),
      row("ConnectParameter", kConnect,
          "any other parameter of the start packet, as node-postgres sends `statement_timeout` "
          "(measured with `geqo`)",
          always(refused("unsupported startup parameter: geqo")), "`ALTER ROLE … SET`"),
      row("ConnectReplication", kConnect, "`replication=database`, then `IDENTIFY_SYSTEM`",
          everywhere()),
      row("ConnectReplicationWithoutRight", kConnect, "the same by a role without `REPLICATION`",
          always(refused("login failed")), "`ALTER ROLE … REPLICATION`"),

      row("AdvisoryXactLock", kSession, "`pg_advisory_xact_lock` in a transaction",
          in_transactions()),
      row("AdvisoryLock", kSession, "`pg_advisory_lock`, later `pg_advisory_unlock`",
          in_sessions(silently("unlock returns false, the lock stays")), "direct URL"),
      row("TempTableOnCommitDrop", kSession, "`CREATE TEMP TABLE … ON COMMIT DROP`",
          in_transactions()),
      row("TempTable", kSession, "`CREATE TEMP TABLE`, used after its transaction",
          in_sessions(error("relation \"scratch\" does not exist")), "`ON COMMIT DROP`"),
      row("TempTableByTwo", kSession, "the same, by two clients with one name",
          in_sessions(error("relation \"scratch\" already exists")), "`ON COMMIT DROP`"),
      row("Cursor", kSession, "a cursor within a transaction", in_transactions()),
      row("CursorWithHold", kSession, "a cursor `WITH HOLD`, used after its transaction",
          in_sessions(error("cursor \"numbers\" does not exist")), "direct URL"),
      row("Returning", kSession, "`INSERT … RETURNING id`", everywhere()),
      row("LastValue", kSession, "`INSERT`, then `lastval()`",
          in_sessions(error("lastval is not yet defined in this session")), "`RETURNING`"),
      row("Notify", kSession, "`NOTIFY`", everywhere()),
      row("Listen", kSession, "`LISTEN`",
          in_sessions(silently("whoever uses that connection is notified")), "direct URL"),

      row("Copy", kRest, "`COPY … FROM STDIN`, `COPY … TO STDOUT`", everywhere()),
      row("LargeObject", kRest, "large objects (`lo_open`, `lo_read`, …)", in_transactions()),
      row("Cancel", kRest, "cancelling a query", everywhere()),
  };
  return all;
}

}  // namespace pooler::ring
