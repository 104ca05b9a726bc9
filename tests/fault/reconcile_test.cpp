// Every fault at every write of the operator: the end is the same, nothing is made or deleted more
// often than without the fault, and then there is quiet.
#include <gtest/gtest.h>

#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "fault/certificates.h"
#include "fault/operator_world.h"
#include "reconcile/observe.h"

namespace pooler::fault {
namespace {

using Fault = WorldTransport::Fault;
using Story = std::function<void(OperatorWorld&)>;

void nothing(OperatorWorld&) {}

void create(OperatorWorld& world) {
  world.user_applies(2, 3);
  ASSERT_TRUE(world.settle());
}

void create_one_replica(OperatorWorld& world) {
  world.user_applies(1, 3);
  ASSERT_TRUE(world.settle());
}

// What no running process can take.
void another_template(Object& spec) { spec["drain"]["maxTransactionSeconds"] = 61; }

void rolled_out(OperatorWorld& world) {
  world.user_edits(another_template);
  ASSERT_TRUE(world.settle());
}

void reloaded(OperatorWorld& world) {
  world.user_edits([](Object& spec) { spec["poolMode"] = "session"; });
  ASSERT_TRUE(world.settle());
}

// Refused by the canary, then taken back.
void reload_refused(OperatorWorld& world) {
  world.world().refused_text = "pool_mode = statement";
  world.user_edits([](Object& spec) { spec["poolMode"] = "statement"; });
  ASSERT_TRUE(world.settle());
  ASSERT_NE(world.end_state().find("ConfigurationLoaded False ReloadFailed"), std::string::npos)
      << world.end_state();
  ASSERT_EQ(world.resync(), 0);
  world.user_edits([](Object& spec) { spec["poolMode"] = "transaction"; });
  ASSERT_TRUE(world.settle());
}

void scaled(OperatorWorld& world) {
  world.user_edits([](Object& spec) { spec["replicas"] = 1; });
  ASSERT_TRUE(world.settle());
  world.user_edits([](Object& spec) { spec["replicas"] = 3; });
  ASSERT_TRUE(world.settle());
}

// Its Secret outlives it, and is the next one's.
void retained(OperatorWorld& world) {
  world.user_edits([](Object& spec) { spec["connectionSecret"]["deletionPolicy"] = "Retain"; });
  ASSERT_TRUE(world.settle());
  world.user_deletes();
  ASSERT_TRUE(world.settle());
  create(world);
}

void pods_changed(OperatorWorld& world) {
  world.user_edits([](Object& spec) {
    spec["pod"] = {{"nodeSelector", {{"disk", "ssd"}}},
                   {"metadata", {{"labels", {{"team", "shop"}}}}},
                   {"resources", {{"limits", {{"memory", "1024Mi"}}}}}};
  });
  ASSERT_TRUE(world.settle());
  world.user_edits([](Object& spec) { spec.erase("pod"); });
  ASSERT_TRUE(world.settle());
}

// By the admission of pods; then corrected.
void pods_refused(OperatorWorld& world) {
  world.user_edits([](Object& spec) { spec["pod"]["priorityClassName"] = "absent"; });
  ASSERT_TRUE(world.settle());
  ASSERT_NE(world.end_state().find("Stalled True InvalidPodTemplate"), std::string::npos)
      << world.end_state();
  world.user_edits(
      [](Object& spec) { spec["pod"]["priorityClassName"] = "system-cluster-critical"; });
  ASSERT_TRUE(world.settle());
}

void service_changed(OperatorWorld& world) {
  world.user_edits([](Object& spec) {
    spec["service"] = {{"type", "LoadBalancer"},
                       {"port", 5432},
                       {"annotations", {{"example.com/lb", "internal"}}},
                       {"externalHost", "pooler.example.com"}};
  });
  ASSERT_TRUE(world.settle());
  world.user_edits([](Object& spec) { spec.erase("service"); });
  ASSERT_TRUE(world.settle());
}

void network_policy_made_and_gone(OperatorWorld& world) {
  world.user_edits([](Object& spec) { spec["networkPolicy"] = {{"enabled", true}}; });
  ASSERT_TRUE(world.settle());
  world.user_edits([](Object& spec) {
    spec["networkPolicy"]["from"] = {{{"ipBlock", {{"cidr", "10.0.0.0/8"}}}}};
  });
  ASSERT_TRUE(world.settle());
  world.user_edits([](Object& spec) { spec["networkPolicy"]["enabled"] = false; });
  ASSERT_TRUE(world.settle());
}

void disruption_budget_flipped(OperatorWorld& world) {
  for (const bool wanted : {false, true}) {
    world.user_edits([wanted](Object& spec) { spec["podDisruptionBudget"]["enabled"] = wanted; });
    ASSERT_TRUE(world.settle());
  }
}

// With a change of the configuration meanwhile.
void paused_and_resumed(OperatorWorld& world) {
  world.user_edits([](Object& spec) { spec["pgbouncer"]["paused"] = true; });
  ASSERT_TRUE(world.settle());
  ASSERT_NE(world.end_state().find("PoolerAvailable False Paused"), std::string::npos)
      << world.end_state();
  world.user_edits([](Object& spec) { spec["poolMode"] = "session"; });
  ASSERT_TRUE(world.settle());
  world.user_edits([](Object& spec) { spec["pgbouncer"]["paused"] = false; });
  ASSERT_TRUE(world.settle());
}

// The API fails meanwhile, and the password is another one.
void hosted_project(OperatorWorld& world) {
  world.user_applies_project();
  ASSERT_TRUE(world.settle());
  world.user_edits([](Object& spec) { spec["poolMode"] = "session"; });
  ASSERT_TRUE(world.settle());
  world.management().mood = FakeManagementApi::Mood::kServerError;
  world.user_edits([](Object& spec) { spec["supabase"]["direct"] = "SessionPooler"; });
  ASSERT_TRUE(world.settle());
  ASSERT_NE(world.end_state().find("ConfigurationLoaded Unknown ManagementAPIUnavailable"),
            std::string::npos)
      << world.end_state();
  world.user_sets("orders-db", "password", "another");
  ASSERT_TRUE(world.settle());
  world.management().mood = FakeManagementApi::Mood::kWell;
  world.user_edits([](Object& spec) { spec["connectionSecret"]["labels"]["team"] = "shop"; });
  ASSERT_TRUE(world.settle());
}

// ---- TLS

const Authority& authority() {
  static const Authority one;
  return one;
}

// The same ones for every world; they last longer than any run.
const KeyPair& certificate(std::size_t which) {
  constexpr long kTenYears = 3650L * 86400;
  static const std::vector<KeyPair> pairs = {authority().issue("", kTenYears),
                                             authority().issue("", kTenYears)};
  return pairs.at(which);
}

Object tls_data(std::size_t which) {
  return {{"tls.crt", base64_encode(certificate(which).certificate)},
          {"tls.key", base64_encode(certificate(which).key)},
          {"ca.crt", base64_encode(authority().pem())}};
}

void make_secret(OperatorWorld& world, const char* name, const Object& data) {
  world.server().create(kube::Secret::kType,
                        {{"metadata", {{"name", name}, {"namespace", "shop"}}}, {"data", data}});
}

void change_secret(OperatorWorld& world, const char* name, const Object& data) {
  world.server().edit(kube::Secret::kType, {"shop", name},
                      [&data](Object& object) { object["data"] = data; });
}

void want_client_tls(OperatorWorld& world) {
  world.user_edits([](Object& spec) { spec["clientTLS"]["secretRef"]["name"] = "orders-tls"; });
}

void create_with_client_tls(OperatorWorld& world) {
  make_secret(world, "orders-tls", tls_data(0));
  create(world);
  want_client_tls(world);
  ASSERT_TRUE(world.settle());
}

// Wanted before its Secret is there.
void client_tls_made_renewed_and_gone(OperatorWorld& world) {
  want_client_tls(world);
  ASSERT_TRUE(world.settle());
  ASSERT_NE(world.end_state().find("ConfigurationValid False SecretNotFound"), std::string::npos)
      << world.end_state();
  make_secret(world, "orders-tls", tls_data(0));
  ASSERT_TRUE(world.settle());
  change_secret(world, "orders-tls", tls_data(1));
  ASSERT_TRUE(world.settle());
  world.user_edits([](Object& spec) { spec.erase("clientTLS"); });
  ASSERT_TRUE(world.settle());
}

// First one that is seen to be wrong, then one that looks good and that PgBouncer does not load.
void certificate_broken_refused_and_mended(OperatorWorld& world) {
  Object broken = tls_data(1);
  broken["tls.key"] = tls_data(0)["tls.key"];
  change_secret(world, "orders-tls", broken);
  ASSERT_TRUE(world.settle());
  ASSERT_NE(world.end_state().find("ConfigurationValid False SecretInvalid"), std::string::npos)
      << world.end_state();
  ASSERT_NE(world.end_state().find("PoolerAvailable True"), std::string::npos);
  world.world().refused_text = certificate(1).certificate;
  change_secret(world, "orders-tls", tls_data(1));
  ASSERT_TRUE(world.settle());
  ASSERT_NE(world.end_state().find("ConfigurationLoaded False ReloadFailed"), std::string::npos)
      << world.end_state();
  ASSERT_EQ(world.resync(), 0);
  change_secret(world, "orders-tls", tls_data(0));
  ASSERT_TRUE(world.settle());
}

void authority_of_the_database_changed(OperatorWorld& world) {
  make_secret(world, "db-ca", {{"ca.crt", base64_encode(authority().pem())}});
  make_secret(world, "db-client", tls_data(0));
  world.user_edits([](Object& spec) {
    spec["database"]["tls"] = {{"caSecretRef", {{"name", "db-ca"}}},
                               {"clientCertSecretRef", {{"name", "db-client"}}}};
  });
  ASSERT_TRUE(world.settle());
  change_secret(world, "db-ca", {{"ca.crt", base64_encode(authority().pem() + authority().pem())}});
  change_secret(world, "db-client", tls_data(1));
  ASSERT_TRUE(world.settle());
}

void create_project(OperatorWorld& world) {
  world.user_applies_project();
  ASSERT_TRUE(world.settle());
}

// Wanted before its Secret is there; published with both ways.
void authority_of_the_project_changed(OperatorWorld& world) {
  world.user_edits(
      [](Object& spec) { spec["database"]["tls"]["caSecretRef"]["name"] = "supabase-ca"; });
  ASSERT_TRUE(world.settle());
  ASSERT_NE(world.end_state().find("ConfigurationValid False SecretNotFound"), std::string::npos)
      << world.end_state();
  make_secret(world, "supabase-ca", {{"ca.crt", base64_encode(authority().pem())}});
  ASSERT_TRUE(world.settle());
  change_secret(world, "supabase-ca",
                {{"ca.crt", base64_encode(authority().pem() + authority().pem())}});
  ASSERT_TRUE(world.settle());
}

// ---- many users

Object login_of(const char* password) {
  return {{"username", base64_encode("lookup")}, {"password", base64_encode(password)}};
}

bool is_said(const OperatorWorld& world, const char* condition) {
  return world.end_state().find(condition) != std::string::npos;
}

void user_wants_many_users(OperatorWorld& world) {
  world.user_edits([](Object& spec) {
    spec["pgbouncer"]["auth"] = {{"mode", "Query"}, {"userSecretRef", {{"name", "lookup"}}}};
  });
}

// Wanted before the Secret of the role is there; the query works only after a while.
void many_users(OperatorWorld& world) {
  user_wants_many_users(world);
  ASSERT_TRUE(world.settle());
  ASSERT_TRUE(is_said(world, "ConfigurationValid False SecretNotFound")) << world.end_state();
  world.world().lookups_work = false;
  make_secret(world, "lookup", login_of("l00k"));
  ASSERT_TRUE(world.settle());
  ASSERT_TRUE(is_said(world, "ConfigurationValid False AuthQueryFailed")) << world.end_state();
  ASSERT_TRUE(is_said(world, "PoolerAvailable True")) << world.end_state();
  world.world().lookups_work = true;
  ASSERT_TRUE(world.settle());
  ASSERT_TRUE(is_said(world, "Ready True")) << world.end_state();
}

void create_with_many_users(OperatorWorld& world) {
  create(world);
  make_secret(world, "lookup", login_of("l00k"));
  user_wants_many_users(world);
  ASSERT_TRUE(world.settle());
  ASSERT_TRUE(is_said(world, "Ready True")) << world.end_state();
}

// The role's Secret has another password, goes, and comes back; then there is one user again.
void secret_of_the_role_changed_and_gone(OperatorWorld& world) {
  change_secret(world, "lookup", login_of("another"));
  ASSERT_TRUE(world.settle());
  world.server().erase(kube::Secret::kType, {"shop", "lookup"});
  ASSERT_TRUE(world.settle());
  ASSERT_TRUE(is_said(world, "ConfigurationValid False SecretNotFound")) << world.end_state();
  ASSERT_TRUE(is_said(world, "PoolerAvailable True")) << world.end_state();
  make_secret(world, "lookup", login_of("a third"));
  ASSERT_TRUE(world.settle());
  ASSERT_TRUE(is_said(world, "Ready True")) << world.end_state();
  world.user_edits([](Object& spec) { spec["pgbouncer"].erase("auth"); });
  ASSERT_TRUE(world.settle());
}

// `before` goes well; the faults are at each write of `story`.
struct Case {
  const char* name;
  Story before;
  Story story;
};
struct Named {
  const char* name;
  Fault fault;
};
// NOLINTBEGIN(readability-identifier-naming): GoogleTest looks for this very name
void PrintTo(const Case& each, std::ostream* out) { *out << each.name; }
void PrintTo(const Named& each, std::ostream* out) { *out << each.name; }
// NOLINTEND(readability-identifier-naming)

// AddressSanitizer looks at each write's code, not at the story's end, and takes ten times as long:
// there the faults share the writes, so that each write has one. Without it each has them all.
#ifdef __has_feature
constexpr bool kShared = __has_feature(address_sanitizer);
#else
constexpr bool kShared = false;
#endif

class EveryFault : public testing::TestWithParam<std::tuple<Case, Named>> {
 protected:
  void SetUp() override { configure_log(LogLevel::kError, LogFormat::kText); }
  static bool has(int write, Fault fault) {
    constexpr int kFaults = 5;
    return !kShared || write % kFaults == static_cast<int>(fault) % kFaults;
  }
};

TEST_P(EveryFault, EndsAsWithoutIt) {
  const auto& [each, fault] = GetParam();
  OperatorWorld reference;
  each.before(reference);
  const int before = reference.transport().writes();
  each.story(reference);
  ASSERT_NE(reference.end_state().find("Ready True"), std::string::npos) << reference.end_state();
  const int writes = reference.transport().writes();
  ASSERT_EQ(reference.resync(), 0);
  ASSERT_GT(writes, 8);
  ASSERT_GT(writes - before, 2);

  for (int at = before + 1; at <= writes; ++at) {
    if (!has(at, fault.fault)) continue;
    OperatorWorld world;
    each.before(world);
    world.transport().arm(fault.fault, at);
    each.story(world);
    ASSERT_FALSE(HasFatalFailure()) << "at write " << at;
    ASSERT_EQ(world.end_state(), reference.end_state()) << "at write " << at;
    ASSERT_EQ(world.creates_and_deletes(), reference.creates_and_deletes()) << "at write " << at;
    ASSERT_EQ(world.resync(), 0) << "at write " << at;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Reconcile, EveryFault,
    testing::Combine(
        testing::Values(
            Case{"Create", nothing, create}, Case{"CreateOne", nothing, create_one_replica},
            Case{"RollOut", create, rolled_out},
            Case{"RollOutOfOne", create_one_replica, rolled_out}, Case{"Scale", create, scaled},
            Case{"Reload", create, reloaded}, Case{"ReloadRefused", create, reload_refused},
            Case{"Retained", create, retained}, Case{"Pods", create, pods_changed},
            Case{"PodsRefused", create, pods_refused}, Case{"Service", create, service_changed},
            Case{"NetworkPolicy", create, network_policy_made_and_gone},
            Case{"DisruptionBudget", create, disruption_budget_flipped},
            Case{"Paused", create, paused_and_resumed},
            Case{"ClientTls", create, client_tls_made_renewed_and_gone},
            Case{"Certificate", create_with_client_tls, certificate_broken_refused_and_mended},
            Case{"DatabaseTls", create, authority_of_the_database_changed},
            Case{"ManyUsers", create, many_users},
            Case{"SecretOfTheRole", create_with_many_users, secret_of_the_role_changed_and_gone},
            Case{"Supabase", nothing, hosted_project},
            Case{"SupabaseTls", create_project, authority_of_the_project_changed}),
        testing::Values(Named{"Crash", Fault::kCrash}, Named{"ResponseLost", Fault::kResponseLost},
                        Named{"NotApplied", Fault::kNotApplied},
                        Named{"Conflict", Fault::kConflict},
                        Named{"ServerError", Fault::kServerError})),
    [](const auto& test) {
      return std::string(std::get<0>(test.param).name) + std::get<1>(test.param).name;
    });

TEST(OperatorRestart, WritesNothing) {
  OperatorWorld world;
  create(world);
  world.restart_operator();
  EXPECT_EQ(world.resync(), 0);
}

TEST(OperatorRestart, WritesOnlyStatusWithTheDatabaseDown) {
  OperatorWorld world;
  create(world);
  const auto before = world.creates_and_deletes();
  const auto set = world.server().find(kube::StatefulSet::kType, {"shop", "orders-pooler"});
  world.world().database_up = false;
  world.restart_operator();
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.creates_and_deletes(), before);
  EXPECT_EQ(world.server().find(kube::StatefulSet::kType, {"shop", "orders-pooler"}), set);
}

TEST(Foreign, AStatefulSetOfOurNameIsNeverTouched) {
  OperatorWorld world;
  const Object theirs = world.server().create(
      kube::StatefulSet::kType, {{"metadata", {{"name", "orders-pooler"}, {"namespace", "shop"}}},
                                 {"spec", {{"replicas", 0}}}});
  world.user_applies(2, 3);
  ASSERT_TRUE(world.settle());
  EXPECT_NE(world.end_state().find("Stalled True NotOwned"), std::string::npos)
      << world.end_state();
  EXPECT_EQ(world.server().find(kube::StatefulSet::kType, {"shop", "orders-pooler"}), theirs);

  world.server().erase(kube::StatefulSet::kType, {"shop", "orders-pooler"});
  ASSERT_TRUE(world.settle());
  EXPECT_NE(world.end_state().find("Ready True"), std::string::npos) << world.end_state();
}

std::string message_of(OperatorWorld& world, const char* type) {
  const auto orders = world.server().find(reconcile::PoolerConfigObject::kType, {"shop", "orders"});
  for (const Object& condition : (*orders)["status"]["conditions"]) {
    if (condition["type"] == type) return condition["message"];
  }
  return "";
}

TEST(ClientTls, IsInTheUrlsAndItsKeyWhereThePodsReadIt) {
  OperatorWorld world;
  create_with_client_tls(world);
  const auto published = world.server().find(kube::Secret::kType, {"shop", "orders-pooler"});
  EXPECT_EQ((*published)["data"]["ca.crt"], tls_data(0)["ca.crt"]);
  const auto url = base64_decode((*published)["data"]["DATABASE_POOLED_URL"].get<std::string>());
  EXPECT_NE(url->find("sslmode=require"), std::string::npos);
  const auto files = world.server().find(kube::Secret::kType, {"shop", "orders-pooler-config"});
  int keys = 0;
  for (const auto& [name, bytes] : (*files)["data"].items()) {
    keys += name.starts_with("tls-") && bytes == tls_data(0)["tls.key"] ? 1 : 0;
  }
  EXPECT_EQ(keys, 1) << "of the one revision that is left";
  for (const Object& secret : world.server().all(kube::Secret::kType)) {
    const std::string name = secret["metadata"]["name"];
    const bool may = name == "orders-pooler-config" || name == "orders-tls";
    EXPECT_EQ(
        secret["data"].dump().find(tls_data(0)["tls.key"].get<std::string>()) != std::string::npos,
        may)
        << name;
  }
}

TEST(ClientTls, ASecretThatCanNotBeReadLeavesThePoolerAlone) {
  OperatorWorld world;
  create_with_client_tls(world);
  const std::string before = world.end_state();
  world.restart_operator();
  world.transport().forbid("/secrets/orders-tls");
  EXPECT_EQ(world.resync(), 0);
  EXPECT_EQ(world.end_state(), before);
}

// How often a Secret is read.
class CountingReads final : public kube::HttpTransport {
 public:
  explicit CountingReads(kube::HttpTransport& inner) : inner_(inner) {}
  int count = 0;
  Result<kube::Response, kube::TransportError> send(const kube::Request& request,
                                                    std::stop_token stop) override {
    count += request.path.ends_with("/secrets/orders-db") ? 1 : 0;
    return inner_.send(request, stop);
  }
  Result<kube::StreamEnd, kube::TransportError> stream(const kube::Request& request,
                                                       kube::LineSink& sink,
                                                       std::stop_token stop) override {
    return inner_.stream(request, sink, stop);
  }

