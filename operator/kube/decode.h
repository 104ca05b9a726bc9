// Reading JSON with simdjson on-demand, without exceptions. Private to kube: only .cpp files that
// decode include it.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "kube/meta.h"

namespace pooler::kube::decode {

namespace ondemand = simdjson::ondemand;
using Error = simdjson::error_code;

// A document whose top is an object. Fields are visited in their order, once per visit.
class Document {
 public:
  explicit Document(std::string_view json) : bytes_(json) {}

  // f(key, value) -> Error for each field of the top object.
  template <class F>
  Result<Unit, std::string> fields(F&& f) {
    Error error = parser_.iterate(bytes_).get(document_);
    ondemand::object top;
    if (!error) error = document_.get_object().get(top);
    if (!error) error = each(top, std::forward<F>(f));
    // What follows the object would be silently ignored: only past the end there is no location.
    const char* rest = nullptr;
    if (!error && !document_.current_location().get(rest)) error = simdjson::TRAILING_CONTENT;
    if (error) return failure(std::string(simdjson::error_message(error)));
    return Unit{};
  }

  template <class F>
  static Error each(ondemand::object& object, F&& f) {
    for (auto field : object) {
      std::string_view key;
      if (Error error = field.unescaped_key().get(key)) return error;
      ondemand::value value;
      if (Error error = field.value().get(value)) return error;
      const std::string held(key);  // the parser's buffer may move on
      if (Error error = f(std::string_view(held), value)) return error;
    }
    return simdjson::SUCCESS;
  }

  // Where `part` of this document lies in the text it was made from.
  [[nodiscard]] std::string_view original(std::string_view text, std::string_view part) const {
    return text.substr(static_cast<std::size_t>(part.data() - bytes_.data()), part.size());
  }

 private:
  simdjson::padded_string bytes_;
  ondemand::parser parser_;
  ondemand::document document_;
};

// Each takes null as absent. A value of another type is an error.
inline bool is_null(ondemand::value& value) {
  bool null = false;
  return !value.is_null().get(null) && null;
}

inline Error read(ondemand::value& value, std::string& out) {
  if (is_null(value)) return simdjson::SUCCESS;
  std::string_view text;
  const Error error = value.get_string().get(text);
  if (!error) out = text;
  return error;
}

inline Error read(ondemand::value& value, std::int64_t& out) {
  return is_null(value) ? simdjson::SUCCESS : value.get_int64().get(out);
}

inline Error read(ondemand::value& value, std::int32_t& out) {
  std::int64_t wide = out;
  if (Error error = read(value, wide)) return error;
  if (wide < INT32_MIN || wide > INT32_MAX) return simdjson::NUMBER_OUT_OF_RANGE;
  out = static_cast<std::int32_t>(wide);
  return simdjson::SUCCESS;
}

inline Error read(ondemand::value& value, bool& out) {
  return is_null(value) ? simdjson::SUCCESS : value.get_bool().get(out);
}

inline Error read(ondemand::value& value, std::map<std::string, std::string>& out);

template <class F>
Error object(ondemand::value& value, F&& f) {
  if (is_null(value)) return simdjson::SUCCESS;
  ondemand::object inner;
  if (Error error = value.get_object().get(inner)) return error;
  return Document::each(inner, std::forward<F>(f));
}

// f(value) -> Error for each element.
template <class F>
Error array(ondemand::value& value, F&& f) {
  if (is_null(value)) return simdjson::SUCCESS;
  ondemand::array inner;
  if (Error error = value.get_array().get(inner)) return error;
  for (auto element : inner) {
    ondemand::value item;
    if (Error error = element.get(item)) return error;
    if (Error error = f(item)) return error;
  }
  return simdjson::SUCCESS;
}

inline Error read(ondemand::value& value, std::map<std::string, std::string>& out) {
  return object(value, [&](std::string_view key, ondemand::value& item) {
    return read(item, out[std::string(key)]);
  });
}

// The value as it stands in the text, without the blanks around it.
inline Error raw(ondemand::value& value, std::string_view& out) {
  return simdjson::to_json_string(value).get(out);
}

// metadata of an object.
Error meta(ondemand::value& value, Meta& out);

// Seconds since 1970 of "2026-01-31T23:59:59Z" (fractions are dropped); nullopt for anything else.
std::optional<std::int64_t> rfc3339_seconds(std::string_view text);

}  // namespace pooler::kube::decode
