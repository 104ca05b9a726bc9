// Every line of the table in features.cpp, in every pool mode, on both versions. A test says what
// really happened; the table says what is documented.
#include "pooler/features.h"

#include <gtest/gtest.h>
#include <libpq/libpq-fs.h>

#include <array>
#include <cstdlib>
#include <map>
#include <tuple>

#include "pooler/clients.h"

namespace pooler::ring {
namespace {

using Kind = Outcome::Kind;

Outcome silently(const std::string& what) { return {Kind::kSilentlyWrong, what}; }

Outcome judge(const Answer& answer, const std::string& wanted = "") {
  if (!answer.ok()) return {Kind::kError, answer.error};
  return answer.value == wanted ? Outcome{} : silently("got \"" + answer.value + "\"");
}

// --- transactions -----------------------------------------------------------------------------

// BEGIN, some statements, another client, more statements, COMMIT; the last value counts.
Outcome in_transaction(Bench& bench, const Statements& some, const Statements& more,
                       const std::string& wanted) {
  Client client = bench.client();
  for (const Statements& statements : {Statements{"BEGIN"}, some}) {
    const Answer answer = client.ask_all(statements);
    if (!answer.ok()) return judge(answer);
  }
  const Busy other(bench);
  const Answer answer = client.ask_all(more);
  const Answer committed = client.ask("COMMIT");
  return judge(committed.ok() ? answer : committed, wanted);
}

Outcome transaction_block(Bench& bench) {
  return in_transaction(bench, {"DELETE FROM things", "INSERT INTO things VALUES (1)"},
                        {"INSERT INTO things VALUES (2)", "SELECT count(*) FROM things"}, "2");
}

Outcome savepoint(Bench& bench) {
  return in_transaction(
      bench, {"DELETE FROM things", "INSERT INTO things VALUES (1)", "SAVEPOINT here"},
      {"INSERT INTO things VALUES (2)", "ROLLBACK TO here", "SELECT count(*) FROM things"}, "1");
}

Outcome isolation_level(Bench& bench) {
  return in_transaction(bench, {"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"},
                        {"SHOW transaction_isolation"}, "serializable");
}

Outcome one_query(Bench& bench) {
  return judge(bench.client().ask("DELETE FROM things; INSERT INTO things VALUES (1);"
                                  " INSERT INTO things VALUES (2); SELECT count(*) FROM things"),
               "2");
}

Outcome one_query_with_begin(Bench& bench) {
  return judge(bench.client().ask("BEGIN; SET LOCAL statement_timeout = '7min';"
                                  " DELETE FROM things; SHOW statement_timeout; COMMIT"),
               "7min");
}

Outcome pipeline(Bench& bench) {
  Client client = bench.client();
  return judge(client.pipeline({"DELETE FROM things", "INSERT INTO things VALUES (1)",
                                "SELECT count(*) FROM things"}),
               "1");
}

Outcome two_phase(Bench& bench) {
  Client client = bench.client();
  const Answer prepared =
      client.ask_all({"BEGIN", "DELETE FROM things", "INSERT INTO things VALUES (1)",
                      "PREPARE TRANSACTION 'later'"});
  if (!prepared.ok()) return judge(prepared);
  const Busy other(bench);
  return judge(client.ask_all({"COMMIT PREPARED 'later'", "SELECT count(*) FROM things"}), "1");
}

Outcome do_with_commit(Bench& bench) {
  return judge(bench.client().ask("DO $$ BEGIN DELETE FROM things; COMMIT; END $$"));
}

Outcome index_concurrently(Bench& bench) {
  return judge(bench.client().ask_all(
      {"DROP INDEX IF EXISTS things_n", "CREATE INDEX CONCURRENTLY things_n ON things (n)"}));
}

// --- prepared statements ----------------------------------------------------------------------

Outcome unnamed(Bench& bench) {
  return judge(bench.client().ask_with("SELECT $1::int + 1", "1"), "2");
}

Outcome protocol_prepare(Bench& bench) {
  Client client = bench.client();
  const Answer prepared = client.prepare("add", "SELECT $1::int + 1");
  if (!prepared.ok()) return judge(prepared);
  const Busy other(bench);
  return judge(client.execute("add", "1"), "2");
}

Outcome protocol_prepare_by_two(Bench& bench) {
  Client one = bench.client();
  Client other = bench.client();
  for (const Answer& answer :
       {one.prepare("add", "SELECT $1::int + 1"), other.prepare("add", "SELECT $1::int + 2")}) {
    if (!answer.ok()) return judge(answer);
  }
  const Answer first = one.execute("add", "1");
  const Outcome outcome = judge(other.execute("add", "1"), "3");
  return outcome == Outcome{} ? judge(first, "2") : outcome;
}

// More than PgBouncer keeps on a server connection.
Outcome many_prepared(Bench& bench) {
  Client client = bench.client();
  for (int number = 0; number <= 200; ++number) {
    const std::string name = "add_" + std::to_string(number);
    const Answer prepared = client.prepare(name, "SELECT $1::int + " + std::to_string(number));
    const Outcome outcome =
        judge(prepared.ok() ? client.execute(name, "1") : prepared, std::to_string(number + 1));
    if (outcome != Outcome{}) return outcome;
  }
  return judge(client.execute("add_0", "1"), "1");
}

Outcome sql_prepare(Bench& bench) {
  Client client = bench.client();
  const Answer prepared = client.ask("PREPARE one AS SELECT 1");
  if (!prepared.ok()) return judge(prepared);
  const Busy other(bench);
  return judge(client.ask("EXECUTE one"), "1");
}

Outcome sql_prepare_by_two(Bench& bench) {
  Client one = bench.client();
  Client other = bench.client();
  const Answer first = one.ask_all({"PREPARE one AS SELECT 1", "EXECUTE one"});
  if (!first.ok()) return judge(first);
  return judge(other.ask_all({"PREPARE one AS SELECT 1", "EXECUTE one"}), "1");
}

Outcome deallocate(Bench& bench) {
  Client client = bench.client();
  const Answer prepared = client.prepare("add", "SELECT $1::int + 1");
  return judge(prepared.ok() ? client.ask("DEALLOCATE add") : prepared);
}

// Everything prepared is given up, then the same name is prepared for something else.
Outcome prepare_after(Bench& bench, const std::string& statement) {
  Client client = bench.client();
  for (const Answer& answer :
       {client.prepare("add", "SELECT $1::int + 1"), client.execute("add", "1"),
        client.ask(statement), client.prepare("add", "SELECT $1::int + 2")}) {
    if (!answer.ok()) return judge(answer);
  }
  const Busy other(bench);
  return judge(client.execute("add", "1"), "3");
}

Outcome deallocate_all(Bench& bench) { return prepare_after(bench, "DEALLOCATE ALL"); }
Outcome discard_all(Bench& bench) { return prepare_after(bench, "DISCARD ALL"); }

// --- settings ---------------------------------------------------------------------------------

// SET for a session: whoever set it has it also on another connection, nobody else has it.
Outcome setting(Bench& bench, const std::string& set, const std::string& show) {
  Client client = bench.client();
  Client other = bench.client();
  const std::string usual = other.ask(show).value;
  const Answer done = client.ask_all({set, show});
  if (!done.ok()) return judge(done);
  if (done.value == usual) return silently("ignored");
  const bool leaked = other.ask(show).value != usual;
  const Busy busy(bench);
  const bool lost = client.ask(show).value != done.value;
  if (leaked && lost) return silently("other clients get the value, its own client loses it");
  if (leaked) return silently("other clients get the value too");
  return lost ? silently("its own client loses the value") : Outcome{};
}

Outcome set_statement_timeout(Bench& bench) {
  return setting(bench, "SET statement_timeout = '7min'", "SHOW statement_timeout");
}
Outcome set_search_path(Bench& bench) {
  return setting(bench, "SET search_path = elsewhere", "SHOW search_path");
}
Outcome set_config(Bench& bench) {
  return setting(bench, "SELECT set_config('search_path', '', false)", "SHOW search_path");
}
Outcome set_own(Bench& bench) {
  return setting(bench, "SET app.tenant = '7'", "SELECT current_setting('app.tenant', true)");
}
Outcome set_role(Bench& bench) { return setting(bench, "SET ROLE tenant", "SELECT current_user"); }
Outcome set_isolation(Bench& bench) {
  return setting(bench, "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                 "SHOW default_transaction_isolation");
}
Outcome set_read_only(Bench& bench) {
  return setting(bench, "SET default_transaction_read_only = on",
                 "SHOW default_transaction_read_only");
}
Outcome set_time_zone(Bench& bench) {
  return setting(bench, "SET TIME ZONE 'Asia/Tokyo'", "SHOW timezone");
}
Outcome set_application_name(Bench& bench) {
  return setting(bench, "SET application_name = 'shop'", "SHOW application_name");
}
Outcome set_client_encoding(Bench& bench) {
  return setting(bench, "SET client_encoding = 'LATIN1'", "SHOW client_encoding");
}

Outcome set_local(Bench& bench) {
  const std::string show =
      "SELECT current_setting('statement_timeout') || ' ' || current_user || ' ' ||"
      " coalesce(current_setting('app.tenant', true), '')";
  const Outcome outcome =
      in_transaction(bench,
                     {"SET LOCAL statement_timeout = '7min'",
                      "SELECT set_config('app.tenant', '7', true)", "SET LOCAL ROLE tenant"},
                     {show}, "7min tenant 7");
  return outcome == Outcome{} ? judge(bench.client().ask(show), "0 visitor ") : outcome;
}

Outcome alter_role_set(Bench& bench) {
  bench.beside().ask("ALTER ROLE visitor SET statement_timeout = '7min'");
  Client client = bench.client();
  const Outcome first = judge(client.ask("SHOW statement_timeout"), "7min");
  const Busy other(bench);
  const Outcome second = judge(client.ask("SHOW statement_timeout"), "7min");
  bench.beside().ask("ALTER ROLE visitor RESET statement_timeout");
  return first == Outcome{} ? second : first;
}

// --- at connect -------------------------------------------------------------------------------

Outcome at_connect(Bench& bench, const std::map<std::string, std::string>& parameters,
                   const std::string& show, const std::string& wanted) {
  Client client = bench.client(parameters);
  if (!client.refusal().empty()) return {Kind::kRefused, client.refusal()};
  const Answer answer = client.ask(show);
  if (!answer.ok()) return judge(answer);
  if (answer.value != wanted) return silently("ignored");
  const Busy other(bench);
  return judge(client.ask(show), wanted);
}

Outcome connect_application_name(Bench& bench) {
  return at_connect(bench, {{"application_name", "shop"}}, "SHOW application_name", "shop");
}
Outcome connect_options(Bench& bench) {
  return at_connect(bench, {{"options", "-c statement_timeout=7min"}}, "SHOW statement_timeout",
                    "7min");
}
Outcome connect_options_search_path(Bench& bench) {
  return at_connect(bench, {{"options", "-c search_path=elsewhere"}}, "SHOW search_path",
                    "elsewhere");
}
Outcome connect_options_time_zone(Bench& bench) {
  return at_connect(bench, {{"options", "-c TimeZone=Asia/Tokyo"}}, "SHOW timezone", "Asia/Tokyo");
}

// libpq sends geqo as a parameter of its own where the environment has it.
Outcome connect_parameter(Bench& bench) {
  setenv("PGGEQO", "off", 1);
  const Outcome outcome = at_connect(bench, {}, "SHOW geqo", "off");
  unsetenv("PGGEQO");
  return outcome;
}

Outcome connect_replication(Bench& bench) {
  Client client = bench.client({{"replication", "database"}});
  if (!client.refusal().empty()) return {Kind::kRefused, client.refusal()};
  const Answer answer = client.ask("IDENTIFY_SYSTEM");
  return judge(answer, answer.value.empty() ? "an identity" : answer.value);
}

Outcome connect_replication_without_right(Bench& bench) {
  shared_postgres().sql("ALTER ROLE visitor NOREPLICATION");
  const Outcome outcome = connect_replication(bench);
  shared_postgres().sql("ALTER ROLE visitor REPLICATION");
  return outcome;
}

// --- what a session keeps ---------------------------------------------------------------------

// `first`, another client, `then`.
Outcome in_session(Bench& bench, const Statements& first, const Statements& then,
                   const std::string& wanted) {
  Client client = bench.client();
  const Answer answer = client.ask_all(first);
  if (!answer.ok()) return judge(answer);
  const Busy other(bench);
  return judge(client.ask_all(then), wanted);
}

Outcome advisory_lock(Bench& bench) {
  Client client = bench.client();
  const Answer locked = client.ask("SELECT pg_advisory_lock(7)");
  if (!locked.ok()) return judge(locked);
  const Busy other(bench);
  const Answer unlocked = client.ask("SELECT pg_advisory_unlock(7)");
  if (!unlocked.ok() || unlocked.value == "t") return judge(unlocked, "t");
  const std::string held =
      bench.beside()
          .ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7")
          .value;
  return silently(held == "1" ? "unlock returns false, the lock stays" : "the lock is lost");
}

Outcome advisory_xact_lock(Bench& bench) {
  const std::string count =
      "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 8";
  const Outcome outcome = in_transaction(bench, {"SELECT pg_advisory_xact_lock(8)"}, {count}, "1");
  return outcome == Outcome{} ? judge(bench.beside().ask(count), "0") : outcome;
}

Outcome temp_table(Bench& bench) {
  return in_session(bench, {"CREATE TEMP TABLE scratch (n int)", "INSERT INTO scratch VALUES (1)"},
                    {"SELECT count(*) FROM scratch"}, "1");
}

Outcome temp_table_by_two(Bench& bench) {
  Client one = bench.client();
  Client other = bench.client();
  const Answer first = one.ask("CREATE TEMP TABLE scratch (n int)");
  return judge(first.ok() ? other.ask("CREATE TEMP TABLE scratch (n int)") : first);
}

Outcome temp_table_on_commit_drop(Bench& bench) {
  const Outcome outcome = in_transaction(
      bench, {"CREATE TEMP TABLE scratch (n int) ON COMMIT DROP", "INSERT INTO scratch VALUES (1)"},
      {"SELECT count(*) FROM scratch"}, "1");
  if (outcome != Outcome{}) return outcome;
  return judge(bench.client().ask("SELECT to_regclass('scratch') IS NULL"), "t");
}

Outcome cursor(Bench& bench) {
  return in_transaction(bench, {"DECLARE numbers CURSOR FOR SELECT generate_series(1, 3)"},
                        {"FETCH 1 FROM numbers", "FETCH 1 FROM numbers"}, "2");
}

Outcome cursor_with_hold(Bench& bench) {
  return in_session(bench, {"DECLARE numbers CURSOR WITH HOLD FOR SELECT generate_series(1, 3)"},
                    {"FETCH 1 FROM numbers", "FETCH 1 FROM numbers"}, "2");
}

Outcome last_value(Bench& bench) {
  return in_session(bench, {"INSERT INTO numbered DEFAULT VALUES"}, {"SELECT lastval() > 0"}, "t");
}

Outcome returning(Bench& bench) {
  return judge(bench.client().ask("INSERT INTO numbered DEFAULT VALUES RETURNING id > 0"), "t");
}

// While another client has the connection that listens.
Outcome listen(Bench& bench) {
  Client client = bench.client();
  const Answer answer = client.ask("LISTEN orders");
  if (!answer.ok()) return judge(answer);
  Busy other(bench);
  bench.beside().ask("NOTIFY orders");
  if (other.end().notified()) return silently("whoever uses that connection is notified");
  const bool notified = wait_until([&] { return client.notified(); });
  return notified ? Outcome{} : silently("nobody is notified");
}

Outcome notify(Bench& bench) {
  Client listener = bench.direct();
  listener.ask("LISTEN orders");
  const Answer answer = bench.client().ask("NOTIFY orders");
  if (!answer.ok()) return judge(answer);
  return wait_until([&] { return listener.notified(); }) ? Outcome{}
                                                         : silently("nobody is notified");
}

// --- data -------------------------------------------------------------------------------------

Outcome copy(Bench& bench) {
  Client client = bench.client();
  for (const Answer& answer :
       {client.ask("DELETE FROM things"), client.copy_in("COPY things FROM STDIN", "1\n2\n")}) {
    if (!answer.ok()) return judge(answer);
  }
  return judge(client.copy_out("COPY things TO STDOUT"), "1\n2\n");
}

// As drivers do it: a descriptor lives as long as its transaction.
Outcome large_object(Bench& bench) {
  Client client = bench.client();
  const Answer begun = client.ask("BEGIN");
  if (!begun.ok()) return judge(begun);
  const Busy other(bench);
  const Oid object = lo_create(client.raw(), 0);
  const int descriptor = lo_open(client.raw(), object, INV_READ | INV_WRITE);
  std::array<char, 4> bytes = {'p', 'o', 'o', 'l'};
  Answer answer;
  if (lo_write(client.raw(), descriptor, bytes.data(), bytes.size()) < 0 ||
      lo_lseek(client.raw(), descriptor, 0, SEEK_SET) < 0) {
    answer.error = PQerrorMessage(client.raw());
  }
  bytes.fill(' ');
  const int size = lo_read(client.raw(), descriptor, bytes.data(), bytes.size());
  answer.value.assign(bytes.data(), size < 0 ? 0 : static_cast<std::size_t>(size));
  lo_unlink(client.raw(), object);
  const Answer committed = client.ask("COMMIT");
  return judge(committed.ok() ? answer : committed, "pool");
}

Outcome cancel(Bench& bench) {
  Client client = bench.client();
  const Busy other(bench);
  const std::string statement = Bench::endless();
  client.send(statement);
  bench.wait_until_runs(statement);
  client.cancel();
  const Answer answer = client.collect();
  return answer.error == "canceling statement due to user request" ? Outcome{} : judge(answer);
}

using Function = Outcome (*)(Bench&);

const std::map<std::string, Function>& functions() {
  static const std::map<std::string, Function> all = {
      {"TransactionBlock", transaction_block},
      {"Savepoint", savepoint},
      {"IsolationLevel", isolation_level},
      {"OneQuery", one_query},
      {"OneQueryWithBegin", one_query_with_begin},
      {"Pipeline", pipeline},
      {"TwoPhase", two_phase},
      {"DoWithCommit", do_with_commit},
      {"IndexConcurrently", index_concurrently},
      {"Unnamed", unnamed},
      {"ProtocolPrepare", protocol_prepare},
      {"ProtocolPrepareByTwo", protocol_prepare_by_two},
      {"ManyPrepared", many_prepared},
      {"SqlPrepare", sql_prepare},
      {"SqlPrepareByTwo", sql_prepare_by_two},
      {"Deallocate", deallocate},
      {"DeallocateAll", deallocate_all},
      {"DiscardAll", discard_all},
      {"SetLocal", set_local},
      {"AlterRoleSet", alter_role_set},
      {"SetTimeZone", set_time_zone},
      {"SetApplicationName", set_application_name},
      {"SetClientEncoding", set_client_encoding},
      {"SetReadOnly", set_read_only},
      {"SetStatementTimeout", set_statement_timeout},
      {"SetSearchPath", set_search_path},
      {"SetConfig", set_config},
      {"SetOwn", set_own},
      {"SetRole", set_role},
      {"SetIsolation", set_isolation},
      {"ConnectApplicationName", connect_application_name},
      {"ConnectOptionsTimeZone", connect_options_time_zone},
      {"ConnectOptions", connect_options},
      {"ConnectOptionsSearchPath", connect_options_search_path},
      {"ConnectParameter", connect_parameter},
      {"ConnectReplication", connect_replication},
      {"ConnectReplicationWithoutRight", connect_replication_without_right},
      {"AdvisoryXactLock", advisory_xact_lock},
      {"AdvisoryLock", advisory_lock},
      {"TempTableOnCommitDrop", temp_table_on_commit_drop},
      {"TempTable", temp_table},
      {"TempTableByTwo", temp_table_by_two},
      {"Cursor", cursor},
      {"CursorWithHold", cursor_with_hold},
      {"Returning", returning},
      {"LastValue", last_value},
      {"Notify", notify},
      {"Listen", listen},
      {"Copy", copy},
      {"LargeObject", large_object},
      {"Cancel", cancel},
  };
  return all;
}

// --- the tests --------------------------------------------------------------------------------

constexpr std::array<api::PoolMode, 3> kModes = {
    api::PoolMode::kTransaction, api::PoolMode::kSession, api::PoolMode::kStatement};

std::string name_of(Version version, api::PoolMode mode) {
  const std::string name(api::to_string(mode));
  return (version == Version::k124 ? "Trixie" : "Forky") +
         std::string(1, static_cast<char>(name[0] - 'a' + 'A')) + name.substr(1);
}

const Outcome& expected(const Feature& feature, Version version, api::PoolMode mode) {
  const ByMode& by_mode = version == Version::k124 ? feature.on_124 : feature.on_126;
  if (mode == api::PoolMode::kTransaction) return by_mode.transaction;
  return mode == api::PoolMode::kSession ? by_mode.session : by_mode.statement;
}

using Where = std::tuple<Version, api::PoolMode>;
using What = std::tuple<Version, api::PoolMode, std::size_t>;

std::string name_of_test(const ::testing::TestParamInfo<What>& each) {
  const auto& [version, mode, index] = each.param;
  return name_of(version, mode) + features().at(index).name;
}

class Features : public ::testing::TestWithParam<What> {};

TEST_P(Features, AreAsDocumented) {
  const auto& [version, mode, index] = GetParam();
  const Feature& feature = features().at(index);
  Bench bench(version, mode);
  EXPECT_EQ(cell(functions().at(feature.name)(bench)), cell(expected(feature, version, mode)));
}

INSTANTIATE_TEST_SUITE_P(PgBouncer, Features,
                         ::testing::Combine(::testing::Values(Version::k124, Version::k126),
                                            ::testing::ValuesIn(kModes),
                                            ::testing::Range<std::size_t>(0, features().size())),
                         name_of_test);

class OtherConnection : public ::testing::TestWithParam<Where> {};

// What all the others stand on.
TEST_P(OtherConnection, IsReachedWhileAnotherClientIsBusy) {
  const auto& [version, mode] = GetParam();
  Bench bench(version, mode);
  Client client = bench.client();
  const std::string statement = "SELECT pg_backend_pid()";
  const std::string before = client.ask(statement).value;
  const Busy busy(bench);
  const std::string after = client.ask(statement).value;
  EXPECT_NE(after, "");
  if (mode == api::PoolMode::kSession) {
    EXPECT_EQ(before, after);
  } else {
    EXPECT_EQ(before, busy.backend());
    EXPECT_NE(before, after);
  }
}

INSTANTIATE_TEST_SUITE_P(PgBouncer, OtherConnection,
                         ::testing::Combine(::testing::Values(Version::k124, Version::k126),
                                            ::testing::ValuesIn(kModes)),
                         [](const auto& each) {
                           return name_of(std::get<0>(each.param), std::get<1>(each.param));
                         });

}  // namespace
}  // namespace pooler::ring
