// Each page is what its source says.
#include "docs/pages.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace pooler::docs {
namespace {

TEST(Pages, AreWrittenFromTheirSources) {
  for (const Page& page : pages()) {
    std::ostringstream text;
    text << std::ifstream(in_tree(page.path), std::ios::binary).rdbuf();
    EXPECT_TRUE(text.str() == page.text) << page.path << " is not what " << page.source
                                         << " says. Write it again:\n  " << kWritePages;
  }
}

}  // namespace
}  // namespace pooler::docs
