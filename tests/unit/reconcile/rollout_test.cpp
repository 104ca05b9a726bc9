#include "reconcile/rollout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace pooler::reconcile {
namespace {

Ordinal pod(const std::string& revision) {
  return {.exists = true,
          .ready = true,
          .console_answers = true,
          .assigned = revision,
          .loaded = revision};
}

RolloutInput input(std::vector<Ordinal> ordinals, int desired, const std::string& target) {
  RolloutInput in;
  in.limit = static_cast<int>(ordinals.size());
  in.ordinals = std::move(ordinals);
  in.desired = desired;
  in.replicas = desired;
  in.target = target;
  in.ceiling = 100;
  in.floor = [](const std::string&) { return 10; };
  return in;
}

TEST(RollOut, NothingToDo) {
  const Rollout out = roll_out(input({pod("a"), pod("a"), {.assigned = "a"}}, 2, "a"));
  EXPECT_FALSE(out.replace);
  EXPECT_FALSE(out.in_progress);
  EXPECT_EQ(out.replicas, 2);
  EXPECT_EQ(out.held, 20);
}

TEST(RollOut, GivesTheFileBeforeItReplacesThePod) {
  auto in = input({pod("a"), pod("a"), {.assigned = "a"}}, 2, "b");
  Rollout out = roll_out(in);
  EXPECT_FALSE(out.replace) << "the file of the pod still names the old revision";
  EXPECT_EQ(out.assign.at(1), "b") << "the highest ordinal goes first";
  EXPECT_EQ(out.assign.at(0), "a");
  EXPECT_EQ(out.assign.at(2), "b") << "whoever is born starts with the target";
  in.ordinals[1].assigned = "b";
  out = roll_out(in);
  EXPECT_EQ(out.replace, 1);
}

TEST(RollOut, TheNextWaitsUntilTheLastShowsItsRevision) {
  auto in = input({pod("a"), pod("b"), {.assigned = "b"}}, 2, "b");
  in.ordinals[0].assigned = "b";
  in.ordinals[1].loaded = "";
  in.ordinals[1].console_answers = false;
  EXPECT_FALSE(roll_out(in).replace);
  EXPECT_FALSE(roll_out(in).waiting.empty());
  in.ordinals[1] = pod("b");
  EXPECT_EQ(roll_out(in).replace, 0);
}

TEST(RollOut, ABrokenNewPodStopsItThere) {
  auto in = input({pod("a"), pod("a"), {.assigned = "b", .loaded = ""}}, 3, "b");
  in.ordinals[2].exists = true;  // replaced, and does not come up
  in.limit = 4;
  in.ordinals.push_back({.assigned = "b"});
  const Rollout out = roll_out(in);
  EXPECT_FALSE(out.replace);
  EXPECT_EQ(out.assign.at(0), "a");
  EXPECT_EQ(out.assign.at(1), "a");
}

TEST(RollOut, AMendedConfigurationReplacesTheBrokenPodFirst) {
  auto in =
      input({pod("a"), pod("a"), {.exists = true, .assigned = "b"}, {.assigned = "b"}}, 3, "c");
  EXPECT_EQ(roll_out(in).assign.at(2), "c");
  EXPECT_EQ(roll_out(in).assign.at(0), "a");
  in.ordinals[2].assigned = "c";
  in.ordinals[2].template_current = false;
  EXPECT_EQ(roll_out(in).replace, 2);
}

TEST(RollOut, OneReplicaFirstBecomesTwo) {
  auto in = input({pod("a"), {.assigned = "a"}}, 1, "b");
  Rollout out = roll_out(in);
  EXPECT_EQ(out.replicas, 2);
  EXPECT_FALSE(out.replace);
  EXPECT_EQ(out.assign.at(1), "b");
  EXPECT_EQ(out.assign.at(0), "a");

  in.replicas = 2;
  in.ordinals[1] = pod("b");
  out = roll_out(in);
  EXPECT_EQ(out.assign.at(0), "b");
  in.ordinals[0].assigned = "b";
  EXPECT_EQ(roll_out(in).replace, 0);

  in.ordinals[0] = {.exists = true, .deleting = true, .assigned = "b"};
  EXPECT_EQ(roll_out(in).replicas, 2) << "the spare serves meanwhile";
  in.ordinals[0] = pod("b");
  EXPECT_EQ(roll_out(in).replicas, 1);
}

TEST(RollOut, TheSpareStaysWhenTheDatabaseGoesAwayInTheMiddle) {
  auto in = input({{.exists = true, .deleting = true, .assigned = "b"}, pod("b")}, 1, "b");
  in.replicas = 2;
  in.may_replace = false;
  EXPECT_EQ(roll_out(in).replicas, 2);
}

TEST(RollOut, KeepsEverythingWithoutATarget) {
  auto in = input({pod("a"), pod("a"), {.assigned = "a"}}, 2, "");
  in.target = std::nullopt;
  in.may_replace = false;
  const Rollout out = roll_out(in);
  EXPECT_FALSE(out.replace);
  EXPECT_EQ(out.assign.at(0), "a");
  EXPECT_EQ(out.replicas, 2);
}

TEST(RollOut, PodsWhoseFilesAreGoneStay) {
  auto in = input({pod(""), pod(""), {}}, 2, "");
  in.target.reset();
  const Rollout out = roll_out(in);
  EXPECT_FALSE(out.replace);
  EXPECT_EQ(out.replicas, 2);
  EXPECT_TRUE(out.assign.empty());
}

TEST(RollOut, BirthsStayWithinTheCeiling) {
  auto in = input({pod("a"), {.assigned = "a"}, {.assigned = "a"}, {.assigned = "a"}}, 3, "a");
  in.replicas = 1;
  in.ceiling = 25;
  const Rollout out = roll_out(in);
  EXPECT_EQ(out.replicas, 2);
  EXPECT_TRUE(out.in_progress);
  EXPECT_FALSE(out.waiting.empty());
}

TEST(RollOut, ALargerFloorWaitsForRoom) {
  auto in = input({pod("small"), pod("large"), {.assigned = "small"}}, 2, "larger");
  in.floor = [](const std::string& revision) {
    return revision == "small" ? 10 : revision == "large" ? 20 : 30;
  };
  in.ceiling = 35;
  const Rollout out = roll_out(in);
  EXPECT_FALSE(out.replace);
  EXPECT_EQ(out.assign.at(1), "large");
  EXPECT_FALSE(out.waiting.empty());
}

TEST(RollOut, AnotherAdminPasswordMeansAnotherRevision) {
  auto in = input({pod("b"), pod("b"), {.assigned = "b"}}, 2, "b");
  in.ordinals[1].console_answers = false;
  in.ordinals[1].login_refused = true;
  in.ordinals[1].loaded = "";
  EXPECT_EQ(roll_out(in).replace, 1);
}

TEST(RollOut, OldTemplateIsReplacedToo) {
  auto in = input({pod("a"), pod("a"), {.assigned = "a"}}, 2, "a");
  in.ordinals[0].template_current = false;
  EXPECT_EQ(roll_out(in).replace, 0);
}

// ---- reload

RolloutInput reloading(std::vector<Ordinal> ordinals, int desired, const std::string& target) {
  RolloutInput in = input(std::move(ordinals), desired, target);
  in.reloadable = [](const std::string&, const std::string&) { return true; };
  return in;
}

TEST(Reload, OneCanaryFirstAndEverythingElseAsItWas) {
  auto in = reloading({pod("a"), pod("a"), pod("a"), {.assigned = "a"}}, 3, "b");
  const Rollout out = roll_out(in);
  EXPECT_EQ(out.assign, (std::map<int, std::string>{{0, "a"}, {1, "a"}, {2, "b"}, {3, "a"}}));
  EXPECT_FALSE(out.replace);
  EXPECT_TRUE(out.in_progress);
  in.ordinals[2].assigned = "b";
  EXPECT_EQ(roll_out(in).reload, (std::map<int, std::string>{{2, "b"}}));
  EXPECT_EQ(roll_out(in).assign.at(3), "a") << "who is born meanwhile starts with what works";
}

// The operator that gave the canary its file is gone, and with it what the pod showed before.
TEST(Reload, ACanaryThatLoadedNothingAsAWholeIsToldAgainAndPointedBack) {
  for (const int others : {2, 0}) {
    std::vector<Ordinal> ordinals(static_cast<std::size_t>(others), pod("a"));
    ordinals.push_back(pod("b"));
    ordinals.back().loaded = "pgbouncer";
    ordinals.push_back({.assigned = "a"});
    auto in = reloading(ordinals, others + 1, "b");
    in.reloadable = [](const std::string& from, const std::string& to) {
      return from != "pgbouncer" && to != "pgbouncer";
    };
    Rollout out = roll_out(in);
    EXPECT_EQ(out.reload, (std::map<int, std::string>{{others, "b"}}));
    EXPECT_FALSE(out.replace);
    EXPECT_EQ(out.replicas, others + 1) << "no spare";
    EXPECT_EQ(out.assign.at(others + 1), "a");
    Ordinal& canary = in.ordinals.at(static_cast<std::size_t>(others));
    canary.reload_failed = true;
    out = roll_out(in);
    EXPECT_EQ(out.pointed_back, others);
    EXPECT_EQ(out.assign.at(others), "a+b");
    canary.assigned = "a+b";
    canary.reload_failed = false;
    out = roll_out(in);
    EXPECT_TRUE(out.rejected);
    EXPECT_EQ(out.reload, (std::map<int, std::string>{{others, "a+b"}}));
    EXPECT_FALSE(out.replace);
  }
}

TEST(Reload, NothingAsAWholeIsNoWayToWhatNeedsANewProcess) {
  auto in = input({pod("a"), pod("b"), {.assigned = "a"}}, 2, "b");
  in.ordinals[1].loaded = "pgbouncer";
  EXPECT_TRUE(roll_out(in).reload.empty());
  EXPECT_EQ(roll_out(in).replace, 1);
}

TEST(Reload, TheOthersFollowAtOnceAfterALoginThroughTheCanary) {
  auto in = reloading({pod("a"), pod("a"), pod("b"), {.assigned = "a"}}, 3, "b");
  Rollout out = roll_out(in);
  EXPECT_EQ(out.trial, 2);
  EXPECT_EQ(out.assign.at(0), "a");
  in.ordinals[2].proof = Ordinal::Proof::kPassed;
  out = roll_out(in);
  EXPECT_TRUE(out.spread);
  EXPECT_EQ(out.assign, (std::map<int, std::string>{{0, "b"}, {1, "b"}, {2, "b"}, {3, "b"}}));
  // A new operator knows of no login, and needs none: others were given the revision.
  for (auto& ordinal : in.ordinals) ordinal.assigned = "b", ordinal.proof = Ordinal::Proof::kNone;
  out = roll_out(in);
  EXPECT_EQ(out.reload, (std::map<int, std::string>{{0, "b"}, {1, "b"}}));
  EXPECT_FALSE(out.trial);
  EXPECT_FALSE(out.replace);
}

TEST(Reload, OneReplicaNeedsNoSpare) {
  const Rollout out = roll_out(reloading({pod("a"), {.assigned = "a"}}, 1, "b"));
  EXPECT_EQ(out.replicas, 1);
  EXPECT_EQ(out.assign, (std::map<int, std::string>{{0, "b"}, {1, "a"}}));
}

TEST(Reload, ACanaryThatFailsIsPointedBackAndNotTriedAgain) {
  auto in = reloading({pod("a"), pod("a"), {.assigned = "a"}}, 2, "b");
  in.ordinals[1].assigned = "b";
  in.ordinals[1].reload_failed = true;
  Rollout out = roll_out(in);
  EXPECT_EQ(out.pointed_back, 1);
  EXPECT_EQ(out.assign, (std::map<int, std::string>{{0, "a"}, {1, "a+b"}, {2, "a"}}));
  EXPECT_FALSE(out.replace);

  in.ordinals[1].assigned = "a+b";
  in.ordinals[1].reload_failed = false;
  out = roll_out(in);
  EXPECT_TRUE(out.rejected);
  EXPECT_EQ(out.reload, (std::map<int, std::string>{{1, "a+b"}})) << "undoes what was half loaded";
  in.ordinals[1].loaded = "a+b";
  out = roll_out(in);
  EXPECT_TRUE(out.rejected);
  EXPECT_FALSE(out.in_progress);
  EXPECT_TRUE(out.reload.empty());

  in.target = "c";
  EXPECT_EQ(roll_out(in).assign.at(1), "c") << "another revision is another try";
  in.target = "b";
  in.ordinals[1].deleting = true;
  EXPECT_EQ(roll_out(in).assign.at(1), "a");
  in.ordinals[1] = {.assigned = "a"};
  EXPECT_EQ(roll_out(in).assign.at(0), "b") << "with that pod gone, another one tries it";
}

TEST(Reload, ALoginThatFailsPointsBackToo) {
  auto in = reloading({pod("a"), pod("b"), {.assigned = "a"}}, 2, "b");
  in.ordinals[1].proof = Ordinal::Proof::kFailed;
  EXPECT_EQ(roll_out(in).assign.at(1), "a+b");
}

TEST(Reload, APodThatDoesNotComeBackIsReplaced) {
  auto in = reloading({pod("a"), pod("a"), {.assigned = "a"}}, 2, "b");
  in.ordinals[1].assigned = "a+b";
  in.ordinals[1].reload_failed = true;
  EXPECT_EQ(roll_out(in).replace, 1);
}

TEST(Reload, WhoDoesNotTakeAProvenConfigurationIsReplaced) {
  auto in = reloading({pod("a"), pod("b"), {.assigned = "b"}}, 2, "b");
  in.ordinals[0].assigned = "b";
  in.ordinals[0].reload_failed = true;
  EXPECT_EQ(roll_out(in).replace, 0);
}

TEST(Reload, NotWithoutAConsoleNorWithAnOldTemplate) {
  auto in = reloading({pod("a"), pod("a"), {.assigned = "a"}}, 2, "b");
  in.ordinals[1].template_current = false;
  in.ordinals[0].template_current = false;
  EXPECT_EQ(roll_out(in).assign.at(1), "b");
  in.ordinals[1].assigned = "b";
  EXPECT_EQ(roll_out(in).replace, 1);
  EXPECT_TRUE(roll_out(in).reload.empty());

  in = reloading({pod("a"), pod("a"), {.assigned = "a"}}, 2, "b");
  in.template_written = false;
  EXPECT_EQ(roll_out(in).assign, (std::map<int, std::string>{{0, "a"}, {1, "a"}, {2, "a"}}));
  EXPECT_TRUE(roll_out(in).in_progress);
}

TEST(Reload, ANewOperatorAsksBeforeItGoesOn) {
  auto in = reloading({pod("a"), pod("a"), {.assigned = "a"}}, 2, "b");
  in.ordinals[1].assigned = "b";
  for (auto& ordinal : in.ordinals) {
    ordinal.unasked = ordinal.exists;
    ordinal.console_answers = false;
    ordinal.loaded.clear();
  }
  const Rollout out = roll_out(in);
  EXPECT_EQ(out.assign, (std::map<int, std::string>{{0, "a"}, {1, "b"}, {2, "a"}}));
  EXPECT_FALSE(out.replace);
}

TEST(Reload, NothingNewWhileTheDatabaseIsAway) {
  auto in = reloading({pod("a"), pod("a"), {.assigned = "a"}}, 2, "b");
  in.may_replace = false;
  EXPECT_EQ(roll_out(in).assign, (std::map<int, std::string>{{0, "a"}, {1, "a"}, {2, "a"}}));
}

// Pods that load what their file names when they are told to, or when their process is restarted;
// some revisions are bad, and a process that starts with one serves nobody.
class ReloadWorld {
 public:
  ReloadWorld(unsigned seed, int replicas) : random_(seed), replicas_(replicas) {
    for (int i = 0; i <= replicas; ++i) {
      ordinals_.push_back(i < replicas ? pod("0") : Ordinal{.assigned = "0"});
    }
  }

