#include "fault/api_contract.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "base/json.h"
#include "kube/client.h"
#include "kube/events.h"
#include "kube/watch_machine.h"
#include "kube/watcher.h"

namespace pooler::fault {
namespace {

using kube::ApiResult;
using kube::Client;
using kube::ErrorKind;
using kube::Pod;
using kube::PodDisruptionBudget;
using kube::ResourceType;
using kube::Secret;
using kube::StatefulSet;

constexpr ResourceType kConfigMap{"v1", "ConfigMap", "configmaps"};

std::string unique(const std::string& prefix) {
  static std::atomic<int> count{0};
  return prefix + "-" + std::to_string(++count);
}

bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    api_under_test().settle();
  }
  return true;
}

class ApiContract : public testing::Test {
 protected:
  Json secret(const std::string& name, const Json& data = {{"a", "MQ=="}}) const {
    return {{"apiVersion", "v1"},
            {"kind", "Secret"},
            {"metadata", {{"name", name}, {"namespace", ns_}, {"labels", {{"contract", "yes"}}}}},
            {"data", data}};
  }
  Json budget(const std::string& name, int max) const {
    return {{"apiVersion", "policy/v1"},
            {"kind", "PodDisruptionBudget"},
            {"metadata", {{"name", name}, {"namespace", ns_}}},
            {"spec", {{"maxUnavailable", max}, {"selector", {{"matchLabels", {{"app", name}}}}}}}};
  }
  Json thing(const std::string& name, int n) const {
    return {{"apiVersion", kThing.api_version},
            {"kind", kThing.kind},
            {"metadata", {{"name", name}, {"namespace", ns_}}},
            {"spec", {{"n", n}}},
            {"status", {{"observedGeneration", 7}}}};
  }
  Json thing_status(const std::string& name, const std::vector<std::string>& conditions) const {
    Json list = Json::array();
    for (const auto& type : conditions) list.push_back({{"type", type}, {"status", "True"}});
    return {{"apiVersion", kThing.api_version},
            {"kind", kThing.kind},
            {"metadata", {{"name", name}, {"namespace", ns_}}},
            {"status", {{"observedGeneration", 1}, {"conditions", list}}}};
  }
  // No scheduler takes it, so no controller changes it.
  Json pod(const std::string& name) const {
    return {{"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata", {{"name", name}, {"namespace", ns_}}},
            {"spec",
             {{"schedulerName", "nobody"},
              {"automountServiceAccountToken", false},
              {"containers", {{{"name", "main"}, {"image", "none:1"}}}}}}};
  }
  template <class K>
  K created(const Json& body) {
    auto object = client_.create<K>(body);
    EXPECT_TRUE(object.ok()) << object.error().message;
    return object.ok() ? *object : K{};
  }
  template <class T>
  static ErrorKind kind_of(const ApiResult<T>& result) {
    EXPECT_FALSE(result.ok());
    return result.ok() ? ErrorKind::kOther : result.error().kind;
  }
  kube::ClientOptions manager(const std::string& name) {
    kube::ClientOptions options;
    options.field_manager = name;
    return options;
  }
  ApiResult<std::string> call(kube::Method method, const std::string& path,
                              const std::string& body = "",
                              const std::string& type = "application/json") {
    kube::Request request;
    request.method = method;
    request.path = path;
    request.body = body;
    request.content_type = body.empty() ? "" : type;
    return client_.request(request);
  }

  const std::string ns_ = api_under_test().ns();
  kube::HttpTransport& transport_ = api_under_test().transport();
  Client client_{transport_, manager("pooler-operator")};
  Client other_{transport_, manager("other")};
};

TEST_F(ApiContract, CreateGivesIdentityAndGetReadsItBack) {
  const auto made = created<Secret>(secret(unique("secret")));
  EXPECT_FALSE(made.meta.uid.empty());
  EXPECT_FALSE(made.meta.resource_version.empty());
  EXPECT_EQ(made.type, "Opaque");
  EXPECT_EQ(made.data.at("a"), "1");
  EXPECT_TRUE(made.meta.appliers.empty());
  const auto read = client_.get<Secret>(made.meta.key());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->meta.resource_version, made.meta.resource_version);
  EXPECT_TRUE(kube::compare_resource_versions(made.meta.resource_version, "1").has_value());
}

TEST_F(ApiContract, CreateTwiceIsAlreadyExists) {
  const Json body = secret(unique("secret"));
  (void)created<Secret>(body);
  EXPECT_EQ(kind_of(client_.create<Secret>(body)), ErrorKind::kAlreadyExists);
}

