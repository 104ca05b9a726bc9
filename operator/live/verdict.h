// Why something could not be asked, in the words of a condition: a reason, and what is wrong and
// how to mend it. Pure.
#pragma once

#include <string>

#include "live/state.h"
#include "pg/session.h"

namespace pooler::live {

struct Verdict {
  std::string reason;   // api::reason
  std::string message;  // with host and port; the server's own words where it said some
};

[[nodiscard]] Verdict database_verdict(const pg::Error& error, const urls::Connection& connection);
[[nodiscard]] Verdict verification_verdict(const pg::Error& error);
// It answers, and shows another certificate than it should.
[[nodiscard]] Verdict certificate_verdict(const pg::Endpoint& pooler);
// Why the role of spec.pgbouncer.auth could not look users up. The server's own words only where
// they can't hold anything of the roles' secrets.
inline constexpr const char* kAuthQueryField = "spec.pgbouncer.auth.query";
inline constexpr const char* kAuthUserField = "spec.pgbouncer.auth.userSecretRef";
struct AuthVerdict {
  std::string field;  // one of those
  std::string message;
};
[[nodiscard]] AuthVerdict auth_verdict(const pg::Error& error, const urls::Connection& connection);
// `trouble`: words that follow the user's name.
[[nodiscard]] std::string user_not_found(const pg::Endpoint& server, const std::string& user,
                                         const std::string& trouble);
[[nodiscard]] std::string console_message(const pg::Error& error);
// The login was refused for what it said: who it is, from where, how.
[[nodiscard]] bool is_login_refused(const pg::Error& error);
// ... for its password: another try with the same one is of no use, and may be punished.
[[nodiscard]] bool is_password_refused(const pg::Error& error);
// The console answered and does not take our password.
[[nodiscard]] bool is_console_login_refused(const pg::Error& error);

}  // namespace pooler::live
