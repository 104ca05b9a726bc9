#include "engine/pgbouncer/parameters.h"

#include <array>
#include <map>

#include "base/strings.h"

namespace pooler::engine::pgbouncer {
namespace {

constexpr std::array<std::string_view, 14> kRestartOnly = {
    "disable_pqexec",
    "job_name",
    "listen_addr",
    "listen_backlog",
    "listen_port",
    "pidfile",
    "pkt_buf",
    "resolv_conf",
    "so_reuseport",
    "unix_socket_dir",
    "track_extra_parameters",
    "unix_socket_group",
    "user",
    "unix_socket_mode",
};

std::map<std::string, std::string> settings_in(std::string_view ini) {
  std::map<std::string, std::string> found;
  for (const std::string& line : split(ini, '\n')) {
    const auto end = line.find(" =");
    if (end != std::string::npos) found[line.substr(0, end)] = line.substr(end + 2);
  }
  return found;
}

}  // namespace

std::vector<std::string> restart_only_changes(std::string_view before_ini,
                                              std::string_view after_ini) {
  auto before = settings_in(before_ini);
  auto after = settings_in(after_ini);
  std::vector<std::string> names;
  for (const std::string_view name : kRestartOnly) {
    if (before[std::string(name)] != after[std::string(name)]) names.emplace_back(name);
  }
  return names;
}

}  // namespace pooler::engine::pgbouncer
