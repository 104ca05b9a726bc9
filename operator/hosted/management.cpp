#include "hosted/management.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "api/pooler_config.h"
#include "base/json.h"
#include "base/strings.h"

namespace pooler::hosted {
namespace {

using Kind = kube::TransportError::Kind;

constexpr std::size_t kMaxTokenBytes = 4096;
constexpr int kMostOfAnything = 1'000'000;

std::string the_api(const std::string& what) { return "Supabase's Management API " + what; }

ApiFailure lasting(const std::string& what) { return {true, the_api(what), std::nullopt}; }
ApiFailure passing(const std::string& what) { return {false, the_api(what), std::nullopt}; }

ApiFailure failure_of(const kube::TransportError& error) {
  switch (error.kind) {
    case Kind::kConnect:
      return passing("cannot be reached (" + error.message +
                     "): let the operator's pods connect to it");
    case Kind::kTls:
      return passing("can't be reached encrypted (" + error.message +
                     "): its certificate must be of an authority that the operator's image trusts");
    case Kind::kProtocol:
      return lasting("answers with more than " + std::to_string(kMaxAnswerBytes / 1024) +
                     " KiB, which is none of its answers");
    case Kind::kTimeout:
    case Kind::kCanceled:
      return passing("does not answer in time");
    case Kind::kDisconnected:
      break;
  }
  return passing("breaks off its answer");
}

ApiFailure failure_of(const kube::Response& response, const std::string& project_ref) {
  const std::string code = " (" + std::to_string(response.status) + ")";
  if (response.status == 401) {
    return lasting("refuses the token" + code +
                   ": it is expired, revoked or none; put a valid one into the Secret of "
                   "spec.supabase.managementTokenSecretRef");
  }
  if (response.status == 403) {
    return lasting("does not let this token read the pooler's configuration" + code +
                   ": it needs database_pooling_config_read, of an account that may see the "
                   "project");
  }
  if (response.status == 404) {
    return lasting("knows no project " + project_ref + " that this token may see" + code +
                   ": correct spec.supabase.projectRef, or take a token of its organization");
  }
  if (response.status == 429) return passing("was asked too often" + code);
  if (response.status >= 500) return passing("fails" + code);
  return lasting("gives an answer that is none of its own" + code);
}

// A number, or null for one that is not set. False: neither.
bool read_count(const Json& entry, const char* name, std::optional<int>& out) {
  const auto found = entry.find(name);
  if (found == entry.end() || found->is_null()) return true;
  if (!found->is_number_integer()) return false;
  const auto number = found->get<std::int64_t>();
  if (number < 0 || number > kMostOfAnything) return false;
  if (number > 0) out = static_cast<int>(number);
  return true;
}

std::string text_at(const Json& entry, const char* name) {
  const auto found = entry.find(name);
  return found != entry.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Which project it is about, it says twice: as the identifier, and behind the user's name. What is
// not there says nothing against it: the question named the project.
bool is_of_another(const Json& entry, const std::string& project_ref) {
  const std::string identifier = text_at(entry, "identifier");
  if (!identifier.empty() && identifier != project_ref) return true;
  const std::string user = text_at(entry, "db_user");
  const auto dot = user.rfind('.');
  if (dot == std::string::npos) return false;
  const std::string suffix = user.substr(dot + 1);
  return api::is_supabase_project_ref(suffix) && suffix != project_ref;
}

Result<ProjectPooler, std::string> read_entry(const Json& entry, const std::string& project_ref) {
  ProjectPooler pooler;
  pooler.host = text_at(entry, "db_host");
  // It may be anybody's answer: a password goes only where Supabase's poolers are.
  if (!api::is_supabase_pooler_host(pooler.host)) {
    return failure(std::string("names a host that is not under pooler.supabase.com"));
  }
  if (is_of_another(entry, project_ref)) return failure(std::string("is about another project"));
  if (!read_count(entry, "default_pool_size", pooler.pool_size) ||
      !read_count(entry, "max_client_conn", pooler.max_clients)) {
    return failure(std::string("has a size that is no number"));
  }
  return pooler;
}

// "HOST", "HOST:PORT", "[IPv6]:PORT". The name is looked up as it is: only what is none is told.
bool is_authority(std::string_view text) {
  const bool bracketed = text.starts_with('[');
  const auto end = bracketed ? text.find(']') : text.find(':');
  if (bracketed && end == std::string_view::npos) return false;
  const std::string_view host = bracketed ? text.substr(1, end - 1) : text.substr(0, end);
  const std::string_view letters =
      bracketed ? "0123456789abcdefABCDEF:."
                : "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
  if (host.empty() || host.find_first_not_of(letters) != std::string_view::npos) return false;
  std::string_view rest = end == std::string_view::npos ? "" : text.substr(end);
  if (bracketed) rest.remove_prefix(1);
  if (rest.empty()) return true;
  const auto port = rest.starts_with(':') ? parse_integer(rest.substr(1)) : std::nullopt;
  return port && *port >= 1 && *port <= 65535;
}

}  // namespace

std::string trouble_with_api_url(std::string_view url) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!url.starts_with(scheme)) continue;
    url.remove_prefix(scheme.size());
    if (url.find('@') != std::string_view::npos) {
      return "must not hold a user or a password: each PoolerConfig names a token of its own";
    }
    if (url.find_first_of("?#") != std::string_view::npos) {
      return "must not have a query or a fragment: it is the beginning of all addresses";
    }
    if (url.find(' ') != std::string_view::npos || has_control_characters(url)) {
      return "has a blank or a control character in it";
    }
    if (!is_authority(url.substr(0, url.find('/')))) {
      return "must name a host, and after it may have a port from 1 to 65535 and a path";
    }
    return {};
  }
  return "must begin with https:// (or http://)";
}

