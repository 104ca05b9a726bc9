// What every HttpTransport does: on the fake itself, and on the real one before the fake.
#include <gtest/gtest.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "fault/certificates.h"
#include "fault/fake_api_server.h"
#include "fault/tls_server.h"
#include "kube/kinds.h"
#include "kube/transport_cpprest.h"

namespace pooler::fault {
namespace {

using kube::Method;
using kube::Request;
using kube::Secret;
using Kind = kube::TransportError::Kind;

// Collects lines; wants no more than `limit`.
class Lines final : public kube::LineSink {
 public:
  explicit Lines(std::size_t limit = 1000) : limit_(limit) {}
  void on_open() override {
    std::lock_guard held(mutex_);
    EXPECT_TRUE(lines_.empty());
    opened_ = true;
    changed_.notify_all();
  }
  bool on_line(std::string_view line) override {
    std::lock_guard held(mutex_);
    EXPECT_TRUE(opened_);
    lines_.emplace_back(line);
    changed_.notify_all();
    return lines_.size() < limit_;
  }
  bool wait_for(std::size_t count) {
    std::unique_lock held(mutex_);
    return changed_.wait_for(held, std::chrono::seconds(20),
                             [&] { return lines_.size() >= count; });
  }
  bool wait_until_open() {
    std::unique_lock held(mutex_);
    return changed_.wait_for(held, std::chrono::seconds(20), [&] { return opened_; });
  }
  std::vector<std::string> lines() {
    std::lock_guard held(mutex_);
    return lines_;
  }
  bool opened() {
    std::lock_guard held(mutex_);
    return opened_;
  }

 private:
  const std::size_t limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool opened_ = false;
  std::vector<std::string> lines_;
};

class TransportContract : public testing::TestWithParam<bool> {
 protected:
  TransportContract() {
    if (!GetParam()) return;
    kube::init_transport_threads();
    front_ = std::make_unique<TlsServer>(
        TlsServer::Options{authority_.issue("IP:127.0.0.1"), "", 0}, serve_transport(server_));
    kube::ClusterConfig config;
    config.server = front_->url();
    config.ca.data = authority_.pem();
    real_ = kube::make_cpprest_transport(config, clock_);
  }
  kube::HttpTransport& transport() {
    return real_ ? *real_ : static_cast<kube::HttpTransport&>(server_);
  }
  void make(const std::string& name) {
    server_.create(Secret::kType, {{"metadata", {{"name", name}, {"namespace", "ns"}}}});
  }
  static Request get(const std::string& path) {
    Request request;
    request.path = path;
    return request;
  }
  Request watch() const {
    Request request = get(Secret::kType.collection("ns") + "?watch=1&resourceVersion=" +
                          std::to_string(server_.version()) + "&timeoutSeconds=300");
    request.idle_timeout = std::chrono::seconds(300);
    return request;
  }

  SystemClock clock_;
  FakeApiServer server_{clock_};
  const Authority authority_;
  std::unique_ptr<TlsServer> front_;
  std::unique_ptr<kube::HttpTransport> real_;
};

TEST_P(TransportContract, AnAnswerOfAnyStatusIsAResponse) {
  make("a");
  const auto found = transport().send(get(Secret::kType.object({"ns", "a"})), {});
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->status, 200);
  EXPECT_TRUE(Secret::decode(found->body).ok());
  const auto missing = transport().send(get(Secret::kType.object({"ns", "b"})), {});
  ASSERT_TRUE(missing.ok());
  EXPECT_EQ(missing->status, 404);
  EXPECT_NE(missing->body.find("NotFound"), std::string::npos);
}

TEST_P(TransportContract, MethodBodyTypeAndAcceptArrive) {
  Request post = get(Secret::kType.collection("ns") + "?fieldManager=m%20n");
  post.method = Method::kPost;
  post.body = "{\"metadata\":{\"name\":\"p\xc3\xa9\"}}";
  post.content_type = "application/json";
  post.accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
  const auto made = transport().send(post, {});
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->status, 201);
  ASSERT_EQ(server_.requests().size(), 1U);
  const auto seen = server_.requests()[0];
  EXPECT_EQ(seen.method, Method::kPost);
  EXPECT_EQ(seen.path, post.path);
  EXPECT_EQ(seen.body, post.body);
  EXPECT_EQ(seen.accept, post.accept);
  Request remove = get(Secret::kType.object({"ns", "p\xc3\xa9"}));
  remove.method = Method::kDelete;
  remove.body = R"({"preconditions":{"uid":"x"}})";
  remove.content_type = "application/json";
  EXPECT_EQ(transport().send(remove, {})->status, 409);
}

