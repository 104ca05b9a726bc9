// Where a Postgres (or a pooler) is and how to log in: parsed from what people put in Secrets,
// built into every form that clients read. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/pooler_config.h"
#include "base/certificates.h"
#include "base/result.h"

namespace pooler::urls {

inline constexpr int kDefaultPostgresPort = 5432;

struct HostPort {
  std::string host;  // name, IPv4, or IPv6 without brackets
  int port = kDefaultPostgresPort;
  bool operator==(const HostPort&) const = default;
};

// Everything decoded: no percent-encoding is left in any field.
struct Connection {
  std::vector<HostPort> hosts;  // at least one; more than one for a multi-host URI
  std::string database;
  std::string user;
  std::string password;
  // Query parameters of the source URI in their order (sslmode, target_session_attrs, ...).
  std::vector<std::pair<std::string, std::string>> parameters;
  // Towards these hosts; none where the spec names no Secret with some.
  Certificates certificates;

  // Empty where absent.
  [[nodiscard]] std::string parameter(std::string_view name) const;
  bool operator==(const Connection&) const = default;
};

// postgres:// and postgresql:// URIs as libpq reads them: percent-encoding, IPv6 in brackets,
// several hosts, defaults for what is absent (port 5432, database = user). Error: what is wrong,
// never quoting any part of the text, because it holds a password.
[[nodiscard]] Result<Connection, std::string> parse_uri(std::string_view text);

// The database that a PoolerConfig means: inline values, then the Secret's discrete keys, then its
// URI. `secret` holds the decoded values. Where spec.database.secretRef.keys does not rename a key,
// the names that other operators and products use are known, too (a table in resolve.cpp).
// spec.database.tls decides sslmode before the URI does; certificates are not filled in. Problem:
// SecretKeyMissing or SecretInvalid (or InvalidParameter for an inline value), with the field and
// the remedy, never a value. `ns`: namespace of the PoolerConfig. Operators of databases publish
// Secrets with the bare name of a Service; where `ns` is given, such a host becomes
// "<host>.<ns>.svc", which leads there from other namespaces too.
[[nodiscard]] Result<Connection, api::Problem> resolve(
    const api::Database& database, const std::map<std::string, std::string>& secret,
    std::string_view ns = {});

// The login to a project of Supabase, at db.<projectRef>.supabase.co: the password is all that the
// Secret has to hold, user and database are postgres where nothing else is said. Of a URI as
// Supabase's dashboard shows it the parts count that are the project's own (without the project in
// the user's name, and what only one driver knows). Problem: as above, and for a login to another
// server or project. spec.database.tls as above; it is for the way by the pooler, too. Requires a
// valid spec.supabase.
[[nodiscard]] Result<Connection, api::Problem> resolve_supabase(
    const api::Spec& spec, const std::map<std::string, std::string>& secret);

// What is wrong with a part of a login, `what` of the Secret ("the password"): it is empty, longer
// than `longest` bytes, not UTF-8, or has a control character in it, of which a line break at the
// end is what `echo` leaves. SecretInvalid with the field, never a value.
[[nodiscard]] std::vector<api::Problem> check_text(std::string_view field, const std::string& what,
                                                   const std::string& value, std::size_t longest);
// An sslmode that there is none of; the same.
[[nodiscard]] std::vector<api::Problem> check_sslmode(const Connection& login);
// All of a login that is published as it is, with no pooler of ours between: resolve_supabase()
// asks it, and for resolve() the engine asks for what it can take.
[[nodiscard]] std::vector<api::Problem> check_login(const Connection& login);

// Host names and IPv4 or IPv6 addresses as they are connected to: no brackets, no zone, ASCII.
[[nodiscard]] bool is_host(std::string_view host);
[[nodiscard]] bool is_ipv6(std::string_view host);

// "host:port", IPv6 in brackets, several separated by commas.
[[nodiscard]] std::string host_ports(const Connection& connection);

// RFC 3986: everything outside the unreserved set is encoded.
[[nodiscard]] std::string percent_encode(std::string_view text);

// "a,b" and "5432,6000", or one number where all hosts have the same port: as libpq takes them.
[[nodiscard]] std::string hosts_of(const Connection& connection);
[[nodiscard]] std::string ports_of(const Connection& connection);

// Forms of one connection, each with user and password. to_uri() writes every parameter; the others
// write those that their client knows (urls/parameters.h), in its own words.
[[nodiscard]] std::string to_uri(const Connection& connection);
[[nodiscard]] std::string to_jdbc(const Connection& connection);
[[nodiscard]] std::string to_npgsql(const Connection& connection);
[[nodiscard]] std::string to_libpq(const Connection& connection);   // keyword='value' ...
[[nodiscard]] std::string to_pgpass(const Connection& connection);  // one line per host, '\n'-ended
// postgresql+asyncpg:// for SQLAlchemy's create_async_engine().
[[nodiscard]] std::string to_sqlalchemy_asyncpg(const Connection& connection);

}  // namespace pooler::urls
