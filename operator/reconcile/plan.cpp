#include "reconcile/plan.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/crypto.h"
#include "base/json.h"
#include "base/strings.h"
#include "engine/pgbouncer/workload.h"
#include "kube/kinds.h"
#include "reconcile/conditions.h"
#include "reconcile/rollout.h"
#include "urls/published.h"

namespace pooler::reconcile {
namespace {

namespace pgbouncer = engine::pgbouncer;
using api::ConditionStatus;

// Of the whole body, keyed: what a newer apply no longer has is seen to be gone, and the hash of a
// Secret is no oracle for guessing it.
constexpr const char* kHashAnnotation = "pooler.dev/content-hash";

// An object that is on its way out, or somebody else's, tells nobody when it is gone.
constexpr std::chrono::seconds kLookAgainLeaving{2};
constexpr std::chrono::seconds kLookAgainForeign{30};

std::string token_of(const std::string& text) { return hex_encode(sha256(text)); }

class Planner {
 public:
  explicit Planner(const Observed& observed) : see_(observed), config_(*observed.config) {}

  Plan run() {
    const bool sound = check_spec();
    if (sound) resolve_database();
    take_admin();
    ask_database();
    settle_budget();
    settle_revision();
    roll_out_pods();
    publish();
    ask_pods();
    judge();
    return std::move(plan_);
  }

 private:
  // ---- the spec and the database Secret

  bool check_spec() {
    const auto problems = api::validate(config_);
    if (problems.empty()) return true;
    refuse(problems.front());
    spec_invalid_ = true;
    return false;
  }

  void refuse(const api::Problem& problem) {
    if (verdicts_.configuration_valid.status == ConditionStatus::kFalse) return;
    const std::string where = problem.field.empty() ? "" : problem.field + ": ";
    verdicts_.configuration_valid = no(problem.reason, where + problem.message);
  }

  void resolve_database() {
    if (!see_.database_secret) {
      const std::string& name = config_.spec.database.secret_name;
      refuse({std::string(api::reason::kSecretNotFound), "spec.database.secretRef.name",
              "Secret " + config_.ns + "/" + name +
                  " does not exist; create it with the key uri, or with host, username, password "
                  "and dbname"});
      return;
    }
    auto resolved = urls::resolve(config_.spec.database, *see_.database_secret, config_.ns);
    if (!resolved) return refuse(resolved.error());
    const auto problems = pgbouncer::check(*resolved);
    if (!problems.empty()) return refuse(problems.front());
    database_ = std::move(resolved).value();
    database_token_ = token_of(urls::to_uri(*database_));
  }

  // ---- objects

  template <class C>
  bool usable(const C& child) {
    if (child.ownership == Ownership::kForeign) {
      foreign_.push_back(&child);
      look_again(kLookAgainForeign);
    }
    if (child.ownership == Ownership::kLeaving) look_again(kLookAgainLeaving);
    return child.ownership == Ownership::kAbsent || child.ours();
  }

  void look_again(Duration after) {
    plan_.look_again = plan_.look_again ? std::min(*plan_.look_again, after) : after;
  }

  void write(const kube::ResourceType& type, Json body, const Child& child) {
    if (spec_invalid_ || !usable(child)) return;
    if (!body["metadata"].contains("annotations") ||
        !body["metadata"]["annotations"].contains(kHashAnnotation)) {
      body["metadata"]["annotations"][kHashAnnotation] =
          hex_encode(hmac_sha256(admin_->hash_key, to_bytes(body))).substr(0, 16);
    }
    if (child.ours() && is_subset(body, parse_json(child.body))) return;
    plan_.writes.push_back({type, to_bytes(body), child.ours() ? child.meta : kube::Meta{}, {}});
  }

  void remove(const kube::ResourceType& type, const Child& child) {
    if (!child.ours()) return;
    plan_.removals.push_back({type, child.meta.key(), child.meta.uid, {}});
  }

  // The operator's login to the consoles: made once, made anew where somebody deleted it.
  void take_admin() {
    if (see_.admin.ours()) admin_ = pgbouncer::read_admin_secret(see_.admin.data);
    if (!admin_ && (see_.admin.ours() || see_.admin.ownership == Ownership::kAbsent)) {
      admin_ = pgbouncer::make_admin(see_.fresh_random);
    }
    if (!usable(see_.admin)) admin_.reset();
    // Nothing is made for a PoolerConfig that can't be run.
    makes_objects_ = admin_ && !spec_invalid_ && (database_ || see_.workload.ours());
    if (!makes_objects_ || blocked_by_others()) return;
    write(kube::Secret::kType, pgbouncer::admin_secret(config_, *admin_), see_.admin);
    write(kube::Service::kType, pgbouncer::client_service(config_), see_.client);
    write(kube::Service::kType, pgbouncer::peers_service(config_), see_.peers);
  }

