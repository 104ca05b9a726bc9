// A PoolerConfig shop/orders, and a world that does at once what a plan says: enough to walk plan()
// from nothing to Ready. For every test of plan().
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>

#include "api/pooler_config.h"
#include "live/state.h"
#include "reconcile/observed.h"
#include "reconcile/plan.h"

namespace pooler::reconcile {

using SecretData = std::map<std::string, std::string>;

// With either engine.
class PlanFixture : public testing::Test {
 protected:
  PlanFixture();

  Plan look();
  // One round: carries the plan out, takes the status over.
  Plan step();
  void database_answers();

  // "True Ready"; "absent" where there is no such condition.
  [[nodiscard]] std::string status(const std::string& type) const;
  [[nodiscard]] std::string message(const std::string& type) const;

  std::shared_ptr<api::PoolerConfig> config_;
  Observed see_;

 private:
  void carry_out(const Write& each);
  void carry_out(const Removal& each);
};

// With engine PgBouncer: two replicas of at most three.
class PlanTest : public PlanFixture {
 protected:
  static constexpr const char* kUri = "postgresql://app:s3cret@db.example.com:5432/orders";

  PlanTest();

  // Every ordinal that should be there is, and shows what its file names.
  void pods_follow();
  // What was told to be loaded is.
  void pods_reload();
  void verification_answers();

  // As far as pods that serve: what comes next is a query through them.
  void bring_up_pods();
  // As far as Ready.
  void bring_up();
  // Rounds in which pods load what they are told, and queries work.
  void settle();

  // The markers that the ordinals' files name.
  [[nodiscard]] std::multiset<std::string> assigned() const;
  // The revision that the file of ordinal 0 leads to.
  [[nodiscard]] std::string target_hash() const;
  // Its file of that name, as "rev-HASH.userlist.txt" without "rev-HASH".
  [[nodiscard]] std::string target_file(const std::string& suffix) const;

  // Of what is written.
  [[nodiscard]] static std::multiset<std::string> kinds(const Plan& planned);

 private:
  ObservedPod new_pod(int ordinal);

  int serial_ = 0;
};

}  // namespace pooler::reconcile
