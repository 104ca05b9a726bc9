#include "reconcile/share.h"

#include <gtest/gtest.h>

namespace pooler::reconcile {
namespace {

live::Server server(int max_connections) {
  live::Server made;
  made.identity = "10.0.0.1:5432";
  made.max_connections = max_connections;
  made.superuser_reserved_connections = 3;
  return made;
}

api::PoolerConfig deriving() { return {}; }

api::PoolerConfig given(int connections) {
  api::PoolerConfig config;
  config.spec.budget.server_connections = connections;
  return config;
}

Claim neighbour(int held, std::optional<int> explicit_budget = std::nullopt) {
  Claim claim;
  claim.asked = true;
  claim.identity = "10.0.0.1:5432";
  claim.held = held;
  claim.explicit_budget = explicit_budget;
  return claim;
}

TEST(Poolable, LeavesTheReservedAndTheDirectOnes) {
  EXPECT_EQ(poolable(server(60), 20), 41);  // floor((60 - 3 - 0 - 5) * 0.8)
  EXPECT_EQ(poolable(server(100), 0), 92);
  EXPECT_EQ(poolable(server(5), 20), 0);
}

TEST(ShareOf, TheSpecCounts) {
  const Share share = share_of(given(80), nullptr, {});
  EXPECT_EQ(share.budget, 80);
  EXPECT_EQ(share.source, "Spec");
  EXPECT_EQ(share.ceiling, 80);
}

TEST(ShareOf, UnknownServerIsNoBudgetAndNotZero) {
  const Share share = share_of(deriving(), nullptr, {});
  EXPECT_FALSE(share.budget);
  EXPECT_FALSE(share.waiting.empty());
}

TEST(ShareOf, AloneTakesAll) {
  const auto sixty = server(60);
  const Share share = share_of(deriving(), &sixty, {});
  EXPECT_EQ(share.budget, 41);
  EXPECT_EQ(share.source, "Server");
}

TEST(ShareOf, RoleAndDatabaseLimitsCount) {
  auto limited = server(60);
  limited.role_limit = 20;
  EXPECT_EQ(share_of(deriving(), &limited, {}).budget, 20);
  limited.database_limit = 10;
  EXPECT_EQ(share_of(deriving(), &limited, {}).budget, 10);
}

TEST(ShareOf, EqualPartsOfWhatExplicitOnesLeave) {
  const auto sixty = server(60);
  const std::map<std::string, Claim> others = {{"a/a", neighbour(5, 21)}, {"a/b", neighbour(10)}};
  EXPECT_EQ(share_of(deriving(), &sixty, others).budget, 10);
}

TEST(ShareOf, ANewcomerWaitsForWhatOthersStillHold) {
  const auto sixty = server(60);
  const Share share = share_of(deriving(), &sixty, {{"a/a", neighbour(35)}});
  EXPECT_EQ(share.budget, 20);
  EXPECT_EQ(share.ceiling, 6);
  EXPECT_NE(share.waiting.find("35"), std::string::npos);
}

TEST(ShareOf, OtherServersDoNotMatter) {
  const auto sixty = server(60);
  Claim elsewhere = neighbour(35);
  elsewhere.identity = "10.0.0.2:5432";
  EXPECT_EQ(share_of(deriving(), &sixty, {{"a/a", elsewhere}}).ceiling, 41);
}

TEST(ShareOf, NothingGrowsWhileANeighbourWasNeverAsked) {
  const auto sixty = server(60);
  const Share share = share_of(deriving(), &sixty, {{"a/new", Claim{}}});
  EXPECT_FALSE(share.budget);
  EXPECT_NE(share.waiting.find("a/new"), std::string::npos);
}

TEST(ShareOf, PodsWhoseServerIsNotKnownMayBeHere) {
  const auto sixty = server(60);
  Claim lost = neighbour(10);
  lost.identity = "";
  const Share share = share_of(deriving(), &sixty, {{"a/lost", lost}});
  EXPECT_FALSE(share.budget);
  EXPECT_NE(share.waiting.find("a/lost"), std::string::npos);
  lost.held = 0;  // without pods it holds nothing, wherever it is
  EXPECT_EQ(share_of(deriving(), &sixty, {{"a/lost", lost}}).budget, 41);
}

TEST(ShareOf, SaysWhyANeighbourCanNotBeCounted) {
  const auto sixty = server(60);
  const Share share = share_of(deriving(), &sixty, {{"a/x", Claim{.unknown_because = "told"}}});
  EXPECT_FALSE(share.budget);
  EXPECT_EQ(share.waiting, "PoolerConfig a/x may share this server; told");
}

}  // namespace
}  // namespace pooler::reconcile
