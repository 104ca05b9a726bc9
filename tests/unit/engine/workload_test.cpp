#include "engine/pgbouncer/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "base/crypto.h"
#include "base/json.h"
#include "base/strings.h"

namespace pooler::engine::pgbouncer {
namespace {

using testing::HasSubstr;
using testing::Not;

api::PoolerConfig orders_config() {
  api::PoolerConfig config;
  config.name = "orders";
  config.ns = "shop";
  config.uid = "uid-1";
  config.spec.connection_secret.name = "orders-pooler";
  return config;
}

Admin some_admin() { return make_admin(std::string(kAdminRandomBytes, 'r')); }

std::vector<Json> all_objects(const api::PoolerConfig& config) {
  return {client_service(config),
          peers_service(config),
          admin_secret(config, some_admin()),
          config_secret(config, {{"a.ini", "x"}}),
          stateful_set(config, "pgbouncer:test", 3),
          pod_disruption_budget(config),
          network_policy(config, "pooler-system"),
          published_secret(config, {{"uri", "x"}}, "0f")};
}

TEST(Objects, AreOwnedLabelledAndNamed) {
  std::set<std::string> names;
  for (const Json& object : all_objects(orders_config())) {
    const Json& metadata = object["metadata"];
    EXPECT_TRUE(object.contains("apiVersion") && object.contains("kind"));
    EXPECT_EQ(metadata["namespace"], "shop");
    EXPECT_EQ(metadata["labels"][std::string(api::kNameLabel)], "orders");
    EXPECT_EQ(metadata["labels"]["app.kubernetes.io/managed-by"], "pooler-operator");
    EXPECT_EQ(metadata["ownerReferences"],
              Json::parse(R"([{"apiVersion": "pooler.dev/v1alpha1", "kind": "PoolerConfig",
                               "name": "orders", "uid": "uid-1", "controller": true,
                               "blockOwnerDeletion": true}])"));
    names.insert(object["kind"].get<std::string>() + " " + metadata["name"].get<std::string>());
  }
  EXPECT_EQ(names,
            (std::set<std::string>{"Service orders-pooler", "Service orders-pooler-peers",
                                   "Secret orders-pooler-admin", "Secret orders-pooler-config",
                                   "StatefulSet orders-pooler", "PodDisruptionBudget orders-pooler",
                                   "NetworkPolicy orders-pooler", "Secret orders-pooler"}));
}

TEST(Objects, AreTheSameBytesEachTime) {
  const auto once = all_objects(orders_config());
  const auto again = all_objects(orders_config());
  for (std::size_t i = 0; i < once.size(); ++i) EXPECT_EQ(to_bytes(once[i]), to_bytes(again[i]));
}

// The API server drops what is zero or empty, so a body that has it would differ for ever.
TEST(Objects, HoldNothingThatTheApiServerDrops) {
  const std::function<void(const Json&, const std::string&)> walk = [&](const Json& json,
                                                                        const std::string& path) {
    EXPECT_FALSE(json.is_null()) << path;
    if (json.is_structured()) {
      EXPECT_FALSE(json.empty()) << path;
    }
    if (json.is_number() && path != ".spec.replicas") {
      EXPECT_NE(json, 0) << path;
    }
    if (json.is_array()) {
      for (const auto& item : json) walk(item, path + "[]");
    } else if (json.is_object()) {
      for (const auto& [key, value] : json.items()) walk(value, path + "." + key);
    }
  };
  for (const Json& object : all_objects(orders_config())) walk(object, "");
}

TEST(Objects, LongestNameStaysWithinKubernetesLimits) {
  api::PoolerConfig config = orders_config();
  config.name = std::string(api::kMaxNameLength, 'a');
  EXPECT_LE(workload_name(config).size(), 52U);
  for (const Json& object : all_objects(config)) {
    EXPECT_LE(object["metadata"]["name"].get<std::string>().size(), 63U);
  }
  EXPECT_LE(pod_name(config, api::kMaxReplicas).size(), 63U);
}

TEST(StatefulSet, LeavesRollOutsToUs) {
  const Json spec = stateful_set(orders_config(), "pgbouncer:test", 3)["spec"];
  EXPECT_EQ(spec["replicas"], 3);
  EXPECT_EQ(spec["podManagementPolicy"], "Parallel");
  EXPECT_EQ(spec["updateStrategy"]["type"], "OnDelete");
  EXPECT_EQ(spec["serviceName"], "orders-pooler-peers");
  EXPECT_EQ(spec["selector"]["matchLabels"], Json::parse(R"({"pooler.dev/poolerconfig": "orders",
                            "app.kubernetes.io/component": "pooler"})"));
  EXPECT_TRUE(is_subset(spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"]));
}

TEST(StatefulSet, GivesPodsTheTimeThatTheDrainNeeds) {
  api::PoolerConfig config = orders_config();
  config.spec.drain = {.endpoint_propagation_seconds = 7, .max_transaction_seconds = 90};
  const Json pod = stateful_set(config, "i", 1)["spec"]["template"]["spec"];
  EXPECT_EQ(pod["terminationGracePeriodSeconds"], 107);
  EXPECT_EQ(pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"], 7);
}

TEST(StatefulSet, TellsItsImage) {
  EXPECT_EQ(image_of(stateful_set(orders_config(), "pgbouncer:test", 3)), "pgbouncer:test");
  for (const char* other : {"null", "[]", "{}", "3", R"({"spec": []})", R"({"spec": "x"})"}) {
    EXPECT_EQ(image_of(Json::parse(other)), "") << other;
  }
}

TEST(StatefulSet, RunsPgbouncerWithAsFewRightsAsPossible) {
  const Json pod = stateful_set(orders_config(), "pgbouncer:test", 1)["spec"]["template"]["spec"];
  const Json& container = pod["containers"][0];
  EXPECT_EQ(container["image"], "pgbouncer:test");
  EXPECT_EQ(container["command"], Json::array({"pgbouncer"}));
  EXPECT_EQ(container["args"], Json::array({"/etc/pgbouncer/$(POD_NAME).ini"}));
  EXPECT_EQ(pod["automountServiceAccountToken"], false);
  EXPECT_EQ(pod["enableServiceLinks"], false);
  EXPECT_EQ(pod["securityContext"]["runAsNonRoot"], true);
  EXPECT_EQ(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
  EXPECT_EQ(container["securityContext"],
            Json::parse(R"({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                            "capabilities": {"drop": ["ALL"]}})"));
  EXPECT_EQ(pod["volumes"][0]["secret"]["secretName"], "orders-pooler-config");
  EXPECT_EQ(pod["volumes"][0]["secret"]["defaultMode"], 0440);
  EXPECT_FALSE(container["volumeMounts"][0].contains("subPath"));
}

Json template_with(const std::string& pod) {
  api::PoolerConfig config = orders_config();
  config.spec.pod = pod;
  return stateful_set(config, "pgbouncer:test", 2)["spec"]["template"];
}

TEST(PodTemplate, TakesOverWhatTheUserAdds) {
  const Json pod = template_with(R"({"nodeSelector": {"disk": "ssd"},
      "tolerations": [{"key": "pooler", "operator": "Exists"}], "priorityClassName": "high",
      "affinity": {"nodeAffinity": {}}, "imagePullSecrets": [{"name": "registry"}],
      "metadata": {"labels": {"team": "shop"}, "annotations": {"mesh": "no"}}})");
  EXPECT_EQ(pod["spec"]["nodeSelector"]["disk"], "ssd");
  EXPECT_EQ(pod["spec"]["tolerations"][0]["key"], "pooler");
  EXPECT_EQ(pod["spec"]["priorityClassName"], "high");
  EXPECT_TRUE(pod["spec"].contains("affinity"));
  EXPECT_EQ(pod["spec"]["imagePullSecrets"][0]["name"], "registry");
  EXPECT_EQ(pod["metadata"]["labels"]["team"], "shop");
  EXPECT_EQ(pod["metadata"]["annotations"]["mesh"], "no");
  EXPECT_FALSE(template_with("{}")["metadata"].contains("annotations"));
}

TEST(PodTemplate, LabelsAndRightsThatTheOperatorReliesOnWin) {
  const Json pod = template_with(R"({"metadata": {"labels": {"pooler.dev/poolerconfig": "other",
      "app.kubernetes.io/managed-by": "helm", "app.kubernetes.io/component": "x"}},
      "securityContext": {"runAsUser": 1000640000}, "containerSecurityContext": {"runAsUser": 7}})");
  const Json plain = template_with("{}");
  EXPECT_EQ(pod["metadata"], plain["metadata"]);
  EXPECT_EQ(pod["spec"]["securityContext"]["runAsUser"], 1000640000);
  EXPECT_EQ(pod["spec"]["securityContext"]["runAsNonRoot"], true);
  EXPECT_EQ(pod["spec"]["securityContext"]["fsGroup"], 65532);
  const Json& container = pod["spec"]["containers"][0]["securityContext"];
  EXPECT_EQ(container["runAsUser"], 7);
  EXPECT_EQ(container["capabilities"]["drop"], Json::array({"ALL"}));
  EXPECT_EQ(container["readOnlyRootFilesystem"], true);
}

TEST(PodTemplate, ResourcesAndSpreadReplaceTheDefaults) {
  const Json pod = template_with(R"({"resources": {"requests": {"cpu": "2"}},
      "topologySpreadConstraints": [{"topologyKey": "rack", "maxSkew": 2,
      "whenUnsatisfiable": "DoNotSchedule"}]})");
  EXPECT_EQ(pod["spec"]["containers"][0]["resources"],
            Json::parse(R"({"requests": {"cpu": "2"}})"));
  const Json& spread = pod["spec"]["topologySpreadConstraints"];
  ASSERT_EQ(spread.size(), 1U);
  EXPECT_EQ(spread[0]["topologyKey"], "rack");
  EXPECT_EQ(spread[0]["labelSelector"]["matchLabels"]["pooler.dev/poolerconfig"], "orders");
  EXPECT_EQ(template_with("{}")["spec"]["topologySpreadConstraints"].size(), 2U);
}