TEST_F(ApiContract, CreateWithoutNameIsInvalidWithItsField) {
  Json body = secret("x");
  body["metadata"].erase("name");
  const auto refused = client_.create<Secret>(body);
  ASSERT_EQ(kind_of(refused), ErrorKind::kInvalid);
  ASSERT_FALSE(refused.error().causes.empty());
  EXPECT_EQ(refused.error().causes[0].field, "metadata.name");
}

TEST_F(ApiContract, GetOfNothingIsNotFound) {
  EXPECT_EQ(kind_of(client_.get<Secret>({ns_, "no-such"})), ErrorKind::kNotFound);
}

TEST_F(ApiContract, ApplyAdoptsWhatPostWroteSoADroppedKeyGoes) {
  const std::string name = unique("secret");
  const auto made = created<Secret>(secret(name, {{"keep", "MQ=="}, {"drop", "Mg=="}}));
  const auto applied =
      client_.apply<Secret>(secret(name, {{"keep", "MQ=="}, {"new", "Mw=="}}), made.meta);
  ASSERT_TRUE(applied.ok()) << applied.error().message;
  EXPECT_EQ(applied->data, (std::map<std::string, std::string>{{"keep", "1"}, {"new", "3"}}));
  EXPECT_TRUE(applied->meta.applied_by("pooler-operator"));
  // And once more, now that it is ours by apply.
  const auto again = client_.apply<Secret>(secret(name, {{"new", "Mw=="}}), applied->meta);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->data, (std::map<std::string, std::string>{{"new", "3"}}));
}

TEST_F(ApiContract, ApplyWithoutAdoptionWouldLeaveTheDroppedKey) {
  const std::string name = unique("secret");
  const auto made = created<Secret>(secret(name, {{"keep", "MQ=="}, {"drop", "Mg=="}}));
  kube::Meta believed = made.meta;
  believed.appliers = {"pooler-operator"};  // so that no field is taken over
  const auto applied = client_.apply<Secret>(secret(name, {{"keep", "MQ=="}}), believed);
  ASSERT_TRUE(applied.ok()) << applied.error().message;
  EXPECT_TRUE(applied->data.contains("drop"));
}

TEST_F(ApiContract, ApplyKeepsFieldsOfOthers) {
  const std::string name = unique("secret");
  const auto made = created<Secret>(secret(name));
  ASSERT_TRUE(other_.annotate_raw(Secret::kType, made.meta, "example.com/theirs", "1").ok());
  const auto applied = client_.apply<Secret>(secret(name, {{"b", "Mg=="}}), made.meta);
  ASSERT_TRUE(applied.ok()) << applied.error().message;
  EXPECT_EQ(applied->meta.annotations.at("example.com/theirs"), "1");
  EXPECT_EQ(applied->data, (std::map<std::string, std::string>{{"b", "2"}}));
}

TEST_F(ApiContract, ApplyTakesBackAFieldThatAnotherChanged) {
  const std::string name = unique("budget");
  const auto made = created<PodDisruptionBudget>(budget(name, 1));
  ASSERT_TRUE(
      other_.merge_patch<PodDisruptionBudget>({{"spec", {{"maxUnavailable", 7}}}}, made.meta).ok());
  const auto applied = client_.apply<PodDisruptionBudget>(budget(name, 1), made.meta);
  ASSERT_TRUE(applied.ok()) << applied.error().message;
  EXPECT_TRUE(is_subset(budget(name, 1), parse_json(applied->body))) << applied->body;
}

TEST_F(ApiContract, ApplyThatChangesNothingIsNoWrite) {
  const std::string name = unique("secret");
  const auto made = created<Secret>(secret(name));
  const auto first = client_.apply<Secret>(secret(name), made.meta);
  ASSERT_TRUE(first.ok()) << first.error().message;
  const auto second = client_.apply<Secret>(secret(name), first->meta);
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(second->meta.resource_version, first->meta.resource_version);
}

TEST_F(ApiContract, ADryRunIsAnsweredLikeTheWriteAndKeepsNothing) {
  const std::string name = unique("secret");
  ASSERT_TRUE(client_.dry_run(Secret::kType, secret(name), {}).ok());
  EXPECT_EQ(kind_of(client_.get_raw(Secret::kType, {ns_, name})), ErrorKind::kNotFound);
  const auto made = created<Secret>(secret(name));
  const auto applied = client_.apply<Secret>(secret(name), made.meta);
  ASSERT_TRUE(applied.ok());
  ASSERT_TRUE(client_.dry_run(Secret::kType, secret(name, {{"b", "Mg=="}}), applied->meta).ok());
  Json other_type = secret(name);
  other_type["type"] = "example.com/other";
  const auto refused = client_.dry_run(Secret::kType, other_type, applied->meta);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
  const auto now = client_.get<Secret>(made.meta.key());
  ASSERT_TRUE(now.ok());
  EXPECT_EQ(now->meta.resource_version, applied->meta.resource_version);
}

