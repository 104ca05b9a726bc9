#include "reconcile/rollout.h"

#include <algorithm>
#include <utility>

namespace pooler::reconcile {
namespace {

class Planner {
 public:
  explicit Planner(const RolloutInput& input) : in_(input) {
    for (int i = 0; i < count(); ++i) out_.assign[i] = at(i).assigned;
  }

  Rollout run() {
    assign_unborn();
    out_.replicas = wanted_replicas();
    choose_victim();
    drop_unused_files();
    out_.in_progress = out_.in_progress || any_unfinished();
    out_.held = sum(out_.replicas);
    return std::move(out_);
  }

 private:
  [[nodiscard]] int count() const { return static_cast<int>(in_.ordinals.size()); }
  [[nodiscard]] const Ordinal& at(int i) const {
    return in_.ordinals.at(static_cast<std::size_t>(i));
  }
  [[nodiscard]] bool present(int i) const { return i < count() && at(i).exists; }
  [[nodiscard]] bool serving(int i) const { return present(i) && at(i).ready && !at(i).deleting; }

  // What the pod runs, as far as it is known.
  [[nodiscard]] static std::string running(const Ordinal& pod) {
    if (pod.login_refused) return {};
    return pod.loaded.empty() ? pod.assigned : pod.loaded;
  }

  [[nodiscard]] bool outdated(int i) const {
    const Ordinal& pod = at(i);
    if (!pod.exists || pod.deleting) return false;
    return !pod.template_current || (in_.target && running(pod) != *in_.target);
  }

  // A pod may run what it was given before and, after a crash, what it is given now.
  [[nodiscard]] int floor_of(int i) const {
    const std::string& next = out_.assign.at(i);
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
  bool assign(int i, int replicas) {
    const std::string before = std::exchange(out_.assign[i], *in_.target);
    if (sum(replicas) <= in_.ceiling || before == *in_.target) return true;
    const bool grows = before.empty() || in_.floor(*in_.target) > in_.floor(before);
    if (!grows) return true;
    out_.assign[i] = before;
    out_.waiting = "server connections that other pods still hold";
    return false;
  }

  // Whoever is born next, or comes back after its deletion, starts with the target.
  void assign_unborn() {
    if (!in_.target) return;
    for (int i = 0; i < count(); ++i) {
      const bool unborn = !present(i) || at(i).deleting || at(i).assigned.empty();
      if (unborn && i < in_.limit) assign(i, in_.replicas);
    }
  }

  [[nodiscard]] bool spare_needed() const {
    if (in_.desired != 1 || in_.limit < 2) return false;
    if (in_.may_replace && serving(0) && outdated(0)) return true;
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

  // Not ready ones first: replacing them costs nobody a connection.
  [[nodiscard]] std::optional<int> next_outdated() const {
    std::optional<int> next;
    for (int i = 0; i < std::min(count(), out_.replicas); ++i) {
      if (!outdated(i)) continue;
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
    const auto victim = next_outdated();
    if (!victim) return;
    out_.in_progress = true;
    if (!in_.may_replace) {
      out_.waiting = "the database, before any pod is replaced";
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
    if (in_.target && out_.assign[*victim] != *in_.target && !assign(*victim, out_.replicas))
      return;
    if (in_.target ? at(*victim).assigned == *in_.target : true) out_.replace = victim;
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
  Rollout out_;
};

}  // namespace

bool settled(const Ordinal& ordinal) {
  return ordinal.console_answers && !ordinal.loaded.empty() && ordinal.loaded == ordinal.assigned;
}

Rollout roll_out(const RolloutInput& input) { return Planner(input).run(); }

}  // namespace pooler::reconcile
