// The real transport and the reader against a Management API that does what bad networks and bad
// servers do: each is told in its own words, and the last good answer stays.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fault/tls_server.h"
#include "hosted/reader.h"
#include "kube/transport_cpprest.h"

namespace pooler::fault {
namespace {

using hosted::ProjectState;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kProject = "abcdefghijklmnopqrst";
constexpr const char* kPath = "/v1/projects/abcdefghijklmnopqrst/config/database/pooler";
constexpr const char* kToken = "sbp_t0ken";

std::string good_answer(const std::string& host = "aws-1-eu-central-1.pooler.supabase.com") {
  return R"([{"identifier": "abcdefghijklmnopqrst", "database_type": "PRIMARY",)"
         R"( "db_user": "postgres.abcdefghijklmnopqrst", "db_host": ")" +
         host + R"(", "db_port": 6543, "default_pool_size": 15, "max_client_conn": 200}])";
}

// Of a name that it is told nothing of, nothing is ever heard.
class Names final : public Resolver {
 public:
  using Addresses = Result<std::vector<std::string>, std::string>;

  std::unique_ptr<Lookup> look_up(const std::string& host) override {
    ++asked;
    const auto found = table.find(host);
    return std::make_unique<Told>(found == table.end() ? std::nullopt
                                                       : std::optional(found->second));
  }

  std::map<std::string, Addresses> table;
  std::atomic<int> asked{0};

 private:
  class Told final : public Lookup {
   public:
    explicit Told(std::optional<Addresses> answer) : answer_(std::move(answer)) {}
    int fd() const override { return -1; }
    std::optional<Addresses> take() override { return answer_; }

   private:
    const std::optional<Addresses> answer_;
  };
};

class ManagementApi : public testing::Test {
 protected:
  ManagementApi() { kube::init_transport_threads(); }

  void serve(TlsServer::Handler handler, const std::string& name = "IP:127.0.0.1") {
    server_ = std::make_unique<TlsServer>(TlsServer::Options{authority_.issue(name), "", 0},
                                          std::move(handler));
  }
  void serve(int status, const std::string& body, const std::string& headers = "") {
    serve([=](const HttpRequest&, Connection& c) { return c.respond(status, body, headers); });
  }

  void start(Duration patience = seconds(20)) { start_at(server_->url(), patience); }
  void start_at(const std::string& url, Duration patience = seconds(20),
                seconds idle_timeout = seconds(2)) {
    transport_ = transport(url, idle_timeout);
    reader_ = std::make_unique<hosted::Reader>(
        *transport_, clock_, [this](const std::string&) { on_change(); }, patience);
    reader_->start();
    reader_->set_target("shop/orders", {kProject, kToken, 1});
  }

  std::unique_ptr<kube::HttpTransport> transport(const std::string& url, seconds idle_timeout) {
    kube::ClusterConfig config;
    config.server = url;
    config.ca.data = authority_.pem();
    return kube::make_cpprest_transport(config, clock_,
                                        {.idle_timeout = idle_timeout,
                                         .max_body_bytes = hosted::kMaxAnswerBytes,
                                         .resolver = &names_});
  }
  // The server's, by another name.
  [[nodiscard]] std::string url_of(const std::string& name) const {
    const std::string url = server_->url();
    return "https://" + name + url.substr(url.rfind(':'));
  }

  void on_change() {
    std::lock_guard held(mutex_);
    changed_.notify_all();
  }
  ProjectState wait_for(const std::function<bool(const ProjectState&)>& done) {
    std::unique_lock held(mutex_);
    EXPECT_TRUE(
        changed_.wait_for(held, minutes(1), [&] { return done(reader_->state("shop/orders")); }));
    return reader_->state("shop/orders");
  }
  // The first answer's failure, in words.
  std::string told() {
    const ProjectState state = wait_for([](const ProjectState& now) { return now.asked; });
    EXPECT_TRUE(state.failure && !state.pooler);
    const std::string message = state.failure ? state.failure->message : "";
    EXPECT_EQ(message.find(kToken), std::string::npos);
    return message;
  }

  const SystemClock clock_;
  const Authority authority_;
  Names names_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<TlsServer> server_;
  std::unique_ptr<kube::HttpTransport> transport_;
  std::unique_ptr<hosted::Reader> reader_;
};

