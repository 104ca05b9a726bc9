#include "reconcile/rollout.h"

#include <algorithm>
#include <utility>

#include "engine/pgbouncer/console.h"
#include "engine/pgbouncer/render.h"

namespace pooler::reconcile {
namespace {

using engine::pgbouncer::back_marker;
using engine::pgbouncer::kNoMarker;
using engine::pgbouncer::rejected_of;
using engine::pgbouncer::revision_of;

class Stepper {
 public:
  explicit Stepper(const RolloutInput& input) : in_(input), goal_(input.target) {
    for (int i = 0; i < count(); ++i) out_.assign[i] = at(i).assigned;
  }

  Rollout run() {
    find_base();
    assign_unborn();
    out_.replicas = wanted_replicas();
    reload();
    choose_victim();
    out_.in_progress = out_.in_progress || any_unfinished();
    out_.held = sum(out_.replicas);
    drop_unused_files();
    return std::move(out_);
  }

 private:
  [[nodiscard]] int count() const { return static_cast<int>(in_.ordinals.size()); }
  [[nodiscard]] const Ordinal& at(int i) const {
    return in_.ordinals.at(static_cast<std::size_t>(i));
  }
  [[nodiscard]] bool present(int i) const { return i < count() && at(i).exists; }
  [[nodiscard]] bool serving(int i) const { return present(i) && at(i).ready && !at(i).deleting; }
  [[nodiscard]] bool staying(int i) const { return present(i) && !at(i).deleting; }

  // The revision that the pod runs, as far as it is known.
  [[nodiscard]] static std::string running(const Ordinal& pod) {
    if (pod.login_refused) return {};
    return revision_of(pod.loaded.empty() ? pod.assigned : pod.loaded);
  }

  [[nodiscard]] bool outdated(int i) const {
    const Ordinal& pod = at(i);
    if (!pod.exists || pod.deleting) return false;
    return !pod.template_current || (goal_ && running(pod) != *goal_);
  }

  [[nodiscard]] bool given(int i) const { return goal_ && revision_of(at(i).assigned) == *goal_; }

  // ---- what was before, and whether the target was refused

  void find_base() {
    if (!in_.target) return;
    std::map<std::string, int> others;
    for (int i = 0; i < count(); ++i) {
      const std::string revision = revision_of(at(i).assigned);
      if (!revision.empty() && revision != *in_.target) ++others[revision];
      out_.rejected = out_.rejected || (staying(i) && rejected_of(at(i).assigned) == *in_.target);
    }
    for (const auto& [revision, votes] : others) {
      if (base_.empty() || votes > others.at(base_)) base_ = revision;
    }
    out_.rejected = out_.rejected && !base_.empty();
    if (out_.rejected) goal_ = base_;
  }

  // More than the canary has it: it has proved itself.
  [[nodiscard]] bool spread() const {
    int with_it = 0;
    for (int i = 0; i < count(); ++i) with_it += given(i) ? 1 : 0;
    return with_it > 1;
  }

  // Nobody gets a new configuration before the StatefulSet has the template that it may need, and
  // while it is not known who runs what: right after the start of the operator, above all.
  [[nodiscard]] bool held_back() const {
    if (base_.empty()) return false;
    const bool unasked = std::any_of(in_.ordinals.begin(), in_.ordinals.end(),
                                     [](const Ordinal& pod) { return pod.unasked; });
    return unasked || !in_.template_written;
  }

  // ---- reload

  // What runs is known, and RELOAD brings it to the goal.
  [[nodiscard]] bool can_reload(int i) const {
    const Ordinal& pod = at(i);
    return goal_ && staying(i) && pod.template_current && pod.console_answers &&
           !pod.login_refused && !pod.loaded.empty() && reloadable(pod);
  }
  // A pod that has loaded nothing as a whole could not load the target, and the operator that saw
  // it try is gone: it ran what was before, so RELOAD brings it to either.
  [[nodiscard]] bool reloadable(const Ordinal& pod) const {
    if (pod.loaded != kNoMarker) return in_.reloadable(revision_of(pod.loaded), *goal_);
    const bool tried = in_.target && (revision_of(pod.assigned) == *in_.target ||
                                      rejected_of(pod.assigned) == *in_.target);
    return tried && !base_.empty() && in_.reloadable(base_, *in_.target) &&
           in_.reloadable(*in_.target, base_);
  }
  // Its file names the goal, and it shows something else.
  [[nodiscard]] bool on_its_way(int i) const {
    return given(i) && can_reload(i) && at(i).loaded != at(i).assigned;
  }
  // A file that is good for others, and this one does not take: only a new process helps.
  [[nodiscard]] bool beyond_reload(int i) const {
    return on_its_way(i) && at(i).reload_failed && (out_.rejected || spread());
  }
  [[nodiscard]] bool will_reload(int i) const { return can_reload(i) && !beyond_reload(i); }

