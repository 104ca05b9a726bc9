#include "kube/kinds.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace pooler::kube {
namespace {

constexpr std::string_view kMetadata =
    R"("metadata":{"name":"n","namespace":"ns","uid":"u","resourceVersion":"12","generation":3,)"
    R"("creationTimestamp":"2026-01-31T23:59:59Z","labels":{"a":"b"},)"
    R"("annotations":{"x":"y","kubectl.kubernetes.io/last-applied-configuration":"{}"},)"
    R"("ownerReferences":[{"apiVersion":"p/v1","kind":"P","name":"o","uid":"ou","controller":true}],)"
    R"("managedFields":[{"manager":"m","operation":"Apply","fieldsV1":{"f:data":{}}},)"
    R"({"manager":"s","operation":"Apply","subresource":"status"},{"manager":"w","operation":"Update"}]})";

std::string object(const std::string& rest) { return "{" + std::string(kMetadata) + rest + "}"; }

TEST(Kinds, MetadataIsRead) {
  const auto meta = decode_meta(object(""));
  ASSERT_TRUE(meta.ok()) << meta.error();
  EXPECT_EQ(meta->key(), (ObjectKey{"ns", "n"}));
  EXPECT_EQ(meta->uid, "u");
  EXPECT_EQ(meta->resource_version, "12");
  EXPECT_EQ(meta->generation, 3);
  EXPECT_EQ(meta->labels.at("a"), "b");
  EXPECT_EQ(meta->creation_seconds, 1769903999);
  EXPECT_FALSE(meta->deleting);
  ASSERT_NE(meta->controller_owner(), nullptr);
  EXPECT_EQ(*meta->controller_owner(), (OwnerReference{"p/v1", "P", "o", "ou", true}));
}

TEST(Kinds, L17_ManagedFieldsAndLastAppliedAreNotKept) {
  const auto secret = Secret::decode(object(R"(,"data":{"k":"dg=="},"status":{"x":1})"));
  ASSERT_TRUE(secret.ok()) << secret.error();
  EXPECT_EQ(secret->meta.annotations, (std::map<std::string, std::string>{{"x", "y"}}));
  // Who applied the object itself is all that is kept.
  EXPECT_EQ(secret->meta.appliers, std::vector<std::string>{"m"});
  EXPECT_EQ(secret->body.find("managedFields"), std::string::npos);
  EXPECT_EQ(secret->body.find("status"), std::string::npos);
  const Json body = parse_json(secret->body);
  EXPECT_EQ(body["apiVersion"], "v1");
  EXPECT_EQ(body["kind"], "Secret");
  EXPECT_EQ(body["data"]["k"], "dg==");
  EXPECT_EQ(body["metadata"]["labels"]["a"], "b");
}

TEST(Kinds, DeletionIsSeen) {
  const auto meta = decode_meta(
      R"({"metadata":{"name":"n","deletionTimestamp":"2026-01-01T00:00:00Z","deletionGracePeriodSeconds":30}})");
  ASSERT_TRUE(meta.ok());
  EXPECT_TRUE(meta->deleting);
  EXPECT_EQ(meta->deletion_grace_seconds, 30);
  const auto null =
      decode_meta(R"({"metadata":{"name":"n","deletionTimestamp":null,"labels":null}})");
  ASSERT_TRUE(null.ok());
  EXPECT_FALSE(null->deleting);
}

TEST(Kinds, SecretDataIsDecoded) {
  const auto secret = Secret::decode(
      object(R"(,"type":"example.com/t","immutable":true,"data":{"a":"AAEC/w==","b":""})"));
  ASSERT_TRUE(secret.ok()) << secret.error();
  EXPECT_EQ(secret->type, "example.com/t");
  EXPECT_TRUE(secret->immutable);
  EXPECT_EQ(secret->data.at("a"), std::string("\0\1\2\xff", 4));
  EXPECT_EQ(secret->data.at("b"), "");
  const auto bad = Secret::decode(object(R"(,"data":{"a":"%hidden%"})"));
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().find("hidden"), std::string::npos) << "no value in a message";
}

TEST(Kinds, ServiceAddresses) {
  const auto service = Service::decode(object(R"(,"spec":{"clusterIPs":["10.0.0.1","fd00::1"]})"));
  ASSERT_TRUE(service.ok());
  EXPECT_EQ(service->cluster_ips, (std::vector<std::string>{"10.0.0.1", "fd00::1"}));
}

