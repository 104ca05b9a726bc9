// Says what is wrong with a rendered revision, by reading its files as PgBouncer would.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/pgbouncer/auth_query.h"
#include "engine/pgbouncer/parameters.h"
#include "engine/pgbouncer/render.h"
#include "engine/pgbouncer/workload.h"
#include "unit/engine/ini_reader.h"

namespace pooler::engine::pgbouncer {

class RenderedFiles {
 public:
  RenderedFiles(const api::PoolerConfig& config, const Inputs& inputs, const Revision& revision)
      : config_(config), inputs_(inputs), revision_(revision) {}

  // Empty: exactly the lines that are meant, no more and no fewer, with exactly the values meant.
  std::string fault() const {
    std::set<std::pair<bool, std::string>> texts;  // a key or certificates
    for (const TlsFile& each : tls_files()) {
      texts.emplace(each.setting.ends_with("key_file"), each.bytes);
    }
    if (revision_.files.size() != 3 + texts.size()) return "other files";
    for (const auto& check : {databases(), settings(), users(), pods(), tls()}) {
      if (!check.empty()) return check;
    }
    return {};
  }

 private:
  struct TlsFile {
    std::string setting;
    std::string bytes;
  };

  std::vector<TlsFile> tls_files() const {
    const Certificates& server = inputs_.database.certificates;
    std::vector<TlsFile> files = {
        {"server_tls_ca_file", server.authorities},
        {"server_tls_cert_file", server.chain},
        {"server_tls_key_file", server.key},
        {"client_tls_cert_file", inputs_.client_tls.chain},
        {"client_tls_key_file", inputs_.client_tls.key},
    };
    std::erase_if(files, [](const TlsFile& each) { return each.bytes.empty(); });
    return files;
  }

  std::string tls() const {
    const std::string ini = file(".pgbouncer.ini");
    for (const TlsFile& each : tls_files()) {
      const std::string directory = std::string(kMountPath) + "/tls-";
      const std::string path = setting_of(ini, each.setting).value_or("");
      if (!path.starts_with(directory)) return "tls: another path";
      const auto found = revision_.files.find(path.substr(std::string(kMountPath).size() + 1));
      if (found == revision_.files.end()) return "tls: no file";
      if (found->second != each.bytes) return "tls: other bytes";
    }
    return {};
  }

  const std::string& file(const std::string& suffix) const {
    return revision_.files.at("rev-" + revision_.hash + suffix);
  }

  std::string databases() const {
    const auto lines = read_ini(file(".databases.ini"));
    const std::size_t peers = static_cast<std::size_t>(ordinals(config_));
    const std::size_t entries = many() ? 2 : 1;
    if (!lines || lines->size() != 2 + entries + peers) {
      return "databases: not the lines that are meant";
    }
    if (lines->at(0) != IniLine{"databases", "[", ""}) return "databases: no header";
    const auto& entry = lines->at(1);
    if (entry.section != "databases" || entry.key != client_database_name(inputs_.database)) {
      return "databases: another key";
    }
    const auto options = read_options(entry.value);
    if (!options || *options != expected_options()) return "databases: other options";
    if (many() && !looks_up(lines->at(2))) return "databases: another entry for lookups";
    if (lines->at(1 + entries) != IniLine{"peers", "[", ""}) return "peers: no header";
    for (std::size_t i = 0; i < peers; ++i) {
      const auto& peer = lines->at(2 + entries + i);
      const auto where = read_options(peer.value);
      if (peer.key != std::to_string(i + 1) || !where || where->size() != 2) return "peers";
    }
    return {};
  }

  bool many() const { return api::has_many_users(config_.spec); }

  // With one connection, and nobody who is looked up through it.
  bool looks_up(const IniLine& entry) const {
    const auto options = read_options(entry.value);
    if (!options || entry.section != "databases" || entry.key != "pooler_operator_auth") {
      return false;
    }
    auto expected = expected_options();
    expected.erase("auth_user");
    expected.erase("auth_dbname");
    expected.insert(
        {{"pool_mode", "transaction"}, {"pool_size", "1"}, {"max_db_connections", "1"}});
    auto found = *options;
    const std::string query = found["connect_query"];
    found.erase("connect_query");
    return found == expected && query.starts_with("SET search_path = pg_catalog, pg_temp /* ");
  }

