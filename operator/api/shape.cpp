#include "api/shape.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "api/pooler_config.h"
#include "base/json.h"
#include "base/strings.h"

namespace pooler::api {
namespace {

using enum FieldType;

// ---- the tables; operator/api and crds/poolerconfigs.yaml are held together by a test

constexpr std::int64_t kMaxId = 2147483647;

constexpr Field kExpression[] = {
    {"key", kText, {}}, {"operator", kText, {}}, {"values", kTexts, {}}};
constexpr Field kLabelSelector[] = {{"matchLabels", kTextMap, {}},
                                    {"matchExpressions", kObjects, kExpression}};

constexpr Field kNodeTerm[] = {{"matchExpressions", kObjects, kExpression},
                               {"matchFields", kObjects, kExpression}};
constexpr Field kNodeSelector[] = {{"nodeSelectorTerms", kObjects, kNodeTerm}};
constexpr Field kPreferredNode[] = {{"weight", kInteger, {}, 1, 100},
                                    {"preference", kObject, kNodeTerm}};
constexpr Field kNodeAffinity[] = {
    {"requiredDuringSchedulingIgnoredDuringExecution", kObject, kNodeSelector},
    {"preferredDuringSchedulingIgnoredDuringExecution", kObjects, kPreferredNode}};

constexpr Field kPodTerm[] = {{"topologyKey", kText, {}},
                              {"labelSelector", kObject, kLabelSelector},
                              {"namespaces", kTexts, {}},
                              {"namespaceSelector", kObject, kLabelSelector}};
constexpr Field kPreferredPod[] = {{"weight", kInteger, {}, 1, 100},
                                   {"podAffinityTerm", kObject, kPodTerm}};
constexpr Field kPodAffinity[] = {
    {"requiredDuringSchedulingIgnoredDuringExecution", kObjects, kPodTerm},
    {"preferredDuringSchedulingIgnoredDuringExecution", kObjects, kPreferredPod}};

constexpr Field kAffinity[] = {{"nodeAffinity", kObject, kNodeAffinity},
                               {"podAffinity", kObject, kPodAffinity},
                               {"podAntiAffinity", kObject, kPodAffinity}};

constexpr Field kToleration[] = {{"key", kText, {}},
                                 {"operator", kText, {}},
                                 {"value", kText, {}},
                                 {"effect", kText, {}},
                                 {"tolerationSeconds", kInteger, {}, 0, kMaxId}};

constexpr Field kSpread[] = {{"topologyKey", kText, {}},
                             {"whenUnsatisfiable", kText, {}},
                             {"maxSkew", kInteger, {}, 1, kMaxReplicas},
                             {"minDomains", kInteger, {}, 1, kMaxReplicas},
                             {"labelSelector", kObject, kLabelSelector},
                             {"matchLabelKeys", kTexts, {}},
                             {"nodeAffinityPolicy", kText, {}},
                             {"nodeTaintsPolicy", kText, {}}};

constexpr Field kProfile[] = {{"type", kText, {}}, {"localhostProfile", kText, {}}};
constexpr Field kSeLinux[] = {
    {"user", kText, {}}, {"role", kText, {}}, {"type", kText, {}}, {"level", kText, {}}};
// Without what would loosen a pod: PgBouncer needs none of it, and who may write a PoolerConfig
// must not get by it what the namespace does not give them.
constexpr Field kContainerSecurity[] = {{"runAsUser", kInteger, {}, 1, kMaxId},
                                        {"runAsGroup", kInteger, {}, 1, kMaxId},
                                        {"seLinuxOptions", kObject, kSeLinux},
                                        {"seccompProfile", kObject, kProfile},
                                        {"appArmorProfile", kObject, kProfile}};
constexpr Field kPodSecurity[] = {{"runAsUser", kInteger, {}, 1, kMaxId},
                                  {"runAsGroup", kInteger, {}, 1, kMaxId},
                                  {"fsGroup", kInteger, {}, 1, kMaxId},
                                  {"fsGroupChangePolicy", kText, {}},
                                  {"supplementalGroups", kIntegers, {}, 1, kMaxId},
                                  {"seLinuxOptions", kObject, kSeLinux},
                                  {"seccompProfile", kObject, kProfile},
                                  {"appArmorProfile", kObject, kProfile}};

constexpr Field kResources[] = {{"requests", kQuantities, {}}, {"limits", kQuantities, {}}};
constexpr Field kMetadata[] = {{"labels", kTextMap, {}}, {"annotations", kTextMap, {}}};
constexpr Field kNamed[] = {{"name", kText, {}}};

constexpr Field kPod[] = {{"metadata", kObject, kMetadata},
                          {"resources", kObject, kResources},
                          {"nodeSelector", kTextMap, {}},
                          {"tolerations", kObjects, kToleration},
                          {"affinity", kObject, kAffinity},
                          {"topologySpreadConstraints", kObjects, kSpread},
                          {"priorityClassName", kText, {}},
                          {"imagePullSecrets", kObjects, kNamed},
                          {"securityContext", kObject, kPodSecurity},
                          {"containerSecurityContext", kObject, kContainerSecurity}};

constexpr Field kIpBlock[] = {{"cidr", kText, {}}, {"except", kTexts, {}}};
constexpr Field kPeer[] = {{"podSelector", kObject, kLabelSelector},
                           {"namespaceSelector", kObject, kLabelSelector},
                           {"ipBlock", kObject, kIpBlock}};

// ---- quantities

constexpr std::array<std::string_view, 9> kDecimal = {"u", "m", "", "k", "M", "G", "T", "P", "E"};
constexpr std::array<std::string_view, 7> kBinary = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
constexpr std::size_t kMaxWhole = 12;
constexpr std::size_t kMaxDecimals = 3;

template <class Units>
std::optional<std::size_t> unit_of(const Units& units, std::string_view suffix) {
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (units[i] == suffix) return i;
  }
  return std::nullopt;
}

// The largest unit in which it is a whole number.
template <class Units>
std::string in_largest_unit(const Units& units, long long number, std::size_t unit,
                            long long step) {
  if (number == 0) return "0";
  for (; number % step == 0 && unit + 1 < units.size(); ++unit) number /= step;
  return std::to_string(number) + std::string(units[unit]);
}

// As the API server writes it back ("0.5" is "500m", "1024Mi" is "1Gi"), so that comparing with
// what it has tells a real difference. nullopt: no quantity, or one that nobody writes for a pod.
std::optional<std::string> canonical_quantity(std::string_view text) {
  const std::size_t end = text.find_first_not_of("0123456789.");
  const std::string_view suffix = end == std::string_view::npos ? "" : text.substr(end);
  const std::string_view number = text.substr(0, end);
  const std::size_t point = std::min(number.find('.'), number.size());
  std::string digits(number.substr(0, point));
  std::string decimals(number.substr(std::min(point + 1, number.size())));
  if (digits.empty() || digits.size() > kMaxWhole || decimals.size() > kMaxDecimals) {
    return std::nullopt;
  }
  decimals.resize(kMaxDecimals, '0');
  const auto thousandths = parse_integer(digits + decimals);
  if (!thousandths) return std::nullopt;
  if (const auto unit = unit_of(kDecimal, suffix); unit && *unit > 0) {
    return in_largest_unit(kDecimal, *thousandths, *unit - 1, 1000);
  }
  const auto unit = unit_of(kBinary, suffix);
  if (!unit || *thousandths % 125 != 0) return std::nullopt;  // no whole number of bytes
  return in_largest_unit(kBinary, *thousandths / 125 * 128, *unit - 1, 1024);
}

// ---- reading

Json read_integer(Reader reader, const Field& field) {
  std::optional<std::int64_t> number;
  Reader at = reader;
  reader.read(number);
  if (!number) return nullptr;
  if (*number >= field.low && *number <= field.high) return *number;
  at.mismatch("from " + std::to_string(field.low) + " to " + std::to_string(field.high));
  return nullptr;
}

Json read_text(Reader reader) {
  std::string text;
  reader.read(text);
  return text;
}

Json read_text_map(Reader reader) {
  Json map = Json::object();
  reader.object(
      [&map](std::string_view key, Reader value) { map[std::string(key)] = read_text(value); });
  return map;
}

Json read_quantities(Reader reader) {
  Json map = Json::object();
  reader.object([&map](std::string_view key, Reader value) {
    std::string text;
    const Reader at = value;
    if (!value.read_text_or_integer(text)) return;
    const auto quantity = canonical_quantity(text);
    if (quantity) {
      map[std::string(key)] = *quantity;
    } else {
      at.mismatch("a quantity such as 500m, 2 or 256Mi");
    }
  });
  return map;
}

template <class ReadItem>
Json read_list(Reader reader, const ReadItem& read_item) {
  Json list = Json::array();
  reader.list([&](Reader item) { list.push_back(read_item(item)); });
  return list;
}

Json read_field(const Reader& reader, const Field& field) {
  switch (field.type) {
    case kText:
      return read_text(reader);
    case kInteger:
      return read_integer(reader, field);
    case kTexts:
      return read_list(reader, read_text);
    case kIntegers:
      return read_list(reader, [&field](const Reader& item) { return read_integer(item, field); });
    case kTextMap:
      return read_text_map(reader);
    case kQuantities:
      return read_quantities(reader);
    case kObject:
      return read_fields(reader, field.fields);
    case kObjects:
      return read_objects(reader, field.fields);
  }
  return nullptr;
}

// Not so an object of fields: an empty selector selects everything.
bool says_nothing(const Json& value, const Field& field) {
  return value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         (field.type != kObject && value.is_structured() && value.empty());
}

}  // namespace

const Fields kPodFields = kPod;
const Fields kPeerFields = kPeer;

Json read_fields(Reader reader, const Fields& table) {
  Json out = Json::object();
  reader.object([&](std::string_view key, const Reader& value) {
    for (std::size_t i = 0; i < table.count; ++i) {
      const Field& field = table.first[i];
      if (field.name != key) continue;
      Json read = read_field(value, field);
      if (!says_nothing(read, field)) out[std::string(key)] = std::move(read);
    }
  });
  return out;
}

Json read_objects(Reader reader, const Fields& table) {
  return read_list(reader, [&table](const Reader& item) { return read_fields(item, table); });
}

}  // namespace pooler::api
