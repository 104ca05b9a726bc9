// Pages of docs/ that are written, not edited: what they say has its source elsewhere.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pooler::docs {

struct Page {
  std::string path;    // in the source tree
  std::string source;  // the file that says what is on it
  std::string text;
};

inline constexpr std::string_view kWritePages =
    "cmake --build --preset dev --target write_pages && build/dev/bin/write_pages";

// All of them, as they should be.
[[nodiscard]] std::vector<Page> pages();
// The absolute path of a file of the source tree, and its text.
[[nodiscard]] std::string in_tree(const std::string& path);
[[nodiscard]] std::string read_in_tree(const std::string& path);
// `text` as Markdown writes what is meant literally; "nothing" where it is empty.
[[nodiscard]] std::string code(std::string_view text);

// PgBouncer's settings, from the engine's table.
[[nodiscard]] std::string parameters_page();
// The fields of a PoolerConfig, from the text of the CRD.
[[nodiscard]] std::string fields_page(const std::string& crd);

}  // namespace pooler::docs
