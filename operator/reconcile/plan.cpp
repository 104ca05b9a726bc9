#include "reconcile/plan.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/crypto.h"
#include "base/json.h"
#include "base/strings.h"
#include "engine/pgbouncer/console.h"
#include "engine/pgbouncer/parameters.h"
#include "engine/pgbouncer/workload.h"
#include "kube/kinds.h"
#include "reconcile/conditions.h"
#include "reconcile/judge.h"
#include "reconcile/rollout.h"
#include "urls/parameters.h"
#include "urls/published.h"

namespace pooler::reconcile {
namespace {

namespace pgbouncer = engine::pgbouncer;
using api::ConditionStatus;

// Of the whole body, keyed: what a newer apply no longer has is seen to be gone, and the hash of a
// Secret is no oracle for guessing it.
using pgbouncer::kContentHashAnnotation;
// The published Secret's content hash is of its data alone, since only new data has to be verified:
// this one is of the whole.
constexpr const char* kObjectHashAnnotation = "pooler.dev/object-hash";

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
    try_canary();
    try_way_in();
    publish();
    ask_pods();
    found_.image = image();
    found_.writing = !plan_.writes.empty();
    plan_.status = judge(see_, found_);
    plan_.notices = notices(config_.status, plan_.status);
    tell_of_move();
    return std::move(plan_);
  }

 private:
  // ---- the spec and the database Secret

  bool check_spec() {
    auto problems = api::validate(config_);
    if (problems.empty()) problems = check_parameters();
    if (problems.empty()) return true;
    refuse(problems.front());
    spec_invalid_ = true;
    return false;
  }

  [[nodiscard]] std::vector<api::Problem> check_parameters() const {
    const api::Texts& parameters = config_.spec.pgbouncer.parameters;
    if (parameters.empty()) return {};
    return pgbouncer::check_parameters(parameters, version_of_image());
  }

  // PgBouncer's version in the image that is wanted, as a pod that runs it has told; empty: none
  // has. What was refused before a restart of the operator stays so until a pod was asked.
  [[nodiscard]] std::string version_of_image() const {
    if (!see_.workload.ours() || !see_.workload.revision_known ||
        pgbouncer::image_of(parse_json(see_.workload.body)) != image()) {
      return {};
    }
    bool any_asked = false;
    bool any_serves = false;
    for (const ObservedPod& pod : see_.pods) {
      const auto state = see_.live.pods.find(pod.uid);
      const bool asked =
          state != see_.live.pods.end() && state->second.outcome != live::Outcome::kUnknown;
      const bool runs_it = pod.template_revision == see_.workload.update_revision;
      if (asked && runs_it && !state->second.version.empty()) return state->second.version;
      any_asked = any_asked || asked;
      any_serves = any_serves || pod.ready;
    }
    const api::Condition* before = config_.status.find(api::condition::kConfigurationValid);
    const bool refused = before != nullptr && before->reason == api::reason::kInvalidParameter &&
                         config_.status.observed_generation == config_.generation;
    return refused && any_serves && !any_asked ? config_.status.version : "";
  }

  // The first problem counts; the others are told when it is mended.
  void refuse(const api::Problem& problem) {
    if (found_.configuration) return;
    const std::string where = problem.field.empty() ? "" : problem.field + ": ";
    found_.configuration = no(problem.reason, where + problem.message);
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
    found_.database = std::move(resolved).value();
    database_token_ = token_of(urls::to_uri(*found_.database));
  }

  // ---- objects

  template <class C>
  bool usable(const C& child) {
    if (child.ownership == Ownership::kForeign) look_again(kLookAgainForeign);
    if (child.ownership == Ownership::kLeaving) look_again(kLookAgainLeaving);
    return child.ownership == Ownership::kAbsent || child.ours();
  }

  void look_again(Duration after) {
    plan_.look_again = plan_.look_again ? std::min(*plan_.look_again, after) : after;
  }

  void add_hash(Json& body) const {
    if (body["metadata"].contains("annotations") &&
        body["metadata"]["annotations"].contains(kContentHashAnnotation)) {
      return;
    }
    body["metadata"]["annotations"][kContentHashAnnotation] = hash_of(body);
  }

  [[nodiscard]] std::string hash_of(const Json& body) const {
    return hex_encode(hmac_sha256(admin_->hash_key, to_bytes(body))).substr(0, 16);
  }

