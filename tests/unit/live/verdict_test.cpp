#include "live/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/live/world.h"

namespace pooler::live::testing {
namespace {

using Kind = pg::Error::Kind;
using Phase = pg::Error::Phase;
using ::testing::HasSubstr;

pg::Error error(Kind kind, Phase phase, const std::string& message = "words") {
  pg::Error made;
  made.kind = kind;
  made.phase = phase;
  made.message = message;
  made.where = {"db.test", "10.0.0.7", 5432};
  return made;
}

struct Told {
  Kind kind;
  Phase phase;
  const char* reason;
};

class DatabaseVerdicts : public ::testing::TestWithParam<Told> {};

TEST_P(DatabaseVerdicts, Reason) {
  const Verdict verdict = database_verdict(error(GetParam().kind, GetParam().phase), orders());
  EXPECT_EQ(verdict.reason, GetParam().reason);
  EXPECT_THAT(verdict.message, HasSubstr("db.test"));
}

INSTANTIATE_TEST_SUITE_P(
    All, DatabaseVerdicts,
    ::testing::Values(Told{Kind::kName, Phase::kName, "DNSFailure"},
                      Told{Kind::kRefused, Phase::kConnect, "ConnectionRefused"},
                      Told{Kind::kUnreachable, Phase::kConnect, "OperatorCannotReachDatabase"},
                      Told{Kind::kTimeout, Phase::kConnect, "OperatorCannotReachDatabase"},
                      Told{Kind::kTimeout, Phase::kLogin, "OperatorCannotReachDatabase"},
                      Told{Kind::kTls, Phase::kLogin, "TLSFailure"},
                      Told{Kind::kAuthentication, Phase::kLogin, "AuthenticationFailed"},
                      Told{Kind::kLost, Phase::kLogin, "OperatorCannotReachDatabase"},
                      Told{Kind::kOther, Phase::kLogin, "OperatorCannotReachDatabase"}));

TEST(Verdicts, NameThePlaceWithItsAddress) {
  EXPECT_THAT(database_verdict(error(Kind::kTimeout, Phase::kConnect), orders()).message,
              HasSubstr("db.test:5432 (10.0.0.7)"));
  pg::Error v6 = error(Kind::kRefused, Phase::kConnect);
  v6.where = {"2001:db8::7", "2001:db8::7", 5432};
  EXPECT_THAT(database_verdict(v6, orders()).message, HasSubstr("[2001:db8::7]:5432 refuses"));
}

TEST(TlsVerdicts, NameTheFieldToMend) {
  struct Case {
    const char* words;
    Certificates ours;
    const char* field;
  };
  const Certificates none;
  const Certificates all = {"authorities", "chain", "key"};
  const Case cases[] = {
      {"server does not support SSL, but SSL was required", none, "spec.database.tls.mode"},
      {"SSL error: certificate verify failed", none,
       "name its own in spec.database.tls.caSecretRef"},
      {"SSL error: certificate verify failed", all, "those in spec.database.tls.caSecretRef"},
      {"server certificate for \"a\" does not match host name \"b\"", all, "spec.database.host"},
      {"SSL error: certificate verify failed", all,
       "an authority in spec.database.tls.caSecretRef has expired"},
      {"root certificate file \"/ca\" does not exist", none, "sslrootcert in the URI"},
      {"could not read root certificate file of its Secret: no start line", all,
       "correct the authorities in spec.database.tls.caSecretRef"},
      {"SSL error: tlsv13 alert certificate required", none,
       "name one in spec.database.tls.clientCertSecretRef"},
      {"SSL error: tlsv1 alert unknown ca", all,
       "refuses the certificate of spec.database.tls.clientCertSecretRef"},
      {"SSL error: unsupported protocol", all, "spec.database.tls"},
  };
  for (const auto& [words, ours, field] : cases) {
    urls::Connection connection = orders();
    connection.certificates = ours;
    const Verdict verdict = database_verdict(error(Kind::kTls, Phase::kLogin, words), connection);
    EXPECT_EQ(verdict.reason, "TLSFailure");
    EXPECT_THAT(verdict.message, HasSubstr(words));
    EXPECT_THAT(verdict.message, HasSubstr(field));
  }
}

TEST(TlsVerdicts, InTheServersOwnWords) {
  const auto verdict = [](const std::string& words, const urls::Connection& connection) {
    pg::Error refusal = error(Kind::kServer, Phase::kLogin, words);
    refusal.sqlstate = "28000";
    return database_verdict(refusal, connection);
  };
  const std::string asked = "connection requires a valid client certificate";
  urls::Connection connection = orders();
  EXPECT_EQ(verdict(asked, connection).reason, "TLSFailure");
  EXPECT_THAT(verdict(asked, connection).message,
              HasSubstr("name a client certificate in spec.database.tls.clientCertSecretRef"));
  connection.certificates.chain = "chain";
  EXPECT_THAT(verdict("certificate authentication failed for user \"app\"", connection).message,
              HasSubstr("common name"));
  EXPECT_THAT(verdict("password authentication failed for user \"app\"", connection).message,
              HasSubstr("the certificate in spec.database.tls.clientCertSecretRef"));
  const std::string plain = "no pg_hba.conf entry for host \"10.0.0.1\", no encryption";
  EXPECT_EQ(verdict(plain, connection).reason, "AuthenticationFailed");
  connection.parameters = {{"sslmode", "disable"}};
  EXPECT_EQ(verdict(plain, connection).reason, "TLSFailure");
  EXPECT_THAT(verdict(plain, connection).message, HasSubstr("spec.database.tls.mode"));
}

TEST(VerificationVerdicts, AnotherCertificate) {
  const Verdict verdict = certificate_verdict({"orders-pooler.shop.svc", "10.96.0.7", 6432});
  EXPECT_EQ(verdict.reason, "VerificationFailed");
  EXPECT_THAT(verdict.message, HasSubstr("orders-pooler.shop.svc:6432 (10.96.0.7)"));
  EXPECT_THAT(verdict.message, HasSubstr("spec.clientTLS.secretRef"));
}

TEST(VerificationVerdicts, NotReached) {
  for (const Kind kind : {Kind::kRefused, Kind::kTimeout, Kind::kUnreachable}) {
    const Verdict verdict = verification_verdict(error(kind, Phase::kConnect));
    EXPECT_EQ(verdict.reason, "OperatorCannotReachPooler");
    EXPECT_THAT(verdict.message, HasSubstr("port 5432"));
    EXPECT_THAT(verdict.message, HasSubstr("spec.connectionSecret.publishPolicy"));
  }
}

TEST(VerificationVerdicts, ReachedAndFailed) {
  for (const Phase phase : {Phase::kLogin, Phase::kSession}) {
    EXPECT_EQ(verification_verdict(error(Kind::kServer, phase)).reason, "VerificationFailed");
    EXPECT_EQ(verification_verdict(error(Kind::kTimeout, phase)).reason, "VerificationFailed");
  }
  EXPECT_THAT(verification_verdict(error(Kind::kServer, Phase::kLogin, "no such database")).message,
              HasSubstr("no such database"));
}

// What another try with the same password can't change.
TEST(LoginRefused, IsTheServersWordOrOurs) {
  EXPECT_TRUE(is_login_refused(error(Kind::kAuthentication, Phase::kLogin)));
  pg::Error refused = error(Kind::kServer, Phase::kLogin);
  for (const char* sqlstate : {"28P01", "28000"}) {
    refused.sqlstate = sqlstate;
    EXPECT_TRUE(is_login_refused(refused)) << sqlstate;
  }
  for (const char* sqlstate : {"53300", "57P03", "3D000", "XX000"}) {
    refused.sqlstate = sqlstate;
    EXPECT_FALSE(is_login_refused(refused)) << sqlstate;
  }
  refused.message =
      "(ECIRCUITBREAKER) too many authentication failures, new connections are "
      "temporarily blocked";
  EXPECT_TRUE(is_login_refused(refused));
  EXPECT_TRUE(is_password_refused(refused));
  EXPECT_FALSE(is_login_refused(error(Kind::kTimeout, Phase::kLogin)));
}

TEST(LoginRefused, ForThePasswordAlone) {
  EXPECT_TRUE(is_password_refused(error(Kind::kAuthentication, Phase::kLogin)));
  pg::Error refused = error(Kind::kServer, Phase::kLogin);
  refused.sqlstate = "28P01";
  EXPECT_TRUE(is_password_refused(refused));
  for (const char* sqlstate : {"28000", "42501", "53300"}) {
    refused.sqlstate = sqlstate;
    EXPECT_FALSE(is_password_refused(refused)) << sqlstate;
  }
}

TEST(ConsoleVerdicts, ARefusedLogin) {
  pg::Error refused = error(Kind::kServer, Phase::kLogin, "SASL authentication failed");
  refused.sqlstate = "08P01";
  EXPECT_TRUE(is_console_login_refused(refused));
  refused.message = "password authentication failed";
  refused.sqlstate = "28P01";
  EXPECT_TRUE(is_console_login_refused(refused));
  refused.message = "pooler is shutting down";
  refused.sqlstate = "57P01";
  EXPECT_FALSE(is_console_login_refused(refused));
  EXPECT_FALSE(is_console_login_refused(error(Kind::kTimeout, Phase::kLogin)));
}

}  // namespace
}  // namespace pooler::live::testing
