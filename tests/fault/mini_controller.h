// A controller as small as one can be, on the whole of operator/kube: for each Thing there is a
// Secret of its name with the Thing's number. Under faults it must end where it ends without.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "fault/fake_api_server.h"
#include "kube/client.h"
#include "kube/controller.h"
#include "kube/watcher.h"

namespace pooler::fault {

inline constexpr kube::ResourceType kMiniThing{"mini.example.com/v1", "Thing", "things"};

struct Thing {
  static constexpr kube::ResourceType kType = kMiniThing;
  static kube::Decoded<Thing> decode(std::string_view json) {
    auto meta = kube::decode_meta(json);
    if (!meta) return failure(meta.error());
    const Json object = parse_json(json);
    return Thing{*meta, object.value(Json::json_pointer("/spec/n"), 0),
                 object.value(Json::json_pointer("/status/observed"), 0)};
  }
  kube::Meta meta;
  int n = 0;
  int observed = 0;
};

// One life of the process.
class MiniController {
 public:
  explicit MiniController(kube::HttpTransport& transport)
      : client_(transport, options(), life_.get_token()),
        things_watch_(
            transport, clock_, things_,
            [this](const Thing* before, const Thing* after) {
              enqueue(before != nullptr ? before->meta : after->meta);
            },
            watch("")),
        secrets_watch_(
            transport, clock_, secrets_,
            [this](const kube::Secret* before, const kube::Secret* after) {
              for (const auto* secret : {before, after}) {
                if (secret != nullptr) enqueue(secret->meta);
              }
            },
            watch("mini=yes")) {
    things_watch_.start();
    secrets_watch_.start();
    starter_ = std::jthread([this](std::stop_token stop) {
      const auto forever = std::chrono::hours(1);
      if (!things_.wait_synced(stop, forever) || !secrets_.wait_synced(stop, forever)) return;
      workers_ = std::make_unique<kube::Workers>(
          queue_, 2, [this](const kube::ObjectKey& key) { return reconcile(key); }, metrics_,
          clock_);
    });
  }
  ~MiniController() {
    starter_.request_stop();
    starter_.join();
    life_.request_stop();
    queue_.shut_down();
    workers_.reset();
    things_watch_.stop();
    secrets_watch_.stop();
  }
  MiniController(const MiniController&) = delete;
  MiniController& operator=(const MiniController&) = delete;

  // Three resyncs, waited for.
  void resync() {
    for (int i = 0; i < 3; ++i) {
      const auto before = reconciles();
      const auto objects = things_.list();
      for (const auto& thing : objects) queue_.add(thing->meta.key());
      while (reconciles() < before + objects.size()) std::this_thread::yield();
    }
  }
  [[nodiscard]] std::uint64_t reconciles() const {
    return metrics_.success + metrics_.error + metrics_.requeue_after;
  }
  [[nodiscard]] const kube::WatchMetrics& secrets_watch() const { return secrets_watch_.metrics(); }
  [[nodiscard]] bool knows(const kube::ObjectKey& thing) const {
    return things_.get(thing) != nullptr;
  }
  [[nodiscard]] bool idle() const {
    return queue_.depth() == 0 && queue_.waiting() == 0 && queue_.in_work() == 0;
  }

 private:
  static kube::ClientOptions options() {
    kube::ClientOptions options;
    options.field_manager = "mini";
    // Retry-After is in seconds, and nobody waits in a test.
    options.sleep = [](Duration, std::stop_token stop) { return !stop.stop_requested(); };
    return options;
  }
  static kube::WatchOptions watch(const std::string& selector) {
    kube::WatchOptions options;
    options.label_selector = selector;
    options.times.backoff_first = std::chrono::milliseconds(1);
    options.times.backoff_cap = std::chrono::milliseconds(4);
    options.sleep = [](Duration, std::stop_token stop) {
      return kube::interruptible_sleep(std::chrono::milliseconds(2), stop);
    };
    return options;
  }
  void enqueue(const kube::Meta& meta) { queue_.add(meta.key()); }

  static Json desired(const Thing& thing) {
    Json owner{{"apiVersion", kMiniThing.api_version},
               {"kind", kMiniThing.kind},
               {"name", thing.meta.name}};
    owner["uid"] = thing.meta.uid;
    owner["controller"] = true;
    Json secret{{"apiVersion", "v1"}, {"kind", "Secret"}};
    secret["metadata"] = {{"name", thing.meta.name}, {"namespace", thing.meta.ns}};
    secret["metadata"]["labels"] = {{"mini", "yes"}};
    secret["metadata"]["ownerReferences"] = Json::array({owner});
    // The key is of the number, so that an old one must go.
    secret["data"]["n" + std::to_string(thing.n)] = "MQ==";
    return secret;
  }

  static Result<kube::Requeue, kube::ReconcileError> failed(const kube::ApiError& error) {
    return failure(kube::ReconcileError{error.message});
  }

  // True: it is as desired (or another's). False: written, or found; look again.
  kube::ApiResult<bool> ensure_secret(const Thing& thing) {
    const Json want = desired(thing);
    const auto have = secrets_.get(thing.meta.key());
    if (!have) {
      auto made = client_.create<kube::Secret>(want);
      if (made.ok()) {
        secrets_.wrote(*made);
        return false;
      }
      if (made.error().kind != kube::ErrorKind::kAlreadyExists) return failure(made.error());
      auto existing = client_.get<kube::Secret>(thing.meta.key());
      if (!existing) return failure(existing.error());
      // Ours (an answer was lost), or another's: that is never touched.
      return !existing->meta.owned_by(thing.meta.uid) || !secrets_.wrote(*existing);
    }
    const Json body = parse_json(have->body);
    if (is_subset(want, body) && body["data"].size() == 1) return true;
    if (!have->meta.owned_by(thing.meta.uid)) return true;
    auto applied = client_.apply<kube::Secret>(want, have->meta);
    if (!applied) return failure(applied.error());
    secrets_.wrote(*applied);
    return false;
  }

  Result<kube::Requeue, kube::ReconcileError> reconcile(const kube::ObjectKey& key) {
    const auto thing = things_.get(key);
    if (!thing || thing->meta.deleting) return kube::Requeue{};
    const auto ensured = ensure_secret(*thing);
    if (!ensured) return failed(ensured.error());
    if (!*ensured) return kube::Requeue{Duration::zero()};
    if (thing->observed == thing->n) return kube::Requeue{};
    Json status{{"apiVersion", kMiniThing.api_version}, {"kind", kMiniThing.kind}};
    status["metadata"] = {{"name", key.name}, {"namespace", key.ns}};
    status["status"] = {{"observed", thing->n}};
    auto told = client_.apply_status<Thing>(status, thing->meta);
    if (!told) return failed(told.error());
    things_.wrote(*told);
    return kube::Requeue{};
  }

  SystemClock clock_;
  std::stop_source life_;
  kube::WorkQueue queue_{clock_,
                         {std::chrono::milliseconds(1), std::chrono::milliseconds(20), 0, 0}};
  kube::Store<Thing> things_;
  kube::Store<kube::Secret> secrets_;
  kube::Client client_;
  kube::ReconcileMetrics metrics_;
  kube::Watcher<Thing> things_watch_;
  kube::Watcher<kube::Secret> secrets_watch_;
  std::unique_ptr<kube::Workers> workers_;
  std::jthread starter_;
};

}  // namespace pooler::fault
