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

std::vector<Page> pages() {
  std::ostringstream crd;
  crd << std::ifstream(in_tree(kCrd), std::ios::binary).rdbuf();
  return {page("docs/reference/pgbouncer-parameters.md",
               "operator/engine/pgbouncer/parameters_table.cpp", parameters_page()),
          page("docs/reference/poolerconfig.md", kCrd, fields_page(crd.str()))};
}

}  // namespace pooler::docs
