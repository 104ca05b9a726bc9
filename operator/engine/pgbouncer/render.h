// PgBouncer's files for one PoolerConfig. Pure: same inputs, same bytes, same revision hash.
//
// One Secret is mounted as a directory. Per revision it holds rev-<hash>.databases.ini
// ([databases], [peers]), rev-<hash>.pgbouncer.ini (bare keys of [pgbouncer]; the last line is the
// marker `syslog_ident = <hash>`, which a pod shows in SHOW CONFIG once it has loaded everything
// before it) and rev-<hash>.userlist.txt. Certificates and keys are in tls-<hash>.crt and .key, by
// the hash of what each holds, for all revisions whose settings name them. Per ordinal it holds
// <pod>.ini, which includes one revision. A second [pgbouncer] header would reset every key of that
// section to its default (measured on 1.24.1 and 1.26.1), so <pod>.ini has the only one.
//
// With spec.pgbouncer.auth.mode Query no user is forced: each client is looked up, and logs in to
// the server as itself. [databases] has a second entry, for the lookups alone: one connection, and
// no client but the auth user comes in by its name, because nobody is looked up for it.
// userlist.txt has the auth user, with the password that PgBouncer logs in with, and the operator's
// own. Entries of userlist.txt neither go nor change their kind in a live process (1.26.1 lets a
// user that was taken out log in with the old password, and both versions keep keys of the kind
// before, measured): what would need that is a new process, see reload_obstacle().
//
// A running process takes another revision by RELOAD, where reload_obstacle() has nothing against
// it. Certificates too; one that it can't load it passes over, with the new marker all the same
// (measured): what it shows its clients is looked at besides, see shown_certificate().
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/pooler_config.h"
#include "base/certificates.h"
#include "engine/secrets.h"
#include "urls/connection.h"

namespace pooler::engine::pgbouncer {

inline constexpr int kPort = 6432;
inline constexpr std::string_view kMountPath = "/etc/pgbouncer";
using engine::kAdminUser;  // admin_users
// Room for a client's own password in userlist.txt on 1.24.1 (measured).
inline constexpr std::size_t kMaxPasswordBytes = 996;

// Looks up the others in mode Query; may be the database's own user.
struct AuthUser {
  std::string name;
  std::string password;
};

struct Inputs {
  urls::Connection database;
  Admin admin;
  // Server connections that each ordinal owns, least_floor() or more. All go to the database as
  // default_pool_size and max_db_connections, which in mode Query all users share; there one is
  // kept for the lookups.
  int floor = 1;
  // That reads the files: what one image could not load is a new revision for another.
  std::string image;
  // What clients are shown; required unless spec.clientTLS is Disabled.
  Certificates client_tls;
  AuthUser auth_user = {};  // required with spec.pgbouncer.auth.mode Query
};

struct Revision {
  std::string hash;                          // 16 hex digits of HMAC-SHA256 over the files
  std::map<std::string, std::string> files;  // name in the Secret -> bytes
};

// What PgBouncer can't take, before anything is rendered (control characters, a password that is
// too long, the admin's name as user, ...). Empty: renderable.
[[nodiscard]] std::vector<api::Problem> check(const urls::Connection& database);
// The same of the auth user.
[[nodiscard]] std::vector<api::Problem> check(const AuthUser& user);

// The smallest Inputs::floor that can be rendered.
[[nodiscard]] int least_floor(const api::PoolerConfig& config);

// The number of ordinals that may ever exist: maxReplicas and one spare for single-replica
// roll-outs.
[[nodiscard]] int ordinals(const api::PoolerConfig& config);

// Requires check() and check_parameters() to be empty.
[[nodiscard]] Revision render(const api::PoolerConfig& config, const Inputs& inputs);

// The name of the database at the pooler, and so in the published URL: its own, where PgBouncer can
// have it as a key of [databases] ([A-Za-z0-9_.-], and neither "pgbouncer", which is the console,
// nor "pooler_operator_auth", which is for the lookups), else "app".
[[nodiscard]] std::string client_database_name(const urls::Connection& database);

[[nodiscard]] std::string pod_name(const api::PoolerConfig& config, int ordinal);
[[nodiscard]] std::string pod_file_name(const api::PoolerConfig& config,
                                        int ordinal);  // "<pod>.ini"
// What a pod shows in SHOW CONFIG once it has loaded its file: the revision's hash, or
// "<hash>+<other>" where the file was pointed back to <hash> because the pod could not load
// <other>. The second form is a marker of its own, so that it proves that the pod has read its file
// since.
[[nodiscard]] std::string back_marker(std::string_view hash, std::string_view rejected);
[[nodiscard]] std::string revision_of(std::string_view marker);
[[nodiscard]] std::string rejected_of(std::string_view marker);  // empty in the first form

[[nodiscard]] std::string pod_file(int ordinal, std::string_view marker);
// The marker that a <pod>.ini leads to; empty where the text is none of ours.
[[nodiscard]] std::string marker_of_pod_file(std::string_view text);

// Why a process that runs revision `before` must not be brought to `after` by RELOAD: a setting
// that is read at the start only; a database or user that goes, whose clients would be cut or could
// still log in; another share of the server's connections, of which RELOAD closes none. Empty:
// RELOAD it. `files`: of the config Secret, with the files of both.
[[nodiscard]] std::string reload_obstacle(const std::map<std::string, std::string>& files,
                                          std::string_view before, std::string_view after);
// The Inputs::floor of a revision's pgbouncer.ini; nullopt where the text is none of ours.
[[nodiscard]] std::optional<int> floor_of(std::string_view pgbouncer_ini);
// Names of those of `files` that a process with this revision reads.
[[nodiscard]] std::set<std::string> files_of(const std::map<std::string, std::string>& files,
                                             std::string_view hash);
// What a process with this revision has for TLS, out of the Secret: no authorities where it trusts
// those of its image. nullopt: the revision is not among `files`.
struct RevisionTls {
  std::string server_sslmode;
  Certificates server;
  Certificates clients;
};
[[nodiscard]] std::optional<RevisionTls> tls_of(const std::map<std::string, std::string>& files,
                                                std::string_view hash);
// Fingerprint of the certificate that a process with this revision shows its clients; empty: it
// encrypts nothing. nullopt: the revision is not among `files`.
[[nodiscard]] std::optional<std::string> shown_certificate(
    const std::map<std::string, std::string>& files, std::string_view hash);
// Name of the Secret key of a revision's pgbouncer.ini.
[[nodiscard]] std::string settings_file_name(std::string_view hash);
// "rev-<hash>." -> hash, for every revision that has files among `names`.
[[nodiscard]] std::vector<std::string> revisions_in(
    const std::map<std::string, std::string>& files);

}  // namespace pooler::engine::pgbouncer
