#include "kube/client.h"

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "kube/sync.h"
#include "kube/yaml_safe.h"

namespace pooler::kube {
namespace {

constexpr int kTakeOverTries = 5;
constexpr const char* kDryRun = "&dryRun=All";

bool success(int status) { return status >= 200 && status < 300; }

std::string field(const Json& object, const char* name) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->is_object()) return "";
  const auto found = metadata->find(name);
  return found != metadata->end() && found->is_string() ? found->get<std::string>() : "";
}

ApiError conflict(std::string message) {
  ApiError error;
  error.kind = ErrorKind::kConflict;
  error.code = 409;
  error.message = std::move(message);
  return error;
}

// A patch that carries a uid is answered 422 where a namesake has another one: for a caller that is
// the same as any other lost race.
ApiResult<std::string> uid_mismatch_is_conflict(ApiResult<std::string> answer) {
  if (answer.ok() || answer.error().kind != ErrorKind::kInvalid) return answer;
  const auto& causes = answer.error().causes;
  const bool uid = std::any_of(causes.begin(), causes.end(), [](const ErrorCause& cause) {
    return cause.field == "metadata.uid";
  });
  if (!uid) return answer;
  ApiError error = answer.error();
  error.kind = ErrorKind::kConflict;
  return failure(std::move(error));
}

}  // namespace

void RequestMetrics::count(Method method, int code) {
  std::lock_guard held(mutex_);
  ++counts_[{std::string(to_string(method)), code}];
}

std::map<std::pair<std::string, int>, std::uint64_t> RequestMetrics::snapshot() const {
  std::lock_guard held(mutex_);
  return counts_;
}

Client::Client(HttpTransport& transport, ClientOptions options, std::stop_token stop)
    : transport_(transport), options_(std::move(options)), stop_(std::move(stop)) {}

ApiResult<std::string> Client::request(const Request& request) {
  bool renewed = false;
  for (int retries = 0;; ++retries) {
    auto answer = transport_.send(request, stop_);
    metrics_.count(request.method, answer ? answer->status : 0);
    if (!answer) return failure(classify(answer.error()));
    if (success(answer->status)) return std::move(answer->body);
    ApiError error = classify(answer->status, answer->body, answer->retry_after);
    // The token may have been renewed: the transport has noticed, one more try tells.
    if (error.kind == ErrorKind::kUnauthorized && !std::exchange(renewed, true)) continue;
    const bool may_retry = answer->status == 429 || answer->status >= 500;
    if (!may_retry || !answer->retry_after || retries >= options_.max_retries ||
        *answer->retry_after > options_.max_retry_after) {
      return failure(std::move(error));
    }
    const Duration pause = *answer->retry_after;
    const bool on =
        options_.sleep ? options_.sleep(pause, stop_) : interruptible_sleep(pause, stop_);
    if (!on) return failure(std::move(error));
  }
}

ApiResult<std::string> Client::get_raw(const ResourceType& type, const ObjectKey& key) {
  Request get;
  get.path = type.object(key);
  return request(get);
}

Request Client::post(const ResourceType& type, const Json& body) const {
  Request post;
  post.method = Method::kPost;
  post.path = type.collection(field(body, "namespace")) +
              "?fieldManager=" + url_encode(options_.field_manager);
  post.body = to_bytes(body);
  post.content_type = "application/json";
  return post;
}

ApiResult<std::string> Client::create_raw(const ResourceType& type, const Json& body) {
  return request(post(type, body));
}

std::string Client::apply_query() const {
  return "?fieldManager=" + url_encode(options_.field_manager) + "&force=true";
}

ApiResult<std::string> Client::apply_raw(const ResourceType& type, const Json& body,
                                         const Meta& current) {
  return apply_with(type, body, current, "");
}

ApiResult<std::string> Client::apply_with(const ResourceType& type, const Json& body,
                                          const Meta& current, const char* query) {
  if (!current.applied_by(options_.field_manager)) {
    auto taken = take_over_own_updates(type, current);
    if (!taken) return failure(taken.error());
  }
  return patch_with_uid(type.object(current.key()) + apply_query() + query,
                        "application/apply-patch+yaml", body, current);
}