TEST(PodTemplate, IsAPodThatCanBeAskedAbout) {
  const Json pod = pod_of_template(orders_config(), "pgbouncer:test");
  const Json made = stateful_set(orders_config(), "pgbouncer:test", 2)["spec"]["template"];
  EXPECT_EQ(pod["kind"], "Pod");
  EXPECT_EQ(pod["metadata"]["namespace"], "shop");
  EXPECT_EQ(pod["metadata"]["name"], "orders-pooler-dry-run");
  EXPECT_EQ(pod["metadata"]["labels"], made["metadata"]["labels"]);
  EXPECT_EQ(pod["spec"], made["spec"]);
}

TEST(StatefulSet, HoldsNoSecret) {
  EXPECT_THAT(to_bytes(stateful_set(orders_config(), "i", 1)),
              Not(HasSubstr(some_admin().password)));
}

TEST(Services, LeadToThePods) {
  const Json client = client_service(orders_config());
  EXPECT_EQ(client["spec"]["ports"][0]["port"], 6432);
  EXPECT_EQ(service_host(orders_config()), "orders-pooler.shop.svc");
  const Json peers = peers_service(orders_config());
  EXPECT_EQ(peers["spec"]["clusterIP"], "None");
  EXPECT_EQ(peers["spec"]["publishNotReadyAddresses"], true);
  const Json pods = stateful_set(orders_config(), "i", 1)["spec"]["template"]["metadata"]["labels"];
  EXPECT_TRUE(is_subset(client["spec"]["selector"], pods));
  EXPECT_TRUE(is_subset(peers["spec"]["selector"], pods));
}

