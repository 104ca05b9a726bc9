// TLS on both sides of real PgBouncers, and how it changes under way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/certificates.h"
#include "fault/certificates.h"
#include "live/targets.h"
#include "pg/libpq_session.h"
#include "pooler/clients.h"
#include "pooler/live_ring.h"
#include "pooler/servers.h"
#include "unit/pg/drive.h"

namespace pooler::ring {
namespace {

namespace pgb = engine::pgbouncer;
using fault::Authority;
using fault::KeyPair;
using live::LiveState;
using live::LiveTarget;
using live::Outcome;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Mode = api::ClientTls::Mode;

constexpr const char* kLoopbackNames = "IP:127.0.0.1,DNS:localhost";

std::string version_name(const ::testing::TestParamInfo<Version>& each) {
  return each.param == Version::k124 ? "Trixie" : "Forky";
}

// ---- between clients and pooler

class ClientTlsRing : public LiveRing, public ::testing::WithParamInterface<Version> {
 protected:
  Certificates issue() const {
    const KeyPair pair = authority_.issue(kLoopbackNames);
    return {authority_.pem(), pair.certificate, pair.key};
  }
  void start(Mode mode) {
    shown_ = issue();
    pgbouncer_.set_client_tls(mode, shown_);
    pgbouncer_.start();
  }
  // As an application that trusts the authority and nobody else.
  urls::Connection verifying() const {
    urls::Connection pooled = pgbouncer_.pooled();
    std::erase_if(pooled.parameters, [](const auto& each) { return each.first == "sslmode"; });
    pooled.parameters.emplace_back("sslmode", "verify-full");
    return pooled;
  }
  static std::string fingerprint(const Certificates& certificates) {
    return read_leaf(certificates.chain)->fingerprint;
  }
  // What a client is shown that begins now; empty: it is not encrypted.
  std::string shown_now() {
    const auto session = open(pgbouncer_.console());
    return session->peer_certificate();
  }
  std::unique_ptr<pg::Session> open(const pg::Target& target) {
    auto session = factory_.connect(target, clock_.monotonic());
    EXPECT_TRUE(pg::testing::drive_to(*session, pg::Session::State::kIdle));
    return session;
  }
  std::optional<std::string> cell(pg::Session& session, const std::string& sql) {
    session.query(sql, clock_.monotonic() + std::chrono::minutes(1));
    EXPECT_TRUE(
        pg::testing::drive(session, [&] { return session.state() != pg::Session::State::kBusy; }));
    auto answer = session.take().value();
    return answer.ok() && !answer->cells.empty() ? answer->cells[0][0] : std::nullopt;
  }

  // The pod, which is told to load `marker` where that is not empty.
  void watch(const std::string& marker, const std::vector<pgb::Revision>& revisions) {
    std::map<std::string, std::string> files;
    for (const auto& each : revisions) files.insert(each.files.begin(), each.files.end());
    LiveTarget target;
    target.console = {std::string(pgb::kAdminUser), pgbouncer_.admin().password};
    target.pods = {{"u1", "orders-pooler-0", "127.0.0.1", pgbouncer_.port()}};
    target.pods[0].reload_to = marker;
    for (const auto& each : revisions) {
      target.pods[0].certificates[each.hash] = pgb::shown_certificate(files, each.hash).value();
    }
    live_.set_target(kKey, target);
  }
  bool wait_for_pod(const std::function<bool(const live::PodState&)>& done) {
    return wait([&](const LiveState& state) {
      return state.pods.contains("u1") && done(state.pods.at("u1"));
    });
  }

