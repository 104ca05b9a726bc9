// PoolerConfig (pooler.dev/v1alpha1) as C++ values. crds/poolerconfigs.yaml is the source of the
// field names, defaults and ranges; decode() fills the same defaults in, because an object may have
// been stored by an older CRD, and validate() repeats the CRD's rules for the same reason.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/status.h"
#include "base/result.h"

namespace pooler::api {

inline constexpr std::string_view kGroup = "pooler.dev";
inline constexpr std::string_view kApiVersion = "pooler.dev/v1alpha1";
inline constexpr std::string_view kKind = "PoolerConfig";
inline constexpr std::string_view kPlural = "poolerconfigs";
// Label on every object and pod of a PoolerConfig; its value is the PoolerConfig's name.
inline constexpr std::string_view kNameLabel = "pooler.dev/poolerconfig";
// Annotation: "disabled" stops everything for one object (its pods go on).
inline constexpr std::string_view kReconcileAnnotation = "pooler.dev/reconcile";

// Annotation on a published Secret without an owner (deletionPolicy Retain): uid of the
// PoolerConfig that wrote it.
inline constexpr std::string_view kOwnerUidAnnotation = "pooler.dev/owner-uid";

// A StatefulSet's pods carry its name and a revision hash in a label of at most 63 characters.
inline constexpr std::size_t kMaxNameLength = 45;
inline constexpr int kMaxReplicas = 1000;

enum class Engine { kPgBouncer, kSupabase };
enum class PoolMode { kTransaction, kSession, kStatement };
enum class ScalingMode { kManual };
enum class ServiceType { kClusterIp, kLoadBalancer };

// Names of the keys in the database Secret.
struct SecretKeys {
  std::string uri = "uri";
  std::string host = "host";
  std::string port = "port";
  std::string dbname = "dbname";
  std::string user = "username";
  std::string password = "password";
  bool operator==(const SecretKeys&) const = default;
};

// TLS to the database. Empty names: not given.
struct DatabaseTls {
  enum class Mode { kDisable, kPrefer, kRequire, kVerifyCa, kVerifyFull };
  std::optional<Mode> mode;
  std::string ca_secret;
  std::string ca_key = "ca.crt";
  std::string client_secret;  // of type kubernetes.io/tls
};
// With an authority VerifyFull is the default. nullopt: what the database's URI says, else Prefer.
[[nodiscard]] std::optional<DatabaseTls::Mode> mode_of(const DatabaseTls& tls);
[[nodiscard]] std::string_view to_string(DatabaseTls::Mode mode);  // as libpq's sslmode has it

// TLS between clients and pooler.
struct ClientTls {
  enum class Mode { kDisabled, kOptional, kRequired };
  std::optional<Mode> mode;
  std::string secret;  // of type kubernetes.io/tls; empty: not given
  bool operator==(const ClientTls&) const = default;
};
// Required is the default with a Secret, Disabled without.
[[nodiscard]] ClientTls::Mode mode_of(const ClientTls& tls);

// Keys of a Secret of type kubernetes.io/tls; cert-manager adds the last one.
inline constexpr const char* kCertificateKey = "tls.crt";
inline constexpr const char* kPrivateKeyKey = "tls.key";
inline constexpr const char* kAuthoritiesKey = "ca.crt";

// The Postgres server behind the pooler. Inline values win over the Secret's discrete keys, those
// over its URI; the password comes only from the Secret. Empty string: not given.
struct Database {
  std::string secret_name;
  SecretKeys keys;
  std::string host;
  std::optional<int> port;
  std::string name;
  std::string user;
  DatabaseTls tls;
};

struct Scaling {
  ScalingMode mode = ScalingMode::kManual;
  int max_replicas = 10;           // 1..1000
  int clients_per_replica = 1000;  // 1..100000, the scaling unit
  bool operator==(const Scaling&) const = default;
};

struct Budget {
  std::optional<int> server_connections;  // over all replicas, at any instant; >= 1
  int direct_reserve_percent = 20;        // 0..90, of what the server has
  bool operator==(const Budget&) const = default;
};

struct Drain {
  int endpoint_propagation_seconds = 5;  // 1..300
  int max_transaction_seconds = 60;      // 1..86400
  bool operator==(const Drain&) const = default;
};

// The way in that a key of the published Secret leads to.
enum class Way { kPooled, kDirect };
enum class Format {
  kUri,
  kJdbc,
  kNpgsql,
  kPgpass,
  kLibpq,
  kSqlAlchemyAsyncpg,
  kHost,
  kPort,
  kUsername,
  kPassword,
  kDatabase,
};
// Whose names the environment variables have: operator/urls/published.cpp has the table.
enum class Preset { kSupabase, kPrisma, kNeon, kHeroku, kNone };
// Verified: not before a query through the pooler with these credentials has worked. Immediate: as
// soon as it is known, for an operator that has no way to the pooler.
enum class PublishPolicy { kVerified, kImmediate };
// Retain: the Secret survives its PoolerConfig.
enum class DeletionPolicy { kDelete, kRetain };

using Texts = std::map<std::string, std::string>;

struct PublishedKey {
  std::string name;
  Way url = Way::kPooled;
  Format format = Format::kUri;
  bool operator==(const PublishedKey&) const = default;
};

// The Secret that applications read.
struct ConnectionSecret {
  std::string name;                             // never empty after decode: "<name>-pooler"
  std::optional<PublishPolicy> publish_policy;  // publishes_at_once() has the default
  DeletionPolicy deletion_policy = DeletionPolicy::kDelete;
  Preset preset = Preset::kSupabase;
  std::vector<PublishedKey> keys;  // extra ones, or in place of those that there are anyway
  // Added to the URLs; an empty value removes one. Names as libpq has them.
  Texts pooled_parameters;
  Texts direct_parameters;
  Texts labels;
  Texts annotations;
};

// The Service that leads to the pooler.
struct Service {
  ServiceType type = ServiceType::kClusterIp;
  int port = 6432;            // of the Service; the pods keep theirs
  Texts annotations;          // none of pooler.dev: validate() refuses those
  std::string external_host;  // in the pooled URLs instead of the Service's name; empty: not given
  bool operator==(const Service&) const = default;
};

// Who may connect to the pods, where the cluster's network enforces it.
struct NetworkPolicy {
  bool enabled = false;
  // JSON list of NetworkPolicyPeers with the fields of the CRD: the clients. Empty: the pods of the
  // PoolerConfig's namespace.
  std::string from = "[]";
  bool operator==(const NetworkPolicy&) const = default;
};

// Who may log in at the pooler, and as whom that is at the server.
struct PoolerAuth {
  // User: the database's user alone, as which every query runs. Query: every role that the query
  // finds, each as itself.
  enum class Mode { kUser, kQuery } mode = Mode::kUser;
  // Only with mode Query. The Secret with the login of the role that runs the query; empty name:
  // the database's own user runs it.
  std::string user_secret;
  std::string user_key = "username";
  std::string password_key = "password";
  std::string query;  // with $1 for the name that a client gives; empty: the engine's default
  bool operator==(const PoolerAuth&) const = default;
};

struct PgBouncer {
  std::string image;  // empty: the operator's default
  Texts parameters;   // of its section [pgbouncer]; the engine knows which there are
  PoolerAuth auth;
  bool paused = false;  // clients wait, and no server connection is held
  bool operator==(const PgBouncer&) const = default;
};

// Where the direct URL of a Supabase project leads: to the database itself, which has an IPv6
// address alone unless the IPv4 add-on is bought, or to the pooler's session mode, which has IPv4.
enum class SupabaseDirect { kDirect, kSessionPooler };

// A hosted project of Supabase, which runs its own pooler.
struct Supabase {
  std::string project_ref;  // 20 lower-case letters
  std::string pooler_host;  // empty: the Management API tells it
  SupabaseDirect direct = SupabaseDirect::kDirect;
  // Secret of the same namespace with a token of the Management API; empty name: none.
  std::string token_secret_name;
  std::string token_secret_key = "token";
};

struct Spec {
  Database database;
  Engine engine = Engine::kPgBouncer;
  PoolMode pool_mode = PoolMode::kTransaction;
  Scaling scaling;
  std::optional<int> replicas;  // 0..max_replicas; required in mode Manual; 0 stops the pooler
  Budget budget;
  ConnectionSecret connection_secret;
  PgBouncer pgbouncer;
  std::optional<Supabase> supabase;  // with engine Supabase, and only then
  ClientTls client_tls;
  Drain drain;
  Service service;
  NetworkPolicy network_policy;
  bool pod_disruption_budget = true;  // one is made while there is more than one replica
  // What the user adds to the pods: a JSON object with the fields that the CRD has, each of its
  // type. Whether their values make sense together is the API server's to say.
  std::string pod = "{}";
};

// What a user got wrong, in the words of a condition: reason, the field's path and the remedy.
struct Problem {
  std::string reason;   // one of reason:: in api/status.h
  std::string field;    // "spec.budget.serverConnections"; may be empty
  std::string message;  // what is wrong and how to mend it; never a Secret's value
  bool operator==(const Problem&) const = default;
};

struct PoolerConfig {
  std::string name;
  std::string ns;
  std::string uid;
  std::string resource_version;
  std::int64_t generation = 0;
  bool deleting = false;
  bool reconcile_disabled = false;
  Spec spec;
  Status status;  // as last written; what the operator knew before a restart
  // Fields of spec that do not fit the schema (a CRD of another version): they have their defaults
  // here, and validate() reports them.
  std::vector<Problem> unreadable;
};

// One object as the API server sends it. Error: this is no object of this kind at all (no JSON, no
// name). What does not fit in spec is in `unreadable`, so that a condition can say so; what does
// not fit in status is as if it were absent, because status is written anew.
[[nodiscard]] Result<PoolerConfig, std::string> decode(std::string_view json);

// The rules of the CRD once more, and those that it can't express. Empty: valid.
[[nodiscard]] std::vector<Problem> validate(const PoolerConfig& config);

// Names of the Secrets with certificates that are in use, each once.
[[nodiscard]] std::vector<std::string> certificate_secrets(const Spec& spec);

[[nodiscard]] std::string_view to_string(Engine engine);
[[nodiscard]] std::string_view to_string(PoolMode mode);  // as PgBouncer writes it

// Whether the Secret is written as soon as the URLs are known: publishPolicy, which is Verified for
// the poolers that we run and Immediate for others' where it is not given.
[[nodiscard]] bool publishes_at_once(const Spec& spec);

// "aws-1-eu-central-1.pooler.supabase.com". Which one is a project's can't be worked out.
[[nodiscard]] bool is_supabase_pooler_host(std::string_view host);
[[nodiscard]] bool is_supabase_project_ref(std::string_view text);

// spec.pgbouncer.auth.mode Query.
[[nodiscard]] bool has_many_users(const Spec& spec);

// Names that https://servicebinding.io gives a meaning: they are the pooled way in, whatever else
// the Secret holds.
[[nodiscard]] bool is_binding_key(std::string_view name);

}  // namespace pooler::api
