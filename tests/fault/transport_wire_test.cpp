// The real transport against a server that does what bad networks and bad servers do.
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include "base/json.h"
#include "fault/fake_api_server.h"
#include "fault/tls_server.h"
#include "kube/client.h"
#include "kube/transport_cpprest.h"

namespace pooler::fault {
namespace {

using kube::ClusterConfig;
using kube::CpprestOptions;
using kube::ErrorKind;
using kube::Request;
using Kind = kube::TransportError::Kind;
using std::chrono::seconds;

class LineLog final : public kube::LineSink {
 public:
  bool on_line(std::string_view line) override {
    lines.emplace_back(line);
    return true;
  }
  std::vector<std::string> lines;
};

// Counts, and keeps nothing.
class Counter final : public kube::LineSink {
 public:
  explicit Counter(std::function<void()> at_first = {}) : at_first_(std::move(at_first)) {}
  bool on_line(std::string_view line) override {
    if (count == 0 && at_first_) at_first_();
    ++count;
    bytes += line.size();
    return true;
  }
  std::size_t count = 0;
  std::size_t bytes = 0;

 private:
  const std::function<void()> at_first_;
};

class Wire : public testing::Test {
 protected:
  Wire() { kube::init_transport_threads(); }

  void serve(TlsServer::Handler handler) {
    TlsServer::Options options{authority_.issue("IP:127.0.0.1"), "", 0};
    serve_as(std::move(options), std::move(handler));
  }
  void serve_as(TlsServer::Options options, TlsServer::Handler handler) {
    server_ = std::make_unique<TlsServer>(std::move(options), std::move(handler));
  }
  ClusterConfig config() const {
    ClusterConfig config;
    config.server = server_->url();
    config.ca.data = authority_.pem();
    return config;
  }
  kube::HttpTransport& transport(const ClusterConfig& config, CpprestOptions options = {}) {
    transport_ = kube::make_cpprest_transport(config, clock_, std::move(options));
    return *transport_;
  }
  kube::HttpTransport& transport() { return transport_ ? *transport_ : transport(config()); }
  static Request get(const std::string& path = "/api/v1/secrets") {
    Request request;
    request.path = path;
    return request;
  }
  Kind failure_of(const Result<kube::Response, kube::TransportError>& answer) {
    EXPECT_FALSE(answer.ok());
    return answer.ok() ? Kind::kProtocol : answer.error().kind;
  }
  Kind failure_of(const Result<kube::StreamEnd, kube::TransportError>& end) {
    EXPECT_FALSE(end.ok());
    return end.ok() ? Kind::kProtocol : end.error().kind;
  }
  static TlsServer::Handler always(int status, const std::string& body = "{}",
                                   const std::string& headers = "") {
    return [=](const HttpRequest&, Connection& c) { return c.respond(status, body, headers); };
  }

