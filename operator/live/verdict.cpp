#include "live/verdict.h"

#include "api/status.h"

namespace pooler::live {
namespace {

using Kind = pg::Error::Kind;
using Phase = pg::Error::Phase;
namespace reason = api::reason;

// Supavisor, once an address has tried too many wrong passwords: it takes no right one, either.
constexpr std::string_view kTooManyRefusals = "(ECIRCUITBREAKER)";

// "db.example.com:5432 (10.0.0.7)"
std::string place(const pg::Endpoint& end) {
  const bool v6 = end.host.find(':') != std::string::npos;
  std::string text = (v6 ? "[" + end.host + "]" : end.host) + ":" + std::to_string(end.port);
  if (!end.address.empty() && end.address != end.host) text += " (" + end.address + ")";
  return text;
}

std::string quoted(const std::string& name) { return "\"" + name + "\""; }

// " (<what was said>)", or nothing.
std::string in_words(const pg::Error& error) {
  return error.message.empty() ? "" : " (" + error.message + ")";
}

bool never_reached(const pg::Error& error) {
  return error.phase == Phase::kConnect || error.phase == Phase::kName;
}

// What the server itself said, by its SQLSTATE (Postgres manual, appendix A).
Verdict database_refusal(const pg::Error& error, const urls::Connection& connection) {
  const std::string where = place(error.where);
  const std::string who = "user " + quoted(connection.user);
  if (error.sqlstate == "3D000") {
    return {std::string(reason::kDatabaseNotFound),
            where + " has no database " + quoted(connection.database) + in_words(error) +
                ": create it, or correct the database's name in the database Secret or in "
                "spec.database.name"};
  }
  if (error.sqlstate == "53300") {
    return {std::string(reason::kTooManyConnections),
            where + " has no connection left for " + who + in_words(error) +
                ": close some, or raise the limit that is named there"};
  }
  if (is_login_refused(error) || error.sqlstate == "42501") {
    return {std::string(reason::kAuthenticationFailed),
            where + " refuses the login of " + who + in_words(error) +
                ": correct user name and password in the database Secret, or what the server "
                "allows them"};
  }
  if (error.sqlstate.starts_with("57P")) {
    return {std::string(reason::kConnectionRefused),
            where + " takes no connections at the moment" + in_words(error)};
  }
  return {std::string(reason::kOperatorCannotReachDatabase),
          where + " answers the login of " + who + " with an error" + in_words(error)};
}

}  // namespace

Verdict database_verdict(const pg::Error& error, const urls::Connection& connection) {
  const std::string where = place(error.where);
  switch (error.kind) {
    case Kind::kServer:
      return database_refusal(error, connection);
    case Kind::kRefused:
      return {std::string(reason::kConnectionRefused),
              where +
                  " refuses connections: start Postgres there, or correct host and port in the "
                  "database Secret or in spec.database"};
    case Kind::kName:
      return {std::string(reason::kDnsFailure),
              "the host name " + quoted(error.where.host) + " can't be resolved" + in_words(error) +
                  ": correct the host in the database Secret or in spec.database.host"};
    case Kind::kTls:
      return {std::string(reason::kTlsFailure),
              "no encrypted connection to " + where + in_words(error) +
                  ": correct sslmode, or the server's certificate"};
    case Kind::kAuthentication:
      return {std::string(reason::kAuthenticationFailed),
              "no login at " + where + " as user " + quoted(connection.user) + in_words(error) +
                  ": correct user name and password in the database Secret"};
    default:
      break;
  }
  if (never_reached(error)) {
    return {std::string(reason::kOperatorCannotReachDatabase),
            "the operator cannot reach " + where + in_words(error) +
                ": allow connections from the operator's pods to it (NetworkPolicy, firewall), or "
                "correct host and port"};
  }
  return {std::string(reason::kOperatorCannotReachDatabase),
          where + " accepts connections but does not answer as Postgres does" + in_words(error)};
}

Verdict verification_verdict(const pg::Error& error) {
  const std::string where = place(error.where);
  if (never_reached(error)) {
    const std::string port = std::to_string(error.where.port);
    return {std::string(reason::kOperatorCannotReachPooler),
            "the operator cannot reach " + where + in_words(error) +
                ": allow connections from the operator's pods to the pooler, port " + port +
                "; where that can't be, spec.connectionSecret.publishPolicy Immediate publishes "
                "without this query"};
  }
  if (error.kind == Kind::kTimeout) {
    return {std::string(reason::kVerificationFailed),
            where +
                " takes connections but answers no query in time: it waits for the database, "
                "which is down or has no connection left"};
  }
  return {std::string(reason::kVerificationFailed),
          "a query through " + where + " with the published credentials fails" + in_words(error)};
}

std::string console_message(const pg::Error& error) {
  const std::string what = "the admin console of " + place(error.where);
  if (error.kind == Kind::kRefused) return what + " refuses connections";
  if (never_reached(error)) {
    return what + " cannot be reached" + in_words(error) +
           ": allow connections from the operator's pods to port " +
           std::to_string(error.where.port);
  }
  if (is_console_login_refused(error))
    return what + " refuses the operator's login" + in_words(error);
  return what + " does not answer" + in_words(error);
}

bool is_login_refused(const pg::Error& error) {
  if (error.kind == Kind::kAuthentication) return true;
  return error.kind == Kind::kServer && (error.sqlstate.starts_with("28") ||
                                         error.message.starts_with(kTooManyRefusals));
}

bool is_console_login_refused(const pg::Error& error) {
  if (error.phase != Phase::kLogin) return false;
  if (error.kind == Kind::kAuthentication) return true;
  if (error.kind != Kind::kServer) return false;
  // 08P01 is PgBouncer's code for nearly everything; then its words decide.
  return error.sqlstate.starts_with("28") ||
         error.message.find("authentication failed") != std::string::npos;
}

}  // namespace pooler::live
