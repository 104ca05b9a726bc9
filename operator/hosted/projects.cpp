#include "hosted/projects.h"

#include <algorithm>
#include <utility>

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
    entry.not_before = {};
    entry.retry = kRetryFirst;
  }
  if (other_project || other_token || changed) entry.due = std::max(now, entry.spaced_until);
}

ProjectState Projects::state(const std::string& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? ProjectState{} : found->second.state;
}

MonotonicTime Projects::due() const {
  MonotonicTime first = MonotonicTime::max();
  for (const auto& [key, entry] : entries_) {
    if (!entry.asking) first = std::min(first, std::max(entry.due, entry.not_before));
  }
  return first;
}

std::optional<Projects::Question> Projects::next(MonotonicTime now) {
  for (auto& [key, entry] : entries_) {
    if (entry.asking || std::max(entry.due, entry.not_before) > now) continue;
    entry.asking = true;
    entry.due = now + kReadEvery;
    entry.spaced_until = now + kSpacing;
    return Question{key, entry.target.project_ref,
                    pooler_request(entry.target.project_ref, entry.target.token), entry.serial};
  }
  return std::nullopt;
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
      entry.not_before = now + std::min<Duration>(*state.failure->retry_after, kLongestWait);
    }
  }
  // The time that the API named passes; it is no news.
  if (state.failure) state.failure->retry_after.reset();
  return std::exchange(entry.state, state) != state;
}

}  // namespace pooler::hosted
