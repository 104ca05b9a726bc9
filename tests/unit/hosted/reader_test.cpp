#include "hosted/reader.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace pooler::hosted {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr const char* kTold =
    R"([{"database_type": "PRIMARY", "db_user": "postgres.abcdefghijklmnopqrst",
         "db_host": "aws-1-eu-central-1.pooler.supabase.com", "db_port": 6543}])";

// Answers from a list; with nothing left it is silent until it is stopped.
class SlowTransport final : public kube::HttpTransport {
 public:
  void answer(int status, std::string body) {
    std::lock_guard held(mutex_);
    answers_.push_back({status, std::nullopt, std::move(body)});
  }
  Result<kube::Response, kube::TransportError> send(const kube::Request& request,
                                                    std::stop_token stop) override {
    std::unique_lock held(mutex_);
    requests_.push_back(request);
    changed_.notify_all();
    if (answers_.empty()) {
      changed_.wait(held, stop, [] { return false; });
      return failure(kube::TransportError{kube::TransportError::Kind::kCanceled, "stopped"});
    }
    kube::Response next = std::move(answers_.front());
    answers_.pop_front();
    return next;
  }
  Result<kube::StreamEnd, kube::TransportError> stream(const kube::Request&, kube::LineSink&,
                                                       std::stop_token) override {
    return failure(kube::TransportError{kube::TransportError::Kind::kProtocol, "no streams"});
  }
  bool wait_for_requests(std::size_t count) {
    std::unique_lock held(mutex_);
    return changed_.wait_for(held, minutes(1), [&] { return requests_.size() >= count; });
  }
  std::vector<kube::Request> requests() {
    std::lock_guard held(mutex_);
    return requests_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<kube::Response> answers_;
  std::vector<kube::Request> requests_;
};

class ReaderTest : public testing::Test {
 protected:
  bool wait_for(const std::string& key, const std::function<bool(const ProjectState&)>& done) {
    std::unique_lock held(mutex_);
    return changed_.wait_for(held, minutes(1), [&] { return done(reader_.state(key)); });
  }
  void on_change(const std::string&) {
    std::lock_guard held(mutex_);
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  SystemClock clock_;
  SlowTransport transport_;
  Reader reader_{transport_, clock_, [this](const std::string& key) { on_change(key); },
                 milliseconds(200)};
};

TEST_F(ReaderTest, Reads) {
  transport_.answer(200, kTold);
  reader_.start();
  reader_.set_target("shop/orders", {"abcdefghijklmnopqrst", "t0ken", 1});
  ASSERT_TRUE(wait_for("shop/orders", [](const auto& state) { return state.asked; }));
  EXPECT_EQ(reader_.state("shop/orders").pooler->host, "aws-1-eu-central-1.pooler.supabase.com");
  EXPECT_EQ(transport_.requests().front().bearer_token, "t0ken");
  reader_.forget("shop/orders");
  EXPECT_EQ(reader_.state("shop/orders"), ProjectState{});
}

TEST_F(ReaderTest, TargetsMayComeBeforeTheStart) {
  transport_.answer(401, "{}");
  reader_.set_target("shop/orders", {"abcdefghijklmnopqrst", "t0ken", 1});
  reader_.start();
  ASSERT_TRUE(wait_for("shop/orders", [](const auto& state) { return state.failure.has_value(); }));
  EXPECT_TRUE(reader_.state("shop/orders").failure->lasting);
}

TEST_F(ReaderTest, AnAnswerThatTakesForEverIsGivenUp) {
  reader_.start();
  reader_.set_target("shop/orders", {"abcdefghijklmnopqrst", "t0ken", 1});
  ASSERT_TRUE(wait_for("shop/orders", [](const auto& state) { return state.failure.has_value(); }));
  EXPECT_NE(reader_.state("shop/orders").failure->message.find("in time"), std::string::npos);
}

TEST(ReaderStop, EndsTheQuestionInFlight) {
  SystemClock clock;
  SlowTransport transport;
  bool told = false;
  Reader reader(transport, clock, [&told](const std::string&) { told = true; });
  reader.start();
  reader.set_target("shop/orders", {"abcdefghijklmnopqrst", "t0ken", 1});
  ASSERT_TRUE(transport.wait_for_requests(1));
  reader.stop();
  EXPECT_FALSE(told);
  EXPECT_FALSE(reader.state("shop/orders").asked);
}

}  // namespace
}  // namespace pooler::hosted
