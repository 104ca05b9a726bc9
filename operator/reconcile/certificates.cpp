#include "reconcile/certificates.h"

#include <utility>

namespace pooler::reconcile {
namespace {

constexpr const char* kAuthoritiesField = "spec.database.tls.caSecretRef";
constexpr const char* kDatabaseField = "spec.database.tls.clientCertSecretRef";
constexpr const char* kClientsField = "spec.clientTLS.secretRef";

// Reads from one Secret; after the first problem nothing more.
class SecretReader {
 public:
  SecretReader(const api::PoolerConfig& config, const SecretsByName& secrets, WallTime now)
      : config_(config), secrets_(secrets), now_(now) {}

  // What `name` must hold, for people: "the key ca.crt with ...".
  void open(const char* field, const std::string& name, const std::string& needs) {
    if (problem_) return;
    field_ = field;
    name_ = name;
    needs_ = needs;
    const auto found = secrets_.find(name);
    data_ = found == secrets_.end() ? nullptr : &found->second;
    if (data_ != nullptr) return;
    fail(api::reason::kSecretNotFound, ".name",
         "Secret " + config_.ns + "/" + name + " does not exist; create it with " + needs);
  }

  std::string value(const std::string& key) {
    if (problem_) return {};
    const auto found = data_->find(key);
    if (found != data_->end()) return found->second;
    fail(api::reason::kSecretKeyMissing, "",
         "Secret " + name_ + " has no key " + key + ": it needs " + needs_);
    return {};
  }

  std::string value_or_nothing(const std::string& key) const {
    if (problem_) return {};
    const auto found = data_->find(key);
    return found == data_->end() ? std::string() : found->second;
  }

  // `trouble`: what is wrong with the value of `key`; empty: nothing.
  void check(const std::string& key, const std::string& trouble) {
    if (problem_ || trouble.empty()) return;
    fail(api::reason::kSecretInvalid, "", "key " + key + " of Secret " + name_ + " " + trouble);
  }

  // Of a Secret of type kubernetes.io/tls.
  void read_identity(CheckedCertificates& into) {
    Certificates& mine = into.certificates;
    mine.chain = value(api::kCertificateKey);
    mine.key = value(api::kPrivateKeyKey);
    if (problem_) return;
    const auto leaf = read_leaf(mine.chain);
    check(api::kCertificateKey, leaf.ok() ? "" : leaf.error());
    if (problem_) return;
    check(api::kPrivateKeyKey, trouble_with_key(mine.key, mine.chain));
    into.end = leaf->not_after;
    if (leaf->not_after > now_) return;
    check(api::kCertificateKey, "has expired at " + rfc3339(leaf->not_after) + ": renew it");
  }

  Result<CheckedCertificates, api::Problem> result(CheckedCertificates read) const {
    if (problem_) return failure(*problem_);
    return read;
  }

 private:
  void fail(std::string_view reason, const std::string& part, std::string message) {
    problem_ = api::Problem{std::string(reason), field_ + part, std::move(message)};
  }

  const api::PoolerConfig& config_;
  const SecretsByName& secrets_;
  const WallTime now_;
  std::string field_;
  std::string name_;
  std::string needs_;
  const std::map<std::string, std::string>* data_ = nullptr;
  std::optional<api::Problem> problem_;
};

constexpr const char* kIdentityKeys =
    "the keys tls.crt (the certificate and those that lead to its authority, in PEM form) and "
    "tls.key (its private key)";

}  // namespace

Result<CheckedCertificates, api::Problem> database_certificates(const api::PoolerConfig& config,
                                                                const SecretsByName& secrets,
                                                                WallTime now) {
  const api::DatabaseTls& tls = config.spec.database.tls;
  SecretReader reader(config, secrets, now);
  CheckedCertificates read;
  if (!tls.ca_secret.empty()) {
    reader.open(kAuthoritiesField, tls.ca_secret,
                "the key " + tls.ca_key +
                    " (the certificates of the authorities that the database's may come from, in "
                    "PEM form)");
    read.certificates.authorities = reader.value(tls.ca_key);
    reader.check(tls.ca_key, trouble_with_authorities(read.certificates.authorities));
  }
  if (!tls.client_secret.empty()) {
    reader.open(kDatabaseField, tls.client_secret, kIdentityKeys);
    reader.read_identity(read);
  }
  return reader.result(std::move(read));
}

Result<CheckedCertificates, api::Problem> client_certificates(const api::PoolerConfig& config,
                                                              const SecretsByName& secrets,
                                                              WallTime now) {
  const api::ClientTls& tls = config.spec.client_tls;
  SecretReader reader(config, secrets, now);
  CheckedCertificates read;
  if (api::mode_of(tls) != api::ClientTls::Mode::kDisabled) {
    reader.open(kClientsField, tls.secret, kIdentityKeys);
    reader.read_identity(read);
    read.certificates.authorities = reader.value_or_nothing(api::kAuthoritiesKey);
    if (!read.certificates.authorities.empty()) {
      reader.check(api::kAuthoritiesKey, trouble_with_authorities(read.certificates.authorities));
    }
  }
  return reader.result(std::move(read));
}

}  // namespace pooler::reconcile
