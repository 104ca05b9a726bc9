#include "kube/watcher.h"

#include <gtest/gtest.h>

#include "scripted_transport.h"

namespace pooler::kube {
namespace {

std::string item(const std::string& name, const std::string& version,
                 const std::string& uid = "u") {
  return R"({"metadata":{"name":")" + name + R"(","namespace":"ns","uid":")" + uid +
         R"(","resourceVersion":")" + version + R"("}})";
}
std::string list(const std::string& items, const std::string& version,
                 const std::string& token = "") {
  return R"({"kind":"PodList","metadata":{"resourceVersion":")" + version + R"(","continue":")" +
         token + R"("},"items":[)" + items + "]}";
}
std::string event(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}";
}
std::string failure_body(int code, const std::string& reason) {
  return R"({"kind":"Status","status":"Failure","reason":")" + reason + R"(","code":)" +
         std::to_string(code) + "}";
}

class Target final : public WatchTarget {
 public:
  explicit Target(Store<PartialObject>& store) : store_(store) {}
  void begin_list() override { listed_.clear(); }
  bool list_item(std::string_view json) override {
    auto object = PartialObject::decode(json);
    if (object) listed_.push_back(*object);
    return object.ok();
  }
  void end_list(const std::string& scope, const std::string& version) override {
    (void)store_.replace(scope, std::move(listed_), version);
    listed_ = {};
  }
  std::optional<std::string> changed(std::string_view json) override {
    auto object = PartialObject::decode(json);
    if (!object) return std::nullopt;
    (void)store_.upsert(*object);
    return object->meta.resource_version;
  }
  std::optional<std::string> removed(std::string_view json) override {
    auto object = PartialObject::decode(json);
    if (!object) return std::nullopt;
    (void)store_.erase(*object);
    return object->meta.resource_version;
  }
  void progressed(const std::string& scope, const std::string& version) override {
    store_.progress(scope, version);
  }

 private:
  Store<PartialObject>& store_;
  std::vector<PartialObject> listed_;
};

// One scope, step by step on this thread.
class ScopeWatchTest : public testing::Test {
 protected:
  ScopeWatchTest() {
    options_.random = [] { return 0.0; };
    options_.sleep = [this](Duration time, std::stop_token) {
      waits_.push_back(time);
      clock_.advance(time);
      return true;
    };
    options_.label_selector = "a=b";
  }
  ScopeWatch& watch() {
    if (!watch_) {
      watch_.emplace(transport_, clock_, options_, Pod::kType, scope_, target_, metrics_);
    }
    return *watch_;
  }
  void steps(int count) {
    for (int i = 0; i < count; ++i) watch().step({});
  }
  bool has(const std::string& name) { return store_.get({"ns", name}) != nullptr; }
  bool asked(std::size_t index, const std::string& part) {
    return transport_.requests.at(index).path.find(part) != std::string::npos;
  }

  ManualClock clock_;
  ScriptedTransport transport_;
  WatchOptions options_;
  std::string scope_ = "ns";
  WatchMetrics metrics_;
  Store<PartialObject> store_;
  Target target_{store_};
  std::vector<Duration> waits_;
  std::optional<ScopeWatch> watch_;
};

TEST_F(ScopeWatchTest, ListsThenWatchesFromTheListsVersion) {
  transport_.answer(200, list(item("a", "5") + "," + item("b", "6"), "10"));
  transport_.stream({.lines = {event("ADDED", item("c", "11")), event("DELETED", item("a", "12")),
                               event("MODIFIED", item("b", "13"))}});
  transport_.stream({});
  steps(3);
  EXPECT_FALSE(has("a"));
  EXPECT_EQ(store_.get({"ns", "b"})->meta.resource_version, "13");
  EXPECT_TRUE(has("c"));
  EXPECT_EQ(transport_.requests[0].path,
            "/api/v1/namespaces/ns/pods?labelSelector=a%3Db&limit=500&resourceVersion=0");
  EXPECT_TRUE(asked(1, "watch=1&allowWatchBookmarks=true&resourceVersion=10&timeoutSeconds=300"));
  EXPECT_EQ(transport_.requests[1].idle_timeout, std::chrono::seconds(330));
  EXPECT_TRUE(asked(2, "&resourceVersion=13&"));
  EXPECT_EQ(metrics_.events, 3U);
  EXPECT_EQ(metrics_.lists, 1U);
}

