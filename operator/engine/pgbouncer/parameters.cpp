#include "engine/pgbouncer/parameters.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/strings.h"

namespace pooler::engine::pgbouncer {
namespace {

constexpr std::string_view kParametersField = "spec.pgbouncer.parameters";
constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kNameLetters = "abcdefghijklmnopqrstuvwxyz0123456789_";
constexpr std::string_view kCapitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::size_t kMaxNameLength = 63;

// Digits without a leading zero, which PgBouncer takes for an octal number.
std::optional<long long> read_number(std::string_view text) {
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return parse_integer(text);
}

// Whether `text` is a number of seconds within the range. With six decimals at most, as PgBouncer
// keeps them.
bool is_seconds(std::string_view text, const Setting& setting) {
  const auto point = text.find('.');
  const auto whole = read_number(text.substr(0, point));
  if (!whole || *whole < setting.lowest || *whole > setting.highest) return false;
  if (point == std::string_view::npos) return true;
  const std::string_view fraction = text.substr(point + 1);
  const bool is_fraction =
      !fraction.empty() && fraction.size() <= 6 && consists_of(fraction, {kDigits});
  return is_fraction && (*whole < setting.highest || consists_of(fraction, {"0"}));
}

bool is_number(std::string_view text, const Setting& setting) {
  const auto number = read_number(text);
  return number && *number >= setting.lowest && *number <= setting.highest;
}

// The words of "a, b,c"; one that is empty or has anything but letters, digits, '_' and '.' in it
// makes it nullopt.
std::optional<std::vector<std::string>> read_names(std::string_view text) {
  std::vector<std::string> words;
  if (text.empty()) return words;
  for (const std::string& part : split(text, ',')) {
    const std::string_view word = trim(part);
    if (word.empty() || !consists_of(word, {kNameLetters, kCapitals, "."})) return std::nullopt;
    words.emplace_back(word);
  }
  return words;
}

// What every value has to be, so that it stays on its line and comes back as it is.
std::string trouble_with_text(const std::string& value) {
  if (has_control_characters(value)) {
    return "must not hold a line break or another control character: write it in one line";
  }
  if (!is_utf8(value)) return "is not valid UTF-8";
  if (value.size() > kMaxParameterBytes) {
    return "has more than " + std::to_string(kMaxParameterBytes) + " bytes: shorten it";
  }
  if (!value.empty() && (value.front() == ' ' || value.back() == ' ')) {
    return "must not begin or end with a blank: PgBouncer would cut it off";
  }
  return {};
}

std::string range_of(const Setting& setting) {
  return "from " + std::to_string(setting.lowest) + " to " + std::to_string(setting.highest);
}

std::string trouble_with_names(std::string_view value, const Setting& setting) {
  const auto words = read_names(value);
  if (!words) return "must be names with commas between them";
  const bool unsafe = setting.name == "ignore_startup_parameters" && !words->empty() &&
                      std::find(words->begin(), words->end(), "options") == words->end();
  if (!unsafe) return {};
  return "must name options too: without it anyone can make PgBouncer before 1.26.1 hang "
         "(CVE-2026-107349)";
}

std::string trouble_with(const std::string& value, const Setting& setting) {
  if (std::string trouble = trouble_with_text(value); !trouble.empty()) return trouble;
  switch (setting.kind) {
    case Setting::Kind::kFlag:
      return value == "0" || value == "1" ? "" : "must be 0 or 1";
    case Setting::Kind::kNumber:
      return is_number(value, setting) ? "" : "must be a whole number " + range_of(setting);
    case Setting::Kind::kSeconds:
      return is_seconds(value, setting)
                 ? ""
                 : "must be a number of seconds " + range_of(setting) + ", as 30 or 0.5";
    case Setting::Kind::kText:
      return {};
    case Setting::Kind::kNames:
      return trouble_with_names(value, setting);
  }
  return {};
}

// 1 for each letter that has to be put in, taken out or replaced.
std::size_t distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= from.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row[to.size()];
}

// The setting that may have been meant; empty where none is near. One that can be set is preferred.
std::string_view nearest(std::string_view name) {
  std::string_view best;
  std::size_t least = std::max<std::size_t>(name.size() / 4, 2) + 1;
  for (const bool owned : {false, true}) {
    for (const Setting& setting : all_settings()) {
      if (setting.owned.empty() == owned) continue;
      const std::size_t far = distance(name, setting.name);
      if (far >= least) continue;
      least = far;
      best = setting.name;
    }
  }
  return best;
}

std::string unknown(std::string_view name) {
  const std::string_view meant = nearest(name);
  if (meant.empty()) return "is no setting of PgBouncer (its section [pgbouncer]): take it out";
  return "is no setting of PgBouncer: is " + std::string(meant) + " meant?";
}

// Whether one version is before another, as far as both are numbers with points between them.
bool is_before(std::string_view version, std::string_view other) {
  const auto here = split(version, '.');
  const auto there = split(other, '.');
  for (std::size_t i = 0; i < std::min(here.size(), there.size()); ++i) {
    const auto a = parse_integer(here[i]);
    const auto b = parse_integer(there[i]);
    if (!a || !b) return false;
    if (*a != *b) return *a < *b;
  }
  return false;
}

std::string trouble_with_parameter(const std::string& name, const std::string& value,
                                   std::string_view version) {
  const Setting* setting = find_setting(name);
  if (setting == nullptr) return unknown(name);
  if (!setting->owned.empty()) return "can't be set: " + std::string(setting->owned);
  if (!setting->since.empty() && is_before(version, setting->since)) {
    return "needs PgBouncer " + std::string(setting->since) + ", and the pods run " +
           std::string(version) + ": take it out, or choose another spec.pgbouncer.image";
  }
  return trouble_with(value, *setting);
}

}  // namespace

std::vector<api::Problem> check_parameters(const api::Texts& parameters, std::string_view version) {
  std::vector<api::Problem> problems;
  const auto refuse = [&problems](std::string field, std::string message) {
    problems.push_back(
        {std::string(api::reason::kInvalidParameter), std::move(field), std::move(message)});
  };
  for (const auto& [name, value] : parameters) {
    // Not repeated in a message: it may be anything.
    if (name.empty() || name.size() > kMaxNameLength || !consists_of(name, {kNameLetters})) {
      refuse(std::string(kParametersField),
             "has a name that is no setting of PgBouncer: lower-case letters, digits and '_'");
      continue;
    }
    std::string trouble = trouble_with_parameter(name, value, version);
    if (!trouble.empty()) refuse(std::string(kParametersField) + "." + name, std::move(trouble));
  }
  return problems;
}

std::optional<std::string> setting_of(std::string_view pgbouncer_ini, std::string_view name) {
  const std::string key = std::string(name) + " =";
  for (const std::string& line : split(pgbouncer_ini, '\n')) {
    if (line == key) return std::string();
    if (line.starts_with(key + " ")) return line.substr(key.size() + 1);
  }
  return std::nullopt;
}

std::vector<std::string> restart_only_changes(std::string_view before_ini,
                                              std::string_view after_ini) {
  std::vector<std::string> names;
  for (const Setting& setting : all_settings()) {
    if (!setting.restart_only) continue;
    const bool differs =
        setting_of(before_ini, setting.name) != setting_of(after_ini, setting.name);
    if (differs) names.emplace_back(setting.name);
  }
  return names;
}

}  // namespace pooler::engine::pgbouncer
