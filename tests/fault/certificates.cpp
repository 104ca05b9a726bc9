#include "fault/certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <cstdlib>

namespace pooler::fault {
namespace {

template <class F>
std::string to_pem(F&& write) {
  BIO* bio = BIO_new(BIO_s_mem());
  if (write(bio) != 1) std::abort();
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);  // NOLINT: OpenSSL's type
  std::string pem(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return pem;
}

void extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) std::abort();
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

X509* unsigned_certificate(EVP_PKEY* key, const std::string& name, long begin, long end) {
  static std::atomic<long> serial{1};
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), begin);
  X509_gmtime_adj(X509_getm_notAfter(certificate), end);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_pubkey(certificate, key);
  return certificate;
}

EVP_PKEY* new_key(Wanted::Kind kind) {
  switch (kind) {
    case Wanted::Kind::kP256:
      return EVP_EC_gen("P-256");
    case Wanted::Kind::kEd25519:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    case Wanted::Kind::kRsa2048:
      return EVP_RSA_gen(2048);
    case Wanted::Kind::kRsa1024:
      return EVP_RSA_gen(1024);
  }
  return nullptr;
}

}  // namespace

struct Authority::Parts {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = nullptr;
};

Authority::Authority(long end) : parts_(std::make_unique<Parts>()) {
  static std::atomic<int> count{0};
  X509* certificate = unsigned_certificate(parts_->key, "test authority " + std::to_string(++count),
                                           -kTwentyYears, end);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  extend(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(certificate, parts_->key, EVP_sha256());
  parts_->certificate = certificate;
}

Authority::~Authority() {
  X509_free(parts_->certificate);
  EVP_PKEY_free(parts_->key);
}

std::string Authority::pem() const {
  return to_pem([&](BIO* bio) { return PEM_write_bio_X509(bio, parts_->certificate); });
}

KeyPair Authority::issue(const std::string& names, long seconds,
                         const std::string& common_name) const {
  return issue(Wanted{.names = names, .end = seconds, .common_name = common_name});
}

KeyPair Authority::issue(const Wanted& wanted) const {
  EVP_PKEY* key = new_key(wanted.kind);
  X509* certificate = unsigned_certificate(key, wanted.common_name, wanted.begin, wanted.end);
  X509_set_issuer_name(certificate, X509_get_subject_name(parts_->certificate));
  if (!wanted.names.empty()) {
    extend(certificate, parts_->certificate, NID_subject_alt_name, wanted.names);
  }
  X509_sign(certificate, parts_->key, wanted.sha1 ? EVP_sha1() : EVP_sha256());
  KeyPair pair{to_pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); }),
               to_pem([&](BIO* bio) {
                 return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
               })};
  X509_free(certificate);
  EVP_PKEY_free(key);
  return pair;
}

}  // namespace pooler::fault
