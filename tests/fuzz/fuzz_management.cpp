// Any bytes as an answer of Supabase's Management API: what is taken from it leads to a pooler of
// Supabase's and stands in the answer, as another JSON reader has it; an error is in our own words.
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/pooler_config.h"
#include "fuzz/must.h"
#include "hosted/management.h"

namespace pooler::fuzz {
namespace {

constexpr const char* kProject = "abcdefghijklmnopqrst";

constexpr std::array<std::string_view, 6> kErrors = {
    "is too long",
    "is no list of poolers",
    "has no entry of a primary database",
    "names a host that is not under pooler.supabase.com",
    "is about another project",
    "has a size that is no number"};

std::string_view text_at(simdjson::dom::element entry, const char* name) {
  std::string_view text;
  return entry[name].get_string().get(text) == simdjson::SUCCESS ? text : std::string_view();
}

// False where the answer can't be read by the other reader, or names a key twice: they may differ.
bool names_each_key_once(simdjson::dom::element entry) {
  simdjson::dom::object object;
  if (entry.get_object().get(object) != simdjson::SUCCESS) return true;
  for (const auto field : object) {
    int count = 0;
    for (const auto other : object) count += other.key == field.key ? 1 : 0;
    if (count > 1) return false;
  }
  return true;
}

bool stands_in(const hosted::ProjectPooler& pooler, std::string_view text) {
  simdjson::dom::parser parser;
  simdjson::dom::array list;
  if (parser.parse(simdjson::padded_string(text)).get_array().get(list) != simdjson::SUCCESS) {
    return true;
  }
  for (const auto entry : list) {
    if (!names_each_key_once(entry)) return true;
    const std::string_view identifier = text_at(entry, "identifier");
    if (text_at(entry, "database_type") == "PRIMARY" && text_at(entry, "db_host") == pooler.host &&
        (identifier.empty() || identifier == kProject)) {
      return true;
    }
  }
  return false;
}

void check(const hosted::ProjectPooler& pooler, std::string_view text) {
  must(api::is_supabase_pooler_host(pooler.host), "the host is one of Supabase's poolers");
  must(!pooler.pool_size || *pooler.pool_size > 0, "a size is not zero");
  must(!pooler.max_clients || *pooler.max_clients > 0, "a limit is not zero");
  must(stands_in(pooler, text), "what is taken stands in the answer");
}

}  // namespace
}  // namespace pooler::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using pooler::fuzz::must;
  namespace hosted = pooler::hosted;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto pooler = hosted::decode_pooler(text, pooler::fuzz::kProject);
  if (pooler.ok()) {
    pooler::fuzz::check(*pooler, text);
  } else {
    const auto& errors = pooler::fuzz::kErrors;
    must(std::find(errors.begin(), errors.end(), pooler.error()) != errors.end(),
         "an error is in our own words");
  }
  const hosted::ApiAnswer answer = pooler::kube::Response{200, std::nullopt, text};
  const auto read = hosted::read_answer(answer, pooler::fuzz::kProject);
  must(read.ok() == pooler.ok(), "an answer is its body");
  must(read.ok() || (read.error().lasting && !read.error().message.empty()), "a failure says why");
  if (const auto token = hosted::read_token(text)) {
    must(!token->empty() &&
             std::all_of(token->begin(), token->end(), [](char c) { return c > 0x20 && c < 0x7f; }),
         "a token can stand in a header");
  }
  return 0;
}
