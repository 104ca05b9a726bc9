#include "base/memory.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace pooler {
namespace {

const char* const kConstant = "a constant of the program";

TEST(Memory, EverythingIsAsItWasAfterItsCodeWasReleased) {
  std::map<int, std::string> before;
  for (int i = 0; i < 100; ++i) before[i] = std::to_string(i) + kConstant;
  const auto copy = before;
  release_code();
  EXPECT_EQ(before, copy);
  EXPECT_EQ(before.at(7), "7a constant of the program");
  EXPECT_THROW((void)before.at(100), std::out_of_range) << "exceptions find their tables";
}

}  // namespace
}  // namespace pooler
