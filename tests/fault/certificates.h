// Certificates made on the spot, for TLS servers and Secrets of the tests.
#pragma once

#include <memory>
#include <string>

namespace pooler::fault {

struct KeyPair {
  std::string certificate;  // PEM
  std::string key;          // PEM
};

class Authority {
 public:
  Authority();
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;
  [[nodiscard]] std::string pem() const;
  // `names` as OpenSSL's subjectAltName takes them: "IP:127.0.0.1,DNS:localhost". Empty: none. The
  // certificate ends so many seconds from now; its subject is CN=`common_name`.
  [[nodiscard]] KeyPair issue(const std::string& names, long seconds = 86400,
                              const std::string& common_name = "test") const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace pooler::fault
