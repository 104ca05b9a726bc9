#include "reconcile/caches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pooler::reconcile {
namespace {

TEST(UsersOfSecret, AreThoseThatReadOrPublishIt) {
  Caches caches;
  std::vector<PoolerConfigObject> objects;
  for (const char* json : {R"({"metadata": {"name": "a", "namespace": "shop"},
            "spec": {"database": {"secretRef": {"name": "db"},
                                  "tls": {"caSecretRef": {"name": "db-ca"},
                                          "clientCertSecretRef": {"name": "db-client"}}},
                     "clientTLS": {"secretRef": {"name": "tls"}}}})",
                           R"({"metadata": {"name": "b", "namespace": "shop"},
            "spec": {"database": {"secretRef": {"name": "db"}},
                     "pgbouncer": {"auth": {"mode": "Query",
                                            "userSecretRef": {"name": "lookup"}}},
                     "clientTLS": {"mode": "Disabled", "secretRef": {"name": "tls"}}}})",
                           R"({"metadata": {"name": "c", "namespace": "other"},
            "spec": {"database": {"secretRef": {"name": "db"}}}})",
                           R"({"metadata": {"name": "d", "namespace": "shop"},
            "spec": {"engine": "Supabase",
                     "database": {"secretRef": {"name": "project-db"},
                                  "tls": {"caSecretRef": {"name": "supabase-ca"}}},
                     "supabase": {"projectRef": "abcdefghijklmnopqrst",
                                  "managementTokenSecretRef": {"name": "token"}}}})"}) {
    auto object = PoolerConfigObject::decode(json);
    ASSERT_TRUE(object.ok()) << object.error();
    objects.push_back(std::move(object).value());
  }
  (void)caches.configs.replace("", std::move(objects), "1");
  const auto users = [&caches](const char* name) {
    std::vector<std::string> names;
    for (const auto& key : users_of_secret(caches, {"shop", name})) names.push_back(to_string(key));
    return names;
  };
  EXPECT_THAT(users("db"), testing::UnorderedElementsAre("shop/a", "shop/b"));
  for (const char* name : {"db-ca", "db-client", "tls", "a-pooler"}) {
    EXPECT_THAT(users(name), testing::ElementsAre("shop/a")) << name;
  }
  for (const char* name : {"project-db", "supabase-ca", "token", "d-pooler"}) {
    EXPECT_THAT(users(name), testing::ElementsAre("shop/d")) << name;
  }
  for (const char* name : {"b-pooler", "lookup"}) {
    EXPECT_THAT(users(name), testing::ElementsAre("shop/b")) << name;
  }
  EXPECT_THAT(users("c-pooler"), testing::IsEmpty());
}

}  // namespace
}  // namespace pooler::reconcile
