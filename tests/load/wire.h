#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The client's side of the Postgres protocol, version 3.0 (PostgreSQL documentation, chapter 55
/// "Frontend/Backend Protocol"): pure functions and a byte-wise reader, no socket. Only simple
/// queries.
namespace pooler::load {

/// A message of the server; `body` points into the reader and lives until its next call.
struct Message {
  char type = 0;
  std::string_view body;
};

/// Cuts a byte stream into messages, whatever the pieces it arrives in.
class MessageReader {
 public:
  /// Longest message accepted. Rows of the tool's own queries are small, so more means that the
  /// stream is garbage.
  static constexpr std::uint32_t kMaxLength = 16U << 20;

  void feed(std::string_view bytes);

  /// The next whole message, or nothing: more bytes are needed, or broken() is true.
  std::optional<Message> next();

  bool broken() const { return broken_; }
  void reset();

 private:
  std::string buffer_;
  std::size_t start_ = 0;
  bool broken_ = false;
};

/// ErrorResponse or NoticeResponse; fields that the server did not send are empty.
struct ServerError {
  std::string severity;  ///< never translated where the server sends field V, else field S
  std::string sqlstate;
  std::string message;

  /// FATAL and PANIC end the connection.
  bool fatal() const { return severity == "FATAL" || severity == "PANIC"; }
};

using Row = std::vector<std::optional<std::string>>;  ///< text values; nothing is SQL NULL

/// Identifies a session in a CancelRequest: process id and secret, as the server sent them.
struct CancelKey {
  std::uint32_t process = 0;
  std::uint32_t secret = 0;
};

ServerError parse_error(std::string_view body);
std::optional<Row> parse_data_row(std::string_view body);
std::optional<CancelKey> parse_backend_key(std::string_view body);

/// Authentication request: its code (0 Ok, 10 SASL, 11 SASLContinue, 12 SASLFinal) and the bytes
/// that follow.
std::optional<std::pair<std::uint32_t, std::string_view>> parse_authentication(
    std::string_view body);

/// Whether the list of mechanisms of an AuthenticationSASL message holds `name`.
bool offers_mechanism(std::string_view list, std::string_view name);

/// The text of a message whose body is one NUL-terminated string (CommandComplete).
std::string_view parse_string(std::string_view body);

std::string startup_message(const std::vector<std::pair<std::string, std::string>>& parameters);
std::string sasl_initial_message(std::string_view mechanism, std::string_view data);
std::string sasl_response_message(std::string_view data);
std::string query_message(std::string_view sql);
std::string terminate_message();
std::string cancel_message(const CancelKey& key);

/// `text` as a SQL literal that needs no setting of the server: quotes doubled, and E'' where it
/// holds a backslash.
std::string sql_literal(std::string_view text);

}  // namespace pooler::load
