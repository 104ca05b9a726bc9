// Store<K>: what a watch knows of one type, with an overlay of our own writes so that a reader sees
// what it has written (a cache alone may be behind). Objects are shared and never change.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "kube/meta.h"
#include "kube/sync.h"

namespace pooler::kube {

// Thread-safe. A reader sees a relist whole or not at all.
template <class K>
class Store {
 public:
  using Ptr = std::shared_ptr<const K>;

  // Null where there is none.
  [[nodiscard]] Ptr get(const ObjectKey& key) const;
  // Of one namespace, or of all where `ns` is empty; ordered by key.
  [[nodiscard]] std::vector<Ptr> list(std::string_view ns = {}) const;
  template <class F>
  void for_each(F&& visit) const {
    for (const Ptr& object : list()) visit(object);
  }
  [[nodiscard]] std::size_t size() const;

  // Every scope was listed and its objects were handed to the watcher's callback.
  [[nodiscard]] bool synced() const { return sync_.done(); }
  // False after `limit`, or when asked to stop.
  bool wait_synced(std::stop_token stop, Duration limit) const { return sync_.wait(stop, limit); }

  // The answer to our own create, apply or patch. Seen by readers until the watch has seen it or
  // something newer. False (and nothing is kept) where the store knows better, or where
  // resourceVersions can't be compared.
  bool wrote(K object);
  // Our own delete was carried out: the object with this uid is gone.
  void deleted(const ObjectKey& key, std::string uid);

  // ---- for the Watcher ----
  struct Change {
    Ptr before;
    Ptr after;
  };
  // The scope's objects at `resource_version`; gives what changed. A scope is a namespace, or ""
  // for all.
  [[nodiscard]] std::vector<Change> replace(std::string_view scope, std::vector<K> objects,
                                            std::string_view resource_version);
  [[nodiscard]] Change upsert(K object);
  [[nodiscard]] Change erase(const K& last_seen);
  // The watch of this scope has seen all up to `resource_version` (bookmark).
  void progress(std::string_view scope, std::string_view resource_version);
  SyncGate& sync() { return sync_; }

 private:
  [[nodiscard]] Ptr visible(const ObjectKey& key) const;  // with the lock held, as all below
  [[nodiscard]] bool is_gone(const ObjectKey& key, const std::string& uid) const;
  [[nodiscard]] std::string_view scope_of(const ObjectKey& key) const;
  void saw(std::string_view scope, std::string_view resource_version);
  void forget_gone(const ObjectKey& key, const std::string& uid);

  mutable std::mutex mutex_;
  std::map<ObjectKey, Ptr> objects_;  // as the watch has them
  // Our own writes that the watch has not reached yet, and uids that we have deleted.
  std::map<ObjectKey, Ptr> written_;
  std::map<ObjectKey, std::vector<std::string>> gone_;
  std::map<std::string, std::string, std::less<>> seen_;  // scope -> the watch has seen all up to
  SyncGate sync_;
};

}  // namespace pooler::kube

#include "kube/store_inl.h"  // IWYU pragma: keep
