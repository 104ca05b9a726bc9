// The few primitives that the operator needs, on OpenSSL 3.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pooler {

[[nodiscard]] std::string hmac_sha256(std::string_view key, std::string_view message);  // 32 bytes
[[nodiscard]] std::string sha256(std::string_view message);                             // 32 bytes
// From the operating system's generator; aborts where there is none.
[[nodiscard]] std::string random_bytes(std::size_t count);

// "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>" (RFC 5802), as Postgres and PgBouncer
// store it. `password` is taken as it is: give only ASCII, or SASLprep it first.
[[nodiscard]] std::string scram_verifier(std::string_view password, std::string_view salt,
                                         int iterations);

}  // namespace pooler