bool holds(const std::string& text, const char* words) {
  return text.find(words) != std::string::npos;
}

TEST_F(ManagementApi, IsAskedAsItsReferenceHasIt) {
  HttpRequest seen;
  serve([&seen](const HttpRequest& request, Connection& c) {
    seen = request;
    return c.respond(200, good_answer());
  });
  start();
  const ProjectState state = wait_for([](const ProjectState& now) { return now.asked; });
  ASSERT_TRUE(state.pooler);
  EXPECT_EQ(*state.pooler,
            (hosted::ProjectPooler{"aws-1-eu-central-1.pooler.supabase.com", 15, 200}));
  EXPECT_EQ(seen.method, "GET");
  EXPECT_EQ(seen.target, kPath);
  EXPECT_EQ(seen.headers["authorization"], std::string("Bearer ") + kToken);
}

struct Answered {
  int status;
  const char* words;
  bool lasting;
};

TEST_F(ManagementApi, EachStatusIsTold) {
  for (const auto& [status, words, lasting] :
       {Answered{401, "refuses the token (401)", true}, Answered{403, "(403)", true},
        Answered{404, "knows no project", true}, Answered{429, "too often (429)", false},
        Answered{500, "fails (500)", false}, Answered{503, "fails (503)", false},
        Answered{302, "none of its own (302)", true}}) {
    serve(status, R"({"message": "words of a stranger"})", "Location: https://example.com/\r\n");
    start();
    const std::string message = told();
    EXPECT_TRUE(holds(message, words)) << message;
    EXPECT_FALSE(holds(message, "stranger")) << message;
    EXPECT_EQ(reader_->state("shop/orders").failure->lasting, lasting) << status;
    reader_.reset();
  }
}

TEST_F(ManagementApi, IsNotAskedBeforeTheTimeThatItHasNamed) {
  std::atomic<int> asked{0};
  const std::pair<const char*, seconds> times[] = {
      {"3600", seconds(6)},  // the first retry would be after 5
      {"99999999", seconds(1)},
      {"999999999999999999999", seconds(1)}};
  for (const auto& [named, watched] : times) {
    asked = 0;
    serve([&asked, header = std::string("Retry-After: ") + named + "\r\n"](const HttpRequest&,
                                                                           Connection& c) {
      ++asked;
      return c.respond(429, "{}", header);
    });
    start();
    EXPECT_TRUE(holds(told(), "too often (429)"));
    // A change, and another project of the account, would ask at once.
    reader_->set_target("shop/orders", {kProject, kToken, 2});
    reader_->set_target("shop/other", {kProject, kToken, 1});
    std::this_thread::sleep_for(watched);
    EXPECT_EQ(asked, 1) << named;
    reader_.reset();
    server_.reset();
  }
}

TEST_F(ManagementApi, ThatIsSilent) {
  serve([](const HttpRequest&, Connection& c) {
    c.wait_until_closed();
    return false;
  });
  start();
  EXPECT_TRUE(holds(told(), "does not answer in time"));
}

// Never silent for long, and never done.
TEST_F(ManagementApi, ThatTrickles) {
  serve([](const HttpRequest&, Connection& c) {
    if (!c.begin_chunks()) return false;
    for (int i = 0; i < 600; ++i) {
      if (!c.chunk(" ")) return false;
      std::this_thread::sleep_for(milliseconds(100));
    }
    return c.end_chunks();
  });
  start(seconds(1));
  EXPECT_TRUE(holds(told(), "does not answer in time"));
  server_.reset();
}

TEST_F(ManagementApi, ThatBreaksOff) {
  serve([](const HttpRequest&, Connection& c) {
    c.begin_chunks();
    c.chunk("[{\"database_type\"");
    c.cut();
    return false;
  });
  start();
  EXPECT_TRUE(holds(told(), "breaks off"));
}

TEST_F(ManagementApi, ThatHasTooMuchToSay) {
  serve(200, "[\"" + std::string(2 * hosted::kMaxAnswerBytes, 'x') + "\"]");
  start();
  EXPECT_TRUE(holds(told(), "more than 256 KiB"));
}

