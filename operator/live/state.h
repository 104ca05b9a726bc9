// What is known of one PoolerConfig's database and pods by asking them: the only thing that the
// live loop and the reconcile loop share. Unknown is a value of its own, never a zero.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "urls/connection.h"

namespace pooler::live {

// Is the thing that was asked fine?
enum class Outcome { kUnknown, kOk, kFailed };

// What a login to the database told.
struct Server {
  std::string identity;  // "<inet_server_addr>:<port>" as the server itself says: same for every
                         // PoolerConfig that ends at this server, whatever name it uses
  int version_num = 0;   // 170004
  int max_connections = 0;
  int superuser_reserved_connections = 0;
  int reserved_connections = 0;       // 0 before Postgres 16
  std::optional<int> role_limit;      // ALTER ROLE ... CONNECTION LIMIT; nullopt: none
  std::optional<int> database_limit;  // ALTER DATABASE ... CONNECTION LIMIT; nullopt: none
  bool in_recovery = false;
  bool read_only = false;  // new transactions can't write: in recovery, or by its settings
  bool operator==(const Server&) const = default;
};

struct DatabaseState {
  std::string token;  // of the target that was asked, so that an old answer is not taken for a new
  Outcome outcome = Outcome::kUnknown;
  std::string reason;   // api::reason, when failed
  std::string message;  // for people; never a password
  // Last answer for this token; it stays when the database goes down later.
  std::optional<Server> server;
  // How often, for this token, the name has led to another server or the server's writability has
  // changed, and the last time in words: pooled connections may be at the wrong end since.
  int moves = 0;
  std::string last_move;
  bool refused = false;  // failed for the password, which is not tried for a while
  bool operator==(const DatabaseState&) const = default;
};

struct PodState {
  Outcome outcome = Outcome::kUnknown;  // could its console be asked?
  std::string message;                  // why not
  bool login_refused = false;           // it answered and refused our login: it runs with another
                                        // admin password than the one of today
  std::string marker;                   // that it shows: what it has really loaded, with its
                                        // certificate
  std::string version;                  // "1.26.1"
  struct Reload {
    std::string marker;   // PodTarget::reload_to; empty: none was asked for
    int nudges = 0;       // how often two seconds have passed without it
    bool failed = false;  // it could not be loaded; not tried any more
    std::string message;  // why
    bool operator==(const Reload&) const = default;
  } reload;
  // Whether clients are served. Pausing: they wait, and transactions that were open still hold
  // server connections.
  enum class Flow { kUnknown, kServing, kPausing, kPaused } flow = Flow::kUnknown;
  bool operator==(const PodState&) const = default;
};

struct VerificationState {
  std::string token;
  Outcome outcome = Outcome::kUnknown;
  std::string reason;  // VerificationFailed, OperatorCannotReachPooler
  std::string message;
  bool persistent = false;  // failed again and again, for ten seconds or more
  bool refused = false;     // as of DatabaseState
  bool operator==(const VerificationState&) const = default;
};

// Can users be looked up?
struct AuthState {
  std::string token;
  Outcome outcome = Outcome::kUnknown;
  std::string field;    // of the spec, where that can be mended
  std::string message;  // why not; nothing of what the query answers
  bool operator==(const AuthState&) const = default;
};

struct LiveState {
  DatabaseState database;
  AuthState auth;
  std::map<std::string, PodState> pods;  // by pod uid
  VerificationState verification;
  bool operator==(const LiveState&) const = default;
};

// What to watch for one PoolerConfig. A token is any string that changes when the rest changes.
struct DatabaseTarget {
  urls::Connection connection;
  std::string token;
  // How long no login with this password is tried after one was refused: some providers ban an
  // address that tries again. Zero: as after any other failure.
  Duration refusal_pause{};
  // The password is known to have been refused, by an operator before this one.
  bool refused_before = false;
  // For whom else a refusal counts: all logins that have the same. Only with a pause.
  std::string refusal_scope = {};
};

// The query of spec.pgbouncer.auth, asked once at the database itself.
struct AuthTarget {
  urls::Connection connection;  // as the role that runs the query
  std::string token;
  std::string question;  // engine::pgbouncer::auth_question()
  std::string user;      // that has to be found; empty: an answer is enough
};

struct PodTarget {
  std::string uid;
  std::string name;
  std::string address;  // IP, no brackets; its console is at port
  int port = 6432;
  // Where not empty: RELOAD until it shows this marker.
  std::string reload_to;
  // DatabaseState::moves. When it grows, the pod RECONNECTs: server connections are replaced as
  // their transactions end. nullopt: no news.
  std::optional<int> moves;
  bool paused = false;
  // Its query_wait_timeout as its files have it, in seconds; empty: not known.
  std::string wait_limit;
  // Revision -> fingerprint of the certificate that it shows with it; an empty text where it
  // encrypts nothing. A revision that is not there is believed.
  std::map<std::string, std::string> certificates = {};
};

struct ConsoleLogin {
  std::string user;
  std::string password;
};

// One SELECT 1 through the pooler, with the published credentials.
struct VerificationTarget {
  urls::Connection connection;  // as published: host is the Service's name
  // The Service's cluster IP, or a pod's: no DNS on the way. Empty: the name is looked up.
  std::string address;
  std::string token;
  // Fingerprint of the certificate that the pooler must show; empty: whatever it shows. Where the
  // connection says sslmode=disable it is not looked at.
  std::string certificate = {};
  Duration refusal_pause{};  // both as of DatabaseTarget
  std::string refusal_scope = {};
};

struct LiveTarget {
  std::optional<DatabaseTarget> database;
  std::optional<AuthTarget> auth;
  ConsoleLogin console;
  std::vector<PodTarget> pods;
  std::optional<VerificationTarget> verification;
};

}  // namespace pooler::live