 private:
  kube::HttpTransport& inner_;
};

TEST(ReferencedSecrets, AreKeptAsLongAsAPoolerConfigNamesThem) {
  ManualClock clock;
  FakeApiServer server(clock);
  const Object secret = server.create(
      kube::Secret::kType, {{"metadata", {{"name", "orders-db"}, {"namespace", "shop"}}},
                            {"data", {{"uri", base64_encode("postgresql://app:pw@db/orders")}}}});
  CountingReads transport(server);
  kube::Client client(transport,
                      kube::ClientOptions{.field_manager = "pooler-operator",
                                          .sleep = [](Duration, std::stop_token) { return true; }});
  reconcile::Caches caches;
  (void)caches.secret_names.replace("", {kube::PartialObject::decode(secret.dump()).value()}, "1");
  reconcile::Observer observer(caches, client);
  const auto names = [&](const std::string& name) {
    const Object config = {
        {"metadata", {{"name", "orders"}, {"namespace", "shop"}, {"generation", 1}}},
        {"spec", {{"database", {{"secretRef", {{"name", name}}}}}}}};
    (void)caches.configs.replace("", {reconcile::PoolerConfigObject::decode(config.dump()).value()},
                                 "1");
    ASSERT_TRUE(observer.observe(*caches.configs.get({"shop", "orders"})).ok());
  };
  names("orders-db");
  names("orders-db");
  EXPECT_EQ(transport.count, 1);
  observer.forget({"shop", "orders"});
  names("orders-db");
  EXPECT_EQ(transport.count, 2) << "the PoolerConfig was gone";
  names("another");
  names("orders-db");
  EXPECT_EQ(transport.count, 3) << "its spec named another";
}

TEST(Neighbour, ThatCanNotBeReadAndHasNoPodsHoldsNothing) {
  OperatorWorld world;
  world.transport().forbid("/secrets/billing-db");
  world.user_applies(2, 3, "billing");
  create(world);
  EXPECT_NE(world.end_state().find("Ready True"), std::string::npos)
      << message_of(world, "PoolerAvailable");
}

TEST(Neighbour, ThatCanNotBeReadAndHasPodsIsNotGuessed) {
  OperatorWorld world;
  world.user_applies(2, 3, "billing");
  ASSERT_TRUE(world.settle());
  world.restart_operator();
  world.transport().forbid("/secrets/billing-db");
  create(world);
  EXPECT_FALSE(world.server().find(kube::StatefulSet::kType, {"shop", "orders-pooler"}));
  EXPECT_EQ(message_of(world, "PoolerAvailable"),
            "waits for its budget: PoolerConfig shop/billing may share this server; it has pods, "
            "and can't be reconciled (Forbidden)");

  world.transport().forbid("");
  ASSERT_TRUE(world.settle());
  EXPECT_NE(world.end_state().find("Ready True"), std::string::npos)
      << message_of(world, "PoolerAvailable");
}

TEST(Neighbour, ThatCanNotBeReadHoldsBackANewConfigurationAndIsNamed) {
  OperatorWorld world;
  world.user_applies(2, 3, "billing");
  create(world);
  world.restart_operator();
  world.transport().forbid("/secrets/billing-db");
  ASSERT_TRUE(world.settle());
  EXPECT_NE(world.end_state().find("Ready True"), std::string::npos) << world.end_state();

  world.user_edits([](Object& spec) { spec["poolMode"] = "session"; });
  ASSERT_TRUE(world.settle());
  EXPECT_NE(message_of(world, "ConfigurationLoaded").find("PoolerConfig shop/billing"),
            std::string::npos)
      << world.end_state();

  world.transport().forbid("");
  ASSERT_TRUE(world.settle());
  EXPECT_NE(world.end_state().find("Ready True"), std::string::npos) << world.end_state();
}

TEST(Neighbour, ThatWasReadBeforeHoldsWhatItHeld) {
  OperatorWorld world;
  world.user_applies(2, 3, "billing");
  ASSERT_TRUE(world.settle());
  ASSERT_TRUE(world.server().erase(kube::Secret::kType, {"shop", "billing-db"}));
  create(world);
  // 41 for poolers: billing's two pods and the operator's login still hold 21 of them at least.
  const auto orders = world.server().find(reconcile::PoolerConfigObject::kType, {"shop", "orders"});
  EXPECT_EQ((*orders)["status"]["effective"]["budget"], 20);
}

TEST(Retained, SurvivesItsPoolerConfigAndGoesToItsNamesake) {
  const kube::ObjectKey key{"shop", "orders-pooler"};
  OperatorWorld world;
  create(world);
  const auto uid = world.server().find(kube::Secret::kType, key)->at("metadata").at("uid");
  const auto flip = [&](const char* policy) {
    world.user_edits([&](Object& spec) { spec["connectionSecret"]["deletionPolicy"] = policy; });
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(world.resync(), 0);
  };
  const auto metadata = [&] {
    return world.server().find(kube::Secret::kType, key)->at("metadata");
  };
  const auto mark = [&] { return metadata().at("annotations").value("pooler.dev/owner-uid", ""); };
  flip("Retain");
  EXPECT_FALSE(metadata().contains("ownerReferences")) << "the garbage collector would take it";
  const std::string writer = mark();
  flip("Delete");
  EXPECT_TRUE(metadata().contains("ownerReferences"));
  EXPECT_EQ(mark(), "");
  flip("Retain");

  const Object retained = *world.server().find(kube::Secret::kType, key);
  world.user_deletes();
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.server().all(kube::Secret::kType), std::vector{retained});
  create(world);
  EXPECT_NE(world.end_state().find("Ready True"), std::string::npos) << world.end_state();
  EXPECT_EQ(metadata().at("uid"), uid) << "applications that mount it notice nothing";
  EXPECT_TRUE(metadata().contains("ownerReferences")) << "the new one says Delete, by default";
  EXPECT_NE(writer, "");
  EXPECT_EQ(world.resync(), 0);
}

TEST(Retained, WhatLacksAMarkIsSomebodyElses) {
  using Spoiler = std::function<void(Object & metadata, const Object& owner)>;
  const Spoiler spoilers[] = {
      [](Object& metadata, const Object&) { metadata.erase("annotations"); },
      [](Object& metadata, const Object&) {
        metadata["labels"]["pooler.dev/poolerconfig"] = "billing";
      },
      [](Object& metadata, const Object&) {
        metadata["labels"].erase("app.kubernetes.io/managed-by");
      },
      [](Object& metadata, const Object& owner) {
        metadata["ownerReferences"] = {{{"apiVersion", "v1"},
                                        {"kind", "Secret"},
                                        {"name", "owner"},
                                        {"uid", owner["metadata"]["uid"]},
                                        {"controller", true}}};
      }};
  for (const auto& spoil : spoilers) {
    OperatorWorld world;
    Object metadata = {{"name", "orders-pooler"},
                       {"namespace", "shop"},
                       {"labels",
                        {{"pooler.dev/poolerconfig", "orders"},
                         {"app.kubernetes.io/managed-by", "pooler-operator"}}},
                       {"annotations", {{"pooler.dev/owner-uid", "of-an-earlier-one"}}}};
    const Object owner = world.server().create(
        kube::Secret::kType,
        {{"metadata", {{"name", "owner"}, {"namespace", "shop"}}}, {"data", Object::object()}});
    spoil(metadata, owner);
    const Object theirs = world.server().create(
        kube::Secret::kType, {{"metadata", metadata}, {"data", Object::object()}});
    create(world);
    EXPECT_NE(world.end_state().find("SecretPublished False NotOwned"), std::string::npos)
        << world.end_state();
    EXPECT_EQ(world.server().find(kube::Secret::kType, {"shop", "orders-pooler"}), theirs);
  }
}

TEST(PodTemplate, ThatIsRefusedIsSaidAndNothingOfItIsWritten) {
  const auto stored = [](OperatorWorld& world) {
    std::vector<Object> objects = world.server().all(kube::Pod::kType);
    objects.push_back(*world.server().find(kube::StatefulSet::kType, {"shop", "orders-pooler"}));
    objects.push_back(*world.server().find(kube::Secret::kType, {"shop", "orders-pooler-config"}));
    for (Object& object : objects) {
      object["metadata"].erase("managedFields");  // whose fields they are may change
      object["metadata"].erase("resourceVersion");
    }
    return objects;
  };
  OperatorWorld world;
  create(world);
  const auto before = stored(world);
  world.user_edits([](Object& spec) {
    spec["poolMode"] = "session";
    spec["pod"]["tolerations"] = {{{"key", "a"}, {"operator", "Maybe"}}};
  });
  ASSERT_TRUE(world.settle());
  EXPECT_NE(message_of(world, "ConfigurationValid")
                .find("spec.template.spec.tolerations[0].operator: Unsupported value: \"Maybe\""),
            std::string::npos)
      << message_of(world, "ConfigurationValid");
  EXPECT_NE(world.end_state().find("PoolerAvailable True"), std::string::npos);
  EXPECT_EQ(stored(world), before);

  world.user_edits([](Object& spec) { spec["pod"]["tolerations"][0]["operator"] = "Exists"; });
  ASSERT_TRUE(world.settle());
  EXPECT_NE(world.end_state().find("Ready True"), std::string::npos) << world.end_state();
}

TEST(Children, DeletedByHandReturn) {
  OperatorWorld world;
  create(world);
  world.user_edits([](Object& spec) { spec["networkPolicy"]["enabled"] = true; });
  ASSERT_TRUE(world.settle());
  const std::string before = world.end_state();
  const std::pair<kube::ResourceType, const char*> children[] = {
      {kube::Service::kType, "orders-pooler"},
      {kube::Service::kType, "orders-pooler-peers"},
      {kube::Secret::kType, "orders-pooler"},
      {kube::Secret::kType, "orders-pooler-config"},
      {kube::Secret::kType, "orders-pooler-admin"},
      {kube::StatefulSet::kType, "orders-pooler"},
      {kube::PodDisruptionBudget::kType, "orders-pooler"},
      {kube::NetworkPolicy::kType, "orders-pooler"}};
  for (const auto& [type, name] : children) {
    ASSERT_TRUE(world.server().erase(type, {"shop", name}));
    ASSERT_TRUE(world.settle()) << name;
    EXPECT_EQ(world.end_state(), before) << name;
  }
}

}  // namespace
}  // namespace pooler::fault
