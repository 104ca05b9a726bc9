#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/pooler_config.h"
#include "base/json.h"

namespace pooler::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

PoolerConfig decoded(const std::string& json) {
  auto config = decode(json);
  EXPECT_TRUE(config.ok()) << (config.ok() ? "" : config.error());
  return config.ok() ? config.value() : PoolerConfig();
}

TEST(Decode, ReadsEveryField) {
  const PoolerConfig config = decoded(R"({
    "apiVersion": "pooler.dev/v1alpha1", "kind": "PoolerConfig",
    "metadata": {"name": "orders", "namespace": "shop", "uid": "u-1", "resourceVersion": "42",
                 "generation": 7, "deletionTimestamp": "2026-01-01T00:00:00Z",
                 "annotations": {"other": "x", "pooler.dev/reconcile": "disabled"},
                 "managedFields": [{"fieldsV1": {"f:spec": {"f:database": {}}}}]},
    "spec": {
      "database": {"secretRef": {"name": "orders-db", "keys": {"uri": "a", "host": "b", "port": "c",
                                 "dbname": "d", "user": "e", "password": "f"}},
                   "host": "db.example.com", "port": 5433, "name": "orders", "user": "app",
                   "tls": {"mode": "VerifyCA", "caSecretRef": {"name": "db-ca", "key": "root.pem"},
                           "clientCertSecretRef": {"name": "db-client"}}},
      "engine": "PgBouncer", "poolMode": "session",
      "scaling": {"mode": "Manual", "maxReplicas": 20, "clientsPerReplica": 500},
      "replicas": 3,
      "budget": {"serverConnections": 80, "directReservePercent": 30},
      "connectionSecret": {"name": "shared", "publishPolicy": "Immediate",
                           "deletionPolicy": "Retain", "preset": "Neon",
                           "keys": [{"name": "JDBC_URL", "url": "Direct", "format": "JDBC"},
                                    {"name": "POOLED"}],
                           "parameters": {"pooled": {"application_name": "shop"},
                                          "direct": {"sslmode": ""}},
                           "labels": {"team": "shop"}, "annotations": {"a.b/c": "d e"}},
      "pgbouncer": {"image": "pgbouncer:test", "paused": true,
                    "auth": {"mode": "Query", "query": "SELECT $1, 'x'",
                             "userSecretRef": {"name": "lookup",
                                               "keys": {"user": "u", "password": "p"}}},
                    "parameters": {"log_stats": "0", "a": ""}},
      "clientTLS": {"mode": "Optional", "secretRef": {"name": "orders-tls"}},
      "service": {"type": "LoadBalancer", "port": 5432, "annotations": {"a/b": ""},
                  "externalHost": "pooler.example.com"},
      "networkPolicy": {"enabled": true, "from": [{"namespaceSelector": {}, "x": 1}]},
      "podDisruptionBudget": {"enabled": false},
      "drain": {"endpointPropagationSeconds": 7, "maxTransactionSeconds": 90}}})");
  EXPECT_EQ(config.name, "orders");
  EXPECT_EQ(config.ns, "shop");
  EXPECT_EQ(config.uid, "u-1");
  EXPECT_EQ(config.resource_version, "42");
  EXPECT_EQ(config.generation, 7);
  EXPECT_TRUE(config.deleting);
  EXPECT_TRUE(config.reconcile_disabled);
  const Spec& spec = config.spec;
  EXPECT_EQ(spec.database.secret_name, "orders-db");
  EXPECT_EQ(spec.database.keys, (SecretKeys{"a", "b", "c", "d", "e", "f"}));
  EXPECT_EQ(spec.database.host, "db.example.com");
  EXPECT_EQ(spec.database.port, 5433);
  EXPECT_EQ(spec.database.name, "orders");
  EXPECT_EQ(spec.database.user, "app");
  EXPECT_EQ(spec.database.tls.mode, DatabaseTls::Mode::kVerifyCa);
  EXPECT_EQ(spec.database.tls.ca_secret, "db-ca");
  EXPECT_EQ(spec.database.tls.ca_key, "root.pem");
  EXPECT_EQ(spec.database.tls.client_secret, "db-client");
  EXPECT_EQ(spec.client_tls.mode, ClientTls::Mode::kOptional);
  EXPECT_EQ(spec.client_tls.secret, "orders-tls");
  EXPECT_EQ(spec.pool_mode, PoolMode::kSession);
  EXPECT_EQ(spec.scaling.max_replicas, 20);
  EXPECT_EQ(spec.scaling.clients_per_replica, 500);
  EXPECT_EQ(spec.replicas, 3);
  EXPECT_EQ(spec.budget.server_connections, 80);
  EXPECT_EQ(spec.budget.direct_reserve_percent, 30);
  const ConnectionSecret& secret = spec.connection_secret;
  EXPECT_EQ(secret.name, "shared");
  EXPECT_EQ(secret.publish_policy, PublishPolicy::kImmediate);
  EXPECT_EQ(secret.deletion_policy, DeletionPolicy::kRetain);
  EXPECT_EQ(secret.preset, Preset::kNeon);
  EXPECT_EQ(secret.keys,
            (std::vector<PublishedKey>{{"JDBC_URL", Way::kDirect, Format::kJdbc}, {"POOLED"}}));
  EXPECT_EQ(secret.pooled_parameters, (Texts{{"application_name", "shop"}}));
  EXPECT_EQ(secret.direct_parameters, (Texts{{"sslmode", ""}}));
  EXPECT_EQ(secret.labels, (Texts{{"team", "shop"}}));
  EXPECT_EQ(secret.annotations, (Texts{{"a.b/c", "d e"}}));
  EXPECT_EQ(spec.pgbouncer.image, "pgbouncer:test");
  EXPECT_EQ(spec.service.type, ServiceType::kLoadBalancer);
  EXPECT_EQ(spec.service.port, 5432);
  EXPECT_EQ(spec.service.annotations, (std::map<std::string, std::string>{{"a/b", ""}}));
  EXPECT_EQ(spec.service.external_host, "pooler.example.com");
  EXPECT_TRUE(spec.network_policy.enabled);
  EXPECT_EQ(spec.network_policy.from, R"([{"namespaceSelector":{}}])");
  EXPECT_FALSE(spec.pod_disruption_budget);
  EXPECT_TRUE(spec.pgbouncer.paused);
  EXPECT_EQ(spec.pgbouncer.auth,
            (PoolerAuth{PoolerAuth::Mode::kQuery, "lookup", "u", "p", "SELECT $1, 'x'"}));
  EXPECT_TRUE(has_many_users(spec));
  EXPECT_EQ(spec.pgbouncer.parameters, (Texts{{"log_stats", "0"}, {"a", ""}}));
  EXPECT_EQ(spec.drain.endpoint_propagation_seconds, 7);
  EXPECT_EQ(spec.drain.max_transaction_seconds, 90);
  EXPECT_THAT(config.unreadable, IsEmpty());
  EXPECT_THAT(validate(config), IsEmpty());
}