TEST_F(ScopeWatchTest, L2_PagesAreGatheredAndStoredAsOne) {
  transport_.answer(200, list(item("a", "5"), "10", "more/1"));
  transport_.answer(200, list(item("b", "6"), "10"));
  steps(1);
  EXPECT_EQ(store_.size(), 0U) << "half a list is not shown";
  steps(1);
  EXPECT_EQ(store_.size(), 2U);
  EXPECT_TRUE(asked(1, "limit=500&continue=more%2F1"));
  EXPECT_FALSE(asked(1, "resourceVersion"));
}

TEST_F(ScopeWatchTest, L2_AnExpiredTokenStartsOverWithoutHalves) {
  transport_.answer(200, list(item("gone", "5"), "10", "more"));
  transport_.answer(410, failure_body(410, "Expired"));
  transport_.answer(200, list(item("b", "6"), "11"));
  steps(3);
  EXPECT_FALSE(has("gone"));
  EXPECT_TRUE(has("b"));
  EXPECT_FALSE(asked(2, "limit"));
}

TEST_F(ScopeWatchTest, L8_GoneInTheStreamLeadsToARelistWithDeletes) {
  transport_.answer(200, list(item("a", "5") + "," + item("b", "5"), "10"));
  transport_.stream({.lines = {event("ERROR", failure_body(410, "Expired"))}});
  transport_.answer(200, list(item("b", "5"), "30"));
  steps(4);  // with the wait
  EXPECT_FALSE(has("a"));
  EXPECT_EQ(waits_, std::vector<Duration>{std::chrono::milliseconds(800)});
  EXPECT_TRUE(asked(2, "resourceVersion="));
  EXPECT_FALSE(asked(2, "resourceVersion=1"));
  EXPECT_EQ(metrics_.lists, 2U);
}

TEST_F(ScopeWatchTest, L8_ATooBusyServerIsAskedLaterFromTheSameVersion) {
  transport_.answer(200, list("", "10"));
  transport_.stream({.status = 429,
                     .body = failure_body(429, "TooManyRequests"),
                     .retry_after = std::chrono::seconds(4)});
  transport_.stream({.lines = {event("ERROR", failure_body(429, "TooManyRequests"))}});
  transport_.stream({});
  steps(6);
  EXPECT_EQ(waits_.front(), std::chrono::seconds(4));
  EXPECT_EQ(metrics_.lists, 1U);
  EXPECT_TRUE(asked(3, "resourceVersion=10&"));
}

TEST_F(ScopeWatchTest, L10_ARefusedConnectionIsNoReasonToRelist) {
  transport_.answer(200, list("", "10"));
  using Kind = TransportError::Kind;
  transport_.stream({.status = 0, .error = TransportError{Kind::kConnect, "refused"}});
  transport_.stream({.lines = {event("ADDED", item("a", "11"))}});
  steps(4);
  EXPECT_TRUE(has("a"));
  EXPECT_EQ(metrics_.lists, 1U);
  EXPECT_EQ(waits_.size(), 1U);
}

TEST_F(ScopeWatchTest, L10_ACutOrSilentStreamGoesOnFromWhereItWas) {
  transport_.answer(200, list("", "10"));
  using Kind = TransportError::Kind;
  transport_.stream({.lines = {event("ADDED", item("a", "11"))},
                     .error = TransportError{Kind::kDisconnected, "cut"}});
  transport_.stream({.lines = {event("BOOKMARK", R"({"metadata":{"resourceVersion":"40"}})")},
                     .error = TransportError{Kind::kTimeout, "silent"}});
  transport_.stream({});
  steps(4);
  EXPECT_TRUE(asked(2, "resourceVersion=11&"));
  EXPECT_TRUE(asked(3, "resourceVersion=40&"));
  EXPECT_TRUE(waits_.empty());
}

TEST_F(ScopeWatchTest, L12_WhatCannotBeReadIsSkipped) {
  transport_.answer(200, list(R"({"metadata":{"name":3}},)" + item("a", "5"), "10"));
  transport_.stream({.lines = {"", "garbage", event("MELTED", item("x", "11")),
                               event("ADDED", R"({"kind":"Table"})"), event("BOOKMARK", "{}"),
                               event("ADDED", item("b", "12"))}});
  steps(2);
  EXPECT_TRUE(has("a"));
  EXPECT_FALSE(has("x"));
  EXPECT_TRUE(has("b"));
  EXPECT_EQ(metrics_.skipped, 5U);
}

