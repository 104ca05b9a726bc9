// Users of spec.pgbouncer.auth in mode Query: what PgBouncer asks the database about a client that
// logs in, and what the operator asks before any pod does. Pure.
//
// PgBouncer asks over a connection that clients have left their settings on (CVE-2025-12819), so a
// name without a schema may lead to a table or an operator of theirs. The default query has none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/pooler_config.h"
#include "engine/rows.h"

namespace pooler::engine::pgbouncer {

// The one that spec.pgbouncer.auth gives, else the default: roles that may log in, are no
// superusers, may not replicate and have not expired. Requires mode Query.
[[nodiscard]] std::string auth_query(const api::PoolerConfig& config);

// What is wrong with a query: it must be one statement in one line, with $1 and no other parameter.
// Quotes have to be closed; comments and $-quotes are refused. Empty: nothing.
[[nodiscard]] std::vector<api::Problem> check_auth_query(const api::PoolerConfig& config);

// The question whether the query works, and finds `user`: an answer of one row, with nothing in it
// that is secret. Fails at the database where the query does, or does not give two columns.
[[nodiscard]] std::string auth_question(const api::PoolerConfig& config, std::string_view user);

// What the answer says against the user's login, in words that follow its name ("is not found");
// empty: nothing.
[[nodiscard]] std::string trouble_with_found_user(const Rows& answer);

}  // namespace pooler::engine::pgbouncer
