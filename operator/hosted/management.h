// What Supabase's Management API says of a project's pooler: the question, and what each answer
// means. Pure.
// https://supabase.com/docs/reference/api/v1-get-pooler-config
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kube/transport.h"

namespace pooler::hosted {

struct ProjectPooler {
  std::string host;  // under pooler.supabase.com
  // nullopt: not set, Supabase's default for the size of the project counts.
  std::optional<int> pool_size;
  std::optional<int> max_clients;
  bool operator==(const ProjectPooler&) const = default;
};

struct ApiFailure {
  bool lasting = false;  // waiting alone does not mend it
  std::string message;   // for people, with the remedy; never a token or anything of a body
  std::optional<std::chrono::seconds> retry_after;
  bool operator==(const ApiFailure&) const = default;
};

using ApiAnswer = Result<kube::Response, kube::TransportError>;

// A body that is longer is none of its answers.
inline constexpr std::size_t kMaxAnswerBytes = std::size_t{256} * 1024;

// What is wrong with an address of the API, as an administrator gives it; empty: nothing. Never
// quotes it. https://HOST[:PORT][/PATH], or http:// for a proxy on the way.
[[nodiscard]] std::string trouble_with_api_url(std::string_view url);

// As a Secret holds it, without blanks at both ends (`echo` leaves a line break). nullopt: nothing
// that can stand in a header.
[[nodiscard]] std::optional<std::string> read_token(std::string_view value);

[[nodiscard]] kube::Request pooler_request(const std::string& project_ref,
                                           const std::string& token);
[[nodiscard]] Result<ProjectPooler, ApiFailure> read_answer(const ApiAnswer& answer,
                                                            const std::string& project_ref);
// The body of a 200: of its list the entry of the primary. Error: what is wrong with it, in words
// of ours alone.
[[nodiscard]] Result<ProjectPooler, std::string> decode_pooler(std::string_view body,
                                                               const std::string& project_ref);

// What a project of that size may have, by Supabase's table; told from the server's
// max_connections. nullopt: none of its sizes, or several.
// https://supabase.com/docs/guides/platform/compute-and-disk
struct PoolerLimits {
  int pool_size = 0;
  int max_clients = 0;
};
[[nodiscard]] std::optional<PoolerLimits> limits_of_size(int max_connections);

}  // namespace pooler::hosted
