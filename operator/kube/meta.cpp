#include "kube/meta.h"

#include <algorithm>

namespace pooler::kube {
namespace {

bool is_version(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string to_string(const ObjectKey& key) {
  return key.ns.empty() ? key.name : key.ns + "/" + key.name;
}

bool Meta::applied_by(std::string_view manager) const {
  return std::find(appliers.begin(), appliers.end(), manager) != appliers.end();
}

const OwnerReference* Meta::controller_owner() const {
  const auto found = std::find_if(owners.begin(), owners.end(),
                                  [](const OwnerReference& owner) { return owner.controller; });
  return found == owners.end() ? nullptr : &*found;
}

bool Meta::owned_by(std::string_view owner_uid) const {
  return std::any_of(owners.begin(), owners.end(),
                     [&](const OwnerReference& owner) { return owner.uid == owner_uid; });
}

std::string ResourceType::collection(std::string_view ns) const {
  const bool core = api_version.find('/') == std::string_view::npos;
  std::string path = core ? "/api/" : "/apis/";
  path += api_version;
  if (!ns.empty()) path += "/namespaces/" + url_encode(ns);
  path += '/';
  path += plural;
  return path;
}

std::string ResourceType::object(const ObjectKey& key) const {
  return collection(key.ns) + "/" + url_encode(key.name);
}

std::string ResourceType::subresource(const ObjectKey& key, std::string_view name) const {
  return object(key) + "/" + std::string(name);
}

std::string url_encode(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  static constexpr std::string_view kUnreserved =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string encoded;
  for (const char c : text) {
    if (kUnreserved.find(c) != std::string_view::npos) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += kHex[byte >> 4U];
    encoded += kHex[byte & 15U];
  }
  return encoded;
}

std::optional<std::strong_ordering> compare_resource_versions(std::string_view a,
                                                              std::string_view b) {
  if (!is_version(a) || !is_version(b)) return std::nullopt;
  if (a.size() != b.size()) return a.size() <=> b.size();
  return a.compare(b) <=> 0;
}

}  // namespace pooler::kube
