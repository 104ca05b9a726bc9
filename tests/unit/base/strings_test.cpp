#include "base/strings.h"

#include <gtest/gtest.h>

namespace pooler {
namespace {

TEST(Base64, RoundTripsEveryLengthAndByte) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes) << i;
    bytes += static_cast<char>(i);
  }
  EXPECT_EQ(base64_encode("foob"), "Zm9vYg==");  // RFC 4648, 10
}

TEST(Base64, RefusesWhatIsNone) {
  for (const char* text : {"a", "ab", "abc", "ab=c", "a===", "====", "ab c", "Zm9v\n", "=AAA"}) {
    EXPECT_EQ(base64_decode(text), std::nullopt) << text;
  }
}

TEST(ParseInteger, WholeNumbersOnly) {
  EXPECT_EQ(parse_integer("0"), 0);
  EXPECT_EQ(parse_integer("5432"), 5432);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "1x", "0x10", "99999999999999999999"}) {
    EXPECT_EQ(parse_integer(text), std::nullopt) << text;
  }
}

TEST(Utf8, AcceptsTextAndRefusesWhatRfc3629Does) {
  EXPECT_TRUE(is_utf8("p\xC3\xA4ssw\xC3\xB6rd \xE2\x85\xA3 \xF0\x9F\x90\x98"));
  for (const char* text : {"\x80", "\xC0\xAF", "\xC3", "\xE0\x80\xAF", "\xED\xA0\x80",
                           "\xF0\x80\x80\xAF", "\xF4\x90\x80\x80", "\xFF"}) {
    EXPECT_FALSE(is_utf8(text));
  }
}

TEST(Split, KeepsEmptyParts) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split("", ','), (std::vector<std::string>{""}));
}

TEST(Trim, BothEnds) {
  EXPECT_EQ(trim(" \ta b\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
}

TEST(ControlCharacters, BelowBlankAndDelete) {
  EXPECT_FALSE(has_control_characters("p@:/?#%& \"'\\ \xC3\xA4"));
  for (const char c : {'\n', '\r', '\t', '\0', '\x7f'}) {
    EXPECT_TRUE(has_control_characters(std::string("a") + c));
  }
}

}  // namespace
}  // namespace pooler