TEST_P(TransportContract, LinesComeInOrderAndTheServersEndIsAnEnd) {
  Lines sink;
  const Request request = watch();
  std::jthread writer([&] {
    EXPECT_TRUE(sink.wait_until_open());
    for (int i = 0; i < 100; ++i) make("s" + std::to_string(i));
    EXPECT_TRUE(sink.wait_for(100));
    server_.close_watches();
  });
  const auto end = transport().stream(request, sink, {});
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(end->status, 200);
  const auto lines = sink.lines();
  ASSERT_EQ(lines.size(), 100U);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_NE(lines[i].find("\"s" + std::to_string(i) + "\""), std::string::npos) << lines[i];
  }
}

TEST_P(TransportContract, AStreamThatIsRefusedGivesItsBody) {
  Lines sink;
  const auto end = transport().stream(get("/api/v1/namespaces/ns/nones?watch=1"), sink, {});
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(end->status, 404);
  EXPECT_NE(end->body.find("NotFound"), std::string::npos);
  EXPECT_FALSE(sink.opened());
  EXPECT_TRUE(sink.lines().empty());
}

TEST_P(TransportContract, TheSinkEndsTheStream) {
  Lines sink(1);
  const Request request = watch();
  make("a");
  make("b");
  const auto end = transport().stream(request, sink, {});
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(sink.lines().size(), 1U);
  EXPECT_TRUE(server_.wait_for_watches(0));
}

TEST_P(TransportContract, ABlockedStreamEndsWhenAskedToStop) {
  Lines sink;
  const Request request = watch();
  std::optional<Kind> kind;
  {
    std::jthread reader([&](std::stop_token stop) {
      const auto end = transport().stream(request, sink, stop);
      if (!end) kind = end.error().kind;
    });
    EXPECT_TRUE(server_.wait_for_watches(1));
    EXPECT_TRUE(sink.wait_until_open());
  }
  EXPECT_EQ(kind, Kind::kCanceled);
  EXPECT_TRUE(server_.wait_for_watches(0)) << "and so does the server's";
}

TEST_P(TransportContract, NothingIsSentOnceAskedToStop) {
  std::jthread nothing([] {});
  nothing.request_stop();
  const std::stop_token stopped = nothing.get_stop_token();
  const auto answer = transport().send(get("/api/v1/secrets"), stopped);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().kind, Kind::kCanceled);
  Lines sink;
  const auto end = transport().stream(watch(), sink, stopped);
  ASSERT_FALSE(end.ok());
  EXPECT_EQ(end.error().kind, Kind::kCanceled);
}

TEST_P(TransportContract, ManyThreadsAtOnce) {
  make("a");
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 25; ++i) {
          const auto answer = transport().send(get(Secret::kType.object({"ns", "a"})), {});
          if (answer.ok() && answer->status == 200) ++good;
        }
      });
    }
  }
  EXPECT_EQ(good, 100);
}

INSTANTIATE_TEST_SUITE_P(On, TransportContract, testing::Values(false, true),
                         [](const auto& tested) { return tested.param ? "Cpprest" : "Fake"; });

}  // namespace
}  // namespace pooler::fault
