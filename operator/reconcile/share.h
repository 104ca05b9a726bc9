// How many connections of a server one PoolerConfig may use when others use the same server. Pure.
//
// Objects of one server (live::Server::identity) without a budget of their own share by equal parts
// what explicit budgets leave. The parts of others shrink when one joins; what they still hold is
// not there for the newcomer until they have let go of it.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "api/pooler_config.h"
#include "live/state.h"

namespace pooler::reconcile {

// Slots that an administrator, a backup or a monitoring agent finds free on a full server.
inline constexpr int kServerSlack = 5;
// The operator's own connection to the database, counted in each budget.
inline constexpr int kOperatorConnections = 1;
// And with spec.pgbouncer.auth.mode Query the one that tries the query.
[[nodiscard]] int operator_connections(const api::Spec& spec);

// What one PoolerConfig takes from its server.
struct Claim {
  bool asked = false;    // the database was asked at least once since the operator started
  std::string identity;  // empty: not known (yet)
  std::optional<int> explicit_budget;
  int held = 0;  // server connections that its pods may hold at this moment, operator's included
  std::string unknown_because;  // for people: it has pods, and what they hold can't be said
  bool operator==(const Claim&) const = default;
};

struct Share {
  // Connections over all replicas, the operator's included. nullopt: can't be said yet.
  std::optional<int> budget;
  std::string source;  // "Spec" or "Server"
  // What may be held right now: the budget, less what others have still to give back.
  int ceiling = 0;
  std::string waiting;  // for people: why there is no budget yet, or why ceiling < budget
};

// `server`: as this PoolerConfig's own login saw it; null where it has not answered yet.
[[nodiscard]] Share share_of(const api::PoolerConfig& config, const live::Server* server,
                             const std::map<std::string, Claim>& others);

// The connections of a server that are there for poolers at all:
// floor((max_connections - reserved ones - kServerSlack) * (100 - directReservePercent) / 100).
[[nodiscard]] int poolable(const live::Server& server, int direct_reserve_percent);

}  // namespace pooler::reconcile
