#include "reconcile/publish.h"

#include <utility>

#include "base/json.h"
#include "engine/secrets.h"
#include "kube/kinds.h"

namespace pooler::reconcile {
namespace {

// The published Secret's content hash is of its data alone, since only new data has to be verified:
// this one is of the whole.
constexpr const char* kObjectHashAnnotation = "pooler.dev/object-hash";

}  // namespace

void Publisher::set(const urls::Published& ways) {
  data_ = urls::published_keys(ways, round_.config.spec.connection_secret);
  hash_ = engine::content_hash(*round_.admin, data_);
}

bool Publisher::was_published() const {
  return round_.see.published.ours() && !round_.see.published.inherited;
}

bool Publisher::is_current() const {
  if (!was_published()) return false;
  const auto& annotations = round_.see.published.meta.annotations;
  const auto found = annotations.find(engine::kContentHashAnnotation);
  return found != annotations.end() && found->second == hash_;
}

bool Publisher::begin() {
  const SecretChild& published = round_.see.published;
  Verdict& verdict = round_.found.published;
  if (published.ownership == Ownership::kForeign) {
    (void)writer_.usable(published);
    verdict = no(api::reason::kNotOwned,
                 whose("Secret", published.meta) +
                     "; it is left as it is: delete or rename it, or make a PoolerConfig with "
                     "another spec.connectionSecret.name");
    return false;
  }
  if (!writer_.usable(published) || !round_.admin || round_.found.blocked) {
    verdict = unknown(api::reason::kUnverified, "the Secret waits for the pooler");
    return false;
  }
  if (was_published()) round_.found.binding = round_.config.spec.connection_secret.name;
  return true;
}

void Publisher::write() {
  const api::ConnectionSecret& wanted = round_.config.spec.connection_secret;
  Json body = engine::published_secret(round_.config, data_, hash_);
  body["metadata"]["annotations"][kObjectHashAnnotation] = writer_.hash_of(body);
  const bool writing = writer_.write(kube::Secret::kType, std::move(body), round_.see.published);
  if (writing && !is_current()) {
    round_.plan.writes.back().notice =
        note("SecretPublished", "Publish",
             "Secret " + wanted.name +
                 (round_.immediate() ? " holds the URLs, not verified (publishPolicy Immediate)"
                                     : " holds the verified URLs"));
  }
  round_.found.published = yes(api::reason::kPublished,
                               "Secret " + wanted.name + " holds " + urls::describe_keys(wanted));
  round_.found.binding = wanted.name;
}

void Publisher::keep() {
  Verdict& verdict = round_.found.published;
  if (!was_published()) {
    verdict =
        no(api::reason::kUnverified, "the Secret is written once a query through the pooler works");
  } else if (round_.found.database && !round_.found.configuration) {
    verdict = no(api::reason::kCredentialsPending,
                 last_urls() + " stay until the database accepts the new ones");
  } else {
    verdict =
        yes(api::reason::kPublished, "Secret " + round_.found.binding + " holds " + last_urls());
  }
}

std::string Publisher::last_urls() const {
  return round_.immediate() ? "the last URLs" : "the last verified URLs";
}

void Publisher::wait(std::string message) {
  round_.found.published =
      no(was_published() ? api::reason::kCredentialsPending : api::reason::kUnverified,
         std::move(message));
}

}  // namespace pooler::reconcile
