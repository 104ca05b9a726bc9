#include "urls/uri_parts.h"

#include <array>

#include "base/strings.h"

// The rules are those of libpq's own parser (PostgreSQL documentation, "Connection URIs"), so that
// what psql takes works here. Texts of errors never hold a part of the URI.
namespace pooler::urls {
namespace {

constexpr std::array<std::string_view, 2> kSchemes = {"postgresql://", "postgres://"};
constexpr std::string_view kZeroByte = "a zero byte can't be part of it";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string, std::string> percent_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return failure(
          std::string("a % is not followed by two hexadecimal digits: a % itself is written %25"));
    }
    if (high == 0 && low == 0) return failure(std::string(kZeroByte));
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

// The text up to the first of `ends` (or all of it), which is taken off `rest`.
std::string_view take_until(std::string_view& rest, std::string_view ends) {
  const std::string_view taken = rest.substr(0, rest.find_first_of(ends));
  rest.remove_prefix(taken.size());
  return taken;
}

bool take(std::string_view& rest, char c) {
  if (rest.empty() || rest.front() != c) return false;
  rest.remove_prefix(1);
  return true;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  Result<UriParts, std::string> parse() {
    if (rest_.find('\0') != std::string_view::npos) return failure(std::string(kZeroByte));
    if (!take_scheme()) {
      return failure(std::string("must begin with postgresql:// or postgres://"));
    }
    take_login();
    take_hosts();
    if (take(rest_, '/')) store(parts_.database, take_until(rest_, "?"));
    if (take(rest_, '?')) take_parameters();
    if (!error_.empty()) return failure(error_);
    return std::move(parts_);
  }

 private:
  bool take_scheme() {
    for (const std::string_view scheme : kSchemes) {
      if (rest_.substr(0, scheme.size()) != scheme) continue;
      rest_.remove_prefix(scheme.size());
      return true;
    }
    return false;
  }

  void take_login() {
    const auto end = rest_.find_first_of("@/");
    if (end == std::string_view::npos || rest_[end] != '@') return;
    store(parts_.user, take_until(rest_, ":@"));
    if (take(rest_, ':')) store(parts_.password, take_until(rest_, "@"));
    take(rest_, '@');
  }

  void take_hosts() {
    std::string hosts;
    std::string ports;
    for (;;) {
      hosts += take_host();
      if (take(rest_, ':')) ports += take_until(rest_, "/?,");
      if (!take(rest_, ',')) break;
      hosts += ',';
      ports += ',';
    }
    if (hosts.find('@') != std::string::npos) {
      return fail("an @ stands after the one that ends the login: in a user or password it is %40");
    }
    store(parts_.hosts, hosts);
    store(parts_.ports, ports);
  }

  std::string_view take_host() {
    if (!take(rest_, '[')) return take_until(rest_, ":/?,");
    const std::string_view address = take_until(rest_, "]");
    if (!take(rest_, ']')) fail("an IPv6 address has no closing ]");
    if (!rest_.empty() && std::string_view(":/?,").find(rest_.front()) == std::string_view::npos) {
      fail("an IPv6 address must be followed by a port, a database or nothing");
    }
    return address;
  }

  void take_parameters() {
    while (!rest_.empty()) {
      std::string_view pair = take_until(rest_, "&");
      const std::string_view name = take_until(pair, "=");
      if (!take(pair, '=')) return fail("a parameter after ? lacks its =");
      if (pair.find('=') != std::string_view::npos) {
        return fail("a parameter after ? has more than one =: in a value it is %3D");
      }
      store_parameter(name, pair);
      take(rest_, '&');
    }
  }

  void store_parameter(std::string_view encoded_name, std::string_view encoded_value) {
    auto name = percent_decode(encoded_name);
    auto value = percent_decode(encoded_value);
    if (!name || !value) return fail(name ? value.error() : name.error());
    struct Part {
      std::string_view name;
      std::optional<std::string>& value;
    };
    const std::array<Part, 5> own = {{{"host", parts_.hosts},
                                      {"port", parts_.ports},
                                      {"dbname", parts_.database},
                                      {"user", parts_.user},
                                      {"password", parts_.password}}};
    for (const auto& part : own) {
      if (part.name != *name) continue;
      part.value = *value;
      return;
    }
    // pgjdbc's way to say it; libpq takes it too.
    if (*name == "ssl" && *value == "true") {
      *name = "sslmode";
      *value = "require";
    }
    for (auto& known : parts_.parameters) {
      if (known.first != *name) continue;
      known.second = *value;  // the last one wins
      return;
    }
    parts_.parameters.emplace_back(std::move(*name), std::move(*value));
  }

  // An empty part is as if it were absent.
  void store(std::optional<std::string>& part, std::string_view encoded) {
    if (encoded.empty()) return;
    auto decoded = percent_decode(encoded);
    if (!decoded) return fail(decoded.error());
    part = *decoded;
  }

  void fail(std::string_view error) {
    if (error_.empty()) error_ = error;
  }

  std::string_view rest_;
  UriParts parts_;
  std::string error_;  // the first one
};

Result<HostPort, std::string> checked_host(std::string host, std::string_view port) {
  if (host.empty()) return failure(std::string("a host is empty"));
  if (host.front() == '/' || host.front() == '@') {
    return failure(std::string(
        "the host is a Unix socket: a pooler in another pod can't reach it, give a host name"));
  }
  if (!is_host(host)) {
    return failure(std::string("a host is neither a name nor an address"));
  }
  int number = kDefaultPostgresPort;
  if (!port.empty()) {
    const auto parsed = parse_port(port);
    if (!parsed) return failure(std::string("a port is no number from 1 to 65535"));
    number = *parsed;
  }
  return HostPort{std::move(host), number};
}

}  // namespace

std::optional<int> parse_port(std::string_view text) {
  const auto number = parse_integer(text);
  if (!number || *number < 1 || *number > 65535) return std::nullopt;
  return static_cast<int>(*number);
}

Result<std::vector<HostPort>, std::string> pair_hosts(std::string_view hosts,
                                                      std::string_view ports) {
  const auto names = split(hosts, ',');
  const auto numbers = split(ports, ',');
  if (numbers.size() != 1 && numbers.size() != names.size()) {
    return failure(std::string("there are not as many ports as hosts"));
  }
  std::vector<HostPort> pairs;
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto pair = checked_host(names[i], numbers.size() == 1 ? numbers[0] : numbers[i]);
    if (!pair) return failure(pair.error());
    pairs.push_back(std::move(*pair));
  }
  return pairs;
}

bool is_postgres_uri(std::string_view text) {
  for (const std::string_view scheme : kSchemes) {
    if (text.starts_with(scheme)) return true;
  }
  return false;
}

Result<UriParts, std::string> parse_parts(std::string_view text) { return Parser(text).parse(); }

Result<Connection, std::string> parse_uri(std::string_view text) {
  auto parts = parse_parts(text);
  if (!parts) return failure(parts.error());
  if (!parts->hosts || parts->hosts->empty()) return failure(std::string("no host is given"));
  auto hosts = pair_hosts(*parts->hosts, parts->ports.value_or(""));
  if (!hosts) return failure(hosts.error());
  Connection connection;
  connection.hosts = std::move(*hosts);
  connection.user = parts->user.value_or("");
  connection.password = parts->password.value_or("");
  connection.database = parts->database.value_or("");
  if (connection.database.empty()) connection.database = connection.user;
  connection.parameters = std::move(parts->parameters);
  return connection;
}

}  // namespace pooler::urls
