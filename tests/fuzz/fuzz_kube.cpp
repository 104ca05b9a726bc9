// Any bytes as what an API server sends: a line of a watch, a list, an object of each cached kind,
// a Status. What is understood agrees with another JSON reader; an error holds none of the input.
#include <simdjson.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/json.h"
#include "base/strings.h"
#include "fuzz/must.h"
#include "kube/api_error.h"
#include "kube/kinds.h"
#include "kube/watch_machine.h"
#include "reconcile/kinds.h"

namespace pooler::fuzz {
namespace {

// The parser's own texts, and ours: a message made from parts of the input is none of these.
bool is_fixed_text(std::string_view error) {
  for (const char* ours : {"no metadata.name", "no metadata.resourceVersion", "no object",
                           "no Status", "metadata.name: missing", "not a JSON object"}) {
    if (error == ours) return true;
  }
  for (int code = 1; code < simdjson::NUM_ERROR_CODES; ++code) {
    if (error == simdjson::error_message(static_cast<simdjson::error_code>(code))) return true;
  }
  return false;
}

std::size_t keys_in(const Json& json) {
  std::size_t count = json.is_object() ? json.size() : 0;
  if (json.is_structured()) {
    for (const auto& item : json) count += keys_in(item);
  }
  return count;
}

// Null where the text is no JSON, or names a key twice: readers may differ there.
Json witness(std::string_view text) {
  std::size_t keys = 0;
  Json json = Json::parse(
      text,
      [&keys](int, Json::parse_event_t event, Json&) {
        keys += event == Json::parse_event_t::key ? 1 : 0;
        return true;
      },
      /*allow_exceptions=*/false);
  return json.is_discarded() || keys_in(json) != keys ? Json() : json;
}

std::string text_at(const Json& json, const char* part, const char* name) {
  const auto found = json.find(part);
  if (found == json.end() || !found->is_object()) return "";
  const auto value = found->find(name);
  return value != found->end() && value->is_string() ? value->get<std::string>() : "";
}

void check_meta(const kube::Meta& meta, const Json& seen) {
  must(!meta.name.empty(), "an object has a name");
  if (seen.is_null()) return;
  must(meta.name == text_at(seen, "metadata", "name"), "the name is the object's");
  must(meta.ns == text_at(seen, "metadata", "namespace"), "the namespace is the object's");
  must(meta.uid == text_at(seen, "metadata", "uid"), "the uid is the object's");
}

// Keys that need an escape are none of the API's own: they may be left out.
void drop_unplain(Json& object) {
  for (auto at = object.begin(); at != object.end();) {
    const std::string& key = at.key();
    const bool plain = std::none_of(key.begin(), key.end(), [](char c) {
      return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
    });
    at = plain ? ++at : object.erase(at);
  }
}

void check_body(const std::string& body, const kube::ResourceType& type, Json seen) {
  if (seen.is_null()) return;
  for (const char* gone : {"apiVersion", "kind", "status"}) seen.erase(gone);
  drop_unplain(seen);
  if (seen["metadata"].is_object()) {
    seen["metadata"].erase("managedFields");
    drop_unplain(seen["metadata"]);
  }
  seen["apiVersion"] = type.api_version;
  seen["kind"] = type.kind;
  Json kept = parse_json(body);
  must(is_subset(seen, kept) && is_subset(kept, seen), "the body is the object's");
}

template <class K>
void check_kind(std::string_view text, const Json& seen) {
  const auto object = K::decode(text);
  if (!object) return must(is_fixed_text(object.error()), "an error is one of the fixed texts");
  check_meta(object->meta, seen);
  if constexpr (requires { object->body; }) check_body(object->body, K::kType, seen);
}

void check_secret_data(std::string_view text, const Json& seen) {
  const auto secret = kube::Secret::decode(text);
  if (!secret || !seen.is_object() || !seen.contains("data")) return;
  for (const auto& [key, value] : secret->data) {
    const Json& given = seen["data"][key];
    const std::string base64 = given.is_string() ? given.get<std::string>() : "";
    must(base64_decode(base64) == value, "data is what base64 says");
  }
}

void check_pooler_config(std::string_view text, const Json& seen) {
  const auto object = reconcile::PoolerConfigObject::decode(text);
  if (!object) return must(!object.error().empty(), "an error says something");
  check_meta(object->meta, seen);
  if (seen.is_null()) return;
  must(object->meta.key() == kube::ObjectKey{object->config->ns, object->config->name},
       "both readers see one key");
  must(object->meta.uid == object->config->uid, "both readers see one uid");
  must(object->meta.generation == object->config->generation, "both readers see one generation");
}

void check_object(std::string_view text) {
  const Json seen = witness(text);
  check_kind<kube::Secret>(text, seen);
  check_kind<kube::Service>(text, seen);
  check_kind<kube::StatefulSet>(text, seen);
  check_kind<kube::PodDisruptionBudget>(text, seen);
  check_kind<kube::Pod>(text, seen);
  check_kind<kube::PartialObject>(text, seen);
  check_secret_data(text, seen);
  check_pooler_config(text, seen);
  const auto version = kube::decode_resource_version(text);
  must(version ? !version->empty() : is_fixed_text(version.error()), "a version says something");
}

void check_error(const kube::ApiError& error) {
  must(!error.message.empty(), "an error says something");
  must(error.message.size() <= 1024, "a message is bounded");
  must(is_utf8(error.message), "a message is text");
  must(
      !error.retry_after || (error.retry_after->count() > 0 && error.retry_after->count() <= 86400),
      "a wait is positive, and a day at most");
}

void check_status(std::string_view text) {
  const auto status = kube::parse_status(text);
  if (status) {
    check_error(kube::classify(*status));
  } else {
    must(is_fixed_text(status.error()), "an error is one of the fixed texts");
  }
  for (const int code : {0, 301, 403, 422, 503}) {
    const kube::ApiError error = kube::classify(code, text, std::nullopt);
    check_error(error);
    must(error.code == code, "the code is the answer's");
    must(status || error.message == "HTTP status " + std::to_string(code),
         "a page of a proxy is not repeated");
  }
}

bool lies_in(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

void check_line(std::string_view line) {
  const auto event = kube::parse_watch_line(line);
  if (!event) return must(is_fixed_text(event.error()), "an error is one of the fixed texts");
  must(!event->object.empty() && lies_in(event->object, line), "the object is a part of the line");
  const Json seen = witness(line);
  must(seen.is_null() || parse_json(event->object) == seen["object"], "... and the right one");
  check_object(event->object);
  check_status(event->object);
}

void check_list(std::string_view text) {
  std::size_t count = 0;
  const auto list = kube::parse_list(text, [&](std::string_view item) {
    ++count;
    must(!item.empty() && lies_in(item, text), "an item is a part of the list");
    check_object(item);
  });
  const Json seen = witness(text);
  if (!list || seen.is_null()) return;
  must(list->resource_version == text_at(seen, "metadata", "resourceVersion"), "its version");
  must(list->continue_token == text_at(seen, "metadata", "continue"), "its token");
  must(count == (seen.contains("items") ? seen["items"].size() : 0), "every item once");
}

}  // namespace
}  // namespace pooler::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  pooler::fuzz::check_line(text);
  pooler::fuzz::check_list(text);
  pooler::fuzz::check_object(text);
  pooler::fuzz::check_status(text);
  return 0;
}
