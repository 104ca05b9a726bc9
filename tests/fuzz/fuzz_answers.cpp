// Any rows as answers of a pooler's console and of a database: what is missing or is no number is
// unknown, never zero, and what is known stands in the rows.
#include <fuzzer/FuzzedDataProvider.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/strings.h"
#include "engine/pgbouncer/console.h"
#include "fuzz/must.h"
#include "live/database_probe.h"
#include "live/rows.h"

namespace pooler::fuzz {
namespace {

namespace pgbouncer = engine::pgbouncer;
using Cell = std::optional<std::string>;

constexpr std::array kColumns = {"key",
                                 "value",
                                 "version",
                                 "name",
                                 "database",
                                 "address",
                                 "port",
                                 "current_connections",
                                 "reserved",
                                 "version_num",
                                 "max_connections",
                                 "superuser_reserved",
                                 "role_limit",
                                 "database_limit",
                                 "in_recovery",
                                 "read_only",
                                 "other"};
constexpr std::array kCells = {"syslog_ident",
                               "0123456789abcdef",
                               "PgBouncer 1.26.1",
                               "pgbouncer",
                               "10.0.0.1",
                               "::1",
                               "-1",
                               "-2",
                               "t",
                               "f",
                               "on",
                               "off",
                               "0",
                               "2147483648"};

Cell cell_from(FuzzedDataProvider& provider) {
  switch (provider.ConsumeIntegralInRange(0, 3)) {
    case 0:
      return std::nullopt;
    case 1:
      return std::to_string(provider.ConsumeIntegralInRange(0, 1000));
    case 2:
      return kCells.at(provider.ConsumeIntegralInRange<std::size_t>(0, kCells.size() - 1));
    default:
      return provider.ConsumeRandomLengthString(40);
  }
}

// Each column of a database's answer in its order, or any columns; rows may be too short.
pg::Rows rows_from(FuzzedDataProvider& provider) {
  pg::Rows rows;
  if (provider.ConsumeBool()) {
    rows.columns = {
        "address",  "port",       "version_num",    "max_connections", "superuser_reserved",
        "reserved", "role_limit", "database_limit", "in_recovery",     "read_only"};
  } else {
    const int columns = provider.ConsumeIntegralInRange(0, 6);
    for (int i = 0; i < columns; ++i) {
      rows.columns.emplace_back(
          kColumns.at(provider.ConsumeIntegralInRange<std::size_t>(0, kColumns.size() - 1)));
    }
  }
  const int count = provider.ConsumeIntegralInRange(0, 8);
  for (int i = 0; i < count; ++i) {
    const bool whole = provider.ConsumeIntegralInRange(0, 7) != 0;
    const std::size_t width =
        whole ? rows.columns.size() : provider.ConsumeIntegralInRange<std::size_t>(0, 8);
    auto& row = rows.cells.emplace_back();
    for (std::size_t k = 0; k < width; ++k) row.push_back(cell_from(provider));
  }
  return rows;
}

Cell at(const engine::Rows& rows, std::size_t row, std::string_view name) {
  const auto column = rows.column(name);
  if (!column || row >= rows.cells.size() || *column >= rows.cells[row].size()) return std::nullopt;
  return rows.cells[row][*column];
}

bool is_number(const Cell& cell, long long value) { return cell && parse_integer(*cell) == value; }

void check_console(const engine::Rows& rows) {
  if (const auto version = pgbouncer::read_version(rows)) {
    must(!version->empty() && version->size() <= 32, "a version is short");
    must(version->find_first_of(" \t\r\n") == std::string::npos, "a version is one word");
    must(at(rows, 0, "version")->starts_with("PgBouncer " + *version), "a version is the row's");
  }
  if (const auto marker = pgbouncer::read_marker(rows)) {
    bool found = false;
    for (std::size_t row = 0; row < rows.cells.size(); ++row) {
      found =
          found || (at(rows, row, "key") == "syslog_ident" && at(rows, row, "value") == *marker);
    }
    must(found, "a marker is in the rows");
  }
  long long sum = 0;
  bool known = rows.column("name") && rows.column("current_connections");
  for (std::size_t row = 0; row < rows.cells.size(); ++row) {
    if (at(rows, row, "name") == "pgbouncer") continue;
    const Cell count = at(rows, row, "current_connections");
    const auto number = count ? parse_integer(*count) : std::nullopt;
    known = known && number && *number <= 1'000'000;
    sum += known ? *number : 0;
  }
  const auto held = pgbouncer::read_server_connections(rows);
  must(held.has_value() == known, "connections are known where every row says a number");
  must(!held || *held == sum, "connections are the sum");
}

// -1 is no limit, -2 a database that is half dropped; NULL, nothing is said.
bool is_limit(const Cell& cell, const std::optional<int>& limit) {
  return limit ? is_number(cell, *limit) : !cell || cell == "-1" || cell == "-2";
}

void check_server(const pg::Rows& answer) {
  const auto server = live::read_server(answer, {"db.test", "10.1.2.3", 6543});
  if (!server) return;
  const engine::Rows rows = live::to_engine(answer);
  must(is_number(at(rows, 0, "version_num"), server->version_num), "the version");
  must(is_number(at(rows, 0, "max_connections"), server->max_connections), "max_connections");
  must(is_number(at(rows, 0, "superuser_reserved"), server->superuser_reserved_connections),
       "superuser_reserved_connections");
  const Cell reserved = at(rows, 0, "reserved");
  must(reserved ? is_number(reserved, server->reserved_connections)
                : server->reserved_connections == 0,
       "reserved_connections are 0 only where there is no such setting");
  must(is_limit(at(rows, 0, "role_limit"), server->role_limit), "the role's limit");
  must(is_limit(at(rows, 0, "database_limit"), server->database_limit), "the database's limit");
  must(at(rows, 0, "in_recovery") == (server->in_recovery ? "t" : "f"), "recovery is said");
  must(at(rows, 0, "read_only") == (server->read_only ? "on" : "off"), "read-only is said");
  must(server->identity.find(':') != std::string::npos && server->identity.front() != ':',
       "a server has an address");
}

}  // namespace
}  // namespace pooler::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider provider(data, size);
  const auto rows = pooler::fuzz::rows_from(provider);
  pooler::fuzz::check_server(rows);
  pooler::fuzz::check_console(pooler::live::to_engine(rows));
  return 0;
}