TEST(Decode, FillsInDefaults) {
  const PoolerConfig config = decoded(
      R"({"metadata": {"name": "orders"}, "spec": {"database": {"secretRef": {"name": "db"}}}})");
  EXPECT_EQ(config.spec.connection_secret.name, "orders-pooler");
  EXPECT_EQ(config.spec.database.keys.user, "username");
  EXPECT_EQ(config.spec.pool_mode, PoolMode::kTransaction);
  EXPECT_EQ(config.spec.replicas, std::nullopt);
  EXPECT_FALSE(config.deleting);
  EXPECT_FALSE(config.reconcile_disabled);
}

std::string pod_of(const std::string& pod) {
  const PoolerConfig config =
      decoded(R"({"metadata": {"name": "orders"}, "spec": {"pod": )" + pod + "}}");
  EXPECT_THAT(config.unreadable, IsEmpty());
  return config.spec.pod;
}

TEST(DecodePod, KeepsWhatIsThereAndNothingElse) {
  EXPECT_EQ(decoded(R"({"metadata": {"name": "orders"}})").spec.pod, "{}");
  EXPECT_EQ(pod_of("{}"), "{}");
  EXPECT_EQ(pod_of("null"), "{}");
  const std::string whole =
      R"({"tolerations":[{"key":"a","tolerationSeconds":0}],)"
      R"("metadata":{"labels":{"team":""}},"securityContext":{"supplementalGroups":[7]}})";
  EXPECT_EQ(pod_of(whole), whole) << "a label may be empty, and zero is a number";
  EXPECT_EQ(pod_of(R"({"containers": [{}], "hostNetwork": true, "securityContext":
                       {"runAsNonRoot": false}, "containerSecurityContext":
                       {"privileged": true, "capabilities": {"add": ["ALL"]}}})"),
            R"({"securityContext":{},"containerSecurityContext":{}})");
  EXPECT_EQ(pod_of(R"({"priorityClassName": "", "tolerations": [], "nodeSelector": {}})"), "{}")
      << "the API server drops them, too";
  const std::string everywhere =
      R"({"affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":)"
      R"([{"topologyKey":"zone","namespaceSelector":{}}]}}})";
  EXPECT_EQ(pod_of(everywhere), everywhere) << "an empty selector selects everything";
}

