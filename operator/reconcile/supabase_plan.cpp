#include "reconcile/supabase_plan.h"

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "engine/secrets.h"
#include "kube/kinds.h"
#include "reconcile/certificates.h"
#include "reconcile/publish.h"
#include "reconcile/supabase_project.h"
#include "urls/parameters.h"

namespace pooler::reconcile {
namespace {

// On the admin Secret: a keyed hash of the project and the password that was refused last, for an
// operator that is started anew.
constexpr const char* kRefusedPasswordAnnotation = "pooler.dev/refused-password";

// A project has no objects but Secrets: what its URLs are is found out, and published.
class SupabasePlan {
 public:
  explicit SupabasePlan(const Observed& observed) : round_(observed) {}

  Plan run() {
    const bool sound = round_.accept_spec(api::validate(config_));
    writer_.take_admin();
    if (sound) {
      resolve_login();
      project_.ask();
      project_.settle_host();
      settle_ways();
    }
    ask_database();
    write_admin();
    publish();
    found_.availability = project_.availability();
    found_.loading = project_.loading();
    round_.conclude();
    claim();
    return std::move(plan_);
  }

 private:
  void resolve_login() {
    if (!see_.database_secret) {
      return round_.refuse_missing("spec.database.secretRef", config_.spec.database.secret_name,
                                   "the key password, the password of the project's database");
    }
    auto resolved = urls::resolve_supabase(config_.spec, *see_.database_secret);
    if (!resolved) return round_.refuse(resolved.error());
    auto read = database_certificates(config_, see_.certificate_secrets, see_.now);
    if (!read) return round_.refuse(read.error());
    round_.tell_end("spec.database.tls.clientCertSecretRef", *read);
    resolved->certificates = std::move(read->certificates);
    round_.login = std::move(resolved).value();
  }

  void settle_ways() {
    if (!round_.login) return;
    if (round_.host.empty()) {
      const bool direct = round_.supabase().direct == api::SupabaseDirect::kDirect;
      if (direct) found_.database = round_.login;
      return;
    }
    round_.ways = urls::supabase_ways(config_.spec, *round_.login, round_.host);
    found_.database = round_.ways->direct;
    found_.endpoint_pooled = urls::host_ports(round_.ways->pooled);
    if (round_.admin) publisher_.set(*round_.ways);
  }

  // ---- the login

  // Supabase has TLS on every way, so nothing of a login goes over a line without it, unless the
  // user says so (sslmode=disable).
  static urls::Connection encrypted(urls::Connection way) {
    const std::string mode = way.parameter("sslmode");
    if (!mode.empty() && mode != "prefer" && mode != "allow") return way;
    std::erase_if(way.parameters, [](const auto& each) { return each.first == "sslmode"; });
    way.parameters.emplace_back("sslmode", "require");
    return way;
  }

  void ask_database() {
    if (!found_.database) return;
    const urls::Connection way = encrypted(*found_.database);
    round_.database_token = token_of(way);
    plan_.target.database = live::DatabaseTarget{.connection = way,
                                                 .token = round_.database_token,
                                                 .refusal_pause = kRefusalPause,
                                                 .refused_before = refused_before(),
                                                 .refusal_scope = round_.supabase().project_ref};
    if (see_.live.database.token == round_.database_token) {
      found_.database_state = &see_.live.database;
    }
  }

  // Keyed: no oracle for guessing it. Requires a login and the round's admin.
  [[nodiscard]] std::string password_hash() const {
    return engine::content_hash(*round_.admin, {{"project", round_.supabase().project_ref},
                                                {"password", round_.login->password}});
  }

  [[nodiscard]] bool refused_before() const {
    if (!round_.login || !round_.admin) return false;
    const auto& annotations = see_.admin.meta.annotations;
    const auto found = annotations.find(kRefusedPasswordAnnotation);
    return found != annotations.end() && found->second == password_hash();
  }

  // This very password: as it was found out last, by whatever operator.
  [[nodiscard]] bool refused() const {
    const live::DatabaseState* database = found_.database_state;
    const live::VerificationState& trial = see_.live.verification;
    const bool tried = round_.ways && trial.token == token_of_trial(pooled_login());
    if (tried && (trial.refused || trial.outcome == live::Outcome::kOk)) return trial.refused;
    if (database == nullptr || !found_.database) return refused_before();
    return database->refused || (!found_.database_answers() && refused_before());
  }

