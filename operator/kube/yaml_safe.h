// JSON that a YAML parser reads the same.
#pragma once

#include <string>
#include <string_view>

namespace pooler::kube {

// Server-side apply reads its body as YAML, where some characters that JSON takes raw are refused
// (DEL, C1 controls) or are line breaks that get folded (NEL, LS, PS). Escapes them.
[[nodiscard]] std::string yaml_safe(std::string_view json);

}  // namespace pooler::kube