TEST_F(ManagementApi, ThatSaysWhatCanNotBeUsed) {
  const std::pair<std::string, const char*> answers[] = {
      {"<html>", "no list of poolers"},
      {"[]", "no entry of a primary database"},
      {good_answer("pooler.example.com"), "not under pooler.supabase.com"},
      {good_answer("aws-0.pooler.supabase.com.example.com"), "not under pooler.supabase.com"}};
  for (const auto& [body, words] : answers) {
    serve(200, body);
    start();
    const std::string message = told();
    EXPECT_TRUE(holds(message, words)) << message;
    EXPECT_FALSE(holds(message, "example.com")) << message;
    reader_.reset();
  }
}

TEST_F(ManagementApi, ThatIsSomebodyElse) {
  std::atomic<int> asked{0};
  serve(
      [&asked](const HttpRequest&, Connection& c) {
        ++asked;
        return c.respond(200, good_answer());
      },
      "DNS:api.example.com");
  start();
  EXPECT_TRUE(holds(told(), "can't be reached encrypted"));
  EXPECT_EQ(asked, 0) << "the token was not sent";
}

TEST_F(ManagementApi, IsFoundByItsName) {
  HttpRequest seen;
  serve(
      [&seen](const HttpRequest& request, Connection& c) {
        seen = request;
        return c.respond(200, good_answer());
      },
      "DNS:api.example.com");
  // Nobody listens at the first.
  names_.table.emplace("api.example.com", std::vector<std::string>{"127.0.0.2", "127.0.0.1"});
  start_at(url_of("api.example.com"));
  EXPECT_TRUE(wait_for([](const ProjectState& now) { return now.asked; }).pooler);
  EXPECT_EQ(seen.headers["host"], "api.example.com");
}

TEST_F(ManagementApi, WhoHasItsAddressButNotItsNameIsNotAsked) {
  std::atomic<int> asked{0};
  serve(
      [&asked](const HttpRequest&, Connection& c) {
        ++asked;
        return c.respond(200, good_answer());
      },
      "DNS:other.example.com,IP:127.0.0.1");
  names_.table.emplace("api.example.com", std::vector<std::string>{"127.0.0.1"});
  start_at(url_of("api.example.com"));
  EXPECT_TRUE(holds(told(), "can't be reached encrypted"));
  EXPECT_EQ(asked, 0) << "the token was not sent";
}

TEST_F(ManagementApi, WhoseNameIsNotFound) {
  names_.table.emplace("api.example.com", failure(std::string("no such name")));
  start_at("https://api.example.com");
  EXPECT_TRUE(holds(told(), "its name is not found: no such name"));
}

TEST_F(ManagementApi, WhoseNameServerIsSilent) {
  start_at("https://api.example.com");
  EXPECT_TRUE(holds(told(), "no name server answers"));
}

// Neither the operator's end nor the Kubernetes API, which the same library asks.
TEST_F(ManagementApi, ASilentNameServerHoldsUpNobodyElse) {
  serve(200, "{}");
  start_at("https://api.example.com", minutes(10), minutes(10));
  while (names_.asked == 0) std::this_thread::sleep_for(milliseconds(1));
  kube::Request request;
  request.path = "/api/v1/secrets";
  EXPECT_TRUE(transport(server_->url(), seconds(20))->send(request, {}).ok());
  const auto began = std::chrono::steady_clock::now();
  reader_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(10));
}

TEST_F(ManagementApi, ThatIsNotThere) {
  serve(200, "[]");
  const std::string url = server_->url();
  server_.reset();
  start_at(url);
  EXPECT_TRUE(holds(told(), "let the operator's pods connect"));
}

TEST_F(ManagementApi, TheLastGoodAnswerStaysWhileItFails) {
  std::atomic<int> status{200};
  serve([&status](const HttpRequest&, Connection& c) {
    return c.respond(status, status == 200 ? good_answer() : "{}");
  });
  start();
  const ProjectState before = wait_for([](const ProjectState& now) { return now.asked; });
  ASSERT_TRUE(before.pooler);
  status = 503;
  reader_->set_target("shop/orders", {kProject, kToken, 2});
  const ProjectState after =
      wait_for([](const ProjectState& now) { return now.failure.has_value(); });
  EXPECT_EQ(after.pooler, before.pooler);
  status = 200;
  EXPECT_FALSE(wait_for([](const ProjectState& now) { return !now.failure; }).failure)
      << "it recovers by itself";
}

}  // namespace
}  // namespace pooler::fault