  // Whether the server has something else than `body`.
  [[nodiscard]] bool differs(Json body, const Child& child) const {
    add_hash(body);
    return !child.ours() || !is_subset(body, parse_json(child.body));
  }

  void write(const kube::ResourceType& type, Json body, const Child& child) {
    if (spec_invalid_ || !usable(child)) return;
    add_hash(body);
    if (!differs(body, child)) return;
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
    const bool can_run = !spec_invalid_ && (found_.database || see_.workload.ours());
    makes_objects_ = can_run && !blocked_by_others() && admin_;
    if (!makes_objects_) return;
    write(kube::Secret::kType, pgbouncer::admin_secret(config_, *admin_), see_.admin);
    write(kube::Service::kType, pgbouncer::client_service(config_), see_.client);
    write(kube::Service::kType, pgbouncer::peers_service(config_), see_.peers);
    // Before the pods, so that nobody gets in first.
    if (config_.spec.network_policy.enabled) {
      write(kube::NetworkPolicy::kType, pgbouncer::network_policy(config_, see_.operator_namespace),
            see_.network_policy);
    } else {
      remove(kube::NetworkPolicy::kType, see_.network_policy);
    }
  }

  // A name of ours is taken: a pooler that runs goes on, a new one is not begun.
  bool blocked_by_others() {
    std::vector<std::pair<const char*, const Child*>> named = {{"StatefulSet", &see_.workload},
                                                               {"Service", &see_.client},
                                                               {"Service", &see_.peers},
                                                               {"Secret", &see_.files},
                                                               {"Secret", &see_.admin}};
    if (wants_disruption_budget()) {
      named.emplace_back("PodDisruptionBudget", &see_.disruption_budget);
    }
    if (config_.spec.network_policy.enabled) {
      named.emplace_back("NetworkPolicy", &see_.network_policy);
    }
    for (const auto& [kind, child] : named) {
      if (usable(*child)) continue;
      if (!see_.workload.ours()) found_.blocked = true;
      if (child->ownership == Ownership::kForeign) found_.foreign = whose(kind, child->meta);
    }
    return found_.blocked;
  }

  // "Service shop/orders-pooler exists and belongs to PoolerConfig billing"
  static std::string whose(const std::string& kind, const kube::Meta& meta) {
    const kube::OwnerReference* owner = meta.controller_owner();
    const auto label = meta.labels.find(std::string(api::kNameLabel));
    const bool retained = owner == nullptr && label != meta.labels.end() &&
                          meta.annotations.contains(std::string(api::kOwnerUidAnnotation));
    std::string others = retained ? "PoolerConfig " + label->second : "others";
    if (owner != nullptr) others = owner->kind + " " + owner->name;
    return kind + " " + to_string(meta.key()) + " exists and belongs to " + others;
  }

  // ---- budget and revision

  void ask_database() {
    if (found_.database) plan_.target.database = {*found_.database, database_token_};
    if (see_.live.database.token != database_token_) return;
    found_.database_state = &see_.live.database;
    if (found_.database_state->server) server_ = &*found_.database_state->server;
  }

  void settle_budget() {
    found_.share = share_of(config_, server_, see_.others);
    found_.budget = found_.share.budget;
    found_.budget_source = found_.share.source;
    // The last rendered budget stays while the server can't be asked.
    if (!found_.budget && config_.status.effective.budget) {
      found_.budget = config_.status.effective.budget;
      found_.budget_source = config_.status.effective.budget_source;
      found_.share.ceiling = *found_.budget;
      remembered_ = true;
    }
    if (!found_.budget) return;
    const int ordinals = pgbouncer::ordinals(config_);
    floor_ = (*found_.budget - kOperatorConnections) / ordinals;
    if (floor_ >= 1) return;
    refuse({std::string(api::reason::kBudgetTooSmall),
            found_.budget_source == "Spec" ? "spec.budget.serverConnections"
                                           : "spec.scaling.maxReplicas",
            "the budget of " + std::to_string(*found_.budget) +
                " server connections, less 1 for the operator, gives none to each of " +
                std::to_string(ordinals) + " pods (maxReplicas and a spare): raise the budget to " +
                std::to_string(ordinals + kOperatorConnections) +
                " or more, or lower spec.scaling.maxReplicas"});
  }

