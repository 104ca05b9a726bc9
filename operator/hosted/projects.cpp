#include "hosted/projects.h"

#include <algorithm>
#include <utility>

#include "base/crypto.h"

namespace pooler::hosted {

void Projects::set_target(const std::string& key, const ProjectTarget& target, MonotonicTime now) {
  const auto [at, is_new] = entries_.try_emplace(key);
  Entry& entry = at->second;
  const bool other_project = is_new || entry.target.project_ref != target.project_ref;
  const bool other_token = entry.target.token != target.token;
  const bool changed = entry.target.generation != target.generation;
  entry.target = target;
  if (other_project) {
    entry.state = {};
    entry.state.project_ref = target.project_ref;
  }
  if (other_project || other_token) {
    entry.serial = ++serials_;
    entry.asking = false;
    entry.state.asked = false;
    entry.state.failure.reset();
    entry.token_hash = sha256(target.token);
    entry.retry = kRetryFirst;
  }
  if (other_project || other_token || changed) entry.due = std::max(now, entry.spaced_until);
}

ProjectState Projects::state(const std::string& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? ProjectState{} : found->second.state;
}

MonotonicTime Projects::due_of(const Entry& entry) const {
  const auto held = not_before_.find(entry.token_hash);
  return held == not_before_.end() ? entry.due : std::max(entry.due, held->second);
}

Projects::Entries::const_iterator Projects::first() const {
  auto best = entries_.end();
  for (auto at = entries_.begin(); at != entries_.end(); ++at) {
    if (at->second.asking) continue;
    if (best == entries_.end() || due_of(at->second) < due_of(best->second)) best = at;
  }
  return best;
}

MonotonicTime Projects::due() const {
  const auto at = first();
  return at == entries_.end() ? MonotonicTime::max() : due_of(at->second);
}

std::optional<Projects::Question> Projects::next(MonotonicTime now) {
  const auto at = first();
  if (at == entries_.end() || due_of(at->second) > now) return std::nullopt;
  const std::string& key = at->first;
  Entry& entry = entries_.at(key);
  entry.asking = true;
  entry.due = now + kReadEvery;
  entry.spaced_until = now + kSpacing;
  return Question{key, entry.target.project_ref,
                  pooler_request(entry.target.project_ref, entry.target.token), entry.serial};
}

bool Projects::answered(const Question& question, const ApiAnswer& answer, MonotonicTime now) {
  const auto found = entries_.find(question.key);
  if (found == entries_.end() || found->second.serial != question.serial) return false;
  Entry& entry = found->second;
  entry.asking = false;
  ProjectState state = entry.state;
  state.asked = true;
  auto pooler = read_answer(answer, question.project_ref);
  if (pooler) {
    state.pooler = std::move(pooler).value();
    state.failure.reset();
    entry.retry = kRetryFirst;
  } else {
    state.failure = pooler.error();
    const Duration wait = state.failure->lasting ? kReadEvery : entry.retry;
    // A change of the PoolerConfig may have brought the next question forward meanwhile.
    entry.due = std::min(entry.due, now + wait);
    entry.retry = std::min<Duration>(2 * entry.retry, kReadEvery);
    if (state.failure->retry_after) {
      std::erase_if(not_before_, [now](const auto& each) { return each.second <= now; });
      not_before_[entry.token_hash] =
          now + std::min<Duration>(*state.failure->retry_after, kLongestWait);
    }
  }
  // The time that the API named passes; it is no news.
  if (state.failure) state.failure->retry_after.reset();
  return std::exchange(entry.state, state) != state;
}

}  // namespace pooler::hosted
