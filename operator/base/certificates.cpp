#include "base/certificates.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/crypto.h"
#include "base/guarded.h"
#include "base/strings.h"

namespace pooler {
namespace {

struct Release {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using BioPtr = std::unique_ptr<BIO, Release>;
using X509Ptr = std::unique_ptr<X509, Release>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Release>;
using ContextPtr = std::unique_ptr<SSL_CTX, Release>;

// OpenSSL's errors stay in a queue of the thread, where the next caller would find them.
class OpenSslErrors {
 public:
  OpenSslErrors() { ERR_clear_error(); }
  ~OpenSslErrors() { ERR_clear_error(); }
  OpenSslErrors(const OpenSslErrors&) = delete;
  OpenSslErrors& operator=(const OpenSslErrors&) = delete;
};

// Without it OpenSSL asks whoever sits at the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

BioPtr reader_of(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string trouble_with_size(std::string_view text) {
  if (trim(text).empty()) return "is empty";
  if (text.size() <= kMaxPemBytes) return {};
  return "has more than " + std::to_string(kMaxPemBytes / 1024) + " KiB";
}

// All of them, or what is wrong. Text between them does not matter.
Result<std::vector<X509Ptr>, std::string> read_certificates(std::string_view text) {
  if (auto trouble = trouble_with_size(text); !trouble.empty()) return failure(std::move(trouble));
  const OpenSslErrors errors;
  const BioPtr bio = reader_of(text);
  std::vector<X509Ptr> all;
  // As PgBouncer and libpq read a chain: the first may be one with trust settings.
  X509Ptr next(PEM_read_bio_X509_AUX(bio.get(), nullptr, no_passphrase, nullptr));
  while (next) {
    all.push_back(std::move(next));
    next.reset(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
  }
  const unsigned long last = ERR_peek_last_error();  // NOLINT: OpenSSL's type
  const bool at_the_end =
      ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  if (!at_the_end) return failure(std::string("holds a certificate that can't be read"));
  if (all.empty()) {
    return failure(std::string("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"));
  }
  return all;
}

std::string fingerprint_of(X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &length) != 1) return {};
  return hex_encode({reinterpret_cast<const char*>(digest.data()), length});
}

// Those that are to last for ever end in the year 9999, which WallTime does not reach.
std::optional<WallTime> time_of(const ASN1_TIME* time) {
  std::tm utc{};
  if (ASN1_TIME_to_tm(time, &utc) != 1) return std::nullopt;
  const auto last = std::chrono::floor<std::chrono::seconds>(WallTime::max()).time_since_epoch();
  const auto first = std::chrono::ceil<std::chrono::seconds>(WallTime::min()).time_since_epoch();
  return WallTime(std::clamp(std::chrono::seconds(timegm(&utc)), first, last));
}

// A server's certificate that it has signed itself is its own authority.
bool is_authority(X509* certificate) {
  return X509_check_ca(certificate) > 0 ||
         X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0;
}

// As PgBouncer and libpq load them: small keys and old digests are refused.
std::string trouble_with_strength(const std::vector<X509Ptr>& chain) {
  const OpenSslErrors errors;
  const ContextPtr context(SSL_CTX_new(TLS_method()));
  const auto takes = [&](X509* certificate) {
    return certificate == chain.front().get()
               ? SSL_CTX_use_certificate(context.get(), certificate) == 1
               : SSL_CTX_add1_chain_cert(context.get(), certificate) == 1;
  };
  const bool all = context && std::all_of(chain.begin(), chain.end(),
                                          [&](const X509Ptr& each) { return takes(each.get()); });
  if (all) return {};
  const int why = ERR_GET_REASON(ERR_peek_last_error());
  if (why == SSL_R_EE_KEY_TOO_SMALL || why == SSL_R_CA_KEY_TOO_SMALL ||
      why == SSL_R_CA_MD_TOO_WEAK) {
    return "holds a certificate with a key or a signature that is too weak: issue it with an "
           "elliptic curve or RSA of 2048 bits, and SHA-256";
  }
  return "holds a certificate of a kind that OpenSSL can't use";
}

Result<Leaf, std::string> first_of(std::string_view chain) {
  const auto certificates = read_certificates(chain);
  if (!certificates) return failure(certificates.error());
  const OpenSslErrors errors;
  X509* first = certificates->front().get();
  const auto not_before = time_of(X509_get0_notBefore(first));
  const auto not_after = time_of(X509_get0_notAfter(first));
  std::string fingerprint = fingerprint_of(first);
  if (!not_before || !not_after || fingerprint.empty()) {
    return failure(std::string("holds a certificate that can't be read"));
  }
  if (auto weak = trouble_with_strength(*certificates); !weak.empty()) {
    return failure(std::move(weak));
  }
  WallTime chain_end = *not_after;
  for (const X509Ptr& each : *certificates) {
    chain_end = std::min(chain_end, time_of(X509_get0_notAfter(each.get())).value_or(chain_end));
  }
  return Leaf{std::move(fingerprint), *not_before, *not_after, chain_end};
}

bool check_host(std::string_view chain, const std::string& host) {
  const auto certificates = read_certificates(chain);
  const OpenSslErrors errors;
  X509* first = certificates ? certificates->front().get() : nullptr;
  return first != nullptr && (X509_check_host(first, host.data(), host.size(), 0, nullptr) == 1 ||
                              X509_check_ip_asc(first, host.c_str(), 0) == 1);
}

std::string check_key(std::string_view key, std::string_view chain) {
  if (auto trouble = trouble_with_size(key); !trouble.empty()) return trouble;
  const OpenSslErrors errors;
  const KeyPtr parsed(
      PEM_read_bio_PrivateKey(reader_of(key).get(), nullptr, no_passphrase, nullptr));
  if (!parsed && key.find("ENCRYPTED") != std::string_view::npos) {
    return "is encrypted with a passphrase, which nobody can give: store the key without one";
  }
  if (!parsed) return "holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)";
  const auto certificates = read_certificates(chain);
  if (!certificates) return certificates.error();
  const auto fits = [&](const X509Ptr& each) {
    return X509_check_private_key(each.get(), parsed.get()) == 1;
  };
  if (fits(certificates->front())) return {};
  if (std::any_of(certificates->begin(), certificates->end(), fits)) {
    return "is the key of a certificate that is not the first one: it has to come first, then "
           "those that lead to its authority";
  }
  return "is the key of another certificate";
}

std::string check_authorities(std::string_view pem) {
  // Of every kind, encrypted ones too; OpenSSL passes them over where it looks for certificates.
  if (pem.find("PRIVATE KEY-----") != std::string_view::npos) {
    return "holds a private key, which would be published: leave only certificates";
  }
  const auto certificates = read_certificates(pem);
  if (!certificates) return certificates.error();
  const OpenSslErrors errors;
  const bool any = std::any_of(certificates->begin(), certificates->end(),
                               [](const X509Ptr& each) { return is_authority(each.get()); });
  return any ? "" : "holds no certificate of an authority, only of servers or clients";
}

WallTime last_of_authorities(std::string_view pem) {
  const auto certificates = read_certificates(pem);
  if (!certificates) return WallTime::min();
  const OpenSslErrors errors;
  WallTime last = WallTime::min();
  for (const X509Ptr& each : *certificates) {
    if (!is_authority(each.get())) continue;
    last = std::max(last, time_of(X509_get0_notAfter(each.get())).value_or(last));
  }
  return last;
}

// The same texts are asked about with every look at a PoolerConfig, and a bundle of a hundred
// certificates takes many milliseconds to read. By the question's hash: no text is kept.
template <class Answer, class Ask>
Answer remembered(Guarded<std::map<std::string, Answer>>& answers, const std::string& question,
                  Ask ask) {
  constexpr std::size_t kMost = 256;
  {
    auto known = answers.lock();
    const auto found = known->find(question);
    if (found != known->end()) return found->second;
  }
  Answer answer = ask();
  auto known = answers.lock();
  if (known->size() >= kMost) known->clear();
  known->emplace(question, answer);
  return answer;
}

}  // namespace

Result<Leaf, std::string> read_leaf(std::string_view chain) {
  static Guarded<std::map<std::string, Result<Leaf, std::string>>> answers;
  return remembered(answers, sha256(chain), [&] { return first_of(chain); });
}

std::string trouble_with_key(std::string_view key, std::string_view chain) {
  static Guarded<std::map<std::string, std::string>> answers;
  return remembered(answers, sha256(key) + sha256(chain), [&] { return check_key(key, chain); });
}

bool is_for_host(std::string_view chain, const std::string& host) {
  static Guarded<std::map<std::string, bool>> answers;
  return remembered(answers, sha256(chain) + host, [&] { return check_host(chain, host); });
}

WallTime end_of_authorities(std::string_view pem) {
  static Guarded<std::map<std::string, WallTime>> answers;
  return remembered(answers, sha256(pem), [&] { return last_of_authorities(pem); });
}

std::string trouble_with_authorities(std::string_view pem) {
  static Guarded<std::map<std::string, std::string>> answers;
  return remembered(answers, sha256(pem), [&] { return check_authorities(pem); });
}

}  // namespace pooler
