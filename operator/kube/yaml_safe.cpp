#include "kube/yaml_safe.h"

#include <array>
#include <utility>

namespace pooler::kube {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kEscapes{{
    {"\xe2\x80\xa8", "\\u2028"},
    {"\xe2\x80\xa9", "\\u2029"},
    {"\xef\xbb\xbf", "\\ufeff"},
    {"\xef\xbf\xbe", "\\ufffe"},
    {"\xef\xbf\xbf", "\\uffff"},
}};

bool is_c1(std::string_view at) {
  return at.size() >= 2 && at[0] == '\xc2' && static_cast<unsigned char>(at[1]) < 0xa0;
}

std::string escaped(unsigned char c) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  return std::string("\\u00") + kHex[c >> 4U] + kHex[c & 15U];
}

}  // namespace

std::string yaml_safe(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    std::size_t taken = 1;
    if (json[0] == '\x7f') {
      out += escaped(0x7f);
    } else if (is_c1(json)) {
      out += escaped(static_cast<unsigned char>(json[1]));
      taken = 2;
    } else {
      std::string_view escape;
      for (const auto& [bytes, text] : kEscapes) {
        if (json.starts_with(bytes)) escape = text;
      }
      if (escape.empty()) {
        out += json[0];
      } else {
        out += escape;
        taken = 3;
      }
    }
    json.remove_prefix(taken);
  }
  return out;
}

}  // namespace pooler::kube
