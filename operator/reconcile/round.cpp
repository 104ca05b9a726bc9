#include "reconcile/round.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/strings.h"
#include "engine/pgbouncer/render.h"

namespace pooler::reconcile {

void Round::refuse(const api::Problem& problem) {
  if (found.configuration) return;
  const std::string where = problem.field.empty() ? "" : problem.field + ": ";
  found.configuration = no(problem.reason, where + problem.message);
}

void Round::refuse_missing(const std::string& field, const std::string& name,
                           const std::string& needs) {
  refuse({std::string(api::reason::kSecretNotFound), field + ".name",
          "Secret " + config.ns + "/" + name + " does not exist; create it with " + needs});
}

bool Round::accept_spec(const std::vector<api::Problem>& problems) {
  if (problems.empty()) return true;
  refuse(problems.front());
  spec_invalid = true;
  return false;
}

void Round::refuse(const CertificateProblem& problem) {
  if (problem.next) look_again(*problem.next - see.now);
  refuse(static_cast<const api::Problem&>(problem));
}

void Round::look_again(Duration after) {
  plan.look_again = plan.look_again ? std::min(*plan.look_again, after) : after;
}

void Round::tell_end(const char* field, const CheckedCertificates& read) {
  if (read.next) look_again(*read.next - see.now);
  if (read.late && !found.late) {
    found.late = no(read.late->reason,
                    read.late->field + ": " + read.late->message + "; the pooler goes on with it");
  }
  if (!read.end) return;
  found.certificates_end += std::string("; the certificate of ") + field;
  found.certificates_end += read.ends_soon ? std::string(kShouldBeRenewed) + rfc3339(*read.end)
                                           : " is valid until " + rfc3339(*read.end);
}

void Round::conclude() {
  found.writing = !plan.writes.empty();
  plan.status = judge(see, found);
  plan.notices = notices(config.status, plan.status);
}

std::map<std::string, std::string> PgBouncerRound::known_files() const {
  std::map<std::string, std::string> files;
  if (found.target) files = found.target->files;
  files.insert(see.files.data.begin(), see.files.data.end());
  return files;
}

std::optional<engine::pgbouncer::RevisionTls> PgBouncerRound::tls_in_use() const {
  namespace pgbouncer = engine::pgbouncer;
  if (api::certificate_secrets(config.spec).empty()) return std::nullopt;  // nothing to compare
  std::map<std::string, int> given;
  for (const auto& [name, bytes] : see.files.data) {
    if (!name.ends_with(".ini")) continue;
    const std::string revision = pgbouncer::revision_of(pgbouncer::marker_of_pod_file(bytes));
    if (!revision.empty()) ++given[revision];
  }
  const auto most = std::max_element(
      given.begin(), given.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == given.end()) return std::nullopt;
  return pgbouncer::tls_of(see.files.data, most->first);
}

std::string PgBouncerRound::certificate() const {
  if (!found.target) return {};
  return engine::pgbouncer::shown_certificate(found.target->files, found.target->hash).value_or("");
}

std::string token_of(const std::string& text) { return hex_encode(sha256(text)); }

std::string token_of(const urls::Connection& login) {
  const Certificates& tls = login.certificates;
  return token_of(urls::to_uri(login) + "\n" + tls.authorities + "\n" + tls.chain + "\n" + tls.key);
}

}  // namespace pooler::reconcile
