// PgBouncer's settings: one table of everything that section [pgbouncer] may hold, and what is said
// about spec.pgbouncer.parameters by it. Pure.
//
// The table is held against SHOW CONFIG of PgBouncer 1.24.1 and 1.26.1 (tests/pooler), and
// docs/reference/pgbouncer-parameters.md is written from it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/pooler_config.h"

namespace pooler::engine::pgbouncer {

struct Setting {
  // PgBouncer itself has fewer types, and no ranges: its integers go through strtol with base 0 and
  // are then cut ("010" is 8, 4294967297 is 1), its seconds through strtod, which also takes inf.
  enum class Kind {
    kFlag,     // 0 or 1
    kNumber,   // decimal digits
    kSeconds,  // decimal digits, with a fraction or without
    kText,     // the rest of the line as it is
    kNames,    // words with commas between them
  };

  std::string_view name;
  // Not empty: it is not the user's to set, and this is why, or which field to use instead.
  std::string_view owned = {};
  Kind kind = Kind::kText;
  std::int64_t lowest = 0;   // of kNumber and kSeconds, both included: ours
  std::int64_t highest = 0;  //
  // PgBouncer's own value where nothing is set; what 1.24 has, where that is another one.
  std::string_view initial = {};
  std::optional<std::string_view> initial_in_124 = {};
  std::string_view what = {};   // Markdown, for the documentation
  std::string_view since = {};  // "1.25"; empty: 1.24 has it. Older ones refuse the whole file
  std::string_view gone = {};   // "1.26": that one has it no more; empty: it is still there
  bool restart_only = false;    // RELOAD passes it over without a word
};

// In the order of their names.
[[nodiscard]] std::span<const Setting> all_settings();
[[nodiscard]] const Setting* find_setting(std::string_view name);

inline constexpr std::size_t kMaxParameterBytes = 1024;

// What can't be rendered, with field paths below spec.pgbouncer.parameters. Empty: each value comes
// back from PgBouncer as it is given, and adds nothing else to the file. `version`: PgBouncer's, as
// a pod tells it ("1.24.1"); empty where that is not known, and then nothing is said of it.
[[nodiscard]] std::vector<api::Problem> check_parameters(const api::Texts& parameters,
                                                         std::string_view version = {});

// The value of a setting in a pgbouncer.ini of ours; nullopt where it has none.
[[nodiscard]] std::optional<std::string> setting_of(std::string_view pgbouncer_ini,
                                                    std::string_view name);

// Names of settings that differ between two pgbouncer.ini files of ours and that PgBouncer reads at
// its start only.
[[nodiscard]] std::vector<std::string> restart_only_changes(std::string_view before_ini,
                                                            std::string_view after_ini);

}  // namespace pooler::engine::pgbouncer