  // A name of ours is taken: a pooler that runs goes on, a new one is not begun.
  bool blocked_by_others() {
    for (const Child* child :
         {static_cast<const Child*>(&see_.workload), static_cast<const Child*>(&see_.client),
          static_cast<const Child*>(&see_.peers), static_cast<const Child*>(&see_.files),
          static_cast<const Child*>(&see_.admin)}) {
      if (!usable(*child) && !see_.workload.ours()) blocked_ = true;
    }
    return blocked_;
  }

  // ---- budget and revision

  void ask_database() {
    if (database_) plan_.target.database = {*database_, database_token_};
    if (see_.live.database.token != database_token_) return;
    database_state_ = &see_.live.database;
    if (database_state_->server) server_ = &*database_state_->server;
  }

  [[nodiscard]] bool database_answers() const {
    return database_state_ != nullptr && database_state_->outcome == live::Outcome::kOk;
  }

  void settle_budget() {
    share_ = share_of(config_, server_, see_.others);
    budget_ = share_.budget;
    budget_source_ = share_.source;
    // The last rendered budget stays while the server can't be asked.
    if (!budget_ && config_.status.effective.budget) {
      budget_ = config_.status.effective.budget;
      budget_source_ = config_.status.effective.budget_source;
      share_.ceiling = *budget_;
      remembered_ = true;
    }
    if (!budget_) return;
    const int ordinals = pgbouncer::ordinals(config_);
    floor_ = (*budget_ - kOperatorConnections) / ordinals;
    if (floor_ >= 1) return;
    refuse({std::string(api::reason::kBudgetTooSmall),
            budget_source_ == "Spec" ? "spec.budget.serverConnections" : "spec.scaling.maxReplicas",
            "the budget of " + std::to_string(*budget_) +
                " server connections, less 1 for the operator, gives none to each of " +
                std::to_string(ordinals) + " pods (maxReplicas and a spare): raise the budget to " +
                std::to_string(ordinals + kOperatorConnections) +
                " or more, or lower spec.scaling.maxReplicas"});
  }

  // A new revision needs a login with the very values that it will use, and a budget that was just
  // read. One that the files already have needs neither: nothing changes.
  void settle_revision() {
    if (!admin_ || !database_ || floor_ < 1 || spec_invalid_) return;
    auto revision = pgbouncer::render(config_, {*database_, *admin_, floor_});
    const bool known = see_.files.data.contains(pgbouncer::settings_file_name(revision.hash));
    const bool lost = !see_.files.ours() && see_.workload.ours();  // the Secret was deleted by hand
    if (!known && !lost && (!database_answers() || remembered_)) return;
    target_ = std::move(revision);
  }

  int floor_of(const std::string& revision) const {
    if (target_ && revision == target_->hash) return floor_;
    const auto file = see_.files.data.find(pgbouncer::settings_file_name(revision));
    const auto floor =
        file == see_.files.data.end() ? std::nullopt : pgbouncer::floor_of(file->second);
    return floor.value_or(budget_.value_or(0) + 1);  // unknown: never a reason to grow
  }

  // ---- pods

  std::vector<Ordinal> ordinals() const {
    std::size_t count = static_cast<std::size_t>(pgbouncer::ordinals(config_));
    for (const ObservedPod& pod : see_.pods) {
      count = std::max(count, static_cast<std::size_t>(pod.ordinal) + 1);
    }
    std::vector<Ordinal> list(std::min<std::size_t>(count, 2 * api::kMaxReplicas));
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto file =
          see_.files.data.find(pgbouncer::pod_file_name(config_, static_cast<int>(i)));
      if (file == see_.files.data.end()) continue;
      const std::string revision = pgbouncer::revision_of_pod_file(file->second);
      const bool whole = see_.files.data.contains(pgbouncer::settings_file_name(revision));
      if (whole) list[i].assigned = revision;
    }
    for (const ObservedPod& pod : see_.pods) {
      if (pod.ordinal < 0 || static_cast<std::size_t>(pod.ordinal) >= list.size()) continue;
      fill(list[static_cast<std::size_t>(pod.ordinal)], pod);
    }
    return list;
  }

