#include "reconcile/certificates.h"

#include <algorithm>
#include <utility>

namespace pooler::reconcile {
namespace {

constexpr const char* kAuthoritiesField = "spec.database.tls.caSecretRef";
constexpr const char* kDatabaseField = "spec.database.tls.clientCertSecretRef";
constexpr const char* kClientsField = "spec.clientTLS.secretRef";

// Later than cert-manager renews one, which is with a third of its lifetime left where nothing else
// is said. Divided before it is subtracted: the whole may be more than a duration can hold.
WallTime warning_before(WallTime begin, WallTime end) {
  constexpr WallTime::duration kLongest = std::chrono::hours(14 * 24);
  return end - std::min(kLongest, end.time_since_epoch() / 4 - begin.time_since_epoch() / 4);
}

// Reads from one Secret; after the first problem nothing more.
class SecretReader {
 public:
  SecretReader(const api::PoolerConfig& config, const SecretsByName& secrets, WallTime now,
               const Certificates& in_use)
      : config_(config), secrets_(secrets), now_(now), in_use_(in_use) {}

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
  void read_identity() {
    Certificates& mine = read_.certificates;
    mine.chain = value(api::kCertificateKey);
    mine.key = value(api::kPrivateKeyKey);
    if (problem_) return;
    const auto leaf = read_leaf(mine.chain);
    check(api::kCertificateKey, leaf.ok() ? "" : leaf.error());
    if (problem_) return;
    check(api::kPrivateKeyKey, trouble_with_key(mine.key, mine.chain));
    if (problem_) return;
    read_.end = leaf->chain_end;
    const WallTime warning = warning_before(leaf->not_before, leaf->chain_end);
    read_.ends_soon = warning <= now_;
    for (const WallTime moment : {leaf->not_before, warning, leaf->chain_end, leaf->not_after}) {
      tell_at(moment);
    }
    const bool in_use = mine.chain == in_use_.chain;
    if (leaf->not_after <= now_) {
      out_of_time(api::kCertificateKey, "has expired at " + rfc3339(leaf->not_after) + ": renew it",
                  in_use);
    } else if (leaf->not_before > now_) {
      out_of_time(api::kCertificateKey, "is not valid before " + rfc3339(leaf->not_before), in_use);
    }
  }

  // That the database's certificate must come from.
  void read_authorities(const std::string& key) {
    std::string& pem = read_.certificates.authorities;
    pem = value(key);
    check(key, trouble_with_authorities(pem));
    if (problem_) return;
    const WallTime end = end_of_authorities(pem);
    tell_at(end);
    if (end > now_) return;
    out_of_time(key, "holds only authorities that have expired, the last at " + rfc3339(end),
                pem == in_use_.authorities);
  }

  // For clients; without any they are told of none.
  void read_published_authorities() {
    std::string& pem = read_.certificates.authorities;
    pem = value_or_nothing(api::kAuthoritiesKey);
    if (!pem.empty()) check(api::kAuthoritiesKey, trouble_with_authorities(pem));
  }

  Result<CheckedCertificates, CertificateProblem> result() {
    if (problem_) return failure(CertificateProblem(*problem_, read_.next));
    return std::move(read_);
  }

 private:
  void fail(std::string_view reason, const std::string& part, std::string message) {
    problem_ = api::Problem{std::string(reason), field_ + part, std::move(message)};
  }

  void out_of_time(const std::string& key, const std::string& trouble, bool in_use) {
    check(key, trouble);
    if (!in_use || !problem_) return;
    if (!read_.late) read_.late = problem_;
    problem_.reset();
  }

  void tell_at(WallTime moment) {
    if (moment > now_) read_.next = std::min(moment, read_.next.value_or(moment));
  }

  const api::PoolerConfig& config_;
  const SecretsByName& secrets_;
  const WallTime now_;
  const Certificates& in_use_;
  CheckedCertificates read_;
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

Result<CheckedCertificates, CertificateProblem> database_certificates(
    const api::PoolerConfig& config, const SecretsByName& secrets, WallTime now,
    const Certificates& in_use) {
  const api::DatabaseTls& tls = config.spec.database.tls;
  SecretReader reader(config, secrets, now, in_use);
  if (!tls.ca_secret.empty()) {
    reader.open(kAuthoritiesField, tls.ca_secret,
                "the key " + tls.ca_key +
                    " (the certificates of the authorities that the database's may come from, in "
                    "PEM form)");
    reader.read_authorities(tls.ca_key);
  }
  if (!tls.client_secret.empty()) {
    reader.open(kDatabaseField, tls.client_secret, kIdentityKeys);
    reader.read_identity();
  }
  return reader.result();
}

Result<CheckedCertificates, CertificateProblem> client_certificates(const api::PoolerConfig& config,
                                                                    const SecretsByName& secrets,
                                                                    WallTime now,
                                                                    const Certificates& in_use) {
  const api::ClientTls& tls = config.spec.client_tls;
  SecretReader reader(config, secrets, now, in_use);
  if (api::mode_of(tls) != api::ClientTls::Mode::kDisabled) {
    reader.open(kClientsField, tls.secret, kIdentityKeys);
    reader.read_identity();
    reader.read_published_authorities();
  }
  return reader.result();
}

}  // namespace pooler::reconcile
