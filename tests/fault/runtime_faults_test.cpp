// operator/kube under faults: a controller ends in the state of the run without faults, with the
// same creates and deletes (O1, O2), and then writes nothing more (O3).
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <thread>

#include "fault/fault_plan.h"
#include "fault/mini_controller.h"

namespace pooler::fault {
namespace {

using Kind = Fault::Kind;
using What = Match::What;
using kube::ObjectKey;
using kube::Secret;

constexpr int kThings = 3;
// Each run has at least so many; a few more depend on who sees what first.
constexpr int kSureWrites = 5 * kThings;

class RuntimeFaults : public testing::Test {
 protected:
  RuntimeFaults() { start_anew(); }

  void start_anew() {
    controller_.reset();
    faulty_.reset();
    server_ = std::make_unique<FakeApiServer>(clock_);
    faulty_ = std::make_unique<FaultyTransport>(*server_);
    TypeRules thing;
    thing.api_version = kMiniThing.api_version;
    thing.kind = kMiniThing.kind;
    thing.plural = kMiniThing.plural;
    thing.status_subresource = true;
    thing.generation = true;
    thing.custom_resource = true;
    server_->serve(thing);
  }

  static std::string name(int i) { return "t" + std::to_string(i); }
  static ObjectKey key(int i) { return {"ns", name(i)}; }
  void make(int i) {
    server_->create(kMiniThing,
                    {{"metadata", {{"name", name(i)}, {"namespace", "ns"}}}, {"spec", {{"n", 1}}}});
  }
  void set(int i, int n) {
    server_->edit(kMiniThing, key(i), [&](Object& thing) { thing["spec"]["n"] = n; });
  }
  void live() { controller_ = std::make_unique<MiniController>(*faulty_); }

  bool eventually(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      if (faulty_->dead()) {  // and comes back, with nothing in memory
        controller_.reset();
        faulty_->revive();
        live();
      }
      std::this_thread::yield();
    }
    return true;
  }
  // Things 1..kThings have these numbers, and their Secrets and statuses say so.
  bool settled(int n) {
    for (int i = 1; i <= kThings; ++i) {
      const auto thing = server_->find(kMiniThing, key(i));
      const auto secret = server_->find(Secret::kType, key(i));
      if (!thing || !secret) return false;
      if (secret->value("data", Object()) != Object{{"n" + std::to_string(n), "MQ=="}})
        return false;
      if (thing->value("status", Object()) != Object{{"observed", n}}) return false;
    }
    return true;
  }
  // Makes, changes, and deletes one by hand.
  void scenario() {
    for (int i = 1; i <= kThings; ++i) make(i);
    live();
    ASSERT_TRUE(eventually([&] { return settled(1); }));
    for (int i = 1; i <= kThings; ++i) set(i, 2);
    ASSERT_TRUE(eventually([&] { return settled(2); }));
    ASSERT_TRUE(server_->erase(Secret::kType, key(2)));
    ASSERT_TRUE(eventually([&] { return settled(2); }));
    make(kThings + 1);
    ASSERT_TRUE(eventually([&] {
      const auto thing = server_->find(kMiniThing, key(kThings + 1));
      return thing && thing->value("status", Object()) == Object{{"observed", 1}};
    }));
    ASSERT_TRUE(server_->erase(kMiniThing, key(kThings + 1)));
    ASSERT_TRUE(eventually([&] {
      return !server_->find(Secret::kType, key(kThings + 1)) &&
             !controller_->knows(key(kThings + 1)) && controller_->idle();
    }));
    ASSERT_FALSE(server_->find(Secret::kType, key(kThings + 1)));
  }
  // By whom, and how often: what must be the same with and without faults.
  std::map<std::string, int> makes_and_ends() {
    std::map<std::string, int> counts;
    for (const auto& write : server_->writes()) {
      // The Secret of a deleted Thing may be made once more by who has not yet seen the delete; the
      // garbage collector takes it away again.
      if (write.plural == "secrets" && write.key == key(kThings + 1)) continue;
      if (write.verb == "create" || write.verb == "delete" || write.verb == "gc") {
        ++counts[write.verb + " " + write.plural + " " + to_string(write.key) + " by " +
                 write.manager];
      }
    }
    return counts;
  }
  void expect_rest() {
    // The last write may have been the last one of that life.
    ASSERT_TRUE(eventually([&] { return !faulty_->dead(); }));
    const auto before = server_->writes().size();
    controller_->resync();
    EXPECT_EQ(server_->writes().size(), before) << "writes after it had settled";
  }
  void run_like_the_reference(const std::map<std::string, int>& reference) {
    scenario();
    EXPECT_TRUE(settled(2));
    EXPECT_EQ(makes_and_ends(), reference);
    expect_rest();
  }
  std::map<std::string, int> reference() {
    scenario();
    expect_rest();
    auto counts = makes_and_ends();
    writes_ = 0;
    for (const auto& write : server_->writes()) writes_ += write.manager == "mini" ? 1 : 0;
    start_anew();
    return counts;
  }