TEST(Kinds, StatefulSetSpecAndStatus) {
  const auto set = StatefulSet::decode(object(
      R"(,"spec":{"replicas":3,"x":[1]},"status":{"replicas":2,"readyReplicas":1,"currentRevision":"r1",)"
      R"("updateRevision":"r2","observedGeneration":7})"));
  ASSERT_TRUE(set.ok()) << set.error();
  EXPECT_EQ(set->replicas, 3);
  EXPECT_EQ(set->status_replicas, 2);
  EXPECT_EQ(set->ready_replicas, 1);
  EXPECT_EQ(set->current_revision, "r1");
  EXPECT_EQ(set->update_revision, "r2");
  EXPECT_EQ(set->observed_generation, 7);
}

TEST(Kinds, PodThatRuns) {
  const auto pod = Pod::decode(object(
      R"(,"spec":{"nodeName":"node0","containers":[{"name":"a","image":"img:1"},{"name":"b","image":"img:2"}]},)"
      R"("status":{"phase":"Running","podIP":"10.1.1.1","conditions":[{"type":"Ready","status":"True"},)"
      R"({"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"a","ready":true,)"
      R"("started":true,"restartCount":2,"imageID":"img@sha256:1","state":{"running":{"startedAt":"x"}},)"
      R"("lastState":{"terminated":{"reason":"OOMKilled","exitCode":137}}}]})"));
  ASSERT_TRUE(pod.ok()) << pod.error();
  EXPECT_EQ(pod->phase, "Running");
  EXPECT_EQ(pod->ip, "10.1.1.1");
  EXPECT_EQ(pod->node, "node0");
  EXPECT_TRUE(pod->ready);
  EXPECT_TRUE(pod->scheduled);
  ASSERT_EQ(pod->containers.size(), 2U);
  const ContainerStatus* a = pod->container("a");
  ASSERT_NE(a, nullptr);
  EXPECT_TRUE(a->ready && a->started && a->running);
  EXPECT_EQ(a->restart_count, 2);
  EXPECT_EQ(a->image, "img:1");
  EXPECT_EQ(a->image_id, "img@sha256:1");
  EXPECT_EQ(a->terminated_reason, "OOMKilled");
  EXPECT_EQ(a->terminated_exit_code, 137);
  EXPECT_EQ(pod->container("b")->image, "img:2");
  EXPECT_EQ(pod->container("c"), nullptr);
}

TEST(Kinds, PodThatWaits) {
  const auto pod = Pod::decode(object(
      R"(,"spec":{"containers":[{"name":"a","image":"i"}]},"status":{"phase":"Pending","conditions":[)"
      R"({"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"0/1 nodes"}],)"
      R"("containerStatuses":[{"name":"a","state":{"waiting":{"reason":"ImagePullBackOff","message":"no"}}}]})"));
  ASSERT_TRUE(pod.ok()) << pod.error();
  EXPECT_FALSE(pod->scheduled);
  EXPECT_EQ(pod->unscheduled_reason, "Unschedulable");
  EXPECT_EQ(pod->unscheduled_message, "0/1 nodes");
  EXPECT_EQ(pod->container("a")->waiting_reason, "ImagePullBackOff");
  EXPECT_EQ(pod->container("a")->waiting_message, "no");
  EXPECT_FALSE(pod->container("a")->running);
}

TEST(Kinds, BadInputIsAnErrorAndNeverMore) {
  for (const char* bad :
       {"", "{", "[]", "null", "3", "\"x\"", "{}", R"({"metadata":{}})", R"({"metadata":[]})",
        R"({"metadata":{"name":3}})", R"({"metadata":{"name":"n","labels":{"a":1}}})",
        R"({"metadata":{"name":"n"}} trailing)", R"({"metadata":{"name":"n"},"data":{"a":)",
        "{\"metadata\":{\"name\":\"\xff\"}}"}) {
    EXPECT_FALSE(Secret::decode(bad).ok()) << bad;
  }
  EXPECT_FALSE(StatefulSet::decode(object(R"(,"spec":{"replicas":4294967296})")).ok());
  EXPECT_FALSE(StatefulSet::decode(object(R"(,"spec":{"replicas":"3"})")).ok());
}

TEST(Kinds, EscapesAreRead) {
  const auto meta =
      decode_meta(R"({"metadata":{"name":"n","annotations":{"a\"b":"\u00e9\n\u2028"}}})");
  ASSERT_TRUE(meta.ok()) << meta.error();
  EXPECT_EQ(meta->annotations.at("a\"b"), "\xc3\xa9\n\xe2\x80\xa8");
}

}  // namespace
}  // namespace pooler::kube
