#include "live/watched.h"

#include <algorithm>
#include <utility>

namespace pooler::live {
namespace {

bool same(const PodTarget& a, const PodTarget& b) {
  return a.name == b.name && a.address == b.address && a.port == b.port;
}

bool same(const ConsoleLogin& a, const ConsoleLogin& b) {
  return a.user == b.user && a.password == b.password;
}

}  // namespace

void Watched::set_target(LiveTarget target, MonotonicTime now) {
  set_database(target.database, now);
  set_auth(target.auth, now);
  set_pods(target, now);
  set_verification(target.verification, now);
}

void Watched::set_database(const std::optional<DatabaseTarget>& target, MonotonicTime now) {
  if (target && database_ && database_->state().token == target->token) return;
  if (database_) {
    const auto last = database_->last_open(now);
    if (last) database_free_at_ = *last + DatabaseProbe::kCooling;
    database_.reset();
  }
  if (!target || target->connection.hosts.empty()) return;
  database_ = std::make_unique<DatabaseProbe>(sessions_, refusals_, *target,
                                              std::max(now, database_free_at_));
}

void Watched::set_auth(const std::optional<AuthTarget>& target, MonotonicTime now) {
  if (target && auth_ && auth_->state().token == target->token) return;
  if (auth_) {
    const auto last = auth_->last_open(now);
    if (last) auth_free_at_ = *last + DatabaseProbe::kCooling;
    auth_.reset();
  }
  if (!target || target->connection.hosts.empty()) return;
  auth_ = std::make_unique<AuthProbe>(sessions_, *target, std::max(now, auth_free_at_));
}

void Watched::set_pods(const LiveTarget& target, MonotonicTime now) {
  std::erase_if(pods_, [&](const auto& entry) {
    return std::none_of(target.pods.begin(), target.pods.end(),
                        [&](const PodTarget& pod) { return pod.uid == entry.first; });
  });
  for (const PodTarget& wanted : target.pods) {
    Pod& pod = pods_[wanted.uid];
    if (pod.probe && same(pod.target, wanted) && same(pod.login, target.console)) {
      pod.probe->expect(wanted.certificates);
      pod.probe->reload_to(wanted.reload_to, now);
      pod.probe->follow(wanted.moves, now);
      pod.probe->pause(wanted.paused, wanted.wait_limit, now);
      continue;
    }
    pod.probe.reset();
    pod.target = wanted;
    pod.login = target.console;
    if (wanted.address.empty() || target.console.user.empty()) continue;
    pod.probe = std::make_unique<PodProbe>(sessions_, wanted, target.console, now);
    pod.probe->expect(wanted.certificates);
    pod.probe->reload_to(wanted.reload_to, now);
    pod.probe->follow(wanted.moves, now);
    pod.probe->pause(wanted.paused, wanted.wait_limit, now);
  }
}

void Watched::set_verification(const std::optional<VerificationTarget>& target, MonotonicTime now) {
  if (target && verification_ && verification_->state().token == target->token) return;
  verification_.reset();
  if (!target || target->connection.hosts.empty()) return;
  verification_ = std::make_unique<VerificationProbe>(sessions_, refusals_, *target, now);
}

void Watched::hurry(MonotonicTime now) {
  for (auto& [uid, pod] : pods_) {
    if (pod.probe) pod.probe->hurry(now);
  }
}

std::vector<Probe*> Watched::probes() const {
  std::vector<Probe*> all;
  if (database_) all.push_back(database_.get());
  if (auth_) all.push_back(auth_.get());
  for (const auto& [uid, pod] : pods_) {
    if (pod.probe) all.push_back(pod.probe.get());
  }
  if (verification_) all.push_back(verification_.get());
  return all;
}

LiveState Watched::state() const {
  LiveState state;
  if (database_) state.database = database_->state();
  if (auth_) state.auth = auth_->state();
  for (const auto& [uid, pod] : pods_) {
    state.pods.emplace(uid, pod.probe ? pod.probe->state() : PodState{});
  }
  if (verification_) state.verification = verification_->state();
  return state;
}

}  // namespace pooler::live
