// The two Secrets that a PoolerConfig has with every engine: the operator's own, and the one that
// applications read. As JSON bodies for create and apply.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "api/pooler_config.h"
#include "base/json_fwd.h"

namespace pooler::engine {

inline constexpr std::string_view kAdminUser = "pooler_operator";

// The operator's own login to the consoles of poolers, and its HMAC key; lives in Secret
// <name>-pooler-admin.
struct Admin {
  std::string password;
  std::string verifier;  // kept: a new salt would change every hash
  std::string hash_key;
};

[[nodiscard]] std::string admin_secret_name(const api::PoolerConfig& config);
[[nodiscard]] Json admin_secret(const api::PoolerConfig& config, const Admin& admin);
// nullopt: the Secret was edited and is no longer usable (a new one must be made).
[[nodiscard]] std::optional<Admin> read_admin_secret(
    const std::map<std::string, std::string>& data);
// From fresh random bytes: 32-byte password, salt and hash key.
[[nodiscard]] Admin make_admin(std::string_view random);
inline constexpr std::size_t kAdminRandomBytes = 80;

// Annotation: a keyed hash, of the whole body; on the published Secret of its data.
inline constexpr const char* kContentHashAnnotation = "pooler.dev/content-hash";
// `data`: urls::published_keys. `content_hash`: keyed, because a plain hash would be an oracle.
// With deletionPolicy Retain it has no owner but kOwnerUidAnnotation.
[[nodiscard]] Json published_secret(const api::PoolerConfig& config,
                                    const std::map<std::string, std::string>& data,
                                    const std::string& content_hash);

// Every key of `data` in a fixed order, HMAC-SHA256 with the operator's key, 16 hex digits.
[[nodiscard]] std::string content_hash(const Admin& admin,
                                       const std::map<std::string, std::string>& data);

}  // namespace pooler::engine
