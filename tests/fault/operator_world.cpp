#include "fault/operator_world.h"

#include <algorithm>
#include <vector>

#include "base/json.h"
#include "base/strings.h"
#include "engine/pgbouncer/console.h"
#include "engine/pgbouncer/render.h"

namespace pooler::fault {
namespace {

using reconcile::PoolerConfigObject;
constexpr const char* kManager = "pooler-operator";
constexpr const char* kProject = "abcdefghijklmnopqrst";
const kube::ObjectKey kOrders{"shop", "orders"};

bool is_write(const kube::Request& request) {
  return request.method != kube::Method::kGet && request.path.find("/events") == std::string::npos;
}

Object metadata(const std::string& name) { return {{"name", name}, {"namespace", "shop"}}; }

template <class K>
void fill(kube::Store<K>& store, const FakeApiServer& server, const kube::ResourceType& type,
          bool ours) {
  std::vector<K> objects;
  for (const Object& object : server.all(type)) {
    if (ours && object.value("/metadata/labels/app.kubernetes.io~1managed-by"_json_pointer,
                             std::string()) != kManager) {
      continue;
    }
    auto decoded = K::decode(object.dump());
    if (!decoded) throw std::runtime_error(decoded.error());
    objects.push_back(std::move(decoded).value());
  }
  (void)store.replace("", std::move(objects), std::to_string(server.version()));
}

// The template as a short name that changes with it.
std::string revision_of(const Object& set) {
  return std::to_string(std::hash<std::string>{}(set["spec"]["template"].dump()));
}

}  // namespace

Result<kube::Response, kube::TransportError> WorldTransport::send(const kube::Request& request,
                                                                  std::stop_token stop) {
  using Kind = kube::TransportError::Kind;
  if (crashed_) return failure(kube::TransportError{Kind::kCanceled, "the process is dead"});
  if (!forbidden_.empty() && request.path.ends_with(forbidden_)) {
    return kube::Response{403, std::nullopt, to_status({403, "Forbidden", "not for you"}).dump()};
  }
  if (!is_write(request) || ++writes_ != at_) return inner_.send(request, stop);
  switch (fault_) {
    case Fault::kNone:
      break;
    case Fault::kCrash:
      (void)inner_.send(request, stop);
      crashed_ = true;
      return failure(kube::TransportError{Kind::kCanceled, "the process is dead"});
    case Fault::kResponseLost:
      (void)inner_.send(request, stop);
      return failure(kube::TransportError{Kind::kDisconnected, "cut"});
    case Fault::kNotApplied:
      return failure(kube::TransportError{Kind::kTimeout, "silent"});
    case Fault::kConflict:
      return kube::Response{409, std::nullopt, to_status({409, "Conflict", "try again"}).dump()};
    case Fault::kServerError:
      return kube::Response{500, std::nullopt,
                            to_status({500, "InternalError", "etcd is slow"}).dump()};
  }
  return inner_.send(request, stop);
}

// ---- the world

live::DatabaseState HealthyWorld::database(const live::DatabaseTarget& target) const {
  live::DatabaseState state;
  state.token = target.token;
  state.outcome = database_up ? live::Outcome::kOk : live::Outcome::kFailed;
  if (!database_up) {
    state.reason = "ConnectionRefused";
    state.message = "down";
    return state;
  }
  if (!wrong_password.empty() && target.connection.password == wrong_password) {
    state.outcome = live::Outcome::kFailed;
    state.reason = "AuthenticationFailed";
    state.message = "wrong";
    state.refused = target.refusal_pause > Duration::zero();
    return state;
  }
  live::Server server;
  server.identity = "10.0.0.9:5432";
  server.max_connections = max_connections;
  server.superuser_reserved_connections = 3;
  state.server = server;
  return state;
}

live::AuthState HealthyWorld::auth(const live::AuthTarget& target) const {
  if (database_up && lookups_work) return {target.token, live::Outcome::kOk, "", ""};
  return {target.token, live::Outcome::kFailed, "spec.pgbouncer.auth.query", "not allowed"};
}

std::string HealthyWorld::loaded(const std::string& pod_uid) const {
  const auto found = loaded_.find(pod_uid);
  return found == loaded_.end() ? "" : found->second;
}

std::string HealthyWorld::certificate(const std::string& pod_uid) const {
  const auto found = certificates_.find(pod_uid);
  return found == certificates_.end() ? "" : found->second;
}

void HealthyWorld::reload(const FakeApiServer& server, const std::string& pod_name,
                          const std::string& pod_uid) {
  const std::string workload = pod_name.substr(0, pod_name.rfind('-'));
  load(server, {"shop", workload + "-config"}, pod_name, pod_uid);
}

void HealthyWorld::load(const FakeApiServer& server, const kube::ObjectKey& files,
                        const std::string& pod_name, const std::string& pod_uid) {
  namespace pgbouncer = engine::pgbouncer;
  std::map<std::string, std::string> texts;
  const auto secret = server.find(kube::Secret::kType, files);
  for (const auto& [name, bytes] : (*secret)["data"].items()) {
    texts[name] = base64_decode(bytes.get<std::string>()).value();
  }
  const std::string marker = pgbouncer::marker_of_pod_file(texts[pod_name + ".ini"]);
  const std::string revision = pgbouncer::revision_of(marker);
  bool certificate_refused = false;
  for (const std::string& name : pgbouncer::files_of(texts, revision)) {
    if (refused_text.empty() || texts.at(name).find(refused_text) == std::string::npos) continue;
    certificate_refused = name.ends_with(".crt");
    if (certificate_refused) continue;
    loaded_[pod_uid] = pgbouncer::kNoMarker;
    return;
  }
  loaded_[pod_uid] = marker;
  if (certificate_refused) return;
  certificates_[pod_uid] = pgbouncer::shown_certificate(texts, revision).value_or("");
}

bool HealthyWorld::cluster_step(FakeApiServer& server) {
  for (const Object& set : server.all(kube::StatefulSet::kType)) {
    if (set["spec"].contains("template") && step_one(server, set)) return true;
  }
  return false;
}

bool HealthyWorld::step_one(FakeApiServer& server, const Object& set) {
  const std::string name = set["metadata"]["name"];
  const std::string revision = revision_of(set);
  const kube::ObjectKey key{"shop", name};
  if (set["status"].value("updateRevision", std::string()) != revision ||
      set["status"].value("observedGeneration", 0) != set["metadata"].value("generation", 0)) {
    return server.edit_status(kube::StatefulSet::kType, key, [&](Object& object) {
      object["status"]["updateRevision"] = revision;
      object["status"]["observedGeneration"] = object["metadata"]["generation"];
    });
  }
  const int replicas = set["spec"]["replicas"];
  for (const Object& pod : server.all(kube::Pod::kType)) {
    const std::string pod_name = pod["metadata"]["name"];
    if (!pod_name.starts_with(name + "-")) continue;  // another set's
    const int ordinal = std::stoi(pod_name.substr(name.size() + 1));
    const bool leaving = pod["metadata"].contains("deletionTimestamp");
    if (leaving || ordinal >= replicas) return server.erase(kube::Pod::kType, {"shop", pod_name});
  }
  const auto files = server.find(kube::Secret::kType, {"shop", name + "-config"});
  for (int i = 0; i < replicas && files; ++i) {
    const std::string pod_name = name + "-" + std::to_string(i);
    if (server.find(kube::Pod::kType, {"shop", pod_name})) continue;
    const auto file = (*files)["data"].find(pod_name + ".ini");
    if (file == (*files)["data"].end()) continue;  // the container can't start yet
    Object pod{{"metadata", metadata(pod_name)}, {"spec", Object::object()}};
    pod["metadata"]["labels"] = set["spec"]["template"]["metadata"]["labels"];
    pod["metadata"]["labels"]["controller-revision-hash"] = revision;
    pod["metadata"]["ownerReferences"] = {{{"apiVersion", "apps/v1"},
                                           {"kind", "StatefulSet"},
                                           {"name", name},
                                           {"uid", set["metadata"]["uid"]},
                                           {"controller", true}}};
    const Object made = server.create(kube::Pod::kType, pod);
    server.edit_status(kube::Pod::kType, {"shop", pod_name}, [&](Object& object) {
      object["status"] = {{"phase", "Running"},
                          {"podIP", "10.1.0." + std::to_string(i + 1)},
                          {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}};
    });
    load(server, {"shop", name + "-config"}, pod_name, made["metadata"]["uid"]);
    return true;
  }
  return false;
}

// ---- Supabase

Result<kube::Response, kube::TransportError> FakeManagementApi::send(const kube::Request& request,
                                                                     std::stop_token) {
  using Kind = kube::TransportError::Kind;
  const auto broken = [](Kind kind) { return failure(kube::TransportError{kind, "spoiled"}); };
  tokens.push_back(request.bearer_token);
  switch (mood) {
    case Mood::kUnauthorized:
      return kube::Response{401, std::nullopt, R"({"message": "Unauthorized"})"};
    case Mood::kForbidden:
      return kube::Response{403, std::nullopt, R"({"message": "Forbidden"})"};
    case Mood::kNotFound:
      return kube::Response{404, std::nullopt, R"({"message": "Project not found"})"};
    case Mood::kTooManyRequests:
      return kube::Response{429, retry_after, "{}"};
    case Mood::kServerError:
      return kube::Response{503, std::nullopt, "<html>"};
    case Mood::kSilent:
      return broken(Kind::kTimeout);
    case Mood::kNotThere:
      return broken(Kind::kConnect);
    case Mood::kUntrusted:
      return broken(Kind::kTls);
    case Mood::kBroken:
      return broken(Kind::kDisconnected);
    case Mood::kTooLong:
      return broken(Kind::kProtocol);
    default:
      return kube::Response{200, std::nullopt, body()};
  }
}

std::string FakeManagementApi::body() const {
  if (mood == Mood::kNoJson) return "<html>";
  Object entry = {{"database_type", mood == Mood::kNoPrimary ? "READ_REPLICA" : "PRIMARY"},
                  {"db_user", std::string("postgres.") + kProject},
                  {"db_host", mood == Mood::kElsewhere ? "pooler.example.com" : host},
                  {"db_port", 6543},
                  {"default_pool_size", 15},
                  {"max_client_conn", 200}};
  return Object::array({std::move(entry)}).dump();
}

// ---- the operator

// The reader without its thread: what is due is asked at once.
class OperatorWorld::FakeProjects final : public reconcile::ProjectReader {
 public:
  FakeProjects(FakeManagementApi& api, const Clock& clock) : api_(api), clock_(clock) {}
  void set_target(const std::string& key, const hosted::ProjectTarget& target) override {
    projects_.set_target(key, target, clock_.monotonic());
    ask();
  }
  // All that is due, as the reader's thread does it.
  void ask() {
    while (const auto question = projects_.next(clock_.monotonic())) {
      projects_.answered(*question, api_.send(question->request, {}), clock_.monotonic());
    }
  }
  void forget(const std::string& key) override { projects_.forget(key); }
  hosted::ProjectState state(const std::string& key) const override { return projects_.state(key); }

