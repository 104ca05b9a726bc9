#include "load/url.h"

#include <algorithm>
#include <charconv>

namespace pooler::load {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint32_t port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (port < 1 || port > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(port);
}

bool parse_hosts(std::string_view text, ConnectionUrl& url, std::string& error) {
  for (const auto part : split(text, ',')) {
    const auto decoded = percent_decode(part);
    if (!decoded) {
      error = "broken percent-encoding in the host";
      return false;
    }
    const auto host = parse_host_port(*decoded, 5432);
    if (!host) {
      error = "the host or its port cannot be read";
      return false;
    }
    url.hosts.push_back(*host);
  }
  return true;
}

bool parse_credentials(std::string_view text, ConnectionUrl& url, std::string& error) {
  const auto colon = text.find(':');
  const auto user = percent_decode(text.substr(0, colon));
  const auto password =
      colon == std::string_view::npos ? std::string() : percent_decode(text.substr(colon + 1));
  if (!user || !password) {
    error = "broken percent-encoding in the user or the password";
    return false;
  }
  url.user = *user;
  url.password = *password;
  return true;
}

bool parse_parameters(std::string_view text, ConnectionUrl& url, std::string& error) {
  if (text.empty()) return true;
  for (const auto part : split(text, '&')) {
    const auto equals = part.find('=');
    const auto key = percent_decode(part.substr(0, equals));
    if (equals == std::string_view::npos || !key || key->empty()) {
      error = "a parameter after '?' has no key or no '='";
      return false;
    }
    const auto value = percent_decode(part.substr(equals + 1));
    if (!value) {
      error = "broken percent-encoding in a parameter";
      return false;
    }
    url.parameters[*key] = *value;
  }
  return true;
}

/// Parameters of libpq that say the same as a part of the URL; they win over it.
bool apply_parameters(ConnectionUrl& url, std::string& error) {
  const auto find = [&](const char* key) -> const std::string* {
    const auto found = url.parameters.find(key);
    return found == url.parameters.end() ? nullptr : &found->second;
  };
  if (const auto* user = find("user")) url.user = *user;
  if (const auto* password = find("password")) url.password = *password;
  if (const auto* database = find("dbname")) url.database = *database;
  if (const auto* host = find("host")) url.hosts = {{*host, url.hosts.front().port}};
  if (const auto* port = find("port")) {
    const auto number = parse_port(*port);
    if (!number) {
      error = "the parameter port is no number between 1 and 65535";
      return false;
    }
    for (auto& host : url.hosts) host.port = *number;
  }
  if (const auto* mode = find("sslmode");
      mode && (*mode == "require" || *mode == "verify-ca" || *mode == "verify-full")) {
    error = "sslmode insists on TLS, and this tool speaks plain TCP only";
    return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
    decoded.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return decoded;
}

std::optional<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port) {
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    host = text.substr(1, close - 1);
    const auto rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return std::nullopt;
    if (!rest.empty()) port = rest.substr(1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    const auto colon = text.find(':');
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  HostPort result{std::string(host), default_port};
  if (port.empty()) return result;
  const auto number = parse_port(port);
  if (!number) return std::nullopt;
  result.port = *number;
  return result;
}

std::optional<ConnectionUrl> parse_url(std::string_view text, std::string& error) {
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos ||
      (text.substr(0, scheme_end) != "postgres" && text.substr(0, scheme_end) != "postgresql")) {
    error = "the URL does not begin with postgres:// or postgresql://";
    return std::nullopt;
  }
  std::string_view rest = text.substr(scheme_end + 3);
  std::string_view parameters;
  if (const auto mark = rest.find('?'); mark != std::string_view::npos) {
    parameters = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  std::string_view path;
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    path = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
  }
  ConnectionUrl url;
  if (const auto at = rest.find('@'); at != std::string_view::npos) {
    if (!parse_credentials(rest.substr(0, at), url, error)) return std::nullopt;
    rest = rest.substr(at + 1);
  }
  const auto database = percent_decode(path);
  if (!database) {
    error = "broken percent-encoding in the database's name";
    return std::nullopt;
  }
  url.database = *database;
  if (!parse_hosts(rest, url, error) || !parse_parameters(parameters, url, error) ||
      !apply_parameters(url, error)) {
    return std::nullopt;
  }
  for (const auto& host : url.hosts) {
    if (!host.host.empty() && host.host.front() != '/' && host.host.front() != '@') continue;
    error = "the URL names no host, or a unix socket, which this tool does not speak";
    return std::nullopt;
  }
  if (url.user.empty()) {
    error = "the URL names no user";
    return std::nullopt;
  }
  if (url.database.empty()) url.database = url.user;
  return url;
}

}  // namespace pooler::load
