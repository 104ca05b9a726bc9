#include "load/wire.h"

namespace pooler::load {
namespace {

constexpr std::uint32_t kProtocolVersion = 3U << 16;
constexpr std::uint32_t kCancelRequestCode = 80877102;

void put_u32(std::string& out, std::uint32_t value) {
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(value >> shift));
}

std::uint32_t get_u32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    value = (value << 8) | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  }
  return value;
}

std::string frame(char type, std::string_view body) {
  std::string out;
  out.reserve(body.size() + 5);
  if (type != 0) out.push_back(type);
  put_u32(out, static_cast<std::uint32_t>(body.size()) + 4);
  out.append(body);
  return out;
}

std::string with_nul(std::string_view text) { return std::string(text) + '\0'; }

}  // namespace

void MessageReader::feed(std::string_view bytes) {
  if (start_ > 0) {
    buffer_.erase(0, start_);
    start_ = 0;
  }
  buffer_.append(bytes);
}

std::optional<Message> MessageReader::next() {
  const std::string_view pending = std::string_view(buffer_).substr(start_);
  if (broken_ || pending.size() < 5) return std::nullopt;
  const std::uint32_t length = get_u32(pending.substr(1));
  if (length < 4 || length > kMaxLength) {
    broken_ = true;
    return std::nullopt;
  }
  if (pending.size() < std::size_t{1} + length) return std::nullopt;
  start_ += std::size_t{1} + length;
  return Message{pending[0], pending.substr(5, length - 4)};
}

void MessageReader::reset() {
  buffer_.clear();
  start_ = 0;
  broken_ = false;
}

ServerError parse_error(std::string_view body) {
  ServerError error;
  std::string translated_severity;
  while (!body.empty() && body.front() != '\0') {
    const char field = body.front();
    const auto end = body.find('\0', 1);
    const std::string value(body.substr(1, end == std::string_view::npos ? end : end - 1));
    if (field == 'V') error.severity = value;
    if (field == 'S') translated_severity = value;
    if (field == 'C') error.sqlstate = value;
    if (field == 'M') error.message = value;
    if (end == std::string_view::npos) break;
    body.remove_prefix(end + 1);
  }
  if (error.severity.empty()) error.severity = translated_severity;
  return error;
}

std::optional<Row> parse_data_row(std::string_view body) {
  if (body.size() < 2) return std::nullopt;
  const std::size_t columns = static_cast<std::size_t>(static_cast<unsigned char>(body[0])) << 8 |
                              static_cast<unsigned char>(body[1]);
  body.remove_prefix(2);
  Row row;
  row.reserve(columns);
  for (std::size_t i = 0; i < columns; ++i) {
    if (body.size() < 4) return std::nullopt;
    const std::uint32_t length = get_u32(body);
    body.remove_prefix(4);
    if (length == 0xFFFFFFFFU) {
      row.emplace_back(std::nullopt);
      continue;
    }
    if (body.size() < length) return std::nullopt;
    row.emplace_back(std::string(body.substr(0, length)));
    body.remove_prefix(length);
  }
  return row;
}

std::optional<CancelKey> parse_backend_key(std::string_view body) {
  if (body.size() != 8) return std::nullopt;
  return CancelKey{get_u32(body), get_u32(body.substr(4))};
}

std::optional<std::pair<std::uint32_t, std::string_view>> parse_authentication(
    std::string_view body) {
  if (body.size() < 4) return std::nullopt;
  return std::make_pair(get_u32(body), body.substr(4));
}

bool offers_mechanism(std::string_view list, std::string_view name) {
  while (!list.empty() && list.front() != '\0') {
    const auto end = list.find('\0');
    if (list.substr(0, end) == name) return true;
    if (end == std::string_view::npos) return false;
    list.remove_prefix(end + 1);
  }
  return false;
}

std::string_view parse_string(std::string_view body) { return body.substr(0, body.find('\0')); }

std::string startup_message(const std::vector<std::pair<std::string, std::string>>& parameters) {
  std::string body;
  put_u32(body, kProtocolVersion);
  for (const auto& [key, value] : parameters) body += with_nul(key) + with_nul(value);
  body.push_back('\0');
  return frame(0, body);
}

std::string sasl_initial_message(std::string_view mechanism, std::string_view data) {
  std::string body = with_nul(mechanism);
  put_u32(body, static_cast<std::uint32_t>(data.size()));
  body.append(data);
  return frame('p', body);
}

std::string sasl_response_message(std::string_view data) { return frame('p', data); }

std::string query_message(std::string_view sql) { return frame('Q', with_nul(sql)); }

std::string terminate_message() { return frame('X', {}); }

std::string cancel_message(const CancelKey& key) {
  std::string body;
  put_u32(body, kCancelRequestCode);
  put_u32(body, key.process);
  put_u32(body, key.secret);
  return frame(0, body);
}

std::string sql_literal(std::string_view text) {
  const bool escapes = text.find('\\') != std::string_view::npos;
  std::string out = escapes ? "E'" : "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out.push_back(c);
    out.push_back(c);
  }
  return out + "'";
}

}  // namespace pooler::load
