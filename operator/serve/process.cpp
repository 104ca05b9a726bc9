// This process as /proc shows it; names and meaning are those of Prometheus' client libraries.
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>

#include "base/strings.h"
#include "serve/metrics.h"

namespace pooler::serve {
namespace {

std::string read_file(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Fields of /proc/self/stat after the command's name, which may hold blanks and brackets; the first
// is field 3 of proc(5).
std::vector<std::string> stat_fields() {
  const std::string text = read_file("/proc/self/stat");
  const std::size_t end = text.rfind(") ");
  return end == std::string::npos ? std::vector<std::string>{} : split(text.substr(end + 2), ' ');
}

std::optional<double> number(const std::vector<std::string>& fields, std::size_t proc5_field) {
  const std::size_t index = proc5_field - 3;
  if (index >= fields.size()) return std::nullopt;
  const std::optional<long long> value = parse_integer(trim(fields[index]));
  return value ? std::optional<double>(static_cast<double>(*value)) : std::nullopt;
}

// Seconds since the epoch at which the machine started.
std::optional<double> boot_time() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    constexpr std::string_view kKey = "btime ";
    if (line.starts_with(kKey)) {
      const auto value = parse_integer(trim(std::string_view(line).substr(kKey.size())));
      if (value) return static_cast<double>(*value);
    }
  }
  return std::nullopt;
}

std::optional<double> open_fds() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end; !error && it != end;
       it.increment(error)) {
    ++count;
  }
  // The iterator's own descriptor is one of them.
  return error || count == 0 ? std::nullopt : std::optional<double>(count - 1);
}

std::optional<double> max_fds() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  return static_cast<double>(limit.rlim_cur);
}

}  // namespace

Process read_process() {
  const std::vector<std::string> stat = stat_fields();
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  const auto user = number(stat, 14);
  const auto system = number(stat, 15);
  const auto start = number(stat, 22);
  const auto boot = boot_time();
  Process process;
  if (user && system) process.cpu_seconds = (*user + *system) / ticks;
  if (start && boot) process.start_time_seconds = *boot + *start / ticks;
  process.threads = number(stat, 20);
  process.virtual_bytes = number(stat, 23);
  if (const auto pages = number(stat, 24)) process.resident_bytes = *pages * page;
  process.open_fds = open_fds();
  process.max_fds = max_fds();
  return process;
}

}  // namespace pooler::serve
