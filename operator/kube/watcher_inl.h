// Bodies of watcher.h.
#pragma once

#include "kube/watcher.h"

namespace pooler::kube {

template <class K>
class Watcher<K>::Target final : public WatchTarget {
 public:
  Target(Store<K>& store, const OnChange& on_change) : store_(store), on_change_(on_change) {}

  void begin_list() override { listed_.clear(); }

  bool list_item(std::string_view json) override {
    auto object = K::decode(json);
    if (!object) return false;
    listed_.push_back(std::move(object).value());
    return true;
  }

  void end_list(const std::string& scope, const std::string& resource_version) override {
    for (const auto& change : store_.replace(scope, std::move(listed_), resource_version)) {
      tell(change);
    }
    listed_ = {};
    store_.sync().arrived(scope);
  }

  std::optional<std::string> changed(std::string_view json) override {
    auto object = K::decode(json);
    if (!object) return std::nullopt;
    std::string version = object->meta.resource_version;
    tell(store_.upsert(std::move(object).value()));
    return version;
  }

  std::optional<std::string> removed(std::string_view json) override {
    auto object = K::decode(json);
    if (!object) return std::nullopt;
    tell(store_.erase(*object));
    return object->meta.resource_version;
  }

  void progressed(const std::string& scope, const std::string& resource_version) override {
    store_.progress(scope, resource_version);
  }

 private:
  void tell(const typename Store<K>::Change& change) {
    const K* before = change.before.get();
    const K* after = change.after.get();
    if (!on_change_ || (before == nullptr && after == nullptr)) return;
    if (before != nullptr && after != nullptr && before->meta.uid != after->meta.uid) {
      // Deleted and made again under its name, and the delete was not seen.
      on_change_(before, nullptr);
      before = nullptr;
    }
    on_change_(before, after);
  }

  Store<K>& store_;
  const OnChange& on_change_;
  std::vector<K> listed_;
};

template <class K>
Watcher<K>::Watcher(HttpTransport& transport, const Clock& clock, Store<K>& store,
                    OnChange on_change, WatchOptions options)
    : store_(store), on_change_(std::move(on_change)), options_(std::move(options)) {
  const ResourceType type = options_.type.kind.empty() ? K::kType : options_.type;
  std::vector<std::string> scopes = options_.namespaces;
  if (scopes.empty()) scopes.emplace_back();
  for (const std::string& scope : scopes) {
    store_.sync().expect(scope);
    targets_.push_back(std::make_unique<Target>(store_, on_change_));
    scopes_.push_back(std::make_unique<ScopeWatch>(transport, clock, options_, type, scope,
                                                   *targets_.back(), metrics_));
  }
}

template <class K>
void Watcher<K>::start() {
  for (auto& scope : scopes_) {
    threads_.emplace_back([watch = scope.get()](std::stop_token stop) { watch->run(stop); });
  }
}

template <class K>
void Watcher<K>::stop() {
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

}  // namespace pooler::kube
