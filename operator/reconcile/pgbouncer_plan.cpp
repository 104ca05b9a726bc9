#include "reconcile/pgbouncer_plan.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "engine/pgbouncer/auth_query.h"
#include "engine/pgbouncer/parameters.h"
#include "engine/pgbouncer/workload.h"
#include "reconcile/certificates.h"
#include "reconcile/pgbouncer_auth.h"
#include "reconcile/pgbouncer_objects.h"
#include "reconcile/pgbouncer_pods.h"
#include "reconcile/pgbouncer_way_in.h"
#include "reconcile/publish.h"
#include "reconcile/rollout.h"

namespace pooler::reconcile {
namespace {

namespace pgbouncer = engine::pgbouncer;

class PgBouncerPlan {
 public:
  explicit PgBouncerPlan(const Observed& observed) : round_(observed) {}

  Plan run() {
    const bool sound = check_spec();
    if (sound) resolve_database();
    if (sound) take_client_certificates();
    if (sound) auth_.take_user();
    writer_.take_admin();
    objects_.write_base();
    ask_database();
    auth_.ask();
    settle_budget();
    settle_revision();
    roll_out_pods();
    pods_.try_canary();
    way_in_.try_it();
    way_in_.publish();
    pods_.ask();
    found_.image = round_.image();
    found_.endpoint_pooled = urls::host_ports({.hosts = {pgbouncer::way_in(config_)}});
    round_.conclude();
    pods_.tell_of_move();
    return std::move(plan_);
  }

 private:
  // ---- the spec and the database Secret

