#include "kube/watch_machine.h"

#include <gtest/gtest.h>

namespace pooler::kube {
namespace {

using List = WatchMachine::List;
using Watch = WatchMachine::Watch;
using Wait = WatchMachine::Wait;
using std::chrono::milliseconds;
using std::chrono::seconds;

ApiError error(ErrorKind kind) {
  ApiError out;
  out.kind = kind;
  return out;
}

class WatchMachineTest : public testing::Test {
 protected:
  List list() {
    const auto action = machine_.next();
    EXPECT_TRUE(std::holds_alternative<List>(action)) << to_string(machine_.state());
    return std::holds_alternative<List>(action) ? std::get<List>(action) : List{};
  }
  Watch watch() {
    const auto action = machine_.next();
    EXPECT_TRUE(std::holds_alternative<Watch>(action)) << to_string(machine_.state());
    return std::holds_alternative<Watch>(action) ? std::get<Watch>(action) : Watch{};
  }
  Duration wait() {
    const auto action = machine_.next();
    EXPECT_TRUE(std::holds_alternative<Wait>(action)) << to_string(machine_.state());
    if (!std::holds_alternative<Wait>(action)) return {};
    const Duration time = std::get<Wait>(action).time;
    clock_.advance(time);
    machine_.waited();
    return time;
  }
  // Into Watching at this version.
  void synced(const std::string& version = "100") {
    (void)list();
    EXPECT_TRUE(machine_.page(version, ""));
    EXPECT_EQ(machine_.state(), WatchState::kListed);
    machine_.stored();
    EXPECT_EQ(machine_.state(), WatchState::kWatching);
  }

