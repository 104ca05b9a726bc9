// Where the live loop connects to, in libpq's terms. Of a connection's own parameters only those
// count that say how to reach and trust the server; those that would make the operator read files
// of its own or log in differently are left out.
#pragma once

#include "live/state.h"
#include "pg/session.h"

namespace pooler::live {

// Trusted authorities where sslmode asks for a verified certificate and sslrootcert is not given.
inline constexpr const char* kSystemRoots = "/etc/ssl/certs/ca-certificates.crt";

[[nodiscard]] pg::Target database_target(const urls::Connection& connection);
// By address, never by name.
[[nodiscard]] pg::Target console_target(const PodTarget& pod, const ConsoleLogin& login);
// As a client that has the published URL, but without DNS where the address is given: the
// certificate would be checked against the Service's name all the same.
[[nodiscard]] pg::Target verification_target(const VerificationTarget& target);
[[nodiscard]] bool expects_certificate(const VerificationTarget& target);

}  // namespace pooler::live