TEST(Services, HaveTypePortAndAnnotationsAsAskedFor) {
  api::PoolerConfig config = orders_config();
  config.spec.service.type = api::ServiceType::kLoadBalancer;
  config.spec.service.port = 5432;
  config.spec.service.annotations = {{"lb.example.com/internal", "true"}};
  const Json client = client_service(config);
  EXPECT_EQ(client["spec"]["type"], "LoadBalancer");
  EXPECT_EQ(client["spec"]["ports"][0]["port"], 5432);
  EXPECT_EQ(client["spec"]["ports"][0]["targetPort"], "pgbouncer");
  EXPECT_EQ(client["metadata"]["annotations"],
            Json::parse(R"({"lb.example.com/internal": "true"})"));
  EXPECT_EQ(peers_service(config)["spec"]["ports"][0]["port"], 6432) << "peers know the pods'";
  EXPECT_EQ(way_in(config), (urls::HostPort{"orders-pooler.shop.svc", 5432}));
  config.spec.service.external_host = "pooler.example.com";
  EXPECT_EQ(way_in(config), (urls::HostPort{"pooler.example.com", 5432}));
}

TEST(NetworkPolicy, LetsInTheNamespaceThePeersAndTheOperator) {
  const Json spec = network_policy(orders_config(), "pooler-system")["spec"];
  const Json pods = stateful_set(orders_config(), "i", 1)["spec"]["template"]["metadata"]["labels"];
  EXPECT_TRUE(is_subset(spec["podSelector"]["matchLabels"], pods));
  EXPECT_EQ(spec["policyTypes"], Json::array({"Ingress"}));
  ASSERT_EQ(spec["ingress"].size(), 1U);
  EXPECT_EQ(spec["ingress"][0]["ports"], Json::parse(R"([{"port": 6432, "protocol": "TCP"}])"));
  const Json& from = spec["ingress"][0]["from"];
  ASSERT_EQ(from.size(), 3U);
  EXPECT_EQ(from[0], Json::parse(R"({"namespaceSelector": {"matchLabels":
                                     {"kubernetes.io/metadata.name": "shop"}}})"));
  EXPECT_TRUE(is_subset(from[1]["podSelector"]["matchLabels"], pods));
  EXPECT_EQ(from[2], Json::parse(R"({"namespaceSelector": {"matchLabels":
                                       {"kubernetes.io/metadata.name": "pooler-system"}},
                                     "podSelector": {"matchLabels":
                                       {"pooler.dev/component": "operator"}}})"));
}

