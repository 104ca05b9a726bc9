// Bodies of store.h.
#pragma once

#include "kube/store.h"

namespace pooler::kube {

template <class K>
typename Store<K>::Ptr Store<K>::get(const ObjectKey& key) const {
  std::lock_guard held(mutex_);
  return visible(key);
}

template <class K>
std::vector<typename Store<K>::Ptr> Store<K>::list(std::string_view ns) const {
  std::vector<Ptr> found;
  std::lock_guard held(mutex_);
  const ObjectKey first{std::string(ns), ""};
  const auto beyond = [&](const ObjectKey& key) { return !ns.empty() && key.ns != ns; };
  auto base = objects_.lower_bound(first);
  auto own = written_.lower_bound(first);
  const auto at_end = [&](const auto& it, const auto& map) {
    return it == map.end() || beyond(it->first);
  };
  while (true) {
    const bool no_base = at_end(base, objects_);
    const bool no_own = at_end(own, written_);
    if (no_base && no_own) return found;
    const bool take_base = no_own || (!no_base && base->first <= own->first);
    const bool take_own = no_base || (!no_own && own->first <= base->first);
    const ObjectKey& key = take_base ? base->first : own->first;
    if (Ptr object = visible(key)) found.push_back(std::move(object));
    if (take_base) ++base;
    if (take_own) ++own;
  }
}

template <class K>
std::size_t Store<K>::size() const {
  return list().size();
}

template <class K>
bool Store<K>::wrote(K object) {
  const ObjectKey key = object.meta.key();
  const std::string version = object.meta.resource_version;
  std::lock_guard held(mutex_);
  if (is_gone(key, object.meta.uid)) return false;
  const auto newer_than = [&](std::string_view known) {
    const auto order = compare_resource_versions(version, known);
    return order.has_value() && *order > 0;
  };
  if (!newer_than("0")) return false;
  if (auto seen = seen_.find(scope_of(key)); seen != seen_.end() && !newer_than(seen->second)) {
    return false;
  }
  if (Ptr known = visible(key); known && !newer_than(known->meta.resource_version)) return false;
  written_[key] = std::make_shared<const K>(std::move(object));
  return true;
}

template <class K>
void Store<K>::deleted(const ObjectKey& key, std::string uid) {
  std::lock_guard held(mutex_);
  bool known = false;
  if (auto own = written_.find(key); own != written_.end() && own->second->meta.uid == uid) {
    written_.erase(own);
    known = true;
  }
  auto base = objects_.find(key);
  known = known || (base != objects_.end() && base->second->meta.uid == uid);
  if (known && !is_gone(key, uid)) gone_[key].push_back(std::move(uid));
}

template <class K>
std::vector<typename Store<K>::Change> Store<K>::replace(std::string_view scope,
                                                         std::vector<K> objects,
                                                         std::string_view resource_version) {
  std::vector<Change> changes;
  std::map<ObjectKey, Ptr> listed;
  for (K& object : objects) {
    ObjectKey key = object.meta.key();
    listed[std::move(key)] = std::make_shared<const K>(std::move(object));
  }
  std::lock_guard held(mutex_);
  for (auto it = objects_.begin(); it != objects_.end();) {
    const bool in_scope = scope.empty() || it->first.ns == scope;
    const auto now = listed.find(it->first);
    // One that was deleted and made again while nobody watched is two changes.
    const bool same = now != listed.end() && now->second->meta.uid == it->second->meta.uid;
    if (!in_scope || same) {
      ++it;
      continue;
    }
    changes.push_back({it->second, nullptr});
    it = objects_.erase(it);
  }
  for (auto& [key, object] : listed) {
    Ptr& slot = objects_[key];
    if (!slot || slot->meta.resource_version != object->meta.resource_version) {
      changes.push_back({slot, object});
    }
    slot = object;
  }
  for (auto it = gone_.begin(); it != gone_.end();) {
    auto& [key, uids] = *it;
    const auto now = listed.find(key);
    if (scope.empty() || key.ns == scope) {
      std::erase_if(uids, [&](const std::string& uid) {
        return now == listed.end() || now->second->meta.uid != uid;
      });
    }
    it = uids.empty() ? gone_.erase(it) : std::next(it);
  }
  seen_[std::string(scope)];
  saw(scope, resource_version);
  return changes;
}

template <class K>
typename Store<K>::Change Store<K>::upsert(K object) {
  auto after = std::make_shared<const K>(std::move(object));
  const ObjectKey key = after->meta.key();
  std::lock_guard held(mutex_);
  Ptr& slot = objects_[key];
  if (slot && slot->meta.uid == after->meta.uid) {
    // A duplicate, or a server that replays the past: what is known stays.
    const auto order =
        compare_resource_versions(after->meta.resource_version, slot->meta.resource_version);
    if (order.has_value() && *order <= 0) return {};
  }
  Change change{slot, after};
  slot = after;
  saw(scope_of(key), after->meta.resource_version);
  return change;
}

template <class K>
typename Store<K>::Change Store<K>::erase(const K& last_seen) {
  const ObjectKey key = last_seen.meta.key();
  std::lock_guard held(mutex_);
  forget_gone(key, last_seen.meta.uid);
  Change change;
  if (auto it = objects_.find(key); it != objects_.end()) {
    if (it->second->meta.uid == last_seen.meta.uid) {
      change.before = it->second;
      objects_.erase(it);
    }
  }
  if (auto own = written_.find(key);
      own != written_.end() && own->second->meta.uid == last_seen.meta.uid) {
    written_.erase(own);
  }
  saw(scope_of(key), last_seen.meta.resource_version);
  return change;
}

template <class K>
void Store<K>::progress(std::string_view scope, std::string_view resource_version) {
  std::lock_guard held(mutex_);
  saw(scope, resource_version);
}

template <class K>
typename Store<K>::Ptr Store<K>::visible(const ObjectKey& key) const {
  Ptr object;
  if (auto own = written_.find(key); own != written_.end()) {
    object = own->second;
  } else if (auto base = objects_.find(key); base != objects_.end()) {
    object = base->second;
  }
  if (object && is_gone(key, object->meta.uid)) return nullptr;
  return object;
}

template <class K>
bool Store<K>::is_gone(const ObjectKey& key, const std::string& uid) const {
  const auto gone = gone_.find(key);
  return gone != gone_.end() &&
         std::find(gone->second.begin(), gone->second.end(), uid) != gone->second.end();
}

template <class K>
std::string_view Store<K>::scope_of(const ObjectKey& key) const {
  return seen_.contains(std::string_view{}) ? std::string_view{} : std::string_view(key.ns);
}

// Events of one type come in the order of resourceVersions, so all written at or before
// `resource_version` is now in objects_ (or is gone).
template <class K>
void Store<K>::saw(std::string_view scope, std::string_view resource_version) {
  auto seen = seen_.find(scope);
  if (seen == seen_.end()) return;
  const auto order = compare_resource_versions(resource_version, seen->second);
  if (seen->second.empty() || (order.has_value() && *order > 0)) seen->second = resource_version;
  std::erase_if(written_, [&](const auto& entry) {
    if (!scope.empty() && entry.first.ns != scope) return false;
    const auto against =
        compare_resource_versions(entry.second->meta.resource_version, resource_version);
    return against.has_value() && *against <= 0;
  });
}

template <class K>
void Store<K>::forget_gone(const ObjectKey& key, const std::string& uid) {
  auto gone = gone_.find(key);
  if (gone == gone_.end()) return;
  std::erase(gone->second, uid);
  if (gone->second.empty()) gone_.erase(gone);
}

}  // namespace pooler::kube