  Authority authority_;
  Certificates shown_;
  Postgres& postgres_ = shared_postgres();
  urls::Connection orders_ = postgres_.make_user("app", "s3cret", "orders");
  PgBouncer pgbouncer_{GetParam(), orders_};
  ThreadResolver resolver_;
  pg::LibpqSessionFactory factory_{resolver_};
};

TEST_P(ClientTlsRing, RequiredRefusesPlainText) {
  start(Mode::kRequired);
  EXPECT_EQ(value_of(pgbouncer_.pooled(), "SELECT 1"), "1");
  EXPECT_EQ(value_of(verifying(), "SELECT 1"), "1");
  EXPECT_EQ(shown_now(), fingerprint(shown_));
  EXPECT_THAT(Client(pgbouncer_.pooled(), {{"sslmode", "disable"}}).refusal(),
              HasSubstr("SSL required"));
  urls::Connection stranger = verifying();
  stranger.certificates.authorities = Authority().pem();
  EXPECT_THAT(value_of(stranger, "SELECT 1"), HasSubstr("certificate verify failed"));
}

TEST_P(ClientTlsRing, OptionalTakesBoth) {
  start(Mode::kOptional);
  EXPECT_EQ(value_of(verifying(), "SELECT 1"), "1");
  EXPECT_EQ(Client(pgbouncer_.pooled(), {{"sslmode", "disable"}}).refusal(), "");
  EXPECT_EQ(shown_now(), fingerprint(shown_));
}

// As libpq before 17 sends it.
TEST_P(ClientTlsRing, ACancelRequestInPlainTextIsTaken) {
  start(Mode::kRequired);
  Client client(pgbouncer_.pooled(), {{"sslmode", "require"}});
  ASSERT_EQ(client.refusal(), "");
  client.send("SELECT pg_sleep(60)");
  ASSERT_TRUE(wait_until([this] {
    return value_of(postgres_.superuser(),
                    "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
                    " AND state = 'active'") == "1";
  }));
  client.cancel();
  EXPECT_THAT(client.collect().error, HasSubstr("canceling statement"));
}

TEST_P(ClientTlsRing, ARenewedCertificateIsLoadedUnderAnOpenTransaction) {
  start(Mode::kRequired);
  const pgb::Revision first = pgbouncer_.revision();
  watch("", {first});
  ASSERT_TRUE(wait_for_pod([&](const auto& pod) { return pod.marker == first.hash; }));
  const auto client = open(live::database_target(verifying()));
  cell(*client, "BEGIN");
  const auto backend = cell(*client, "SELECT pg_backend_pid()");
  ASSERT_TRUE(backend);

  const Certificates renewed = issue();
  pgbouncer_.set_client_tls(Mode::kRequired, renewed);
  const pgb::Revision second = pgbouncer_.render();
  ASSERT_NE(second.hash, first.hash);
  watch(second.hash, {first, second});
  const auto began = clock_.monotonic();
  pgbouncer_.write_files(second, second.hash);
  ASSERT_TRUE(wait_for_pod([&](const auto& pod) { return pod.marker == second.hash; }));
  EXPECT_LT(clock_.monotonic() - began, std::chrono::seconds(10));
  EXPECT_EQ(shown_now(), fingerprint(renewed));
  EXPECT_EQ(value_of(verifying(), "SELECT 1"), "1");
  EXPECT_EQ(cell(*client, "SELECT pg_backend_pid()"), backend);
  cell(*client, "COMMIT");
  EXPECT_EQ(cell(*client, "SELECT 1"), "1");
}

TEST_P(ClientTlsRing, TlsIsTurnedOnAndOffUnderAnOpenConnection) {
  pgbouncer_.start();
  const pgb::Revision plain = pgbouncer_.revision();
  watch("", {plain});
  ASSERT_TRUE(wait_for_pod([&](const auto& pod) { return pod.marker == plain.hash; }));
  const auto client = open(live::database_target(pgbouncer_.pooled()));
  EXPECT_EQ(client->peer_certificate(), "");

  pgbouncer_.set_client_tls(Mode::kRequired, issue());
  const pgb::Revision encrypted = pgbouncer_.render();
  watch(encrypted.hash, {plain, encrypted});
  pgbouncer_.write_files(encrypted, encrypted.hash);
  ASSERT_TRUE(wait_for_pod([&](const auto& pod) { return pod.marker == encrypted.hash; }));
  EXPECT_THAT(Client(pgbouncer_.pooled(), {{"sslmode", "disable"}}).refusal(),
              HasSubstr("SSL required"));
  EXPECT_EQ(cell(*client, "SELECT 1"), "1") << "who is there stays";

  watch(plain.hash, {plain, encrypted});
  pgbouncer_.write_files(plain, plain.hash);
  ASSERT_TRUE(wait_for_pod([&](const auto& pod) { return pod.marker == plain.hash; }));
  EXPECT_EQ(shown_now(), "");
  EXPECT_EQ(Client(pgbouncer_.pooled(), {{"sslmode", "disable"}}).refusal(), "");
}

// The marker alone would not tell.
TEST_P(ClientTlsRing, ACertificateThatIsNotLoadedIsFoundByWhatIsShown) {
  start(Mode::kRequired);
  const pgb::Revision good = pgbouncer_.revision();
  watch("", {good});
  ASSERT_TRUE(wait_for_pod([&](const auto& pod) { return pod.marker == good.hash; }));

  Certificates broken = issue();
  broken.key = issue().key;
  pgbouncer_.set_client_tls(Mode::kRequired, broken);
  const pgb::Revision bad = pgbouncer_.render();
  watch(bad.hash, {good, bad});
  pgbouncer_.write_files(bad, bad.hash);
  ASSERT_TRUE(wait_for_pod([](const auto& pod) { return pod.reload.failed; }));
  EXPECT_EQ(live_.state(kKey).pods.at("u1").marker, good.hash);
  EXPECT_EQ(shown_now(), fingerprint(shown_)) << "the one before is still in use";
  EXPECT_EQ(value_of(verifying(), "SELECT 1"), "1");

  const std::string back = pgb::back_marker(good.hash, bad.hash);
  watch(back, {good, bad});
  pgbouncer_.write_files(good, back);
  ASSERT_TRUE(wait_for_pod([&](const auto& pod) { return pod.marker == back; }));
  EXPECT_EQ(value_of(verifying(), "SELECT 1"), "1");
}

TEST_P(ClientTlsRing, TheVerificationComparesTheCertificate) {
  start(Mode::kRequired);
  LiveTarget target;
  live::VerificationTarget verification{pgbouncer_.pooled(), "127.0.0.1", "t1",
                                        fingerprint(issue())};
  verification.connection.hosts = {{kService, pgbouncer_.port()}};
  target.verification = verification;
  live_.set_target(kKey, target);
  ASSERT_TRUE(
      wait([](const LiveState& state) { return state.verification.outcome == Outcome::kFailed; }));
  EXPECT_THAT(live_.state(kKey).verification.message, HasSubstr("another certificate"));
  target.verification->token = "t2";
  target.verification->certificate = fingerprint(shown_);
  live_.set_target(kKey, target);
  EXPECT_TRUE(wait([](const LiveState& state) {
    return state.verification.token == "t2" && state.verification.outcome == Outcome::kOk;
  }));
}

INSTANTIATE_TEST_SUITE_P(PgBouncer, ClientTlsRing, ::testing::Values(Version::k124, Version::k126),
                         version_name);

// ---- between pooler and database

class ServerTlsRing : public LiveRing, public ::testing::WithParamInterface<Version> {
 protected:
  // Shows `identity`; with `clients` it wants to be shown a certificate, too.
  void start(const KeyPair& identity, const std::string& clients = {}) {
    postgres_.stop();
    postgres_.use_certificate(identity, clients);
    postgres_.start();
    orders_ = postgres_.make_user("app", "s3cret", "orders");
    orders_.hosts[0].host = "localhost";
    orders_.parameters = {{"sslmode", "verify-full"}};
    orders_.certificates.authorities = authority_.pem();
  }
  std::string through_pooler(const std::string& sql) {
    PgBouncer pgbouncer(GetParam(), orders_);
    pgbouncer.set_parameters({{"query_wait_timeout", "2"}});
    pgbouncer.start();
    std::string answer = value_of(pgbouncer.pooled(), sql);
    log_ = pgbouncer.log();
    return answer;
  }
  void expect_tls_failure(const std::string& field) {
    const live::DatabaseState state = ask_database(orders_);
    EXPECT_EQ(state.reason, "TLSFailure") << state.message;
    EXPECT_THAT(state.message, HasSubstr(field));
    EXPECT_THAT(through_pooler("SELECT 1"), StartsWith("error: "));
  }

