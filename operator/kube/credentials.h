// Where the API server is and who we are: from inside a pod, or from a kubeconfig.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace pooler::kube {

// Bytes that are given, or that are read from a file each time they are needed.
struct PemSource {
  std::string data;
  std::string file;  // used where data is empty
  [[nodiscard]] bool empty() const { return data.empty() && file.empty(); }
  // Error: the file's name and what is wrong with it.
  [[nodiscard]] Result<std::string, std::string> read() const;
};

struct ClusterConfig {
  std::string server;  // "https://host:port", IPv6 in brackets, a path prefix is kept
  PemSource ca;
  PemSource client_certificate;
  PemSource client_key;
  std::string token;
  std::string token_file;  // wins over token; read again each minute
  bool in_pod = false;     // all of this is the pod's own service account
  std::string ns;          // the pod's own, or the context's; "default" where none is given
};

// Messages name the file and the field, and never carry a value.
using ConfigResult = Result<ClusterConfig, std::string>;
using Environment = std::function<std::optional<std::string>(const std::string&)>;

[[nodiscard]] std::optional<std::string> process_environment(const std::string& name);

// KUBERNETES_SERVICE_HOST and _PORT, and the service account's files in `directory`.
[[nodiscard]] ConfigResult in_cluster(
    const Environment& environment = process_environment,
    const std::string& directory = "/var/run/secrets/kubernetes.io/serviceaccount");

// `text` is the content of a kubeconfig, `path` where it was read (for messages, and as the base of
// relative file names). Empty `context`: current-context. Pure.
[[nodiscard]] ConfigResult parse_kubeconfig(std::string_view text, const std::string& path,
                                            const std::string& context);

[[nodiscard]] ConfigResult from_kubeconfig(const std::string& path, const std::string& context);

// `kubeconfig` where given, else KUBECONFIG (the first file), else the pod's service account, else
// ~/.kube/config.
[[nodiscard]] ConfigResult load_cluster_config(
    const std::string& kubeconfig = "", const std::string& context = "",
    const Environment& environment = process_environment);

using FileReader = std::function<Result<std::string, std::string>(const std::string& path)>;
// Error: the file's name and what is wrong with it.
[[nodiscard]] Result<std::string, std::string> read_file(const std::string& path);

// The bearer token. A file's is read again each minute (ten seconds early), and after a 401. A read
// that fails keeps the old one, and is tried again at the next use. Thread-safe.
class TokenSource {
 public:
  TokenSource(const Clock& clock, std::string token, std::string file,
              FileReader reader = read_file);

  // Empty: none is configured. Error: none could be read yet.
  [[nodiscard]] Result<std::string, std::string> current();
  // A request that began at `since` was answered 401: a token that was read before is not used
  // again without another look at the file.
  void rejected(MonotonicTime since);

 private:
  const Clock& clock_;
  const std::string file_;
  const FileReader reader_;
  std::mutex mutex_;
  std::string token_;
  std::optional<MonotonicTime> read_at_;
};

// The CA's certificates. A file is looked at again each five minutes; one that is empty, unreadable
// or holds no certificate changes nothing. Thread-safe.
class CaSource {
 public:
  struct Ca {
    std::string pem;
    int generation = 0;  // 0: none could be read yet; rises with each change
  };
  CaSource(const Clock& clock, PemSource source, FileReader reader = read_file);
  [[nodiscard]] Ca current();

 private:
  const Clock& clock_;
  const PemSource source_;
  const FileReader reader_;
  std::mutex mutex_;
  Ca ca_;
  std::optional<MonotonicTime> looked_at_;
};

// At least one, and all of it well formed.
[[nodiscard]] bool holds_certificates(const std::string& pem);

}  // namespace pooler::kube
