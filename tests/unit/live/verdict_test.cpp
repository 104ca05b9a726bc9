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
  refused.message = "(ECIRCUITBREAKER) too many authentication failures, new connections are "
                    "temporarily blocked";
  EXPECT_TRUE(is_login_refused(refused));
  EXPECT_FALSE(is_login_refused(error(Kind::kTimeout, Phase::kLogin)));
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