 private:
  FakeManagementApi& api_;
  const Clock& clock_;
  hosted::Projects projects_;
};

class OperatorWorld::FakeLive final : public reconcile::LiveLoop {
 public:
  FakeLive(HealthyWorld& world, const FakeApiServer& server) : world_(world), server_(server) {}
  void set_target(const std::string& key, live::LiveTarget target) override {
    live::LiveState state;
    if (target.database) {
      state.database = world_.database(*target.database);
      const bool tried = states_[key].database.token != target.database->token;
      if (state.database.refused && tried && !target.database->refused_before) ++world_.wrong_tries;
    }
    if (target.auth) state.auth = world_.auth(*target.auth);
    for (const live::PodTarget& pod : target.pods) {
      const bool told = !pod.reload_to.empty();
      if (told) world_.reload(server_, pod.name, pod.uid);
      const bool refused = told && !loaded_whole(pod);
      state.pods[pod.uid] = {
          .outcome = live::Outcome::kOk,
          .message = "",
          .login_refused = false,
          .marker = marker(pod, states_[key]),
          .version = "1.26.1",
          .reload = {.marker = pod.reload_to,
                     .nudges = 0,
                     .failed = refused,
                     .message = refused ? "refused" : ""},
          .flow = pod.paused ? live::PodState::Flow::kPaused : live::PodState::Flow::kServing};
    }
    if (target.verification) {
      state.verification = {target.verification->token, live::Outcome::kOk, "", ""};
    }
    states_[key] = state;
  }
  void forget(const std::string& key) override { states_.erase(key); }
  live::LiveState state(const std::string& key) const override {
    const auto found = states_.find(key);
    return found == states_.end() ? live::LiveState() : found->second;
  }

