#include "reconcile/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "base/certificates.h"
#include "base/json.h"
#include "base/strings.h"
#include "engine/pgbouncer/parameters.h"
#include "engine/pgbouncer/workload.h"
#include "fault/certificates.h"
#include "kube/kinds.h"

namespace pooler::reconcile {
namespace {

namespace pgbouncer = engine::pgbouncer;

constexpr const char* kUri = "postgresql://app:s3cret@db.example.com:5432/orders";

using SecretData = std::map<std::string, std::string>;
using api::Texts;

// A world that does what a plan says at once: enough to walk plan() from nothing to Ready.
class PlanTest : public testing::Test {
 protected:
  PlanTest() {
    auto config = std::make_shared<api::PoolerConfig>();
    config->name = "orders";
    config->ns = "shop";
    config->uid = "uid-1";
    config->generation = 1;
    config->spec.database.secret_name = "orders-db";
    config->spec.replicas = 2;
    config->spec.scaling.max_replicas = 3;
    config->spec.connection_secret.name = "orders-pooler";
    config_ = config;
    see_.database_secret = SecretData{{"uri", kUri}};
    see_.default_image = "pgbouncer:test";
    see_.fresh_random.assign(engine::kAdminRandomBytes, 'r');
    see_.now = WallTime(std::chrono::seconds(1'800'000'000));
  }

  Plan look() {
    see_.config = config_;
    return plan(see_);
  }

  // One round: carries the plan out, takes the status over.
  Plan step() {
    Plan planned = look();
    for (const Write& each : planned.writes) carry_out(each);
    for (const Removal& each : planned.removals) carry_out(each);
    config_->status = planned.status;
    return planned;
  }

  void database_answers(int max_connections = 60) {
    see_.live.database.token = look().target.database->token;
    see_.live.database.outcome = live::Outcome::kOk;
    live::Server server;
    server.identity = "10.0.0.9:5432";
    server.max_connections = max_connections;
    server.superuser_reserved_connections = 3;
    see_.live.database.server = server;
  }

  // Every ordinal that should be there is, and shows what its file names.
  void pods_follow() {
    std::vector<ObservedPod> pods;
    for (int i = 0; i < see_.workload.replicas; ++i) {
      const auto old = std::find_if(see_.pods.begin(), see_.pods.end(), [i](const auto& pod) {
        return pod.ordinal == i && !pod.deleting;
      });
      pods.push_back(old != see_.pods.end() ? *old : new_pod(i));
    }
    see_.pods = pods;
  }

  ObservedPod new_pod(int ordinal) {
    ObservedPod pod;
    pod.name = "orders-pooler-" + std::to_string(ordinal);
    pod.uid = "pod-" + std::to_string(++serial_);
    pod.address = "10.1.0." + std::to_string(serial_);
    pod.ordinal = ordinal;
    pod.ready = true;
    pod.template_revision = see_.workload.update_revision;
    live::PodState& state = see_.live.pods[pod.uid];
    state.outcome = live::Outcome::kOk;
    state.version = "1.26.1";
    state.marker = pgbouncer::marker_of_pod_file(
        see_.files.data.at("orders-pooler-" + std::to_string(ordinal) + ".ini"));
    return pod;
  }

  // What was told to be loaded is.
  void pods_reload() {
    const Plan planned = look();
    for (const live::PodTarget& pod : planned.target.pods) {
      if (!pod.reload_to.empty()) see_.live.pods[pod.uid].marker = pod.reload_to;
    }
  }

  [[nodiscard]] std::multiset<std::string> assigned() const {
    std::multiset<std::string> markers;
    for (const auto& [name, bytes] : see_.files.data) {
      if (name.starts_with("orders-pooler-")) markers.insert(pgbouncer::marker_of_pod_file(bytes));
    }
    return markers;
  }

  void verification_answers() {
    const auto target = look().target.verification;
    ASSERT_TRUE(target) << message("SecretPublished");
    see_.live.verification = {target->token, live::Outcome::kOk, "", ""};
  }

  void bring_up() {
    step();
    database_answers();
    step();
    pods_follow();
    step();
    verification_answers();
    step();
    step();
  }

  [[nodiscard]] std::string status(const std::string& type) const {
    const api::Condition* found = config_->status.find(type);
    return found == nullptr ? "absent"
                            : std::string(to_string(found->status)) + " " + found->reason;
  }
  [[nodiscard]] std::string message(const std::string& type) const {
    const api::Condition* found = config_->status.find(type);
    return found == nullptr ? "" : found->message;
  }

  static std::multiset<std::string> kinds(const Plan& planned) {
    std::multiset<std::string> names;
    for (const Write& each : planned.writes) names.insert(std::string(each.type.kind));
    return names;
  }

  std::shared_ptr<api::PoolerConfig> config_;
  Observed see_;

 private:
  static std::map<std::string, std::string> decoded(const Json& body) {
    std::map<std::string, std::string> data;
    if (!body.contains("data")) return data;
    for (const auto& [key, value] : body["data"].items()) {
      data[key] = base64_decode(value.get<std::string>()).value();
    }
    return data;
  }

  void store(Child& child, const Json& body) {
    child.ownership = Ownership::kOurs;
    child.body = to_bytes(body);
    child.meta.uid = "uid-of-" + body["kind"].get<std::string>();
    child.meta.name = body["metadata"]["name"];
    child.meta.ns = "shop";
    child.meta.annotations.clear();
    for (const auto& [key, value] : body["metadata"]["annotations"].items()) {
      child.meta.annotations[key] = value;
    }
  }

  void carry_out(const Write& each) {
    const Json body = parse_json(each.body);
    const std::string name = body["metadata"]["name"];
    if (each.type == kube::Secret::kType) {
      SecretChild& child = name == "orders-pooler-admin"    ? see_.admin
                           : name == "orders-pooler-config" ? see_.files
                                                            : see_.published;
      store(child, body);
      child.data = decoded(body);
    } else if (each.type == kube::Service::kType) {
      ServiceChild& child = name == "orders-pooler" ? see_.client : see_.peers;
      store(child, body);
      if (name == "orders-pooler") child.cluster_ip = "10.96.0.7";
    } else if (each.type == kube::StatefulSet::kType) {
      store(see_.workload, body);
      see_.workload.replicas = body["spec"]["replicas"];
      see_.workload.update_revision =
          "t-" + std::to_string(std::hash<std::string>{}(to_bytes(body["spec"]["template"])));
      see_.workload.revision_known = true;
    } else if (each.type == kube::NetworkPolicy::kType) {
      store(see_.network_policy, body);
    } else {
      store(see_.disruption_budget, body);
    }
  }

  void carry_out(const Removal& each) {
    if (each.type == kube::PodDisruptionBudget::kType) see_.disruption_budget = {};
    if (each.type == kube::NetworkPolicy::kType) see_.network_policy = {};
    for (ObservedPod& pod : see_.pods) {
      if (pod.uid == each.uid) pod.deleting = true, pod.ready = false;
    }
  }

  int serial_ = 0;
};

TEST_F(PlanTest, FirstStatusHasEveryCondition) {
  step();
  for (const char* type : {"Ready", "ConfigurationValid", "DatabaseReachable", "PoolerAvailable",
                           "ConfigurationLoaded", "SecretPublished", "ScalingActive"}) {
    EXPECT_NE(config_->status.find(type), nullptr) << type;
  }
  EXPECT_EQ(status("Ready"), "False Progressing");
  EXPECT_EQ(config_->status.observed_generation, 1);
}

TEST_F(PlanTest, NoStatefulSetBeforeTheDatabaseWasReached) {
  const Plan first = step();
  EXPECT_EQ(kinds(first), (std::multiset<std::string>{"Secret", "Service", "Service"}));
  ASSERT_TRUE(first.target.database);
  EXPECT_EQ(first.target.database->connection.user, "app");
}

TEST_F(PlanTest, WalksFromNothingToReady) {
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready");
  EXPECT_EQ(status("SecretPublished"), "True Published");
  EXPECT_EQ(status("Reconciling"), "absent");
  EXPECT_EQ(status("Stalled"), "absent");
  EXPECT_EQ(config_->status.binding_name, "orders-pooler");
  EXPECT_EQ(config_->status.effective.budget, 41);
  EXPECT_EQ(config_->status.effective.budget_source, "Server");
  EXPECT_EQ(config_->status.pods.loaded, 2);
  EXPECT_EQ(config_->status.version, "1.26.1");
  EXPECT_EQ(see_.published.data.at("DATABASE_URL"), kUri);
  EXPECT_NE(see_.published.data.at("DATABASE_POOLED_URL").find("@orders-pooler.shop.svc:6432/"),
            std::string::npos);
}

TEST_F(PlanTest, FloorsOfAllOrdinalsFitTheBudget) {
  bring_up();
  const std::string hash = pgbouncer::marker_of_pod_file(see_.files.data.at("orders-pooler-0.ini"));
  EXPECT_EQ(pgbouncer::floor_of(see_.files.data.at(pgbouncer::settings_file_name(hash))), 10);
  EXPECT_EQ(look().claim.held, 21);  // two pods and the operator
}

TEST_F(PlanTest, ConvergedMeansNoWriteAndTheSameStatus) {
  bring_up();
  const Plan again = look();
  EXPECT_TRUE(again.writes.empty()) << again.writes.front().body;
  EXPECT_TRUE(again.removals.empty());
  EXPECT_EQ(again.status, config_->status);
  EXPECT_TRUE(again.notices.empty());
  EXPECT_FALSE(again.target.verification) << "verified once, no more connections";
}

TEST_F(PlanTest, ARestartOfTheOperatorWithTheDatabaseDownChangesNothing) {
  bring_up();
  see_.live = {};
  EXPECT_TRUE(look().writes.empty());
  EXPECT_EQ(look().status, config_->status) << "nothing was asked yet, so there is no news";
  see_.live.database.token = look().target.database->token;
  see_.live.database.outcome = live::Outcome::kFailed;
  see_.live.database.reason = "ConnectionRefused";
  const Plan down = look();
  EXPECT_TRUE(down.writes.empty());
  EXPECT_TRUE(down.removals.empty());
  EXPECT_EQ(down.status.find("DatabaseReachable")->reason, "ConnectionRefused");
}

TEST_F(PlanTest, DeletedChildrenReturn) {
  bring_up();
  see_.client = {};
  see_.published = {};
  see_.disruption_budget = {};
  EXPECT_EQ(kinds(look()), (std::multiset<std::string>{"PodDisruptionBudget", "Service"}))
      << "the published Secret waits for the Service's address";
  step();
  verification_answers();
  EXPECT_EQ(kinds(look()), (std::multiset<std::string>{"Secret"}));
}

TEST_F(PlanTest, ADeletedConfigSecretReturnsAsItWasEvenWithTheDatabaseDown) {
  bring_up();
  const auto before = see_.files.data;
  see_.files = {};
  see_.live.database = {};
  step();
  EXPECT_EQ(see_.files.data, before);
}

// A revision's hash names its bytes, so an edited file is wrong, whatever it says.
TEST_F(PlanTest, AnEditedConfigFileIsAsItWasAndNoPodIsToldOfIt) {
  bring_up();
  const SecretChild before = see_.files;
  for (const auto& [name, bytes] : before.data) {
    for (const bool deleted : {false, true}) {
      Json body = parse_json(before.body);
      body["data"][name] = base64_encode("pool_mode = session\n");
      see_.files.data[name] = "pool_mode = session\n";
      if (deleted) {
        body["data"].erase(name);
        see_.files.data.erase(name);
      }
      see_.files.body = to_bytes(body);
      const Plan planned = step();
      EXPECT_EQ(see_.files.data, before.data) << name << (deleted ? " deleted" : " edited");
      EXPECT_TRUE(planned.removals.empty()) << name;
      for (const auto& pod : planned.target.pods) EXPECT_EQ(pod.reload_to, "") << name;
    }
  }
}

TEST_F(PlanTest, DriftIsRepaired) {
  bring_up();
  Json body = parse_json(see_.client.body);
  body["spec"]["ports"][0]["port"] = 1;
  see_.client.body = to_bytes(body);
  const Plan planned = look();
  ASSERT_EQ(kinds(planned), (std::multiset<std::string>{"Service"}));
  EXPECT_EQ(planned.writes[0].current.uid, "uid-of-Service") << "onto this very object";
}

TEST_F(PlanTest, MissingSecretIsSaidAndARunningPoolerStays) {
  bring_up();
  see_.database_secret = std::nullopt;
  const Plan planned = step();
  EXPECT_TRUE(planned.writes.empty());
  EXPECT_TRUE(planned.removals.empty());
  EXPECT_EQ(status("ConfigurationValid"), "False SecretNotFound");
  EXPECT_EQ(status("Ready"), "False SecretNotFound");
  EXPECT_EQ(status("PoolerAvailable"), "True Serving");
  EXPECT_EQ(status("Stalled"), "absent") << "the Secret may yet appear";
  EXPECT_NE(message("Ready").find("spec.database.secretRef.name"), std::string::npos);
  EXPECT_NE(message("Ready").find("shop/orders-db"), std::string::npos);
}

TEST_F(PlanTest, ValuesOfSecretsNeverReachStatusOrEvents) {
  see_.database_secret = SecretData{{"uri", "s3cret is no uri"}};
  const Plan planned = step();
  EXPECT_EQ(to_bytes(api::encode(planned.status)).find("s3cret"), std::string::npos);
  for (const Notice& notice : planned.notices) {
    EXPECT_EQ(notice.note.find("s3cret"), std::string::npos);
  }
}

TEST_F(PlanTest, NewCredentialsWaitForALogin) {
  bring_up();
  see_.database_secret = SecretData{{"uri", "postgresql://app:rotated@db.example.com:5432/orders"}};
  const Plan waiting = step();
  EXPECT_TRUE(waiting.writes.empty()) << "the old ones stay until the new ones log in";
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  EXPECT_EQ(config_->status.binding_name, "orders-pooler");

  database_answers();
  step();  // the canary's file
  pods_reload();
  ASSERT_TRUE(look().target.verification);
  EXPECT_EQ(look().target.verification->address, see_.pods.back().address)
      << "a login through the canary itself";
  verification_answers();
  step();  // the files of the others
  pods_reload();
  ASSERT_TRUE(look().target.verification);
  EXPECT_EQ(look().target.verification->address, "10.96.0.7");
  EXPECT_NE(see_.published.data.at("DATABASE_URL").find("s3cret"), std::string::npos)
      << "not before a query with the new ones went through the pooler";
  verification_answers();
  step();
  EXPECT_NE(see_.published.data.at("DATABASE_URL").find("rotated"), std::string::npos);
}

// ---- staged configuration

TEST_F(PlanTest, AChangedSettingIsLoadedByOnePodThenByAll) {
  bring_up();
  const auto pods = see_.pods;
  const auto before = assigned();
  config_->spec.pool_mode = api::PoolMode::kSession;
  Plan planned = step();
  EXPECT_EQ(kinds(planned), (std::multiset<std::string>{"Secret"}));
  EXPECT_TRUE(planned.touches.empty()) << "the file comes first";
  EXPECT_EQ(assigned().count(*before.begin()), 3U) << "all but the canary";
  EXPECT_EQ(status("ConfigurationLoaded"), "False Reloading");

  planned = step();
  ASSERT_EQ(planned.touches.size(), 1U);
  EXPECT_EQ(planned.touches[0].pod.uid, pods.back().uid);
  EXPECT_EQ(planned.target.pods.back().reload_to, planned.touches[0].value);
  see_.pods.back().touched = planned.touches[0].value;
  EXPECT_TRUE(look().touches.empty()) << "once";
  see_.live.pods[pods.back().uid].reload = {.marker = planned.touches[0].value, .nudges = 1};
  ASSERT_EQ(look().touches.size(), 1U);
  EXPECT_EQ(look().touches[0].value, planned.touches[0].value + ".1") << "again after two seconds";

  pods_reload();
  verification_answers();
  planned = step();
  ASSERT_EQ(planned.writes.size(), 1U);
  ASSERT_TRUE(planned.writes[0].notice);
  EXPECT_EQ(planned.writes[0].notice->reason, "Reloaded");
  pods_reload();
  step();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_EQ(see_.pods.at(0).uid, pods.at(0).uid);
  EXPECT_EQ(see_.pods.at(1).uid, pods.at(1).uid);
  EXPECT_EQ(pgbouncer::revisions_in(see_.files.data).size(), 1U) << "the old one is gone";
}

TEST_F(PlanTest, AConfigurationThatIsRefusedStaysWithOnePodAndIsSaid) {
  bring_up();
  const auto before = assigned();
  const std::string old = *before.begin();
  config_->spec.pool_mode = api::PoolMode::kSession;
  step();
  const std::string canary = see_.pods.back().uid;
  const std::string wanted = look().target.pods.back().reload_to;
  see_.live.pods[canary].reload = {
      .marker = wanted, .nudges = 0, .failed = true, .message = "it refuses its configuration"};
  Plan planned = step();
  ASSERT_TRUE(planned.writes[0].notice);
  EXPECT_EQ(planned.writes[0].notice->reason, "ReloadFailed");
  see_.reload_refused = planned.reload_refused;
  EXPECT_EQ(status("ConfigurationLoaded"), "False ReloadFailed");
  EXPECT_NE(message("Ready").find("it refuses its configuration"), std::string::npos);

  see_.live.pods[canary].reload = {};
  pods_reload();
  planned = step();
  EXPECT_EQ(see_.live.pods[canary].marker, old + "+" + wanted);
  EXPECT_TRUE(look().writes.empty());
  EXPECT_EQ(status("ConfigurationLoaded"), "False ReloadFailed");
  EXPECT_EQ(status("PoolerAvailable"), "True Serving");
  see_.reload_refused.clear();  // the operator was restarted
  EXPECT_EQ(look().status, config_->status);

  config_->spec.pool_mode = api::PoolMode::kTransaction;
  for (int round = 0; round < 3; ++round) {
    step();
    pods_reload();
  }
  EXPECT_EQ(status("ConfigurationLoaded"), "True Loaded") << "taking it back heals";
}

TEST_F(PlanTest, AnotherBudgetIsAReplacementUntilGrantsExist) {
  bring_up();
  config_->spec.budget.server_connections = 21;
  step();
  EXPECT_TRUE(look().touches.empty());
  EXPECT_FALSE(look().removals.empty());
}

TEST_F(PlanTest, BudgetTooSmallSaysWhatItNeedsAndTouchesNothing) {
  bring_up();
  config_->spec.budget.server_connections = 4;
  const Plan planned = step();
  EXPECT_TRUE(planned.writes.empty());
  EXPECT_EQ(status("ConfigurationValid"), "False BudgetTooSmall");
  EXPECT_EQ(status("Stalled"), "True BudgetTooSmall");
  EXPECT_NE(message("Stalled").find("spec.budget.serverConnections"), std::string::npos);
  EXPECT_NE(message("Stalled").find("5 or more"), std::string::npos);
}

TEST_F(PlanTest, AnotherWayInIsPublishedOnceItWorks) {
  bring_up();
  config_->spec.service.port = 5432;
  config_->spec.service.external_host = "fd00::7";
  EXPECT_EQ(kinds(step()), (std::multiset<std::string>{"Service"}));
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  ASSERT_TRUE(look().target.verification);
  EXPECT_EQ(look().target.verification->address, "10.96.0.7") << "by the Service, not by the name";
  EXPECT_EQ(look().target.verification->connection.hosts[0].port, 5432);
  verification_answers();
  step();
  step();
  EXPECT_EQ(status("Ready"), "True Ready");
  EXPECT_NE(see_.published.data.at("DATABASE_POOLED_URL").find("@[fd00::7]:5432/"),
            std::string::npos);
  EXPECT_EQ(config_->status.endpoint_pooled, "[fd00::7]:5432");
  EXPECT_TRUE(look().writes.empty());
}

TEST_F(PlanTest, ATemplateIsTriedByADryRunBeforeItIsWritten) {
  const auto tried = [](const Plan& planned) {
    std::multiset<std::string> names;
    for (const Write& each : planned.trials) names.insert(std::string(each.type.kind));
    return names;
  };
  const std::multiset<std::string> both{"Pod", "StatefulSet"};
  EXPECT_TRUE(step().trials.empty()) << "there is no template yet";
  database_answers();
  EXPECT_EQ(tried(look()), both);
  bring_up();
  EXPECT_TRUE(look().trials.empty());
  config_->spec.pod = R"({"nodeSelector":{"disk":"ssd"}})";
  const Plan planned = look();
  EXPECT_EQ(tried(planned), both);
  EXPECT_EQ(planned.trials[0].current.uid, "uid-of-StatefulSet");
  EXPECT_EQ(planned.trials[0].body, planned.writes[0].body);
  EXPECT_EQ(parse_json(planned.trials[1].body)["spec"]["nodeSelector"]["disk"], "ssd");
  config_->spec.pod = "{}";
  config_->spec.replicas = 3;
  EXPECT_EQ(kinds(look()), (std::multiset<std::string>{"StatefulSet"}));
  EXPECT_TRUE(look().trials.empty()) << "only the number of replicas";
}

TEST_F(PlanTest, ARefusedTemplateIsSaidInTheWordsOfTheApiServer) {
  bring_up();
  see_.write_refused = "Pod shop/orders-pooler-dry-run: no PriorityClass with name x was found";
  step();
  EXPECT_EQ(status("Stalled"), "True InvalidPodTemplate");
  EXPECT_EQ(status("PoolerAvailable"), "True Serving");
  EXPECT_NE(message("Ready").find("no PriorityClass with name x was found"), std::string::npos);
}

TEST_F(PlanTest, AWrongParameterIsSaidAndTouchesNothing) {
  bring_up();
  const auto before = see_.files.data;
  for (const auto& [name, value] : api::Texts{{"pool_mode", "session"},
                                              {"query_timeouts", "1"},
                                              {"pkt_buf", "1"},
                                              {"log_stats", "1\nverbose = 9"}}) {
    config_->spec.pgbouncer.parameters = {{name, value}};
    const Plan planned = step();
    EXPECT_TRUE(planned.writes.empty());
    EXPECT_TRUE(planned.removals.empty());
    EXPECT_EQ(status("ConfigurationValid"), "False InvalidParameter");
    EXPECT_EQ(status("Stalled"), "True InvalidParameter");
    EXPECT_EQ(status("PoolerAvailable"), "True Serving");
    EXPECT_EQ(message("Ready").find("spec.pgbouncer.parameters." + name + ": "), 0U);
  }
  config_->spec.pgbouncer.parameters.clear();
  step();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_EQ(see_.files.data, before);
}

TEST_F(PlanTest, AParameterIsLoadedByReloadOneThatIsReadAtTheStartByReplacement) {
  bring_up();
  config_->spec.pgbouncer.parameters = {{"log_stats", "0"}};
  step();
  EXPECT_EQ(look().touches.size(), 1U);
  EXPECT_TRUE(look().removals.empty());
  for (int round = 0; round < 4; ++round) {
    pods_reload();
    if (look().target.verification) verification_answers();
    step();
  }
  ASSERT_EQ(status("Ready"), "True Ready") << message("Ready");
  config_->spec.pgbouncer.parameters["pkt_buf"] = "8192";
  step();
  const Plan planned = step();
  ASSERT_EQ(planned.removals.size(), 1U) << "one at a time";
  EXPECT_EQ(planned.removals[0].notice->reason, "PodReplaced");
}

// An older PgBouncer would refuse the whole file.
TEST_F(PlanTest, AParameterThatTheVersionDoesNotHaveIsRefusedWhereTheVersionIsKnown) {
  config_->spec.pgbouncer.parameters = {{"transaction_timeout", "60"}};
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  for (auto& [uid, pod] : see_.live.pods) pod.version = "1.24.1";
  step();
  EXPECT_EQ(status("Stalled"), "True InvalidParameter");
  EXPECT_NE(message("Stalled").find("needs PgBouncer 1.25, and the pods run 1.24.1"),
            std::string::npos);
  const live::LiveState known = see_.live;
  see_.live = {};
  EXPECT_EQ(look().status, config_->status) << "a restart of the operator is no news";
  see_.live = known;

  config_->spec.pgbouncer.image = "pgbouncer:newer";
  const Plan planned = step();
  EXPECT_EQ(kinds(planned).count("StatefulSet"), 1U);
  EXPECT_EQ(status("Stalled"), "absent") << "nobody knows the new image's version";
  step();
  EXPECT_EQ(status("Stalled"), "absent") << "only pods with the old template have told one";
}

TEST_F(PlanTest, AForeignStatefulSetIsNeverTouched) {
  see_.workload.ownership = Ownership::kForeign;
  see_.workload.meta.name = "orders-pooler";
  step();
  database_answers();
  const Plan planned = step();
  EXPECT_TRUE(planned.writes.empty()) << "no pooler is begun beside it";
  EXPECT_EQ(status("PoolerAvailable"), "False NotOwned");
  EXPECT_NE(message("PoolerAvailable").find("StatefulSet orders-pooler exists"), std::string::npos);
  EXPECT_EQ(status("Stalled"), "True NotOwned");
  EXPECT_TRUE(planned.look_again);
}

TEST_F(PlanTest, AMoveOfTheDatabaseReachesThePodsAndIsToldOnce) {
  bring_up();
  EXPECT_EQ(look().target.pods.at(0).moves, 0);
  see_.live.database.moves = 1;
  see_.live.database.last_move = "10.0.0.9:5432 -> 10.0.0.10:5432";
  const Plan planned = look();
  EXPECT_EQ(planned.target.pods.at(0).moves, 1);
  ASSERT_EQ(planned.notices.size(), 1U);
  EXPECT_EQ(planned.notices.front().reason, "Failover");
  EXPECT_NE(planned.notices.front().note.find("10.0.0.9:5432 -> 10.0.0.10:5432"),
            std::string::npos);
  see_.moves_told = planned.moves_told;
  EXPECT_TRUE(look().notices.empty());
  see_.live.database.token = "of other credentials";
  EXPECT_EQ(look().target.pods.at(0).moves, std::nullopt) << "nothing is known of these";
  EXPECT_EQ(look().moves_told, 1);
}

TEST_F(PlanTest, AServerThatCanNotBeWrittenIsToldAndHoldsNothingBack) {
  bring_up();
  see_.live.database.server->read_only = true;
  step();
  EXPECT_EQ(status("DatabaseReachable"), "False ReadOnly");
  EXPECT_NE(message("DatabaseReachable").find("default_transaction_read_only"), std::string::npos);
  EXPECT_EQ(status("Ready"), "True Ready");
  see_.live.database.server->in_recovery = true;
  step();
  EXPECT_NE(message("DatabaseReachable").find("standby"), std::string::npos);
}

TEST_F(PlanTest, AForeignSecretStopsPublishingOnly) {
  bring_up();
  see_.published = {};
  see_.published.ownership = Ownership::kForeign;
  const Plan planned = step();
  EXPECT_TRUE(planned.writes.empty());
  EXPECT_EQ(status("SecretPublished"), "False NotOwned");
  EXPECT_EQ(status("PoolerAvailable"), "True Serving");
  EXPECT_EQ(config_->status.binding_name, "");
}

TEST_F(PlanTest, AMissingLabelAndOneTooManyAreWritten) {
  bring_up();
  config_->spec.connection_secret.labels = {{"team", "shop"}};
  EXPECT_EQ(kinds(step()), (std::multiset<std::string>{"Secret"}));
  EXPECT_TRUE(look().writes.empty());
  config_->spec.connection_secret.labels.clear();
  EXPECT_EQ(kinds(step()), (std::multiset<std::string>{"Secret"})) << "it must go again";
  EXPECT_TRUE(look().writes.empty());
  EXPECT_EQ(status("SecretPublished"), "True Published") << "labels need no query";
}

TEST_F(PlanTest, NewKeysAreVerifiedAndWrittenAtOnce) {
  bring_up();
  see_.live.verification = {};
  config_->spec.connection_secret.preset = api::Preset::kPrisma;
  config_->spec.connection_secret.keys = {{"dsn", api::Way::kPooled, api::Format::kLibpq}};
  step();
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  EXPECT_TRUE(see_.published.data.contains("DATABASE_POOLED_URL")) << "never in part";
  verification_answers();
  step();
  EXPECT_EQ(status("SecretPublished"), "True Published");
  EXPECT_NE(message("SecretPublished").find("DIRECT_URL (direct)"), std::string::npos);
  EXPECT_EQ(see_.published.data.at("DIRECT_URL"), kUri);
  EXPECT_TRUE(see_.published.data.contains("dsn"));
  EXPECT_FALSE(see_.published.data.contains("DATABASE_POOLED_URL"));
}

TEST_F(PlanTest, TheQueryHasTheParametersThatArePublished) {
  config_->spec.connection_secret.pooled_parameters = {{"options", "-c search_path=a"}};
  step();
  database_answers();
  step();
  pods_follow();
  step();
  const auto target = look().target.verification;
  ASSERT_TRUE(target);
  EXPECT_EQ(target->connection.parameter("options"), "-c search_path=a");
}

TEST_F(PlanTest, APolicyThatFlipsIsWrittenWithoutAQuery) {
  bring_up();
  const auto before = see_.published.data;
  const auto owners = [this] {
    return parse_json(see_.published.body)["metadata"].contains("ownerReferences");
  };
  EXPECT_TRUE(owners());
  config_->spec.connection_secret.deletion_policy = api::DeletionPolicy::kRetain;
  EXPECT_EQ(kinds(step()), (std::multiset<std::string>{"Secret"}));
  EXPECT_FALSE(owners());
  EXPECT_TRUE(look().writes.empty());
  config_->spec.connection_secret.deletion_policy = api::DeletionPolicy::kDelete;
  EXPECT_EQ(kinds(step()), (std::multiset<std::string>{"Secret"}));
  EXPECT_TRUE(owners());
  EXPECT_EQ(see_.published.data, before);
}

TEST_F(PlanTest, ARetainedSecretIsInheritedOnlyOnceItsUrlsAreVerified) {
  see_.published.ownership = Ownership::kOurs;
  see_.published.inherited = true;
  see_.published.meta.uid = "uid-of-the-retained";
  see_.published.meta.name = "orders-pooler";
  see_.published.body = R"({"metadata": {"name": "orders-pooler"}})";
  see_.published.data = {{"DATABASE_URL", "postgresql://of-yesterday"}};
  step();
  database_answers();
  step();
  pods_follow();
  step();
  EXPECT_EQ(status("SecretPublished"), "False Unverified");
  EXPECT_EQ(config_->status.binding_name, "");
  EXPECT_EQ(see_.published.data.at("DATABASE_URL"), "postgresql://of-yesterday");
  verification_answers();
  const Plan planned = look();
  ASSERT_EQ(kinds(planned), (std::multiset<std::string>{"Secret"}));
  EXPECT_EQ(planned.writes.front().current.uid, "uid-of-the-retained") << "onto this very object";
  EXPECT_EQ(planned.status.binding_name, "orders-pooler");
}

TEST_F(PlanTest, ASecretThatAnotherHasRetainedIsNamedAsItsOwn) {
  bring_up();
  see_.published = {};
  see_.published.ownership = Ownership::kForeign;
  see_.published.meta.labels[std::string(api::kNameLabel)] = "billing";
  see_.published.meta.annotations[std::string(api::kOwnerUidAnnotation)] = "uid-9";
  step();
  EXPECT_EQ(status("SecretPublished"), "False NotOwned");
  EXPECT_NE(message("SecretPublished").find("PoolerConfig billing"), std::string::npos);
}

TEST_F(PlanTest, ImmediateIsPublishedBeforeAnythingWasAsked) {
  config_->spec.connection_secret.publish_policy = api::PublishPolicy::kImmediate;
  const Plan first = step();
  EXPECT_EQ(kinds(first), (std::multiset<std::string>{"Secret", "Secret", "Service", "Service"}));
  EXPECT_EQ(see_.published.data.at("DATABASE_URL"), kUri);
  EXPECT_EQ(status("SecretPublished"), "True Published");
  EXPECT_EQ(config_->status.binding_name, "orders-pooler");
  EXPECT_NE(status("Ready"), "True Ready") << "no pod serves yet";
}

TEST_F(PlanTest, ImmediateIsReadyWithoutAWayToThePods) {
  config_->spec.connection_secret.publish_policy = api::PublishPolicy::kImmediate;
  step();
  database_answers();
  step();
  pods_follow();
  for (auto& [uid, state] : see_.live.pods) {
    state = {};
    state.outcome = live::Outcome::kFailed;
    state.message = "no answer";
  }
  step();
  step();
  EXPECT_EQ(status("ConfigurationLoaded"), "Unknown OperatorCannotReachPooler");
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_EQ(status("Reconciling"), "absent");
  config_->spec.connection_secret.publish_policy = api::PublishPolicy::kVerified;
  step();
  EXPECT_EQ(status("Ready"), "False OperatorCannotReachPooler") << "not so with Verified";
}

TEST_F(PlanTest, ImmediateTooLetsNewCredentialsLogInFirst) {
  config_->spec.connection_secret.publish_policy = api::PublishPolicy::kImmediate;
  step();
  database_answers();
  step();
  see_.database_secret = SecretData{{"uri", "postgresql://app:rotated@db.example.com:5432/orders"}};
  step();
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  EXPECT_EQ(see_.published.data.at("DATABASE_URL"), kUri);
  database_answers();
  step();
  EXPECT_NE(see_.published.data.at("DATABASE_URL").find("rotated"), std::string::npos);
}

TEST_F(PlanTest, ImmediateDoesNotPublishForASpecThatCanNotBeRun) {
  config_->spec.connection_secret.publish_policy = api::PublishPolicy::kImmediate;
  config_->spec.budget.server_connections = 2;
  step();
  EXPECT_EQ(status("ConfigurationValid"), "False BudgetTooSmall");
  EXPECT_EQ(see_.published.ownership, Ownership::kAbsent);
}

TEST_F(PlanTest, ANetworkPolicyComesBeforeThePodsAndGoesWhenItIsNotWanted) {
  config_->spec.network_policy.enabled = true;
  step();
  EXPECT_TRUE(see_.network_policy.ours());
  EXPECT_EQ(see_.workload.ownership, Ownership::kAbsent);
  bring_up();
  EXPECT_TRUE(look().writes.empty());
  config_->spec.network_policy.enabled = false;
  step();
  EXPECT_EQ(see_.network_policy.ownership, Ownership::kAbsent);
  EXPECT_EQ(status("Ready"), "True Ready");
}

TEST_F(PlanTest, AForeignNetworkPolicyMattersOnlyWhereOneIsWanted) {
  see_.network_policy.ownership = Ownership::kForeign;
  see_.network_policy.meta.name = "orders-pooler";
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready");
  config_->spec.network_policy.enabled = true;
  EXPECT_TRUE(step().writes.empty());
  EXPECT_EQ(status("PoolerAvailable"), "False NotOwned");
}

TEST_F(PlanTest, OneReplicaHasNoDisruptionBudget) {
  bring_up();
  EXPECT_TRUE(see_.disruption_budget.ours());
  config_->spec.replicas = 1;
  step();
  EXPECT_FALSE(see_.disruption_budget.ours());
}

// ---- pause

TEST_F(PlanTest, APausedPoolerSaysSoAndWhenItHoldsNothing) {
  using Flow = live::PodState::Flow;
  bring_up();
  for (const auto& pod : look().target.pods) EXPECT_FALSE(pod.paused);
  config_->spec.pgbouncer.paused = true;
  Plan planned = step();
  EXPECT_TRUE(planned.writes.empty() && planned.removals.empty());
  for (const auto& pod : planned.target.pods) {
    EXPECT_TRUE(pod.paused);
    EXPECT_EQ(pod.wait_limit, "30");
  }
  EXPECT_EQ(status("PoolerAvailable"), "False Progressing");
  EXPECT_EQ(status("Reconciling"), "True Progressing");
  see_.live.pods[see_.pods[0].uid].flow = Flow::kPaused;
  see_.live.pods[see_.pods[1].uid].flow = Flow::kPausing;
  step();
  EXPECT_NE(message("PoolerAvailable").find("pausing: 1/2"), std::string::npos);
  see_.live.pods[see_.pods[1].uid].flow = Flow::kPaused;
  step();
  EXPECT_EQ(status("PoolerAvailable"), "False Paused");
  EXPECT_EQ(status("Ready"), "False Paused");
  EXPECT_EQ(status("Reconciling"), "absent");
  EXPECT_EQ(status("Stalled"), "absent");
  EXPECT_EQ(status("SecretPublished"), "True Published");
  EXPECT_FALSE(look().target.verification) << "it would wait, too";
  const live::LiveState known = std::exchange(see_.live, {});
  EXPECT_EQ(look().status, config_->status) << "a restart of the operator is no news";
  see_.live = known;
  see_.live.verification = {};  // the live loop forgets what it is not to ask any more

  config_->spec.pgbouncer.paused = false;
  planned = step();
  EXPECT_FALSE(planned.target.pods[0].paused);
  EXPECT_EQ(status("PoolerAvailable"), "False Progressing") << "not before a query works again";
  verification_answers();
  step();
  EXPECT_EQ(status("Ready"), "True Ready");
}

// The database is switched while clients wait: they must meet the new one.
TEST_F(PlanTest, APausedPoolerLoadsAnotherConfigurationAndReplacesNoPod) {
  bring_up();
  config_->spec.pgbouncer.paused = true;
  for (const auto& pod : see_.pods) see_.live.pods[pod.uid].flow = live::PodState::Flow::kPaused;
  step();
  const std::string other = "postgresql://app:s3cret@standby.example.com:5432/orders";
  see_.database_secret = SecretData{{"uri", other}};
  step();
  database_answers();
  for (int round = 0; round < 4; ++round) {
    const Plan planned = step();
    EXPECT_TRUE(planned.removals.empty());
    pods_reload();
  }
  EXPECT_EQ(status("ConfigurationLoaded"), "True Loaded") << message("ConfigurationLoaded");
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  EXPECT_NE(message("SecretPublished").find("paused"), std::string::npos);

  config_->spec.drain.max_transaction_seconds = 61;
  for (int round = 0; round < 4; ++round) {
    const Plan planned = step();
    EXPECT_TRUE(planned.removals.empty()) << "its clients would be cut";
  }
  EXPECT_NE(message("ConfigurationLoaded").find("resumed"), std::string::npos);
  config_->spec.pgbouncer.paused = false;
  EXPECT_FALSE(look().removals.empty());
}

TEST_F(PlanTest, ADisruptionBudgetThatIsNotWantedGoesAndComesBack) {
  bring_up();
  for (const bool wanted : {false, true, false}) {
    config_->spec.pod_disruption_budget = wanted;
    step();
    EXPECT_EQ(see_.disruption_budget.ours(), wanted);
    EXPECT_TRUE(look().writes.empty() && look().removals.empty());
    EXPECT_EQ(status("Ready"), "True Ready");
  }
}

TEST_F(PlanTest, AForeignDisruptionBudgetMattersOnlyWhereOneIsWanted) {
  see_.disruption_budget.ownership = Ownership::kForeign;
  see_.disruption_budget.meta.name = "orders-pooler";
  config_->spec.pod_disruption_budget = false;
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready");
  config_->spec.pod_disruption_budget = true;
  step();
  EXPECT_EQ(status("PoolerAvailable"), "False NotOwned");
}

// ---- TLS

// Of type kubernetes.io/tls, as cert-manager writes it.
SecretData tls_secret(const fault::Authority& authority, const fault::Wanted& wanted) {
  const fault::KeyPair pair = authority.issue(wanted);
  return {{"tls.crt", pair.certificate}, {"tls.key", pair.key}, {"ca.crt", authority.pem()}};
}

SecretData tls_secret(const fault::Authority& authority, long days = 3650) {
  return tls_secret(authority,
                    fault::Wanted{.names = "DNS:orders-pooler.shop.svc", .end = days * 86400});
}

std::string fingerprint(const SecretData& secret) {
  return read_leaf(secret.at("tls.crt"))->fingerprint;
}

class PlanTls : public PlanTest {
 protected:
  PlanTls() {
    config_->spec.client_tls.secret = "orders-tls";
    see_.certificate_secrets["orders-tls"] = tls_secret(authority_);
  }

  // Rounds in which pods load what they are told and queries work.
  void settle() {
    for (int round = 0; round < 6; ++round) {
      pods_reload();
      if (look().target.verification) verification_answers();
      step();
    }
  }

  [[nodiscard]] std::string target_hash() const {
    return pgbouncer::revision_of(
        pgbouncer::marker_of_pod_file(see_.files.data.at("orders-pooler-0.ini")));
  }

  // What the pods read there.
  [[nodiscard]] std::string file_named_by(const char* setting) const {
    const auto path = pgbouncer::setting_of(
        see_.files.data.at(pgbouncer::settings_file_name(target_hash())), setting);
    return path ? see_.files.data.at(path->substr(path->rfind('/') + 1)) : "";
  }

  fault::Authority authority_;
};

TEST_F(PlanTls, ClientsAreShownTheCertificateAndToldToUseIt) {
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  const SecretData& secret = see_.certificate_secrets["orders-tls"];
  EXPECT_EQ(file_named_by("client_tls_cert_file"), secret.at("tls.crt"));
  EXPECT_EQ(file_named_by("client_tls_key_file"), secret.at("tls.key"));
  EXPECT_NE(see_.published.data.at("DATABASE_POOLED_URL").find("?sslmode=require"),
            std::string::npos);
  EXPECT_EQ(see_.published.data.at("DATABASE_URL"), kUri);
  EXPECT_EQ(see_.published.data.at("ca.crt"), authority_.pem());
  EXPECT_FALSE(see_.published.data.contains("direct-ca.crt"));
  for (const auto& pod : look().target.pods) {
    EXPECT_EQ(pod.certificates, (Texts{{target_hash(), fingerprint(secret)}}));
  }
  EXPECT_NE(message("ConfigurationValid").find("spec.clientTLS.secretRef is valid until 20"),
            std::string::npos);
  EXPECT_TRUE(look().look_again) << "nobody else tells when it ends";
}

TEST_F(PlanTls, TheQueryThatVerifiesMustBeShownTheCertificate) {
  step();
  database_answers();
  step();
  pods_follow();
  step();
  const auto target = look().target.verification;
  ASSERT_TRUE(target);
  EXPECT_EQ(target->certificate, fingerprint(see_.certificate_secrets["orders-tls"]));
  EXPECT_EQ(target->connection.parameter("sslmode"), "require");
  config_->spec.client_tls = {};
  see_.live.verification = {};
  EXPECT_EQ(look().target.verification->certificate, "");
}

TEST_F(PlanTls, AnotherAuthorityAloneIsTriedBeforeItIsPublished) {
  config_->spec.connection_secret.pooled_parameters = {{"sslmode", "verify-full"}};
  bring_up();
  ASSERT_EQ(status("Ready"), "True Ready") << message("Ready");
  const std::string published = see_.published.data.at("ca.crt");
  const fault::Authority other;
  see_.certificate_secrets["orders-tls"]["ca.crt"] = other.pem();
  const auto wrong = step().target.verification;
  ASSERT_TRUE(wrong);
  EXPECT_EQ(see_.published.data.at("ca.crt"), published) << "the trial was of the one before";
  see_.live.verification = {wrong->token, live::Outcome::kFailed, "VerificationFailed", "no", true};
  step();
  EXPECT_EQ(status("SecretPublished"), "False VerificationFailed");
  const fault::Authority corrected;
  see_.certificate_secrets["orders-tls"]["ca.crt"] = corrected.pem();
  const auto right = step().target.verification;
  ASSERT_TRUE(right);
  EXPECT_NE(right->token, wrong->token) << "it is tried again";
  EXPECT_EQ(right->connection.certificates.authorities, corrected.pem());
  verification_answers();
  step();
  EXPECT_EQ(see_.published.data.at("ca.crt"), corrected.pem());
}

TEST_F(PlanTls, ARenewedCertificateGoesToOnePodThenToAllAndTheUrlsStay) {
  bring_up();
  const auto pods = see_.pods;
  const auto published = see_.published.data;
  const std::string before = target_hash();
  const std::string old_key = see_.certificate_secrets["orders-tls"].at("tls.key");
  see_.live.verification = {};
  see_.certificate_secrets["orders-tls"] = tls_secret(authority_);
  const std::string renewed = fingerprint(see_.certificate_secrets["orders-tls"]);
  step();
  Plan planned = step();
  ASSERT_EQ(planned.touches.size(), 1U);
  const std::string target = planned.touches[0].value;
  for (const auto& pod : planned.target.pods) {
    EXPECT_EQ(pod.certificates.size(), 2U) << "of the revision before, too";
    EXPECT_EQ(pod.certificates.at(target), renewed);
    EXPECT_TRUE(pod.certificates.contains(before));
  }
  pods_reload();
  ASSERT_TRUE(look().target.verification);
  EXPECT_EQ(look().target.verification->certificate, renewed);
  EXPECT_EQ(look().target.verification->address, see_.pods.back().address);
  settle();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_EQ(see_.published.data, published);
  EXPECT_EQ(see_.pods.at(0).uid, pods.at(0).uid);
  EXPECT_EQ(see_.pods.at(1).uid, pods.at(1).uid);
  EXPECT_EQ(pgbouncer::revisions_in(see_.files.data), std::vector{target});
  for (const auto& [name, bytes] : see_.files.data) {
    EXPECT_EQ(name.find(before), std::string::npos);
    EXPECT_NE(bytes, old_key) << "the old key is gone, too";
  }
}

TEST_F(PlanTls, TlsComesAndGoesWithTheSpecByReload) {
  config_->spec.client_tls = {};
  bring_up();
  const auto pods = see_.pods;
  for (const auto mode : {api::ClientTls::Mode::kOptional, api::ClientTls::Mode::kRequired,
                          api::ClientTls::Mode::kDisabled}) {
    config_->spec.client_tls = {mode, "orders-tls"};
    see_.live.verification = {};
    step();
    settle();
    EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
    const std::string& url = see_.published.data.at("pooled-uri");
    EXPECT_EQ(url.find("sslmode=require") != std::string::npos,
              mode == api::ClientTls::Mode::kRequired);
    EXPECT_EQ(url.find("sslmode=disable") != std::string::npos,
              mode == api::ClientTls::Mode::kDisabled);
    EXPECT_EQ(see_.published.data.contains("ca.crt"), mode != api::ClientTls::Mode::kDisabled);
  }
  EXPECT_EQ(see_.pods.at(0).uid, pods.at(0).uid);
  EXPECT_EQ(see_.pods.at(1).uid, pods.at(1).uid);
}

TEST_F(PlanTls, WhatCanNotBeUsedIsSaidWithItsFieldAndNothingChanges) {
  struct Case {
    std::function<void(SecretsByName&)> change;
    const char* reason;
    const char* words;
  };
  const std::string other_key = tls_secret(authority_).at("tls.key");
  const Case cases[] = {
      {[](SecretsByName& s) { s.erase("orders-tls"); }, "SecretNotFound",
       "spec.clientTLS.secretRef.name: Secret shop/orders-tls does not exist; create it with"},
      {[](SecretsByName& s) { s["orders-tls"].erase("tls.key"); }, "SecretKeyMissing",
       "spec.clientTLS.secretRef: Secret orders-tls has no key tls.key"},
      {[](SecretsByName& s) { s["orders-tls"]["tls.crt"] = "s3cret"; }, "SecretInvalid",
       "spec.clientTLS.secretRef: key tls.crt of Secret orders-tls holds no certificate"},
      {[&](SecretsByName& s) { s["orders-tls"]["tls.key"] = other_key; }, "SecretInvalid",
       "key tls.key of Secret orders-tls is the key of another certificate"},
      {[](SecretsByName& s) { s["orders-tls"]["ca.crt"] = "x"; }, "SecretInvalid",
       "key ca.crt of Secret orders-tls holds no certificate"},
      {[&](SecretsByName& s) { s["orders-tls"]["ca.crt"] += other_key; }, "SecretInvalid",
       "key ca.crt of Secret orders-tls holds a private key, which would be published"},
      {[&](SecretsByName& s) { s["db-ca"]["root.pem"] += other_key; }, "SecretInvalid",
       "key root.pem of Secret db-ca holds a private key, which would be published"},
      {[](SecretsByName& s) { s.erase("db-ca"); }, "SecretNotFound",
       "spec.database.tls.caSecretRef.name: Secret shop/db-ca does not exist"},
      {[](SecretsByName& s) { s["db-ca"].clear(); }, "SecretKeyMissing",
       "spec.database.tls.caSecretRef: Secret db-ca has no key root.pem"},
      {[](SecretsByName& s) { s["db-ca"]["root.pem"] = s["orders-tls"]["tls.crt"]; },
       "SecretInvalid", "key root.pem of Secret db-ca holds no certificate of an authority"},
      {[](SecretsByName& s) { s["db-client"].erase("tls.crt"); }, "SecretKeyMissing",
       "spec.database.tls.clientCertSecretRef: Secret db-client has no key tls.crt"},
  };
  config_->spec.database.tls = {std::nullopt, "db-ca", "root.pem", "db-client"};
  see_.certificate_secrets["db-ca"] = {{"root.pem", authority_.pem()}};
  see_.certificate_secrets["db-client"] = tls_secret(authority_);
  bring_up();
  ASSERT_EQ(status("Ready"), "True Ready") << message("Ready");
  const SecretsByName good = see_.certificate_secrets;
  const std::string asked = look().target.database->token;
  for (const Case& each : cases) {
    see_.certificate_secrets = good;
    each.change(see_.certificate_secrets);
    const Plan planned = step();
    EXPECT_TRUE(planned.writes.empty() && planned.removals.empty()) << each.words;
    EXPECT_EQ(status("ConfigurationValid"), "False " + std::string(each.reason)) << each.words;
    EXPECT_NE(message("ConfigurationValid").find(each.words), std::string::npos)
        << message("ConfigurationValid");
    EXPECT_EQ(message("ConfigurationValid").find("s3cret"), std::string::npos);
    EXPECT_EQ(status("PoolerAvailable"), "True Serving") << each.words;
    EXPECT_EQ(status("ConfigurationLoaded"), "True Loaded") << each.words;
    EXPECT_EQ(status("SecretPublished"), "True Published") << each.words;
    EXPECT_EQ(status("Stalled"), "absent") << "it may yet be mended";
    ASSERT_TRUE(planned.target.database) << each.words;
    EXPECT_EQ(planned.target.database->token, asked) << "with what the pods have: " << each.words;
    EXPECT_EQ(status("DatabaseReachable"), "True Connected") << each.words;
    EXPECT_EQ(planned.claim.identity, "10.0.0.9:5432") << "the neighbours wait for nothing";
    EXPECT_NE(message("ConfigurationLoaded").find("the last good configuration"), std::string::npos)
        << each.words;
  }
  see_.certificate_secrets = good;
  step();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
}

TEST_F(PlanTls, ACertificateThatEndsIsSaidAndThePoolerGoesOn) {
  see_.now = SystemClock().wall();
  see_.certificate_secrets["orders-tls"] = tls_secret(authority_, 2);
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  see_.now += *look().look_again;
  const Plan planned = step();
  EXPECT_TRUE(planned.writes.empty() && planned.removals.empty());
  EXPECT_EQ(status("ConfigurationValid"), "False SecretInvalid");
  EXPECT_NE(message("ConfigurationValid").find("has expired at 20"), std::string::npos);
  EXPECT_EQ(status("PoolerAvailable"), "True Serving");

  const auto pods = see_.pods;
  see_.database_secret = SecretData{{"uri", "postgresql://app:r0tated@db.example.com:5432/orders"}};
  step();
  database_answers();
  see_.live.verification = {};
  step();
  settle();
  EXPECT_NE(see_.files.data.at("rev-" + target_hash() + ".userlist.txt").find("r0tated"),
            std::string::npos)
      << "a new password does not wait for the certificate";
  EXPECT_NE(see_.published.data.at("pooled-uri").find("r0tated"), std::string::npos);
  EXPECT_EQ(status("ConfigurationLoaded"), "True Loaded") << message("ConfigurationLoaded");
  EXPECT_EQ(status("ConfigurationValid"), "False SecretInvalid");
  EXPECT_EQ(see_.pods.at(0).uid, pods.at(0).uid);

  const std::string before = target_hash();
  see_.certificate_secrets["orders-tls"] = tls_secret(authority_, -1);
  step();
  settle();
  EXPECT_EQ(target_hash(), before) << "an expired one that is new is not taken";
  EXPECT_EQ(status("ConfigurationValid"), "False SecretInvalid");
  EXPECT_NE(message("ConfigurationLoaded").find("the last good configuration"), std::string::npos);
}

TEST_F(PlanTls, WhatThePodsHaveTowardsTheDatabaseMayEnd) {
  see_.now = SystemClock().wall();
  const fault::Authority ending(3 * 86400);
  config_->spec.database.tls = {std::nullopt, "db-ca", "ca.crt", "db-client"};
  see_.certificate_secrets["db-ca"] = {{"ca.crt", ending.pem()}};
  see_.certificate_secrets["db-client"] = tls_secret(authority_, 2);
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  const std::string asked = look().target.database->token;
  for (const char* words :
       {"spec.database.tls.clientCertSecretRef: key tls.crt of Secret db-client has expired at 20",
        "spec.database.tls.caSecretRef: key ca.crt of Secret db-ca holds only authorities that "
        "have "
        "expired, the last at 20"}) {
    see_.now += *look().look_again;
    const Plan planned = step();
    EXPECT_TRUE(planned.writes.empty() && planned.removals.empty());
    EXPECT_EQ(planned.target.database->token, asked);
    EXPECT_EQ(status("ConfigurationValid"), "False SecretInvalid");
    EXPECT_NE(message("ConfigurationValid").find(words), std::string::npos)
        << message("ConfigurationValid");
    EXPECT_EQ(status("DatabaseReachable"), "True Connected");
    EXPECT_EQ(planned.claim.identity, "10.0.0.9:5432");
  }
}

// Of mode and authority that the pods have, not of those that can't be had yet.
TEST_F(PlanTls, ADatabaseIsAskedAsThePodsAskItWhileTheNewAuthorityIsMissing) {
  bring_up();
  const std::string asked = look().target.database->token;
  config_->spec.database.tls.ca_secret = "db-ca";
  const Plan planned = step();
  EXPECT_EQ(status("ConfigurationValid"), "False SecretNotFound");
  ASSERT_TRUE(planned.target.database);
  EXPECT_EQ(planned.target.database->connection.parameter("sslmode"), "");
  EXPECT_EQ(planned.target.database->connection.certificates, Certificates());
  EXPECT_EQ(planned.target.database->token, asked);
  EXPECT_EQ(status("DatabaseReachable"), "True Connected");
}

TEST_F(PlanTls, ACertificateIsNotUsedBeforeItIsValid) {
  see_.now = SystemClock().wall();
  see_.certificate_secrets["orders-tls"] = tls_secret(
      authority_,
      fault::Wanted{.names = "DNS:orders-pooler.shop.svc", .begin = 7200, .end = 3650L * 86400});
  step();
  database_answers();
  EXPECT_TRUE(step().writes.empty() || see_.files.data.empty());
  EXPECT_EQ(status("ConfigurationValid"), "False SecretInvalid");
  EXPECT_NE(message("ConfigurationValid").find("tls.crt of Secret orders-tls is not valid before"),
            std::string::npos);
  const auto wait = look().look_again;
  ASSERT_TRUE(wait);
  EXPECT_LT(*wait, std::chrono::hours(3));
  see_.now += *wait;
  step();
  EXPECT_EQ(status("ConfigurationValid"), "True Valid") << message("ConfigurationValid");
  EXPECT_FALSE(see_.files.data.empty());
}

TEST_F(PlanTls, PeopleAreWarnedOnceBeforeACertificateEnds) {
  see_.now = SystemClock().wall();
  see_.certificate_secrets["orders-tls"] = tls_secret(authority_, 30);
  bring_up();
  EXPECT_EQ(message("ConfigurationValid").find("should be renewed"), std::string::npos);
  const auto warnings = [](const Plan& planned) {
    return std::count_if(planned.notices.begin(), planned.notices.end(), [](const Notice& each) {
      return each.reason == "CertificateExpires" && each.type == kube::Event::Type::kWarning;
    });
  };
  EXPECT_LT(*look().look_again, std::chrono::hours(24 * 17)) << "two weeks before";
  see_.now += *look().look_again;
  EXPECT_EQ(warnings(step()), 1);
  EXPECT_EQ(status("ConfigurationValid"), "True Valid");
  EXPECT_NE(message("ConfigurationValid")
                .find("the certificate of spec.clientTLS.secretRef should be renewed: it is valid "
                      "until 20"),
            std::string::npos)
      << message("ConfigurationValid");
  EXPECT_EQ(warnings(step()), 0);
  see_.certificate_secrets["orders-tls"] =
      tls_secret(authority_, fault::Wanted{.begin = -86400 + 16 * 86400, .end = 20 * 86400});
  EXPECT_EQ(warnings(step()), 0) << "a quarter of a short lifetime";
}

TEST_F(PlanTls, ACertificateForOtherHostsIsSaid) {
  bring_up();
  EXPECT_EQ(message("ConfigurationValid").find("not for"), std::string::npos);
  see_.certificate_secrets["orders-tls"] =
      tls_secret(authority_, fault::Wanted{.names = "DNS:orders-pooler", .end = 3650L * 86400});
  step();
  EXPECT_EQ(status("ConfigurationValid"), "True Valid") << "nobody has to verify it";
  EXPECT_NE(message("ConfigurationValid")
                .find(", but not for orders-pooler.shop.svc, the host of the pooled URLs"),
            std::string::npos)
      << message("ConfigurationValid");
}

TEST_F(PlanTls, TheDatabasesAuthorityIsUsedByAllAndPublished) {
  config_->spec.client_tls = {};
  config_->spec.database.tls.ca_secret = "db-ca";
  see_.certificate_secrets["db-ca"] = {{"ca.crt", authority_.pem()}};
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  const auto target = look().target.database;
  ASSERT_TRUE(target);
  EXPECT_EQ(target->connection.parameter("sslmode"), "verify-full");
  EXPECT_EQ(target->connection.certificates.authorities, authority_.pem());
  EXPECT_EQ(file_named_by("server_tls_ca_file"), authority_.pem());
  EXPECT_EQ(see_.published.data.at("direct-ca.crt"), authority_.pem());
  EXPECT_EQ(see_.published.data.at("DATABASE_URL"), std::string(kUri) + "?sslmode=verify-full");
  EXPECT_NE(see_.published.data.at("pooled-uri").find("sslmode=disable"), std::string::npos);

  const fault::Authority next;
  see_.certificate_secrets["db-ca"]["ca.crt"] = next.pem();
  EXPECT_TRUE(step().writes.empty()) << "a login with the new one comes first";
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  database_answers();
  see_.live.verification = {};
  step();
  settle();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_EQ(see_.published.data.at("direct-ca.crt"), next.pem());
}

TEST_F(PlanTls, BundlesDoNotFillTheSecret) {
  config_->spec.database.tls.ca_secret = "db-ca";
  const std::string bundle = std::string(200 * 1024, '#') + "\n" + authority_.pem();
  see_.certificate_secrets["db-ca"] = {{"ca.crt", bundle}};
  bring_up();
  for (auto& [uid, state] : see_.live.pods) state.marker.clear();  // nobody can be asked
  for (int i = 0; i < 6; ++i) {
    config_->spec.scaling.clients_per_replica = 10 + i;
    step();
    std::size_t bytes = 0;
    for (const auto& [name, file] : see_.files.data) bytes += file.size();
    EXPECT_LT(bytes, 300U * 1024U) << "once for all revisions, " << i;
  }
}

// ---- many users

class PlanManyUsers : public PlanTest {
 protected:
  PlanManyUsers() {
    want_many();
    see_.auth_secret = SecretData{{"username", "lookup"}, {"password", "l00k"}};
  }

  void want_many() {
    config_->spec.pgbouncer.auth.mode = api::PoolerAuth::Mode::kQuery;
    config_->spec.pgbouncer.auth.user_secret = "lookup";
  }
  void query_answers(live::Outcome outcome = live::Outcome::kOk) {
    const auto target = look().target.auth;
    ASSERT_TRUE(target);
    see_.live.auth = {target->token, outcome, "", ""};
    if (outcome == live::Outcome::kFailed) {
      see_.live.auth.field = "spec.pgbouncer.auth.query";
      see_.live.auth.message = "user \"lookup\" may not run the query";
    }
  }
  void bring_up_many() {
    step();
    database_answers();
    query_answers();
    bring_up();
    ASSERT_EQ(status("Ready"), "True Ready") << message("Ready");
  }
  [[nodiscard]] std::string file(const std::string& suffix) const {
    const auto marker = pgbouncer::marker_of_pod_file(see_.files.data.at("orders-pooler-0.ini"));
    return see_.files.data.at("rev-" + pgbouncer::revision_of(marker) + suffix);
  }
  // A trial and RELOADs, as often as there are some.
  void settle() {
    for (int round = 0; round < 6; ++round) {
      pods_reload();
      if (look().target.verification) verification_answers();
      step();
    }
  }
};

TEST_F(PlanManyUsers, TheQueryIsTriedBeforeThereIsAPod) {
  step();
  database_answers();
  const Plan planned = step();
  EXPECT_EQ(kinds(planned).count("StatefulSet"), 0U);
  ASSERT_TRUE(planned.target.auth);
  EXPECT_EQ(planned.target.auth->connection.user, "lookup");
  EXPECT_EQ(planned.target.auth->connection.password, "l00k");
  EXPECT_EQ(planned.target.auth->connection.database, "orders");
  EXPECT_EQ(planned.target.auth->user, "app");
  EXPECT_NE(planned.target.auth->question.find("E'app'"), std::string::npos);
  query_answers();
  EXPECT_EQ(kinds(step()).count("StatefulSet"), 1U);
  EXPECT_NE(file(".userlist.txt").find("\"lookup\" \"l00k\""), std::string::npos);
  EXPECT_EQ(file(".userlist.txt").find("\"app\""), std::string::npos);
}

TEST_F(PlanManyUsers, TheSecretHasTheDatabasesUser) {
  bring_up_many();
  EXPECT_EQ(see_.published.data.at("username"), "app");
  EXPECT_EQ(see_.published.data.at("password"), "s3cret");
  EXPECT_EQ(see_.published.data.at("DATABASE_URL"), kUri);
}

TEST_F(PlanManyUsers, LookupsAreInTheBudget) {
  config_->spec.budget.server_connections = 14;
  bring_up_many();
  // 14, less two of the operator's, for 4 pods: 3 each, of which one looks users up.
  EXPECT_NE(file(".pgbouncer.ini").find("\nmax_db_connections = 2\n"), std::string::npos);
  EXPECT_EQ(look().claim.held, 2 * 3 + 2);
  config_->spec.budget.server_connections = 9;
  const Plan planned = step();
  EXPECT_TRUE(planned.writes.empty());
  EXPECT_EQ(status("Stalled"), "True BudgetTooSmall");
  EXPECT_NE(message("Stalled").find("raise the budget to 10 or more"), std::string::npos)
      << message("Stalled");
}

TEST_F(PlanManyUsers, AQueryThatFailsIsSaidWithItsFieldAndNothingIsMade) {
  step();
  database_answers();
  query_answers(live::Outcome::kFailed);
  EXPECT_EQ(kinds(step()).count("StatefulSet"), 0U);
  EXPECT_EQ(status("ConfigurationValid"), "False AuthQueryFailed");
  EXPECT_EQ(message("ConfigurationValid").find("spec.pgbouncer.auth.query: user \"lookup\""), 0U);
  EXPECT_EQ(status("Stalled"), "absent") << "the database may be mended";
  const std::string told = message("ConfigurationValid");
  see_.live.auth = {};
  step();
  EXPECT_EQ(message("ConfigurationValid"), told) << "after a restart of the operator";
  query_answers(live::Outcome::kFailed);
  see_.live.database.outcome = live::Outcome::kFailed;
  see_.live.database.reason = api::reason::kConnectionRefused;
  step();
  EXPECT_EQ(status("ConfigurationValid"), "True Valid") << "while the database is away";
}

TEST_F(PlanManyUsers, AnotherQueryWaitsUntilItWorksAndIsLoaded) {
  bring_up_many();
  const auto before = see_.files.data;
  config_->spec.pgbouncer.auth.query = "SELECT * FROM pooler.lookup($1)";
  EXPECT_TRUE(step().writes.empty());
  query_answers(live::Outcome::kFailed);
  EXPECT_TRUE(step().writes.empty());
  EXPECT_EQ(status("ConfigurationValid"), "False AuthQueryFailed");
  EXPECT_EQ(status("PoolerAvailable"), "True Serving");
  EXPECT_EQ(see_.files.data, before);
  query_answers();
  const Plan planned = step();
  EXPECT_TRUE(planned.removals.empty());
  settle();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_NE(file(".pgbouncer.ini").find("\nauth_query = SELECT * FROM pooler.lookup($1)\n"),
            std::string::npos);
}

TEST_F(PlanManyUsers, AnotherPasswordOfTheRoleIsLoaded) {
  bring_up_many();
  see_.auth_secret->at("password") = "another";
  EXPECT_TRUE(step().writes.empty()) << "it has to log in first";
  query_answers();
  EXPECT_TRUE(step().removals.empty());
  settle();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_NE(file(".userlist.txt").find("\"lookup\" \"another\""), std::string::npos);
  EXPECT_TRUE(look().removals.empty());
}

TEST_F(PlanManyUsers, AnotherRoleReplacesThePods) {
  bring_up_many();
  see_.auth_secret->at("username") = "another";
  query_answers();
  step();
  EXPECT_TRUE(look().touches.empty());
  EXPECT_EQ(look().removals.size(), 1U);
}

TEST_F(PlanManyUsers, AnotherModeReplacesThePods) {
  bring_up_many();
  config_->spec.pgbouncer.auth = {};
  step();
  EXPECT_TRUE(look().touches.empty());
  EXPECT_EQ(look().removals.size(), 1U);
}

TEST_F(PlanManyUsers, APoolerOfOneUserIsReplacedOnceTheQueryWorks) {
  config_->spec.pgbouncer.auth = {};
  bring_up();
  ASSERT_EQ(status("Ready"), "True Ready");
  EXPECT_FALSE(look().target.auth);
  want_many();
  step();
  EXPECT_TRUE(look().removals.empty());
  query_answers(live::Outcome::kFailed);
  step();
  EXPECT_TRUE(look().removals.empty());
  EXPECT_EQ(status("PoolerAvailable"), "True Serving");
  query_answers();
  step();
  EXPECT_EQ(look().removals.size(), 1U);
}

TEST_F(PlanManyUsers, TheDatabasesOwnUserMayLookUpAndNeedNotBeFound) {
  config_->spec.pgbouncer.auth.user_secret.clear();
  see_.auth_secret.reset();
  bring_up_many();
  EXPECT_EQ(look().target.auth->connection.user, "app");
  EXPECT_EQ(look().target.auth->user, "") << "its password is in the files";
  EXPECT_NE(file(".userlist.txt").find("\"app\" \"s3cret\""), std::string::npos);
}

TEST_F(PlanManyUsers, ASecretThatCanNotBeUsedIsSaidAndThePoolerGoesOn) {
  bring_up_many();
  const auto before = see_.files.data;
  struct Wrong {
    std::optional<SecretData> secret;
    const char* status;
    const char* field;
  };
  for (const auto& [secret, said, field] : std::vector<Wrong>{
           {std::nullopt, "False SecretNotFound", "spec.pgbouncer.auth.userSecretRef.name: "},
           {SecretData{{"password", "l00k"}}, "False SecretKeyMissing",
            "spec.pgbouncer.auth.userSecretRef.keys.user: "},
           {SecretData{{"username", "lookup"}}, "False SecretKeyMissing",
            "spec.pgbouncer.auth.userSecretRef.keys.password: "},
           {SecretData{{"username", "lookup"}, {"password", "l00k\n"}}, "False SecretInvalid",
            "spec.pgbouncer.auth.userSecretRef: "},
           {SecretData{{"username", "app"}, {"password", "an0ther"}}, "False SecretInvalid",
            "spec.pgbouncer.auth.userSecretRef: "}}) {
    see_.auth_secret = secret;
    const Plan planned = step();
    EXPECT_TRUE(planned.writes.empty());
    EXPECT_TRUE(planned.removals.empty());
    EXPECT_EQ(status("ConfigurationValid"), said);
    EXPECT_EQ(message("ConfigurationValid").find(field), 0U) << message("ConfigurationValid");
    EXPECT_EQ(message("ConfigurationValid").find("l00k"), std::string::npos);
    EXPECT_EQ(message("ConfigurationValid").find("an0ther"), std::string::npos);
    EXPECT_EQ(status("PoolerAvailable"), "True Serving");
  }
  EXPECT_EQ(see_.files.data, before);
  see_.auth_secret = SecretData{{"username", "lookup"}, {"password", "l00k"}};
  step();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
}

TEST_F(PlanManyUsers, AWrongQueryIsSaidAndNothingIsAsked) {
  bring_up_many();
  for (const char* query : {"SELECT $1, 2; DROP TABLE t", "SELECT $1, $2", "SELECT 1, 2"}) {
    config_->spec.pgbouncer.auth.query = query;
    const Plan planned = step();
    EXPECT_TRUE(planned.writes.empty());
    EXPECT_FALSE(planned.target.auth);
    EXPECT_EQ(status("Stalled"), "True InvalidParameter") << query;
    EXPECT_EQ(message("Stalled").find("spec.pgbouncer.auth.query: "), 0U) << message("Stalled");
  }
}

TEST_F(PlanManyUsers, ALoginThatFailsAtThePoolerNamesWhoLooksUp) {
  step();
  database_answers();
  query_answers();
  step();
  pods_follow();
  step();
  const auto target = look().target.verification;
  ASSERT_TRUE(target);
  see_.live.verification = {target->token, live::Outcome::kFailed,
                            std::string(api::reason::kVerificationFailed), "no such user", false};
  step();
  EXPECT_EQ(status("SecretPublished"), "False VerificationFailed");
  EXPECT_NE(message("SecretPublished").find("no such user; each user is looked up"),
            std::string::npos);
  EXPECT_NE(message("SecretPublished").find("\"lookup\" (spec.pgbouncer.auth)"), std::string::npos);
}

TEST_F(PlanTest, ZeroReplicasStopThePooler) {
  bring_up();
  config_->spec.replicas = 0;
  step();
  EXPECT_EQ(see_.workload.replicas, 0);
  pods_follow();
  step();
  EXPECT_EQ(status("PoolerAvailable"), "False ScaledToZero");
  EXPECT_EQ(status("SecretPublished"), "True Published") << "the URLs stay";
}

TEST_F(PlanTest, FromZeroItIsAvailableOnlyWhenTheServiceLeadsThere) {
  bring_up();
  config_->spec.replicas = 0;
  step();
  pods_follow();
  step();
  config_->spec.replicas = 1;
  step();
  pods_follow();
  step();
  EXPECT_EQ(status("PoolerAvailable"), "False Progressing") << message("PoolerAvailable");
  EXPECT_EQ(status("Ready"), "False Progressing");
  verification_answers();
  step();
  EXPECT_EQ(status("Ready"), "True Ready");
  EXPECT_FALSE(look().target.verification);
}

TEST_F(PlanTest, APodThatDoesNotRunSaysWhyBeforeItsConsoleIsBlamed) {
  bring_up();
  ObservedPod& pod = see_.pods.back();
  live::PodState& console = see_.live.pods[pod.uid];
  console.outcome = live::Outcome::kFailed;
  console.marker.clear();
  console.message = "the admin console refuses connections";
  step();
  EXPECT_EQ(status("ConfigurationLoaded"), "Unknown OperatorCannotReachPooler");
  pod.ready = false;
  step();
  EXPECT_EQ(status("ConfigurationLoaded"), "False Reloading");
  pod.trouble = api::reason::kImagePullFailed;
  pod.trouble_message = "no such image";
  step();
  EXPECT_EQ(status("ConfigurationLoaded"), "False ImagePullFailed");
  EXPECT_NE(message("ConfigurationLoaded").find("no such image"), std::string::npos);
}

TEST_F(PlanTest, ALostAdminSecretReplacesThePodsOneByOne) {
  bring_up();
  see_.admin = {};
  see_.fresh_random.assign(engine::kAdminRandomBytes, 'q');
  step();
  for (auto& [uid, state] : see_.live.pods) {
    state.outcome = live::Outcome::kFailed;
    state.login_refused = true;
    state.marker.clear();
  }
  const auto first = see_.pods;
  for (int round = 0; round < 20; ++round) {
    step();
    pods_follow();
  }
  EXPECT_NE(see_.pods.at(0).uid, first.at(0).uid);
  EXPECT_NE(see_.pods.at(1).uid, first.at(1).uid);
  EXPECT_EQ(status("ConfigurationLoaded"), "True Loaded");
}

TEST_F(PlanTest, TransitionTimeChangesOnlyWithTheStatus) {
  bring_up();
  const std::string before = config_->status.find("Ready")->last_transition_time;
  see_.now += std::chrono::hours(1);
  step();
  EXPECT_EQ(config_->status.find("Ready")->last_transition_time, before);
  see_.database_secret = std::nullopt;
  step();
  EXPECT_NE(config_->status.find("Ready")->last_transition_time, before);
}

TEST_F(PlanTest, ARefusedWriteIsSaid) {
  step();
  see_.write_refused =
      "StatefulSet shop/orders-pooler: spec.template.spec.containers[0].image: Required";
  step();
  EXPECT_EQ(status("ConfigurationValid"), "False InvalidPodTemplate");
}

}  // namespace
}  // namespace pooler::reconcile
