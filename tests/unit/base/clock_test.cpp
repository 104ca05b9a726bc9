#include "base/clock.h"

#include <gtest/gtest.h>

namespace pooler {
namespace {

TEST(Rfc3339, AsTheApiServerWritesIt) {
  const WallTime time = WallTime(std::chrono::seconds(1769903999)) + std::chrono::microseconds(123);
  EXPECT_EQ(rfc3339(time), "2026-01-31T23:59:59Z");
  EXPECT_EQ(rfc3339_micro(time), "2026-01-31T23:59:59.000123Z");
}

TEST(ManualClock, MovesOnlyWhenTold) {
  ManualClock clock;
  const auto before = clock.monotonic();
  EXPECT_EQ(clock.monotonic(), before);
  clock.advance(std::chrono::seconds(2));
  EXPECT_EQ(clock.monotonic() - before, std::chrono::seconds(2));
}

}  // namespace
}  // namespace pooler
