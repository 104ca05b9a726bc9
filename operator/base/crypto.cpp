#include "base/crypto.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <cstdlib>

#include "base/strings.h"

namespace pooler {
namespace {

constexpr std::size_t kDigestBytes = 32;

unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string hmac_sha256(std::string_view key, std::string_view message) {
  std::string digest(kDigestBytes, '\0');
  unsigned length = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(message),
           message.size(), bytes_of(digest), &length) == nullptr) {
    std::abort();
  }
  return digest;
}

std::string sha256(std::string_view message) {
  std::string digest(kDigestBytes, '\0');
  unsigned length = 0;
  if (EVP_Digest(message.data(), message.size(), bytes_of(digest), &length, EVP_sha256(),
                 nullptr) != 1) {
    std::abort();
  }
  return digest;
}

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  if (RAND_bytes(bytes_of(bytes), static_cast<int>(count)) != 1) std::abort();
  return bytes;
}

std::string scram_verifier(std::string_view password, std::string_view salt, int iterations) {
  std::string salted(kDigestBytes, '\0');
  if (PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes_of(salt),
                        static_cast<int>(salt.size()), iterations, EVP_sha256(), kDigestBytes,
                        bytes_of(salted)) != 1) {
    std::abort();
  }
  const std::string stored = sha256(hmac_sha256(salted, "Client Key"));
  const std::string server = hmac_sha256(salted, "Server Key");
  return "SCRAM-SHA-256$" + std::to_string(iterations) + ":" + base64_encode(salt) + "$" +
         base64_encode(stored) + ":" + base64_encode(server);
}

}  // namespace pooler