TEST_F(ApiContract, ApplyToWhatIsGoneIsConflictAndMakesNothing) {
  const std::string name = unique("secret");
  const auto made = created<Secret>(secret(name));
  const auto applied = client_.apply<Secret>(secret(name), made.meta);
  ASSERT_TRUE(applied.ok());
  ASSERT_TRUE(client_.remove(Secret::kType, made.meta.key(), {made.meta.uid, ""}).ok());
  EXPECT_EQ(kind_of(client_.apply<Secret>(secret(name), applied->meta)), ErrorKind::kConflict);
  EXPECT_EQ(kind_of(client_.get<Secret>(made.meta.key())), ErrorKind::kNotFound);
}

TEST_F(ApiContract, ApplyToANamesakeIsConflictAndChangesNothing) {
  const std::string name = unique("secret");
  const auto old = created<Secret>(secret(name));
  const auto applied = client_.apply<Secret>(secret(name), old.meta);
  ASSERT_TRUE(applied.ok());
  ASSERT_TRUE(client_.remove(Secret::kType, old.meta.key(), {old.meta.uid, ""}).ok());
  const auto namesake = created<Secret>(secret(name, {{"theirs", "MQ=="}}));
  EXPECT_EQ(kind_of(client_.apply<Secret>(secret(name), applied->meta)), ErrorKind::kConflict);
  EXPECT_EQ(kind_of(client_.apply<Secret>(secret(name), old.meta)), ErrorKind::kConflict);
  const auto now = client_.get<Secret>(old.meta.key());
  ASSERT_TRUE(now.ok());
  EXPECT_EQ(now->meta.resource_version, namesake.meta.resource_version);
}

TEST_F(ApiContract, ApplyCarriesEveryCharacterThatJsonCan) {
  const std::string name = unique("secret");
  const std::string odd =
      "tab\t quote\" back\\ slash/ del\x7f nel\xc2\x85 c1\xc2\x9b ls\xe2\x80\xa8 ps\xe2\x80\xa9 "
      "bom\xef\xbb\xbf emoji\xf0\x9f\x90\x98 null: ~ # - [x]";
  const auto made = created<Secret>(secret(name));
  Json body = secret(name);
  body["metadata"]["annotations"]["example.com/odd"] = odd;
  const auto applied = client_.apply<Secret>(body, made.meta);
  ASSERT_TRUE(applied.ok()) << applied.error().message;
  EXPECT_EQ(applied->meta.annotations.at("example.com/odd"), odd);
}

TEST_F(ApiContract, ApplyMergesListsWithKeysByKey) {
  const std::string name = unique("set");
  const auto body = [&](const Json& env) -> Json {
    return {{"apiVersion", "apps/v1"},
            {"kind", "StatefulSet"},
            {"metadata", {{"name", name}, {"namespace", ns_}}},
            {"spec",
             {{"replicas", 0},
              {"serviceName", name},
              {"selector", {{"matchLabels", {{"app", name}}}}},
              {"template",
               {{"metadata", {{"labels", {{"app", name}}}}},
                {"spec",
                 {{"containers", {{{"name", "main"}, {"image", "none:1"}, {"env", env}}}}}}}}}}};
  };
  const auto made = created<StatefulSet>(
      body({{{"name", "A"}, {"value", "1"}}, {{"name", "B"}, {"value", "2"}}}));
  EXPECT_EQ(made.meta.generation, 1);
  const auto applied =
      client_.apply<StatefulSet>(body({{{"name", "B"}, {"value", "3"}}}), made.meta);
  ASSERT_TRUE(applied.ok()) << applied.error().message;
  const Json now = parse_json(applied->body);
  const Json env = now["spec"]["template"]["spec"]["containers"][0]["env"];
  ASSERT_EQ(env.size(), 1U) << env.dump();
  EXPECT_EQ(env[0]["value"], "3");
  EXPECT_EQ(applied->meta.generation, 2);
  EXPECT_EQ(applied->replicas, 0);
}

