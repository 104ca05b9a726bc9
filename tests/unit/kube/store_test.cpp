#include "kube/store.h"

#include <gtest/gtest.h>

#include "kube/kinds.h"

namespace pooler::kube {
namespace {

PartialObject object(const std::string& name, const std::string& version,
                     const std::string& uid = "u1", const std::string& ns = "ns") {
  PartialObject out;
  out.meta.name = name;
  out.meta.ns = ns;
  out.meta.uid = uid;
  out.meta.resource_version = version;
  return out;
}

const ObjectKey kA{"ns", "a"};

class StoreTest : public testing::Test {
 protected:
  std::string version(const ObjectKey& key = kA) {
    const auto found = store_.get(key);
    return found ? found->meta.resource_version : "none";
  }
  void relist(std::vector<PartialObject> objects, const std::string& at) {
    (void)store_.replace("", std::move(objects), at);
  }
  Store<PartialObject> store_;
};

TEST_F(StoreTest, L13_ARelistTellsWhatWentWhatCameAndWhatChanged) {
  relist({object("a", "1"), object("b", "2"), object("c", "3")}, "10");
  const auto changes =
      store_.replace("", {object("a", "1"), object("c", "11"), object("d", "12")}, "20");
  ASSERT_EQ(changes.size(), 3U);
  EXPECT_EQ(changes[0].before->meta.name, "b");
  EXPECT_EQ(changes[0].after, nullptr);
  EXPECT_EQ(changes[1].before->meta.resource_version, "3");
  EXPECT_EQ(changes[1].after->meta.resource_version, "11");
  EXPECT_EQ(changes[2].before, nullptr);
  EXPECT_EQ(changes[2].after->meta.name, "d");
  EXPECT_EQ(store_.size(), 3U);
}

TEST_F(StoreTest, L13_ANamesakeInARelistIsADeleteAndAnAdd) {
  relist({object("a", "1", "old")}, "10");
  const auto changes = store_.replace("", {object("a", "15", "new")}, "20");
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0].before->meta.uid, "old");
  EXPECT_EQ(changes[0].after, nullptr);
  EXPECT_EQ(changes[1].before, nullptr);
  EXPECT_EQ(changes[1].after->meta.uid, "new");
}

TEST_F(StoreTest, L16_AReaderKeepsWhatItHasWhateverComes) {
  relist({object("a", "1")}, "10");
  const auto held = store_.get(kA);
  (void)store_.upsert(object("a", "11"));
  EXPECT_EQ(held->meta.resource_version, "1");
  EXPECT_EQ(version(), "11");
}

TEST_F(StoreTest, ScopesAreReplacedApart) {
  (void)store_.replace("x", {object("a", "1", "u1", "x")}, "10");
  (void)store_.replace("y", {object("a", "2", "u2", "y")}, "10");
  const auto changes = store_.replace("x", {}, "20");
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(store_.list("x").size(), 0U);
  EXPECT_EQ(store_.list("y").size(), 1U);
}

TEST_F(StoreTest, ListsAreOrderedAndOfOneNamespaceWhereAsked) {
  relist(
      {object("b", "1"), object("a", "2"), object("z", "3", "u", "m"), object("a", "4", "u", "z")},
      "10");
  std::vector<std::string> names;
  store_.for_each([&](const auto& found) { names.push_back(to_string(found->meta.key())); });
  EXPECT_EQ(names, (std::vector<std::string>{"m/z", "ns/a", "ns/b", "z/a"}));
  EXPECT_EQ(store_.list("ns").size(), 2U);
  EXPECT_EQ(store_.list("n").size(), 0U);
}

TEST_F(StoreTest, ADuplicateOrAnEventFromThePastChangesNothing) {
  relist({object("a", "9")}, "10");
  const auto duplicate = store_.upsert(object("a", "9"));
  EXPECT_EQ(duplicate.after, nullptr);
  EXPECT_EQ(store_.upsert(object("a", "8")).after, nullptr);
  EXPECT_EQ(version(), "9");
  EXPECT_NE(store_.upsert(object("a", "10")).after, nullptr);
}

TEST_F(StoreTest, ADeleteOfAnotherUidLeavesTheNamesake) {
  relist({object("a", "9", "new")}, "10");
  EXPECT_EQ(store_.erase(object("a", "11", "old")).before, nullptr);
  EXPECT_EQ(version(), "9");
  EXPECT_NE(store_.erase(object("a", "12", "new")).before, nullptr);
  EXPECT_EQ(version(), "none");
}