  ManualClock clock_;
  double random_ = 0;
  WatchMachine machine_{clock_, [this] { return random_; }};
};

TEST_F(WatchMachineTest, L1_FirstListFromTheCacheRelistNotOlderAfterGoneTheMostRecent) {
  EXPECT_EQ(machine_.state(), WatchState::kEmpty);
  EXPECT_EQ(list().resource_version, "0");
  EXPECT_TRUE(machine_.page("100", ""));
  machine_.stored();
  EXPECT_EQ(watch().resource_version, "100");
  machine_.watch_started();
  machine_.event("105", false);
  machine_.watch_failed(error(ErrorKind::kForbidden));  // any other error: a relist
  wait();
  EXPECT_EQ(list().resource_version, "105");
  EXPECT_TRUE(machine_.page("110", ""));
  machine_.stored();
  (void)watch();
  machine_.watch_started();
  machine_.watch_failed(error(ErrorKind::kGone));
  wait();
  EXPECT_EQ(list().resource_version, "");
}

TEST_F(WatchMachineTest, L1_AVersionThatTheServerDoesNotHaveYetLeadsToTheMostRecent) {
  synced();
  machine_.watch_started();
  machine_.watch_failed(error(ErrorKind::kForbidden));
  wait();
  EXPECT_EQ(list().resource_version, "100");
  ApiError too_large = error(ErrorKind::kTimeout);
  too_large.causes = {{"ResourceVersionTooLarge", "", ""}};
  machine_.list_failed(too_large);
  EXPECT_EQ(list().resource_version, "") << "at once, without a wait";
  machine_.list_failed(too_large);
  wait();  // the second time it waits
}

TEST_F(WatchMachineTest, L2_PagesOfFiveHundredWithoutAVersionOnTheFollowingOnes) {
  List page = list();
  EXPECT_EQ(page.limit, 500);
  EXPECT_FALSE(machine_.page("100", "more"));
  page = list();
  EXPECT_EQ(page.continue_token, "more");
  EXPECT_EQ(page.resource_version, "");
  EXPECT_EQ(page.limit, 500);
  EXPECT_TRUE(machine_.page("100", ""));
}

TEST_F(WatchMachineTest, L2_AnExpiredTokenLeadsToOneUnpagedList) {
  (void)list();
  EXPECT_FALSE(machine_.page("100", "more"));
  (void)list();
  machine_.list_failed(error(ErrorKind::kGone));
  const List whole = list();
  EXPECT_EQ(whole.limit, 0);
  EXPECT_EQ(whole.continue_token, "");
  EXPECT_TRUE(machine_.page("101", ""));
  EXPECT_EQ(machine_.resource_version(), "101");
}

TEST_F(WatchMachineTest, L2_ARelistFromAVersionIsNotPaged) {
  synced();
  machine_.watch_started();
  machine_.watch_failed(error(ErrorKind::kForbidden));
  wait();
  EXPECT_EQ(list().limit, 0);
}

TEST_F(WatchMachineTest, L3_TheListsVersionIsWhereTheWatchStartsAndOneWithoutIsAnError) {
  (void)list();
  EXPECT_FALSE(machine_.page("", ""));
  wait();
  (void)list();
  EXPECT_FALSE(machine_.page("7", "more"));
  (void)list();
  EXPECT_TRUE(machine_.page("9", ""));
  machine_.stored();
  EXPECT_EQ(watch().resource_version, "7") << "the first page's: nothing between is missed";
}

TEST_F(WatchMachineTest, L5_TheServersTimeoutIsRandomBetweenFiveAndTenMinutes) {
  synced();
  EXPECT_EQ(watch().timeout, seconds(300));
  EXPECT_EQ(watch().idle_timeout, seconds(330));
  random_ = 0.5;
  EXPECT_EQ(watch().timeout, seconds(450));
  random_ = 0.999999;
  EXPECT_LE(watch().timeout, seconds(600));
  EXPECT_GT(watch().idle_timeout, watch().timeout);
}

TEST_F(WatchMachineTest, L6_ABookmarkAdvancesTheVersionAndNoneIsNeeded) {
  synced();
  machine_.watch_started();
  machine_.bookmark("140");
  EXPECT_EQ(watch().resource_version, "140");
  machine_.watch_started();
  clock_.advance(std::chrono::minutes(6));
  machine_.watch_closed();
  EXPECT_EQ(watch().resource_version, "140") << "the server's timeout: on from there";
}

TEST_F(WatchMachineTest, L7_UnorderedAddsOfAWatchFromZeroDoNotMoveTheVersion) {
  synced("0");
  machine_.watch_started();
  machine_.event("300", true);
  machine_.event("200", true);
  EXPECT_EQ(machine_.resource_version(), "0");
  machine_.event("301", false);
  EXPECT_EQ(machine_.resource_version(), "301");
  machine_.event("302", true);
  EXPECT_EQ(machine_.resource_version(), "302");
}

TEST_F(WatchMachineTest, L8_TooManyRequestsKeepsTheVersion) {
  synced();
  machine_.watch_started();
  ApiError busy = error(ErrorKind::kTooManyRequests);
  busy.retry_after = seconds(17);
  machine_.watch_failed(busy);
  EXPECT_EQ(wait(), seconds(17));
  EXPECT_EQ(watch().resource_version, "100");
}

TEST_F(WatchMachineTest, L8_ServerErrorsKeepTheVersionForAWhileThenRelist) {
  synced();
  const MonotonicTime first = clock_.monotonic();
  int kept = 0;
  while (true) {
    machine_.watch_started();
    machine_.watch_failed(error(ErrorKind::kServerError));
    wait();
    if (std::holds_alternative<List>(machine_.next())) break;
    ++kept;
    ASSERT_LT(kept, 100);
  }
  EXPECT_GT(kept, 1);
  EXPECT_GE(clock_.monotonic() - first, seconds(30));
  EXPECT_EQ(list().resource_version, "100");
}

TEST_F(WatchMachineTest, L8_AnEventEndsTheCountOfServerErrors) {
  synced();
  machine_.watch_started();
  machine_.watch_failed(error(ErrorKind::kServerError));
  wait();
  clock_.advance(seconds(60));
  machine_.watch_started();
  machine_.event("101", false);
  machine_.watch_failed(error(ErrorKind::kServerError));
  wait();
  EXPECT_EQ(watch().resource_version, "101");
}

TEST_F(WatchMachineTest, L9_AWatchThatClosesAtOnceWithoutAWordIsAnError) {
  synced();
  machine_.watch_started();
  clock_.advance(milliseconds(999));
  machine_.watch_closed();
  EXPECT_EQ(machine_.state(), WatchState::kBackoff);
  wait();
  EXPECT_EQ(list().resource_version, "100");
  EXPECT_TRUE(machine_.page("120", ""));
  machine_.stored();
  machine_.watch_started();
  machine_.event("121", false);
  machine_.watch_closed();  // short, but it has told something
  EXPECT_EQ(watch().resource_version, "121");
}

TEST_F(WatchMachineTest, L10_NoConnectionKeepsTheVersionAndBacksOff) {
  synced();
  for (const ErrorKind kind : {ErrorKind::kUnreachable, ErrorKind::kUnknownOutcome}) {
    machine_.watch_started();
    machine_.watch_failed(error(kind));
    EXPECT_EQ(machine_.state(), WatchState::kBackoff);
    wait();
    EXPECT_EQ(watch().resource_version, "100");
  }
}

TEST_F(WatchMachineTest, L11_BackoffDoublesToThirtySecondsAndStartsAnewAfterTwoGoodMinutes) {
  const auto fail = [&] {
    (void)list();
    machine_.list_failed(error(ErrorKind::kServerError));
    return wait();
  };
  EXPECT_EQ(fail(), milliseconds(800));
  EXPECT_EQ(fail(), milliseconds(1600));
  EXPECT_EQ(fail(), milliseconds(3200));
  for (int i = 0; i < 5; ++i) (void)fail();
  EXPECT_EQ(fail(), seconds(30));
  random_ = 0.5;
  EXPECT_EQ(fail(), seconds(45)) << "jitter of up to once more";
  random_ = 0;
  clock_.advance(seconds(121));
  EXPECT_EQ(fail(), milliseconds(800));
}

TEST_F(WatchMachineTest, L11_RetryAfterIsTheLeast) {
  (void)list();
  ApiError busy = error(ErrorKind::kTooManyRequests);
  busy.retry_after = seconds(5);
  machine_.list_failed(busy);
  EXPECT_EQ(wait(), seconds(5));
}

TEST(WatchLine, TypesAndObjects) {
  using Type = WatchEvent::Type;
  const std::string line = R"({"type":"MODIFIED","object":{"kind":"X","metadata":{"name":"a"}}})";
  const auto event = parse_watch_line(line);
  ASSERT_TRUE(event.ok()) << event.error();
  EXPECT_EQ(event->type, Type::kModified);
  EXPECT_EQ(event->object, R"({"kind":"X","metadata":{"name":"a"}})");
  EXPECT_EQ(parse_watch_line(R"({"object":{},"type":"ADDED"})")->type, Type::kAdded);
  EXPECT_EQ(parse_watch_line(R"({"type":"DELETED","object":{}})")->type, Type::kDeleted);
  EXPECT_EQ(parse_watch_line(R"({"type":"BOOKMARK","object":{}})")->type, Type::kBookmark);
  EXPECT_EQ(parse_watch_line(R"({"type":"ERROR","object":{}})")->type, Type::kError);
  EXPECT_EQ(parse_watch_line(R"({"type":"MELTED","object":{}})")->type, Type::kUnknown);
}

TEST(WatchLine, BadOnesAreErrorsWhateverTheCut) {
  const std::string line =
      "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"\xc3\xa9\xf0\x9f\x90\x98\",\"n\":["
      "1,true,null]}}}";
  for (std::size_t cut = 0; cut < line.size(); ++cut) {
    EXPECT_FALSE(parse_watch_line(line.substr(0, cut)).ok()) << cut;
  }
  EXPECT_TRUE(parse_watch_line(line).ok());
  EXPECT_FALSE(parse_watch_line(R"({"type":"ADDED"})").ok());
}

TEST(List, L12_OfTheWrongKindIsAnError) {
  const auto none = [](std::string_view) { FAIL(); };
  EXPECT_FALSE(
      parse_list(R"({"kind":"Table","metadata":{"resourceVersion":"1"},"rows":[]})", none).ok());
  EXPECT_FALSE(parse_list("[]", none).ok());
  EXPECT_FALSE(parse_list("", none).ok());
  const auto empty =
      parse_list(R"({"kind":"SecretList","metadata":{"resourceVersion":"1"},"items":null})", none);
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->resource_version, "1");
}

TEST(List, ItemsAreGivenAsTheyStand) {
  std::vector<std::string> items;
  const auto meta = parse_list(
      R"({"kind":"SecretList","metadata":{"resourceVersion":"5","continue":"t"},"items":[{"a":1}, {"b":[2]}]})",
      [&](std::string_view item) { items.emplace_back(item); });
  ASSERT_TRUE(meta.ok()) << meta.error();
  EXPECT_EQ(meta->continue_token, "t");
  EXPECT_EQ(items, (std::vector<std::string>{R"({"a":1})", R"({"b":[2]})"}));
}

}  // namespace
}  // namespace pooler::kube