TEST_F(ScopeWatchTest, L12_AListOfTheWrongKindIsTriedAgain) {
  transport_.answer(200, R"({"kind":"Table","metadata":{"resourceVersion":"3"}})");
  transport_.answer(200, list(item("a", "5"), "10"));
  steps(3);
  EXPECT_TRUE(has("a"));
  EXPECT_EQ(metrics_.errors, 1U);
}

TEST_F(ScopeWatchTest, L3_AListWithoutAVersionIsTriedAgain) {
  transport_.answer(200, list(item("a", "5"), ""));
  transport_.answer(200, list(item("a", "5"), "10"));
  steps(1);
  EXPECT_EQ(store_.size(), 0U);
  steps(2);
  EXPECT_TRUE(has("a"));
}

TEST_F(ScopeWatchTest, AFailedListWaitsAndKeepsWhatIsKnown) {
  transport_.answer(200, list(item("a", "5"), "10"));
  transport_.stream({.lines = {event("ERROR", failure_body(403, "Forbidden"))}});
  transport_.fail(TransportError::Kind::kConnect);
  transport_.answer(503, failure_body(503, "ServiceUnavailable"), std::chrono::seconds(9));
  transport_.answer(200, list(item("a", "5"), "12"));
  steps(7);
  EXPECT_TRUE(has("a"));
  ASSERT_EQ(waits_.size(), 3U);
  EXPECT_EQ(waits_[1], std::chrono::milliseconds(1600));
  EXPECT_EQ(waits_[2], std::chrono::seconds(9));
  steps(1);
  EXPECT_EQ(metrics_.lists, 2U);
}

TEST_F(ScopeWatchTest, MetadataOnlyIsAskedForInListAndWatch) {
  options_.metadata_only = true;
  scope_ = "";
  transport_.answer(200, list("", "10"));
  transport_.stream({});
  steps(2);
  EXPECT_EQ(transport_.requests[0].accept,
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
  EXPECT_EQ(transport_.requests[1].accept,
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
  EXPECT_TRUE(asked(0, "/api/v1/pods?"));
}

// Blocks a stream until stopped, as a quiet server does.
class QuietTransport final : public HttpTransport {
 public:
  explicit QuietTransport(std::string body) : body_(std::move(body)) {}
  Result<Response, TransportError> send(const Request&, std::stop_token) override {
    return Response{200, std::nullopt, body_};
  }
  Result<StreamEnd, TransportError> stream(const Request&, LineSink& sink,
                                           std::stop_token stop) override {
    sink.on_open();
    (void)interruptible_sleep(std::chrono::hours(1), stop);
    return failure(TransportError{TransportError::Kind::kCanceled, ""});
  }

 private:
  const std::string body_;
};

TEST(Watcher, L14_SyncedOnlyAfterTheFirstListWasHandedOn) {
  QuietTransport transport(list(item("a", "5") + "," + item("b", "6"), "10"));
  SystemClock clock;
  Store<PartialObject> store;
  std::atomic<int> handed{0};
  std::atomic<bool> early{false};
  WatchOptions options;
  options.type = Pod::kType;
  Watcher<PartialObject> watcher(
      transport, clock, store,
      [&](const PartialObject* before, const PartialObject* after) {
        EXPECT_EQ(before, nullptr);
        EXPECT_NE(after, nullptr);
        if (store.synced()) early = true;
        ++handed;
      },
      options);
  EXPECT_FALSE(store.synced());
  watcher.start();
  EXPECT_TRUE(store.wait_synced({}, std::chrono::seconds(10)));
  EXPECT_EQ(handed, 2);
  EXPECT_FALSE(early);
  watcher.stop();
}

TEST(Watcher, OneScopeForEachNamespace) {
  QuietTransport transport(list("", "10"));
  SystemClock clock;
  Store<PartialObject> store;
  WatchOptions options;
  options.type = Pod::kType;
  options.namespaces = {"x", "y"};
  Watcher<PartialObject> watcher(transport, clock, store, {}, options);
  watcher.start();
  EXPECT_TRUE(store.wait_synced({}, std::chrono::seconds(10)));
  EXPECT_EQ(watcher.metrics().lists, 2U);
}

}  // namespace
}  // namespace pooler::kube