  [[nodiscard]] bool staged() const {
    if (base_.empty() || out_.rejected || spread()) return false;
    for (int i = 0; i < count(); ++i) {
      if (will_reload(i) && (outdated(i) || given(i))) return true;
    }
    return false;
  }

  void reload() {
    if (!goal_) return;
    for (int i = 0; i < count(); ++i) {
      if (on_its_way(i) && will_reload(i)) out_.reload[i] = at(i).assigned;
    }
    if (held_back()) return;
    if (!staged()) return reload_rest();
    const auto canary = find_canary();
    if (!canary) return choose_canary();
    judge_canary(*canary);
  }

  [[nodiscard]] std::optional<int> find_canary() const {
    for (int i = 0; i < count(); ++i) {
      if (staying(i) && given(i)) return i;
    }
    return std::nullopt;
  }

  void choose_canary() {
    if (!in_.may_replace) {
      out_.waiting = "the database, before any pod is given the new configuration";
      return;
    }
    for (int i = std::min(count(), out_.replicas) - 1; i >= 0; --i) {
      if (serving(i) && outdated(i) && will_reload(i)) return give(i);
    }
    out_.waiting = "a pod that serves, to try the new configuration on";
  }

  void give(int i) {
    out_.assign[i] = *goal_;
    out_.in_progress = true;
  }

  void judge_canary(int i) {
    const Ordinal& pod = at(i);
    out_.in_progress = true;
    if (pod.reload_failed || (settled(pod) && pod.proof == Ordinal::Proof::kFailed)) {
      out_.assign[i] = back_marker(base_, *goal_);
      out_.pointed_back = i;
    } else if (!settled(pod)) {
      out_.waiting = "pod " + std::to_string(i) + " to load it";
    } else if (pod.proof != Ordinal::Proof::kPassed) {
      out_.trial = i;
      out_.waiting = "a login through pod " + std::to_string(i);
    } else {
      out_.spread = true;
      for (int each = 0; each < count(); ++each) {
        if (staying(each) && outdated(each) && will_reload(each)) give(each);
        if (!staying(each) && each < in_.limit) assign(each, *goal_, out_.replicas);
      }
    }
  }

  // Nothing has to be tried first: all have it already, or it is the one from before.
  void reload_rest() {
    if (!in_.may_replace && !out_.rejected) return;
    for (int i = 0; i < count(); ++i) {
      if (outdated(i) && will_reload(i) && !given(i)) give(i);
    }
  }

  // ---- births and room

  // A pod may run what it was given before and, after a crash, what it is given now.
  [[nodiscard]] int floor_of(int i) const {
    const std::string next = revision_of(out_.assign.at(i));
    const int restarted = next.empty() ? 0 : in_.floor(next);
    if (!present(i)) return restarted;
    const std::string now = running(at(i));
    return std::max(restarted, now.empty() ? restarted : in_.floor(now));
  }

  [[nodiscard]] int sum(int replicas) const {
    int total = 0;
    for (int i = 0; i < count(); ++i) {
      if (i < replicas || present(i)) total += floor_of(i);
    }
    return total;
  }

  // Gives an ordinal its new file if the sum allows it; shrinking always is.
  bool assign(int i, const std::string& revision, int replicas) {
    const std::string before = std::exchange(out_.assign[i], revision);
    if (sum(replicas) <= in_.ceiling || before == revision) return true;
    const bool grows = before.empty() || in_.floor(revision) > in_.floor(revision_of(before));
    if (!grows) return true;
    out_.assign[i] = before;
    out_.waiting = "server connections that other pods still hold";
    return false;
  }

