// The page is what the table says.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "pooler/features.h"

namespace pooler::ring {
namespace {

TEST(WhatWorks, ThePageIsWrittenFromTheTable) {
  std::ostringstream page;
  page << std::ifstream(SOURCE_DIR "/" + std::string(kPage), std::ios::binary).rdbuf();
  EXPECT_TRUE(page.str() == document())
      << kPage << " is not what the table says. Write it again:\n  " << regenerate();
}

TEST(WhatWorks, NamesAreUnique) {
  std::set<std::string> names;
  for (const Feature& feature : features()) EXPECT_TRUE(names.insert(feature.name).second);
}

TEST(WhatWorks, WhatFailsInTheDefaultModeHasARemedy) {
  for (const Feature& feature : features()) {
    const bool works =
        feature.on_124.transaction == Outcome{} && feature.on_126.transaction == Outcome{};
    EXPECT_EQ(feature.remedy.empty(), works) << feature.name;
  }
}

}  // namespace
}  // namespace pooler::ring
