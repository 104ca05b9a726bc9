#include "kube/meta.h"

#include <gtest/gtest.h>

namespace pooler::kube {
namespace {

TEST(Meta, PathsOfCoreAndGroupTypes) {
  const ResourceType secret{"v1", "Secret", "secrets"};
  const ResourceType set{"apps/v1", "StatefulSet", "statefulsets"};
  EXPECT_EQ(secret.collection("a"), "/api/v1/namespaces/a/secrets");
  EXPECT_EQ(secret.collection(""), "/api/v1/secrets");
  EXPECT_EQ(set.object({"a", "b"}), "/apis/apps/v1/namespaces/a/statefulsets/b");
  EXPECT_EQ(set.subresource({"a", "b"}, "status"),
            "/apis/apps/v1/namespaces/a/statefulsets/b/status");
  EXPECT_EQ((ResourceType{"v1", "Namespace", "namespaces"}.object({"", "a"})),
            "/api/v1/namespaces/a");
}

TEST(Meta, NamesCannotLeaveTheirPathSegment) {
  const ResourceType secret{"v1", "Secret", "secrets"};
  EXPECT_EQ(secret.object({"a", "../x?y=z"}), "/api/v1/namespaces/a/secrets/..%2Fx%3Fy%3Dz");
  EXPECT_EQ(url_encode("a b/c=d,e\xc3\xa9"), "a%20b%2Fc%3Dd%2Ce%C3%A9");
  EXPECT_EQ(url_encode("AZaz09-._~"), "AZaz09-._~");
}

TEST(Meta, ResourceVersionsCompareAsNumbersOfAnyLength) {
  using Order = std::strong_ordering;
  EXPECT_TRUE(compare_resource_versions("999", "1000") == Order::less);
  EXPECT_TRUE(compare_resource_versions("1000", "1000") == Order::equal);
  EXPECT_TRUE(compare_resource_versions("340282366920938463463374607431768211456", "2") ==
              Order::greater);
  EXPECT_TRUE(compare_resource_versions("0", "1") == Order::less);
  for (const char* bad : {"", "01", "1a", "-1", " 1", "0x1"}) {
    EXPECT_FALSE(compare_resource_versions(bad, "1").has_value()) << bad;
    EXPECT_FALSE(compare_resource_versions("1", bad).has_value()) << bad;
  }
}

TEST(Meta, OwnersAndAppliers) {
  Meta meta;
  EXPECT_EQ(meta.controller_owner(), nullptr);
  meta.owners = {{"v1", "A", "a", "1", false}, {"v1", "B", "b", "2", true}};
  ASSERT_NE(meta.controller_owner(), nullptr);
  EXPECT_EQ(meta.controller_owner()->name, "b");
  EXPECT_TRUE(meta.owned_by("1"));
  EXPECT_FALSE(meta.owned_by("3"));
  meta.appliers = {"x"};
  EXPECT_TRUE(meta.applied_by("x"));
  EXPECT_FALSE(meta.applied_by("y"));
}

TEST(Meta, KeysAsText) {
  EXPECT_EQ(to_string(ObjectKey{"a", "b"}), "a/b");
  EXPECT_EQ(to_string(ObjectKey{"", "b"}), "b");
  EXPECT_NE(std::hash<ObjectKey>{}({"a", "b"}), std::hash<ObjectKey>{}({"b", "a"}));
}

}  // namespace
}  // namespace pooler::kube