  static constexpr const char* kEncrypted =
      "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
  Authority authority_;
  Postgres postgres_;
  urls::Connection orders_;
  std::string log_;
};

TEST_P(ServerTlsRing, OwnAuthorityAndTheRightHost) {
  start(authority_.issue("DNS:localhost"));
  const live::DatabaseState state = ask_database(orders_);
  EXPECT_EQ(state.outcome, Outcome::kOk) << state.message;
  EXPECT_EQ(through_pooler(kEncrypted), "t");
}

TEST_P(ServerTlsRing, AnotherHost) {
  start(authority_.issue("DNS:db.example.com"));
  expect_tls_failure("spec.database.host");
  EXPECT_THAT(log_, HasSubstr("TLS handshake"));
  orders_.parameters = {{"sslmode", "verify-ca"}};
  EXPECT_EQ(through_pooler(kEncrypted), "t");
}

TEST_P(ServerTlsRing, AnotherAuthority) {
  start(Authority().issue("DNS:localhost"));
  expect_tls_failure("spec.database.tls.caSecretRef");
}

TEST_P(ServerTlsRing, AnExpiredCertificate) {
  start(authority_.issue("DNS:localhost", -60));
  expect_tls_failure("expired");
}

TEST_P(ServerTlsRing, AServerThatAsksForACertificate) {
  const Authority clients;
  start(authority_.issue("DNS:localhost"), clients.pem());
  expect_tls_failure("spec.database.tls.clientCertSecretRef");
  const KeyPair other = clients.issue("", 86400, "other");
  orders_.certificates.chain = other.certificate;
  orders_.certificates.key = other.key;
  const live::DatabaseState misnamed = ask_database(orders_);
  EXPECT_EQ(misnamed.reason, "AuthenticationFailed") << "Postgres blames the password";
  EXPECT_THAT(misnamed.message, HasSubstr("spec.database.tls.clientCertSecretRef"));
  const KeyPair own = clients.issue("", 86400, "app");
  orders_.certificates.chain = own.certificate;
  orders_.certificates.key = own.key;
  const live::DatabaseState state = ask_database(orders_);
  EXPECT_EQ(state.outcome, Outcome::kOk) << state.message;
  EXPECT_EQ(through_pooler(kEncrypted), "t");
}

// Whom the server is shown now, and on which connection.
std::string identity_of(Client& client) {
  return client.ask("SELECT client_serial FROM pg_stat_ssl WHERE pid = pg_backend_pid()").value;
}
std::string backend_of(Client& client) { return client.ask("SELECT pg_backend_pid()").value; }

TEST_P(ServerTlsRing, AuthorityAndIdentityAreChangedUnderAnOpenTransaction) {
  const Authority clients;
  start(authority_.issue("DNS:localhost"), clients.pem());
  const auto show = [&](const KeyPair& identity) {
    orders_.certificates.chain = identity.certificate;
    orders_.certificates.key = identity.key;
  };
  show(clients.issue("", 86400, "app"));
  PgBouncer pgbouncer(GetParam(), orders_);
  pgbouncer.start();
  const pgb::Revision first = pgbouncer.revision();
  const auto load = [&](const pgb::Revision& revision) {
    pgbouncer.write_files(revision, revision.hash);
    return ask(pgbouncer.console(), "RELOAD").ok();
  };
  Client client(pgbouncer.pooled());
  const std::string before = identity_of(client);
  ASSERT_NE(before, "");
  ASSERT_TRUE(client.ask("BEGIN").ok());
  const std::string backend = backend_of(client);

  orders_.certificates.authorities = Authority().pem() + authority_.pem();
  show(clients.issue("", 86400, "app"));
  pgbouncer.set_database(orders_);
  const pgb::Revision second = pgbouncer.render();
  ASSERT_TRUE(load(second));
  EXPECT_EQ(backend_of(client), backend) << "the transaction stays where it is";
  ASSERT_TRUE(client.ask("COMMIT").ok());
  EXPECT_TRUE(wait_until([&] { return backend_of(client) != backend; }));
  const std::string after = identity_of(client);
  EXPECT_NE(after, "");
  EXPECT_NE(after, before);

  // What only the first revision read is gone; each new server connection reads the files anew.
  pgbouncer.remove_files(first, second);
  postgres_.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
  EXPECT_TRUE(wait_until([&] {
    Client next(pgbouncer.pooled());
    return next.ask("SELECT 1").value == "1";
  }));

  // With the same certificates under the same paths the server connections stay.
  Client other(pgbouncer.pooled());
  const std::string kept = backend_of(other);
  pgbouncer.set_parameters({{"client_idle_timeout", "100"}});
  const pgb::Revision third = pgbouncer.render();
  ASSERT_NE(third.hash, second.hash);
  ASSERT_TRUE(load(third));
  pgbouncer.remove_files(second, third);
  EXPECT_EQ(backend_of(other), kept);
}

INSTANTIATE_TEST_SUITE_P(PgBouncer, ServerTlsRing, ::testing::Values(Version::k124, Version::k126),
                         version_name);

}  // namespace
}  // namespace pooler::ring
