#include "reconcile/writer.h"

#include <optional>
#include <utility>

#include "base/crypto.h"
#include "base/json.h"
#include "base/strings.h"
#include "engine/secrets.h"

namespace pooler::reconcile {
namespace {

// Of the whole body, keyed: what a newer apply no longer has is seen to be gone, and the hash of a
// Secret is no oracle for guessing it.
using engine::kContentHashAnnotation;

constexpr std::chrono::seconds kLookAgainLeaving{2};
constexpr std::chrono::seconds kLookAgainForeign{30};

}  // namespace

void Writer::take_admin() {
  const SecretChild& child = round_.see.admin;
  std::optional<engine::Admin>& admin = round_.admin;
  if (child.ours()) admin = engine::read_admin_secret(child.data);
  if (!admin && (child.ours() || child.ownership == Ownership::kAbsent)) {
    admin = engine::make_admin(round_.see.fresh_random);
  }
  if (!usable(child)) admin.reset();
}

bool Writer::usable(const Child& child) {
  if (child.ownership == Ownership::kForeign) round_.look_again(kLookAgainForeign);
  if (child.ownership == Ownership::kLeaving) round_.look_again(kLookAgainLeaving);
  return child.ownership == Ownership::kAbsent || child.ours();
}

void Writer::add_hash(Json& body) const {
  if (body["metadata"].contains("annotations") &&
      body["metadata"]["annotations"].contains(kContentHashAnnotation)) {
    return;
  }
  body["metadata"]["annotations"][kContentHashAnnotation] = hash_of(body);
}

std::string Writer::hash_of(const Json& body) const {
  return hex_encode(hmac_sha256(round_.admin->hash_key, to_bytes(body))).substr(0, 16);
}

bool Writer::differs(Json body, const Child& child) const {
  add_hash(body);
  return !child.ours() || !is_subset(body, parse_json(child.body));
}

bool Writer::write(const kube::ResourceType& type, Json body, const Child& child) {
  if (round_.spec_invalid || !usable(child)) return false;
  add_hash(body);
  if (!differs(body, child)) return false;
  round_.plan.writes.push_back(
      {type, to_bytes(body), child.ours() ? child.meta : kube::Meta{}, {}});
  return true;
}

void Writer::remove(const kube::ResourceType& type, const Child& child) {
  if (!child.ours()) return;
  round_.plan.removals.push_back({type, child.meta.key(), child.meta.uid, {}});
}

std::string whose(const std::string& kind, const kube::Meta& meta) {
  const kube::OwnerReference* owner = meta.controller_owner();
  const auto label = meta.labels.find(std::string(api::kNameLabel));
  const bool retained = owner == nullptr && label != meta.labels.end() &&
                        meta.annotations.contains(std::string(api::kOwnerUidAnnotation));
  std::string others = retained ? "PoolerConfig " + label->second : "others";
  if (owner != nullptr) others = owner->kind + " " + owner->name;
  return kind + " " + to_string(meta.key()) + " exists and belongs to " + others;
}

Notice note(std::string reason, std::string action, std::string text) {
  return {kube::Event::Type::kNormal, std::move(reason), std::move(action), std::move(text)};
}

}  // namespace pooler::reconcile