  void fill(Ordinal& ordinal, const ObservedPod& pod) const {
    ordinal.exists = true;
    ordinal.ready = pod.ready;
    ordinal.deleting = pod.deleting;
    ordinal.template_current =
        !see_.workload.revision_known || pod.template_revision == see_.workload.update_revision;
    const auto state = see_.live.pods.find(pod.uid);
    if (state == see_.live.pods.end()) return;
    ordinal.console_answers = state->second.outcome == live::Outcome::kOk;
    ordinal.login_refused = state->second.login_refused;
    ordinal.loaded = state->second.revision;
  }

  void roll_out_pods() {
    ordinals_ = ordinals();
    RolloutInput input{.ordinals = ordinals_,
                       .limit = pgbouncer::ordinals(config_),
                       .desired = desired(),
                       .replicas = see_.workload.ours() ? see_.workload.replicas : 0,
                       .target = std::nullopt,
                       .may_replace = database_answers() && !spec_invalid_,
                       .ceiling = std::max(0, share_.ceiling - kOperatorConnections),
                       .floor = [this](const std::string& r) { return floor_of(r); }};
    if (target_) input.target = target_->hash;
    rollout_ = roll_out(input);
    plan_.claim.held = rollout_.held + (database_ ? kOperatorConnections : 0);
    plan_.claim.asked = !database_ || (database_state_ != nullptr &&
                                       database_state_->outcome != live::Outcome::kUnknown);
    plan_.claim.identity = server_ != nullptr ? server_->identity : "";
    plan_.claim.explicit_budget = config_.spec.budget.server_connections;
    if (makes_objects_ && !blocked_) write_workload();
  }

  [[nodiscard]] int desired() const { return config_.spec.replicas.value_or(0); }

  void write_workload() {
    const bool has_files = target_ || see_.files.ours();
    if (!has_files) return;  // the database was never reached: nothing to run yet
    write(kube::Secret::kType, pgbouncer::config_secret(config_, files()), see_.files);
    const std::size_t before = plan_.writes.size();
    write(kube::StatefulSet::kType, pgbouncer::stateful_set(config_, image(), rollout_.replicas),
          see_.workload);
    const bool changed = plan_.writes.size() != before;
    if (changed && see_.workload.ownership == Ownership::kAbsent) {
      plan_.writes.back().notice =
          note("Created", "Create",
               "PgBouncer with " + std::to_string(rollout_.replicas) + " replicas, " +
                   std::to_string(floor_) + " server connections each");
    }
    if (desired() > 1) {
      write(kube::PodDisruptionBudget::kType, pgbouncer::pod_disruption_budget(config_),
            see_.disruption_budget);
    } else {
      remove(kube::PodDisruptionBudget::kType, see_.disruption_budget);
    }
    if (rollout_.replace && plan_.writes.empty() && see_.workload.revision_known) {
      replace_pod(*rollout_.replace);
    }
  }

  // The revisions that some ordinal names, and each ordinal's own file.
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> wanted;
    for (const auto& [ordinal, revision] : rollout_.assign) {
      wanted[pgbouncer::pod_file_name(config_, ordinal)] = pgbouncer::pod_file(ordinal, revision);
      if (target_ && revision == target_->hash) {
        for (const auto& [name, bytes] : target_->files) wanted[name] = bytes;
        continue;
      }
      for (const auto& [name, bytes] : see_.files.data) {
        if (name.starts_with("rev-" + revision + ".")) wanted[name] = bytes;
      }
    }
    return wanted;
  }

  void replace_pod(int ordinal) {
    for (const ObservedPod& pod : see_.pods) {
      if (pod.ordinal != ordinal) continue;
      const bool same_template = ordinals_.at(static_cast<std::size_t>(ordinal)).template_current;
      plan_.removals.push_back(
          {kube::Pod::kType,
           {config_.ns, pod.name},
           pod.uid,
           note("PodReplaced", "Replace",
                "pod " + pod.name + " is drained and replaced: its " +
                    (same_template ? "configuration" : "template") + " is old")});
    }
  }

  [[nodiscard]] const std::string& image() const {
    return config_.spec.pgbouncer.image.empty() ? see_.default_image : config_.spec.pgbouncer.image;
  }

  void ask_pods() {
    if (!admin_) return;
    plan_.target.console = {std::string(pgbouncer::kAdminUser), admin_->password};
    for (const ObservedPod& pod : see_.pods) {
      if (pod.deleting || pod.address.empty()) continue;
      plan_.target.pods.push_back({pod.uid, pod.name, pod.address, pgbouncer::kPort});
    }
  }

