#include "reconcile/supabase_project.h"

#include <utility>

#include "hosted/management.h"

namespace pooler::reconcile {
namespace {

constexpr const char* kBothWays =
    "set spec.supabase.poolerHost to the host that the dashboard shows under Connect, or name a "
    "token of the Management API in spec.supabase.managementTokenSecretRef";

}  // namespace

void SupabaseProject::ask() {
  const api::Supabase& wanted = round_.supabase();
  if (wanted.token_secret_name.empty()) return;
  const auto& data = round_.see.token_secret;
  const std::string secret = "Secret " + round_.config.ns + "/" + wanted.token_secret_name;
  const std::string field = "spec.supabase.managementTokenSecretRef";
  if (!data) {
    return round_.refuse_missing(
        field, wanted.token_secret_name,
        "a token of the Management API under the key " + wanted.token_secret_key);
  }
  const auto found = data->find(wanted.token_secret_key);
  if (found == data->end()) {
    round_.refuse({std::string(api::reason::kSecretKeyMissing), field + ".key",
                   secret + " has no key " + wanted.token_secret_key +
                       ": add it, with a token of the Management API"});
    return;
  }
  const auto token = hosted::read_token(found->second);
  if (!token) {
    round_.refuse({std::string(api::reason::kSecretInvalid), field + ".key",
                   "key " + wanted.token_secret_key + " of " + secret +
                       " holds no token, which is one line of letters, digits and signs"});
    return;
  }
  round_.plan.project = {wanted.project_ref, *token, round_.config.generation};
  if (round_.see.project.project_ref == wanted.project_ref) round_.project = &round_.see.project;
}

void SupabaseProject::settle_host() {
  const api::Supabase& wanted = round_.supabase();
  const bool by_api = !wanted.token_secret_name.empty();
  if (!wanted.pooler_host.empty()) {
    round_.host = wanted.pooler_host;
  } else if (round_.project != nullptr && round_.project->pooler) {
    round_.host = round_.project->pooler->host;
  } else if (by_api) {
    round_.host = published_host();
  }
  if (!round_.host.empty()) return;
  if (!by_api) {
    round_.refuse(
        {std::string(api::reason::kPoolerHostUnknown), "spec.supabase",
         std::string("the host of the project's pooler can't be worked out: ") + kBothWays});
  } else if (failed() && round_.project->failure->lasting) {
    round_.refuse({std::string(api::reason::kPoolerHostUnknown), "spec.supabase",
                   "the host of the project's pooler is not known: " +
                       round_.project->failure->message + "; " + kBothWays});
  }
}

// What was read before a restart of the operator stands in the Secret that it wrote.
std::string SupabaseProject::published_host() const {
  if (!publisher_.was_published()) return {};
  const auto value = [this](const char* key) {
    const auto& data = round_.see.published.data;
    const auto found = data.find(key);
    return found == data.end() ? std::string() : found->second;
  };
  const std::string host = value("host");
  const bool same = api::is_supabase_pooler_host(host) &&
                    value("username").ends_with("." + round_.supabase().project_ref);
  return same ? host : std::string();
}

Verdict SupabaseProject::availability() const {
  if (round_.spec_invalid) {
    return as_before(api::condition::kPoolerAvailable, "the spec can't be used");
  }
  if (!round_.host.empty()) {
    return yes(api::reason::kManagedByProvider, "Supabase runs the pooler, at " + round_.host);
  }
  if (round_.supabase().token_secret_name.empty()) {
    return no(api::reason::kPoolerHostUnknown, "the host of the project's pooler is not known");
  }
  if (failed()) {
    return no(round_.project->failure->lasting ? api::reason::kPoolerHostUnknown
                                               : api::reason::kManagementApiUnavailable,
              round_.project->failure->message + "; it is asked again");
  }
  return no(api::reason::kProgressing,
            round_.plan.project ? "the Management API is being asked for the pooler's host"
                                : "the pooler's host waits for a token of the Management API");
}

Verdict SupabaseProject::loading() const {
  if (round_.spec_invalid) {
    return as_before(api::condition::kConfigurationLoaded, "the spec can't be used");
  }
  if (round_.host.empty()) return availability();
  if (failed()) {
    const bool given = !round_.supabase().pooler_host.empty();
    return unknown(round_.project->failure->lasting ? api::reason::kManagementApiRefused
                                                    : api::reason::kManagementApiUnavailable,
                   round_.project->failure->message + "; " +
                       (given ? "spec.supabase.poolerHost is used"
                              : "the host that it told last stays in use"));
  }
  const bool api_unasked =
      round_.plan.project && (round_.project == nullptr || !round_.project->asked);
  if (api_unasked || (round_.found.database && !round_.database_asked())) {
    return as_before(api::condition::kConfigurationLoaded,
                     "Supabase configures its pooler; not asked yet how");
  }
  return yes(api::reason::kManagedByProvider,
             "Supabase configures its pooler" + sizes() + other_host());
}

Verdict SupabaseProject::as_before(std::string_view type, std::string otherwise) const {
  const api::Condition* before = round_.config.status.find(type);
  if (before == nullptr || before->status == api::ConditionStatus::kFalse) {
    return unknown(api::reason::kUnknown, std::move(otherwise));
  }
  return {before->status, before->reason, before->message};
}

std::string SupabaseProject::sizes() const {
  std::optional<int> pool_size;
  std::optional<int> max_clients;
  const live::DatabaseState* database = round_.found.database_state;
  if (database != nullptr && database->server) {
    if (const auto usual = hosted::limits_of_size(database->server->max_connections)) {
      pool_size = usual->pool_size;
      max_clients = usual->max_clients;
    }
  }
  if (round_.project != nullptr && round_.project->pooler) {
    const hosted::ProjectPooler& told = *round_.project->pooler;
    if (told.pool_size) pool_size = told.pool_size;
    if (told.max_clients) max_clients = told.max_clients;
  }
  std::string text;
  if (pool_size) text += ": pool size " + std::to_string(*pool_size);
  if (max_clients) {
    text += (text.empty() ? ": at most " : ", at most ") + std::to_string(*max_clients);
    text += " clients";
  }
  return text;
}

std::string SupabaseProject::other_host() const {
  const hosted::ProjectState* project = round_.project;
  if (project == nullptr || !project->pooler || project->pooler->host == round_.host) return {};
  return "; the Management API names another host, " + project->pooler->host +
         ": correct spec.supabase.poolerHost, or take it out";
}

}  // namespace pooler::reconcile
