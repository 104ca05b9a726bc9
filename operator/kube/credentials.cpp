#include "kube/credentials.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "base/strings.h"

namespace pooler::kube {
namespace {

constexpr auto kTokenPeriod = std::chrono::seconds(60);
constexpr auto kTokenLeeway = std::chrono::seconds(10);
constexpr auto kCaPeriod = std::chrono::minutes(5);

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

Result<std::string, std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return failure(path + ": can't be opened");
  std::string content{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) return failure(path + ": can't be read");
  return content;
}

Result<std::string, std::string> PemSource::read() const {
  if (!data.empty() || file.empty()) return data;
  return read_file(file);
}

ConfigResult in_cluster(const Environment& environment, const std::string& directory) {
  const auto host = environment("KUBERNETES_SERVICE_HOST");
  const auto port = environment("KUBERNETES_SERVICE_PORT");
  if (!host || host->empty() || !port || port->empty()) {
    return failure(std::string(
        "not inside a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set"));
  }
  ClusterConfig config;
  config.in_pod = true;
  const bool ipv6 = host->find(':') != std::string::npos;
  config.server = "https://" + (ipv6 ? "[" + *host + "]" : *host) + ":" + *port;
  config.token_file = directory + "/token";
  config.ca.file = directory + "/ca.crt";
  for (const std::string& path : {config.token_file, config.ca.file}) {
    const auto content = read_file(path);
    if (!content) return failure("service account: " + content.error());
    if (trim(*content).empty()) return failure("service account: " + path + ": is empty");
  }
  const auto ns = read_file(directory + "/namespace");
  config.ns = ns ? std::string(trim(*ns)) : "";
  if (config.ns.empty()) config.ns = "default";
  return config;
}

ConfigResult from_kubeconfig(const std::string& path, const std::string& context) {
  const auto text = read_file(path);
  if (!text) return failure("kubeconfig: " + text.error());
  return parse_kubeconfig(*text, path, context);
}

ConfigResult load_cluster_config(const std::string& kubeconfig, const std::string& context,
                                 const Environment& environment) {
  if (!kubeconfig.empty()) return from_kubeconfig(kubeconfig, context);
  if (const auto listed = environment("KUBECONFIG"); listed && !listed->empty()) {
    return from_kubeconfig(split(*listed, ':').front(), context);
  }
  if (environment("KUBERNETES_SERVICE_HOST")) return in_cluster(environment);
  if (const auto home = environment("HOME"); home && !home->empty()) {
    const std::string path = *home + "/.kube/config";
    if (std::ifstream(path)) return from_kubeconfig(path, context);
  }
  return failure(
      std::string("no credentials: give --kubeconfig, set KUBECONFIG, or run inside a cluster"));
}

TokenSource::TokenSource(const Clock& clock, std::string token, std::string file, FileReader reader)
    : clock_(clock), file_(std::move(file)), reader_(std::move(reader)), token_(std::move(token)) {}

Result<std::string, std::string> TokenSource::current() {
  std::lock_guard held(mutex_);
  if (file_.empty()) return token_;
  const MonotonicTime now = clock_.monotonic();
  if (read_at_ && now - *read_at_ < kTokenPeriod - kTokenLeeway) return token_;
  const auto content = reader_(file_);
  const std::string token = content ? std::string(trim(*content)) : "";
  if (!token.empty() && !has_control_characters(token)) {
    token_ = token;
    read_at_ = now;
  } else if (token_.empty()) {
    return failure("token: " + (content ? file_ + ": is empty, or no token" : content.error()));
  }
  return token_;
}

void TokenSource::rejected(MonotonicTime since) {
  std::lock_guard held(mutex_);
  if (read_at_ && *read_at_ <= since) read_at_.reset();
}

CaSource::CaSource(const Clock& clock, PemSource source, FileReader reader)
    : clock_(clock), source_(std::move(source)), reader_(std::move(reader)) {
  if (holds_certificates(source_.data)) ca_ = {source_.data, 1};
}

CaSource::Ca CaSource::current() {
  std::lock_guard held(mutex_);
  if (!source_.data.empty() || source_.file.empty()) return ca_;
  const MonotonicTime now = clock_.monotonic();
  const bool fresh = looked_at_ && now - *looked_at_ < kCaPeriod;
  if (fresh && ca_.generation > 0) return ca_;
  looked_at_ = now;
  auto content = reader_(source_.file);
  if (content.ok() && *content != ca_.pem && holds_certificates(*content)) {
    ca_ = {std::move(*content), ca_.generation + 1};
  }
  return ca_;
}

bool holds_certificates(const std::string& pem) {
  if (pem.empty()) return false;
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  int count = 0;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    X509_free(certificate);
    ++count;
  }
  // The end of the text reads as "no start line"; anything else is a damaged certificate.
  const unsigned long error = ERR_peek_last_error();  // NOLINT: OpenSSL's type
  ERR_clear_error();
  return count > 0 && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

}  // namespace pooler::kube
