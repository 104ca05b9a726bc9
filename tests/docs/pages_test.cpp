// Each page is what its source says.
#include "docs/pages.h"

#include <gtest/gtest.h>

namespace pooler::docs {
namespace {

TEST(Pages, AreWrittenFromTheirSources) {
  for (const Page& page : pages()) {
    EXPECT_TRUE(read_in_tree(page.path) == page.text)
        << page.path << " is not what " << page.source << " says. Write it again:\n  "
        << kWritePages;
  }
}

}  // namespace
}  // namespace pooler::docs
