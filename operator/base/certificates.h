// Certificates and keys as Kubernetes' Secrets carry them, in PEM form. They are read here before
// any process is given them, so that people hear of a mistake at once. An error says in words what
// is wrong with a text ("holds no ..."), and holds nothing of it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace pooler {

// What one side of a TLS connection has. Empty: it has none.
struct Certificates {
  std::string authorities;  // that the other side's certificate must come from
  std::string chain;        // its own certificate first, then those that lead to its authority
  std::string key;          // of its own certificate
  bool operator==(const Certificates&) const = default;
};

// The bundles of cloud providers have 170 KiB; a Secret can hold 1 MiB, and shares it among the
// revisions of a configuration.
inline constexpr std::size_t kMaxPemBytes = 256 * 1024;

// The certificate that the other side is shown.
struct Leaf {
  std::string fingerprint;  // SHA-256 of its binary form, in hexadecimal digits
  WallTime not_before;      // the first moment at which it is valid
  WallTime not_after;       // the last one
  WallTime chain_end;       // the last one at which all of its chain are
};

// The first certificate of a chain that OpenSSL loads; not of one that it refuses as too weak.
[[nodiscard]] Result<Leaf, std::string> read_leaf(std::string_view chain);
// "" where the key is in PEM form, without a passphrase, and belongs to the chain's first
// certificate; requires read_leaf(chain) to be ok.
[[nodiscard]] std::string trouble_with_key(std::string_view key, std::string_view chain);
// Whether the first certificate of a chain is for this host name or address; requires
// read_leaf(chain) to be ok.
[[nodiscard]] bool is_for_host(std::string_view chain, const std::string& host);
// "" where there is at least one authority's certificate, and no private key: the text is published
// as it is.
[[nodiscard]] std::string trouble_with_authorities(std::string_view pem);
// The last moment at which one of the authorities is valid; requires trouble_with_authorities(pem)
// to be "".
[[nodiscard]] WallTime end_of_authorities(std::string_view pem);

}  // namespace pooler