  // Whoever is born next, or comes back after its deletion, starts with the target; with the one
  // before while that is tried on a canary.
  void assign_unborn() {
    if (!goal_) return;
    const std::string revision = staged() || held_back() ? base_ : *goal_;
    for (int i = 0; i < count(); ++i) {
      const bool unborn = !staying(i) || at(i).assigned.empty();
      if (unborn && i < in_.limit) assign(i, revision, in_.replicas);
    }
  }

  [[nodiscard]] bool spare_needed() const {
    if (in_.desired != 1 || in_.limit < 2) return false;
    if (in_.may_replace && !in_.hold_pods && serving(0) && outdated(0) && !will_reload(0))
      return true;
    const bool first_is_back = serving(0) && !outdated(0) && settled(at(0));
    return present(1) && !at(1).deleting && !first_is_back;
  }

  int wanted_replicas() {
    const int want = spare_needed() ? 2 : in_.desired;
    if (want <= in_.replicas) return want;
    int births = in_.replicas;
    while (births < want && !out_.assign[births].empty() && sum(births + 1) <= in_.ceiling) {
      ++births;
    }
    if (births < want) {
      out_.in_progress = true;
      const bool unwritten = out_.assign[births].empty();
      if (out_.waiting.empty()) {
        out_.waiting =
            unwritten ? "a first configuration" : "server connections that others still hold";
      }
    }
    return births;
  }

  // ---- replace

  [[nodiscard]] bool needs_replacement(int i) const {
    return beyond_reload(i) || (outdated(i) && !will_reload(i));
  }

  // Not ready ones first: replacing them costs nobody a connection.
  [[nodiscard]] std::optional<int> next_victim() const {
    std::optional<int> next;
    for (int i = 0; i < std::min(count(), out_.replicas); ++i) {
      if (!needs_replacement(i)) continue;
      if (!next || (serving(*next) && !serving(i)) || serving(*next) == serving(i)) next = i;
    }
    return next;
  }

  // Everybody else serves; who is already new shows it.
  [[nodiscard]] std::optional<int> not_yet_back(int victim) const {
    for (int i = 0; i < out_.replicas; ++i) {
      if (i == victim) continue;
      if (!serving(i) || (!outdated(i) && !settled(at(i)))) return i;
    }
    return std::nullopt;
  }

  void choose_victim() {
    const auto victim = next_victim();
    if (!victim) return;
    out_.in_progress = true;
    if (staged() || held_back()) return;
    if (!in_.may_replace) {
      out_.waiting = "the database, before any pod is replaced";
      return;
    }
    if (in_.hold_pods && serving(*victim)) {
      out_.waiting = "the pooler to be resumed, before any pod is replaced";
      return;
    }
    if (const auto away = not_yet_back(*victim)) {
      out_.waiting = "pod " + std::to_string(*away) + " to serve and show its configuration";
      return;
    }
    if (in_.desired == 1 && serving(0) && *victim == 0 && out_.replicas < 2) {
      if (out_.waiting.empty()) out_.waiting = "a spare pod that takes over";
      return;
    }
    if (goal_ && revision_of(out_.assign[*victim]) != *goal_ &&
        !assign(*victim, *goal_, out_.replicas)) {
      return;
    }
    if (!goal_ || given(*victim)) out_.replace = victim;
  }

  void drop_unused_files() {
    std::erase_if(out_.assign, [this](const auto& entry) {
      return entry.second.empty() || (entry.first >= in_.limit && !present(entry.first));
    });
  }

  [[nodiscard]] bool any_unfinished() const {
    for (int i = 0; i < count(); ++i) {
      const bool wanted = i < out_.replicas;
      if (wanted && (!serving(i) || outdated(i) || !settled(at(i)))) return true;
      if (!wanted && present(i)) return true;
    }
    return out_.replicas != in_.desired;
  }

  const RolloutInput& in_;
  std::optional<std::string> goal_;  // the target, or what was before where that was refused
  std::string base_;                 // what most ordinals were given before the target
  Rollout out_;
};

}  // namespace

bool settled(const Ordinal& ordinal) {
  return ordinal.console_answers && !ordinal.loaded.empty() && ordinal.loaded == ordinal.assigned;
}

Rollout roll_out(const RolloutInput& input) { return Stepper(input).run(); }

}  // namespace pooler::reconcile
