// Reconciler: key -> observe -> plan -> apply. The only writer of Kubernetes objects.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/clock.h"
#include "base/guarded.h"
#include "hosted/projects.h"
#include "kube/client.h"
#include "kube/controller.h"
#include "kube/events.h"
#include "live/live.h"
#include "reconcile/caches.h"
#include "reconcile/observe.h"
#include "reconcile/plan.h"

namespace pooler::reconcile {

struct Options {
  std::string default_image;       // of PgBouncer
  std::string operator_namespace;  // of the operator's own pod; empty where it runs in none
};

// What the reconciler needs of the live loop.
class LiveLoop {
 public:
  virtual ~LiveLoop() = default;
  virtual void set_target(const std::string& key, live::LiveTarget target) = 0;
  virtual void forget(const std::string& key) = 0;
  [[nodiscard]] virtual live::LiveState state(const std::string& key) const = 0;
};

// What the reconciler needs of the reader of Supabase's Management API.
class ProjectReader {
 public:
  virtual ~ProjectReader() = default;
  virtual void set_target(const std::string& key, const hosted::ProjectTarget& target) = 0;
  virtual void forget(const std::string& key) = 0;
  [[nodiscard]] virtual hosted::ProjectState state(const std::string& key) const = 0;
};

// Thread-safe for different keys.
class Reconciler {
 public:
  Reconciler(Caches& caches, kube::Client& client, LiveLoop& live, ProjectReader& projects,
             const Clock& clock, Options options);

  // Where Events go, and whom to wake when what one PoolerConfig holds of a server changes for
  // others. Before the first reconcile.
  std::function<void(kube::Event)> emit = [](kube::Event) {};
  std::function<void(const kube::ObjectKey&)> enqueue = [](const kube::ObjectKey&) {};

  Result<kube::Requeue, kube::ReconcileError> reconcile(const kube::ObjectKey& key);

 private:
  struct Memory {  // of one PoolerConfig; lost in a restart, and nothing is lost with it
    std::optional<MonotonicTime> status_written;
    std::string write_refused;
    std::string reload_refused;
    int moves_told = 0;
  };

  void gone(const kube::ObjectKey& key);
  std::map<std::string, Claim> claims_of_others(const PoolerConfigObject& object);
  void publish_claim(const kube::ObjectKey& key, Claim claim);
  // Of one that is not looked at, and why: what has no pods holds nothing; what has some holds what
  // it held, and where that was never seen nobody may guess it.
  void publish_unseen(const kube::ObjectKey& key, const std::string& why);
  [[nodiscard]] bool has_pods(const kube::ObjectKey& key) const;

  std::optional<kube::ApiError> carry_out(const api::PoolerConfig& config, const Plan& plan);
  std::optional<kube::ApiError> write(const Write& write);
  template <class K>
  std::optional<kube::ApiError> write_as(const Write& write, kube::Store<K>& store);
  void touch(const Touch& touch);
  std::optional<kube::ApiError> remove(const Removal& removal);
  // The time until the status may be written; nullopt: done, or nothing to write.
  kube::ApiResult<std::optional<Duration>> write_status(const PoolerConfigObject& object,
                                                        const api::Status& status);
  void tell(const api::PoolerConfig& config, const std::optional<Notice>& notice);

  Caches& caches_;
  kube::Client& client_;
  LiveLoop& live_;
  ProjectReader& projects_;
  const Clock& clock_;
  const Options options_;
  Observer observer_;
  Guarded<std::map<kube::ObjectKey, Memory>> memory_;
  Guarded<std::map<std::string, Claim>> claims_;
};

}  // namespace pooler::reconcile
