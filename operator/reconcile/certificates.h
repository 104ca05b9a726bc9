// The certificates that a spec names, out of the Secrets that hold them. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "api/pooler_config.h"
#include "base/certificates.h"
#include "base/clock.h"
#include "base/result.h"

namespace pooler::reconcile {

// The data of the Secrets that there are, by name.
using SecretsByName = std::map<std::string, std::map<std::string, std::string>>;

struct CheckedCertificates {
  Certificates certificates;
  std::optional<WallTime> end;       // of the first to end of its own chain
  bool ends_soon = false;            // whoever renews it should have done so
  std::optional<api::Problem> late;  // out of its time, and in use all the same
  std::optional<WallTime> next;      // the next moment at which there is something else to tell
};

struct CertificateProblem : api::Problem {
  CertificateProblem(api::Problem problem, std::optional<WallTime> moment)
      : api::Problem(std::move(problem)), next(moment) {}
  std::optional<WallTime> next;  // as above
};

// Towards the database: what spec.database.tls names. Towards clients: what spec.clientTLS names;
// its authorities are those that clients may trust. Both without anything where nothing is named.
// What has expired, or is not valid yet, is refused unless it is what is `in_use`: that goes on.
// Problem: SecretNotFound, SecretKeyMissing or SecretInvalid, with the field and the remedy, and
// nothing of what a Secret holds.
[[nodiscard]] Result<CheckedCertificates, CertificateProblem> database_certificates(
    const api::PoolerConfig& config, const SecretsByName& secrets, WallTime now,
    const Certificates& in_use = {});
[[nodiscard]] Result<CheckedCertificates, CertificateProblem> client_certificates(
    const api::PoolerConfig& config, const SecretsByName& secrets, WallTime now,
    const Certificates& in_use = {});

}  // namespace pooler::reconcile