  void edit() {
    const bool bad = pick(2) == 0;
    target_ = std::to_string(++edits_) + (bad ? "x" : "");
    if (!bad) good_ = target_;
  }

  void step() {
    RolloutInput in = reloading(ordinals_, replicas_, target_);
    in.replicas = replicas_;
    const Rollout out = roll_out(in);
    replaced_ += out.replace ? 1 : 0;
    for (int i = 0; i < static_cast<int>(ordinals_.size()); ++i) {
      Ordinal& ordinal = ordinals_.at(static_cast<std::size_t>(i));
      const auto told = out.reload.find(i);
      if (told != out.reload.end() && pick(2) == 0) load(ordinal);
      ordinal.proof = out.trial == i && pick(2) == 0 ? Ordinal::Proof::kPassed : ordinal.proof;
      if (out.assign.at(i) != ordinal.assigned) {
        ordinal.assigned = out.assign.at(i);
        ordinal.reload_failed = false;
        ordinal.proof = Ordinal::Proof::kNone;
      }
    }
  }

  [[nodiscard]] int with_bad() const {
    return static_cast<int>(std::count_if(ordinals_.begin(), ordinals_.end(), [](const auto& each) {
      return each.assigned.back() == 'x' && each.assigned.find('+') == std::string::npos;
    }));
  }
  [[nodiscard]] bool settled_on_good() const {
    for (const Ordinal& ordinal : ordinals_) {
      if (ordinal.assigned.substr(0, ordinal.assigned.find('+')) != good_) return false;
      if (ordinal.exists && ordinal.loaded != ordinal.assigned) return false;
    }
    return true;
  }
  [[nodiscard]] int replaced() const { return replaced_; }

