#include "base/json.h"

#include <gtest/gtest.h>

namespace pooler {
namespace {

bool subset(const char* desired, const char* actual) {
  return is_subset(parse_json(desired), parse_json(actual));
}

TEST(IsSubset, IgnoresWhatOnlyTheServerHas) {
  EXPECT_TRUE(subset(R"({"a":1})", R"({"a":1,"b":2})"));
  EXPECT_TRUE(subset(R"({"a":{"x":"1"}})", R"({"a":{"y":"2","x":"1"}})"));
  EXPECT_TRUE(subset(R"([{"port":1}])", R"([{"port":1,"protocol":"TCP"}])"));
}

TEST(IsSubset, SeesEveryDifferenceInWhatIsDesired) {
  EXPECT_FALSE(subset(R"({"a":1})", R"({"a":2})"));
  EXPECT_FALSE(subset(R"({"a":1})", R"({})"));
  EXPECT_FALSE(subset(R"({"a":1})", R"([1])"));
  EXPECT_FALSE(subset(R"([1])", R"([1,2])")) << "a list that has grown is a difference";
  EXPECT_FALSE(subset(R"([1,2])", R"([2,1])"));
  EXPECT_FALSE(subset(R"({"a":"1"})", R"({"a":1})"));
}

TEST(IsSubset, EmptyEqualsAbsent) {
  EXPECT_TRUE(subset(R"({"a":{},"b":[],"c":null})", R"({})"));
  EXPECT_FALSE(subset(R"({"a":""})", R"({})")) << "an empty string is a value";
  EXPECT_FALSE(subset(R"({"a":0})", R"({})"));
}

TEST(ParseJson, InvalidIsNull) {
  EXPECT_TRUE(parse_json("{").is_null());
  EXPECT_TRUE(parse_json("").is_null());
}

TEST(ToBytes, KeepsTheOrderAndNeverThrows) {
  Json json;
  json["z"] = 1;
  json["a"] = "\xff";
  EXPECT_EQ(to_bytes(json), "{\"z\":1,\"a\":\"\xEF\xBF\xBD\"}");
}

}  // namespace
}  // namespace pooler