  std::map<std::string, std::string> expected_options() const {
    const auto& database = inputs_.database;
    std::string hosts;
    for (const auto& host : database.hosts) hosts += (hosts.empty() ? "" : ",") + host.host;
    std::map<std::string, std::string> options = {
        {"host", hosts},
        {"port", std::to_string(database.hosts.front().port)},
        {"dbname", database.database}};
    if (many()) {
      options["auth_user"] = inputs_.auth_user.name;
      options["auth_dbname"] = "pooler_operator_auth";
    } else {
      options["user"] = database.user;
    }
    if (database.hosts.size() > 1 && database.parameter("load_balance_hosts") != "random") {
      options["load_balance_hosts"] = "disable";
    }
    return options;
  }

  std::string settings() const {
    const auto lines = read_ini(file(".pgbouncer.ini"), "pgbouncer");
    if (!lines || lines->empty()) return "settings: broken";
    std::set<std::string> keys;
    for (const auto& line : *lines) {
      if (line.section != "pgbouncer" || line.key == "%include") return "settings: a section";
      if (!keys.insert(line.key).second) return "settings: a key twice";
    }
    std::set<std::string> expected = {"admin_users",
                                      "auth_file",
                                      "auth_type",
                                      "default_pool_size",
                                      "dns_max_ttl",
                                      "dns_nxdomain_ttl",
                                      "ignore_startup_parameters",
                                      "listen_addr",
                                      "listen_backlog",
                                      "listen_port",
                                      "log_connections",
                                      "log_disconnections",
                                      "max_client_conn",
                                      "max_db_connections",
                                      "max_prepared_statements",
                                      "min_pool_size",
                                      "pool_mode",
                                      "query_wait_timeout",
                                      "reserve_pool_size",
                                      "server_login_retry",
                                      "server_tls_ca_file",
                                      "server_tls_sslmode",
                                      "syslog_ident",
                                      "unix_socket_dir"};
    if (many()) {
      expected.insert("auth_query");
      if (setting_of(file(".pgbouncer.ini"), "auth_query") != auth_query(config_)) {
        return "settings: another query";
      }
    }
    for (const TlsFile& each : tls_files()) expected.insert(each.setting);
    if (!inputs_.client_tls.chain.empty()) expected.insert("client_tls_sslmode");
    for (const auto& [name, value] : config_.spec.pgbouncer.parameters) {
      expected.insert(name);
      const bool there = std::find(lines->begin(), lines->end(),
                                   IniLine{"pgbouncer", name, value}) != lines->end();
      if (!there) return "settings: another value of a parameter";
    }
    if (keys != expected) return "settings: other keys";
    if (lines->back() != IniLine{"pgbouncer", "syslog_ident", revision_.hash}) {
      return "settings: the marker is not last";
    }
    return floor_of(file(".pgbouncer.ini")) == inputs_.floor ? "" : "settings: another floor";
  }

  std::string users() const {
    const auto users = read_userlist(file(".userlist.txt"));
    const AuthUser known =
        many() ? inputs_.auth_user : AuthUser{inputs_.database.user, inputs_.database.password};
    const std::vector<std::pair<std::string, std::string>> expected = {
        {known.name, known.password}, {std::string(kAdminUser), inputs_.admin.verifier}};
    return users == expected ? "" : "userlist: other users";
  }

  std::string pods() const {
    const std::string base = std::string(kMountPath) + "/rev-" + revision_.hash;
    for (int ordinal = 0; ordinal < ordinals(config_); ++ordinal) {
      const auto lines = read_ini(pod_file(ordinal, revision_.hash));
      const std::vector<IniLine> expected = {{"", "%include", base + ".databases.ini"},
                                             {"pgbouncer", "[", ""},
                                             {"pgbouncer", "peer_id", std::to_string(ordinal + 1)},
                                             {"pgbouncer", "%include", base + ".pgbouncer.ini"}};
      if (lines != expected) return "pod file";
      if (marker_of_pod_file(pod_file(ordinal, revision_.hash)) != revision_.hash) {
        return "pod file: its revision is not found";
      }
    }
    return {};
  }

  const api::PoolerConfig& config_;
  const Inputs& inputs_;
  const Revision& revision_;
};

}  // namespace pooler::engine::pgbouncer
