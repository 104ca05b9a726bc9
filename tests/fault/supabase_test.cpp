// Every failure of Supabase's Management API at every point of a project's life: before the first
// answer, after a good one, and after a restart of the operator.
#include <gtest/gtest.h>

#include <map>
#include <ostream>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "fault/operator_world.h"

namespace pooler::fault {
namespace {

using Mood = FakeManagementApi::Mood;
using std::chrono::minutes;

const kube::ObjectKey kPublished{"shop", "orders-pooler"};

struct Failing {
  const char* name;
  Mood mood;
  bool lasting;  // waiting alone does not mend it
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this very name
void PrintTo(const Failing& each, std::ostream* out) { *out << each.name; }

class ManagementApiFails : public testing::TestWithParam<Failing> {
 protected:
  void SetUp() override { configure_log(LogLevel::kError, LogFormat::kText); }

  void applied() {
    world_.user_applies_project();
    ASSERT_TRUE(world_.settle());
  }
  void fails() { world_.management().mood = GetParam().mood; }
  void recovers() {
    world_.management().mood = Mood::kWell;
    for (int i = 0; i < 3; ++i) {
      world_.pass(minutes(10));
      ASSERT_TRUE(world_.settle());
    }
    ASSERT_TRUE(has("Ready True")) << world_.end_state();
    ASSERT_TRUE(has("ConfigurationLoaded True ManagedByProvider")) << world_.end_state();
    ASSERT_EQ(world_.resync(), 0);
  }
  [[nodiscard]] bool has(const std::string& line) const {
    return world_.end_state().find(line) != std::string::npos;
  }
  [[nodiscard]] std::string url(const char* key) {
    const auto secret = world_.server().find(kube::Secret::kType, kPublished);
    return secret ? base64_decode((*secret)["data"].value(key, "")).value() : "none";
  }
  [[nodiscard]] std::string all_that_is_told() {
    std::string text;
    for (const Object& config : world_.server().all(reconcile::PoolerConfigObject::kType)) {
      text += config.dump();
    }
    return text;
  }

  OperatorWorld world_;
};

TEST_P(ManagementApiFails, BeforeTheFirstAnswer) {
  fails();
  applied();
  EXPECT_EQ(url("DATABASE_URL"), "none") << "nothing is published in part";
  EXPECT_TRUE(has("Ready False")) << world_.end_state();
  EXPECT_EQ(has("Stalled True PoolerHostUnknown"), GetParam().lasting) << world_.end_state();
  EXPECT_EQ(has("PoolerAvailable False ManagementAPIUnavailable"), !GetParam().lasting)
      << world_.end_state();
  EXPECT_EQ(all_that_is_told().find("sbp_t0ken"), std::string::npos);
  recovers();
}

TEST_P(ManagementApiFails, AfterAGoodOne) {
  applied();
  ASSERT_TRUE(has("Ready True")) << world_.end_state();
  const std::string before = url("DATABASE_POOLED_URL");
  EXPECT_EQ(before,
            "postgresql://postgres.abcdefghijklmnopqrst:pw@aws-1-eu-central-1.pooler.supabase.com:"
            "6543/postgres?pgbouncer=true");
  fails();
  world_.pass(minutes(10));
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(url("DATABASE_POOLED_URL"), before);
  EXPECT_TRUE(has("Ready True")) << world_.end_state();
  EXPECT_TRUE(has(std::string("ConfigurationLoaded Unknown ManagementAPI") +
                  (GetParam().lasting ? "Refused" : "Unavailable")))
      << world_.end_state();
  EXPECT_FALSE(has("Stalled")) << world_.end_state();
  // Another password goes out all the same.
  world_.user_sets("orders-db", "password", "another");
  ASSERT_TRUE(world_.settle());
  EXPECT_NE(url("DATABASE_POOLED_URL").find(":another@aws-1-eu-central-1."), std::string::npos);
  recovers();
}

TEST_P(ManagementApiFails, AfterARestartOfTheOperator) {
  applied();
  const std::string before = url("DATABASE_POOLED_URL");
  fails();
  world_.restart_operator();
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(url("DATABASE_POOLED_URL"), before);
  EXPECT_TRUE(has("Ready True")) << world_.end_state();
  recovers();
}

INSTANTIATE_TEST_SUITE_P(All, ManagementApiFails,
                         testing::Values(Failing{"Unauthorized", Mood::kUnauthorized, true},
                                         Failing{"Forbidden", Mood::kForbidden, true},
                                         Failing{"NotFound", Mood::kNotFound, true},
                                         Failing{"TooManyRequests", Mood::kTooManyRequests, false},
                                         Failing{"ServerError", Mood::kServerError, false},
                                         Failing{"Silent", Mood::kSilent, false},
                                         Failing{"NotThere", Mood::kNotThere, false},
                                         Failing{"Untrusted", Mood::kUntrusted, false},
                                         Failing{"Broken", Mood::kBroken, false},
                                         Failing{"TooLong", Mood::kTooLong, true},
                                         Failing{"NoJson", Mood::kNoJson, true},
                                         Failing{"NoPrimary", Mood::kNoPrimary, true},
                                         Failing{"Elsewhere", Mood::kElsewhere, true}),
                         [](const auto& test) { return test.param.name; });

TEST(Hosted, MakesTwoSecretsAndNothingElse) {
  OperatorWorld world;
  world.user_applies_project();
  ASSERT_TRUE(world.settle());
  const std::map<std::string, std::pair<int, int>> made = {
      {"poolerconfigs shop/orders", {0, 0}},  // the user's
      {"secrets shop/orders-pooler", {1, 0}},
      {"secrets shop/orders-pooler-admin", {1, 0}}};
  EXPECT_EQ(world.creates_and_deletes(), made);
  EXPECT_EQ(world.resync(), 0);
  world.restart_operator();
  EXPECT_EQ(world.resync(), 0) << "a restart is no news";
}

TEST(Hosted, AnotherTokenIsTriedAtOnce) {
  OperatorWorld world;
  world.management().mood = Mood::kUnauthorized;
  world.user_applies_project();
  ASSERT_TRUE(world.settle());
  const std::size_t asked = world.management().tokens.size();
  EXPECT_LE(asked, 2U) << "a token that was refused is not tried again and again";
  world.management().mood = Mood::kWell;
  world.user_sets("supabase", "token", "sbp_another\n");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.management().tokens.size(), asked + 1);
  EXPECT_EQ(world.management().tokens.back(), "sbp_another");
  EXPECT_NE(world.end_state().find("Ready True"), std::string::npos) << world.end_state();
}

TEST(Hosted, NothingIsAskedBeforeTheTimeThatTheApiHasNamed) {
  OperatorWorld world;
  world.management().mood = Mood::kTooManyRequests;
  world.management().retry_after = std::chrono::hours(1);
  world.user_applies_project();
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.management().tokens.size(), 1U);
  world.user_edits([](Object& spec) { spec["poolMode"] = "session"; });
  ASSERT_TRUE(world.settle());
  // The token goes and comes back: the account is the same.
  ASSERT_TRUE(world.server().erase(kube::Secret::kType, {"shop", "supabase"}));
  ASSERT_TRUE(world.settle());
  world.server().create(kube::Secret::kType,
                        {{"metadata", {{"name", "supabase"}, {"namespace", "shop"}}},
                         {"data", {{"token", base64_encode("sbp_t0ken")}}}});
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.management().tokens.size(), 1U);
  world.management().mood = Mood::kWell;
  world.pass(std::chrono::hours(1));
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.management().tokens.size(), 2U);
  EXPECT_NE(world.end_state().find("Ready True"), std::string::npos) << world.end_state();
}

