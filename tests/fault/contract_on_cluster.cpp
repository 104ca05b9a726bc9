// The API contract on a real kube-apiserver, through the real transport: the one of the kubeconfig
// (KUBECONFIG, or ~/.kube/config), in the context that POOLER_CONTEXT names or its current one.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "base/json.h"
#include "fault/api_contract.h"
#include "kube/client.h"
#include "kube/sync.h"
#include "kube/transport_cpprest.h"

namespace pooler::fault {
namespace {

constexpr kube::ResourceType kNamespace{"v1", "Namespace", "namespaces"};
constexpr kube::ResourceType kConfigMap{"v1", "ConfigMap", "configmaps"};
constexpr kube::ResourceType kDefinition{"apiextensions.k8s.io/v1", "CustomResourceDefinition",
                                         "customresourcedefinitions"};
constexpr kube::ResourceType kServiceAccount{"v1", "ServiceAccount", "serviceaccounts"};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "contract_api: %s\n", why.c_str());
  std::exit(1);
}

class ClusterUnderTest final : public ApiUnderTest, public testing::Environment {
 public:
  explicit ClusterUnderTest(kube::ClusterConfig config)
      : transport_(kube::make_cpprest_transport(std::move(config), clock_)),
        client_(*transport_, options()) {}

  void SetUp() override {
    define_thing();
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto id = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
    ns_ = make_namespace("contract-" + std::to_string(id));
    going_ = make_namespace(ns_ + "-going");
    // Pods are refused until the namespace has its service account.
    while (!client_.get_raw(kServiceAccount, {ns_, "default"}).ok()) settle();
    const Json hold{
        {"apiVersion", "v1"},
        {"kind", "ConfigMap"},
        {"metadata",
         {{"name", "hold"}, {"namespace", going_}, {"finalizers", {"example.com/hold"}}}}};
    const auto held = client_.create_raw(kConfigMap, hold);
    if (!held) give_up(held.error().message);
    hold_ = *kube::decode_meta(*held);
    remove_namespace(going_);
  }

  void TearDown() override {
    (void)client_.merge_patch_raw(kConfigMap, {{"metadata", {{"finalizers", nullptr}}}}, hold_);
    remove_namespace(ns_);
    const auto definition = client_.get_raw(kDefinition, {"", "things.contract.example.com"});
    if (definition) {
      (void)client_.remove(kDefinition, {"", "things.contract.example.com"},
                           {kube::decode_meta(*definition)->uid, ""});
    }
    transport_.reset();
  }

  kube::HttpTransport& transport() override { return *transport_; }
  std::string ns() const override { return ns_; }
  std::string terminating_namespace() override { return going_; }
  void forget_history() override {}  // the type is younger than version 1
  void settle() override { (void)kube::interruptible_sleep(std::chrono::milliseconds(100), {}); }

 private:
  static kube::ClientOptions options() {
    kube::ClientOptions options;
    options.field_manager = "contract";
    return options;
  }
  void define_thing() {
    const Json any{{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}};
    const Json condition{
        {"type", "object"},
        {"required", {"type"}},
        {"properties", {{"type", {{"type", "string"}}}, {"status", {{"type", "string"}}}}}};
    const Json conditions{{"type", "array"},
                          {"x-kubernetes-list-type", "map"},
                          {"x-kubernetes-list-map-keys", {"type"}},
                          {"items", condition}};
    const Json status{
        {"type", "object"},
        {"properties",
         {{"observedGeneration", {{"type", "integer"}}}, {"conditions", conditions}}}};
    const Json schema{{"type", "object"}, {"properties", {{"spec", any}, {"status", status}}}};
    const Json version{{"name", "v1"},
                       {"served", true},
                       {"storage", true},
                       {"subresources", {{"status", Json::object()}}},
                       {"schema", {{"openAPIV3Schema", schema}}}};
    const std::string name = "things.contract.example.com";
    const auto made = client_.create_raw(
        kDefinition, {{"apiVersion", kDefinition.api_version},
                      {"kind", kDefinition.kind},
                      {"metadata", {{"name", name}}},
                      {"spec",
                       {{"group", "contract.example.com"},
                        {"scope", "Namespaced"},
                        {"names", {{"plural", "things"}, {"singular", "thing"}, {"kind", "Thing"}}},
                        {"versions", Json::array({version})}}}});
    if (!made && made.error().kind != kube::ErrorKind::kAlreadyExists)
      give_up(made.error().message);
    kube::Request list;
    list.path = kThing.collection("") + "?limit=1";
    for (int tries = 0; !client_.request(list).ok(); ++tries) {
      if (tries == 300) give_up(name + ": not served after 30 s");
      settle();
    }
  }
  std::string make_namespace(const std::string& name) {
    const auto made = client_.create_raw(
        kNamespace, {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}});
    if (!made) give_up("namespace " + name + ": " + made.error().message);
    return name;
  }
  void remove_namespace(const std::string& name) {
    const auto object = client_.get_raw(kNamespace, {"", name});
    if (!object) return;
    (void)client_.remove(kNamespace, {"", name}, {kube::decode_meta(*object)->uid, ""});
  }

  SystemClock clock_;
  std::unique_ptr<kube::HttpTransport> transport_;
  kube::Client client_;
  std::string ns_;
  std::string going_;
  kube::Meta hold_;
};

ClusterUnderTest* the_cluster = nullptr;

}  // namespace

ApiUnderTest& api_under_test() { return *the_cluster; }

}  // namespace pooler::fault

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();
  pooler::kube::init_transport_threads();
  const char* context = std::getenv("POOLER_CONTEXT");
  auto config = pooler::kube::load_cluster_config("", context == nullptr ? "" : context);
  if (!config) pooler::fault::give_up(config.error());
  auto* cluster = new pooler::fault::ClusterUnderTest(std::move(*config));
  pooler::fault::the_cluster = cluster;
  testing::AddGlobalTestEnvironment(cluster);  // takes it
  return RUN_ALL_TESTS();
}
