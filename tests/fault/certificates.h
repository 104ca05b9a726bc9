// Certificates made on the spot, for TLS servers and Secrets of the tests.
#pragma once

#include <memory>
#include <string>

namespace pooler::fault {

struct KeyPair {
  std::string certificate;  // PEM
  std::string key;          // PEM
};

inline constexpr long kTwentyYears = 20L * 365 * 86400;

// Seconds are from now; a clock of a test's own is near enough to it.
struct Wanted {
  // As OpenSSL's subjectAltName takes them: "IP:127.0.0.1,DNS:localhost". Empty: none.
  std::string names = {};
  long begin = -kTwentyYears;
  long end = 86400;
  std::string common_name = "test";
  enum class Kind { kP256, kEd25519, kRsa2048, kRsa1024 } kind = Kind::kP256;
  bool sha1 = false;  // signed so
};

class Authority {
 public:
  explicit Authority(long end = kTwentyYears);
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;
  [[nodiscard]] std::string pem() const;
  [[nodiscard]] KeyPair issue(const Wanted& wanted) const;
  // With `names`, an end so many seconds from now, and the subject CN=`common_name`.
  [[nodiscard]] KeyPair issue(const std::string& names, long seconds = 86400,
                              const std::string& common_name = "test") const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace pooler::fault
