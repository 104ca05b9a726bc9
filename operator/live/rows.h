// Answers of pg as engine reads them: the two libraries do not know each other.
#pragma once

#include "engine/rows.h"
#include "pg/session.h"

namespace pooler::live {

inline engine::Rows to_engine(pg::Rows rows) {
  return {std::move(rows.columns), std::move(rows.cells)};
}

}  // namespace pooler::live