  // ---- the published Secret

  void publish() {
    Verdict& verdict = verdicts_.secret_published;
    if (see_.published.ownership == Ownership::kForeign) {
      usable(see_.published);
      verdict = no(api::reason::kNotOwned,
                   "Secret " + config_.ns + "/" + config_.spec.connection_secret_name +
                       " exists and belongs to others; it is left as it is: delete or rename it, "
                       "or give spec.connectionSecret.name another name in a new PoolerConfig");
      return;
    }
    if (!usable(see_.published) || !admin_ || blocked_) {
      verdict = unknown(api::reason::kUnverified, "the Secret waits for the pooler");
      return;
    }
    if (!database_ || !target_) return keep_published();
    const auto pooled = pooled_connection();
    const auto data = urls::published_keys({pooled, *database_}, urls::Preset::kSupabase);
    const std::string hash = pgbouncer::content_hash(*admin_, data);
    if (!published_has(hash) && !verified(pooled)) return;
    const std::size_t before = plan_.writes.size();
    write(kube::Secret::kType, pgbouncer::published_secret(config_, data, hash), see_.published);
    if (plan_.writes.size() != before && !published_has(hash)) {
      plan_.writes.back().notice =
          note("SecretPublished", "Publish",
               "Secret " + config_.spec.connection_secret_name + " holds the verified URLs");
    }
    verdict = yes(api::reason::kPublished, "Secret " + config_.spec.connection_secret_name +
                                               " holds DATABASE_URL (direct) and "
                                               "DATABASE_POOLED_URL");
    binding_ = config_.spec.connection_secret_name;
  }

  void keep_published() {
    if (see_.published.ours()) {
      binding_ = config_.spec.connection_secret_name;
      verdicts_.secret_published =
          database_ ? no(api::reason::kCredentialsPending,
                         "the last verified URLs stay until the database accepts the new ones")
                    : yes(api::reason::kPublished,
                          "Secret " + binding_ + " holds the last verified URLs");
      return;
    }
    verdicts_.secret_published =
        no(api::reason::kUnverified, "the Secret is written once a query through the pooler works");
  }

  [[nodiscard]] urls::Connection pooled_connection() const {
    auto pooled =
        urls::pooled_connection(*database_, pgbouncer::service_host(config_), pgbouncer::kPort);
    pooled.database = pgbouncer::client_database_name(*database_);
    return pooled;
  }

  [[nodiscard]] bool published_has(const std::string& hash) const {
    if (!see_.published.ours()) return false;
    const auto found = see_.published.meta.annotations.find(kHashAnnotation);
    return found != see_.published.meta.annotations.end() && found->second == hash;
  }

  // Every pod that serves must have the new revision before clients are told of it.
  [[nodiscard]] bool ready_to_verify() const {
    bool any = false;
    for (const Ordinal& ordinal : ordinals_) {
      if (!ordinal.exists || ordinal.deleting || !ordinal.ready) continue;
      if (!settled(ordinal) || ordinal.loaded != target_->hash) return false;
      any = true;
    }
    return any && !see_.client.cluster_ip.empty();
  }

  bool verified(const urls::Connection& pooled) {
    Verdict& verdict = verdicts_.secret_published;
    if (see_.published.ours()) binding_ = config_.spec.connection_secret_name;
    const std::string_view waiting =
        see_.published.ours() ? api::reason::kCredentialsPending : api::reason::kUnverified;
    if (desired() == 0) {
      verdict = no(waiting, "the pooler has no replicas to verify the URLs with");
      return false;
    }
    if (!ready_to_verify()) {
      verdict = no(waiting, "the Secret waits until the pods serve with this configuration");
      return false;
    }
    const std::string token =
        token_of(urls::to_uri(pooled) + " " + see_.client.cluster_ip + " " + target_->hash);
    plan_.target.verification = {pooled, see_.client.cluster_ip, token};
    const auto& state = see_.live.verification;
    if (state.token == token && state.outcome == live::Outcome::kOk) return true;
    verdict = state.token == token && state.outcome == live::Outcome::kFailed
                  ? no(state.reason, state.message)
                  : no(waiting, "a query through the pooler is being tried");
    return false;
  }

  // ---- what a person is told

