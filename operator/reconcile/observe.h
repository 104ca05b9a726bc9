// observe(): one PoolerConfig as the caches have it. The only requests are for what no watch
// covers: the Secrets that the spec refers to, when their version changed or they are missing, and
// objects of our names that are not ours.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/guarded.h"
#include "kube/client.h"
#include "reconcile/caches.h"
#include "reconcile/observed.h"

namespace pooler::reconcile {

class Observer {
 public:
  Observer(const Caches& caches, kube::Client& client);

  // All of Observed but live, project, others, what comes from Options, fresh_random and now.
  // Error: the API server could not be asked.
  [[nodiscard]] kube::ApiResult<Observed> observe(const PoolerConfigObject& object);

  // That PoolerConfig is gone: what only it referred to is not kept in memory.
  void forget(const kube::ObjectKey& config) { refer(config, {}); }

  // A create met an object of this name that the watches don't show.
  void taken(const kube::ResourceType& type, const kube::ObjectKey& key);

 private:
  using Taken = std::set<std::pair<std::string, kube::ObjectKey>>;
  struct CachedSecret {
    std::string resource_version;
    std::map<std::string, std::string> data;
    std::set<kube::ObjectKey> users;  // PoolerConfigs
  };

  template <class K>
  kube::ApiResult<std::shared_ptr<const K>> find(const kube::Store<K>& store,
                                                 const kube::ObjectKey& key);
  kube::ApiResult<std::optional<std::map<std::string, std::string>>> referenced_secret(
      const kube::ObjectKey& key, const kube::ObjectKey& user);
  // Those and no others are what `config` refers to.
  void refer(const kube::ObjectKey& config, const std::set<kube::ObjectKey>& secrets);

  const Caches& caches_;
  kube::Client& client_;
  Guarded<Taken> taken_;
  Guarded<std::map<kube::ObjectKey, CachedSecret>> referenced_secrets_;
};

}  // namespace pooler::reconcile