TEST_F(StoreTest, R10_AReaderSeesItsOwnWriteUntilTheWatchHasIt) {
  relist({object("a", "9")}, "10");
  EXPECT_TRUE(store_.wrote(object("a", "12")));
  EXPECT_EQ(version(), "12");
  EXPECT_EQ(store_.list().size(), 1U);
  (void)store_.upsert(object("a", "11"));  // on its way before our write
  EXPECT_EQ(version(), "12");
  (void)store_.upsert(object("a", "13"));
  EXPECT_EQ(version(), "13");
}

TEST_F(StoreTest, R10_ACreateIsSeenInListsToo) {
  relist({object("b", "9", "u2")}, "10");
  EXPECT_TRUE(store_.wrote(object("a", "12")));
  EXPECT_TRUE(store_.wrote(object("c", "13", "u3")));
  std::vector<std::string> names;
  store_.for_each([&](const auto& found) { names.push_back(found->meta.name); });
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(StoreTest, R10_AWriteThatTheWatchHasPassedIsNotKept) {
  relist({object("a", "9")}, "10");
  (void)store_.erase(object("a", "20"));
  EXPECT_FALSE(store_.wrote(object("a", "15"))) << "it was written, and deleted since";
  EXPECT_EQ(version(), "none");
}

TEST_F(StoreTest, R10_AnOlderWriteDoesNotHideANewerOne) {
  relist({}, "10");
  EXPECT_TRUE(store_.wrote(object("a", "1000")));
  EXPECT_FALSE(store_.wrote(object("a", "999")));
  EXPECT_EQ(version(), "1000");
}

TEST_F(StoreTest, R10_ABookmarkOrARelistEndsTheOverlay) {
  relist({}, "10");
  EXPECT_TRUE(store_.wrote(object("a", "12")));
  store_.progress("", "11");
  EXPECT_EQ(version(), "12");
  store_.progress("", "12");
  EXPECT_EQ(version(), "none") << "the watch has passed it without it: it does not select it";
  EXPECT_TRUE(store_.wrote(object("a", "15")));
  relist({}, "14");
  EXPECT_EQ(version(), "15") << "a list from before the write";
  relist({}, "16");
  EXPECT_EQ(version(), "none");
}

TEST_F(StoreTest, R10_AnOwnDeleteIsSeenAtOnceAndOnlyOfItsUid) {
  relist({object("a", "9", "old")}, "10");
  store_.deleted(kA, "old");
  EXPECT_EQ(version(), "none");
  (void)store_.upsert(object("a", "11", "old"));  // on its way before the delete
  EXPECT_EQ(version(), "none");
  relist({object("a", "11", "old")}, "12");  // a list from a server that lags
  EXPECT_EQ(version(), "none");
  EXPECT_FALSE(store_.wrote(object("a", "99", "old")));
  (void)store_.erase(object("a", "13", "old"));
  (void)store_.upsert(object("a", "14", "new"));
  EXPECT_EQ(version(), "14");
}

TEST_F(StoreTest, R10_ADeleteOfWhatWasJustWritten) {
  relist({}, "10");
  EXPECT_TRUE(store_.wrote(object("a", "12", "u")));
  store_.deleted(kA, "u");
  EXPECT_EQ(version(), "none");
  (void)store_.upsert(object("a", "12", "u"));  // the echo of the create
  EXPECT_EQ(version(), "none");
  (void)store_.erase(object("a", "13", "u"));
  EXPECT_EQ(version(), "none");
}

TEST_F(StoreTest, R10_VersionsThatCannotBeComparedAreNotKept) {
  relist({object("a", "9")}, "10");
  EXPECT_FALSE(store_.wrote(object("a", "abc")));
  EXPECT_EQ(version(), "9");
}

TEST_F(StoreTest, L14_SyncedWhenEveryScopeHasArrived) {
  EXPECT_FALSE(store_.synced());
  store_.sync().expect("x");
  store_.sync().expect("y");
  store_.sync().arrived("x");
  EXPECT_FALSE(store_.synced());
  EXPECT_FALSE(store_.wait_synced({}, std::chrono::milliseconds(1)));
  store_.sync().arrived("y");
  EXPECT_TRUE(store_.wait_synced({}, std::chrono::seconds(1)));
}

}  // namespace
}  // namespace pooler::kube