  void judge() {
    judge_configuration();
    judge_database();
    judge_pods();
    keep_what_was_known();
    verdicts_.scaling_active =
        no(api::reason::kManual, "spec.replicas is followed (spec.scaling.mode Manual)");
    const bool changing = rollout_.in_progress && !unasked_;
    verdicts_.in_progress = verdicts_.configuration_valid.status == ConditionStatus::kTrue &&
                            (changing || !plan_.writes.empty() ||
                             verdicts_.secret_published.status != ConditionStatus::kTrue);
    fill_status();
    for (Notice& each : notices(config_.status, plan_.status)) {
      plan_.notices.push_back(std::move(each));
    }
  }

  // Right after a start nothing was asked yet. What was true then and that no watch contradicts is
  // no news: it stays until there is an answer, so a restart of the operator writes nothing.
  void keep_what_was_known() {
    const api::Status& before = config_.status;
    if (before.observed_generation != config_.generation) return;
    if (database_) keep(verdicts_.database_reachable, api::condition::kDatabaseReachable);
    unasked_ = before.pods.serving == plan_.status.pods.serving && plan_.status.pods.serving > 0 &&
               std::none_of(see_.pods.begin(), see_.pods.end(),
                            [this](const ObservedPod& pod) { return asked(pod); });
    if (!unasked_) return;
    verdicts_.configuration_loaded = unknown(api::reason::kUnknown, "");
    keep(verdicts_.configuration_loaded, api::condition::kConfigurationLoaded);
    plan_.status.pods.loaded = before.pods.loaded;
    plan_.status.pods.unreachable = before.pods.unreachable;
  }

  void keep(Verdict& verdict, std::string_view type) const {
    const api::Condition* before = config_.status.find(type);
    if (verdict.status != ConditionStatus::kUnknown || before == nullptr) return;
    verdict = {before->status, before->reason, before->message};
  }

  [[nodiscard]] bool asked(const ObservedPod& pod) const {
    const auto state = see_.live.pods.find(pod.uid);
    return state != see_.live.pods.end() && state->second.outcome != live::Outcome::kUnknown;
  }

  void judge_configuration() {
    if (verdicts_.configuration_valid.status == ConditionStatus::kFalse) return;
    if (!see_.write_refused.empty()) {
      verdicts_.configuration_valid =
          no(api::reason::kInvalidPodTemplate,
             "the API server refuses what is made of this spec: " + see_.write_refused);
      return;
    }
    verdicts_.configuration_valid = yes(api::reason::kValid, "the spec can be run");
  }

  void judge_database() {
    Verdict& verdict = verdicts_.database_reachable;
    if (!database_) {
      verdict = unknown(api::reason::kUnknown, "not asked: the database is not known");
    } else if (database_state_ == nullptr || database_state_->outcome == live::Outcome::kUnknown) {
      verdict = unknown(api::reason::kUnknown, "the database is being asked");
    } else if (database_answers()) {
      verdict = yes(api::reason::kConnected, "logged in to " + direct_endpoint());
    } else {
      verdict = no(database_state_->reason, database_state_->message);
    }
  }

  void judge_pods() {
    const int wanted = desired();
    count_pods();
    const std::string ratio =
        std::to_string(plan_.status.pods.serving) + "/" + std::to_string(wanted);
    judge_availability(ratio);
    Verdict& loaded = verdicts_.configuration_loaded;
    const ObservedPod* troubled = first_trouble();
    const int of_wanted = std::min(plan_.status.pods.loaded, wanted);
    const std::string progress = std::to_string(of_wanted) + "/" + std::to_string(wanted) +
                                 " replicas run the wanted configuration";
    if (!rollout_.in_progress && of_wanted == wanted) {
      loaded = yes(api::reason::kLoaded, progress);
    } else if (!unreachable_.empty()) {
      loaded = unknown(api::reason::kOperatorCannotReachPooler, unreachable_);
    } else if (troubled != nullptr) {
      loaded = no(troubled->trouble,
                  progress + "; pod " + troubled->name + ": " + troubled->trouble_message);
    } else {
      loaded = no(api::reason::kReloading,
                  progress + (rollout_.waiting.empty() ? "" : "; waits for " + rollout_.waiting));
    }
  }