TEST_F(ApiContract, GenerationRisesWithTheSpecOnly) {
  const std::string name = unique("budget");
  const auto made = created<PodDisruptionBudget>(budget(name, 1));
  EXPECT_EQ(made.meta.generation, 1);
  const auto labeled = client_.annotate<PodDisruptionBudget>(made.meta, "example.com/touched", "1");
  ASSERT_TRUE(labeled.ok()) << labeled.error().message;
  EXPECT_EQ(labeled->meta.generation, 1);
  const auto changed = client_.apply<PodDisruptionBudget>(budget(name, 2), made.meta);
  ASSERT_TRUE(changed.ok()) << changed.error().message;
  EXPECT_EQ(changed->meta.generation, 2);
}

TEST_F(ApiContract, StatusIsWrittenThroughItsSubresourceOnly) {
  const std::string name = unique("pod");
  auto made = client_.create<Pod>(pod(name));
  ASSERT_TRUE(made.ok()) << made.error().message;
  Json body{
      {"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", name}, {"namespace", ns_}}}};
  body["metadata"]["annotations"] = {{"example.com/from-status", "1"}};
  body["status"] = {{"reason", "Told"}, {"message", "by us"}};
  const auto told = client_.apply_status<Pod>(body, made->meta);
  ASSERT_TRUE(told.ok()) << told.error().message;
  EXPECT_EQ(told->reason, "Told");
  EXPECT_EQ(told->meta.generation, made->meta.generation);
  EXPECT_FALSE(told->meta.applied_by("pooler-operator"));  // the status is no part of the object
  const auto again = client_.apply_status<Pod>(body, made->meta);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->meta.resource_version, told->meta.resource_version);
  // The object's own endpoint leaves the status alone.
  const auto ignored = client_.merge_patch<Pod>({{"status", {{"reason", "Other"}}}}, made->meta);
  ASSERT_TRUE(ignored.ok()) << ignored.error().message;
  EXPECT_EQ(ignored->reason, "Told");
}

TEST_F(ApiContract, StatusOfACustomResourceLeavesItsGeneration) {
  const std::string name = unique("thing");
  const auto made = client_.create_raw(kThing, thing(name, 1));
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_FALSE(parse_json(*made).contains("status"));  // given, and ignored
  const auto meta = *kube::decode_meta(*made);
  EXPECT_EQ(meta.generation, 1);
  const auto told =
      client_.apply_status_raw(kThing, thing_status(name, {"Ready", "Verified"}), meta);
  ASSERT_TRUE(told.ok()) << told.error().message;
  EXPECT_EQ(kube::decode_meta(*told)->generation, 1);
  EXPECT_EQ(parse_json(*told)["status"]["conditions"].size(), 2U);
  // Conditions are a map by type: one left out goes.
  const auto less = client_.apply_status_raw(kThing, thing_status(name, {"Ready"}), meta);
  ASSERT_TRUE(less.ok()) << less.error().message;
  EXPECT_EQ(parse_json(*less)["status"]["conditions"].size(), 1U);
  const auto changed =
      client_.merge_patch_raw(kThing, {{"spec", {{"n", 2}}}, {"status", nullptr}}, meta);
  ASSERT_TRUE(changed.ok()) << changed.error().message;
  EXPECT_EQ(kube::decode_meta(*changed)->generation, 2);
  EXPECT_EQ(parse_json(*changed)["status"]["conditions"].size(), 1U);
}

TEST_F(ApiContract, StatusOfWhatIsGoneIsNotFound) {
  kube::Meta meta;
  meta.ns = ns_;
  meta.name = unique("thing");
  meta.uid = "00000000-0000-4000-8000-00000000dead";
  EXPECT_EQ(kind_of(client_.apply_status_raw(kThing, thing_status(meta.name, {"Ready"}), meta)),
            ErrorKind::kNotFound);
}

// The server takes metadata of a custom resource's status from the stored object, so a uid there
// protects nothing. A built-in type's is compared.
TEST_F(ApiContract, StatusOfANamesakeIsConflictForBuiltInTypesOnly) {
  const std::string name = unique("thing");
  const auto made = client_.create_raw(kThing, thing(name, 1));
  ASSERT_TRUE(made.ok()) << made.error().message;
  kube::Meta wrong = *kube::decode_meta(*made);
  wrong.uid = "00000000-0000-4000-8000-00000000dead";
  EXPECT_TRUE(client_.apply_status_raw(kThing, thing_status(name, {"Ready"}), wrong).ok());

  const auto pod_made = created<Pod>(pod(unique("pod")));
  wrong = pod_made.meta;
  wrong.uid = "00000000-0000-4000-8000-00000000dead";
  const Json body{{"apiVersion", "v1"},
                  {"kind", "Pod"},
                  {"metadata", {{"name", wrong.name}, {"namespace", ns_}}},
                  {"status", {{"reason", "Told"}}}};
  EXPECT_EQ(kind_of(client_.apply_status<Pod>(body, wrong)), ErrorKind::kConflict);
}

