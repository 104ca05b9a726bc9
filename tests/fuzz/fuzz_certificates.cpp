// Certificates and keys with anything changed in them, or any text instead: no crash, an error is
// one of the fixed texts, and what is accepted as a pair has a leaf.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/certificates.h"
#include "fault/certificates.h"
#include "fuzz/must.h"

namespace pooler::fuzz {
namespace {

constexpr std::array<std::string_view, 13> kErrors = {
    "is empty",
    "has more than 256 KiB",
    "holds a certificate that can't be read",
    "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)",
    "is encrypted with a passphrase, which nobody can give: store the key without one",
    "holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)",
    "holds a certificate with a key or a signature that is too weak: issue it with an elliptic "
    "curve or RSA of 2048 bits, and SHA-256",
    "holds a certificate of a kind that OpenSSL can't use",
    "is the key of another certificate",
    "is the key of a certificate that is not the first one: it has to come first, then those that "
    "lead to its authority",
    "holds a private key, which would be published: leave only certificates",
    "holds no certificate of an authority, only of servers or clients",
    "",
};

void check_error(const std::string& error) {
  must(std::find(kErrors.begin(), kErrors.end(), error) != kErrors.end(),
       "an error is one of the fixed texts");
}

// `whole` with some bytes replaced, a part of it, or any text.
std::string text_from(FuzzedDataProvider& provider, const std::string& whole) {
  std::string text = whole;
  switch (provider.ConsumeIntegralInRange(0, 2)) {
    case 0:
      for (int i = provider.ConsumeIntegralInRange(0, 8); i > 0; --i) {
        text[provider.ConsumeIntegralInRange<std::size_t>(0, text.size() - 1)] =
            static_cast<char>(provider.ConsumeIntegral<std::uint8_t>());
      }
      return text;
    case 1:
      return text.substr(provider.ConsumeIntegralInRange<std::size_t>(0, text.size()),
                         provider.ConsumeIntegralInRange<std::size_t>(0, text.size()));
    default:
      return provider.ConsumeRandomLengthString(2000);
  }
}

}  // namespace
}  // namespace pooler::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pooler;
  static const fault::Authority authority;
  static const fault::KeyPair pair = authority.issue("DNS:localhost");
  FuzzedDataProvider provider(data, size);
  const std::string chain = fuzz::text_from(provider, pair.certificate + authority.pem());
  const std::string key = fuzz::text_from(provider, pair.key);
  const std::string trouble = trouble_with_authorities(chain);
  fuzz::check_error(trouble);
  if (trouble.empty()) (void)end_of_authorities(chain);
  const auto leaf = read_leaf(chain);
  if (!leaf.ok()) {
    fuzz::check_error(leaf.error());
    return 0;
  }
  fuzz::must(leaf->fingerprint.size() == 64, "a fingerprint has 64 digits");
  fuzz::must(leaf->chain_end <= leaf->not_after, "a chain ends with its first, or before");
  (void)is_for_host(chain, provider.ConsumeRandomLengthString(300));
  fuzz::check_error(trouble_with_key(key, chain));
  return 0;
}