  bool check_spec() {
    auto problems = api::validate(config_);
    if (problems.empty()) problems = check_parameters();
    if (problems.empty()) problems = pgbouncer::check_auth_query(config_);
    return round_.accept_spec(problems);
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
        pgbouncer::image_of(parse_json(see_.workload.body)) != round_.image()) {
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

  void resolve_database() {
    if (!see_.database_secret) {
      return round_.refuse_missing("spec.database.secretRef", config_.spec.database.secret_name,
                                   "the key uri, or with host, username, password and dbname");
    }
    auto resolved = urls::resolve(config_.spec.database, *see_.database_secret, config_.ns);
    if (!resolved) return round_.refuse(resolved.error());
    const auto problems = pgbouncer::check(*resolved);
    if (!problems.empty()) return round_.refuse(problems.front());
    const auto tls = round_.tls_in_use();
    auto read = database_certificates(config_, see_.certificate_secrets, see_.now,
                                      tls ? tls->server : Certificates());
    if (!read) {
      if (tls) ask_as_before(std::move(resolved).value(), *tls);
      return round_.refuse(read.error());
    }
    round_.tell_end("spec.database.tls.clientCertSecretRef", *read);
    resolved->certificates = std::move(read->certificates);
    found_.database = std::move(resolved).value();
    round_.database_token = token_of(*found_.database);
  }

  // While nothing new is rendered the pods go on, and so does what follows from the database: where
  // it is, who shares it, and what is told of it.
  void ask_as_before(urls::Connection login, const pgbouncer::RevisionTls& tls) {
    login.certificates = tls.server;
    const std::string sslmode = login.parameter("sslmode");
    const std::string before = tls.server_sslmode == "prefer" ? "" : tls.server_sslmode;
    if (sslmode != tls.server_sslmode && sslmode != before) {
      std::erase_if(login.parameters, [](const auto& each) { return each.first == "sslmode"; });
      if (!before.empty()) login.parameters.emplace_back("sslmode", before);
    }
    round_.database_token = token_of(login);
    found_.database_before = std::move(login);
  }

  // Without them the database is asked all the same, and nothing new is rendered.
  void take_client_certificates() {
    const auto tls = round_.tls_in_use();
    auto read = client_certificates(config_, see_.certificate_secrets, see_.now,
                                    tls ? tls->clients : Certificates());
    if (!read) return round_.refuse(read.error());
    round_.tell_end("spec.clientTLS.secretRef", *read);
    const std::string host = pgbouncer::way_in(config_).host;
    if (!read->certificates.chain.empty() && !is_for_host(read->certificates.chain, host)) {
      found_.certificates_end +=
          ", but not for " + host + ", the host of the pooled URLs: sslmode=verify-full refuses it";
    }
    round_.client_tls = std::move(read->certificates);
  }

  // ---- budget and revision

  void ask_database() {
    if (found_.login()) plan_.target.database = {*found_.login(), round_.database_token};
    if (see_.live.database.token != round_.database_token) return;
    found_.database_state = &see_.live.database;
    if (found_.database_state->server) round_.server = &*found_.database_state->server;
  }

  void settle_budget() {
    found_.share = share_of(config_, round_.server, see_.others);
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
    const int own = operator_connections(config_.spec);
    const int least = pgbouncer::least_floor(config_);
    round_.floor = (*found_.budget - own) / ordinals;
    if (round_.floor >= least) return;
    round_.refuse(
        {std::string(api::reason::kBudgetTooSmall),
         found_.budget_source == "Spec" ? "spec.budget.serverConnections"
                                        : "spec.scaling.maxReplicas",
         "the budget of " + std::to_string(*found_.budget) + " server connections, less " +
             std::to_string(own) + " for the operator, gives " +
             (least == 1 ? "none" : "fewer than 2 (one looks users up)") + " to each of " +
             std::to_string(ordinals) + " pods (maxReplicas and a spare): raise the budget to " +
             std::to_string(ordinals * least + own) +
             " or more, or lower spec.scaling.maxReplicas"});
  }

  // A new revision needs a login with the very values that it will use, and a budget that was just
  // read. One that the files already have needs neither: nothing changes.
  void settle_revision() {
    const bool many = api::has_many_users(config_.spec);
    if (!round_.admin || !found_.database || !round_.client_tls || (many && !round_.auth_user) ||
        round_.floor < pgbouncer::least_floor(config_) || round_.spec_invalid) {
      return;
    }
    auto revision = pgbouncer::render(
        config_, {*found_.database, *round_.admin, round_.floor, round_.image(), *round_.client_tls,
                  round_.auth_user.value_or(pgbouncer::AuthUser{})});
    const bool known = see_.files.data.contains(pgbouncer::settings_file_name(revision.hash));
    const bool lost = !see_.files.ours() && see_.workload.ours();  // the Secret was deleted by hand
    const bool proved = found_.database_answers() && auth_.works() && !remembered_;
    if (!known && !lost && !proved) return;
    found_.target = std::move(revision);
  }

  [[nodiscard]] int floor_of(const std::string& revision) const {
    if (found_.target && revision == found_.target->hash) return round_.floor;
    const auto file = see_.files.data.find(pgbouncer::settings_file_name(revision));
    const auto floor =
        file == see_.files.data.end() ? std::nullopt : pgbouncer::floor_of(file->second);
    return floor.value_or(found_.budget.value_or(0) + 1);  // unknown: never a reason to grow
  }

  // ---- the roll-out

  void roll_out_pods() {
    found_.ordinals = pods_.ordinals();
    const auto files = round_.known_files();
    RolloutInput input{
        .ordinals = found_.ordinals,
        .limit = pgbouncer::ordinals(config_),
        .desired = round_.desired(),
        .replicas = see_.workload.ours() ? see_.workload.replicas : 0,
        .target = std::nullopt,
        .may_replace = found_.database_answers() && !round_.spec_invalid,
        .hold_pods = round_.paused(),
        .template_written = objects_.template_written(),
        .ceiling = std::max(0, found_.share.ceiling - operator_connections(config_.spec)),
        .floor = [this](const std::string& r) { return floor_of(r); },
        .reloadable =
            [&files](const std::string& from, const std::string& to) {
              return pgbouncer::reload_obstacle(files, from, to).empty();
            }};
    if (found_.target) input.target = found_.target->hash;
    found_.rollout = roll_out(input);
    pods_.explain_refusal();
    claim();
    if (round_.makes_objects) objects_.write_workload();
  }

  void claim() {
    plan_.claim.held = server_is_away() ? 0 : found_.rollout.held;
    if (round_.server != nullptr) plan_.claim.held += operator_connections(config_.spec);
    plan_.claim.asked =
        !found_.login() || (found_.database_state != nullptr &&
                            found_.database_state->outcome != live::Outcome::kUnknown);
    plan_.claim.identity = round_.server != nullptr ? round_.server->identity : "";
    plan_.claim.explicit_budget = config_.spec.budget.server_connections;
  }

  // A server that nobody can reach, and that was not seen since the start, has no connections of
  // our pods: it is not the one that a neighbour is logged in to.
  [[nodiscard]] bool server_is_away() const {
    if (round_.server != nullptr || found_.database_state == nullptr) return false;
    const std::string& reason = found_.database_state->reason;
    return reason == api::reason::kConnectionRefused || reason == api::reason::kDnsFailure ||
           reason == api::reason::kOperatorCannotReachDatabase;
  }

  PgBouncerRound round_;
  const Observed& see_ = round_.see;
  const api::PoolerConfig& config_ = round_.config;
  Plan& plan_ = round_.plan;
  Findings& found_ = round_.found;
  Writer writer_{round_};
  Publisher publisher_{round_, writer_};
  PgBouncerAuth auth_{round_};
  PgBouncerPods pods_{round_};
  PgBouncerObjects objects_{round_, writer_, pods_};
  PgBouncerWayIn way_in_{round_, publisher_};
  bool remembered_ = false;  // the budget is of an earlier answer
};

}  // namespace

Plan plan_pgbouncer(const Observed& observed) { return PgBouncerPlan(observed).run(); }

}  // namespace pooler::reconcile
