// Parts of Kubernetes' own types that a spec takes over as they are: which fields they have, as
// tables, and a reader that keeps just those. What the values mean is the API server's to say.
// Only for the .cpp files of this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "api/reader.h"
#include "base/json_fwd.h"

namespace pooler::api {

struct Field;

// A table of fields.
struct Fields {
  constexpr Fields() = default;
  template <class F, std::size_t N>
  constexpr Fields(const F (&table)[N]) : first(table), count(N) {}  // NOLINT: a view
  const Field* first = nullptr;
  std::size_t count = 0;
};

enum class FieldType {
  kText,        // empty: as if it were absent
  kInteger,     // from low to high
  kTexts,       // a list
  kIntegers,    // a list, each from low to high
  kTextMap,     // any keys
  kQuantities,  // any keys; values as the API server writes them back
  kObject,      // of `fields`
  kObjects,     // a list
};

struct Field {
  std::string_view name;
  FieldType type;
  Fields fields;
  std::int64_t low = std::numeric_limits<std::int64_t>::min();
  std::int64_t high = std::numeric_limits<std::int64_t>::max();
};

// The fields of `table` that `reader` has, without texts, lists and maps that are empty: the API
// server drops them too. Mismatches are reported with their path.
[[nodiscard]] Json read_fields(Reader reader, const Fields& table);

// A list, each item an object of `table`.
[[nodiscard]] Json read_objects(Reader reader, const Fields& table);

// spec.pod, and an item of spec.networkPolicy.from.
extern const Fields kPodFields;
extern const Fields kPeerFields;

}  // namespace pooler::api