  // A new revision needs a login with the very values that it will use, and a budget that was just
  // read. One that the files already have needs neither: nothing changes.
  void settle_revision() {
    if (!admin_ || !found_.database || floor_ < 1 || spec_invalid_) return;
    auto revision = pgbouncer::render(config_, {*found_.database, *admin_, floor_, image()});
    const bool known = see_.files.data.contains(pgbouncer::settings_file_name(revision.hash));
    const bool lost = !see_.files.ours() && see_.workload.ours();  // the Secret was deleted by hand
    if (!known && !lost && (!found_.database_answers() || remembered_)) return;
    found_.target = std::move(revision);
  }

  // The Secret's files, with those of the target as they have to be: they may have been edited.
  [[nodiscard]] std::map<std::string, std::string> known_files() const {
    std::map<std::string, std::string> files;
    if (found_.target) files = found_.target->files;
    files.insert(see_.files.data.begin(), see_.files.data.end());
    return files;
  }

  int floor_of(const std::string& revision) const {
    if (found_.target && revision == found_.target->hash) return floor_;
    const auto file = see_.files.data.find(pgbouncer::settings_file_name(revision));
    const auto floor =
        file == see_.files.data.end() ? std::nullopt : pgbouncer::floor_of(file->second);
    return floor.value_or(found_.budget.value_or(0) + 1);  // unknown: never a reason to grow
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
      const std::string marker = pgbouncer::marker_of_pod_file(file->second);
      const bool whole =
          see_.files.data.contains(pgbouncer::settings_file_name(pgbouncer::revision_of(marker)));
      if (whole) list[i].assigned = marker;
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
    const bool asked =
        state != see_.live.pods.end() && state->second.outcome != live::Outcome::kUnknown;
    ordinal.unasked = pod.ready && !pod.deleting && !asked;
    if (state == see_.live.pods.end()) return;
    ordinal.console_answers = state->second.outcome == live::Outcome::kOk;
    ordinal.login_refused = state->second.login_refused;
    ordinal.loaded = state->second.marker;
    const live::PodState::Reload& reload = state->second.reload;
    ordinal.reload_failed = reload.failed && reload.marker == ordinal.assigned;
    ordinal.proof = proof_of(pod, ordinal.loaded);
  }

  // ---- the trial: a login through the one pod that has a new configuration

  [[nodiscard]] std::string trial_token(const ObservedPod& pod, const std::string& marker) const {
    return token_of("trial " + pod.uid + " " + marker + " " + database_token_);
  }

  [[nodiscard]] bool paused() const { return config_.spec.pgbouncer.paused; }

  [[nodiscard]] Ordinal::Proof proof_of(const ObservedPod& pod, const std::string& marker) const {
    // A query would wait as all others do. That the database takes these credentials is known.
    if (paused()) {
      return found_.database_answers() ? Ordinal::Proof::kPassed : Ordinal::Proof::kNone;
    }
    const live::VerificationState& trial = see_.live.verification;
    if (!found_.database || trial.token != trial_token(pod, marker)) return Ordinal::Proof::kNone;
    if (trial.outcome == live::Outcome::kOk) return Ordinal::Proof::kPassed;
    // While the database is away, a failure says nothing of the configuration.
    const bool failed = trial.persistent && found_.database_answers();
    return failed ? Ordinal::Proof::kFailed : Ordinal::Proof::kNone;
  }

  void try_canary() {
    if (!found_.rollout.trial || !found_.database || paused()) return;
    const ObservedPod* pod = pod_at(*found_.rollout.trial);
    if (pod == nullptr) return;
    urls::Connection way = pooled_way();
    way.hosts = {{pgbouncer::service_host(config_), pgbouncer::kPort}};
    const std::string& marker = found_.ordinals.at(static_cast<std::size_t>(pod->ordinal)).loaded;
    plan_.target.verification = {way, pod->address, trial_token(*pod, marker)};
  }

  [[nodiscard]] const ObservedPod* pod_at(int ordinal) const {
    for (const ObservedPod& pod : see_.pods) {
      if (pod.ordinal == ordinal && !pod.deleting) return &pod;
    }
    return nullptr;
  }

