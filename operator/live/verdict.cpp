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

bool says(const pg::Error& error, std::string_view words) {
  return error.message.find(words) != std::string::npos;
}

// By the words of libpq and OpenSSL, which have no codes for it.
std::string tls_remedy(const pg::Error& error, const Certificates& ours) {
  if (says(error, "does not support SSL")) {
    return "the server offers no encryption: turn it on there, or set spec.database.tls.mode to "
           "Prefer or Disable";
  }
  if (says(error, "certificate verify failed")) {
    return ours.authorities.empty()
               ? "the server's certificate has expired, or no public authority has issued it: name "
                 "its own in spec.database.tls.caSecretRef"
               : "the server's certificate or an authority in spec.database.tls.caSecretRef has "
                 "expired, or another authority has issued it than those in "
                 "spec.database.tls.caSecretRef";
  }
  if (says(error, "root certificate")) {
    return ours.authorities.empty()
               ? "sslrootcert in the URI is a file of the applications': name a Secret with the "
                 "authorities in spec.database.tls.caSecretRef"
               : "correct the authorities in spec.database.tls.caSecretRef";
  }
  if (says(error, "host name")) {
    return "the server's certificate is for other hosts: correct the host in the database Secret "
           "or in spec.database.host, or set spec.database.tls.mode to VerifyCA";
  }
  if (says(error, "alert") && (says(error, "certificate") || says(error, "unknown ca"))) {
    return ours.chain.empty()
               ? "the server asks for a certificate: name one in "
                 "spec.database.tls.clientCertSecretRef"
               : "the server refuses the certificate of spec.database.tls.clientCertSecretRef";
  }
  return "correct spec.database.tls (without it sslmode in the URI), or the server's certificate";
}

// What the server says of encryption and certificates in its own words, not in those of TLS.
std::string tls_refusal(const pg::Error& error, const urls::Connection& connection) {
  if (!error.sqlstate.starts_with("28")) return {};
  if (says(error, "certificate")) {
    return connection.certificates.chain.empty()
               ? "name a client certificate in spec.database.tls.clientCertSecretRef"
               : "correct the certificate in spec.database.tls.clientCertSecretRef: the server has "
                 "to know its authority, and its common name to be the user's";
  }
  const bool plain = connection.parameter("sslmode") == "disable";
  if (plain && (says(error, "no encryption") || says(error, "SSL off"))) {
    return "set spec.database.tls.mode to Require or stricter (without it sslmode in the URI), or "
           "allow this user without encryption in the server's pg_hba.conf";
  }
  return {};
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
  if (const std::string remedy = tls_refusal(error, connection); !remedy.empty()) {
    return {std::string(reason::kTlsFailure),
            where + " refuses the login of " + who + in_words(error) + ": " + remedy};
  }
  if (is_login_refused(error) || error.sqlstate == "42501") {
    // Postgres also blames the password for a certificate of another user.
    const std::string certificate =
        connection.certificates.chain.empty()
            ? ""
            : "the certificate in spec.database.tls.clientCertSecretRef, ";
    return {std::string(reason::kAuthenticationFailed),
            where + " refuses the login of " + who + in_words(error) +
                ": correct user name and password in the database Secret, " + certificate +
                "or what the server allows them"};
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
      return {std::string(reason::kTlsFailure), "no encrypted connection to " + where +
                                                    in_words(error) + ": " +
                                                    tls_remedy(error, connection.certificates)};
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

Verdict certificate_verdict(const pg::Endpoint& pooler) {
  return {std::string(reason::kVerificationFailed),
          place(pooler) +
              " shows another certificate than that of spec.clientTLS.secretRef, or none: "
              "PgBouncer could not load it; its log says why"};
}

AuthVerdict auth_verdict(const pg::Error& error, const urls::Connection& connection) {
  const std::string where = place(error.where);
  const std::string who = "user " + quoted(connection.user);
  const bool asked = error.phase == Phase::kSession && error.kind == Kind::kServer;
  if (asked && error.sqlstate == "42501") {
    return {kAuthQueryField,
            who + " may not run the query at " + where + in_words(error) +
                ": grant it what the query reads, or name a function with SECURITY "
                "DEFINER there; docs/how-to/many-users.md has the SQL for both"};
  }
  if (asked) {
    // Of these classes the words are about names in the query, of others they may be about values.
    const bool of_names = error.sqlstate.starts_with("42") || error.sqlstate.starts_with("3");
    const std::string words = of_names ? in_words(error) : " (SQLSTATE " + error.sqlstate + ")";
    return {kAuthQueryField, "the query fails at " + where + ", asked by " + who + words +
                                 ": it must give two columns, name and secret, for the name in $1"};
  }
  if (is_login_refused(error)) {
    return {kAuthUserField, where + " refuses the login of " + who + in_words(error) +
                                ": correct user name and password in that Secret"};
  }
  return {kAuthUserField,
          "no answer to the query for users, asked by " + who + " at " + where + in_words(error)};
}

std::string user_not_found(const pg::Endpoint& server, const std::string& user,
                           const std::string& trouble) {
  return "user " + quoted(user) + " of the database Secret could not log in at the pooler: at " +
         place(server) + " it " + trouble;
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
  return is_password_refused(error) ||
         (error.kind == Kind::kServer && error.sqlstate.starts_with("28"));
}

bool is_password_refused(const pg::Error& error) {
  if (error.kind == Kind::kAuthentication) return true;
  return error.kind == Kind::kServer &&
         (error.sqlstate == "28P01" || error.message.starts_with(kTooManyRefusals));
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