 private:
  static void load(Ordinal& ordinal) {
    const std::string file = ordinal.assigned.substr(0, ordinal.assigned.find('+'));
    if (file.back() == 'x') {
      ordinal.reload_failed = true;
    } else {
      ordinal.loaded = ordinal.assigned;
    }
  }
  int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }

  std::mt19937 random_;
  int replicas_;
  int edits_ = 0;
  int replaced_ = 0;
  std::vector<Ordinal> ordinals_;
  std::string target_ = "0";
  std::string good_ = "0";
};

TEST(ReloadProperty, ABadRevisionReachesOnePodAndAGoodOneAll) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    ReloadWorld world(seed, 1 + static_cast<int>(seed % 4));
    for (int edit = 0; edit < 10; ++edit) {
      world.edit();
      for (int step = 0; step < 60; ++step) {
        world.step();
        ASSERT_LE(world.with_bad(), 1) << "seed " << seed;
      }
      ASSERT_TRUE(world.settled_on_good()) << "seed " << seed << " edit " << edit;
    }
    ASSERT_EQ(world.replaced(), 0) << "seed " << seed;
  }
}

// A small cluster that is independent of the planner: pods take what their file names when their
// process starts, die, come back, crash; the StatefulSet makes missing ordinals at any moment.
class World {
 public:
  World(unsigned seed, int limit, int replicas, int budget) : random_(seed), budget_(budget) {
    ordinals_.resize(static_cast<std::size_t>(limit));
    desired_ = replicas;
    target_ = "r" + std::to_string(budget / limit) + "-0";
    for (auto& ordinal : ordinals_) ordinal.assigned = target_;
  }