  [[nodiscard]] live::PodState::Reload reload_state(const ObservedPod& pod) const {
    const auto state = see_.live.pods.find(pod.uid);
    return state == see_.live.pods.end() ? live::PodState::Reload{} : state->second.reload;
  }

  // The kubelet is hurried once when a pod has a new file, and again for every two seconds that the
  // pod has not read it.
  void hurry_files() {
    for (const auto& [ordinal, marker] : found_.rollout.reload) {
      const ObservedPod* pod = pod_at(ordinal);
      if (pod == nullptr) continue;
      const live::PodState::Reload reload = reload_state(*pod);
      std::string value = marker;
      if (reload.marker == marker && reload.nudges > 0)
        value += "." + std::to_string(reload.nudges);
      if (pod->touched == value || reload.failed) continue;
      kube::Meta meta;
      meta.name = pod->name;
      meta.ns = config_.ns;
      meta.uid = pod->uid;
      plan_.touches.push_back({std::move(meta), std::move(value)});
    }
  }

  // Why the canary was pointed back, while the revision that it refused is still the wanted one.
  void explain_refusal() {
    const Rollout& rollout = found_.rollout;
    if (rollout.pointed_back) {
      const ObservedPod* pod = pod_at(*rollout.pointed_back);
      const std::string why = pod == nullptr ? "" : reload_state(*pod).message;
      plan_.reload_refused = "pod " + (pod == nullptr ? "" : pod->name) + ": " +
                             (why.empty() ? see_.live.verification.message : why);
    } else if (rollout.rejected) {
      plan_.reload_refused = see_.reload_refused;
    }
    found_.reload_refused = plan_.reload_refused;
  }

  // Whether RELOADs may begin: a new configuration may need the new template.
  [[nodiscard]] bool template_written() const {
    return see_.workload.ours() && see_.workload.revision_known && admin_ && only_replicas_differ();
  }

  [[nodiscard]] bool only_replicas_differ() const {
    return !differs(pgbouncer::stateful_set(config_, image(), see_.workload.replicas),
                    see_.workload);
  }

  void roll_out_pods() {
    found_.ordinals = ordinals();
    const auto files = known_files();
    RolloutInput input{.ordinals = found_.ordinals,
                       .limit = pgbouncer::ordinals(config_),
                       .desired = desired(),
                       .replicas = see_.workload.ours() ? see_.workload.replicas : 0,
                       .target = std::nullopt,
                       .may_replace = found_.database_answers() && !spec_invalid_,
                       .hold_pods = paused(),
                       .template_written = template_written(),
                       .ceiling = std::max(0, found_.share.ceiling - kOperatorConnections),
                       .floor = [this](const std::string& r) { return floor_of(r); },
                       .reloadable =
                           [&files](const std::string& from, const std::string& to) {
                             return pgbouncer::reload_obstacle(files, from, to).empty();
                           }};
    if (found_.target) input.target = found_.target->hash;
    found_.rollout = roll_out(input);
    explain_refusal();
    plan_.claim.held = server_is_away() ? 0 : found_.rollout.held;
    if (server_ != nullptr) plan_.claim.held += kOperatorConnections;
    plan_.claim.asked =
        !found_.database || (found_.database_state != nullptr &&
                             found_.database_state->outcome != live::Outcome::kUnknown);
    plan_.claim.identity = server_ != nullptr ? server_->identity : "";
    plan_.claim.explicit_budget = config_.spec.budget.server_connections;
    if (makes_objects_) write_workload();
  }

  // A server that nobody can reach, and that was not seen since the start, has no connections of
  // our pods: it is not the one that a neighbour is logged in to.
  [[nodiscard]] bool server_is_away() const {
    if (server_ != nullptr || found_.database_state == nullptr) return false;
    const std::string& reason = found_.database_state->reason;
    return reason == api::reason::kConnectionRefused || reason == api::reason::kDnsFailure ||
           reason == api::reason::kOperatorCannotReachDatabase;
  }

  [[nodiscard]] int desired() const { return config_.spec.replicas.value_or(0); }

  // With one replica it would only keep nodes from being drained.
  [[nodiscard]] bool wants_disruption_budget() const {
    return config_.spec.pod_disruption_budget && desired() > 1;
  }

