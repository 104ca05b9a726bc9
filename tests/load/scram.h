#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

namespace pooler::load {

/// The two keys that a SCRAM login needs from the password (RFC 5802 section 3); making them costs
/// `iterations` HMACs.
struct ScramKeys {
  std::array<std::uint8_t, 32> client_key{};
  std::array<std::uint8_t, 32> stored_key{};
  std::array<std::uint8_t, 32> server_key{};
};

/// Keeps the keys of every (password, salt, iterations) seen, so that thousands of logins of one
/// user cost one PBKDF2.
///
/// A server that makes a new salt for each login (PgBouncer 1.24 with a plaintext userlist) defeats
/// it; the cache then stays bounded by forgetting everything at kMaxEntries.
class ScramKeyCache {
 public:
  static constexpr std::size_t kMaxEntries = 1024;

  const ScramKeys& keys(const std::string& password, const std::string& salt, int iterations);

  /// How often the keys had to be computed: what the logins cost this process.
  std::uint64_t computed() const { return computed_; }

 private:
  std::map<std::tuple<std::string, std::string, int>, ScramKeys> entries_;
  std::uint64_t computed_ = 0;
};

/// One SCRAM-SHA-256 login without channel binding, seen from the client (RFC 5802, RFC 7677).
///
/// The password goes in as its bytes are. SASLprep (RFC 4013) changes nothing for ASCII nor for
/// text that is already in form NFKC, such as precomposed umlauts; passwords that it would change
/// are not supported.
class ScramClient {
 public:
  /// `nonce` holds printable ASCII without a comma. Postgres ignores the user's name here, so it is
  /// usually empty.
  ScramClient(ScramKeyCache& cache, std::string password, std::string nonce,
              std::string_view user = {});

  std::string first_message() const;

  /// Answers the server-first message; nothing (and a reason in `error`) when it breaks the
  /// protocol.
  std::optional<std::string> final_message(std::string_view server_first, std::string& error);

  /// Whether the server has proved that it knows the password's verifier too.
  bool verify_server(std::string_view server_final, std::string& error) const;

 private:
  ScramKeyCache& cache_;
  std::string password_;
  std::string nonce_;
  std::string first_bare_;
  std::string server_signature_;  ///< base64, known once final_message() was made
};

/// A fresh random nonce of 18 bytes in base64.
std::string scram_nonce();

}  // namespace pooler::load