  void edit() {
    ++edits_;
    desired_ = pick(static_cast<int>(ordinals_.size()));
    const int limit = static_cast<int>(ordinals_.size());
    target_ =
        "r" + std::to_string(std::max(1, budget_ / limit - pick(2))) + "-" + std::to_string(edits_);
  }

  void operate() {
    RolloutInput in = observe();
    const Rollout out = roll_out(in);
    for (const auto& [i, revision] : out.assign) at(i).assigned = revision;
    replicas_ = out.replicas;
    if (!out.replace) return;
    ASSERT_TRUE(at(*out.replace).exists);
    ASSERT_EQ(in.ordinals.at(static_cast<std::size_t>(*out.replace)).assigned, target_);
    at(*out.replace).deleting = true;
    at(*out.replace).ready = false;
  }

  void live() {
    for (int i = 0; i < static_cast<int>(ordinals_.size()); ++i) {
      Ordinal& ordinal = at(i);
      if (ordinal.exists && i >= replicas_) ordinal.deleting = true, ordinal.ready = false;
      if (pick(3) != 0) continue;
      if (ordinal.exists && ordinal.deleting) {
        ordinal = {.assigned = ordinal.assigned};
      } else if (!ordinal.exists && i < replicas_) {
        ordinal.exists = true;
        ordinal.loaded = ordinal.assigned;
      } else if (ordinal.exists && !ordinal.ready) {
        ordinal.ready = ordinal.console_answers = true;
      } else if (ordinal.exists && pick(20) == 0) {  // crash: the process starts anew
        ordinal.loaded = ordinal.assigned;
        ordinal.ready = false;
      }
    }
  }

