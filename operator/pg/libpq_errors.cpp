#include "pg/libpq_errors.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/strings.h"
#include "pg/memory_file.h"

namespace pooler::pg {
namespace {

constexpr std::size_t kMaxMessage = 300;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool is_sqlstate(std::string_view text) {
  return text.size() == 5 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
         });
}

// "FATAL:  28P01: password authentication failed": two blanks, a SQLSTATE and a colon; the word in
// front is in the server's language.
std::optional<Error> read_server_line(std::string_view line) {
  constexpr std::size_t kLength = 5;
  for (std::size_t at = line.find(":  "); at != std::string_view::npos;
       at = line.find(":  ", at + 1)) {
    const std::string_view rest = line.substr(at + 3);
    if (rest.size() > kLength + 2 && rest.substr(kLength, 2) == ": " &&
        is_sqlstate(rest.substr(0, kLength))) {
      Error error;
      error.kind = Error::Kind::kServer;
      error.sqlstate = rest.substr(0, kLength);
      error.message = rest.substr(kLength + 2);
      return error;
    }
  }
  return std::nullopt;
}

// Which words of libpq (or of the C library) mean what; the first row that fits counts.
Error::Kind read_kind(std::string_view text) {
  using Kind = Error::Kind;
  if (contains(text, std::strerror(ECONNREFUSED))) return Kind::kRefused;
  for (const int code : {EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL, ENETDOWN, EHOSTDOWN, EACCES,
                         EPERM, EAFNOSUPPORT}) {
    if (contains(text, std::strerror(code))) return Kind::kUnreachable;
  }
  if (contains(text, std::strerror(ETIMEDOUT))) return Kind::kTimeout;
  constexpr std::array<std::pair<std::string_view, Kind>, 10> kWords = {{
      {"expected authentication request", Kind::kOther},
      {"SSL", Kind::kTls},
      {"certificate", Kind::kTls},
      {"private key file", Kind::kTls},
      {"server closed the connection", Kind::kLost},
      {"Connection reset", Kind::kLost},
      {"no password supplied", Kind::kAuthentication},
      {"SCRAM", Kind::kAuthentication},
      {"channel binding", Kind::kAuthentication},
      {"authentication", Kind::kAuthentication},
  }};
  for (const auto& [word, kind] : kWords) {
    if (contains(text, word)) return kind;
  }
  return Kind::kOther;
}

// Without libpq's `connection to server at "HOST" (ADDRESS), port N failed: `: callers say where.
std::string_view without_prefix(std::string_view line) {
  constexpr std::string_view kEnd = " failed: ";
  if (!line.starts_with("connection to server at ")) return line;
  const std::size_t at = line.find(kEnd);
  return at == std::string_view::npos ? line : line.substr(at + kEnd.size());
}

// `certificate file "/proc/self/fd/7"`: what a certificate or key of a Secret was given libpq as.
std::string without_memory_files(std::string_view text) {
  const std::string quote = "\"" + std::string(kMemoryFiles);
  std::string line;
  while (true) {
    const std::size_t begin = text.find(quote);
    const std::size_t end =
        begin == std::string_view::npos ? begin : text.find('"', begin + quote.size());
    if (end == std::string_view::npos) return line + std::string(text);
    line += std::string(text.substr(0, begin)) + "of its Secret";
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::string printable(std::string_view text, std::string_view password) {
  if (!password.empty() && contains(text, password)) {
    return "(its message is withheld because it holds the password)";
  }
  std::string line;
  for (const char c : trim(text)) {
    const bool blank = static_cast<unsigned char>(c) <= 0x20 || c == 0x7f;
    if (!blank) line += c;
    if (blank && !line.empty() && line.back() != ' ') line += ' ';
  }
  if (!is_utf8(line)) {
    std::replace_if(
        line.begin(), line.end(), [](char c) { return (c & 0x80) != 0; }, '?');
  }
  if (line.size() > kMaxMessage) {
    std::size_t end = kMaxMessage;
    while (end > 0 && (line[end] & 0xc0) == 0x80) --end;  // not in the middle of a character
    line.resize(end);
    line += "...";
  }
  return line;
}

Error read_connect_error(std::string_view text, std::string_view password) {
  std::optional<Error> found;
  const auto lines = split(text, '\n');
  // With sslmode=prefer libpq may have tried twice; the first, encrypted try is the telling one.
  for (const std::string& line : lines) {
    if ((found = read_server_line(line))) break;
  }
  if (!found) {
    found.emplace();
    const auto line = std::find_if(lines.begin(), lines.end(),
                                   [](const std::string& each) { return !trim(each).empty(); });
    if (line != lines.end()) found->message = without_prefix(*line);
    found->kind = read_kind(text);
  }
  found->message = printable(without_memory_files(found->message), password);
  return *std::move(found);
}

}  // namespace pooler::pg
