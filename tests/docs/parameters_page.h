// docs/reference/pgbouncer-parameters.md, from operator/engine/pgbouncer/parameters.h.
#pragma once

#include <string>
#include <string_view>

namespace pooler::docs {

// The page, and the command that writes it to where it belongs.
[[nodiscard]] std::string parameters_page();
[[nodiscard]] std::string write_parameters_page();
inline constexpr std::string_view kParametersPage = "docs/reference/pgbouncer-parameters.md";

}  // namespace pooler::docs
