#include "kube/api_error.h"

#include <gtest/gtest.h>

namespace pooler::kube {
namespace {

std::string status_body(const std::string& reason, int code, const std::string& details = "{}") {
  return R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"told","reason":")" +
         reason + R"(","details":)" + details + R"(,"code":)" + std::to_string(code) + "}";
}

TEST(ApiError, R2_TheReasonDecidesNotTheCode) {
  const auto kind = [](const std::string& reason, int code) {
    return classify(code, status_body(reason, code), std::nullopt).kind;
  };
  EXPECT_EQ(kind("AlreadyExists", 409), ErrorKind::kAlreadyExists);
  EXPECT_EQ(kind("Conflict", 409), ErrorKind::kConflict);
  EXPECT_EQ(kind("NotFound", 404), ErrorKind::kNotFound);
  EXPECT_EQ(kind("Invalid", 422), ErrorKind::kInvalid);
  EXPECT_EQ(kind("Forbidden", 403), ErrorKind::kForbidden);
  EXPECT_EQ(kind("Unauthorized", 401), ErrorKind::kUnauthorized);
  EXPECT_EQ(kind("Gone", 410), ErrorKind::kGone);
  EXPECT_EQ(kind("Expired", 410), ErrorKind::kGone);
  EXPECT_EQ(kind("TooManyRequests", 429), ErrorKind::kTooManyRequests);
  EXPECT_EQ(kind("Timeout", 504), ErrorKind::kTimeout);
  EXPECT_EQ(kind("ServerTimeout", 500), ErrorKind::kTimeout);
  EXPECT_EQ(kind("InternalError", 500), ErrorKind::kServerError);
  EXPECT_EQ(kind("ServiceUnavailable", 503), ErrorKind::kServerError);
}

TEST(ApiError, R2_WithoutAStatusTheCodeDecides) {
  const auto kind = [](int code) {
    return classify(code, "<html>secret page</html>", std::nullopt).kind;
  };
  EXPECT_EQ(kind(404), ErrorKind::kNotFound);
  EXPECT_EQ(kind(409), ErrorKind::kConflict);
  EXPECT_EQ(kind(410), ErrorKind::kGone);
  EXPECT_EQ(kind(429), ErrorKind::kTooManyRequests);
  EXPECT_EQ(kind(502), ErrorKind::kServerError);
  EXPECT_EQ(kind(504), ErrorKind::kTimeout);
  EXPECT_EQ(kind(302), ErrorKind::kOther);
  // A page of a proxy may hold anything.
  EXPECT_EQ(classify(502, "<html>secret page</html>", std::nullopt).message.find("secret"),
            std::string::npos);
}

TEST(ApiError, R2_CausesAndRetryAfterAreKept) {
  const auto error = classify(
      403,
      status_body(
          "Forbidden", 403,
          R"({"retryAfterSeconds":3,"causes":[{"reason":"NamespaceTerminating","message":"m","field":"f"}]})"),
      std::nullopt);
  EXPECT_EQ(error.message, "told");
  EXPECT_EQ(error.code, 403);
  EXPECT_EQ(error.retry_after, std::chrono::seconds(3));
  ASSERT_EQ(error.causes.size(), 1U);
  EXPECT_EQ(error.causes[0].field, "f");
  EXPECT_TRUE(error.namespace_terminating());
  EXPECT_EQ(
      classify(503, status_body("ServiceUnavailable", 503), std::chrono::seconds(9)).retry_after,
      std::chrono::seconds(9));
}

TEST(ApiError, R3_WhatWasSentAndNotAnsweredIsUnknown) {
  using Kind = TransportError::Kind;
  const auto kind = [](Kind k) { return classify(TransportError{k, "x"}).kind; };
  EXPECT_EQ(kind(Kind::kTimeout), ErrorKind::kUnknownOutcome);
  EXPECT_EQ(kind(Kind::kDisconnected), ErrorKind::kUnknownOutcome);
  EXPECT_EQ(kind(Kind::kProtocol), ErrorKind::kUnknownOutcome);
  EXPECT_EQ(kind(Kind::kConnect), ErrorKind::kUnreachable);
  EXPECT_EQ(kind(Kind::kTls), ErrorKind::kUnreachable);
  EXPECT_EQ(kind(Kind::kCanceled), ErrorKind::kCanceled);
  EXPECT_TRUE(classify(TransportError{Kind::kTimeout, ""}).outcome_unknown());
  EXPECT_FALSE(classify(TransportError{Kind::kConnect, ""}).outcome_unknown());
}

TEST(ApiError, AMessageIsBoundedAndNoCharacterIsCut) {
  Status told;
  told.message = std::string(1023, 'x') + "\xc3\xa9\xc3\xa9";  // the bound is inside of one
  EXPECT_EQ(classify(told).message, std::string(1023, 'x'));
  told.message = std::string(1022, 'x') + "\xc3\xa9\xc3\xa9";
  EXPECT_EQ(classify(told).message, std::string(1022, 'x') + "\xc3\xa9");
}

TEST(ApiError, AStatusWithoutAWordSaysItsCode) {
  EXPECT_EQ(classify(418, R"({"kind":"Status"})", std::nullopt).message, "HTTP status 418");
}

TEST(ApiError, WhatIsNoStatusIsRefused) {
  for (const char* bad :
       {"", "{}", "[]", R"({"kind":"Pod","status":{"phase":"x"}})", "{\"kind\":"}) {
    EXPECT_FALSE(parse_status(bad).ok()) << bad;
  }
  EXPECT_EQ(parse_status(status_body("", 500))->reason, "");
}

}  // namespace
}  // namespace pooler::kube
