#include "reconcile/share.h"

#include <algorithm>

namespace pooler::reconcile {
namespace {

struct Neighbours {
  int explicit_sum = 0;
  int deriving = 0;  // how many share what is left
  int held = 0;
  std::string unknown;  // one that may be on this server or not, and why that can't be said
};

// Why it can't be said which server this is, or what is held of it; empty: it can.
std::string unknown_of(const Claim& claim) {
  if (!claim.unknown_because.empty()) return claim.unknown_because;
  if (!claim.asked) return "its database is being asked";
  if (claim.identity.empty() && claim.held > 0) return "it has pods, and no login to its database";
  return {};
}

Neighbours neighbours_on(const std::string& identity, const std::map<std::string, Claim>& others) {
  Neighbours found;
  for (const auto& [key, claim] : others) {
    if (const std::string why = unknown_of(claim); !why.empty()) {
      found.unknown = "PoolerConfig " + key + " may share this server; " + why;
    }
    if (claim.identity != identity) continue;
    found.held += claim.held;
    if (claim.explicit_budget) {
      found.explicit_sum += *claim.explicit_budget;
    } else {
      ++found.deriving;
    }
  }
  return found;
}

int within_limits(int budget, const live::Server& server) {
  if (server.role_limit) budget = std::min(budget, *server.role_limit);
  if (server.database_limit) budget = std::min(budget, *server.database_limit);
  return budget;
}

}  // namespace

int operator_connections(const api::Spec& spec) {
  return kOperatorConnections + (api::has_many_users(spec) ? 1 : 0);
}

int poolable(const live::Server& server, int direct_reserve_percent) {
  const long free = static_cast<long>(server.max_connections) -
                    server.superuser_reserved_connections - server.reserved_connections -
                    kServerSlack;
  return static_cast<int>(std::max(0L, free) * (100 - direct_reserve_percent) / 100);
}

Share share_of(const api::PoolerConfig& config, const live::Server* server,
               const std::map<std::string, Claim>& others) {
  if (const auto& given = config.spec.budget.server_connections) {
    return {.budget = *given, .source = "Spec", .ceiling = *given, .waiting = ""};
  }
  if (server == nullptr) return {.waiting = "the server was not asked for its limits yet"};

  const Neighbours neighbours = neighbours_on(server->identity, others);
  // A neighbour of which nothing is known may be on this server: nothing may grow on a guess.
  if (!neighbours.unknown.empty()) return {.waiting = neighbours.unknown};
  const int total = poolable(*server, config.spec.budget.direct_reserve_percent);
  const int left = std::max(0, total - neighbours.explicit_sum);
  Share share{.source = "Server"};
  share.budget = within_limits(left / (neighbours.deriving + 1), *server);
  share.ceiling = std::min(*share.budget, total - neighbours.held);
  if (share.ceiling < *share.budget) {
    share.waiting = "other PoolerConfigs of server " + server->identity + " still hold " +
                    std::to_string(neighbours.held) + " of its " + std::to_string(total) +
                    " connections for poolers";
  }
  return share;
}

}  // namespace pooler::reconcile