  void write_workload() {
    const bool has_files = found_.target || see_.files.ours();
    if (!has_files) return;  // the database was never reached: nothing to run yet
    write_files();
    const bool changed = write_stateful_set();
    if (changed && see_.workload.ownership == Ownership::kAbsent) {
      plan_.writes.back().notice =
          note("Created", "Create",
               "PgBouncer with " + std::to_string(found_.rollout.replicas) + " replicas, " +
                   std::to_string(floor_) + " server connections each");
    }
    if (wants_disruption_budget()) {
      write(kube::PodDisruptionBudget::kType, pgbouncer::pod_disruption_budget(config_),
            see_.disruption_budget);
    } else {
      remove(kube::PodDisruptionBudget::kType, see_.disruption_budget);
    }
    if (found_.rollout.replace && plan_.writes.empty() && see_.workload.revision_known) {
      replace_pod(*found_.rollout.replace);
    }
  }

  // Whether there is something to write. A template that the API server refuses is found out
  // before anything is written that goes with it.
  bool write_stateful_set() {
    const std::size_t before = plan_.writes.size();
    write(kube::StatefulSet::kType,
          pgbouncer::stateful_set(config_, image(), found_.rollout.replicas), see_.workload);
    if (plan_.writes.size() == before) return false;
    if (only_replicas_differ()) return true;
    const Write& set = plan_.writes.back();
    plan_.trials.push_back({set.type, set.body, set.current, {}});
    plan_.trials.push_back(
        {kube::Pod::kType, to_bytes(pgbouncer::pod_of_template(config_, image())), {}, {}});
    return true;
  }

  void write_files() {
    const std::size_t before = plan_.writes.size();
    write(kube::Secret::kType, pgbouncer::config_secret(config_, files()), see_.files);
    if (plan_.writes.size() == before) return hurry_files();
    if (found_.rollout.spread) {
      plan_.writes.back().notice =
          note("Reloaded", "Reload",
               "a new configuration works on one pod, by RELOAD; the others load it now");
    } else if (found_.rollout.pointed_back) {
      plan_.writes.back().notice =
          Notice{kube::Event::Type::kWarning, "ReloadFailed", "Reload",
                 found_.reload_refused + "; the configuration before it stays"};
    }
  }

  // The revisions that some ordinal's file leads to, and those that some pod still runs: their
  // files tell whether RELOAD can bring it away from there. Unknown is all that there are.
  std::set<std::string> revisions_in_use() const {
    constexpr std::size_t kMost = 8;  // a pod that can't be asked must not make the Secret grow
    std::set<std::string> used;
    for (const auto& [ordinal, marker] : found_.rollout.assign) {
      used.insert(pgbouncer::revision_of(marker));
    }
    const auto known = pgbouncer::revisions_in(see_.files.data);
    for (const Ordinal& pod : found_.ordinals) {
      if (!pod.exists || pod.deleting) continue;
      if (!pod.loaded.empty()) {
        used.insert(pgbouncer::revision_of(pod.loaded));
      } else if (known.size() <= kMost) {
        used.insert(known.begin(), known.end());
      }
    }
    return used;
  }

