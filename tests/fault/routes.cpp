// Reading paths and selectors for FakeApiServer.
#include <algorithm>

#include "base/strings.h"
#include "fault/fake_api_server.h"

namespace pooler::fault {
namespace {

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

bool in_set(const std::string& list, const std::string& value) {
  const auto values = split(list, ',');
  return std::any_of(values.begin(), values.end(),
                     [&](const std::string& item) { return trim(item) == value; });
}

// One of "a=b", "a==b", "a!=b", "a", "!a", "a in (b,c)", "a notin (b,c)".
bool meets(const std::string& term, const Object& labels) {
  const auto has = [&](std::string_view key) { return labels.contains(std::string(key)); };
  const auto value = [&](std::string_view key) { return labels.value(std::string(key), ""); };
  if (const auto at = term.find(" notin ("); at != std::string::npos) {
    const std::string key(trim(term.substr(0, at)));
    return !has(key) || !in_set(term.substr(at + 8, term.size() - at - 9), value(key));
  }
  if (const auto at = term.find(" in ("); at != std::string::npos) {
    const std::string key(trim(term.substr(0, at)));
    return has(key) && in_set(term.substr(at + 5, term.size() - at - 6), value(key));
  }
  if (const auto at = term.find("!="); at != std::string::npos) {
    return value(trim(term.substr(0, at))) != trim(term.substr(at + 2));
  }
  if (const auto at = term.find('='); at != std::string::npos) {
    const std::string_view wanted = trim(std::string_view(term).substr(term.find_last_of('=') + 1));
    const std::string key(trim(term.substr(0, at)));
    return has(key) && value(key) == wanted;
  }
  return term.starts_with('!') ? !has(trim(term.substr(1))) : has(trim(term));
}

}  // namespace

std::optional<Route> parse_route(const std::string& path) {
  Route route;
  const auto mark = path.find('?');
  if (mark != std::string::npos) {
    for (const std::string& pair : split(path.substr(mark + 1), '&')) {
      if (pair.empty()) continue;
      const auto equals = pair.find('=');
      route.query[decoded(pair.substr(0, equals))] =
          equals == std::string::npos ? "" : decoded(pair.substr(equals + 1));
    }
  }
  auto parts = split(path.substr(0, mark), '/');
  for (auto& part : parts) part = decoded(part);
  // "", "api", "v1", ... or "", "apis", "group", "version", ...
  std::size_t next = 0;
  if (parts.size() > 3 && parts[1] == "api") {
    route.api_version = parts[2];
    next = 3;
  } else if (parts.size() > 4 && parts[1] == "apis") {
    route.api_version = parts[2] + "/" + parts[3];
    next = 4;
  } else {
    return std::nullopt;
  }
  if (parts[next] == "namespaces" && parts.size() > next + 2) {
    route.ns = parts[next + 1];
    next += 2;
  }
  route.plural = parts[next];
  if (parts.size() > next + 1) route.name = parts[next + 1];
  if (parts.size() > next + 2) route.subresource = parts[next + 2];
  return route;
}

bool selects(const std::string& selector, const Object& labels) {
  std::string term;
  int depth = 0;
  for (const char c : selector + ",") {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (c != ',' || depth > 0) {
      term += c;
      continue;
    }
    if (!term.empty() && !meets(term, labels)) return false;
    term.clear();
  }
  return true;
}

}  // namespace pooler::fault
