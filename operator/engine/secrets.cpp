#include "engine/secrets.h"

#include "base/crypto.h"
#include "base/json.h"
#include "base/strings.h"
#include "engine/objects.h"

namespace pooler::engine {
namespace {

constexpr int kScramIterations = 4096;
constexpr std::size_t kPasswordBytes = 32;
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kHashKeyBytes = 32;
static_assert(kPasswordBytes + kSaltBytes + kHashKeyBytes == kAdminRandomBytes);

// Ties the keys of the admin Secret to each other, so that an edited one is noticed without the
// thousands of rounds that checking the verifier against the password takes.
std::string checksum(const Admin& admin) {
  return hex_encode(hmac_sha256(admin.hash_key, admin.password + "\n" + admin.verifier));
}

}  // namespace

std::string admin_secret_name(const api::PoolerConfig& config) {
  return config.name + "-pooler-admin";
}

Json admin_secret(const api::PoolerConfig& config, const Admin& admin) {
  return secret(config, admin_secret_name(config), "Opaque",
                {{"username", std::string(kAdminUser)},
                 {"password", admin.password},
                 {"verifier", admin.verifier},
                 {"hash-key", admin.hash_key},
                 {"checksum", checksum(admin)}});
}

std::optional<Admin> read_admin_secret(const std::map<std::string, std::string>& data) {
  const auto value = [&](const char* key) {
    const auto found = data.find(key);
    return found == data.end() ? std::string() : found->second;
  };
  Admin admin{value("password"), value("verifier"), value("hash-key")};
  if (value("username") != kAdminUser || admin.password.empty() || admin.verifier.empty() ||
      admin.hash_key.empty() || value("checksum") != checksum(admin)) {
    return std::nullopt;
  }
  return admin;
}

Admin make_admin(std::string_view random) {
  Admin admin;
  admin.password = hex_encode(random.substr(0, kPasswordBytes));
  admin.verifier =
      scram_verifier(admin.password, random.substr(kPasswordBytes, kSaltBytes), kScramIterations);
  admin.hash_key = hex_encode(random.substr(kPasswordBytes + kSaltBytes, kHashKeyBytes));
  return admin;
}

Json published_secret(const api::PoolerConfig& config,
                      const std::map<std::string, std::string>& data,
                      const std::string& content_hash) {
  const api::ConnectionSecret& wanted = config.spec.connection_secret;
  Json body = secret(config, wanted.name, "servicebinding.io/postgresql", data);
  Json& metadata = body["metadata"];
  // What is ours is there already, and stays.
  for (const auto& [key, value] : wanted.labels) metadata["labels"].emplace(key, value);
  metadata["annotations"] = {{kContentHashAnnotation, content_hash}};
  for (const auto& [key, value] : wanted.annotations) metadata["annotations"].emplace(key, value);
  if (wanted.deletion_policy == api::DeletionPolicy::kRetain) {
    // The garbage collector deletes what has an owner: this one has a mark instead.
    metadata.erase("ownerReferences");
    metadata["annotations"][std::string(api::kOwnerUidAnnotation)] = config.uid;
  }
  return body;
}

std::string content_hash(const Admin& admin, const std::map<std::string, std::string>& data) {
  std::string message;
  for (const auto& [key, value] : data) {
    for (const auto* part : {&key, &value}) message += std::to_string(part->size()) + ":" + *part;
  }
  return hex_encode(hmac_sha256(admin.hash_key, message)).substr(0, 16);
}

}  // namespace pooler::engine
