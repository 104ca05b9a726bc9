// Reads JSON from the API server into structs: one pass, no tree, and every mismatch with its path.
// Only for the .cpp files of this folder.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pooler::api {

namespace ondemand = simdjson::ondemand;

// A value with the path that leads to it. simdjson hands out each value once, in the order of the
// text: call exactly one of the readers, once.
class Reader {
 public:
  struct Mismatch {
    std::string path;
    std::string message;
  };

  Reader(ondemand::value value, std::string path, std::vector<Mismatch>& mismatches)
      : value_(value), path_(std::move(path)), mismatches_(mismatches) {}

  // The same value, whose mismatches are kept apart.
  [[nodiscard]] Reader reporting_to(std::vector<Mismatch>& mismatches) const {
    return Reader(value_, path_, mismatches);
  }

  using Field = std::function<void(std::string_view, Reader)>;

  // Reports that the value is no such thing: "must be <expected>".
  void mismatch(std::string_view expected) const {
    mismatches_.push_back({path_, "must be " + std::string(expected)});
  }

  // Calls `field` with each key and value. null counts as absent, here and below.
  void object(const Field& field) {
    ondemand::object object;
    if (is_null()) return;
    if (value_.get_object().get(object) != simdjson::SUCCESS) return mismatch("an object");
    members(object, path_, mismatches_, field);
  }

  // The same for an object at hand: a document's root is no value.
  static void members(ondemand::object object, const std::string& path,
                      std::vector<Mismatch>& mismatches, const Field& field) {
    for (auto member : object) {
      std::string_view key;
      ondemand::value value;
      if (member.unescaped_key().get(key) != simdjson::SUCCESS ||
          member.value().get(value) != simdjson::SUCCESS) {
        mismatches.push_back({path, "must be an object"});
        return;
      }
      field(key, Reader(value, path.empty() ? std::string(key) : path + "." + std::string(key),
                        mismatches));
    }
  }

  void list(const std::function<void(Reader)>& item) {
    ondemand::array array;
    if (is_null()) return;
    if (value_.get_array().get(array) != simdjson::SUCCESS) return mismatch("a list");
    std::size_t index = 0;
    for (auto element : array) {
      ondemand::value value;
      if (element.get(value) != simdjson::SUCCESS) return mismatch("a list");
      item(Reader(value, path_ + "[" + std::to_string(index++) + "]", mismatches_));
    }
  }

  void read(std::string& out) {
    std::string_view text;
    if (is_null()) return;
    if (value_.get_string().get(text) != simdjson::SUCCESS) return mismatch("a string");
    out = text;
  }

  void read(bool& out) {
    bool flag = false;
    if (is_null()) return;
    if (value_.get_bool().get(flag) != simdjson::SUCCESS) return mismatch("true or false");
    out = flag;
  }

  void read(std::int64_t& out) { read_integer(out); }
  void read(int& out) { read_integer(out); }
  template <class Integer>
  void read(std::optional<Integer>& out) {
    if (is_null()) return;
    Integer number{};
    if (read_integer(number)) out = number;
  }

  // A number counts as its digits; false where there is neither.
  bool read_text_or_integer(std::string& out) {
    ondemand::json_type type{};
    if (value_.type().get(type) == simdjson::SUCCESS && type == ondemand::json_type::number) {
      std::int64_t number = 0;
      if (!read_integer(number)) return false;
      out = std::to_string(number);
      return true;
    }
    const std::size_t before = mismatches_.size();
    read(out);
    return mismatches_.size() == before;
  }

  // One of a few words.
  template <class Enum>
  void read(Enum& out, std::initializer_list<std::pair<std::string_view, Enum>> words) {
    std::string text;
    if (is_null()) return;
    const std::size_t before = mismatches_.size();
    read(text);
    if (mismatches_.size() != before) return;
    std::string known;
    for (const auto& [word, meaning] : words) {
      if (word == text) {
        out = meaning;
        return;
      }
      known += (known.empty() ? "" : ", ") + std::string(word);
    }
    mismatches_.push_back({path_, "must be one of: " + known});
  }
  template <class Enum>
  void read(std::optional<Enum>& out,
            std::initializer_list<std::pair<std::string_view, Enum>> words) {
    if (is_null()) return;
    read<Enum>(out.emplace(), words);
  }

 private:
  [[nodiscard]] bool is_null() {
    bool null = false;
    return value_.is_null().get(null) == simdjson::SUCCESS && null;
  }

  template <class Integer>
  bool read_integer(Integer& out) {
    if (is_null()) return false;
    std::int64_t number = 0;
    if (value_.get_int64().get(number) != simdjson::SUCCESS) {
      mismatch("a whole number");
      return false;
    }
    if (number < std::numeric_limits<Integer>::min() ||
        number > std::numeric_limits<Integer>::max()) {
      mismatch("a smaller number");
      return false;
    }
    out = static_cast<Integer>(number);
    return true;
  }

  ondemand::value value_;
  std::string path_;
  std::vector<Mismatch>& mismatches_;
};

}  // namespace pooler::api