ApiResult<Unit> Client::dry_run(const ResourceType& type, const Json& body, const Meta& current) {
  const auto ask = [&] {
    if (!current.uid.empty()) return apply_with(type, body, current, kDryRun);
    Request asked = post(type, body);
    asked.path += kDryRun;
    return request(asked);
  };
  auto answer = ask();
  if (!answer) return failure(answer.error());
  return Unit{};
}

ApiResult<std::string> Client::apply_status_raw(const ResourceType& type, const Json& body,
                                                const Meta& current) {
  return patch_with_uid(type.subresource(current.key(), "status") + apply_query(),
                        "application/apply-patch+yaml", body, current);
}

ApiResult<std::string> Client::merge_patch_raw(const ResourceType& type, const Json& patch,
                                               const Meta& current) {
  return patch_with_uid(
      type.object(current.key()) + "?fieldManager=" + url_encode(options_.field_manager),
      "application/merge-patch+json", patch, current);
}

ApiResult<std::string> Client::annotate_raw(const ResourceType& type, const Meta& current,
                                            std::string_view name, std::string_view value) {
  Json patch;
  patch["metadata"]["annotations"][std::string(name)] = std::string(value);
  return merge_patch_raw(type, patch, current);
}

ApiResult<std::string> Client::patch_with_uid(std::string path, std::string content_type,
                                              const Json& body, const Meta& current) {
  Json sent = body;
  sent["metadata"]["uid"] = current.uid;
  Request patch;
  patch.method = Method::kPatch;
  patch.path = std::move(path);
  patch.body = yaml_safe(to_bytes(sent));
  patch.content_type = std::move(content_type);
  return uid_mismatch_is_conflict(request(patch));
}

ApiResult<DeleteOutcome> Client::remove(const ResourceType& type, const ObjectKey& key,
                                        const DeletePreconditions& preconditions,
                                        std::optional<std::int64_t> grace_seconds) {
  Json options{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}};
  options["preconditions"]["uid"] = preconditions.uid;
  if (!preconditions.resource_version.empty()) {
    options["preconditions"]["resourceVersion"] = preconditions.resource_version;
  }
  options["propagationPolicy"] = "Background";
  if (grace_seconds) options["gracePeriodSeconds"] = *grace_seconds;
  Request remove;
  remove.method = Method::kDelete;
  remove.path = type.object(key);
  remove.body = to_bytes(options);
  remove.content_type = "application/json";
  auto answer = request(remove);
  if (!answer) return failure(answer.error());
  // A Status says that it is gone; the object itself, that it goes.
  return parse_status(*answer) ? DeleteOutcome::kGone : DeleteOutcome::kTerminating;
}

ApiResult<Unit> Client::take_over_own_updates(const ResourceType& type, const Meta& current) {
  for (int tries = 1;; ++tries) {
    auto answer = get_raw(type, current.key());
    if (!answer) return failure(answer.error());
    Json object = parse_json(*answer);
    if (field(object, "uid") != current.uid) return failure(conflict("the object is another one"));
    if (!adopt_own_updates(object, options_.field_manager)) return Unit{};
    Request patch;
    patch.method = Method::kPatch;
    patch.path = type.object(current.key()) + "?fieldManager=" + url_encode(options_.field_manager);
    patch.content_type = "application/json-patch+json";
    // "replace" of resourceVersion, not "test": a lost race is then a Conflict, not Invalid.
    patch.body = to_bytes(Json::array({{{"op", "replace"},
                                        {"path", "/metadata/managedFields"},
                                        {"value", object["metadata"]["managedFields"]}},
                                       {{"op", "replace"},
                                        {"path", "/metadata/resourceVersion"},
                                        {"value", object["metadata"]["resourceVersion"]}}}));
    const auto patched = request(patch);
    if (patched.ok()) return Unit{};
    if (patched.error().kind != ErrorKind::kConflict || tries == kTakeOverTries) {
      return failure(patched.error());
    }
  }
}

ApiError Client::undecodable(const std::string& why) {
  ApiError error;
  error.kind = ErrorKind::kUndecodable;
  error.message = "the answer can't be read: " + why;
  return error;
}

}  // namespace pooler::kube
