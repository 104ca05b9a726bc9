// A property that a fuzz target holds: says which one failed, and stops for libFuzzer to see it.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace pooler::fuzz {

inline void must(bool holds, const std::string& property) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", property.c_str());
  std::abort();
}

}  // namespace pooler::fuzz
