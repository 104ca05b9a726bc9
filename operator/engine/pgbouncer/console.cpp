#include "engine/pgbouncer/console.h"

#include "base/strings.h"

namespace pooler::engine::pgbouncer {
namespace {

// nullopt where the row is too short, or has NULL there.
std::optional<std::string> cell(const Rows& rows, std::size_t row, std::size_t column) {
  const auto& cells = rows.cells[row];
  return column < cells.size() ? cells[column] : std::nullopt;
}

}  // namespace

std::string set_wait(std::string_view seconds) {
  return "SET " + std::string(kWaitSetting) + "='" + std::string(seconds) + "'";
}

std::optional<std::string> read_setting(const Rows& show_config, std::string_view name) {
  const auto key = show_config.column("key");
  const auto value = show_config.column("value");
  if (!key || !value) return std::nullopt;
  for (std::size_t row = 0; row < show_config.cells.size(); ++row) {
    if (cell(show_config, row, *key) == name) return cell(show_config, row, *value);
  }
  return std::nullopt;
}

std::optional<std::string> read_marker(const Rows& show_config) {
  return read_setting(show_config, "syslog_ident");
}

std::optional<bool> read_paused(const Rows& show_state) {
  const auto paused = read_setting(show_state, "paused");
  if (paused == "yes") return true;
  if (paused == "no") return false;
  return std::nullopt;
}

std::optional<std::string> read_version(const Rows& show_version) {
  constexpr std::string_view kProduct = "PgBouncer ";
  const auto column = show_version.column("version");
  if (!column || show_version.cells.empty()) return std::nullopt;
  const auto text = cell(show_version, 0, *column);
  if (!text || text->compare(0, kProduct.size(), kProduct) != 0) return std::nullopt;
  const std::string_view version = std::string_view(*text).substr(kProduct.size());
  const std::string_view number = version.substr(0, version.find_first_of(" \t\r\n"));
  if (number.empty() || number.size() > 32) return std::nullopt;
  return std::string(number);
}

std::optional<int> read_server_connections(const Rows& show_databases) {
  const auto name = show_databases.column("name");
  const auto count = show_databases.column("current_connections");
  if (!name || !count) return std::nullopt;
  long long sum = 0;
  for (std::size_t row = 0; row < show_databases.cells.size(); ++row) {
    if (cell(show_databases, row, *name) == kConsoleDatabase) continue;
    const auto text = cell(show_databases, row, *count);
    const auto number = text ? parse_integer(*text) : std::nullopt;
    if (!number || *number > 1'000'000) return std::nullopt;
    sum += *number;
  }
  return sum <= 1'000'000'000 ? std::optional<int>(static_cast<int>(sum)) : std::nullopt;
}

}  // namespace pooler::engine::pgbouncer
