#include "engine/pgbouncer/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "engine/pgbouncer/workload.h"
#include "fault/certificates.h"
#include "unit/engine/rendered.h"

namespace pooler::engine::pgbouncer {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

api::PoolerConfig orders(int max_replicas = 3) {
  api::PoolerConfig config;
  config.name = "orders";
  config.ns = "shop";
  config.spec.scaling.max_replicas = max_replicas;
  return config;
}

urls::Connection database() {
  return {
      .hosts = {{"db.example.com", 5433}}, .database = "orders", .user = "app", .password = "pw"};
}

Admin admin() { return make_admin(std::string(kAdminRandomBytes, 'r')); }

Inputs inputs(urls::Connection connection = database()) {
  return {.database = std::move(connection), .admin = admin(), .floor = 5};
}

std::string file(const Revision& revision, const std::string& suffix) {
  return revision.files.at("rev-" + revision.hash + suffix);
}

TEST(Render, WritesTheseFiles) {
  const Revision revision = render(orders(), inputs());
  EXPECT_EQ(file(revision, ".databases.ini"),
            "[databases]\n"
            "orders = host='db.example.com' port='5433' dbname='orders' user='app'\n"
            "\n"
            "[peers]\n"
            "1 = host='orders-pooler-0.orders-pooler-peers.shop.svc' port='6432'\n"
            "2 = host='orders-pooler-1.orders-pooler-peers.shop.svc' port='6432'\n"
            "3 = host='orders-pooler-2.orders-pooler-peers.shop.svc' port='6432'\n"
            "4 = host='orders-pooler-3.orders-pooler-peers.shop.svc' port='6432'\n");
  EXPECT_EQ(file(revision, ".userlist.txt"),
            "\"app\" \"pw\"\n\"pooler_operator\" \"" + admin().verifier + "\"\n");
  EXPECT_EQ(file(revision, ".pgbouncer.ini"),
            "listen_addr = *\n"
            "listen_port = 6432\n"
            "listen_backlog = 4096\n"
            "unix_socket_dir =\n"
            "auth_type = scram-sha-256\n"
            "admin_users = pooler_operator\n"
            "pool_mode = transaction\n"
            "max_client_conn = 4000\n"
            "default_pool_size = 5\n"
            "max_db_connections = 5\n"
            "min_pool_size = 0\n"
            "reserve_pool_size = 0\n"
            "server_tls_sslmode = prefer\n"
            "server_tls_ca_file = /etc/ssl/certs/ca-certificates.crt\n"
            "server_login_retry = 1\n"
            "query_wait_timeout = 30\n"
            "dns_max_ttl = 2\n"
            "dns_nxdomain_ttl = 2\n"
            "log_connections = 0\n"
            "log_disconnections = 0\n"
            "ignore_startup_parameters = extra_float_digits,options,search_path\n"
            "max_prepared_statements = 200\n"
            "auth_file = /etc/pgbouncer/rev-" +
                revision.hash + ".userlist.txt\n" + "syslog_ident = " + revision.hash + "\n");
}

TEST(Render, ReadsBackForEveryHostileText) {
  std::string ascii;
  for (char c = 32; c < 127; ++c) ascii += c;
  for (const std::string& text :
       {std::string("p@:/?#%& \"'\\"), std::string("pässwörd"), std::string("\u00AD\u2163"), ascii,
        std::string("'"), std::string("\""), std::string("\\"), std::string(" x "),
        std::string("[databases]"), std::string("%include /etc/passwd"), std::string(";"),
        std::string("a = b"), std::string("' host='evil"), std::string("\" \"x")}) {
    urls::Connection connection = database();
    connection.password = text;
    connection.user = text.substr(0, 60);
    connection.database = text.substr(0, 60);
    if (!check(connection).empty()) continue;  // cut within a character
    const Inputs in = inputs(connection);
    EXPECT_EQ(RenderedFiles(orders(), in, render(orders(), in)).fault(), "") << text;
  }
  urls::Connection connection = database();
  connection.password = std::string(kMaxPasswordBytes, '"');
  const Inputs in = inputs(connection);
  EXPECT_EQ(RenderedFiles(orders(), in, render(orders(), in)).fault(), "");
}

TEST(Render, FollowsTheSpec) {
  api::PoolerConfig config = orders();
  config.spec.pool_mode = api::PoolMode::kSession;
  config.spec.scaling.clients_per_replica = 250;
  urls::Connection connection = database();
  connection.parameters = {{"sslmode", "verify-full"}};
  const std::string settings = file(render(config, inputs(connection)), ".pgbouncer.ini");
  EXPECT_THAT(settings, HasSubstr("\npool_mode = session\n"));
  EXPECT_THAT(settings, HasSubstr("\nmax_client_conn = 1000\n"));
  EXPECT_THAT(settings, HasSubstr("\nserver_tls_sslmode = verify-full\n"));
}

std::string file_named_by(const Revision& revision, const std::string& setting) {
  const auto path = setting_of(file(revision, ".pgbouncer.ini"), setting);
  return path ? path->substr(path->rfind('/') + 1) : "";
}

TEST(Render, TlsOfBothSides) {
  api::PoolerConfig config = orders();
  config.spec.client_tls.secret = "orders-tls";
  Inputs in = inputs();
  in.database.parameters = {{"sslmode", "verify-full"}};
  in.database.certificates = {"ca of the server", "for the server", "its key"};
  in.client_tls = {"ca of the pooler", "for clients", "and its key"};
  const Revision revision = render(config, in);
  EXPECT_EQ(RenderedFiles(config, in, revision).fault(), "");
  const std::string settings = file(revision, ".pgbouncer.ini");
  EXPECT_THAT(settings, HasSubstr("\nserver_tls_sslmode = verify-full\n"
                                  "client_tls_sslmode = require\n"
                                  "server_tls_ca_file = /etc/pgbouncer/tls-"));
  for (const auto& [setting, bytes] :
       std::map<std::string, std::string>{{"server_tls_ca_file", "ca of the server"},
                                          {"server_tls_cert_file", "for the server"},
                                          {"server_tls_key_file", "its key"},
                                          {"client_tls_cert_file", "for clients"},
                                          {"client_tls_key_file", "and its key"}}) {
    EXPECT_EQ(revision.files.at(file_named_by(revision, setting)), bytes) << setting;
  }
  for (const auto& [name, bytes] : revision.files) {
    EXPECT_EQ(bytes.find("ca of the pooler"), std::string::npos) << "only clients need it";
  }
  config.spec.client_tls.mode = api::ClientTls::Mode::kOptional;
  EXPECT_THAT(file(render(config, in), ".pgbouncer.ini"),
              HasSubstr("\nclient_tls_sslmode = allow\n"));
}

// PgBouncer replaces every server connection where the path is another one.
TEST(Render, CertificatesThatStayKeepTheirPath) {
  Inputs in = inputs();
  in.database.certificates = {"ca", "chain", "key"};
  const Revision before = render(orders(), in);
  api::PoolerConfig config = orders();
  config.spec.pool_mode = api::PoolMode::kSession;
  in.database.certificates.chain = "renewed";
  const Revision after = render(config, in);
  ASSERT_NE(after.hash, before.hash);
  const auto same = [&](const char* setting) {
    return file_named_by(before, setting) == file_named_by(after, setting);
  };
  EXPECT_TRUE(same("server_tls_ca_file"));
  EXPECT_TRUE(same("server_tls_key_file"));
  EXPECT_FALSE(same("server_tls_cert_file"));
  auto files = before.files;
  files.insert(after.files.begin(), after.files.end());
  for (const Revision& revision : {before, after}) {
    std::set<std::string> own;
    for (const auto& [name, bytes] : revision.files) own.insert(name);
    EXPECT_EQ(files_of(files, revision.hash), own);
  }
  in.admin.hash_key = "other";
  EXPECT_NE(file_named_by(render(config, in), "server_tls_ca_file"),
            file_named_by(after, "server_tls_ca_file"))
      << "the name tells nobody without the key what is in the file";
}

TEST(Render, OneSideOfTlsAlone) {
  Inputs in = inputs();
  in.database.certificates.chain = "for the server";
  in.database.certificates.key = "its key";
  const Revision revision = render(orders(), in);
  EXPECT_EQ(RenderedFiles(orders(), in, revision).fault(), "");
  const std::string settings = file(revision, ".pgbouncer.ini");
  EXPECT_THAT(settings, HasSubstr("server_tls_ca_file = /etc/ssl/certs/ca-certificates.crt\n"));
  EXPECT_THAT(settings, testing::Not(HasSubstr("client_tls")));
}

TEST(Render, ParametersTakeThePlaceOfWhatTheOperatorSetsOthersFollowByName) {
  const std::string plain = file(render(orders(), inputs()), ".pgbouncer.ini");
  api::PoolerConfig config = orders();
  config.spec.pgbouncer.parameters = {{"server_reset_query", ""},
                                      {"query_wait_timeout", "2.5"},
                                      {"client_idle_timeout", "60"},
                                      {"server_check_query", "SELECT 1 -- '%include x' \\"}};
  const Revision revision = render(config, inputs());
  std::string expected = plain.substr(0, plain.find("auth_file"));
  const std::string own = "query_wait_timeout = 30";
  expected.replace(expected.find(own), own.size(), "query_wait_timeout = 2.5");
  const std::string settings = file(revision, ".pgbouncer.ini");
  EXPECT_EQ(settings.substr(0, settings.find("auth_file")),
            expected +
                "client_idle_timeout = 60\n"
                "server_check_query = SELECT 1 -- '%include x' \\\n"
                "server_reset_query =\n");
  EXPECT_EQ(RenderedFiles(config, inputs(), revision).fault(), "");
}

TEST(Render, HasAPeerForEveryOrdinalAndTheSpareOne) {
  const Inputs in = inputs();
  const api::PoolerConfig config = orders(1000);
  const Revision revision = render(config, in);
  EXPECT_EQ(RenderedFiles(config, in, revision).fault(), "");
  EXPECT_THAT(file(revision, ".databases.ini"), HasSubstr("\n1001 = host="));
}

TEST(Render, ServerHosts) {
  const auto entry = [](const std::vector<urls::HostPort>& hosts,
                        std::vector<std::pair<std::string, std::string>> parameters = {}) {
    urls::Connection connection = database();
    connection.hosts = hosts;
    connection.parameters = std::move(parameters);
    const std::string text = file(render(orders(), inputs(connection)), ".databases.ini");
    const auto begin = text.find("host=");
    return text.substr(begin, text.find('\n', begin) - begin);
  };
  const std::string rest = " dbname='orders' user='app'";
  EXPECT_EQ(entry({{"fd00::1", 1}}), "host='fd00::1' port='1'" + rest);
  EXPECT_EQ(entry({{"a", 1}, {"fd00::1", 1}}),
            "host='a,fd00::1' port='1'" + rest + " load_balance_hosts='disable'");
  EXPECT_EQ(entry({{"a", 1}, {"b", 1}}, {{"load_balance_hosts", "random"}}),
            "host='a,b' port='1'" + rest);
}

TEST(Render, HashTellsEveryDifferenceAndNothingElse) {
  const auto hash = [](const api::PoolerConfig& config, const Inputs& in) {
    const std::string text = render(config, in).hash;
    EXPECT_EQ(text.size(), 16U);
    EXPECT_EQ(text.find_first_not_of("0123456789abcdef"), std::string::npos);
    return text;
  };
  const std::string before = hash(orders(), inputs());
  EXPECT_EQ(hash(orders(), inputs()), before);
  std::set<std::string> hashes = {before};
  const auto changed = [&](const std::function<void(api::PoolerConfig&, Inputs&)>& change) {
    api::PoolerConfig config = orders();
    Inputs in = inputs();
    change(config, in);
    EXPECT_TRUE(hashes.insert(hash(config, in)).second);
  };
  changed([](auto&, Inputs& in) { in.floor = 6; });
  changed([](auto&, Inputs& in) { in.database.password = "other"; });
  changed([](auto&, Inputs& in) { in.database.user = "other"; });
  changed([](auto&, Inputs& in) { in.database.database = "other"; });
  changed([](auto&, Inputs& in) { in.database.hosts.front().port = 1; });
  changed([](auto&, Inputs& in) { in.database.parameters = {{"sslmode", "disable"}}; });
  changed([](auto&, Inputs& in) { in.database.certificates.authorities = "a"; });
  changed([](auto&, Inputs& in) { in.database.certificates.authorities = "b"; });
  changed([](auto&, Inputs& in) { in.database.certificates = {"", "a", "b"}; });
  changed([](auto&, Inputs& in) { in.database.certificates = {"", "ab", ""}; });
  for (const auto mode : {api::ClientTls::Mode::kOptional, api::ClientTls::Mode::kRequired}) {
    for (const char* key : {"b", "c"}) {
      changed([mode, key](api::PoolerConfig& config, Inputs& in) {
        config.spec.client_tls = {mode, "tls"};
        in.client_tls = {"", "a", key};
      });
    }
  }
  changed([](auto&, Inputs& in) { in.admin = make_admin(std::string(kAdminRandomBytes, 's')); });
  changed([](auto&, Inputs& in) { in.admin.hash_key = "other"; });
  changed([](api::PoolerConfig& config, auto&) { config.spec.scaling.max_replicas = 4; });
  changed(
      [](api::PoolerConfig& config, auto&) { config.spec.pool_mode = api::PoolMode::kSession; });
  for (const char* value : {"100", "0"}) {
    changed([value](api::PoolerConfig& config, auto&) {
      config.spec.pgbouncer.parameters = {{"client_idle_timeout", value}};
    });
  }
  api::PoolerConfig config = orders();
  config.spec.replicas = 7;
  config.spec.pgbouncer.image = "other";
  config.spec.drain.max_transaction_seconds = 1;
  config.resource_version = "9";
  EXPECT_EQ(hash(config, inputs()), before);
}

// ---- many users

api::PoolerConfig many_users() {
  api::PoolerConfig config = orders();
  config.spec.pgbouncer.auth.mode = api::PoolerAuth::Mode::kQuery;
  return config;
}

Inputs with_lookups(const urls::Connection& connection = database()) {
  Inputs in = inputs(connection);
  in.auth_user = {"lookup", "l00k"};
  return in;
}

TEST(ManyUsers, AreLookedUpOverOneConnectionOfItsOwn) {
  const Inputs in = with_lookups();
  const Revision revision = render(many_users(), in);
  EXPECT_EQ(RenderedFiles(many_users(), in, revision).fault(), "");
  const std::string databases = file(revision, ".databases.ini");
  EXPECT_THAT(databases, HasSubstr("[databases]\n"
                                   "orders = host='db.example.com' port='5433' dbname='orders' "
                                   "auth_user='lookup' auth_dbname='pooler_operator_auth'\n"
                                   "pooler_operator_auth = host='db.example.com' port='5433' "
                                   "dbname='orders' pool_mode='transaction' pool_size='1' "
                                   "max_db_connections='1' connect_query='SET search_path = "
                                   "pg_catalog, pg_temp /* "));
  EXPECT_EQ(databases.find("l00k"), std::string::npos);
  EXPECT_EQ(file(revision, ".userlist.txt"),
            "\"lookup\" \"l00k\"\n\"pooler_operator\" \"" + admin().verifier + "\"\n");
  const std::string settings = file(revision, ".pgbouncer.ini");
  EXPECT_THAT(settings, HasSubstr("\ndefault_pool_size = 4\nmax_db_connections = 4\n"));
  EXPECT_THAT(settings, HasSubstr("\nauth_query = SELECT rolname, rolpassword FROM "
                                  "pg_catalog.pg_authid WHERE "));
  EXPECT_EQ(floor_of(settings), 5) << "one of them looks users up";
  EXPECT_EQ(least_floor(many_users()), 2);
  EXPECT_EQ(least_floor(orders()), 1);
}

TEST(ManyUsers, ReadBackForEveryHostileText) {
  std::string ascii;
  for (char c = 32; c < 127; ++c) ascii += c;
  for (const std::string& text :
       {std::string("p@:/?#%& \"'\\"), std::string("pässwörd"), ascii.substr(0, 60),
        ascii.substr(60), std::string("'"), std::string("\""), std::string(" user='x"),
        std::string("' auth_user='evil"), std::string("%include /etc/passwd"),
        std::string("\" \"x")}) {
    urls::Connection connection = database();
    connection.user = text;
    connection.database = text;
    Inputs in = with_lookups(connection);
    in.auth_user = {text, text};
    api::PoolerConfig config = many_users();
    config.spec.pgbouncer.auth.query = "SELECT $1, 'a = ''[users]'' ; # %include \"x'";
    ASSERT_EQ(check(in.auth_user).size(), 0U) << text;
    EXPECT_EQ(RenderedFiles(config, in, render(config, in)).fault(), "") << text;
  }
}

TEST(ManyUsers, HashTellsTheLoginAndTheQuery) {
  std::set<std::string> hashes = {render(orders(), with_lookups()).hash,
                                  render(many_users(), with_lookups()).hash};
  Inputs in = with_lookups();
  in.auth_user.password = "another";
  hashes.insert(render(many_users(), in).hash);
  in.auth_user.name = "another";
  hashes.insert(render(many_users(), in).hash);
  api::PoolerConfig config = many_users();
  config.spec.pgbouncer.auth.query = "SELECT $1, 'x'";
  hashes.insert(render(config, with_lookups()).hash);
  EXPECT_EQ(hashes.size(), 5U);
  EXPECT_EQ(render(orders(), with_lookups()).hash, render(orders(), inputs()).hash);
}

TEST(ManyUsers, AnotherPasswordMakesAnotherConnectionForTheLookups) {
  Inputs in = with_lookups();
  const std::string before = file(render(many_users(), in), ".databases.ini");
  in.auth_user.password = "another";
  const std::string after = file(render(many_users(), in), ".databases.ini");
  EXPECT_NE(before, after);
  EXPECT_EQ(before.substr(0, before.find("/*")), after.substr(0, after.find("/*")));
}

TEST(CheckAuthUser, RefusesWhatPgbouncerCanNotTake) {
  EXPECT_TRUE(check(AuthUser{"lookup", "l00k"}).empty());
  for (const AuthUser& user :
       {AuthUser{"", "p"}, AuthUser{"u", ""}, AuthUser{"pooler_operator", "p"},
        AuthUser{std::string(64, 'u'), "p"}, AuthUser{"u\n", "p"}, AuthUser{"u", "p\n"},
        AuthUser{"u", "p\nx"}, AuthUser{"u", std::string(997, 'p')}, AuthUser{"u\xff", "p"},
        AuthUser{"u", "SCRAM-SHA-256$4096:a$b:c"}, AuthUser{"u", "md5" + std::string(32, 'a')}}) {
    const auto problems = check(user);
    ASSERT_FALSE(problems.empty()) << user.name << " " << user.password;
    EXPECT_EQ(problems.front().field, "spec.pgbouncer.auth.userSecretRef");
    EXPECT_EQ(problems.front().reason, api::reason::kSecretInvalid);
  }
}

TEST(ClientDatabaseName, IsTheDatabasesOwnWherePgbouncerCanHaveIt) {
  const auto name = [](const std::string& database_name) {
    return client_database_name({.database = database_name});
  };
  for (const char* own : {"orders", "a.b", "my-db", "9x", "MyDb", "_x", "-x", "app", "PgBouncer"}) {
    EXPECT_EQ(name(own), own);
  }
  for (const char* odd : {"pgbouncer", "a b", "a$b", "ä", "*", "a=b", "it's", "", "[x]"}) {
    EXPECT_EQ(name(odd), "app");
  }
}

struct Refusal {
  const char* what;
  std::function<void(urls::Connection&)> change;
  const char* field;  // empty: accepted
};

TEST(Check, RefusesWhatPgbouncerCanNotTake) {
  const char* const password = "spec.database.secretRef.keys.password";
  using C = urls::Connection;
  const Refusal refusals[] = {
      {"nothing", [](C&) {}, ""},
      {"longest password", [](C& c) { c.password = std::string(996, 'x'); }, ""},
      {"too long password", [](C& c) { c.password = std::string(997, 'x'); }, password},
      {"no password", [](C& c) { c.password = ""; }, password},
      {"line break", [](C& c) { c.password = "a\nb"; }, password},
      {"line break at the end", [](C& c) { c.password = "a\n"; }, password},
      {"tab", [](C& c) { c.password = "a\tb"; }, password},
      {"NUL", [](C& c) { c.password = std::string("a\0b", 3); }, password},
      {"no UTF-8", [](C& c) { c.password = "\xff"; }, password},
      {"md5 hash", [](C& c) { c.password = "md5" + std::string(32, 'a'); }, password},
      {"no md5 hash", [](C& c) { c.password = "md5" + std::string(32, 'x'); }, ""},
      {"verifier", [](C& c) { c.password = "SCRAM-SHA-256$4096:c2FsdA==$a:b"; }, password},
      {"admin's name", [](C& c) { c.user = "pooler_operator"; }, "spec.database.user"},
      {"line break in user", [](C& c) { c.user = "a\r"; }, "spec.database.user"},
      {"long user", [](C& c) { c.user = std::string(64, 'x'); }, "spec.database.user"},
      {"no user", [](C& c) { c.user = ""; }, "spec.database.user"},
      {"line break in name", [](C& c) { c.database = "a\n[x]"; }, "spec.database.name"},
      {"long name", [](C& c) { c.database = std::string(64, 'x'); }, "spec.database.name"},
      {"no hosts", [](C& c) { c.hosts.clear(); }, "spec.database.host"},
      {"odd host", [](C& c) { c.hosts[0].host = "a'b"; }, "spec.database.host"},
      {"odd port", [](C& c) { c.hosts[0].port = 0; }, "spec.database.host"},
      {"several hosts",
       [](C& c) {
         c.hosts = {{"a", 1}, {"b", 1}};
       },
       ""},
      {"several ports",
       [](C& c) {
         c.hosts = {{"a", 1}, {"b", 2}};
       },
       "spec.database.host"},
      {"looking for the primary",
       [](C& c) {
         c.hosts = {{"a", 1}, {"b", 1}};
         c.parameters = {{"target_session_attrs", "primary"}};
       },
       "spec.database.host"},
      {"one host is enough for that",
       [](C& c) {
         c.parameters = {{"target_session_attrs", "read-write"}};
       },
       ""},
      {"odd sslmode",
       [](C& c) {
         c.parameters = {{"sslmode", "on\n[x]"}};
       },
       "spec.database.secretRef.keys.uri"},
  };
  for (const auto& refusal : refusals) {
    urls::Connection connection = database();
    refusal.change(connection);
    const auto problems = check(connection);
    if (*refusal.field == '\0') {
      EXPECT_THAT(problems, IsEmpty()) << refusal.what;
      continue;
    }
    ASSERT_FALSE(problems.empty()) << refusal.what;
    EXPECT_EQ(problems.front().field, refusal.field) << refusal.what;
    EXPECT_EQ(problems.front().reason, api::reason::kSecretInvalid);
  }
}

TEST(PodFile, IsReadBackOnlyWhereItIsOurs) {
  const std::string hash = "0123456789abcdef";
  const std::string text = pod_file(7, hash);
  EXPECT_EQ(text,
            "%include /etc/pgbouncer/rev-0123456789abcdef.databases.ini\n"
            "[pgbouncer]\n"
            "peer_id = 8\n"
            "%include /etc/pgbouncer/rev-0123456789abcdef.pgbouncer.ini\n");
  EXPECT_EQ(marker_of_pod_file(text), hash);
  for (const std::string& other :
       {std::string(), text + "\n", text + "x", " " + text, text.substr(0, text.size() - 2),
        std::string("%include /etc/pgbouncer/rev-"), std::string("[pgbouncer]\n"),
        pod_file(7, "0123456789ABCDEF"), pod_file(7, "short"), pod_file(-1, hash),
        text.substr(0, text.find("peer_id")) + "peer_id = x\n" + text.substr(text.rfind('%')),
        text.substr(0, text.find("peer_id")) + "peer_id = 08\n" + text.substr(text.rfind('%'))}) {
    EXPECT_EQ(marker_of_pod_file(other), "") << other;
  }
}

TEST(PodFile, PointedBackHasAMarkerOfItsOwnAtItsEnd) {
  const std::string marker = back_marker("0123456789abcdef", "fedcba9876543210");
  EXPECT_EQ(revision_of(marker), "0123456789abcdef");
  EXPECT_EQ(rejected_of(marker), "fedcba9876543210");
  EXPECT_EQ(rejected_of("0123456789abcdef"), "");
  const std::string text = pod_file(7, marker);
  EXPECT_EQ(text, pod_file(7, "0123456789abcdef") + "syslog_ident = " + marker + "\n");
  EXPECT_EQ(marker_of_pod_file(text), marker);
  EXPECT_EQ(marker_of_pod_file(pod_file(7, "0123456789abcdef") + "syslog_ident = x\n"), "");
  EXPECT_EQ(marker_of_pod_file(text + text), "");
}

class ReloadObstacle : public testing::Test {
 protected:
  // What stands against a RELOAD from the usual revision to the changed one.
  std::string between(const api::PoolerConfig& config, const Inputs& changed) {
    const Revision before = render(orders(), inputs());
    const Revision after = render(config, changed);
    auto files = before.files;
    files.insert(after.files.begin(), after.files.end());
    return reload_obstacle(files, before.hash, after.hash);
  }
};

TEST_F(ReloadObstacle, NoneForWhatALiveProcessTakes) {
  EXPECT_EQ(between(orders(), inputs()), "");
  api::PoolerConfig config = orders();
  config.spec.pool_mode = api::PoolMode::kSession;
  config.spec.scaling.clients_per_replica = 7;
  EXPECT_EQ(between(config, inputs()), "");
  Inputs changed = inputs();
  changed.database.password = "another";
  changed.database.hosts = {{"elsewhere", 5433}};
  EXPECT_EQ(between(orders(), changed), "") << "open connections end with their transactions";
  changed.image = "pgbouncer:2";
  EXPECT_EQ(between(orders(), changed), "");
  changed.database.certificates = {"ca", "chain", "key"};
  changed.client_tls = {"", "chain", "key"};
  config.spec.client_tls.secret = "orders-tls";
  EXPECT_EQ(between(config, changed), "") << "certificates are read anew";
  config.spec.client_tls = {};
  config.spec.pgbouncer.parameters = {{"max_prepared_statements", "5"}, {"log_stats", "0"}};
  EXPECT_EQ(between(config, inputs()), "");
}

TEST_F(ReloadObstacle, WhatWouldCutOrLetIn) {
  Inputs changed = inputs();
  changed.database.user = "another";
  EXPECT_NE(between(orders(), changed), "");
  changed = inputs();
  changed.database.database = "another";
  EXPECT_NE(between(orders(), changed), "");
  changed = inputs();
  changed.admin.verifier = "SCRAM-SHA-256$4096:x$y:z";
  EXPECT_NE(between(orders(), changed), "");
  changed = inputs();
  changed.floor += 1;
  EXPECT_NE(between(orders(), changed), "");
}

// The kind of a user's entry never changes in a live process, and none goes.
TEST_F(ReloadObstacle, AnotherModeOrAnotherRoleThatLooksUp) {
  EXPECT_NE(between(many_users(), with_lookups()), "");
  Inputs own = inputs();
  own.auth_user = {own.database.user, own.database.password};
  EXPECT_NE(between(many_users(), own), "") << "the names are the same";
  own.floor += 1;
  EXPECT_NE(between(many_users(), own), "");

  const Revision before = render(many_users(), with_lookups());
  const auto obstacle = [&before](const api::PoolerConfig& config, const Inputs& in) {
    const Revision after = render(config, in);
    auto files = before.files;
    files.insert(after.files.begin(), after.files.end());
    return reload_obstacle(files, before.hash, after.hash);
  };
  Inputs changed = with_lookups();
  changed.auth_user.password = "another";
  EXPECT_EQ(obstacle(many_users(), changed), "");
  changed.database.password = "another";
  changed.database.user = "another";
  EXPECT_EQ(obstacle(many_users(), changed), "") << "it is looked up as all others are";
  changed.auth_user.name = "another";
  EXPECT_NE(obstacle(many_users(), changed), "");
  api::PoolerConfig config = many_users();
  config.spec.pgbouncer.auth.query = "SELECT $1, 'x'";
  EXPECT_EQ(obstacle(config, with_lookups()), "");
  EXPECT_NE(obstacle(orders(), with_lookups()), "");
}

TEST_F(ReloadObstacle, WhatIsReadAtTheStartOnly) {
  api::PoolerConfig config = orders();
  config.spec.pgbouncer.parameters = {{"listen_backlog", "128"}};
  EXPECT_EQ(between(config, inputs()), "listen_backlog is read at the start only");
  config.spec.pgbouncer.parameters = {{"pkt_buf", "8192"}};
  EXPECT_EQ(between(config, inputs()), "pkt_buf is read at the start only");
}

TEST_F(ReloadObstacle, WhatIsNotKnown) {
  const Revision after = render(orders(), inputs());
  EXPECT_NE(reload_obstacle(after.files, "0123456789abcdef", after.hash), "");
  EXPECT_NE(reload_obstacle(after.files, "", after.hash), "");
}

TEST(Revision, AnotherImageIsAnotherRevision) {
  Inputs other = inputs();
  other.image = "pgbouncer:2";
  EXPECT_NE(render(orders(), inputs()).hash, render(orders(), other).hash);
}

TEST(PodFile, Names) {
  EXPECT_EQ(pod_name(orders(), 2), "orders-pooler-2");
  EXPECT_EQ(pod_file_name(orders(), 2), "orders-pooler-2.ini");
}

TEST(Floor, IsReadFromTheSettings) {
  const Revision revision = render(orders(), inputs());
  EXPECT_EQ(floor_of(revision.files.at(settings_file_name(revision.hash))), 5);
  for (const char* other :
       {"", "default_pool_size = ", "default_pool_size = x", "default_pool_size = 0",
        "default_pool_size = 99999999999", "xdefault_pool_size = 5", "max_db_connections = 5"}) {
    EXPECT_EQ(floor_of(other), std::nullopt) << other;
  }
}

TEST(ShownCertificate, IsTheRevisionsOwn) {
  const fault::KeyPair pair = fault::Authority().issue("");
  api::PoolerConfig config = orders();
  config.spec.client_tls.secret = "orders-tls";
  Inputs in = inputs();
  in.client_tls = {"", pair.certificate, pair.key};
  const Revision encrypted = render(config, in);
  const Revision plain = render(orders(), inputs());
  auto files = encrypted.files;
  files.insert(plain.files.begin(), plain.files.end());
  EXPECT_EQ(shown_certificate(files, encrypted.hash), read_leaf(pair.certificate)->fingerprint);
  EXPECT_EQ(shown_certificate(files, plain.hash), "");
  EXPECT_EQ(shown_certificate(files, "0123456789abcdef"), std::nullopt);
  files[file_named_by(encrypted, "client_tls_cert_file")] = "edited";
  EXPECT_EQ(shown_certificate(files, encrypted.hash), std::nullopt);
}

TEST(Revisions, AreFoundAmongTheFiles) {
  const Revision one = render(orders(), inputs());
  Inputs changed = inputs();
  changed.floor = 6;
  changed.database.certificates = {"ca", "chain", "key"};
  const Revision two = render(orders(), changed);
  auto files = one.files;
  files.insert(two.files.begin(), two.files.end());
  files["orders-pooler-0.ini"] = pod_file(0, one.hash);
  files["rev-short.databases.ini"] = "";
  files["rev-0123456789abcdef"] = "";
  files["rev-0123456789abcdeX.x"] = "";
  EXPECT_THAT(revisions_in(files), testing::UnorderedElementsAre(one.hash, two.hash));
  EXPECT_THAT(revisions_in({}), IsEmpty());
}

}  // namespace
}  // namespace pooler::engine::pgbouncer