TEST(NetworkPolicy, TakesTheUsersClientsInsteadOfTheNamespace) {
  api::PoolerConfig config = orders_config();
  config.spec.network_policy.from = R"([{"ipBlock":{"cidr":"10.0.0.0/8"}}])";
  const Json from = network_policy(config, "")["spec"]["ingress"][0]["from"];
  ASSERT_EQ(from.size(), 2U) << "outside of a pod the operator has no labels";
  EXPECT_EQ(from[0], Json::parse(R"({"ipBlock": {"cidr": "10.0.0.0/8"}})"));
}

TEST(Budget, LetsOnePodGoAndBrokenOnesAlways) {
  const Json spec = pod_disruption_budget(orders_config())["spec"];
  EXPECT_EQ(spec["maxUnavailable"], 1);
  EXPECT_EQ(spec["unhealthyPodEvictionPolicy"], "AlwaysAllow");
}

TEST(Secrets, HoldTheirValuesAsBase64) {
  const Json secret =
      published_secret(orders_config(), {{"uri", "postgresql://x"}, {"empty", ""}}, "0f");
  EXPECT_EQ(secret["type"], "servicebinding.io/postgresql");
  EXPECT_EQ(base64_decode(secret["data"]["uri"].get<std::string>()), "postgresql://x");
  EXPECT_EQ(secret["data"]["empty"], "");
  EXPECT_EQ(secret["metadata"]["annotations"]["pooler.dev/content-hash"], "0f");
  EXPECT_EQ(config_secret(orders_config(), {{"a", "b"}})["type"], "Opaque");
}