  [[nodiscard]] urls::Connection pooled_login() const {
    return encrypted(urls::with_parameters(round_.ways->pooled,
                                           config_.spec.connection_secret.pooled_parameters));
  }
  static std::string token_of_trial(const urls::Connection& pooled) {
    return token_of("pooled " + token_of(pooled));
  }

  // ---- the Secrets

  void write_admin() {
    if (!writer_.usable(see_.admin)) {
      found_.blocked = true;
      const bool foreign = see_.admin.ownership == Ownership::kForeign;
      if (foreign) found_.foreign = whose("Secret", see_.admin.meta);
    } else if (round_.login && round_.admin) {
      Json body = engine::admin_secret(config_, *round_.admin);
      if (refused()) body["metadata"]["annotations"][kRefusedPasswordAnnotation] = password_hash();
      writer_.write(kube::Secret::kType, std::move(body), see_.admin);
    }
  }

  void publish() {
    if (!publisher_.begin()) return;
    const bool first = !publisher_.was_published();
    if (round_.ways && !(first && found_.configuration)) {
      if (publisher_.is_current() || (round_.immediate() ? !held_back() : verified())) {
        publisher_.write();
      }
    } else if (round_.login) {
      publisher_.wait(found_.configuration ? "the URLs wait for what ConfigurationValid names"
                                           : "the URLs wait for the pooler's host");
    } else if (first) {
      publisher_.wait("the URLs are not known yet");
    } else {
      publisher_.keep();
    }
  }

  // Only with publishPolicy Immediate. What is published may work: another login is tried first,
  // which takes seconds, and one with a wrong password does not take its place. Where the database
  // can't be reached, nothing is found out, and nothing waited for.
  bool held_back() {
    if (!publisher_.was_published() || !found_.database) return false;
    if (!round_.database_asked()) {
      publisher_.wait("a login to the database is being tried");
    } else if (found_.database_state->refused) {
      publisher_.wait("the database refuses the password; what was published before stays");
    } else {
      return false;
    }
    return true;
  }

  // Only with publishPolicy Verified. One login at a time learns whether the password is right.
  bool verified() {
    if (!round_.database_asked()) {
      publisher_.wait("a login to the database is being tried");
      return false;
    }
    if (found_.database_state->reason == api::reason::kAuthenticationFailed) {
      publisher_.wait("the database refuses the login");
      return false;
    }
    const urls::Connection pooled = pooled_login();
    const std::string token = token_of_trial(pooled);
    plan_.target.verification =
        live::VerificationTarget{.connection = pooled,
                                 .address = "",
                                 .token = token,
                                 .certificate = "",
                                 .refusal_pause = kRefusalPause,
                                 .refusal_scope = round_.supabase().project_ref};
    const live::VerificationState& trial = see_.live.verification;
    if (trial.token != token || trial.outcome == live::Outcome::kUnknown) {
      publisher_.wait("a query through the pooler is being tried");
    } else if (trial.outcome == live::Outcome::kFailed) {
      found_.published = no(trial.reason, trial.message);
    } else {
      return true;
    }
    return false;
  }

  // For neighbours that pool for the same server: nothing of it is ours but one login.
  void claim() {
    const bool seen = found_.database_state != nullptr && found_.database_state->server;
    plan_.claim.asked = true;
    plan_.claim.identity = seen ? found_.database_state->server->identity : "";
    plan_.claim.explicit_budget = kOperatorConnections;
    plan_.claim.held = seen ? kOperatorConnections : 0;
  }

  SupabaseRound round_;
  const Observed& see_ = round_.see;
  const api::PoolerConfig& config_ = round_.config;
  Plan& plan_ = round_.plan;
  Findings& found_ = round_.found;
  Writer writer_{round_};
  Publisher publisher_{round_, writer_};
  SupabaseProject project_{round_, publisher_};
};

}  // namespace

Plan plan_supabase(const Observed& observed) { return SupabasePlan(observed).run(); }

}  // namespace pooler::reconcile