TEST_F(ApiContract, DeleteHoldsToItsPreconditions) {
  const auto made = created<Secret>(secret(unique("secret")));
  const auto key = made.meta.key();
  EXPECT_EQ(
      kind_of(client_.remove(Secret::kType, key, {"00000000-0000-4000-8000-00000000dead", ""})),
      ErrorKind::kConflict);
  EXPECT_EQ(kind_of(client_.remove(Secret::kType, key, {made.meta.uid, "1"})),
            ErrorKind::kConflict);
  ASSERT_TRUE(client_.get<Secret>(key).ok());
  const auto gone = client_.remove(Secret::kType, key, {made.meta.uid, made.meta.resource_version});
  ASSERT_TRUE(gone.ok()) << gone.error().message;
  EXPECT_EQ(*gone, kube::DeleteOutcome::kGone);
  EXPECT_EQ(kind_of(client_.remove(Secret::kType, key, {made.meta.uid, ""})), ErrorKind::kNotFound);
}

TEST_F(ApiContract, DeleteWaitsForFinalizers) {
  Json body = secret(unique("secret"));
  body["metadata"]["finalizers"] = {"example.com/hold"};
  const auto made = created<Secret>(body);
  const auto going = client_.remove(Secret::kType, made.meta.key(), {made.meta.uid, ""});
  ASSERT_TRUE(going.ok()) << going.error().message;
  EXPECT_EQ(*going, kube::DeleteOutcome::kTerminating);
  const auto held = client_.get<Secret>(made.meta.key());
  ASSERT_TRUE(held.ok());
  EXPECT_TRUE(held->meta.deleting);
  ASSERT_TRUE(
      client_.merge_patch_raw(Secret::kType, {{"metadata", {{"finalizers", nullptr}}}}, made.meta)
          .ok());
  EXPECT_EQ(kind_of(client_.get<Secret>(made.meta.key())), ErrorKind::kNotFound);
}

TEST_F(ApiContract, APodWithoutANodeGoesAtOnce) {
  const auto made = created<Pod>(pod(unique("pod")));
  const auto removed = client_.remove(Pod::kType, made.meta.key(), {made.meta.uid, ""});
  ASSERT_TRUE(removed.ok()) << removed.error().message;
  EXPECT_EQ(kind_of(client_.get<Pod>(made.meta.key())), ErrorKind::kNotFound);
}

TEST_F(ApiContract, PatchOfANamesakeIsConflict) {
  const auto made = created<Pod>(pod(unique("pod")));
  kube::Meta wrong = made.meta;
  wrong.uid = "00000000-0000-4000-8000-00000000dead";
  EXPECT_EQ(kind_of(client_.annotate<Pod>(wrong, "example.com/touch", "1")), ErrorKind::kConflict);
  const auto touched = client_.annotate<Pod>(made.meta, "example.com/touch", "2");
  ASSERT_TRUE(touched.ok()) << touched.error().message;
  EXPECT_EQ(touched->meta.annotations.at("example.com/touch"), "2");
  EXPECT_EQ(touched->meta.generation, made.meta.generation);
}

TEST_F(ApiContract, PutWithAStaleVersionIsConflict) {
  const std::string name = unique("secret");
  const auto made = created<Secret>(secret(name));
  ASSERT_TRUE(other_.annotate_raw(Secret::kType, made.meta, "example.com/x", "1").ok());
  Json body = secret(name);
  body["metadata"]["resourceVersion"] = made.meta.resource_version;
  EXPECT_EQ(kind_of(call(kube::Method::kPut, Secret::kType.object(made.meta.key()), body.dump())),
            ErrorKind::kConflict);
}

TEST_F(ApiContract, ImmutableThingsAreInvalidToChange) {
  const std::string name = unique("secret");
  Json body = secret(name);
  body["immutable"] = true;
  const auto made = created<Secret>(body);
  EXPECT_TRUE(made.immutable);
  body["data"]["a"] = "Mg==";
  EXPECT_EQ(kind_of(client_.apply<Secret>(body, made.meta)), ErrorKind::kInvalid);
  const auto typed = created<Secret>(secret(unique("secret")));
  Json other_type = secret(typed.meta.name);
  other_type["type"] = "example.com/other";
  EXPECT_EQ(kind_of(client_.apply<Secret>(other_type, typed.meta)), ErrorKind::kInvalid);
}