TEST(Secrets, CarryTheLabelsAndAnnotationsThatAreAskedFor) {
  api::PoolerConfig config = orders_config();
  config.spec.connection_secret.labels = {{"team", "shop"},
                                          {"app.kubernetes.io/managed-by", "somebody"}};
  config.spec.connection_secret.annotations = {{"example.com/note", "x"},
                                               {"pooler.dev/content-hash", "forged"}};
  const Json metadata = published_secret(config, {}, "0f")["metadata"];
  EXPECT_EQ(metadata["labels"]["team"], "shop");
  EXPECT_EQ(metadata["labels"]["app.kubernetes.io/managed-by"], "pooler-operator");
  EXPECT_EQ(metadata["annotations"]["example.com/note"], "x");
  EXPECT_EQ(metadata["annotations"]["pooler.dev/content-hash"], "0f");
}

TEST(Secrets, RetainedOneHasAMarkInsteadOfAnOwner) {
  api::PoolerConfig config = orders_config();
  const std::string mark(api::kOwnerUidAnnotation);
  EXPECT_FALSE(published_secret(config, {}, "0f")["metadata"]["annotations"].contains(mark));
  config.spec.connection_secret.deletion_policy = api::DeletionPolicy::kRetain;
  const Json metadata = published_secret(config, {}, "0f")["metadata"];
  EXPECT_FALSE(metadata.contains("ownerReferences"));
  EXPECT_EQ(metadata["annotations"][mark], "uid-1");
  EXPECT_TRUE(config_secret(config, {})["metadata"].contains("ownerReferences"));
}

std::map<std::string, std::string> stored(const Json& secret) {
  std::map<std::string, std::string> data;
  for (const auto& [key, value] : secret["data"].items()) {
    data[key] = base64_decode(value.get<std::string>()).value();
  }
  return data;
}

TEST(AdminSecret, IsReadBack) {
  const auto read = read_admin_secret(stored(admin_secret(orders_config(), some_admin())));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->password, some_admin().password);
  EXPECT_EQ(read->verifier, some_admin().verifier);
  EXPECT_EQ(read->hash_key, some_admin().hash_key);
}

TEST(AdminSecret, IsOfNoUseOnceEdited) {
  const auto good = stored(admin_secret(orders_config(), some_admin()));
  for (const auto& [key, value] : good) {
    auto data = good;
    data.erase(key);
    EXPECT_FALSE(read_admin_secret(data)) << key;
    data[key] = "";
    EXPECT_FALSE(read_admin_secret(data)) << key;
    data[key] = value + "x";
    EXPECT_FALSE(read_admin_secret(data)) << key;
  }
  EXPECT_FALSE(read_admin_secret({}));
}

TEST(AdminSecret, IsMadeOfEveryRandomByte) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < kAdminRandomBytes; ++i) {
    std::string random(kAdminRandomBytes, 'r');
    random[i] = 's';
    const Admin made = make_admin(random);
    EXPECT_TRUE(seen.insert(made.password + made.verifier + made.hash_key).second) << i;
  }
  EXPECT_EQ(some_admin().password.size(), 64U);
  EXPECT_EQ(some_admin().verifier,
            scram_verifier(some_admin().password, std::string(16, 'r'), 4096));
}

TEST(ContentHash, TellsDataApartAndNeedsTheKey) {
  const std::map<std::string, std::string> data = {{"a", "bc"}, {"d", "e"}};
  EXPECT_EQ(content_hash(some_admin(), data), content_hash(some_admin(), data));
  EXPECT_EQ(content_hash(some_admin(), data).size(), 16U);
  EXPECT_NE(content_hash(some_admin(), data),
            content_hash(some_admin(), {{"ab", "c"}, {"d", "e"}}));
  EXPECT_NE(content_hash(some_admin(), data),
            content_hash(some_admin(), {{"a", "bcd"}, {"", "e"}}));
  EXPECT_NE(content_hash(some_admin(), data),
            content_hash(make_admin(std::string(kAdminRandomBytes, 's')), data));
}

}  // namespace
}  // namespace pooler::engine::pgbouncer
