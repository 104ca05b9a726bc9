#include "kube/events.h"

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "kube/sync.h"

namespace pooler::kube {
namespace {

constexpr ResourceType kEventType{"events.k8s.io/v1", "Event", "events"};
constexpr std::size_t kNoteBytes = 1024;
constexpr std::size_t kNameBytes = 253;
constexpr int kTries = 12;
constexpr Duration kRetryCap = std::chrono::seconds(10);

std::string hex(std::uint64_t value) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) {
    const char digit = kHex[(value >> static_cast<unsigned>(shift)) & 15U];
    if (digit != '0' || !text.empty()) text += digit;
  }
  return text;
}

// Not inside a character.
std::string cut(std::string text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0U) == 0x80U) --bytes;
  text.resize(bytes);
  return text;
}

Json reference(const ObjectReference& object) {
  Json json{{"apiVersion", object.api_version}, {"kind", object.kind}, {"name", object.key.name}};
  if (!object.key.ns.empty()) json["namespace"] = object.key.ns;
  if (!object.uid.empty()) json["uid"] = object.uid;
  return json;
}

// Trying again may help.
bool passing(ErrorKind kind) {
  return kind == ErrorKind::kUnreachable || kind == ErrorKind::kUnknownOutcome ||
         kind == ErrorKind::kTimeout || kind == ErrorKind::kServerError ||
         kind == ErrorKind::kTooManyRequests || kind == ErrorKind::kUnauthorized;
}

}  // namespace

Json event_body(const Event& event, const EventOptions& options, WallTime wall) {
  const auto since_epoch =
      std::chrono::duration_cast<std::chrono::nanoseconds>(wall.time_since_epoch()).count();
  const std::string suffix = "." + hex(static_cast<std::uint64_t>(since_epoch));
  std::string name = event.regarding.key.name.substr(0, kNameBytes - suffix.size());
  while (!name.empty() && (name.back() == '.' || name.back() == '-')) name.pop_back();
  const std::string& ns = event.regarding.key.ns;
  Json body{{"apiVersion", kEventType.api_version}, {"kind", kEventType.kind}};
  body["metadata"] = {{"name", name + suffix}, {"namespace", ns.empty() ? "default" : ns}};
  body["eventTime"] = rfc3339_micro(wall);
  body["type"] = event.type == Event::Type::kNormal ? "Normal" : "Warning";
  body["reason"] = cut(event.reason, 128);
  body["action"] = cut(event.action, 128);
  body["note"] = cut(event.note, kNoteBytes);
  body["regarding"] = reference(event.regarding);
  if (event.related) body["related"] = reference(*event.related);
  body["reportingController"] = options.controller;
  body["reportingInstance"] = cut(options.instance, 128);
  return body;
}

EventRecorder::EventRecorder(Client& client, const Clock& clock, EventOptions options)
    : client_(client),
      clock_(clock),
      options_(std::move(options)),
      thread_([this](std::stop_token stop) { run(stop); }) {}

EventRecorder::~EventRecorder() { stop(); }

void EventRecorder::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void EventRecorder::emit(Event event) {
  std::lock_guard held(mutex_);
  if (queue_.size() >= options_.queue_limit) {
    ++metrics_.dropped;
    return;
  }
  // Never the same time twice: it is in the name.
  last_ = std::max(clock_.wall(), last_ + std::chrono::microseconds(1));
  queue_.push_back({std::move(event), last_});
  changed_.notify_all();
}

bool EventRecorder::flush(Duration limit) {
  std::unique_lock held(mutex_);
  return changed_.wait_for(held, limit, [&] { return queue_.empty() && !writing_; });
}

void EventRecorder::run(std::stop_token stop) {
  while (true) {
    std::unique_lock held(mutex_);
    writing_ = false;
    changed_.notify_all();
    changed_.wait(held, stop, [&] { return !queue_.empty(); });
    if (stop.stop_requested()) return;
    const Queued queued = std::move(queue_.front());
    queue_.pop_front();
    writing_ = true;
    held.unlock();
    write(queued, stop);
  }
}

void EventRecorder::write(const Queued& queued, std::stop_token stop) {
  const Json body = event_body(queued.event, options_, queued.at);
  Duration pause = std::chrono::seconds(1);
  for (int tries = 1; tries <= kTries; ++tries) {
    const auto answer = client_.create_raw(kEventType, body);
    if (answer.ok() || answer.error().kind == ErrorKind::kAlreadyExists) {
      ++metrics_.sent;
      return;
    }
    if (!passing(answer.error().kind) || tries == kTries) {
      log_warning("event dropped", {{"reason", queued.event.reason},
                                    {"regarding", to_string(queued.event.regarding.key)},
                                    {"error", answer.error().message}});
      break;
    }
    if (!interruptible_sleep(pause, stop)) break;
    pause = std::min(pause * 2, kRetryCap);
  }
  ++metrics_.dropped;
}

}  // namespace pooler::kube
