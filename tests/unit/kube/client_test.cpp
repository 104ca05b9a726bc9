#include "kube/client.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "kube/events.h"
#include "kube/yaml_safe.h"
#include "scripted_transport.h"

namespace pooler::kube {
namespace {

using std::chrono::seconds;

std::string status(int code, const std::string& reason, const std::string& field = "") {
  return R"({"kind":"Status","status":"Failure","reason":")" + reason + R"(","code":)" +
         std::to_string(code) + R"(,"details":{"causes":[{"field":")" + field + R"("}]}})";
}

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    meta_.name = "n";
    meta_.ns = "ns";
    meta_.uid = "u";
    meta_.appliers = {"pooler-operator"};
  }
  ClientOptions options() {
    ClientOptions options;
    options.field_manager = "pooler-operator";
    options.sleep = [this](Duration time, std::stop_token) {
      waits_.push_back(time);
      return true;
    };
    return options;
  }
  Json body() const {
    return {{"apiVersion", "v1"},
            {"kind", "Secret"},
            {"metadata", {{"name", "n"}, {"namespace", "ns"}}}};
  }
  const Request& sent(std::size_t index = 0) { return transport_.requests.at(index); }

  static constexpr const char* kObject = R"({"metadata":{"name":"n","namespace":"ns","uid":"u"}})";
  Meta meta_;
  ScriptedTransport transport_;
  std::vector<Duration> waits_;
  Client client_{transport_, options()};
};

TEST_F(ClientTest, R1_AnAnswerWithRetryAfterIsAskedAgainAfterThatTime) {
  transport_.answer(429, status(429, "TooManyRequests"), seconds(2));
  transport_.answer(503, status(503, "ServiceUnavailable"), seconds(3));
  transport_.answer(200, kObject);
  EXPECT_TRUE(client_.get<Secret>(meta_.key()).ok());
  EXPECT_EQ(waits_, (std::vector<Duration>{seconds(2), seconds(3)}));
}

TEST_F(ClientTest, ADryRunIsTheSameRequestThatKeepsNothing) {
  transport_.answer(201, kObject);
  EXPECT_TRUE(client_.dry_run(Secret::kType, body(), {}).ok());
  EXPECT_EQ(sent().method, Method::kPost);
  EXPECT_EQ(sent().path, "/api/v1/namespaces/ns/secrets?fieldManager=pooler-operator&dryRun=All");

  transport_.answer(422, status(422, "Invalid", "spec"));
  EXPECT_EQ(client_.dry_run(Secret::kType, body(), meta_).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(sent(1).method, Method::kPatch);
  EXPECT_EQ(sent(1).path,
            "/api/v1/namespaces/ns/secrets/n?fieldManager=pooler-operator&force=true&dryRun=All");
}

TEST_F(ClientTest, R1_WithoutRetryAfterTheCallerDecides) {
  transport_.answer(503, status(503, "ServiceUnavailable"));
  const auto refused = client_.get<Secret>(meta_.key());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kServerError);
  EXPECT_TRUE(waits_.empty());
}

TEST_F(ClientTest, R1_OtherErrorsAreNotAskedAgainEvenWithRetryAfter) {
  transport_.answer(409, status(409, "Conflict"), seconds(1));
  EXPECT_EQ(client_.get<Secret>(meta_.key()).error().kind, ErrorKind::kConflict);
  EXPECT_TRUE(waits_.empty());
}

TEST_F(ClientTest, R1_TenTriesAndNoLongWaits) {
  for (int i = 0; i < 11; ++i) transport_.answer(429, status(429, "TooManyRequests"), seconds(1));
  EXPECT_EQ(client_.get<Secret>(meta_.key()).error().kind, ErrorKind::kTooManyRequests);
  EXPECT_EQ(waits_.size(), 10U);
  EXPECT_TRUE(transport_.used_up());
  transport_.answer(429, status(429, "TooManyRequests"), seconds(31));
  const auto refused = client_.get<Secret>(meta_.key());
  EXPECT_EQ(refused.error().retry_after, seconds(31));
  EXPECT_EQ(waits_.size(), 10U);
}

