#include "live/targets.h"

#include <array>
#include <string_view>

#include "engine/pgbouncer/console.h"

namespace pooler::live {
namespace {

constexpr std::array<std::string_view, 8> kPassedOn = {
    "sslmode",         "sslrootcert", "sslsni", "ssl_min_protocol_version",
    "channel_binding", "options",     "sslcrl", "target_session_attrs",
};

pg::Params common_params() {
  return {
      {"application_name", "pooler-operator"},
      {"client_encoding", "UTF8"},
      {"gssencmode", "disable"},
  };
}

pg::Params params_of(const urls::Connection& connection) {
  pg::Params params = common_params();
  for (const std::string_view name : kPassedOn) {
    std::string value = connection.parameter(name);
    if (!value.empty()) params.emplace(name, std::move(value));
  }
  params["user"] = connection.user;
  params["password"] = connection.password;
  params["dbname"] = connection.database;
  const auto mode = params.find("sslmode");
  const bool verified = mode != params.end() && mode->second.starts_with("verify-");
  const auto roots = params.find("sslrootcert");
  // "system" is a word of newer libpq only.
  const bool system = roots == params.end() || roots->second == "system";
  if (verified && system) params["sslrootcert"] = kSystemRoots;
  return params;
}

// In any case, so that a certificate is shown; as strictly as clients are told to be, where it is
// known whom they trust: a file of theirs is not at hand.
void encrypt(pg::Target& target, const urls::Connection& connection) {
  const std::string roots = connection.parameter("sslrootcert");
  const std::string& authorities = connection.certificates.authorities;
  const bool known = !authorities.empty() || roots.empty() || roots == "system";
  if (known && connection.parameter("sslmode").starts_with("verify-")) {
    target.certificates.authorities = authorities;
    return;
  }
  target.params["sslmode"] = "require";
  target.params.erase("sslrootcert");  // with which libpq would verify in this mode, too
}

}  // namespace

pg::Target database_target(const urls::Connection& connection) {
  pg::Target target;
  for (const urls::HostPort& host : connection.hosts) {
    target.endpoints.push_back({host.host, "", host.port});
  }
  target.params = params_of(connection);
  target.certificates = connection.certificates;
  target.timeout = std::chrono::seconds(5);
  return target;
}

pg::Target console_target(const PodTarget& pod, const ConsoleLogin& login) {
  pg::Target target;
  target.endpoints = {{pod.name, pod.address, pod.port}};
  target.params = common_params();
  target.params["user"] = login.user;
  target.params["password"] = login.password;
  target.params["dbname"] = engine::pgbouncer::kConsoleDatabase;
  // Whatever it runs: it may have yet to load TLS, or to leave it. Its certificate is compared.
  target.params["sslmode"] = "prefer";
  target.timeout = std::chrono::seconds(3);
  return target;
}

pg::Target verification_target(const VerificationTarget& verification) {
  pg::Target target;
  const urls::HostPort& service = verification.connection.hosts.front();
  target.endpoints = {{service.host, verification.address, service.port}};
  target.params = params_of(verification.connection);
  target.timeout = std::chrono::seconds(5);
  if (expects_certificate(verification)) {
    encrypt(target, verification.connection);
  } else if (verification.connection.parameter("sslmode").starts_with("verify-")) {
    target.certificates.authorities = verification.connection.certificates.authorities;
  }
  return target;
}

bool expects_certificate(const VerificationTarget& target) {
  return !target.certificate.empty() && target.connection.parameter("sslmode") != "disable";
}

}  // namespace pooler::live
