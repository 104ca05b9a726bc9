// Reading a kubeconfig (kubernetes.io/docs: client authentication, "kubeconfig" v1).
#include <yaml-cpp/yaml.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "kube/credentials.h"

namespace pooler::kube {
namespace {

// What is wrong, in the words of the file: thrown and caught inside this file only.
struct Problem {
  std::string message;
};

class Reader {
 public:
  Reader(std::string path, std::string context)
      : path_(std::move(path)), context_(std::move(context)) {}

  ClusterConfig read(std::string_view text) {
    const YAML::Node top = YAML::Load(std::string(text));
    if (!top.IsMap()) fail("is no kubeconfig");
    const std::string name = context_.empty() ? string(top, "current-context", "") : context_;
    if (name.empty()) fail("current-context: is not set; give a context");
    const YAML::Node context = named(top, "contexts", "context", name);
    const std::string at = "contexts[" + name + "].context";
    const std::string cluster = string(context, "cluster", at);
    const std::string user = string(context, "user", at);
    if (cluster.empty()) fail(at + ".cluster: is not set");
    ClusterConfig config;
    config.ns = string(context, "namespace", at);
    if (config.ns.empty()) config.ns = "default";
    read_cluster(named(top, "clusters", "cluster", cluster), "clusters[" + cluster + "].cluster",
                 config);
    if (!user.empty()) {
      read_user(named(top, "users", "user", user), "users[" + user + "].user", config);
    }
    return config;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Problem{path_ + ": " + what}; }

  void read_cluster(const YAML::Node& cluster, const std::string& at, ClusterConfig& config) const {
    config.server = string(cluster, "server", at);
    if (config.server.empty()) fail(at + ".server: is not set");
    if (!config.server.starts_with("https://")) {
      fail(at + ".server: must begin with https://; credentials are not sent in the clear");
    }
    while (config.server.ends_with('/')) config.server.pop_back();
    if (const std::string skip = string(cluster, "insecure-skip-tls-verify", at);
        !skip.empty() && skip != "false") {
      fail(at + ".insecure-skip-tls-verify: is refused; give certificate-authority(-data)");
    }
    for (const char* unsupported : {"proxy-url", "tls-server-name"}) {
      if (!string(cluster, unsupported, at).empty()) {
        fail(at + "." + unsupported + ": is not supported");
      }
    }
    config.ca = pem(cluster, "certificate-authority", at);
    if (config.ca.empty()) {
      fail(at + ": neither certificate-authority nor certificate-authority-data is set");
    }
  }

  void read_user(const YAML::Node& user, const std::string& at, ClusterConfig& config) const {
    for (const char* unsupported :
         {"exec", "auth-provider", "username", "password", "as", "as-uid", "as-groups"}) {
      if (user[unsupported].IsDefined()) {
        fail(at + "." + unsupported +
             ": is not supported; use a token, a tokenFile or a client certificate");
      }
    }
    config.token = string(user, "token", at);
    if (has_control_characters(config.token)) fail(at + ".token: holds control characters");
    config.token_file = resolved(string(user, "tokenFile", at));
    config.client_certificate = pem(user, "client-certificate", at);
    config.client_key = pem(user, "client-key", at);
    if (config.client_certificate.empty() != config.client_key.empty()) {
      fail(at + ": client-certificate and client-key go together");
    }
  }

  // "field-data" in base64, else the file that "field" names.
  PemSource pem(const YAML::Node& map, const std::string& field, const std::string& at) const {
    PemSource source;
    if (const std::string data = string(map, field + "-data", at); !data.empty()) {
      auto bytes = base64_decode(trim(data));
      if (!bytes || bytes->empty()) fail(at + "." + field + "-data: is no base64");
      source.data = std::move(*bytes);
      return source;
    }
    source.file = resolved(string(map, field, at));
    return source;
  }

  // Relative names are relative to the kubeconfig.
  [[nodiscard]] std::string resolved(const std::string& file) const {
    const auto slash = path_.rfind('/');
    if (file.empty() || file.front() == '/' || slash == std::string::npos) return file;
    return path_.substr(0, slash + 1) + file;
  }

  [[nodiscard]] std::string string(const YAML::Node& map, const std::string& field,
                                   const std::string& at) const {
    const YAML::Node value = map[field];
    if (!value.IsDefined() || value.IsNull()) return "";
    if (!value.IsScalar()) fail((at.empty() ? "" : at + ".") + field + ": is no string");
    return value.Scalar();
  }

  [[nodiscard]] YAML::Node named(const YAML::Node& top, const std::string& list,
                                 const std::string& field, const std::string& name) const {
    const YAML::Node entries = top[list];
    if (entries.IsDefined() && entries.IsSequence()) {
      for (const auto& entry : entries) {
        if (!entry.IsMap() || string(entry, "name", list) != name) continue;
        YAML::Node found = entry[field];
        if (!found.IsDefined() || !found.IsMap()) {
          fail(list + "[" + name + "]." + field + ": is not set");
        }
        return found;
      }
    }
    fail(list + ": has no entry of the name \"" + name + "\"");
  }

  const std::string path_;
  const std::string context_;
};

}  // namespace

ConfigResult parse_kubeconfig(std::string_view text, const std::string& path,
                              const std::string& context) {
  try {
    return Reader(path, context).read(text);
  } catch (const Problem& problem) {
    return failure(problem.message);
  } catch (const YAML::Exception& thrown) {
    // Its text may quote the file: only the place is told.
    return failure(path + ": is no YAML (line " + std::to_string(thrown.mark.line + 1) + ")");
  }
}

}  // namespace pooler::kube
