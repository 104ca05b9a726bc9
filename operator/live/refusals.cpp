#include "live/refusals.h"

#include <algorithm>
#include <utility>

#include "base/crypto.h"

namespace pooler::live {

const Refusal* Refusals::find(const std::string& key, MonotonicTime now) const {
  const auto found = entries_.find(key);
  if (found == entries_.end() || !found->second.refused) return nullptr;
  const Refusal& refusal = found->second.refusal;
  return now < refusal.until ? &refusal : nullptr;
}

MonotonicTime Refusals::begin(const std::string& key, MonotonicTime now) {
  if (const Refusal* refusal = find(key, now)) return refusal->until;
  Entry& entry = entries_[key];
  if (now < entry.trying_until) return std::min(entry.trying_until, now + kLookAgain);
  entry.trying_until = now + kTrying;
  return now;
}

void Refusals::end(const std::string& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  found->second.trying_until = {};
  if (!found->second.refused) entries_.erase(found);
}

void Refusals::refuse(const std::string& key, Refusal refusal) {
  if (entries_.size() >= kMost) {
    const auto oldest =
        std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
          return a.second.refusal.until < b.second.refusal.until;
        });
    entries_.erase(oldest);
  }
  entries_[key] = {.trying_until = {}, .refused = true, .refusal = std::move(refusal)};
}

void Refusals::remember(const std::string& key, Refusal refusal) {
  const auto found = entries_.find(key);
  if (found == entries_.end() || !found->second.refused) refuse(key, std::move(refusal));
}

PasswordRule::PasswordRule(Refusals& refusals, const std::string& scope,
                           const std::string& password, Duration pause)
    : refusals_(refusals),
      key_(pause > Duration::zero() ? sha256(scope + '\0' + password) : ""),
      pause_(pause) {}

const Refusal* PasswordRule::refusal(MonotonicTime now) const {
  return on() ? refusals_.find(key_, now) : nullptr;
}

MonotonicTime PasswordRule::begin(MonotonicTime now) {
  if (!on()) return now;
  const MonotonicTime at = refusals_.begin(key_, now);
  trying_ = at <= now;
  return at;
}

void PasswordRule::end() {
  if (std::exchange(trying_, false)) refusals_.end(key_);
}

void PasswordRule::accept() {
  if (std::exchange(trying_, false)) refusals_.accept(key_);
}

void PasswordRule::refuse(const std::string& token, const std::string& message, MonotonicTime now) {
  trying_ = false;
  if (on()) refusals_.refuse(key_, {now + pause_, token, message});
}

void PasswordRule::remember(const std::string& message, MonotonicTime now) {
  if (on()) refusals_.remember(key_, {now + pause_, "", message});
}

std::string told_of(const Refusal& refusal, const std::string& token) {
  if (refusal.token == token) return refusal.message;
  return refusal.message +
         "; that was another login with the same password: whatever else has changed since is "
         "tried when the password is";
}

}  // namespace pooler::live