TEST_F(ClientTest, T1_Unauthorized_IsAskedOnceMore) {
  transport_.answer(401, status(401, "Unauthorized"));
  transport_.answer(200, kObject);
  EXPECT_TRUE(client_.get<Secret>(meta_.key()).ok());
  transport_.answer(401, status(401, "Unauthorized"));
  transport_.answer(401, status(401, "Unauthorized"));
  EXPECT_EQ(client_.get<Secret>(meta_.key()).error().kind, ErrorKind::kUnauthorized);
  EXPECT_TRUE(transport_.used_up());
}

TEST_F(ClientTest, R3_NoAnswerIsNotAskedAgain) {
  transport_.fail(TransportError::Kind::kTimeout);
  const auto unknown = client_.create<Secret>(body());
  EXPECT_EQ(unknown.error().kind, ErrorKind::kUnknownOutcome);
  EXPECT_EQ(transport_.requests.size(), 1U);
}

TEST_F(ClientTest, R4_DeleteCarriesItsPreconditions) {
  transport_.answer(200, R"({"kind":"Status","status":"Success"})");
  const auto gone = client_.remove(Secret::kType, meta_.key(), {"u", "7"}, 5);
  ASSERT_TRUE(gone.ok());
  EXPECT_EQ(*gone, DeleteOutcome::kGone);
  EXPECT_EQ(sent().method, Method::kDelete);
  const Json options = parse_json(sent().body);
  EXPECT_EQ(options["preconditions"]["uid"], "u");
  EXPECT_EQ(options["preconditions"]["resourceVersion"], "7");
  EXPECT_EQ(options["propagationPolicy"], "Background");
  EXPECT_EQ(options["gracePeriodSeconds"], 5);
  transport_.answer(200, kObject);
  EXPECT_EQ(*client_.remove(Secret::kType, meta_.key(), {"u", ""}), DeleteOutcome::kTerminating);
  EXPECT_FALSE(parse_json(sent(1).body)["preconditions"].contains("resourceVersion"));
  EXPECT_FALSE(parse_json(sent(1).body).contains("gracePeriodSeconds"));
}

TEST_F(ClientTest, R5_ApplyForcesAndNamesTheUid) {
  transport_.answer(200, kObject);
  ASSERT_TRUE(client_.apply<Secret>(body(), meta_).ok());
  EXPECT_EQ(sent().method, Method::kPatch);
  EXPECT_EQ(sent().path, "/api/v1/namespaces/ns/secrets/n?fieldManager=pooler-operator&force=true");
  EXPECT_EQ(sent().content_type, "application/apply-patch+yaml");
  EXPECT_EQ(parse_json(sent().body)["metadata"]["uid"], "u");
}

TEST_F(ClientTest, R5_TheBodyReadsTheSameAsYaml) {
  EXPECT_EQ(yaml_safe("a/\xc3\xa9 \x7f \xc2\x85 \xc2\xa0 \xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf"),
            "a/\xc3\xa9 \\u007f \\u0085 \xc2\xa0 \\u2028\\u2029\\ufeff");
  EXPECT_EQ(yaml_safe("\xc2"), "\xc2");
  EXPECT_EQ(to_bytes(Json("a/b")), "\"a/b\"") << "no escaped slash";
}

TEST_F(ClientTest, R5_BeforeTheFirstApplyOurPostsFieldsAreTakenOver) {
  meta_.appliers.clear();
  transport_.answer(
      200,
      R"({"metadata":{"name":"n","uid":"u","resourceVersion":"5","managedFields":[)"
      R"({"manager":"pooler-operator","operation":"Update","fieldsV1":{"f:data":{"f:a":{}}}}]}})");
  transport_.answer(409, status(409, "Conflict"));
  transport_.answer(
      200,
      R"({"metadata":{"name":"n","uid":"u","resourceVersion":"6","managedFields":[)"
      R"({"manager":"pooler-operator","operation":"Update","fieldsV1":{"f:data":{"f:a":{}}}}]}})");
  transport_.answer(200, kObject);
  transport_.answer(200, kObject);
  ASSERT_TRUE(client_.apply<Secret>(body(), meta_).ok());
  EXPECT_EQ(sent(1).content_type, "application/json-patch+json");
  const Json patch = parse_json(sent(3).body);
  EXPECT_EQ(patch[0]["path"], "/metadata/managedFields");
  EXPECT_EQ(patch[0]["value"][0]["operation"], "Apply");
  EXPECT_EQ(patch[1]["path"], "/metadata/resourceVersion");
  EXPECT_EQ(patch[1]["value"], "6");
  EXPECT_EQ(sent(4).content_type, "application/apply-patch+yaml");
}