std::optional<std::string> read_token(std::string_view value) {
  const std::string_view token = trim(value);
  const bool printable =
      std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (token.empty() || token.size() > kMaxTokenBytes || !printable) return std::nullopt;
  return std::string(token);
}

kube::Request pooler_request(const std::string& project_ref, const std::string& token) {
  kube::Request request;
  request.path = "/v1/projects/" + project_ref + "/config/database/pooler";
  request.bearer_token = token;
  return request;
}

Result<ProjectPooler, ApiFailure> read_answer(const ApiAnswer& answer,
                                              const std::string& project_ref) {
  if (!answer) return failure(failure_of(answer.error()));
  const kube::Response& response = answer.value();
  if (response.status != 200) {
    ApiFailure failed = failure_of(response, project_ref);
    failed.retry_after = response.retry_after;
    return failure(std::move(failed));
  }
  auto pooler = decode_pooler(response.body, project_ref);
  if (!pooler) return failure(lasting("gives an answer that can't be used: it " + pooler.error()));
  return std::move(pooler).value();
}

Result<ProjectPooler, std::string> decode_pooler(std::string_view body,
                                                 const std::string& project_ref) {
  if (body.size() > kMaxAnswerBytes) return failure(std::string("is too long"));
  const Json list = parse_json(body);
  if (!list.is_array()) return failure(std::string("is no list of poolers"));
  std::string problem = "has no entry of a primary database";
  for (const Json& entry : list) {
    if (!entry.is_object() || text_at(entry, "database_type") != "PRIMARY") continue;
    auto pooler = read_entry(entry, project_ref);
    if (pooler) return pooler;
    problem = pooler.error();
  }
  return failure(std::move(problem));
}

std::optional<PoolerLimits> limits_of_size(int max_connections) {
  struct Size {
    int max_connections;
    PoolerLimits limits;
  };
  // From nano and micro to 8xl; 12xl and 16xl both have 500 connections.
  constexpr std::array<Size, 8> kSizes = {{{60, {15, 200}},
                                           {90, {15, 400}},
                                           {120, {15, 600}},
                                           {160, {20, 800}},
                                           {240, {20, 1000}},
                                           {380, {25, 1500}},
                                           {480, {32, 3000}},
                                           {490, {64, 6000}}}};
  for (const Size& size : kSizes) {
    if (size.max_connections == max_connections) return size.limits;
  }
  return std::nullopt;
}

}  // namespace pooler::hosted
