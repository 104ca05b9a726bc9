#include "base/json.h"

namespace pooler {
namespace {

bool is_empty(const Json& json) {
  return json.is_null() || ((json.is_object() || json.is_array()) && json.empty());
}

bool objects_match(const Json& desired, const Json& actual) {
  for (const auto& [key, value] : desired.items()) {
    const auto found = actual.find(key);
    if (found == actual.end() ? !is_empty(value) : !is_subset(value, *found)) return false;
  }
  return true;
}

bool lists_match(const Json& desired, const Json& actual) {
  if (desired.size() != actual.size()) return false;
  for (std::size_t i = 0; i < desired.size(); ++i) {
    if (!is_subset(desired[i], actual[i])) return false;
  }
  return true;
}

}  // namespace

bool is_subset(const Json& desired, const Json& actual) {
  if (is_empty(desired) && is_empty(actual)) return true;
  if (desired.is_object() && actual.is_object()) return objects_match(desired, actual);
  if (desired.is_array() && actual.is_array()) return lists_match(desired, actual);
  return desired == actual;
}

std::string to_bytes(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json parse_json(std::string_view text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return json.is_discarded() ? Json() : json;
}

}  // namespace pooler
