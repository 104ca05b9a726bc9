#include "unit/reconcile/plan_fixture.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "base/json.h"
#include "base/strings.h"
#include "engine/pgbouncer/render.h"
#include "engine/secrets.h"
#include "kube/kinds.h"

namespace pooler::reconcile {
namespace {

namespace pgbouncer = engine::pgbouncer;

SecretData decoded(const Json& body) {
  SecretData data;
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

}  // namespace

// ---- with either engine

PlanFixture::PlanFixture() : config_(std::make_shared<api::PoolerConfig>()) {
  config_->name = "orders";
  config_->ns = "shop";
  config_->uid = "uid-1";
  config_->generation = 1;
  config_->spec.database.secret_name = "orders-db";
  config_->spec.connection_secret.name = "orders-pooler";
  see_.default_image = "pgbouncer:test";
  see_.fresh_random.assign(engine::kAdminRandomBytes, 'r');
  see_.now = WallTime(std::chrono::seconds(1'800'000'000));
}

Plan PlanFixture::look() {
  see_.config = config_;
  return plan(see_);
}

Plan PlanFixture::step() {
  Plan planned = look();
  for (const Write& each : planned.writes) carry_out(each);
  for (const Removal& each : planned.removals) carry_out(each);
  config_->status = planned.status;
  return planned;
}

void PlanFixture::database_answers() {
  see_.live.database.token = look().target.database->token;
  see_.live.database.outcome = live::Outcome::kOk;
  live::Server server;
  server.identity = "10.0.0.9:5432";
  server.max_connections = 60;
  server.superuser_reserved_connections = 3;
  see_.live.database.server = server;
}

std::string PlanFixture::status(const std::string& type) const {
  const api::Condition* found = config_->status.find(type);
  return found == nullptr ? "absent" : std::string(to_string(found->status)) + " " + found->reason;
}

std::string PlanFixture::message(const std::string& type) const {
  const api::Condition* found = config_->status.find(type);
  return found == nullptr ? "" : found->message;
}

void PlanFixture::carry_out(const Write& each) {
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

void PlanFixture::carry_out(const Removal& each) {
  if (each.type == kube::PodDisruptionBudget::kType) see_.disruption_budget = {};
  if (each.type == kube::NetworkPolicy::kType) see_.network_policy = {};
  for (ObservedPod& pod : see_.pods) {
    if (pod.uid == each.uid) pod.deleting = true, pod.ready = false;
  }
}

// ---- with engine PgBouncer

PlanTest::PlanTest() {
  config_->spec.replicas = 2;
  config_->spec.scaling.max_replicas = 3;
  see_.database_secret = SecretData{{"uri", kUri}};
}

void PlanTest::pods_follow() {
  std::vector<ObservedPod> pods;
  for (int i = 0; i < see_.workload.replicas; ++i) {
    const auto old = std::find_if(see_.pods.begin(), see_.pods.end(), [i](const auto& pod) {
      return pod.ordinal == i && !pod.deleting;
    });
    pods.push_back(old != see_.pods.end() ? *old : new_pod(i));
  }
  see_.pods = pods;
}

ObservedPod PlanTest::new_pod(int ordinal) {
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
  state.marker = pgbouncer::marker_of_pod_file(see_.files.data.at(pod.name + ".ini"));
  return pod;
}

void PlanTest::pods_reload() {
  const Plan planned = look();
  for (const live::PodTarget& pod : planned.target.pods) {
    if (!pod.reload_to.empty()) see_.live.pods[pod.uid].marker = pod.reload_to;
  }
}

void PlanTest::verification_answers() {
  const auto target = look().target.verification;
  ASSERT_TRUE(target) << message("SecretPublished");
  see_.live.verification = {target->token, live::Outcome::kOk, "", ""};
}

void PlanTest::bring_up_pods() {
  step();
  database_answers();
  step();
  pods_follow();
  step();
}

void PlanTest::bring_up() {
  bring_up_pods();
  verification_answers();
  step();
  step();
}

void PlanTest::settle() {
  for (int round = 0; round < 6; ++round) {
    pods_reload();
    if (look().target.verification) verification_answers();
    step();
  }
}

std::multiset<std::string> PlanTest::assigned() const {
  std::multiset<std::string> markers;
  for (const auto& [name, bytes] : see_.files.data) {
    if (name.starts_with("orders-pooler-")) markers.insert(pgbouncer::marker_of_pod_file(bytes));
  }
  return markers;
}

std::string PlanTest::target_hash() const {
  return pgbouncer::revision_of(
      pgbouncer::marker_of_pod_file(see_.files.data.at("orders-pooler-0.ini")));
}

std::string PlanTest::target_file(const std::string& suffix) const {
  return see_.files.data.at("rev-" + target_hash() + suffix);
}

std::multiset<std::string> PlanTest::kinds(const Plan& planned) {
  std::multiset<std::string> names;
  for (const Write& each : planned.writes) names.insert(std::string(each.type.kind));
  return names;
}

}  // namespace pooler::reconcile
