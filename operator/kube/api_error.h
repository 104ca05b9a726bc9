// What can go wrong with a request, as one type.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kube/transport.h"

namespace pooler::kube {

enum class ErrorKind {
  kNotFound,
  kAlreadyExists,
  kConflict,  // resourceVersion or uid precondition
  kInvalid,   // 422
  kBadRequest,
  kForbidden,  // also quota, and a namespace that is being deleted
  kUnauthorized,
  kGone,  // resourceVersion or continue token too old
  kTooManyRequests,
  kTimeout,         // the server gave up; the write may have been carried out
  kServerError,     // 5xx
  kUnreachable,     // never sent: no connection, or TLS refused
  kUnknownOutcome,  // sent, no whole answer: read again before acting
  kCanceled,
  kUndecodable,  // 2xx with a body that can't be read; a write was carried out
  kOther,
};
[[nodiscard]] std::string_view to_string(ErrorKind kind);

struct ErrorCause {
  std::string reason;  // "FieldValueInvalid", "NamespaceTerminating", ...
  std::string message;
  std::string field;  // "spec.replicas"
};

struct ApiError {
  ErrorKind kind = ErrorKind::kOther;
  int code = 0;         // HTTP, 0 where there was no answer
  std::string message;  // for people, never empty; the server's own words where it gave any
  std::optional<std::chrono::seconds> retry_after;
  std::vector<ErrorCause> causes;

  [[nodiscard]] bool has_cause(std::string_view reason) const;
  [[nodiscard]] bool namespace_terminating() const;
  // The write may or may not have been carried out.
  [[nodiscard]] bool outcome_unknown() const {
    return kind == ErrorKind::kUnknownOutcome || kind == ErrorKind::kTimeout;
  }
};

template <class T>
using ApiResult = Result<T, ApiError>;

// metav1.Status, as a body of an answer or the object of a watch's ERROR event.
struct Status {
  std::string status;  // "Success" or "Failure"
  std::string reason;
  std::string message;
  int code = 0;
  std::optional<std::chrono::seconds> retry_after;
  std::vector<ErrorCause> causes;
  std::string details_uid;
};
// Error: `json` is no Status.
[[nodiscard]] Result<Status, std::string> parse_status(std::string_view json);

// By the Status' reason first, by the HTTP code where there is none.
[[nodiscard]] ApiError classify(const Status& status);
[[nodiscard]] ApiError classify(int code, std::string_view body,
                                std::optional<std::chrono::seconds> retry_after);
[[nodiscard]] ApiError classify(const TransportError& error);

}  // namespace pooler::kube