  void judge_availability(const std::string& ratio) {
    Verdict& available = verdicts_.pooler_available;
    const ObservedPod* troubled = first_trouble();
    if (blocked_ || (!foreign_.empty() && foreign_.front() != &see_.published)) {
      const kube::Meta& meta = foreign_.empty() ? see_.workload.meta : foreign_.front()->meta;
      available = foreign_.empty()
                      ? no(api::reason::kProgressing,
                           "waits for leftovers of an earlier "
                           "PoolerConfig of this name to go")
                      : no(api::reason::kNotOwned,
                           "an object named " + meta.name +
                               " exists and belongs to others; it is "
                               "left as it is: delete or rename it, or use another name");
    } else if (desired() == 0) {
      available = no(api::reason::kScaledToZero, "spec.replicas is 0");
    } else if (plan_.status.pods.serving > 0) {
      available = yes(api::reason::kServing, ratio + " replicas serve");
    } else if (troubled != nullptr) {
      available = no(troubled->trouble, "pod " + troubled->name + ": " + troubled->trouble_message);
    } else if (!see_.workload.ours() && !target_) {
      available = no(api::reason::kProgressing, database_answers() && !share_.waiting.empty()
                                                    ? share_.waiting
                                                    : "waits for the database");
    } else {
      available =
          no(api::reason::kProgressing, rollout_.waiting.empty() ? ratio + " replicas serve"
                                                                 : "waits for " + rollout_.waiting);
    }
  }

  [[nodiscard]] const ObservedPod* first_trouble() const {
    for (const ObservedPod& pod : see_.pods) {
      if (!pod.trouble.empty() && !pod.deleting) return &pod;
    }
    return nullptr;
  }

  void count_pods() {
    for (const ObservedPod& pod : see_.pods) {
      plan_.status.pods.serving += pod.ready && !pod.deleting ? 1 : 0;
      plan_.status.pods.draining += pod.deleting ? 1 : 0;
      const auto state = see_.live.pods.find(pod.uid);
      if (state == see_.live.pods.end() || pod.deleting) continue;
      if (state->second.outcome == live::Outcome::kFailed) {
        ++plan_.status.pods.unreachable;
        unreachable_ = "pod " + pod.name + ": " + state->second.message;
      }
      if (plan_.status.version.empty()) plan_.status.version = state->second.version;
    }
    for (const Ordinal& ordinal : ordinals_) {
      const bool wanted = !target_ || ordinal.loaded == target_->hash;
      const bool counts = ordinal.exists && !ordinal.deleting && ordinal.template_current;
      plan_.status.pods.loaded += counts && settled(ordinal) && wanted ? 1 : 0;
    }
  }

  [[nodiscard]] std::string direct_endpoint() const { return urls::host_ports(*database_); }

  void fill_status() {
    api::Status& status = plan_.status;
    status.observed_generation = config_.generation;
    status.engine = api::to_string(config_.spec.engine);
    if (status.version.empty()) status.version = config_.status.version;
    status.replicas = static_cast<int>(see_.pods.size());
    status.ready_replicas = status.pods.serving;
    status.desired_replicas = desired();
    status.selector = std::string(api::kNameLabel) + "=" + config_.name;
    status.binding_name = binding_;
    status.endpoint_pooled =
        pgbouncer::service_host(config_) + ":" + std::to_string(pgbouncer::kPort);
    status.endpoint_direct = database_ ? direct_endpoint() : config_.status.endpoint_direct;
    status.effective = {.image = image(),
                        .budget = budget_,
                        .budget_source = budget_source_,
                        .max_replicas = config_.spec.scaling.max_replicas};
    status.conditions = conditions(verdicts_, config_, see_.now);
  }

  static Notice note(std::string reason, std::string action, std::string text) {
    return {kube::Event::Type::kNormal, std::move(reason), std::move(action), std::move(text)};
  }

  const Observed& see_;
  const api::PoolerConfig& config_;
  Plan plan_;
  Verdicts verdicts_;
  bool spec_invalid_ = false;
  bool makes_objects_ = false;
  bool blocked_ = false;
  std::vector<const Child*> foreign_;
  std::optional<urls::Connection> database_;
  std::string database_token_;
  const live::DatabaseState* database_state_ = nullptr;
  const live::Server* server_ = nullptr;
  std::optional<pgbouncer::Admin> admin_;
  Share share_;
  std::optional<int> budget_;
  std::string budget_source_;
  bool remembered_ = false;  // the budget is of an earlier answer
  int floor_ = 0;
  std::optional<pgbouncer::Revision> target_;
  std::vector<Ordinal> ordinals_;
  Rollout rollout_;
  std::string binding_;
  std::string unreachable_;
  bool unasked_ = false;  // no pod's console has answered since the operator started
};

}  // namespace

Plan plan(const Observed& observed) { return Planner(observed).run(); }

}  // namespace pooler::reconcile