TEST(Hosted, NothingIsAskedWhereReconcilingIsDisabled) {
  OperatorWorld world;
  world.user_applies_project();
  ASSERT_TRUE(world.settle());
  const std::string before = world.end_state();
  world.user_disables();
  ASSERT_TRUE(world.settle());
  const std::size_t asked = world.management().tokens.size();
  for (int i = 0; i < 6; ++i) {
    world.pass(minutes(10));
    ASSERT_TRUE(world.settle());
  }
  EXPECT_EQ(world.management().tokens.size(), asked);
  EXPECT_EQ(world.end_state(), before) << "what is published stays";
}

// Over every restart of the operator; and what it takes the place of stays.
TEST(Hosted, AWrongPasswordIsTriedOnceAndNotPublished) {
  OperatorWorld world;
  world.user_applies_project();
  ASSERT_TRUE(world.settle());
  const auto data = [&world] {
    return (*world.server().find(kube::Secret::kType, kPublished))["data"].dump();
  };
  const std::string before = data();
  world.world().wrong_password = "mistyped";
  world.user_sets("orders-db", "password", "mistyped");
  ASSERT_TRUE(world.settle());
  for (int i = 0; i < 3; ++i) {
    world.restart_operator();
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(data(), before);
    const std::string state = world.end_state();
    EXPECT_NE(state.find("SecretPublished False CredentialsPending"), std::string::npos) << state;
    EXPECT_NE(state.find("DatabaseReachable False AuthenticationFailed"), std::string::npos);
  }
  EXPECT_EQ(world.world().wrong_tries, 1);
  EXPECT_EQ(world.resync(), 0);
  world.user_sets("orders-db", "password", "right");
  ASSERT_TRUE(world.settle());
  EXPECT_NE(data(), before);
  EXPECT_NE(world.end_state().find("Ready True"), std::string::npos) << world.end_state();
}

TEST(Hosted, AnotherHostIsPublished) {
  OperatorWorld world;
  world.user_applies_project();
  ASSERT_TRUE(world.settle());
  world.management().host = "aws-0-eu-west-1.pooler.supabase.com";
  world.pass(minutes(10));
  ASSERT_TRUE(world.settle());
  const auto secret = world.server().find(kube::Secret::kType, kPublished);
  EXPECT_EQ(base64_decode((*secret)["data"]["host"].get<std::string>()),
            "aws-0-eu-west-1.pooler.supabase.com");
}

TEST(Hosted, SecretsDeletedByHandReturn) {
  OperatorWorld world;
  world.user_applies_project();
  ASSERT_TRUE(world.settle());
  const std::string before = world.end_state();
  for (const char* name : {"orders-pooler", "orders-pooler-admin"}) {
    ASSERT_TRUE(world.server().erase(kube::Secret::kType, {"shop", name}));
    ASSERT_TRUE(world.settle()) << name;
    EXPECT_EQ(world.end_state(), before) << name;
  }
}

}  // namespace
}  // namespace pooler::fault
