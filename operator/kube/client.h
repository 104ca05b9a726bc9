// Client: reads and writes of single objects, with the rules a controller needs.
//
// Ownership of fields: objects are created by POST (so that nobody's object is taken over by
// accident) and changed by server-side apply. apply() sees to it that what POST wrote belongs to
// the apply, so a field left out of a later apply really goes away.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/json_fwd.h"
#include "kube/api_error.h"
#include "kube/kinds.h"
#include "kube/meta.h"
#include "kube/transport.h"

namespace pooler::kube {

// Requests by method and status; code 0: no answer. Thread-safe.
class RequestMetrics {
 public:
  void count(Method method, int code);
  [[nodiscard]] std::map<std::pair<std::string, int>, std::uint64_t> snapshot() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, std::uint64_t> counts_;
};

struct DeletePreconditions {
  std::string uid;               // required: never delete by name alone
  std::string resource_version;  // empty: not checked
};

// An answer to a delete that was carried out.
enum class DeleteOutcome {
  kGone,         // the object is no more
  kTerminating,  // it goes: after its grace and finalizers, if any (a Pod's answer is always this)
};

struct ClientOptions {
  std::string field_manager;
  int max_retries = 10;                      // of answers with Retry-After
  std::chrono::seconds max_retry_after{30};  // longer: the error goes to the caller
  // Waits; false when asked to stop. Replaced in tests.
  std::function<bool(Duration, std::stop_token)> sleep;
};

// Thread-safe. Blocks. A 429 or 5xx answer with Retry-After is retried after that time; anything
// else goes to the caller, whose queue has its own backoff. Every call ends soon after `stop` is
// requested.
class Client {
 public:
  Client(HttpTransport& transport, ClientOptions options, std::stop_token stop = {});

  template <class K>
  ApiResult<K> get(const ObjectKey& key) {
    return decoded<K>(get_raw(K::kType, key));
  }
  // POST to the namespace in body.metadata. Safe to be sent twice: the name is the caller's.
  template <class K>
  ApiResult<K> create(const Json& body) {
    return decoded<K>(create_raw(K::kType, body));
  }
  // Server-side apply with force of an object that exists and is ours: `current` is what is known
  // of it. Its uid goes along, so that a namesake is never changed (kConflict where it is gone or
  // another's).
  template <class K>
  ApiResult<K> apply(const Json& body, const Meta& current) {
    return decoded<K>(apply_raw(K::kType, body, current));
  }
  // What create() (where `current` has no uid) or apply() would be answered; nothing is kept, but
  // for whom fields belong to.
  ApiResult<Unit> dry_run(const ResourceType& type, const Json& body, const Meta& current);
  // Server-side apply of the status subresource, with force. `body` needs only apiVersion, kind,
  // metadata.name, .namespace and status. The server does not compare the uid of a custom resource
  // here: the status of a namesake can be overwritten, and is mended by its own reconcile.
  template <class K>
  ApiResult<K> apply_status(const Json& body, const Meta& current) {
    return decoded<K>(apply_status_raw(K::kType, body, current));
  }
  // JSON merge patch; the uid of `current` goes along (kConflict where it is another's).
  template <class K>
  ApiResult<K> merge_patch(const Json& patch, const Meta& current) {
    return decoded<K>(merge_patch_raw(K::kType, patch, current));
  }
  template <class K>
  ApiResult<K> annotate(const Meta& current, std::string_view name, std::string_view value) {
    return decoded<K>(annotate_raw(K::kType, current, name, value));
  }
  // propagationPolicy=Background. kNotFound: it was gone before; kConflict: another uid or version.
  ApiResult<DeleteOutcome> remove(const ResourceType& type, const ObjectKey& key,
                                  const DeletePreconditions& preconditions,
                                  std::optional<std::int64_t> grace_seconds = std::nullopt);

  // The same with the server's JSON as the answer.
  ApiResult<std::string> get_raw(const ResourceType& type, const ObjectKey& key);
  ApiResult<std::string> create_raw(const ResourceType& type, const Json& body);
  ApiResult<std::string> apply_raw(const ResourceType& type, const Json& body, const Meta& current);
  ApiResult<std::string> apply_status_raw(const ResourceType& type, const Json& body,
                                          const Meta& current);
  ApiResult<std::string> merge_patch_raw(const ResourceType& type, const Json& patch,
                                         const Meta& current);
  ApiResult<std::string> annotate_raw(const ResourceType& type, const Meta& current,
                                      std::string_view name, std::string_view value);
  // Any request, with the retry rule and the classification. The body of a 2xx answer.
  ApiResult<std::string> request(const Request& request);

  [[nodiscard]] const RequestMetrics& metrics() const { return metrics_; }
  [[nodiscard]] const std::string& field_manager() const { return options_.field_manager; }

 private:
  template <class K>
  static ApiResult<K> decoded(ApiResult<std::string> answer) {
    if (!answer) return failure(answer.error());
    auto object = K::decode(*answer);
    if (!object) return failure(undecodable(object.error()));
    return std::move(object).value();
  }
  static ApiError undecodable(const std::string& why);
  [[nodiscard]] std::string apply_query() const;
  [[nodiscard]] Request post(const ResourceType& type, const Json& body) const;
  ApiResult<std::string> apply_with(const ResourceType& type, const Json& body, const Meta& current,
                                    const char* query);
  ApiResult<std::string> patch_with_uid(std::string path, std::string content_type,
                                        const Json& body, const Meta& current);
  ApiResult<Unit> take_over_own_updates(const ResourceType& type, const Meta& current);

  HttpTransport& transport_;
  const ClientOptions options_;
  const std::stop_token stop_;
  RequestMetrics metrics_;
};

// `object` (as the server gave it, with managedFields) with each entry operation=Update of
// `manager` on the object itself merged into its entry operation=Apply. False: there was nothing to
// do. As client-go's csaupgrade does it.
bool adopt_own_updates(Json& object, std::string_view manager);

}  // namespace pooler::kube
