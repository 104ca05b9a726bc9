// Writes the pages of docs/ that have their source elsewhere.
#include <fstream>
#include <iostream>

#include "docs/pages.h"

int main() {
  for (const auto& page : pooler::docs::pages()) {
    std::ofstream file(pooler::docs::in_tree(page.path), std::ios::binary);
    file << page.text;
    if (!file.flush()) {
      std::cerr << "cannot write " << page.path << "\n";
      return 1;
    }
    std::cout << page.path << "\n";
  }
}
