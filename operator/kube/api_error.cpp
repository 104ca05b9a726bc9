#include "kube/api_error.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kube/decode.h"

namespace pooler::kube {
namespace {

using decode::Error;
using decode::object;
using decode::read;
using simdjson::SUCCESS;
using Value = decode::ondemand::value;

constexpr std::size_t kMessageBytes = 1024;

Error parse_cause(Value& value, ErrorCause& out) {
  return object(value, [&](std::string_view key, Value& field) -> Error {
    if (key == "reason") return read(field, out.reason);
    if (key == "message") return read(field, out.message);
    if (key == "field") return read(field, out.field);
    return SUCCESS;
  });
}

Error parse_details(Value& value, Status& out) {
  return object(value, [&](std::string_view key, Value& field) -> Error {
    if (key == "uid") return read(field, out.details_uid);
    if (key == "retryAfterSeconds") {
      std::int64_t seconds = 0;
      if (Error error = read(field, seconds)) return error;
      if (seconds > 0)
        out.retry_after = std::chrono::seconds(std::min<std::int64_t>(seconds, 86400));
      return SUCCESS;
    }
    if (key == "causes") {
      return decode::array(
          field, [&](Value& item) { return parse_cause(item, out.causes.emplace_back()); });
    }
    return SUCCESS;
  });
}

constexpr std::array<std::pair<std::string_view, ErrorKind>, 17> kByReason{{
    {"NotFound", ErrorKind::kNotFound},
    {"AlreadyExists", ErrorKind::kAlreadyExists},
    {"Conflict", ErrorKind::kConflict},
    {"Invalid", ErrorKind::kInvalid},
    {"BadRequest", ErrorKind::kBadRequest},
    {"Forbidden", ErrorKind::kForbidden},
    {"Unauthorized", ErrorKind::kUnauthorized},
    {"Gone", ErrorKind::kGone},
    {"Expired", ErrorKind::kGone},
    {"TooManyRequests", ErrorKind::kTooManyRequests},
    {"Timeout", ErrorKind::kTimeout},
    {"ServerTimeout", ErrorKind::kTimeout},
    {"InternalError", ErrorKind::kServerError},
    {"ServiceUnavailable", ErrorKind::kServerError},
    {"MethodNotAllowed", ErrorKind::kBadRequest},
    {"UnsupportedMediaType", ErrorKind::kBadRequest},
    {"RequestEntityTooLarge", ErrorKind::kBadRequest},
}};

ErrorKind by_code(int code) {
  switch (code) {
    case 400:
      return ErrorKind::kBadRequest;
    case 401:
      return ErrorKind::kUnauthorized;
    case 403:
      return ErrorKind::kForbidden;
    case 404:
      return ErrorKind::kNotFound;
    case 409:
      return ErrorKind::kConflict;
    case 410:
      return ErrorKind::kGone;
    case 422:
      return ErrorKind::kInvalid;
    case 429:
      return ErrorKind::kTooManyRequests;
    case 504:
      return ErrorKind::kTimeout;
    default:
      return code >= 500 ? ErrorKind::kServerError : ErrorKind::kOther;
  }
}

// It ends in a condition or the log: bounded, and no character is cut in two.
std::string bounded(std::string text) {
  if (text.size() <= kMessageBytes) return text;
  std::size_t end = kMessageBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  text.resize(end);
  return text;
}

}  // namespace

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kNotFound:
      return "NotFound";
    case ErrorKind::kAlreadyExists:
      return "AlreadyExists";
    case ErrorKind::kConflict:
      return "Conflict";
    case ErrorKind::kInvalid:
      return "Invalid";
    case ErrorKind::kBadRequest:
      return "BadRequest";
    case ErrorKind::kForbidden:
      return "Forbidden";
    case ErrorKind::kUnauthorized:
      return "Unauthorized";
    case ErrorKind::kGone:
      return "Gone";
    case ErrorKind::kTooManyRequests:
      return "TooManyRequests";
    case ErrorKind::kTimeout:
      return "Timeout";
    case ErrorKind::kServerError:
      return "ServerError";
    case ErrorKind::kUnreachable:
      return "Unreachable";
    case ErrorKind::kUnknownOutcome:
      return "UnknownOutcome";
    case ErrorKind::kCanceled:
      return "Canceled";
    case ErrorKind::kUndecodable:
      return "Undecodable";
    case ErrorKind::kOther:
      break;
  }
  return "Other";
}

bool ApiError::has_cause(std::string_view reason) const {
  return std::any_of(causes.begin(), causes.end(),
                     [&](const ErrorCause& cause) { return cause.reason == reason; });
}

bool ApiError::namespace_terminating() const {
  return kind == ErrorKind::kForbidden && has_cause("NamespaceTerminating");
}

Result<Status, std::string> parse_status(std::string_view json) {
  Status out;
  std::string kind;
  decode::Document document(json);
  const auto done = document.fields([&](std::string_view key, Value& value) -> Error {
    if (key == "kind") return read(value, kind);
    if (key == "status" && out.status.empty()) {
      // Of another kind, "status" is an object.
      if (decode::ondemand::json_type type{};
          value.type().get(type) || type != decode::ondemand::json_type::string) {
        return SUCCESS;
      }
      return read(value, out.status);
    }
    if (key == "reason") return read(value, out.reason);
    if (key == "message") return read(value, out.message);
    if (key == "code") return read(value, out.code);
    if (key == "details") return parse_details(value, out);
    return SUCCESS;
  });
  if (!done) return failure(done.error());
  if (kind != "Status") return failure(std::string("no Status"));
  return out;
}

ApiError classify(const Status& status) {
  ApiError error;
  error.kind = by_code(status.code);
  for (const auto& [reason, kind] : kByReason) {
    if (status.reason == reason) error.kind = kind;
  }
  error.code = status.code;
  error.message = bounded(status.message.empty() ? status.reason : status.message);
  if (error.message.empty()) error.message = "HTTP status " + std::to_string(status.code);
  error.retry_after = status.retry_after;
  error.causes = status.causes;
  return error;
}

ApiError classify(int code, std::string_view body,
                  std::optional<std::chrono::seconds> retry_after) {
  ApiError error;
  if (auto status = parse_status(body); status.ok() && status->status != "Success") {
    status->code = code;
    error = classify(*status);
  } else {
    // A proxy's page, or nothing: its text may hold anything, so it is not repeated.
    error.kind = by_code(code);
    error.code = code;
    error.message = "HTTP status " + std::to_string(code);
  }
  if (retry_after) error.retry_after = retry_after;
  return error;
}

ApiError classify(const TransportError& error) {
  ApiError out;
  out.message = std::string(to_string(error.kind)) + ": " + error.message;
  switch (error.kind) {
    case TransportError::Kind::kCanceled:
      out.kind = ErrorKind::kCanceled;
      break;
    case TransportError::Kind::kConnect:
    case TransportError::Kind::kTls:
      out.kind = ErrorKind::kUnreachable;
      break;
    case TransportError::Kind::kTimeout:
    case TransportError::Kind::kDisconnected:
    case TransportError::Kind::kProtocol:
      out.kind = ErrorKind::kUnknownOutcome;
      break;
  }
  return out;
}

}  // namespace pooler::kube
