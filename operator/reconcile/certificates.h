// The certificates that a spec names, out of the Secrets that hold them. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "api/pooler_config.h"
#include "base/certificates.h"
#include "base/clock.h"
#include "base/result.h"

namespace pooler::reconcile {

// The data of the Secrets that there are, by name.
using SecretsByName = std::map<std::string, std::map<std::string, std::string>>;

struct CheckedCertificates {
  Certificates certificates;
  std::optional<WallTime> end;  // of its own certificate, the first of the chain
};

// Towards the database: what spec.database.tls names. Towards clients: what spec.clientTLS names;
// its authorities are those that clients may trust. Both without anything where nothing is named.
// Problem: SecretNotFound, SecretKeyMissing or SecretInvalid (of an expired certificate, too), with
// the field and the remedy, and nothing of what a Secret holds.
[[nodiscard]] Result<CheckedCertificates, api::Problem> database_certificates(
    const api::PoolerConfig& config, const SecretsByName& secrets, WallTime now);
[[nodiscard]] Result<CheckedCertificates, api::Problem> client_certificates(
    const api::PoolerConfig& config, const SecretsByName& secrets, WallTime now);

}  // namespace pooler::reconcile
