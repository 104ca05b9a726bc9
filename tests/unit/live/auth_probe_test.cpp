#include "live/auth_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "live/watched.h"
#include "unit/live/world.h"

namespace pooler::live::testing {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kLookup = "SELECT is_found";

AuthTarget lookup(const std::string& user = "app", const std::string& token = "a1") {
  urls::Connection login = orders();
  login.user = "lookup";
  login.password = "l00k";
  return {login, token, kLookup, user};
}

pg::Rows found(const std::string& count, const std::string& secret) {
  return {{"found", "secret"}, {{count, secret}}};
}

class AuthProbeTest : public ::testing::Test {
 protected:
  AuthProbeTest() { script().on_query(kLookup, found("1", "usable")); }
  Script& script() { return world_.server.script(); }
  void run(Duration by) { world_.run(probe_, by); }
  void answers(pg::testing::Reply reply) { script().on_query(kLookup, std::move(reply)); }

  World world_;
  AuthProbe probe_{world_.server, lookup(), world_.now()};
};

TEST_F(AuthProbeTest, OneSuccessIsEnough) {
  run(minutes(60));
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
  EXPECT_EQ(probe_.state().token, "a1");
  EXPECT_EQ(script().connects(), 1);
  EXPECT_EQ(script().open(), 0);
  EXPECT_EQ(script().startup().at("user"), "lookup");
}

TEST_F(AuthProbeTest, AsksAgainUntilTheQueryIsMended) {
  answers(failure(Refusal{"42501", "permission denied for table pg_authid"}));
  run(seconds(1));
  EXPECT_EQ(probe_.state().outcome, Outcome::kFailed);
  EXPECT_EQ(probe_.state().field, "spec.pgbouncer.auth.query");
  EXPECT_THAT(probe_.state().message, AllOf(HasSubstr("\"lookup\""), HasSubstr("pg_authid"),
                                            HasSubstr("docs/how-to/many-users.md")));
  run(minutes(1));
  EXPECT_LE(script().connects(), 14);
  EXPECT_EQ(script().most_open(), 1);
  answers(found("1", "usable"));
  run(seconds(6));
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
  EXPECT_EQ(probe_.state().message, "");
  EXPECT_EQ(probe_.state().field, "");
  EXPECT_EQ(script().open(), 0);
}

TEST_F(AuthProbeTest, TheUserMustBeFoundWithAPasswordThatCanBeUsed) {
  for (const auto& [count, secret] : std::vector<std::pair<const char*, const char*>>{
           {"0", ""}, {"2", "usable"}, {"1", "none"}, {"1", "md5"}}) {
    answers(found(count, secret));
    run(seconds(6));
    EXPECT_EQ(probe_.state().outcome, Outcome::kFailed) << count << secret;
    EXPECT_EQ(probe_.state().field, "spec.pgbouncer.auth.query");
    EXPECT_THAT(probe_.state().message, HasSubstr("user \"app\""));
  }
}

TEST_F(AuthProbeTest, WhoIsInTheFilesNeedNotBeFound) {
  answers(found("0", ""));
  AuthProbe probe(world_.server, lookup(""), world_.now());
  world_.run(probe, seconds(1));
  EXPECT_EQ(probe.state().outcome, Outcome::kOk);
}

TEST_F(AuthProbeTest, ARefusedLoginIsAboutTheSecret) {
  script().refuse_logins(Refusal{"28P01", "password authentication failed for user \"lookup\""});
  run(seconds(1));
  EXPECT_EQ(probe_.state().field, "spec.pgbouncer.auth.userSecretRef");
  EXPECT_THAT(probe_.state().message, HasSubstr("correct user name and password in that Secret"));
  script().refuse_logins(std::nullopt);
  script().ignore_logins(true);
  run(seconds(20));
  EXPECT_EQ(probe_.state().outcome, Outcome::kFailed);
  script().ignore_logins(false);
  run(seconds(20));
  EXPECT_EQ(probe_.state().outcome, Outcome::kOk);
}

// A query that takes a secret for something else has the server quote it.
TEST_F(AuthProbeTest, WordsAboutValuesAreNotRepeated) {
  answers(failure(Refusal{"22P02", "invalid input syntax for type integer: \"SCRAM-SHA-256$x\""}));
  run(seconds(1));
  EXPECT_EQ(probe_.state().field, "spec.pgbouncer.auth.query");
  EXPECT_THAT(probe_.state().message, AllOf(HasSubstr("22P02"), Not(HasSubstr("SCRAM"))));
  answers(failure(Refusal{"42P01", "relation \"pg_authidd\" does not exist"}));
  run(seconds(6));
  EXPECT_THAT(probe_.state().message, HasSubstr("pg_authidd"));
}

TEST_F(AuthProbeTest, ANewOneWaitsUntilTheServerCountsTheOldOneNoMore) {
  answers(failure(Refusal{"42501", "no"}));
  Watched watched(world_.server, world_.refusals);
  LiveTarget target;
  target.auth = lookup();
  watched.set_target(target, world_.now());
  world_.run(watched.probes(), seconds(1));
  EXPECT_EQ(watched.state().auth.outcome, Outcome::kFailed);
  target.auth = lookup("app", "a2");
  answers(found("1", "usable"));
  watched.set_target(target, world_.now());
  EXPECT_EQ(watched.state().auth.token, "a2");
  EXPECT_EQ(watched.state().auth.outcome, Outcome::kUnknown);
  world_.run(watched.probes(), seconds(2));
  EXPECT_EQ(watched.state().auth.outcome, Outcome::kOk);
  watched.set_target(target, world_.now());
  EXPECT_EQ(watched.state().auth.outcome, Outcome::kOk) << "what did not change goes on";
  EXPECT_EQ(script().most_open(), 1);
  target.auth.reset();
  watched.set_target(target, world_.now());
  EXPECT_EQ(watched.state().auth, AuthState());
}

}  // namespace
}  // namespace pooler::live::testing
