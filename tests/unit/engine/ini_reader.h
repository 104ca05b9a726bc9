// Reads PgBouncer's files by PgBouncer's own rules (lib/usual/cfparser.c and src/loader.c of 1.26),
// written apart from the renderer: what it reads is what a process would load.
#pragma once

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pooler::engine::pgbouncer {

struct IniLine {
  std::string section;  // that the line stands in; empty before the first header
  std::string key;      // "%include" for an include, "[" for a header
  std::string value;
  bool operator==(const IniLine&) const = default;
};

// nullopt where PgBouncer would stop with a syntax error.
inline std::optional<std::vector<IniLine>> read_ini(std::string_view text,
                                                    std::string section = {}) {
  std::vector<IniLine> lines;
  std::size_t at = 0;
  const auto peek = [&] { return at < text.size() ? text[at] : '\0'; };
  const auto to_end_of_line = [&] {
    const auto end = std::min(text.find('\n', at), text.size());
    std::string_view rest = text.substr(at, end - at);
    at = end;
    while (!rest.empty() && std::isspace(static_cast<unsigned char>(rest.back()))) {
      rest.remove_suffix(1);
    }
    return std::string(rest);
  };
  for (;;) {
    while (at < text.size() && std::isspace(static_cast<unsigned char>(peek()))) ++at;
    if (at >= text.size()) return lines;
    if (peek() == '#' || peek() == ';') {
      to_end_of_line();
    } else if (text.substr(at, 9) == "%include " || text.substr(at, 9) == "%include\t") {
      at += 9;
      while (peek() == ' ' || peek() == '\t') ++at;
      lines.push_back({section, "%include", to_end_of_line()});
    } else if (peek() == '[') {
      const auto end = text.find_first_of("]\n", at);
      if (end == std::string_view::npos || text[end] != ']') return std::nullopt;
      section = std::string(text.substr(at + 1, end - at - 1));
      at = end + 1;
      lines.push_back({section, "[", ""});
      if (!to_end_of_line().empty()) return std::nullopt;
    } else {
      const std::size_t begin = at;
      while (std::isalnum(static_cast<unsigned char>(peek())) ||
             (peek() != '\0' && std::string_view("_.-*").find(peek()) != std::string_view::npos)) {
        ++at;
      }
      const std::string key(text.substr(begin, at - begin));
      while (peek() == ' ' || peek() == '\t') ++at;
      if (key.empty() || peek() != '=') return std::nullopt;
      ++at;
      while (peek() == ' ' || peek() == '\t') ++at;
      lines.push_back({section, key, to_end_of_line()});
    }
  }
}

// "key='value' key='value'", as the right side of [databases] and [peers]; a quote is doubled.
inline std::optional<std::map<std::string, std::string>> read_options(std::string_view text) {
  std::map<std::string, std::string> options;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto equals = text.find('=', at);
    if (equals == std::string_view::npos || text.substr(equals + 1, 1) != "'") return std::nullopt;
    const std::string key(text.substr(at, equals - at));
    std::string value;
    for (at = equals + 2;; ++at) {
      if (at >= text.size()) return std::nullopt;
      if (text[at] == '\'' && text.substr(at + 1, 1) != "'") break;
      if (text[at] == '\'') ++at;
      value += text[at];
    }
    ++at;
    if (at < text.size() && text[at++] != ' ') return std::nullopt;
    if (!options.emplace(key, value).second) return std::nullopt;
  }
  return options;
}

// Lines of "user" "secret", a double quote doubled.
inline std::optional<std::vector<std::pair<std::string, std::string>>> read_userlist(
    std::string_view text) {
  std::vector<std::pair<std::string, std::string>> users;
  std::size_t at = 0;
  const auto field = [&]() -> std::optional<std::string> {
    std::string value;
    if (text.substr(at, 1) != "\"") return std::nullopt;
    for (++at; at < text.size(); ++at) {
      if (text[at] == '"' && text.substr(at + 1, 1) != "\"") {
        ++at;
        return value;
      }
      if (text[at] == '"') ++at;
      value += text[at];
    }
    return std::nullopt;
  };
  while (at < text.size()) {
    const auto user = field();
    if (!user || text.substr(at++, 1) != " ") return std::nullopt;
    const auto secret = field();
    if (!secret || text.substr(at++, 1) != "\n") return std::nullopt;
    users.emplace_back(*user, *secret);
  }
  return users;
}

}  // namespace pooler::engine::pgbouncer