TEST_F(ApiContract, OwnedObjectsGoWithTheirOwner) {
  const std::string name = unique("owner");
  const auto owner =
      client_.create_raw(kConfigMap, {{"apiVersion", "v1"},
                                      {"kind", "ConfigMap"},
                                      {"metadata", {{"name", name}, {"namespace", ns_}}}});
  ASSERT_TRUE(owner.ok()) << owner.error().message;
  const auto meta = kube::decode_meta(*owner);
  ASSERT_TRUE(meta.ok());
  Json body = secret(unique("secret"));
  body["metadata"]["ownerReferences"] = Json::array({{{"apiVersion", "v1"},
                                                      {"kind", "ConfigMap"},
                                                      {"name", name},
                                                      {"uid", meta->uid},
                                                      {"controller", true},
                                                      {"blockOwnerDeletion", true}}});
  const auto child = created<Secret>(body);
  ASSERT_NE(child.meta.controller_owner(), nullptr);
  EXPECT_EQ(child.meta.controller_owner()->uid, meta->uid);
  ASSERT_TRUE(client_.remove(kConfigMap, {ns_, name}, {meta->uid, ""}).ok());
  EXPECT_TRUE(eventually([&] { return !client_.get<Secret>(child.meta.key()).ok(); }));
}

TEST_F(ApiContract, NothingIsMadeInATerminatingNamespace) {
  Json body = secret(unique("secret"));
  body["metadata"]["namespace"] = api_under_test().terminating_namespace();
  const auto refused = client_.create<Secret>(body);
  ASSERT_EQ(kind_of(refused), ErrorKind::kForbidden);
  EXPECT_TRUE(refused.error().namespace_terminating()) << refused.error().message;
}

TEST_F(ApiContract, AnEventIsAcceptedOnce) {
  const auto made = created<Secret>(secret(unique("secret")));
  kube::Event event;
  event.reason = "Tested";
  event.action = "Testing";
  event.note = "The contract holds.";
  event.regarding = {"v1", "Secret", made.meta.key(), made.meta.uid};
  const Json body = kube::event_body(event, {"example.com/contract", "contract-0", 10},
                                     std::chrono::system_clock::now());
  constexpr ResourceType kEvents{"events.k8s.io/v1", "Event", "events"};
  const auto sent = client_.create_raw(kEvents, body);
  ASSERT_TRUE(sent.ok()) << sent.error().message;
  EXPECT_EQ(kind_of(client_.create_raw(kEvents, body)), ErrorKind::kAlreadyExists);
}

TEST_F(ApiContract, ATypeThatIsNotServedIsNotFound) {
  EXPECT_EQ(kind_of(client_.get_raw({"none.example.com/v1", "None", "nones"}, {ns_, "x"})),
            ErrorKind::kNotFound);
}

// ---- lists ----

TEST_F(ApiContract, AListIsReadInPagesOfOneVersion) {
  const std::string label = unique("paged");
  for (int i = 0; i < 5; ++i) {
    Json body = secret(label + "-" + std::to_string(i));
    body["metadata"]["labels"]["paged"] = label;
    (void)created<Secret>(body);
  }
  const std::string path =
      Secret::kType.collection(ns_) + "?labelSelector=paged%3D" + label + "&limit=2";
  std::vector<std::string> names;
  std::set<std::string> versions;
  std::string token;
  do {
    const auto body = call(kube::Method::kGet,
                           path + (token.empty() ? "" : "&continue=" + kube::url_encode(token)));
    ASSERT_TRUE(body.ok()) << body.error().message;
    const auto page = kube::parse_list(*body, [&](std::string_view item) {
      const auto object = Secret::decode(item);
      ASSERT_TRUE(object.ok());
      names.push_back(object->meta.name);
      // Items say neither apiVersion nor kind; the body does.
      EXPECT_FALSE(parse_json(item).contains("kind"));
      EXPECT_EQ(parse_json(object->body)["kind"], "Secret");
    });
    ASSERT_TRUE(page.ok()) << page.error();
    versions.insert(page->resource_version);
    token = page->continue_token;
  } while (!token.empty());
  EXPECT_EQ(names.size(), 5U);
  EXPECT_EQ(versions.size(), 1U);
}