TEST_F(ClientTest, R5_ANamesakesFieldsAreNotTakenOver) {
  meta_.appliers.clear();
  transport_.answer(200, R"({"metadata":{"name":"n","uid":"other","managedFields":[]}})");
  EXPECT_EQ(client_.apply<Secret>(body(), meta_).error().kind, ErrorKind::kConflict);
  EXPECT_EQ(transport_.requests.size(), 1U);
}

TEST_F(ClientTest, R5_AUidThatDiffersIsAConflict) {
  transport_.answer(422, status(422, "Invalid", "metadata.uid"));
  EXPECT_EQ(client_.apply<Secret>(body(), meta_).error().kind, ErrorKind::kConflict);
  transport_.answer(422, status(422, "Invalid", "data"));
  EXPECT_EQ(client_.apply<Secret>(body(), meta_).error().kind, ErrorKind::kInvalid);
}

TEST_F(ClientTest, R8_StatusGoesToItsSubresource) {
  transport_.answer(200, kObject);
  ASSERT_TRUE(client_.apply_status<Secret>(body(), meta_).ok());
  EXPECT_EQ(sent().path,
            "/api/v1/namespaces/ns/secrets/n/status?fieldManager=pooler-operator&force=true");
}

TEST_F(ClientTest, CreatePostsToTheNamespaceOfTheBody) {
  transport_.answer(201, kObject);
  ASSERT_TRUE(client_.create<Secret>(body()).ok());
  EXPECT_EQ(sent().method, Method::kPost);
  EXPECT_EQ(sent().path, "/api/v1/namespaces/ns/secrets?fieldManager=pooler-operator");
}

TEST_F(ClientTest, AnAnswerThatCannotBeReadSaysSo) {
  transport_.answer(200, "garbage");
  EXPECT_EQ(client_.get<Secret>(meta_.key()).error().kind, ErrorKind::kUndecodable);
}

TEST_F(ClientTest, RequestsAreCounted) {
  transport_.answer(200, kObject);
  transport_.answer(404, status(404, "NotFound"));
  transport_.fail(TransportError::Kind::kConnect);
  for (int i = 0; i < 3; ++i) (void)client_.get<Secret>(meta_.key());
  const auto counts = client_.metrics().snapshot();
  EXPECT_EQ(counts.at({"GET", 200}), 1U);
  EXPECT_EQ(counts.at({"GET", 404}), 1U);
  EXPECT_EQ(counts.at({"GET", 0}), 1U);
}

TEST(ManagedFields, UpdatesAreMergedIntoTheApply) {
  Json object = parse_json(R"({"metadata":{"managedFields":[
    {"manager":"other","operation":"Update","fieldsV1":{"f:x":{}}},
    {"manager":"me","operation":"Update","fieldsV1":{"f:data":{".":{},"f:a":{}}}},
    {"manager":"me","operation":"Update","subresource":"status","fieldsV1":{"f:status":{}}},
    {"manager":"me","operation":"Apply","fieldsV1":{"f:data":{"f:b":{}}}}]}})");
  ASSERT_TRUE(adopt_own_updates(object, "me"));
  const Json& entries = object["metadata"]["managedFields"];
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0]["manager"], "other");
  EXPECT_EQ(entries[1]["subresource"], "status");
  EXPECT_EQ(entries[2]["operation"], "Apply");
  EXPECT_EQ(entries[2]["fieldsV1"], parse_json(R"({"f:data":{".":{},"f:a":{},"f:b":{}}})"));
  EXPECT_FALSE(adopt_own_updates(object, "me")) << "nothing left to do";
}

