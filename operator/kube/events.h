// Events (events.k8s.io/v1) that never make a caller wait.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/json_fwd.h"
#include "kube/client.h"
#include "kube/meta.h"

namespace pooler::kube {

struct ObjectReference {
  std::string api_version;
  std::string kind;
  ObjectKey key;
  std::string uid;
};

struct Event {
  enum class Type { kNormal, kWarning };
  Type type = Type::kNormal;
  std::string reason;  // CamelCase, at most 128 bytes
  std::string action;  // CamelCase, at most 128 bytes
  std::string note;    // cut at 1024 bytes
  ObjectReference regarding;
  std::optional<ObjectReference> related;
};

struct EventOptions {
  std::string controller;  // "pooler.example.com/operator"
  std::string instance;    // the pod's name
  std::size_t queue_limit = 1000;
};

struct EventMetrics {
  std::atomic<std::uint64_t> sent{0};
  std::atomic<std::uint64_t> dropped{0};  // queue full, or refused by the server
};

// The body of one Event. The name is made of the object's name and `wall`, so that a second sending
// of the same one meets AlreadyExists. Pure.
[[nodiscard]] Json event_body(const Event& event, const EventOptions& options, WallTime wall);

// One thread writes; emit() only queues, and drops where the queue is full.
class EventRecorder {
 public:
  EventRecorder(Client& client, const Clock& clock, EventOptions options);
  ~EventRecorder();
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;

  void emit(Event event);
  // Waits until all queued are written or dropped; false after `limit`.
  bool flush(Duration limit);
  void stop();
  [[nodiscard]] const EventMetrics& metrics() const { return metrics_; }

 private:
  struct Queued {
    Event event;
    WallTime at;
  };
  void run(std::stop_token stop);
  void write(const Queued& queued, std::stop_token stop);

  Client& client_;
  const Clock& clock_;
  const EventOptions options_;
  EventMetrics metrics_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Queued> queue_;
  bool writing_ = false;
  WallTime last_{};
  std::jthread thread_;  // last: runs while the rest is there
};

}  // namespace pooler::kube
