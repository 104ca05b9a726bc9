// Any text as a kubeconfig: what is accepted is safe to use and reads the same when it is written
// again, and no error quotes a credential. Written again means yaml_safe(): so that is held to its
// word, too.

#include <cstddef>
#include <cstdint>

#include "base/json.h"
#include "base/strings.h"
#include "fuzz/must.h"
#include "kube/credentials.h"
#include "kube/yaml_safe.h"

namespace pooler::fuzz {
namespace {

constexpr const char* kPath = "/kube/config";
// Long enough that it is never made by chance.
constexpr const char* kCredential = "tZ9kQ2vR7xLw4mHs8bNd";

std::string written(const kube::ClusterConfig& config) {
  Json cluster{{"server", config.server}};
  Json user{{"token", config.token}, {"tokenFile", config.token_file}};
  const auto put = [](Json& map, const char* field, const kube::PemSource& pem) {
    map[field] = pem.file;
    map[std::string(field) + "-data"] = base64_encode(pem.data);
  };
  put(cluster, "certificate-authority", config.ca);
  put(user, "client-certificate", config.client_certificate);
  put(user, "client-key", config.client_key);
  const Json context{{"cluster", "c"}, {"user", "u"}, {"namespace", config.ns}};
  return kube::yaml_safe(
      to_bytes({{"current-context", "x"},
                {"contexts", Json::array({{{"name", "x"}, {"context", context}}})},
                {"clusters", Json::array({{{"name", "c"}, {"cluster", cluster}}})},
                {"users", Json::array({{{"name", "u"}, {"user", user}}})}}));
}

bool same(const kube::PemSource& a, const kube::PemSource& b) {
  return a.data == b.data && a.file == b.file;
}

void check_accepted(const kube::ClusterConfig& config) {
  must(config.server.starts_with("https://"), "credentials are not sent in the clear");
  must(!config.ca.empty(), "a server is checked");
  must(!config.ns.empty(), "a context has a namespace");
  must(config.client_certificate.empty() == config.client_key.empty(), "a pair, or none");
  must(!has_control_characters(config.token), "a token is one header's value");
  for (const std::string* text : {&config.server, &config.ns, &config.ca.file, &config.token_file,
                                  &config.client_certificate.file, &config.client_key.file}) {
    if (!is_utf8(*text)) return;  // can't be written as JSON
  }
  if (!is_utf8(config.token)) return;
  const auto again = kube::parse_kubeconfig(written(config), kPath, "");
  must(again.ok(), "what is written is accepted");
  must(again->server == config.server && again->token == config.token &&
           again->token_file == config.token_file && again->ns == config.ns &&
           same(again->ca, config.ca) && same(again->client_key, config.client_key) &&
           same(again->client_certificate, config.client_certificate),
       "what is written reads the same");
}

// A good kubeconfig with a piece of the input somewhere in its user.
void check_no_credential(std::string_view piece, std::size_t where) {
  std::string user = std::string("  user:\n    token: \"") + kCredential +
                     "\"\n    client-key-data: \"!" + kCredential + "\"\n";
  user.insert(where % (user.size() + 1), piece);
  const auto config = kube::parse_kubeconfig(
      "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
      "clusters: [{name: c, cluster: {server: \"https://h\", certificate-authority: f}}]\n"
      "users:\n- name: u\n" +
          user,
      kPath, "");
  must(config.ok() || config.error().find(kCredential) == std::string::npos,
       "an error quotes no credential");
}

void check_yaml_safe(std::string_view text) {
  const std::string json = to_bytes(Json(std::string(text)));  // valid UTF-8 from here on
  const std::string safe = kube::yaml_safe(json);
  must(parse_json(safe) == parse_json(json), "it is the same JSON");
  for (const char* refused : {"\x7f", "\xc2\x80", "\xc2\x85", "\xc2\x9f", "\xe2\x80\xa8",
                              "\xe2\x80\xa9", "\xef\xbb\xbf", "\xef\xbf\xbe", "\xef\xbf\xbf"}) {
    must(safe.find(refused) == std::string::npos, "no character is left that YAML takes otherwise");
  }
}

}  // namespace
}  // namespace pooler::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pooler;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = kube::parse_kubeconfig(text, fuzz::kPath, "");
  if (config.ok()) {
    fuzz::check_accepted(*config);
  } else {
    fuzz::must(config.error().starts_with(std::string(fuzz::kPath) + ": "), "an error names it");
  }
  fuzz::check_no_credential(text.substr(0, 200), size == 0 ? 0 : data[size - 1]);
  fuzz::check_yaml_safe(text);
  return 0;
}
