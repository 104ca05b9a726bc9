// What works through a pooler: the table that this ring holds real servers to, and that
// docs/explanation/what-works-through-a-pooler.md is written from. Linking it needs no servers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pooler::ring {

// What an application gets.
struct Outcome {
  enum class Kind { kWorks, kError, kSilentlyWrong, kRefused };  // kRefused: no login
  Kind kind = Kind::kWorks;
  std::string words = {};  // kError, kRefused: PgBouncer's or Postgres'; kSilentlyWrong: ours
  bool operator==(const Outcome&) const = default;
};

struct ByMode {
  Outcome transaction;
  Outcome session;
  Outcome statement;
};

struct Feature {
  std::string name;   // of its test
  std::string topic;  // the heading that it stands under
  std::string what;   // Markdown
  ByMode on_124;
  ByMode on_126;
  std::string remedy;  // Markdown; not empty where it does not work in mode transaction
};

[[nodiscard]] const std::vector<Feature>& features();

// One outcome as a cell of the page: "works", "**error**: `...`".
[[nodiscard]] std::string cell(const Outcome& outcome);
// The page, and the command that writes it to where it belongs.
[[nodiscard]] std::string document();
[[nodiscard]] std::string regenerate();
inline constexpr std::string_view kPage = "docs/explanation/what-works-through-a-pooler.md";

}  // namespace pooler::ring