TEST(DecodePod, ReportsWhatDoesNotFitWithItsPath) {
  const PoolerConfig config = decoded(R"({"metadata": {"name": "orders"}, "spec": {"pod": {
      "tolerations": [{"key": "a"}, {"key": 1}], "securityContext": {"runAsUser": 0},
      "resources": {"limits": {"cpu": "much"}}}}})");
  std::vector<std::string> fields;
  for (const auto& problem : config.unreadable) fields.push_back(problem.field);
  EXPECT_THAT(fields,
              ElementsAre("spec.pod.tolerations[1].key", "spec.pod.securityContext.runAsUser",
                          "spec.pod.resources.limits.cpu"));
  EXPECT_THAT(config.unreadable[1].message, HasSubstr("from 1 to 2147483647"));
  EXPECT_THAT(config.unreadable[2].message, HasSubstr("quantity"));
}

// As `kubectl get -o yaml` shows them after they were applied.
TEST(DecodePod, WritesQuantitiesAsTheApiServerDoes) {
  const std::pair<const char*, const char*> cases[] = {{"2", "2"},
                                                       {"\"2\"", "2"},
                                                       {"1000", "1k"},
                                                       {"\"1000m\"", "1"},
                                                       {"\"0.5\"", "500m"},
                                                       {"\"1.5\"", "1500m"},
                                                       {"\"0.5m\"", "500u"},
                                                       {"\"0\"", "0"},
                                                       {"\"0.0\"", "0"},
                                                       {"\"256Mi\"", "256Mi"},
                                                       {"\"1024Mi\"", "1Gi"},
                                                       {"\"1.5Gi\"", "1536Mi"},
                                                       {"\"0.5Ki\"", "512"},
                                                       {"\"2048\"", "2048"},
                                                       {"\"1000000k\"", "1G"},
                                                       {"\"1024Ei\"", "1024Ei"}};
  for (const auto& [given, stored] : cases) {
    EXPECT_EQ(pod_of(std::string(R"({"resources":{"limits":{"memory":)") + given + "}}}"),
              std::string(R"({"resources":{"limits":{"memory":")") + stored + "\"}}}")
        << given;
  }
  for (const char* bad : {"\"\"", "\"-1\"", "-1", "\"1 Gi\"", "\"0.1Gi\"", "\"1e3\"", "\"1.2.3\"",
                          "\".5\"", "\"1Zi\"", "\"1.0001\"", "\"1u\"", "1.5", "true"}) {
    const PoolerConfig config = decoded(
        std::string(R"({"metadata": {"name": "o"}, "spec": {"pod": {"resources": {"limits": )") +
        R"({"memory": )" + bad + "}}}}}");
    EXPECT_EQ(config.unreadable.size(), 1U) << bad;
  }
}

TEST(Decode, ReadsAProjectOfSupabase) {
  const PoolerConfig config = decoded(R"({"metadata": {"name": "orders"}, "spec": {
      "database": {"secretRef": {"name": "orders-db"}}, "engine": "Supabase",
      "supabase": {"projectRef": "abcdefghijklmnopqrst", "direct": "SessionPooler",
                   "poolerHost": "aws-1-eu-central-1.pooler.supabase.com",
                   "managementTokenSecretRef": {"name": "supabase", "key": "pat"}}}})");
  EXPECT_THAT(config.unreadable, IsEmpty());
  EXPECT_EQ(config.spec.engine, Engine::kSupabase);
  ASSERT_TRUE(config.spec.supabase);
  const Supabase& supabase = *config.spec.supabase;
  EXPECT_EQ(supabase.project_ref, "abcdefghijklmnopqrst");
  EXPECT_EQ(supabase.pooler_host, "aws-1-eu-central-1.pooler.supabase.com");
  EXPECT_EQ(supabase.direct, SupabaseDirect::kSessionPooler);
  EXPECT_EQ(supabase.token_secret_name, "supabase");
  EXPECT_EQ(supabase.token_secret_key, "pat");
  EXPECT_THAT(validate(config), IsEmpty());
}

TEST(Decode, ThePublishPolicyThatIsNotGivenIsTheEngines) {
  Spec spec;
  EXPECT_FALSE(publishes_at_once(spec));
  spec.connection_secret.publish_policy = PublishPolicy::kImmediate;
  EXPECT_TRUE(publishes_at_once(spec));
  spec.engine = Engine::kSupabase;
  spec.connection_secret.publish_policy = std::nullopt;
  EXPECT_TRUE(publishes_at_once(spec));
  spec.connection_secret.publish_policy = PublishPolicy::kVerified;
  EXPECT_FALSE(publishes_at_once(spec));
}

