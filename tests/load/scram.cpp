#include "load/scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <charconv>
#include <vector>

namespace pooler::load {
namespace {

using Digest = std::array<std::uint8_t, 32>;

/// More than any server asks for; without a limit a broken server could hold the process for
/// minutes.
constexpr int kMaxIterations = 1'000'000;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Digest hmac(const Digest& key, std::string_view text) {
  Digest out;
  unsigned int length = out.size();
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes(text), text.size(), out.data(),
       &length);
  return out;
}

std::string base64(const std::uint8_t* data, std::size_t size) {
  std::string out(4 * ((size + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), data, static_cast<int>(size));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

std::optional<std::string> unbase64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  std::string out(text.size() / 4 * 3, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes(text),
                                     static_cast<int>(text.size()));
  if (length < 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  out.resize(static_cast<std::size_t>(length) - padding);
  return out;
}

/// The value of attribute `name` ("r=", "s=", ...) at the start of `text`, which moves past it and
/// its comma.
std::optional<std::string_view> take_attribute(std::string_view& text, char name) {
  if (text.size() < 2 || text[0] != name || text[1] != '=') return std::nullopt;
  const auto comma = text.find(',');
  const auto value = text.substr(2, comma == std::string_view::npos ? comma : comma - 2);
  text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  return value;
}

/// RFC 5802 section 5.1: ',' and '=' have their own spelling in a saslname.
std::string escape_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == ',') {
      out += "=2C";
    } else if (c == '=') {
      out += "=3D";
    } else {
      out += c;
    }
  }
  return out;
}

ScramKeys derive(const std::string& password, const std::string& salt, int iterations) {
  Digest salted;
  PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes(salt),
                    static_cast<int>(salt.size()), iterations, EVP_sha256(),
                    static_cast<int>(salted.size()), salted.data());
  ScramKeys keys;
  keys.client_key = hmac(salted, "Client Key");
  keys.server_key = hmac(salted, "Server Key");
  SHA256(keys.client_key.data(), keys.client_key.size(), keys.stored_key.data());
  return keys;
}

}  // namespace

const ScramKeys& ScramKeyCache::keys(const std::string& password, const std::string& salt,
                                     int iterations) {
  const auto key = std::make_tuple(password, salt, iterations);
  if (const auto found = entries_.find(key); found != entries_.end()) return found->second;
  if (entries_.size() >= kMaxEntries) entries_.clear();
  ++computed_;
  return entries_.emplace(key, derive(password, salt, iterations)).first->second;
}

ScramClient::ScramClient(ScramKeyCache& cache, std::string password, std::string nonce,
                         std::string_view user)
    : cache_(cache),
      password_(std::move(password)),
      nonce_(std::move(nonce)),
      first_bare_("n=" + escape_name(user) + ",r=" + nonce_) {}

std::string ScramClient::first_message() const { return "n,," + first_bare_; }

std::optional<std::string> ScramClient::final_message(std::string_view server_first,
                                                      std::string& error) {
  std::string_view rest = server_first;
  const auto nonce = take_attribute(rest, 'r');
  const auto salt_text = nonce ? take_attribute(rest, 's') : std::nullopt;
  const auto count = salt_text ? take_attribute(rest, 'i') : std::nullopt;
  const auto salt = count ? unbase64(*salt_text) : std::nullopt;
  int iterations = 0;
  if (count) std::from_chars(count->data(), count->data() + count->size(), iterations);
  if (!salt || iterations < 1 || iterations > kMaxIterations) {
    error = "SCRAM: the server's first message cannot be read";
    return std::nullopt;
  }
  if (!nonce->starts_with(nonce_) || nonce->size() == nonce_.size()) {
    error = "SCRAM: the server's nonce does not continue ours";
    return std::nullopt;
  }
  const ScramKeys& keys = cache_.keys(password_, *salt, iterations);
  // "biws" is base64 of "n,,": no channel binding.
  const std::string without_proof = "c=biws,r=" + std::string(*nonce);
  const std::string auth_message =
      first_bare_ + "," + std::string(server_first) + "," + without_proof;
  Digest proof = hmac(keys.stored_key, auth_message);
  for (std::size_t i = 0; i < proof.size(); ++i) proof[i] ^= keys.client_key[i];
  const Digest signature = hmac(keys.server_key, auth_message);
  server_signature_ = base64(signature.data(), signature.size());
  return without_proof + ",p=" + base64(proof.data(), proof.size());
}

bool ScramClient::verify_server(std::string_view server_final, std::string& error) const {
  std::string_view rest = server_final;
  const auto signature = take_attribute(rest, 'v');
  if (signature && !server_signature_.empty() && *signature == server_signature_) return true;
  error = "SCRAM: the server's signature is wrong";
  return false;
}

std::string scram_nonce() {
  std::array<std::uint8_t, 18> raw{};
  RAND_bytes(raw.data(), static_cast<int>(raw.size()));
  return base64(raw.data(), raw.size());
}

}  // namespace pooler::load
