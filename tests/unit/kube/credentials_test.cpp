#include "kube/credentials.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

namespace pooler::kube {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// Two self-signed certificates of nobody, valid for a hundred years.
constexpr const char* kCaOne =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBeTCCAR+gAwIBAgIUM5yTixcc8Z8G85/PjE6E/1c3pTYwCgYIKoZIzj0EAwIw\n"
    "ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyMzIzNDE1MVoYDzIxMjYxMDMwMjM0\n"
    "MTUxWjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n"
    "AARnIwdlI4sgxPvQXo+xuJo2p0U7zJSQTKAl0JAWbBVOhkckCbHtKW4Y3vsgAov9\n"
    "JiMQh14cXOXMY5lr7+fusvPgo1MwUTAdBgNVHQ4EFgQUH8X3S6zO2SZpCSVTZtCn\n"
    "Fro8DE8wHwYDVR0jBBgwFoAUH8X3S6zO2SZpCSVTZtCnFro8DE8wDwYDVR0TAQH/\n"
    "BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEA7syr9Tosl1CkumslG9qFjpSwPUJY\n"
    "+6M5NU3/a0vq/RICIDNXgEHS0RPjYZfYdElQBdaW5FVYyLMLCnkXJn1gih6r\n"
    "-----END CERTIFICATE-----\n";
constexpr const char* kCaTwo =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBejCCAR+gAwIBAgIULEmOIBUmEZsSAHUtxzOSckLLA/4wCgYIKoZIzj0EAwIw\n"
    "ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyMzIzNDE1MVoYDzIxMjYxMDMwMjM0\n"
    "MTUxWjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n"
    "AAR/TeFdiqcjCYz3vwjYFID/ZLEjvuQoqoHeDRTrT9owl/7MnNTBSIeKG6g6+BmB\n"
    "6C52PwM6EerzaF0ATKDoPUg4o1MwUTAdBgNVHQ4EFgQUiIxWrHVdmkzZATGY3SSY\n"
    "W152XxQwHwYDVR0jBBgwFoAUiIxWrHVdmkzZATGY3SSYW152XxQwDwYDVR0TAQH/\n"
    "BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAzvv4ErtF8K9pxqOsMY/hoJgGUKWo\n"
    "aeNY3JIbmoFYPCMCIQDUiDPaXWrRYuTSef7udwTO+6nkjdwzQoDxFwQa6mEfhQ==\n"
    "-----END CERTIFICATE-----\n";

class Directory {
 public:
  Directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "credentials-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  void write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
  }
  [[nodiscard]] std::string path(const std::string& name = "") const {
    return name.empty() ? path_.string() : (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

Environment environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

class Token : public testing::Test {
 protected:
  FileReader reader() {
    return [this](const std::string&) -> Result<std::string, std::string> {
      ++reads_;
      if (!content_) return failure(std::string("token file: can't be opened"));
      return *content_;
    };
  }
  std::string current(TokenSource& source) {
    const auto token = source.current();
    return token ? *token : "error: " + token.error();
  }
  ManualClock clock_;
  std::optional<std::string> content_ = "one\n";
  int reads_ = 0;
};

TEST_F(Token, T1_AFileIsReadAgainAfterAMinuteTenSecondsEarly) {
  TokenSource source(clock_, "", "f", reader());
  EXPECT_EQ(current(source), "one");
  content_ = "two";
  clock_.advance(seconds(49));
  EXPECT_EQ(current(source), "one");
  EXPECT_EQ(reads_, 1);
  clock_.advance(seconds(1));
  EXPECT_EQ(current(source), "two");
}

TEST_F(Token, T1_AReadThatFailsKeepsTheOldOneAndIsTriedAgain) {
  TokenSource source(clock_, "", "f", reader());
  EXPECT_EQ(current(source), "one");
  clock_.advance(seconds(60));
  for (const auto& bad : {std::optional<std::string>(), std::optional<std::string>(""),
                          std::optional<std::string>(" \n"), std::optional<std::string>("a\nb")}) {
    content_ = bad;
    EXPECT_EQ(current(source), "one");
  }
  content_ = "two";
  EXPECT_EQ(current(source), "two");
}

TEST_F(Token, T1_AnEmptyFileIsAnErrorAtFirst) {
  content_ = "";
  TokenSource source(clock_, "", "f", reader());
  EXPECT_EQ(current(source), "error: token: f: is empty, or no token");
  content_ = std::nullopt;
  EXPECT_EQ(current(source), "error: token: token file: can't be opened");
}

TEST_F(Token, T1_ARefusedTokenIsNotUsedAgainWithoutALook) {
  TokenSource source(clock_, "", "f", reader());
  EXPECT_EQ(current(source), "one");
  clock_.advance(seconds(5));
  const MonotonicTime began = clock_.monotonic();
  content_ = "two";
  source.rejected(began);
  EXPECT_EQ(current(source), "two");
  // Of a request that began before the token at hand was read.
  clock_.advance(seconds(1));
  source.rejected(began - seconds(1));
  content_ = "three";
  EXPECT_EQ(current(source), "two");
}

TEST_F(Token, AGivenTokenStays) {
  TokenSource source(clock_, "given", "", reader());
  clock_.advance(minutes(10));
  source.rejected(clock_.monotonic());
  EXPECT_EQ(current(source), "given");
  EXPECT_EQ(reads_, 0);
}

TEST_F(Token, T2_TheCaIsLookedAtEachFiveMinutesAndOnlyAGoodOneCounts) {
  content_ = kCaOne;
  CaSource source(clock_, {"", "ca"}, reader());
  EXPECT_EQ(source.current().generation, 1);
  content_ = kCaTwo;
  clock_.advance(minutes(4));
  EXPECT_EQ(source.current().generation, 1);
  clock_.advance(minutes(1));
  EXPECT_EQ(source.current().generation, 2);
  EXPECT_EQ(source.current().pem, kCaTwo);
  for (const auto& bad : {std::optional<std::string>(), std::optional<std::string>(""),
                          std::optional<std::string>("garbage"),
                          std::optional<std::string>(std::string(kCaOne).substr(0, 200)),
                          std::optional<std::string>(kCaTwo)}) {
    content_ = bad;
    clock_.advance(minutes(5));
    EXPECT_EQ(source.current().generation, 2);
    EXPECT_EQ(source.current().pem, kCaTwo);
  }
}

TEST_F(Token, T2_ACaThatIsNotThereYetIsLookedForEachTime) {
  content_ = "";
  CaSource source(clock_, {"", "ca"}, reader());
  EXPECT_EQ(source.current().generation, 0);
  content_ = kCaOne;
  EXPECT_EQ(source.current().generation, 1);
}

TEST(Certificates, AreRecognised) {
  EXPECT_TRUE(holds_certificates(kCaOne));
  EXPECT_TRUE(holds_certificates(std::string(kCaOne) + "\n# two\n" + kCaTwo));
  EXPECT_FALSE(holds_certificates(""));
  EXPECT_FALSE(
      holds_certificates("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
  EXPECT_FALSE(holds_certificates(std::string(kCaOne) + std::string(kCaTwo).substr(0, 200)));
}

TEST(InCluster, T4_FromTheServiceAccount) {
  const Directory dir;
  dir.write("token", "t");
  dir.write("ca.crt", kCaOne);
  dir.write("namespace", "here\n");
  const auto config = in_cluster(
      environment({{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}}),
      dir.path());
  ASSERT_TRUE(config.ok()) << config.error();
  EXPECT_EQ(config->server, "https://10.96.0.1:443");
  EXPECT_EQ(config->token_file, dir.path("token"));
  EXPECT_EQ(config->ca.file, dir.path("ca.crt"));
  EXPECT_EQ(config->ns, "here");
}

TEST(InCluster, T4_AnIpv6AddressGetsBrackets) {
  const Directory dir;
  dir.write("token", "t");
  dir.write("ca.crt", kCaOne);
  const auto config = in_cluster(
      environment({{"KUBERNETES_SERVICE_HOST", "fd00::1"}, {"KUBERNETES_SERVICE_PORT", "443"}}),
      dir.path());
  ASSERT_TRUE(config.ok()) << config.error();
  EXPECT_EQ(config->server, "https://[fd00::1]:443");
  EXPECT_EQ(config->ns, "default");
}

TEST(InCluster, T4_WhatIsMissingIsNamed) {
  const auto outside = in_cluster(environment({}), "/nowhere");
  ASSERT_FALSE(outside.ok());
  EXPECT_NE(outside.error().find("KUBERNETES_SERVICE_HOST"), std::string::npos);
  const auto inside =
      environment({{"KUBERNETES_SERVICE_HOST", "h"}, {"KUBERNETES_SERVICE_PORT", "1"}});
  const auto bare = in_cluster(inside, "/nowhere");
  ASSERT_FALSE(bare.ok());
  EXPECT_NE(bare.error().find("/nowhere/token"), std::string::npos) << bare.error();
  const Directory dir;
  dir.write("token", "");
  const auto empty = in_cluster(inside, dir.path());
  ASSERT_FALSE(empty.ok());
  EXPECT_NE(empty.error().find("is empty"), std::string::npos) << empty.error();
}

constexpr const char* kConfig = R"(apiVersion: v1
kind: Config
current-context: one
contexts:
- name: one
  context: {cluster: c, user: u, namespace: ns1}
- name: two
  context: {cluster: c, user: cert}
clusters:
- name: c
  cluster: {server: "https://127.0.0.1:6443/", certificate-authority-data: YWJj}
users:
- name: u
  user: {token: s3cret}
- name: cert
  user: {client-certificate: crt.pem, client-key-data: a2V5}
)";

TEST(Kubeconfig, TokenAndCa) {
  const auto config = parse_kubeconfig(kConfig, "/etc/k/config", "");
  ASSERT_TRUE(config.ok()) << config.error();
  EXPECT_EQ(config->server, "https://127.0.0.1:6443");
  EXPECT_EQ(config->ca.data, "abc");
  EXPECT_EQ(config->token, "s3cret");
  EXPECT_EQ(config->ns, "ns1");
}

TEST(Kubeconfig, ClientCertificateOfAnotherContext) {
  const auto config = parse_kubeconfig(kConfig, "/etc/k/config", "two");
  ASSERT_TRUE(config.ok()) << config.error();
  EXPECT_EQ(config->client_certificate.file, "/etc/k/crt.pem") << "relative to the kubeconfig";
  EXPECT_EQ(config->client_key.data, "key");
  EXPECT_EQ(config->ns, "default");
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

TEST(Kubeconfig, WhatIsWrongIsNamedWithFileAndField) {
  const auto error = [](const std::string& text, const std::string& context = "") {
    const auto config = parse_kubeconfig(text, "file", context);
    EXPECT_FALSE(config.ok());
    return config.ok() ? "" : config.error();
  };
  EXPECT_EQ(error(kConfig, "none"), "file: contexts: has no entry of the name \"none\"");
  EXPECT_EQ(error(replaced(kConfig, "current-context: one", "")),
            "file: current-context: is not set; give a context");
  EXPECT_EQ(error(replaced(kConfig, "name: c\n", "name: d\n")),
            "file: clusters: has no entry of the name \"c\"");
  EXPECT_EQ(
      error(replaced(kConfig, "https://", "http://")),
      "file: clusters[c].cluster.server: must begin with https://; credentials are not sent in "
      "the clear");
  EXPECT_EQ(error(replaced(kConfig, "certificate-authority-data: YWJj",
                           "insecure-skip-tls-verify: true")),
            "file: clusters[c].cluster.insecure-skip-tls-verify: is refused; give "
            "certificate-authority(-data)");
  EXPECT_EQ(
      error(replaced(kConfig, ", certificate-authority-data: YWJj", "")),
      "file: clusters[c].cluster: neither certificate-authority nor certificate-authority-data "
      "is set");
  EXPECT_EQ(error(replaced(kConfig, "YWJj", "'%%%'")),
            "file: clusters[c].cluster.certificate-authority-data: is no base64");
  EXPECT_EQ(error(replaced(kConfig, "{token: s3cret}", "{exec: {command: x}}")),
            "file: users[u].user.exec: is not supported; use a token, a tokenFile or a client "
            "certificate");
  EXPECT_EQ(error(replaced(kConfig, "client-key-data: a2V5", ""), "two"),
            "file: users[cert].user: client-certificate and client-key go together");
}

TEST(Kubeconfig, NoValueIsEverInAMessage) {
  for (const char* text :
       {"token: [s3cret", "users: s3cret", "current-context: {s3cret: 1}", "\t s3cret",
        "current-context: a\ncontexts: [{name: a, context: s3cret}]", "s3cret", "- s3cret"}) {
    const auto config = parse_kubeconfig(text, "file", "");
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_EQ(config.error().find("s3cret"), std::string::npos) << config.error();
    EXPECT_EQ(config.error().substr(0, 6), "file: ");
  }
  const auto control =
      parse_kubeconfig(replaced(kConfig, "s3cret", "\"s3cret\\r\\nX: y\""), "file", "");
  ASSERT_FALSE(control.ok());
  EXPECT_EQ(control.error(), "file: users[u].user.token: holds control characters");
}

TEST(Kubeconfig, WhereItIsLookedFor) {
  const Directory dir;
  dir.write("config", kConfig);
  const auto given = load_cluster_config(dir.path("config"), "two", environment({}));
  EXPECT_TRUE(given.ok());
  const auto listed =
      load_cluster_config("", "", environment({{"KUBECONFIG", dir.path("config") + ":/none"}}));
  ASSERT_TRUE(listed.ok()) << listed.error();
  EXPECT_EQ(listed->token, "s3cret");
  const auto missing = load_cluster_config("/no/such", "", environment({}));
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error(), "kubeconfig: /no/such: can't be opened");
  EXPECT_FALSE(load_cluster_config("", "", environment({{"HOME", dir.path()}})).ok());
}

}  // namespace
}  // namespace pooler::kube
