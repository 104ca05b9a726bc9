#include "base/clock.h"

#include <array>
#include <cstdio>
#include <ctime>

namespace pooler {
namespace {

std::string seconds_part(WallTime time) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  return text.data();
}

}  // namespace

std::string rfc3339(WallTime time) { return seconds_part(time) + "Z"; }

std::string rfc3339_micro(WallTime time) {
  using std::chrono::microseconds;
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  const long micros = std::chrono::duration_cast<microseconds>(time - whole).count();
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), ".%06ldZ", micros);
  return seconds_part(time) + text.data();
}

}  // namespace pooler