TEST_F(ApiContract, AListFromTheFutureIsRefusedAsTooLarge) {
  kube::Request request;
  request.path = Secret::kType.collection(ns_) + "?resourceVersion=999999999999";
  kube::ClientOptions once = manager("pooler-operator");
  once.max_retries = 0;  // the answer carries Retry-After
  const auto refused = Client(transport_, once).request(request);
  ASSERT_EQ(kind_of(refused), ErrorKind::kTimeout);
  EXPECT_TRUE(refused.error().has_cause("ResourceVersionTooLarge")) << refused.error().message;
}

TEST_F(ApiContract, MetadataAloneCanBeAskedFor) {
  const auto made = created<Secret>(secret(unique("secret")));
  kube::Request request;
  request.path = Secret::kType.collection(ns_) + "?fieldSelector=metadata.name%3D" + made.meta.name;
  request.accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
  const auto body = client_.request(request);
  ASSERT_TRUE(body.ok()) << body.error().message;
  int items = 0;
  ASSERT_TRUE(kube::parse_list(*body, [&](std::string_view item) {
                ++items;
                EXPECT_EQ(item.find("MQ=="), std::string_view::npos);
                EXPECT_EQ(kube::PartialObject::decode(item)->meta.uid, made.meta.uid);
              }).ok());
  EXPECT_EQ(items, 1);
}

TEST_F(ApiContract, ItemsOfACustomResourceSayTheirKind) {
  ASSERT_TRUE(client_.create_raw(kThing, thing(unique("thing"), 1)).ok());
  const auto body = call(kube::Method::kGet, kThing.collection(ns_));
  ASSERT_TRUE(body.ok()) << body.error().message;
  int items = 0;
  ASSERT_TRUE(kube::parse_list(*body, [&](std::string_view item) {
                ++items;
                EXPECT_EQ(parse_json(item)["kind"], "Thing");
              }).ok());
  EXPECT_GT(items, 0);
}

// ---- watches ----

struct Seen {
  kube::WatchEvent::Type type;
  std::string name;
  std::string version;
};

// Collects until `count` events came, or an ERROR.
class Collector final : public kube::LineSink {
 public:
  explicit Collector(std::size_t count) : count_(count) {}
  bool on_line(std::string_view line) override {
    const auto event = kube::parse_watch_line(line);
    EXPECT_TRUE(event.ok()) << line;
    if (!event) return false;
    if (event->type == kube::WatchEvent::Type::kBookmark) return true;
    if (event->type == kube::WatchEvent::Type::kError) {
      error = kube::classify(*kube::parse_status(event->object)).kind;
      return false;
    }
    raw.emplace_back(event->object);
    const auto meta = kube::decode_meta(event->object);
    EXPECT_TRUE(meta.ok()) << line;
    if (meta) seen.push_back({event->type, meta->name, meta->resource_version});
    return seen.size() < count_;
  }
  std::vector<Seen> seen;
  std::vector<std::string> raw;
  std::optional<ErrorKind> error;

 private:
  const std::size_t count_;
};

kube::Request watch_request(const std::string& collection, const std::string& version,
                            const std::string& more) {
  kube::Request request;
  request.path = collection +
                 "?watch=1&allowWatchBookmarks=true&timeoutSeconds=30&resourceVersion=" + version +
                 more;
  request.idle_timeout = std::chrono::seconds(60);
  return request;
}

TEST_F(ApiContract, AWatchTellsWhatHappenedSinceItsVersion) {
  using Type = kube::WatchEvent::Type;
  const std::string name = unique("watched");
  const auto start = created<Secret>(secret(unique("secret")));
  const auto made = created<Secret>(secret(name));
  const auto changed = client_.annotate<Secret>(made.meta, "example.com/x", "1");
  ASSERT_TRUE(changed.ok());
  ASSERT_TRUE(client_.remove(Secret::kType, made.meta.key(), {made.meta.uid, ""}).ok());
  Collector sink(3);
  const auto end =
      transport_.stream(watch_request(Secret::kType.collection(ns_), start.meta.resource_version,
                                      "&fieldSelector=metadata.name%3D" + name),
                        sink, {});
  ASSERT_TRUE(end.ok()) << end.error().message;
  ASSERT_EQ(sink.seen.size(), 3U);
  EXPECT_EQ(sink.seen[0].type, Type::kAdded);
  EXPECT_EQ(sink.seen[0].version, made.meta.resource_version);
  EXPECT_EQ(sink.seen[1].type, Type::kModified);
  EXPECT_EQ(sink.seen[1].version, changed->meta.resource_version);
  EXPECT_EQ(sink.seen[2].type, Type::kDeleted);
  // A deleted object comes with the version of its deletion.
  EXPECT_TRUE(kube::compare_resource_versions(sink.seen[2].version, sink.seen[1].version) ==
              std::strong_ordering::greater);
}

