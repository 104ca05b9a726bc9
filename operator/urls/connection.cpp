#include "urls/connection.h"

#include <arpa/inet.h>

#include <cstdint>

#include "base/strings.h"

namespace pooler::urls {
namespace {

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string uri_host(const HostPort& host) {
  const bool address = host.host.find(':') != std::string::npos;
  return (address ? "[" + host.host + "]" : percent_encode(host.host)) + ":" +
         std::to_string(host.port);
}

}  // namespace

std::string host_ports(const Connection& connection) {
  std::string text;
  for (const auto& host : connection.hosts) text += (text.empty() ? "" : ",") + uri_host(host);
  return text;
}

std::string Connection::parameter(std::string_view name) const {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  return {};
}

bool is_ipv6(std::string_view host) {
  in6_addr address{};
  return host.find('\0') == std::string_view::npos &&
         inet_pton(AF_INET6, std::string(host).c_str(), &address) == 1;
}

bool is_host(std::string_view host) {
  if (host.find(':') != std::string_view::npos) return is_ipv6(host);
  if (host.empty() || host.size() > 253 || host.front() == '-' || host.front() == '.') return false;
  for (const char c : host) {
    if (!is_letter_or_digit(c) && c != '-' && c != '_' && c != '.') return false;
  }
  return true;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (is_letter_or_digit(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<std::uint8_t>(c);
    encoded += '%';
    encoded += kDigits[byte >> 4];
    encoded += kDigits[byte & 15];
  }
  return encoded;
}

}  // namespace pooler::urls