 private:
  // With the certificate that goes with it.
  [[nodiscard]] bool loaded_whole(const live::PodTarget& pod) const {
    const std::string loaded = world_.loaded(pod.uid);
    const auto wanted = pod.certificates.find(engine::pgbouncer::revision_of(loaded));
    return loaded != engine::pgbouncer::kNoMarker &&
           (wanted == pod.certificates.end() || wanted->second == world_.certificate(pod.uid));
  }
  // What was loaded as a whole; where that was before this operator, it is not known.
  [[nodiscard]] std::string marker(const live::PodTarget& pod,
                                   const live::LiveState& before) const {
    if (loaded_whole(pod)) return world_.loaded(pod.uid);
    const auto known = before.pods.find(pod.uid);
    return known == before.pods.end() ? std::string(engine::pgbouncer::kNoMarker)
                                      : known->second.marker;
  }

  HealthyWorld& world_;
  const FakeApiServer& server_;
  std::map<std::string, live::LiveState> states_;
};

OperatorWorld::OperatorWorld() {
  TypeRules configs;
  configs.api_version = api::kApiVersion;
  configs.kind = api::kKind;
  configs.plural = api::kPlural;
  configs.status_subresource = true;
  configs.generation = true;
  configs.custom_resource = true;
  server_.serve(configs);
  restart_operator();
}

OperatorWorld::~OperatorWorld() = default;

void OperatorWorld::restart_operator() {
  reconciler_.reset();
  transport_.reborn();
  caches_ = std::make_unique<reconcile::Caches>();
  filled_at_.reset();
  client_ = std::make_unique<kube::Client>(
      transport_, kube::ClientOptions{.field_manager = kManager,
                                      .sleep = [](Duration, std::stop_token) { return true; }});
  live_ = std::make_unique<FakeLive>(world_, server_);
  projects_ = std::make_unique<FakeProjects>(management_, clock_);
  reconciler_ = std::make_unique<reconcile::Reconciler>(
      *caches_, *client_, *live_, *projects_, clock_,
      reconcile::Options{.default_image = "pgbouncer:test", .operator_namespace = "poolers"});
}

void OperatorWorld::user_applies(int replicas, int max_replicas, const std::string& name) {
  server_.create(kube::Secret::kType,
                 {{"metadata", metadata(name + "-db")},
                  {"data", {{"uri", base64_encode("postgresql://app:pw@db:5432/orders")}}}});
  server_.create(PoolerConfigObject::kType,
                 {{"metadata", metadata(name)},
                  {"spec",
                   {{"database", {{"secretRef", {{"name", name + "-db"}}}}},
                    {"replicas", replicas},
                    {"scaling", {{"maxReplicas", max_replicas}}}}}});
}

void OperatorWorld::user_applies_project() {
  server_.create(kube::Secret::kType, {{"metadata", metadata("orders-db")},
                                       {"data", {{"password", base64_encode("pw")}}}});
  server_.create(kube::Secret::kType, {{"metadata", metadata("supabase")},
                                       {"data", {{"token", base64_encode("sbp_t0ken")}}}});
  server_.create(
      PoolerConfigObject::kType,
      {{"metadata", metadata("orders")},
       {"spec",
        {{"database", {{"secretRef", {{"name", "orders-db"}}}}},
         {"engine", "Supabase"},
         {"supabase",
          {{"projectRef", kProject}, {"managementTokenSecretRef", {{"name", "supabase"}}}}}}}});
}

void OperatorWorld::user_sets(const std::string& name, const std::string& key,
                              const std::string& value) {
  server_.edit(kube::Secret::kType, {"shop", name},
               [&](Object& object) { object["data"][key] = base64_encode(value); });
}

void OperatorWorld::user_edits(const std::function<void(Object& spec)>& change) {
  server_.edit(PoolerConfigObject::kType, kOrders,
               [&change](Object& object) { change(object["spec"]); });
}

void OperatorWorld::user_disables() {
  server_.edit(PoolerConfigObject::kType, kOrders, [](Object& object) {
    object["metadata"]["annotations"]["pooler.dev/reconcile"] = "disabled";
  });
}

void OperatorWorld::user_deletes() {
  server_.erase(PoolerConfigObject::kType, kOrders);
  server_.erase(kube::Secret::kType, {kOrders.ns, "orders-db"});
}

void OperatorWorld::fill_caches() {
  fill(caches_->configs, server_, PoolerConfigObject::kType, false);
  fill(caches_->secrets, server_, kube::Secret::kType, true);
  fill(caches_->services, server_, kube::Service::kType, true);
  fill(caches_->workloads, server_, kube::StatefulSet::kType, true);
  fill(caches_->disruption_budgets, server_, kube::PodDisruptionBudget::kType, true);
  fill(caches_->network_policies, server_, kube::NetworkPolicy::kType, true);
  fill(caches_->pods, server_, kube::Pod::kType, true);
  fill(caches_->secret_names, server_, kube::Secret::kType, false);
}

// True: something was written, by the operator or by the cluster.
bool OperatorWorld::round() {
  const auto before = server_.version();
  if (before != filled_at_) fill_caches();
  filled_at_ = before;
  for (const auto& config : caches_->configs.list("shop")) {
    (void)reconciler_->reconcile(config->meta.key());
  }
  projects_->ask();
  if (transport_.crashed()) restart_operator();
  const bool moved = world_.cluster_step(server_);
  clock_.advance(std::chrono::seconds(31));
  return moved || server_.version() != before;
}

bool OperatorWorld::settle() {
  int quiet = 0;
  for (int i = 0; i < 300; ++i) {
    quiet = round() ? 0 : quiet + 1;
    if (quiet == 4) return true;  // the live loop's answers arrive a round later
  }
  return false;
}

int OperatorWorld::resync() {
  const int before = transport_.writes();
  for (int i = 0; i < 3; ++i) round();
  return transport_.writes() - before;
}

std::map<std::string, std::pair<int, int>> OperatorWorld::creates_and_deletes() const {
  std::map<std::string, std::pair<int, int>> counts;
  for (const WriteRecord& record : server_.writes()) {
    if (record.manager != kManager || record.verb == "patch") continue;
    auto& [creates, deletes] = counts[record.plural + " " + to_string(record.key)];
    creates += record.verb == "create" ? 1 : 0;
    deletes += record.verb == "delete" ? 1 : 0;
  }
  return counts;
}

std::string OperatorWorld::end_state() const {
  std::string text;
  const auto add = [&text](const Object& object, const Object& part) {
    text += object["metadata"]["name"].get<std::string>() + " " + part.dump() + "\n";
  };
  for (const auto& type : {kube::Service::kType, kube::StatefulSet::kType,
                           kube::PodDisruptionBudget::kType, kube::NetworkPolicy::kType}) {
    for (const Object& object : server_.all(type)) add(object, object["spec"]);
  }
  for (const Object& secret : server_.all(kube::Secret::kType)) {
    Object shown = Object::array();
    const std::string name = secret["metadata"]["name"];
    // The admin Secret is random, and with it revisions: their number counts.
    if (name == "orders-pooler")
      shown = secret["data"];
    else
      shown.push_back(secret["data"].size());
    add(secret, shown);
  }
  for (const Object& pod : server_.all(kube::Pod::kType)) add(pod, Object::object());
  const auto config = server_.find(PoolerConfigObject::kType, kOrders);
  for (const Object& condition : (*config)["status"]["conditions"]) {
    text += condition["type"].get<std::string>() + " " + condition["status"].get<std::string>() +
            " " + condition["reason"].get<std::string>() + "\n";
  }
  return text;
}

}  // namespace pooler::fault