  SystemClock clock_;
  std::unique_ptr<FakeApiServer> server_;
  std::unique_ptr<FaultyTransport> faulty_;
  std::unique_ptr<MiniController> controller_;
  int writes_ = 0;  // of the reference run
};

TEST_F(RuntimeFaults, TheRunWithoutFaultsIsTheSameTwice) {
  const auto first = reference();
  EXPECT_GE(writes_, kSureWrites);
  run_like_the_reference(first);
}

TEST_F(RuntimeFaults, F1_ACrashAfterOrBeforeEveryWrite) {
  const auto expected = reference();
  for (const Kind kind : {Kind::kCrashAfter, Kind::kCrashBefore}) {
    for (int n = 1; n <= writes_; ++n) {
      SCOPED_TRACE("write " + std::to_string(n) +
                   (kind == Kind::kCrashAfter ? " after" : " before"));
      start_anew();
      faulty_->add({What::kWrite, "", "", n, n}, {.kind = kind});
      run_like_the_reference(expected);
      EXPECT_EQ(faulty_->faults(), n <= kSureWrites ? 1 : faulty_->faults());
      if (HasFailure()) return;
    }
  }
}

TEST_F(RuntimeFaults, F2_F3_AWriteWithoutAnAnswer) {
  const auto expected = reference();
  for (const Kind kind : {Kind::kResponseLost, Kind::kNotCarriedOut, Kind::kRefusedConnection}) {
    for (int n = 1; n <= writes_; ++n) {
      SCOPED_TRACE("write " + std::to_string(n));
      start_anew();
      faulty_->add({What::kWrite, "", "", n, n}, {.kind = kind});
      run_like_the_reference(expected);
      EXPECT_EQ(faulty_->faults(), n <= kSureWrites ? 1 : faulty_->faults());
      if (HasFailure()) return;
    }
  }
}

TEST_F(RuntimeFaults, F4_AnothersEditBeforeAWrite) {
  const auto expected = reference();
  start_anew();
  // Before every write to the Secret another adds an annotation and changes one of our labels.
  int edits = 0;
  Fault edit{.kind = Kind::kFirst};
  edit.before = [&] {
    if (++edits > 20) return;
    server_->edit(Secret::kType, key(1), [&](Object& secret) {
      secret["metadata"]["annotations"]["example.com/theirs"] = "kept";
      secret["metadata"]["labels"]["mini"] = "no";  // and out of our watch's sight
    });
  };
  faulty_->add({What::kWrite, "secrets", "t1"}, edit);
  run_like_the_reference(expected);
  EXPECT_EQ(
      (*server_->find(Secret::kType, key(1)))["metadata"]["annotations"]["example.com/theirs"],
      "kept");
  EXPECT_GT(edits, 1);
}

TEST_F(RuntimeFaults, F5_ANamesakeThatIsAnothersIsNeverTouched) {
  server_->create(Secret::kType, {{"metadata", {{"name", name(1)}, {"namespace", "ns"}}},
                                  {"data", {{"x", "MQ=="}}}});
  const auto before = *server_->find(Secret::kType, key(1));
  for (int i = 1; i <= kThings; ++i) make(i);
  live();
  ASSERT_TRUE(eventually([&] { return server_->find(Secret::kType, key(3)).has_value(); }));
  controller_->resync();
  EXPECT_EQ(*server_->find(Secret::kType, key(1)), before);
}

TEST_F(RuntimeFaults, F6_AServerThatIsTooBusyOrBroken) {
  const auto expected = reference();
  struct Case {
    int status;
    const char* reason;
    std::optional<std::chrono::seconds> retry_after;
  };
  for (const Case& c :
       {Case{429, "TooManyRequests", std::chrono::seconds(1)},
        Case{503, "ServiceUnavailable", std::nullopt}, Case{500, "InternalError", std::nullopt},
        Case{504, "Timeout", std::nullopt}, Case{409, "Conflict", std::nullopt},
        Case{401, "Unauthorized", std::nullopt}, Case{403, "Forbidden", std::nullopt}}) {
    for (const What what : {What::kWrite, What::kList, What::kWatch}) {
      SCOPED_TRACE(std::string(c.reason) + " " + std::to_string(static_cast<int>(what)));
      start_anew();
      Fault fault{.kind = Kind::kStatus, .status = c.status, .reason = c.reason};
      fault.retry_after = c.retry_after;
      faulty_->add({what, "", "", 1, 4}, fault);
      run_like_the_reference(expected);
      EXPECT_GE(faulty_->faults(), 1);
      if (HasFailure()) return;
    }
  }
}

TEST_F(RuntimeFaults, F9_HistoryThatIsGone) {
  const auto expected = reference();
  for (std::size_t lines = 0; lines < 6; ++lines) {
    SCOPED_TRACE(lines);
    start_anew();
    faulty_->add({What::kWatch, "", "", 1, 4}, {.kind = Kind::kGone, .count = lines});
    run_like_the_reference(expected);
    if (HasFailure()) return;
  }
  start_anew();
  faulty_->add({What::kWatch, "", "", 1, 3}, {.kind = Kind::kCloseAtOnce});
  run_like_the_reference(expected);
  start_anew();
  faulty_->add({What::kWatch, "", "", 1, 2},
               {.kind = Kind::kStatus, .status = 410, .reason = "Expired"});
  run_like_the_reference(expected);
}

TEST_F(RuntimeFaults, F9_DeletesThatNobodySawAreSeenInTheNextList) {
  scenario();
  // The watch is cut and history forgotten while a Secret goes.
  faulty_->add({What::kWatch, "secrets", "", 1, 1}, {.kind = Kind::kFirst, .before = [&] {
                                                       server_->erase(Secret::kType, key(1));
                                                       server_->compact();
                                                     }});
  const auto lists = controller_->secrets_watch().lists.load();
  server_->close_watches();
  ASSERT_TRUE(eventually([&] { return controller_->secrets_watch().lists > lists; }));
  ASSERT_TRUE(eventually([&] { return settled(2); }));
  EXPECT_EQ(controller_->secrets_watch().lists, lists + 1) << "one relist, no more";
}

TEST_F(RuntimeFaults, F11_DuplicatesAndDelays) {
  const auto expected = reference();
  start_anew();
  faulty_->add({What::kWatch}, {.kind = Kind::kDuplicate});
  run_like_the_reference(expected);
  // Events of Secrets come only when all else is done: our own writes must be seen without them.
  start_anew();
  faulty_->add({What::kWatch, "secrets"}, {.kind = Kind::kHold});
  for (int i = 1; i <= kThings; ++i) make(i);
  live();
  ASSERT_TRUE(eventually([&] { return settled(1); }));
  for (int i = 1; i <= kThings; ++i) set(i, 2);
  ASSERT_TRUE(eventually([&] { return settled(2); }));
  const auto writes = server_->writes().size();
  controller_->resync();
  EXPECT_EQ(server_->writes().size(), writes) << "a stale cache led to a write";
  faulty_->release();
  controller_->resync();
  EXPECT_EQ(server_->writes().size(), writes);
}

TEST_F(RuntimeFaults, F12_StreamsCutAnywhere) {
  const auto expected = reference();
  for (std::size_t bytes = 0; bytes < 4000; bytes += 211) {
    SCOPED_TRACE(bytes);
    start_anew();
    faulty_->add({What::kWatch, "", "", 1, 12}, {.kind = Kind::kCutAtByte, .bytes = bytes});
    run_like_the_reference(expected);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace pooler::fault