TEST_F(ApiContract, AWatchFromATooOldVersionIsGone) {
  ASSERT_TRUE(client_.create_raw(kThing, thing(unique("thing"), 1)).ok());
  api_under_test().forget_history();
  Collector sink(1);
  const auto end = transport_.stream(watch_request(kThing.collection(ns_), "1", ""), sink, {});
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(end->status, 200);  // told inside the stream
  EXPECT_EQ(sink.error, ErrorKind::kGone);
}

TEST_F(ApiContract, AWatchWithASelectorAddsWhatEntersAndDeletesWhatLeaves) {
  using Type = kube::WatchEvent::Type;
  const std::string label = unique("sel");
  const auto made = created<Secret>(secret(unique("secret")));
  const auto set = [&](const Json& value) {
    return client_.merge_patch<Secret>({{"metadata", {{"labels", {{"sel", value}}}}}}, made.meta);
  };
  ASSERT_TRUE(set(label).ok());
  const auto left = set(nullptr);
  ASSERT_TRUE(left.ok());
  Collector sink(2);
  ASSERT_TRUE(transport_
                  .stream(watch_request(Secret::kType.collection(ns_), made.meta.resource_version,
                                        "&labelSelector=sel%3D" + label),
                          sink, {})
                  .ok());
  ASSERT_EQ(sink.seen.size(), 2U);
  EXPECT_EQ(sink.seen[0].type, Type::kAdded);
  EXPECT_EQ(sink.seen[1].type, Type::kDeleted);
  EXPECT_EQ(sink.seen[1].version, left->meta.resource_version);
}

TEST_F(ApiContract, AMetadataWatchCarriesNoData) {
  const auto start = created<Secret>(secret(unique("secret")));
  const auto made = created<Secret>(secret(unique("secret")));
  auto request = watch_request(Secret::kType.collection(ns_), start.meta.resource_version,
                               "&fieldSelector=metadata.name%3D" + made.meta.name);
  request.accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
  Collector sink(1);
  ASSERT_TRUE(transport_.stream(request, sink, {}).ok());
  ASSERT_EQ(sink.raw.size(), 1U);
  EXPECT_EQ(parse_json(sink.raw[0])["kind"], "PartialObjectMetadata");
  EXPECT_EQ(sink.raw[0].find("MQ=="), std::string::npos);
}

TEST_F(ApiContract, AWatchEndsWithinASecondWhenAskedToStop) {
  const auto start = created<Secret>(secret(unique("secret")));
  std::stop_source stop;
  Collector sink(1);
  std::jthread stopper([&] { stop.request_stop(); });
  const auto end =
      transport_.stream(watch_request(Secret::kType.collection(ns_), start.meta.resource_version,
                                      "&fieldSelector=metadata.name%3Dnone"),
                        sink, stop.get_token());
  ASSERT_FALSE(end.ok());
  EXPECT_EQ(end.error().kind, kube::TransportError::Kind::kCanceled);
}

TEST_F(ApiContract, AWatcherFillsItsStoreAndFollows) {
  const std::string label = unique("followed");
  const auto labeled = [&](const std::string& name) {
    Json body = secret(name);
    body["metadata"]["labels"]["followed"] = label;
    return body;
  };
  const auto first = created<Secret>(labeled(unique("secret")));
  SystemClock clock;
  kube::Store<Secret> store;
  kube::WatchOptions options;
  options.namespaces = {ns_};
  options.label_selector = "followed=" + label;
  kube::Watcher<Secret> watcher(transport_, clock, store, {}, options);
  watcher.start();
  ASSERT_TRUE(store.wait_synced({}, std::chrono::seconds(20)));
  ASSERT_NE(store.get(first.meta.key()), nullptr);
  const auto second = created<Secret>(labeled(unique("secret")));
  EXPECT_TRUE(eventually([&] { return store.get(second.meta.key()) != nullptr; }));
  ASSERT_TRUE(client_.remove(Secret::kType, first.meta.key(), {first.meta.uid, ""}).ok());
  EXPECT_TRUE(eventually([&] { return store.get(first.meta.key()) == nullptr; }));
  EXPECT_EQ(watcher.metrics().lists, 1U);
  watcher.stop();
}

}  // namespace
}  // namespace pooler::fault
