// The page is what the table says.
#include "docs/parameters_page.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace pooler::docs {
namespace {

TEST(ParametersPage, IsWrittenFromTheTable) {
  std::ostringstream page;
  page << std::ifstream(SOURCE_DIR "/" + std::string(kParametersPage), std::ios::binary).rdbuf();
  EXPECT_TRUE(page.str() == parameters_page())
      << kParametersPage << " is not what the table says. Write it again:\n  "
      << write_parameters_page();
}

}  // namespace
}  // namespace pooler::docs