  ManualClock clock_;  // only of the times at which files are read again
  const Authority authority_;
  std::unique_ptr<TlsServer> server_;
  std::unique_ptr<kube::HttpTransport> transport_;
};

// ---- requests ----

TEST_F(Wire, ARequestSaysWhoAsksAndWhatIsWanted) {
  HttpRequest seen;
  serve([&](const HttpRequest& request, Connection& c) {
    seen = request;
    return c.respond(200, "{}");
  });
  ClusterConfig config = this->config();
  config.token = "t0ken";
  config.server += "/prefix";
  CpprestOptions options;
  options.user_agent = "pooler-operator/1.2.3";
  Request request = get("/api/v1/secrets?labelSelector=a%3Db%2Cc&x=%C3%A9");
  request.method = kube::Method::kPatch;
  request.body = "{\"a\":\"\xc3\xa9\"}";
  request.content_type = "application/apply-patch+yaml";
  ASSERT_TRUE(transport(config, options).send(request, {}).ok());
  EXPECT_EQ(seen.method, "PATCH");
  EXPECT_EQ(seen.target, "/prefix/api/v1/secrets?labelSelector=a%3Db%2Cc&x=%C3%A9");
  EXPECT_EQ(seen.headers["authorization"], "Bearer t0ken");
  EXPECT_EQ(seen.headers["user-agent"], "pooler-operator/1.2.3");
  EXPECT_EQ(seen.headers["accept"], "application/json");
  EXPECT_EQ(seen.headers["content-type"].substr(0, 28), "application/apply-patch+yaml");
  EXPECT_EQ(seen.body, request.body);
}

TEST_F(Wire, ARequestMayBringATokenOfItsOwn) {
  std::vector<std::string> seen;
  serve([&](const HttpRequest& request, Connection& c) {
    seen.push_back(request.headers.at("authorization"));
    return c.respond(401, "{}");
  });
  ClusterConfig config = this->config();
  config.token = "t0ken";
  Request request = get();
  request.bearer_token = "another";
  ASSERT_TRUE(transport(config).send(request, {}).ok());
  ASSERT_TRUE(transport().send(get(), {}).ok());
  EXPECT_EQ(seen, (std::vector<std::string>{"Bearer another", "Bearer t0ken"}));
}

TEST_F(Wire, RetryAfterIsRead) {
  serve(always(429, "{}", "Retry-After: 7\r\n"));
  EXPECT_EQ(transport().send(get(), {})->retry_after, seconds(7));
  serve(always(503, "{}", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n"));
  EXPECT_EQ(transport(config()).send(get(), {})->retry_after, std::nullopt);
}

// Two, not one: cpprestsdk puts a connection back into its pool a moment after it has answered, so
// a request that follows at once may find the pool empty. Then two are in it, and one is always
// free.
TEST_F(Wire, ConnectionsAreKept) {
  serve(always(200));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(transport().send(get(), {}).ok());
  EXPECT_LE(server_->connections(), 2);
}

TEST_F(Wire, RedirectsAreNotFollowed) {
  TlsServer other({authority_.issue("IP:127.0.0.1"), "", 0}, always(200));
  serve(always(302, "", "Location: " + other.url() + "/\r\n"));
  const auto answer = transport().send(get(), {});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->status, 302);
  EXPECT_EQ(other.connections(), 0);
}

TEST_F(Wire, ABodyBeyondTheBoundIsRefused) {
  serve(always(200, std::string(5000, 'x')));
  CpprestOptions options;
  options.max_body_bytes = 4999;
  EXPECT_EQ(failure_of(transport(config(), options).send(get(), {})), Kind::kProtocol);
  options.max_body_bytes = 5000;
  EXPECT_TRUE(transport(config(), options).send(get(), {}).ok());
}

TEST_F(Wire, ABodyThatIsCutIsDisconnected) {
  serve([](const HttpRequest&, Connection& c) {
    c.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":");
    c.cut();
    return false;
  });
  EXPECT_EQ(failure_of(transport().send(get(), {})), Kind::kDisconnected);
}

TEST_F(Wire, ASilentServerIsATimeout) {
  serve([](const HttpRequest&, Connection& c) {
    c.wait_until_closed();
    return false;
  });
  CpprestOptions options;
  options.idle_timeout = seconds(1);
  EXPECT_EQ(failure_of(transport(config(), options).send(get(), {})), Kind::kTimeout);
}

TEST_F(Wire, ABlockedRequestEndsWhenAskedToStop) {
  std::promise<void> asked;
  serve([&](const HttpRequest&, Connection& c) {
    asked.set_value();
    c.wait_until_closed();
    return false;
  });
  CpprestOptions options;
  options.idle_timeout = seconds(600);
  transport(config(), options);
  std::optional<Kind> kind;
  {
    std::jthread caller([&](std::stop_token stop) {
      const auto answer = transport_->send(get(), stop);
      if (!answer) kind = answer.error().kind;
    });
    asked.get_future().wait();
  }
  EXPECT_EQ(kind, Kind::kCanceled);
}

TEST_F(Wire, NobodyThereIsConnect) {
  serve(always(200));
  const ClusterConfig gone = config();
  server_.reset();
  EXPECT_EQ(failure_of(transport(gone).send(get(), {})), Kind::kConnect);
  LineLog sink;
  EXPECT_EQ(failure_of(transport_->stream(get(), sink, {})), Kind::kConnect);
}

TEST_F(Wire, AWriteThatWasCarriedOutAndNotAnsweredIsMadeOnce) {
  // The library sends again by itself when a kept connection dies before the answer.
  SystemClock clock;
  FakeApiServer api(clock);
  const auto honest = serve_transport(api);
  std::atomic<int> posts{0};
  serve([&](const HttpRequest& request, Connection& c) {
    if (request.method != "POST" || ++posts > 1) return honest(request, c);
    kube::Request forward;
    forward.method = kube::Method::kPost;
    forward.path = request.target;
    forward.body = request.body;
    (void)api.send(forward, {});
    c.cut();
    return false;
  });
  kube::ClientOptions options;
  options.field_manager = "m";
  kube::Client client(transport(), options);
  ASSERT_FALSE(client.get<kube::Secret>({"ns", "a"}).ok());  // a connection to keep
  const Json body{{"metadata", {{"name", "a"}, {"namespace", "ns"}}}};
  const auto made = client.create<kube::Secret>(body);
  ASSERT_FALSE(made.ok());
  EXPECT_TRUE(made.error().kind == ErrorKind::kAlreadyExists ||
              made.error().kind == ErrorKind::kUnknownOutcome)
      << made.error().message;
  EXPECT_EQ(api.all(kube::Secret::kType).size(), 1U);
  EXPECT_TRUE(client.get<kube::Secret>({"ns", "a"}).ok());
}

// ---- streams ----

TEST_F(Wire, LinesAreWholeHoweverTheyAreCutIntoChunks) {
  const std::string text = "{\"a\":\"\xc3\xa9\xf0\x9f\x90\x98\"}\n\n{\"b\":2}\nrest";
  for (const std::size_t size : {std::size_t{1}, std::size_t{2}, std::size_t{3}, text.size()}) {
    serve([&](const HttpRequest&, Connection& c) {
      c.begin_chunks();
      for (std::size_t at = 0; at < text.size(); at += size) c.chunk(text.substr(at, size));
      return c.end_chunks();
    });
    LineLog sink;
    const auto end = transport(config()).stream(get(), sink, {});
    ASSERT_TRUE(end.ok()) << end.error().message;
    EXPECT_EQ(sink.lines,
              (std::vector<std::string>{"{\"a\":\"\xc3\xa9\xf0\x9f\x90\x98\"}", "", "{\"b\":2}"}))
        << "what the server did not end is no line";
  }
}

TEST_F(Wire, F12_AStreamCutAtAnyByteGivesWholeLinesOnly) {
  const std::string text = "{\"a\":\"\xc3\xa9\"}\n{\"b\":\"\xf0\x9f\x90\x98\"}\n";
  const std::size_t first = text.find('\n') + 1;
  std::size_t cut = 0;
  serve([&](const HttpRequest&, Connection& c) {
    c.begin_chunks();
    if (cut > 0) c.chunk(text.substr(0, cut));
    c.cut();
    return false;
  });
  for (; cut <= text.size(); ++cut) {
    LineLog sink;
    EXPECT_EQ(failure_of(transport().stream(get(), sink, {})), Kind::kDisconnected) << cut;
    EXPECT_EQ(sink.lines.size(), cut < first ? 0U : cut < text.size() ? 1U : 2U) << cut;
  }
}

TEST_F(Wire, F12_ACutInsideAChunkOrItsHeaderIsDisconnected) {
  for (const char* tail :
       {"1", "10", "10\r", "10\r\n", "10\r\n{\"half\":", "3\r\n{}\n", "3\r\n{}\n\r\n0\r\n"}) {
    serve([&](const HttpRequest&, Connection& c) {
      c.begin_chunks();
      c.chunk("{}\n");
      c.write(tail);
      c.cut();
      return false;
    });
    LineLog sink;
    EXPECT_EQ(failure_of(transport(config()).stream(get(), sink, {})), Kind::kDisconnected) << tail;
    EXPECT_GE(sink.lines.size(), 1U) << tail;
    for (const auto& line : sink.lines) EXPECT_EQ(line, "{}") << tail;
  }
}

TEST_F(Wire, F13_ASilentStreamIsATimeout) {
  serve([](const HttpRequest&, Connection& c) {
    c.begin_chunks();
    c.chunk("{}\n");
    c.wait_until_closed();
    return false;
  });
  Request request = get();
  request.idle_timeout = seconds(1);
  LineLog sink;
  EXPECT_EQ(failure_of(transport().stream(request, sink, {})), Kind::kTimeout);
  EXPECT_EQ(sink.lines.size(), 1U);
}

TEST_F(Wire, F15_ASlowSinkHoldsTheServerBack) {
  constexpr std::size_t kLine = std::size_t{64} * 1024;
  constexpr std::size_t kLines = 1024;  // 64 MiB
  std::atomic<std::size_t> written{0};
  serve([&](const HttpRequest&, Connection& c) {
    c.begin_chunks();
    const std::string line = std::string(kLine - 1, 'x') + "\n";
    for (std::size_t i = 0; i < kLines && c.chunk(line); ++i) written += kLine;
    return c.end_chunks();
  });
  std::size_t ahead = 0;
  Counter sink([&] {
    // Until the server gets no further.
    for (int still = 0; still < 10;) {
      const std::size_t before = written;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      still = written == before ? still + 1 : 0;
    }
    ahead = written;
  });
  const auto end = transport().stream(get(), sink, {});
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(sink.count, kLines);
  EXPECT_EQ(sink.bytes, kLines * (kLine - 1));
  EXPECT_LT(ahead, kLines * kLine / 2) << "the buffers of both sockets and ours, no more";
}

TEST_F(Wire, ALineOfFourMegabytesIsTakenAndALongerOneRefused) {
  for (const std::size_t size : {kube::kMaxLineBytes, kube::kMaxLineBytes + 1}) {
    serve([&](const HttpRequest&, Connection& c) {
      c.begin_chunks();
      const std::string line = std::string(size, 'x') + "\n";
      for (std::size_t at = 0; at < line.size(); at += 100000) {
        if (!c.chunk(line.substr(at, 100000))) return false;
      }
      return c.end_chunks();
    });
    Counter sink;
    const auto end = transport(config()).stream(get(), sink, {});
    if (size == kube::kMaxLineBytes) {
      EXPECT_TRUE(end.ok());
      EXPECT_EQ(sink.bytes, size);
    } else {
      EXPECT_EQ(failure_of(end), Kind::kProtocol);
      EXPECT_EQ(sink.count, 0U);
    }
  }
}

TEST_F(Wire, ALineThatNeverEndsIsRefusedAndTheConnectionLetGo) {
  serve([](const HttpRequest&, Connection& c) {
    c.begin_chunks();
    while (c.chunk(std::string(100000, 'x'))) {
    }
    return false;
  });
  Counter sink;
  EXPECT_EQ(failure_of(transport().stream(get(), sink, {})), Kind::kProtocol);
}

TEST_F(Wire, ALongErrorBodyIsBounded) {
  serve([](const HttpRequest&, Connection& c) {
    c.begin_chunks(500);
    while (c.chunk(std::string(100000, 'x'))) {
    }
    return false;
  });
  LineLog sink;
  const auto end = transport().stream(get(), sink, {});
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(end->status, 500);
  EXPECT_EQ(end->body.size(), 65536U);
}

TEST_F(Wire, StreamsThatAreStoppedLeaveNothingOpen) {
  serve([](const HttpRequest&, Connection& c) {
    c.begin_chunks();
    c.chunk("{}\n");
    c.wait_until_closed();
    return false;
  });
  const auto descriptors = [] {
    int count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
      ++count;
    return count;
  };
  const auto one = [&] {
    std::promise<void> first;
    std::jthread reader([&](std::stop_token stop) {
      Counter sink([&] { first.set_value(); });
      EXPECT_EQ(failure_of(transport_->stream(get(), sink, stop)), Kind::kCanceled);
    });
    first.get_future().wait();
  };
  transport();
  for (int i = 0; i < 3; ++i) one();
  const int before = descriptors();
  for (int i = 0; i < 30; ++i) one();
  // The server's side closes a moment later.
  for (int i = 0; i < 200 && descriptors() > before + 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_LE(descriptors(), before + 3);
}

// ---- who is trusted ----

TEST_F(Wire, OnlyTheGivenCaIsTrusted) {
  serve(always(200));
  ClusterConfig config = this->config();
  config.ca.data = Authority().pem();
  EXPECT_EQ(failure_of(transport(config).send(get(), {})), Kind::kTls);
  LineLog sink;
  EXPECT_EQ(failure_of(transport_->stream(get(), sink, {})), Kind::kTls);
  config.ca.data.clear();
  EXPECT_EQ(failure_of(transport(config).send(get(), {})), Kind::kTls);
  EXPECT_LE(server_->connections(), 2);
}

TEST_F(Wire, TheNameMustBeTheServers) {
  for (const char* names : {"IP:127.0.0.2", "DNS:localhost", ""}) {
    serve_as({authority_.issue(names), "", 0}, always(200));
    EXPECT_EQ(failure_of(transport(config()).send(get(), {})), Kind::kTls) << names;
  }
  serve_as({authority_.issue("DNS:localhost"), "", 0}, always(200));
  ClusterConfig by_name = config();
  by_name.server.replace(by_name.server.find("127.0.0.1"), 9, "localhost");
  EXPECT_TRUE(transport(by_name).send(get(), {}).ok());
}

TEST_F(Wire, WhatIsNoServerIsNoMatterOfTls) {
  serve(always(200));
  for (const char* server : {"https://", "", "no server", "https://:443"}) {
    ClusterConfig config = this->config();
    config.server = server;
    EXPECT_EQ(failure_of(transport(config).send(get(), {})), Kind::kConnect) << server;
    LineLog sink;
    EXPECT_EQ(failure_of(transport_->stream(get(), sink, {})), Kind::kConnect) << server;
  }
}

TEST_F(Wire, OldTlsIsRefused) {
  serve_as({authority_.issue("IP:127.0.0.1"), "", TLS1_1_VERSION}, always(200));
  EXPECT_EQ(failure_of(transport().send(get(), {})), Kind::kTls);
  serve_as({authority_.issue("IP:127.0.0.1"), "", TLS1_2_VERSION}, always(200));
  EXPECT_TRUE(transport(config()).send(get(), {}).ok());
}

TEST_F(Wire, AClientCertificateIsShown) {
  const Authority clients;
  serve_as({authority_.issue("IP:127.0.0.1"), clients.pem(), 0}, always(200));
  EXPECT_FALSE(transport().send(get(), {}).ok());
  ClusterConfig config = this->config();
  const KeyPair identity = clients.issue("");
  config.client_certificate.data = identity.certificate;
  config.client_key.data = identity.key;
  EXPECT_TRUE(transport(config).send(get(), {}).ok());
  config.client_key.data.clear();
  config.client_key.file = "/no/such/key";
  EXPECT_EQ(failure_of(transport(config).send(get(), {})), Kind::kTls);
}

class TemporaryFile {
 public:
  TemporaryFile() {
    std::string pattern = (std::filesystem::temp_directory_path() / "wire-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~TemporaryFile() { std::filesystem::remove_all(directory_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  void write(const std::string& text) const { std::ofstream(path()) << text; }
  [[nodiscard]] std::string path() const { return directory_ / "file"; }

 private:
  std::filesystem::path directory_;
};

TEST_F(Wire, T1_ARefusedTokenIsReadAgainAndTriedOnce) {
  std::atomic<int> requests{0};
  serve([&](const HttpRequest& request, Connection& c) {
    ++requests;
    const bool good = request.headers.at("authorization") == "Bearer new";
    return c.respond(good ? 200 : 401, R"({"metadata":{"name":"a"}})");
  });
  const TemporaryFile token;
  token.write("old\n");
  ClusterConfig config = this->config();
  config.token_file = token.path();
  kube::ClientOptions options;
  options.field_manager = "m";
  kube::Client client(transport(config), options);
  EXPECT_EQ(client.get<kube::Secret>({"ns", "a"}).error().kind, ErrorKind::kUnauthorized);
  EXPECT_EQ(requests, 2);
  token.write("new\n");
  EXPECT_TRUE(client.get<kube::Secret>({"ns", "a"}).ok());
}

TEST_F(Wire, T2_AChangedCaMeansNewConnections) {
  const TemporaryFile ca;
  ca.write(authority_.pem());
  serve(always(200));
  ClusterConfig config = this->config();
  config.ca = {"", ca.path()};
  ASSERT_TRUE(transport(config).send(get(), {}).ok());
  ca.write(Authority().pem());
  ASSERT_TRUE(transport_->send(get(), {}).ok()) << "not yet looked at";
  clock_.advance(std::chrono::minutes(5));
  EXPECT_EQ(failure_of(transport_->send(get(), {})), Kind::kTls);
  ca.write("");
  clock_.advance(std::chrono::minutes(5));
  EXPECT_EQ(failure_of(transport_->send(get(), {})), Kind::kTls) << "an empty file changes nothing";
  ca.write(authority_.pem());
  clock_.advance(std::chrono::minutes(5));
  EXPECT_TRUE(transport_->send(get(), {}).ok());
}

}  // namespace
}  // namespace pooler::fault

// libcrypto keeps a few kilobytes to the end of the process.
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" const char* __lsan_default_suppressions();
// NOLINTNEXTLINE(readability-identifier-naming): the runtime looks for this very name
extern "C" const char* __lsan_default_suppressions() { return "leak:libcrypto\n"; }
