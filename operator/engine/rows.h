// An answer as text, as the simple query protocol gives it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pooler::engine {

struct Rows {
  std::vector<std::string> columns;
  std::vector<std::vector<std::optional<std::string>>> cells;  // nullopt: SQL NULL

  // Position of a column; nullopt where the answer lacks it.
  [[nodiscard]] std::optional<std::size_t> column(std::string_view name) const {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (columns[i] == name) return i;
    }
    return std::nullopt;
  }
};

}  // namespace pooler::engine