TEST(Decode, NullIsAbsent) {
  const PoolerConfig config = decoded(
      R"({"metadata": {"name": "orders", "annotations": null, "deletionTimestamp": null},
          "spec": {"database": null, "engine": null, "replicas": null, "scaling": {"maxReplicas": null},
                   "connectionSecret": {"name": null, "publishPolicy": null}, "supabase": null},
          "status": {"conditions": null, "effective": {"budget": null}}})");
  EXPECT_THAT(config.unreadable, IsEmpty());
  EXPECT_EQ(config.spec.scaling.max_replicas, 10);
  EXPECT_EQ(config.spec.replicas, std::nullopt);
  EXPECT_EQ(config.spec.connection_secret.publish_policy, std::nullopt);
  EXPECT_FALSE(config.spec.supabase);
  EXPECT_EQ(config.status, Status());
}

TEST(Decode, ReportsWhatDoesNotFitInSpecAndReadsTheRest) {
  const PoolerConfig config = decoded(
      R"({"spec": {"engine": "Teleporter", "replicas": "3", "budget": [1],
                   "scaling": {"maxReplicas": 99999999999, "clientsPerReplica": 7},
                   "drain": {"maxTransactionSeconds": 1.5}, "pgbouncer": {"image": 4}},
          "metadata": {"name": "orders"}})");
  std::vector<std::string> fields;
  for (const auto& problem : config.unreadable) {
    fields.push_back(problem.field);
    EXPECT_EQ(problem.reason, reason::kInvalidParameter);
  }
  EXPECT_THAT(fields,
              ElementsAre("spec.engine", "spec.replicas", "spec.budget", "spec.scaling.maxReplicas",
                          "spec.drain.maxTransactionSeconds", "spec.pgbouncer.image"));
  EXPECT_THAT(config.unreadable.front().message, HasSubstr("PgBouncer"));
  EXPECT_EQ(config.spec.scaling.clients_per_replica, 7);
  EXPECT_EQ(validate(config).front(), config.unreadable.front());
}

TEST(Decode, RefusesWhatIsNoObject) {
  for (const char* text :
       {"", "null", "3", "[]", "\"x\"", "{", "{\"metadata\":{\"name\":\"a\"", "{\"metadata\":{}}",
        "{\"metadata\":3}", "{\"metadata\":{\"name\":3}}", "{\"metadata\":{\"name\":\"\"}}",
        "{\"metadata\":{\"name\":\"a\\ud800\"}}", "{\"metadata\":{\"name\":\"\xff\"}}"}) {
    EXPECT_FALSE(decode(text).ok()) << text;
  }
}

Status full_status() {
  Status status;
  status.observed_generation = 3;
  status.engine = "PgBouncer";
  status.version = "1.26.1";
  status.replicas = 3;
  status.ready_replicas = 2;
  status.desired_replicas = 4;
  status.selector = "pooler.dev/poolerconfig=orders";
  status.binding_name = "orders-pooler";
  status.endpoint_pooled = "orders-pooler.shop.svc:6432";
  status.endpoint_direct = "db.example.com:5432";
  status.effective = {"pgbouncer:test", 80, "Server", 10};
  status.pods = {3, 1, 2, 4};
  status.conditions = {{"Ready", ConditionStatus::kFalse, "Progressing", "1/3 \"ready\"\n", 3,
                        "2026-01-31T23:59:59Z"},
                       {"Stalled", ConditionStatus::kTrue, "X", "", 2, "2026-01-31T23:59:58Z"},
                       {"ScalingActive", ConditionStatus::kUnknown, "Unknown", "", 0, ""}};
  return status;
}

Status through_json(const Status& status) {
  const Json object = {{"metadata", {{"name", "orders"}}}, {"status", encode(status)}};
  return decoded(to_bytes(object)).status;
}

TEST(Status, SurvivesEncodingAndDecoding) {
  EXPECT_EQ(through_json(full_status()), full_status());
  EXPECT_EQ(through_json(Status()), Status());
}

TEST(Status, LeavesOutWhatIsNotKnown) {
  const Json json = encode(Status());
  for (const char* key : {"engine", "version", "selector", "binding", "endpoints", "effective"}) {
    EXPECT_FALSE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["replicas"], 0);
}

TEST(Status, IsReadAsFarAsItFits) {
  const Status status = decoded(R"({"metadata": {"name": "orders"}, "status": {"replicas": "many",
      "readyReplicas": 2, "conditions": [{"type": "Ready", "status": "Perhaps", "reason": "R"}, 7]}})")
                            .status;
  EXPECT_EQ(status.replicas, 0);
  EXPECT_EQ(status.ready_replicas, 2);
  ASSERT_NE(status.find("Ready"), nullptr);
  EXPECT_EQ(status.find("Ready")->status, ConditionStatus::kUnknown);
  EXPECT_EQ(status.find("Ready")->reason, "R");
  EXPECT_EQ(status.find("Other"), nullptr);
}

}  // namespace
}  // namespace pooler::api
