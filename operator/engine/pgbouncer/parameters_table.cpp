// The table of parameters.h. Names, restart-only flags and initial values are PgBouncer's; ranges
// are ours: what no pooler needs is taken for a slip, and what would cut the operator off from its
// own pods is refused.
#include <algorithm>
#include <array>

#include "engine/pgbouncer/parameters.h"

namespace pooler::engine::pgbouncer {
namespace {

using Kind = Setting::Kind;

constexpr std::int64_t kMaxSeconds = 2'147'483;  // 24 days
constexpr std::int64_t kMaxInt = 2'147'483'647;

constexpr Setting flag(std::string_view name, std::string_view initial, std::string_view what) {
  return {.name = name, .kind = Kind::kFlag, .initial = initial, .what = what};
}

constexpr Setting number(std::string_view name, std::int64_t lowest, std::int64_t highest,
                         std::string_view initial, std::string_view what) {
  return {.name = name,
          .kind = Kind::kNumber,
          .lowest = lowest,
          .highest = highest,
          .initial = initial,
          .what = what};
}

constexpr Setting seconds(std::string_view name, std::int64_t lowest, std::int64_t highest,
                          std::string_view initial, std::string_view what) {
  Setting setting = number(name, lowest, highest, initial, what);
  setting.kind = Kind::kSeconds;
  return setting;
}

constexpr Setting text(std::string_view name, std::string_view initial, std::string_view what) {
  return {.name = name, .kind = Kind::kText, .initial = initial, .what = what};
}

constexpr Setting names(std::string_view name, std::string_view initial, std::string_view what) {
  return {.name = name, .kind = Kind::kNames, .initial = initial, .what = what};
}

constexpr Setting owned(std::string_view name, std::string_view why) {
  return {.name = name, .owned = why};
}

constexpr Setting at_start(Setting setting) {
  setting.restart_only = true;
  return setting;
}

constexpr Setting since(std::string_view version, Setting setting) {
  setting.since = version;
  return setting;
}

constexpr Setting until(std::string_view version, Setting setting) {
  setting.gone = version;
  return setting;
}

constexpr Setting other_in_124(std::string_view initial, Setting setting) {
  setting.initial_in_124 = initial;
  return setting;
}

constexpr std::string_view kBudget = "spec.budget.serverConnections decides it";
constexpr std::string_view kClients = "spec.scaling.clientsPerReplica decides it";
constexpr std::string_view kLogins = "spec.pgbouncer.auth decides who may log in";
constexpr std::string_view kClientTls = "TLS with clients is set up by spec.clientTLS";
constexpr std::string_view kServerTls = "TLS with the server is set up by spec.database.tls";
constexpr std::string_view kLog = "the log is the pod's standard error";
constexpr std::string_view kNoSocket = "the pods have no Unix socket";

constexpr std::array kTable = {
    owned("admin_users", "the console is the operator's own"),
    flag("application_name_add_host", "0",
         "adds the client's address and port to its `application_name`"),
    owned("auth_dbname", kLogins),
    owned("auth_file", kLogins),
    owned("auth_hba_file", kLogins),
    owned("auth_ident_file", kLogins),
    since("1.25", owned("auth_ldap_options", kLogins)),
    owned("auth_query", kLogins),
    owned("auth_type", "it is always scram-sha-256"),
    owned("auth_user", kLogins),
    owned("autodb_idle_timeout", "no database is made on demand"),
    seconds("cancel_wait_timeout", 0, kMaxSeconds, "10",
            "how long a cancel request waits for a connection to the server; 0: for ever"),
    seconds("client_idle_timeout", 0, kMaxSeconds, "0",
            "a client that has not asked anything for so long is disconnected; 0: never"),
    seconds("client_login_timeout", 5, 3600, "60",
            "who has not logged in after so long is disconnected; with 0 a stranger could take "
            "every place"),
    since("1.25", owned("client_tls13_ciphers", kClientTls)),
    owned("client_tls_ca_file", kClientTls),
    owned("client_tls_cert_file", kClientTls),
    owned("client_tls_ciphers", kClientTls),
    owned("client_tls_dheparams", kClientTls),
    owned("client_tls_ecdhcurve", kClientTls),
    owned("client_tls_key_file", kClientTls),
    owned("client_tls_protocols", kClientTls),
    owned("client_tls_sslmode", kClientTls),
    owned("conffile", "it is the file that the operator writes"),
    owned("default_pool_size", kBudget),
    at_start(owned("disable_pqexec",
                   "it would lock the operator out: its own queries use the simple protocol")),
    seconds("dns_max_ttl", 0, 3600, "15",
            "how long an address is believed; a longer time delays the way to a new primary"),
    seconds("dns_nxdomain_ttl", 0, 3600, "15",
            "the same for a name that has no address: of a replica, above all, that has just "
            "begun"),
    seconds("dns_zone_check_period", 0, kMaxSeconds, "0",
            "how often the serial number of a DNS zone is looked at; 0: never"),
    seconds("idle_transaction_timeout", 0, kMaxSeconds, "0",
            "a client that leaves a transaction open and idle for so long is disconnected; 0: "
            "never"),
    names("ignore_startup_parameters", "",
          "what a client may send at its login without being refused for it; the list takes the "
          "place of the operator's and has to name `options`, without which anyone can make "
          "PgBouncer before 1.26.1 hang (CVE-2026-107349)"),
    at_start(owned("job_name", "it has no effect in a pod")),
    at_start(owned("listen_addr", "the Service leads to all addresses of the pod")),
    at_start(number("listen_backlog", 16, 65535, "128",
                    "connections that the kernel keeps waiting to be accepted; it may keep fewer")),
    at_start(owned("listen_port", "the Service leads to it")),
    flag("log_connections", "1", "logs each login"),
    flag("log_disconnections", "1", "logs each end of a connection, with the reason"),
    flag("log_pooler_errors", "1", "logs the errors that clients are sent"),
    flag("log_stats", "1", "logs figures once a minute"),
    owned("logfile", kLog),
    since("1.26", text("login_notify_message", "", "a notice that each client gets at its login")),
    owned("max_client_conn", kClients),
    owned("max_db_client_connections", kClients),
    owned("max_db_connections", kBudget),
    number("max_packet_size", 1024, kMaxInt, "2147483647",
           "bytes of the largest query or row; a client or server that sends more is "
           "disconnected"),
    number("max_prepared_statements", 0, 10000, "200",
           "statements prepared through the protocol that are kept on each connection to the "
           "server; 0: clients must not prepare any"),
    owned("max_user_client_connections", kClients),
    owned("max_user_connections", kBudget),
    owned("min_pool_size", kBudget),
    owned("peer_id", "it is the pod's number"),
    at_start(owned("pidfile", "the pods' file system is read-only")),
    at_start(number("pkt_buf", 1024, 65536, "4096", "bytes of the buffer of each busy connection")),
    since("1.26", seconds("pool_idle_timeout", 0, kMaxSeconds, "0",
                          "a pool that nobody has used for so long is forgotten, with its figures; "
                          "0: never")),
    owned("pool_mode", "spec.poolMode decides it"),
    seconds("query_timeout", 0, kMaxSeconds, "0",
            "a query that takes longer is cut, with its client; 0: never. `statement_timeout` of "
            "the role is the gentler way"),
    since("1.25", number("query_wait_notify", 0, 3600, "5",
                         "a client that waits for a connection is told so after so many seconds; "
                         "0: never")),
    seconds("query_wait_timeout", 0, kMaxSeconds, "120",
            "a client that has waited so long for a connection to the server is disconnected; 0: "
            "never"),
    owned("reserve_pool_size", kBudget),
    owned("reserve_pool_timeout", kBudget),
    at_start(owned("resolv_conf", "it is the pod's own")),
    number("sbuf_loopcnt", 0, 1000, "5",
           "how often one connection is read before it is another's turn; 0: until it is empty"),
    since("1.25", number("scram_iterations", 4096, 100000, "4096",
                         "iterations of the SCRAM secrets that PgBouncer makes for logins; more "
                         "cost processor time")),
    seconds("server_check_delay", 0, kMaxSeconds, "30",
            "a connection to the server that was idle for longer is checked before it is used "
            "again"),
    other_in_124("select 1", text("server_check_query", "<empty>",
                                  "the query of that check; nothing: no check; `<empty>`, from "
                                  "1.25: an empty query")),
    seconds("server_connect_timeout", 1, 3600, "15",
            "a server that has not let PgBouncer in after so long counts as failed"),
    flag("server_fast_close", "0",
         "in mode session: after a change of the database's address, connections to the old one "
         "end with the transaction, not with the client"),
    seconds("server_idle_timeout", 0, kMaxSeconds, "600",
            "a connection to the server that was idle for so long is closed; 0: never"),
    seconds("server_lifetime", 0, kMaxSeconds, "3600",
            "a connection to the server that is older is closed when it is idle; 0: after one "
            "use"),
    seconds("server_login_retry", 0, 3600, "15",
            "after a login that has failed the server is left alone for so long"),
    text("server_reset_query", "DISCARD ALL",
         "SQL that is sent when a client gives a connection back, in mode session"),
    flag("server_reset_query_always", "0", "sends it in the other modes too"),
    flag("server_round_robin", "0",
         "takes the connections to the server in turn; else the one used last, so that the "
         "others can go"),
    since("1.25", owned("server_tls13_ciphers", kServerTls)),
    owned("server_tls_ca_file", kServerTls),
    owned("server_tls_cert_file", kServerTls),
    owned("server_tls_ciphers", kServerTls),
    owned("server_tls_key_file", kServerTls),
    owned("server_tls_protocols", kServerTls),
    owned("server_tls_sslmode", kServerTls),
    at_start(owned("so_reuseport", "a pod has one process")),
    owned("stats_period", "the operator reads the figures"),
    owned("stats_users", "the console is the operator's own"),
    until("1.26", owned("suspend_timeout", "the operator suspends nobody")),
    owned("syslog", kLog),
    owned("syslog_facility", kLog),
    owned("syslog_ident", "it carries the operator's marker of what is loaded"),
    flag("tcp_defer_accept", "1",
         "a connection is accepted when the client has sent something, not before"),
    flag("tcp_keepalive", "1", "has the kernel look after idle connections"),
    number("tcp_keepcnt", 0, 127, "0", "lost probes that end a connection; 0: the kernel's number"),
    number("tcp_keepidle", 0, 32767, "0", "seconds to the first probe; 0: the kernel's number"),
    number("tcp_keepintvl", 0, 32767, "0", "seconds between probes; 0: the kernel's number"),
    number("tcp_socket_buffer", 0, 16'777'216, "0",
           "bytes that the kernel buffers for a connection; 0: the kernel decides"),
    number("tcp_user_timeout", 0, kMaxInt, "0",
           "milliseconds that sent data may stay unconfirmed; 0: the kernel decides"),
    at_start(other_in_124("IntervalStyle",
                          names("track_extra_parameters", "",
                                "further session settings that follow a client from connection to "
                                "connection, where Postgres reports them; 1.26 follows all that it "
                                "reports"))),
    since("1.25", seconds("transaction_timeout", 0, kMaxSeconds, "0",
                          "a transaction that takes longer is cut, with its client; 0: never")),
    at_start(owned("unix_socket_dir", kNoSocket)),
    at_start(owned("unix_socket_group", kNoSocket)),
    at_start(owned("unix_socket_mode", kNoSocket)),
    at_start(owned("user", "it is the pod's numeric user")),
    owned("verbose", "it would write into the log what clients send"),
};

static_assert(std::is_sorted(kTable.begin(), kTable.end(),
                             [](const Setting& a, const Setting& b) { return a.name < b.name; }));

}  // namespace

std::span<const Setting> all_settings() { return kTable; }

const Setting* find_setting(std::string_view name) {
  const auto found =
      std::lower_bound(kTable.begin(), kTable.end(), name,
                       [](const Setting& each, std::string_view key) { return each.name < key; });
  return found != kTable.end() && found->name == name ? &*found : nullptr;
}

}  // namespace pooler::engine::pgbouncer
