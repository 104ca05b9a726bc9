// PgBouncer's settings: which of them a running process takes over. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pooler::engine::pgbouncer {

// Names of settings that differ between two pgbouncer.ini files of ours and that PgBouncer reads at
// its start only (SHOW CONFIG says changeable = no; the same in 1.24.1 and 1.26.1).
[[nodiscard]] std::vector<std::string> restart_only_changes(std::string_view before_ini,
                                                            std::string_view after_ini);

}  // namespace pooler::engine::pgbouncer