  [[nodiscard]] int connections() const {
    int sum = 0;
    for (const Ordinal& ordinal : ordinals_) sum += ordinal.exists ? floor(ordinal.loaded) : 0;
    return sum;
  }

  [[nodiscard]] bool converged() const {
    for (int i = 0; i < static_cast<int>(ordinals_.size()); ++i) {
      const Ordinal& ordinal = ordinals_.at(static_cast<std::size_t>(i));
      if (ordinal.exists != (i < desired_)) return false;
      if (ordinal.exists && (ordinal.loaded != target_ || !ordinal.ready || ordinal.deleting)) {
        return false;
      }
    }
    return replicas_ == desired_;
  }

 private:
  static int floor(const std::string& revision) { return std::stoi(revision.substr(1)); }
  int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }
  Ordinal& at(int i) { return ordinals_.at(static_cast<std::size_t>(i)); }

  [[nodiscard]] RolloutInput observe() {
    RolloutInput in;
    in.ordinals = ordinals_;
    // The console may not have answered yet.
    for (Ordinal& ordinal : in.ordinals) {
      if (ordinal.exists && pick(3) == 0) ordinal.console_answers = false, ordinal.loaded.clear();
    }
    in.limit = static_cast<int>(ordinals_.size());
    in.desired = desired_;
    in.replicas = replicas_;
    in.target = target_;
    in.ceiling = budget_;
    in.floor = floor;
    return in;
  }

  std::mt19937 random_;
  int budget_;
  std::vector<Ordinal> ordinals_;
  int desired_ = 0;
  int replicas_ = 0;
  int edits_ = 0;
  std::string target_;
};

TEST(RollOutProperty, NeverAboveTheBudgetAndAlwaysConverges) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    World world(seed, 2 + static_cast<int>(seed % 5), 1, 40);
    for (int edit = 0; edit < 10; ++edit) {
      for (int step = 0; step < 15; ++step) {
        world.operate();
        world.live();
        ASSERT_LE(world.connections(), 40) << "seed " << seed;
      }
      world.edit();
    }
    int steps = 0;
    for (; steps < 3000 && !world.converged(); ++steps) {
      world.operate();
      world.live();
      ASSERT_LE(world.connections(), 40) << "seed " << seed;
    }
    ASSERT_TRUE(world.converged()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace pooler::reconcile