  // Of the revisions in use, and of each ordinal.
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> wanted;
    for (const auto& [ordinal, marker] : found_.rollout.assign) {
      wanted[pgbouncer::pod_file_name(config_, ordinal)] = pgbouncer::pod_file(ordinal, marker);
    }
    const auto files = known_files();
    for (const std::string& revision : revisions_in_use()) {
      for (const auto& [name, bytes] : files) {
        if (name.starts_with("rev-" + revision + ".")) wanted[name] = bytes;
      }
    }
    return wanted;
  }

  void replace_pod(int ordinal) {
    for (const ObservedPod& pod : see_.pods) {
      if (pod.ordinal != ordinal) continue;
      const bool same_template =
          found_.ordinals.at(static_cast<std::size_t>(ordinal)).template_current;
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
      const auto reload = found_.rollout.reload.find(pod.ordinal);
      plan_.target.pods.push_back(
          {.uid = pod.uid,
           .name = pod.name,
           .address = pod.address,
           .port = pgbouncer::kPort,
           .reload_to = reload == found_.rollout.reload.end() ? std::string() : reload->second,
           .moves = moves(),
           .paused = paused(),
           .wait_limit = wait_limit(pod)});
    }
  }

  [[nodiscard]] std::optional<int> moves() const {
    if (found_.database_state == nullptr) return std::nullopt;
    return found_.database_state->moves;
  }

  void tell_of_move() {
    plan_.moves_told = moves().value_or(see_.moves_told);
    if (plan_.moves_told <= see_.moves_told || !see_.workload.ours()) return;
    plan_.notices.push_back({kube::Event::Type::kNormal, "Failover", "Reconnect",
                             "the database: " + found_.database_state->last_move +
                                 "; every replica replaces its server connections as their "
                                 "transactions end"});
  }

  // By the files that it has loaded.
  [[nodiscard]] std::string wait_limit(const ObservedPod& pod) const {
    const auto state = see_.live.pods.find(pod.uid);
    if (state == see_.live.pods.end()) return {};
    const std::string revision = pgbouncer::revision_of(state->second.marker);
    const auto file = see_.files.data.find(pgbouncer::settings_file_name(revision));
    if (file == see_.files.data.end()) return {};
    return pgbouncer::setting_of(file->second, pgbouncer::kWaitSetting).value_or("");
  }

  // ---- the way in, and the published Secret

  // A query through the Service is tried where something depends on it: new URLs to publish, or a
  // pooler that served nobody before (the node's proxies learn of its pods a little later than the
  // API server). Else no connection is made: a steady state costs nothing.
  void try_way_in() {
    const api::Condition* before = config_.status.find(api::condition::kPoolerAvailable);
    const bool was_available = before != nullptr && before->status == ConditionStatus::kTrue;
    found_.way_in_proven = true;
    if (!found_.database || !admin_) return;
    const api::ConnectionSecret& wanted = config_.spec.connection_secret;
    const urls::Connection way = pooled_way();
    data_ = urls::published_keys({way, *found_.database}, wanted);
    hash_ = pgbouncer::content_hash(*admin_, data_);
    if (paused() || immediate() || !found_.target || see_.client.cluster_ip.empty()) return;
    const auto pooled = urls::with_parameters(way, wanted.pooled_parameters);
    const bool to_publish =
        see_.published.ownership != Ownership::kForeign && !published_has(hash_);
    const std::string serving = serving_pods();
    found_.way_in_proven = was_available;
    if (plan_.target.verification || serving.empty() ||
        (was_available && !(to_publish && all_loaded())))
      return;

    const std::string token =
        token_of(urls::to_uri(pooled) + " " + see_.client.cluster_ip + " " + serving);
    plan_.target.verification = {pooled, see_.client.cluster_ip, token};
    const live::VerificationState& state = see_.live.verification;
    if (state.token != token || state.outcome == live::Outcome::kUnknown) return;
    trial_ = &state;
    // A refused login came from the pooler: that is a way in, too.
    found_.way_in_proven = was_available || state.outcome == live::Outcome::kOk ||
                           state.reason == api::reason::kVerificationFailed;
  }

  [[nodiscard]] urls::Connection pooled_way() const {
    const urls::HostPort way = pgbouncer::way_in(config_);
    auto pooled = urls::pooled_connection(*found_.database, way.host, way.port);
    pooled.database = pgbouncer::client_database_name(*found_.database);
    return pooled;
  }

  // Each with what it has loaded: a trial counts for these and no others.
  [[nodiscard]] std::string serving_pods() const {
    std::string text;
    for (const ObservedPod& pod : see_.pods) {
      if (!pod.ready || pod.deleting) continue;
      const auto state = see_.live.pods.find(pod.uid);
      text += pod.uid + "=" + (state == see_.live.pods.end() ? "" : state->second.marker) + " ";
    }
    return text;
  }

  // Every pod that serves must have the new revision before clients are told of it.
  [[nodiscard]] bool all_loaded() const {
    bool any = false;
    for (const Ordinal& ordinal : found_.ordinals) {
      if (!ordinal.exists || ordinal.deleting || !ordinal.ready) continue;
      if (!settled(ordinal) || pgbouncer::revision_of(ordinal.loaded) != found_.target->hash) {
        return false;
      }
      any = true;
    }
    return any;
  }

  void publish() {
    Verdict& verdict = found_.published;
    if (see_.published.ownership == Ownership::kForeign) {
      usable(see_.published);
      verdict = no(api::reason::kNotOwned,
                   whose("Secret", see_.published.meta) +
                       "; it is left as it is: delete or rename it, or make a PoolerConfig with "
                       "another spec.connectionSecret.name");
      return;
    }
    if (!usable(see_.published) || !admin_ || found_.blocked) {
      verdict = unknown(api::reason::kUnverified, "the Secret waits for the pooler");
      return;
    }
    if (was_published()) found_.binding = config_.spec.connection_secret.name;
    // Known at once: no login and no pod is waited for, the first time.
    const bool known = immediate() && !was_published() && !found_.configuration;
    if (!found_.database || (!found_.target && !known)) return keep_published();
    if (!published_has(hash_) && !immediate() && !verified()) return;
    write_published();
  }

  void write_published() {
    const std::string& name = config_.spec.connection_secret.name;
    const std::size_t before = plan_.writes.size();
    Json body = pgbouncer::published_secret(config_, data_, hash_);
    body["metadata"]["annotations"][kObjectHashAnnotation] = hash_of(body);
    write(kube::Secret::kType, std::move(body), see_.published);
    if (plan_.writes.size() != before && !published_has(hash_)) {
      plan_.writes.back().notice =
          note("SecretPublished", "Publish",
               "Secret " + name +
                   (immediate() ? " holds the URLs, not verified (publishPolicy Immediate)"
                                : " holds the verified URLs"));
    }
    found_.published =
        yes(api::reason::kPublished,
            "Secret " + name + " holds " + urls::describe_keys(config_.spec.connection_secret));
    found_.binding = name;
  }

  void keep_published() {
    if (!was_published()) {
      found_.published = no(api::reason::kUnverified,
                            "the Secret is written once a query through the pooler works");
    } else if (found_.database) {
      found_.published = no(api::reason::kCredentialsPending,
                            "the last verified URLs stay until the database accepts the new ones");
    } else {
      found_.published = yes(api::reason::kPublished,
                             "Secret " + found_.binding + " holds the last verified URLs");
    }
  }

  [[nodiscard]] bool immediate() const {
    return config_.spec.connection_secret.publish_policy == api::PublishPolicy::kImmediate;
  }

  // By this very PoolerConfig.
  [[nodiscard]] bool was_published() const {
    return see_.published.ours() && !see_.published.inherited;
  }

  [[nodiscard]] bool published_has(const std::string& hash) const {
    if (!was_published()) return false;
    const auto found = see_.published.meta.annotations.find(kContentHashAnnotation);
    return found != see_.published.meta.annotations.end() && found->second == hash;
  }

  // Were these very URLs tried, through these very pods? If not, the verdict says what is missing.
  bool verified() {
    const std::string_view waiting =
        was_published() ? api::reason::kCredentialsPending : api::reason::kUnverified;
    if (desired() == 0) {
      found_.published = no(waiting, "the pooler has no replicas to verify the URLs with");
    } else if (paused()) {
      found_.published =
          no(waiting, "the pooler is paused (spec.pgbouncer.paused): no query can verify the URLs");
    } else if (!all_loaded()) {
      found_.published = no(waiting, "the Secret waits until the pods serve this configuration");
    } else if (trial_ == nullptr) {
      found_.published = no(waiting, "a query through the pooler is being tried");
    } else if (trial_->outcome == live::Outcome::kFailed) {
      found_.published = no(trial_->reason, trial_->message);
    } else {
      return true;
    }
    return false;
  }

  static Notice note(std::string reason, std::string action, std::string text) {
    return {kube::Event::Type::kNormal, std::move(reason), std::move(action), std::move(text)};
  }

  const Observed& see_;
  const api::PoolerConfig& config_;
  Plan plan_;
  Findings found_;
  bool spec_invalid_ = false;
  bool makes_objects_ = false;
  std::string database_token_;
  const live::Server* server_ = nullptr;
  std::optional<pgbouncer::Admin> admin_;
  bool remembered_ = false;  // the budget is of an earlier answer
  int floor_ = 0;
  std::map<std::string, std::string> data_;  // of the published Secret
  std::string hash_;                         // of data_
  const live::VerificationState* trial_ =
      nullptr;  // of the way in, as it is now; null: no answer yet
};

}  // namespace

Plan plan(const Observed& observed) { return Planner(observed).run(); }

}  // namespace pooler::reconcile
