#include "reconcile/round.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/strings.h"

namespace pooler::reconcile {

void Round::refuse(const api::Problem& problem) {
  if (found.configuration) return;
  const std::string where = problem.field.empty() ? "" : problem.field + ": ";
  found.configuration = no(problem.reason, where + problem.message);
}

void Round::look_again(Duration after) {
  plan.look_again = plan.look_again ? std::min(*plan.look_again, after) : after;
}

std::map<std::string, std::string> PgBouncerRound::known_files() const {
  std::map<std::string, std::string> files;
  if (found.target) files = found.target->files;
  files.insert(see.files.data.begin(), see.files.data.end());
  return files;
}

std::string token_of(const std::string& text) { return hex_encode(sha256(text)); }

}  // namespace pooler::reconcile