TEST(ManagedFields, StrangeOnesAreLeftAlone) {
  for (const char* text :
       {"null", "[]", "{}", R"({"metadata":3})", R"({"metadata":{"managedFields":{}}})",
        R"({"metadata":{"managedFields":[3,{"manager":7}]}})"}) {
    Json object = parse_json(text);
    EXPECT_FALSE(adopt_own_updates(object, "me")) << text;
  }
}

TEST(Events, R9_TheBodyOfAnEvent) {
  Event event;
  event.type = Event::Type::kWarning;
  event.reason = "Refused";
  event.action = "Publishing";
  event.note = std::string(1023, 'x') + "\xc3\xa9";
  event.regarding = {"example.com/v1", "Thing", {"ns", "name"}, "uid"};
  const WallTime at = WallTime(std::chrono::seconds(1000000000));
  const Json body = event_body(event, {"example.com/operator", "pod-0", 10}, at);
  EXPECT_EQ(body["metadata"]["namespace"], "ns");
  EXPECT_EQ(body["metadata"]["name"], "name.de0b6b3a7640000");
  EXPECT_EQ(body["type"], "Warning");
  EXPECT_EQ(body["eventTime"], "2001-09-09T01:46:40.000000Z");
  EXPECT_EQ(body["note"].get<std::string>().size(), 1023U) << "cut before the character";
  EXPECT_EQ(body["regarding"]["uid"], "uid");
  EXPECT_EQ(body["reportingController"], "example.com/operator");
  event.regarding.key = {"", std::string(300, 'n')};
  const Json long_name = event_body(event, {"c", "i", 10}, at);
  EXPECT_LE(long_name["metadata"]["name"].get<std::string>().size(), 253U);
  EXPECT_EQ(long_name["metadata"]["namespace"], "default");
}

// Answers everything with one status.
class ConstantTransport final : public HttpTransport {
 public:
  explicit ConstantTransport(int status) : status_(status) {}
  Result<Response, TransportError> send(const Request& request, std::stop_token) override {
    std::lock_guard held(mutex_);
    names_.push_back(parse_json(request.body)["metadata"]["name"]);
    return Response{status_, std::nullopt, R"({"kind":"Event","metadata":{"name":"n"}})"};
  }
  Result<StreamEnd, TransportError> stream(const Request&, LineSink&, std::stop_token) override {
    return failure(TransportError{});
  }
  std::vector<std::string> names() {
    std::lock_guard held(mutex_);
    return names_;
  }

 private:
  const int status_;
  std::mutex mutex_;
  std::vector<std::string> names_;
};

TEST(Events, R9_AreWrittenBesideTheCallerUnderNamesOfTheirOwn) {
  ConstantTransport transport(201);
  Client client(transport, {.field_manager = "m", .sleep = {}});
  ManualClock clock;  // stands still
  EventRecorder recorder(client, clock, {"c", "i", 1000});
  for (int i = 0; i < 5; ++i)
    recorder.emit({.regarding = {"v1", "Secret", {"ns", "n"}, "u"}, .related = {}});
  EXPECT_TRUE(recorder.flush(std::chrono::seconds(10)));
  EXPECT_EQ(recorder.metrics().sent, 5U);
  const auto names = transport.names();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 5U);
}

TEST(Events, R9_ARefusedOneIsDroppedAndCounted) {
  ConstantTransport transport(403);
  Client client(transport, {.field_manager = "m", .sleep = {}});
  SystemClock clock;
  EventRecorder recorder(client, clock, {"c", "i", 1000});
  recorder.emit({.regarding = {"v1", "Secret", {"ns", "n"}, "u"}, .related = {}});
  EXPECT_TRUE(recorder.flush(std::chrono::seconds(10)));
  EXPECT_EQ(recorder.metrics().dropped, 1U);
}

}  // namespace
}  // namespace pooler::kube
