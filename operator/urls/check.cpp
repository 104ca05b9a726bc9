#include <algorithm>
#include <array>

#include "base/strings.h"
#include "urls/connection.h"

namespace pooler::urls {
namespace {

constexpr std::size_t kMaxNameBytes = 63;  // Postgres cuts longer ones
constexpr std::size_t kNoLimit = std::string::npos;

constexpr std::array<std::string_view, 7> kSslModes = {
    "", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"};

void append(std::vector<api::Problem>& problems, std::vector<api::Problem> more) {
  for (api::Problem& problem : more) problems.push_back(std::move(problem));
}

}  // namespace

std::vector<api::Problem> check_text(std::string_view field, const std::string& what,
                                     const std::string& value, std::size_t longest) {
  std::vector<api::Problem> problems;
  const auto refuse = [&](const std::string& wrong) {
    problems.push_back(
        {std::string(api::reason::kSecretInvalid), std::string(field), what + wrong});
  };
  if (value.empty()) refuse(" is empty");
  if (value.size() > longest) refuse(" is longer than " + std::to_string(longest) + " bytes");
  if (!value.empty() && value.back() == '\n') {
    refuse(" ends with a line break, as `echo` leaves it: write it without");
  } else if (has_control_characters(value)) {
    refuse(" has a control character in it");
  }
  if (!is_utf8(value)) refuse(" is not valid UTF-8");
  return problems;
}

std::vector<api::Problem> check_sslmode(const Connection& login) {
  const std::string mode = login.parameter("sslmode");
  if (std::find(kSslModes.begin(), kSslModes.end(), mode) != kSslModes.end()) return {};
  return {{std::string(api::reason::kSecretInvalid), "spec.database.secretRef.keys.uri",
           "the URI's sslmode is none of disable, allow, prefer, require, verify-ca, verify-full"}};
}

std::vector<api::Problem> check_login(const Connection& login) {
  auto problems =
      check_text("spec.database.name", "the database's name", login.database, kMaxNameBytes);
  append(problems, check_text("spec.database.user", "the user's name", login.user, kMaxNameBytes));
  append(problems, check_text("spec.database.secretRef.keys.password", "the password",
                              login.password, kNoLimit));
  append(problems, check_sslmode(login));
  return problems;
}

}  // namespace pooler::urls
