#include "docs/pages.h"

#include <fstream>
#include <sstream>

namespace pooler::docs {
namespace {

constexpr const char* kCrd = "crds/poolerconfigs.yaml";

Page page(std::string path, std::string source, const std::string& text) {
  std::string head =
      "<!-- Written from " + source + ". Again, by:\n" + std::string(kWritePages) + " -->\n";
  return {std::move(path), std::move(source), std::move(head) + text};
}

}  // namespace

std::string in_tree(const std::string& path) { return SOURCE_DIR "/" + path; }

std::string read_in_tree(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(in_tree(path), std::ios::binary).rdbuf();
  return text.str();
}

std::string code(std::string_view text) {
  return text.empty() ? "nothing" : "`" + std::string(text) + "`";
}

std::vector<Page> pages() {
  return {page("docs/reference/pgbouncer-parameters.md",
               "operator/engine/pgbouncer/parameters_table.cpp", parameters_page()),
          page("docs/reference/poolerconfig.md", kCrd, fields_page(read_in_tree(kCrd)))};
}

}  // namespace pooler::docs
