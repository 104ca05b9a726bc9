#include "kube/watcher.h"

#include <random>
#include <variant>

#include "base/log.h"

namespace pooler::kube {
namespace {

std::function<double()> random_source(const WatchOptions& options) {
  if (options.random) return options.random;
  return [generator = std::mt19937_64(std::random_device{}())]() mutable {
    return std::uniform_real_distribution<double>(0, 1)(generator);
  };
}

ApiError undecodable(const std::string& why) {
  ApiError error;
  error.kind = ErrorKind::kUndecodable;
  error.message = why;
  return error;
}

// The lines of one watch.
class WatchLines final : public LineSink {
 public:
  WatchLines(std::string scope, WatchMachine& machine, WatchTarget& target, WatchMetrics& metrics)
      : scope_(std::move(scope)), machine_(machine), target_(target), metrics_(metrics) {}

  void on_open() override { opened_ = true; }

  bool on_line(std::string_view line) override {
    if (line.empty()) return true;
    const auto event = parse_watch_line(line);
    if (!event) return skip(event.error());
    ++metrics_.events;
    using Type = WatchEvent::Type;
    switch (event->type) {
      case Type::kAdded:
      case Type::kModified:
        return seen(target_.changed(event->object), event->type == Type::kAdded);
      case Type::kDeleted:
        return seen(target_.removed(event->object), false);
      case Type::kBookmark:
        return bookmark(event->object);
      case Type::kError: {
        const auto status = parse_status(event->object);
        error_ = status ? classify(*status) : undecodable("ERROR event without a Status");
        return false;
      }
      case Type::kUnknown:
        break;
    }
    return skip("unknown type of event");
  }

  [[nodiscard]] bool opened() const { return opened_; }
  [[nodiscard]] const std::optional<ApiError>& error() const { return error_; }

 private:
  bool seen(const std::optional<std::string>& version, bool added) {
    if (!version) return skip("undecodable object");
    machine_.event(*version, added);
    return true;
  }

  // A bookmark has metadata.resourceVersion and nothing else, not even a name.
  bool bookmark(std::string_view object) {
    const auto version = decode_resource_version(object);
    if (!version) return skip("bookmark without resourceVersion");
    machine_.bookmark(*version);
    target_.progressed(scope_, *version);
    return true;
  }

  bool skip(std::string_view why) {
    ++metrics_.skipped;
    log_warning("watch: event skipped", {{"scope", scope_}, {"why", std::string(why)}});
    return true;
  }

  const std::string scope_;
  WatchMachine& machine_;
  WatchTarget& target_;
  WatchMetrics& metrics_;
  bool opened_ = false;
  std::optional<ApiError> error_;
};

}  // namespace

ScopeWatch::ScopeWatch(HttpTransport& transport, const Clock& clock, const WatchOptions& options,
                       ResourceType type, std::string scope, WatchTarget& target,
                       WatchMetrics& metrics)
    : transport_(transport),
      options_(options),
      type_(type),
      scope_(std::move(scope)),
      target_(target),
      metrics_(metrics),
      machine_(clock, random_source(options), options.times) {}

void ScopeWatch::run(std::stop_token stop) {
  while (!stop.stop_requested()) step(stop);
}

void ScopeWatch::step(std::stop_token stop) {
  const auto action = machine_.next();
  if (const auto* wait = std::get_if<WatchMachine::Wait>(&action)) {
    const bool on =
        options_.sleep ? options_.sleep(wait->time, stop) : interruptible_sleep(wait->time, stop);
    if (on) machine_.waited();
  } else if (const auto* page = std::get_if<WatchMachine::List>(&action)) {
    list(*page, stop);
  } else {
    watch(std::get<WatchMachine::Watch>(action), stop);
  }
}

std::string ScopeWatch::query() const {
  std::string query = type_.collection(scope_) + "?";
  if (!options_.label_selector.empty()) {
    query += "labelSelector=" + url_encode(options_.label_selector) + "&";
  }
  if (!options_.field_selector.empty()) {
    query += "fieldSelector=" + url_encode(options_.field_selector) + "&";
  }
  return query;
}

void ScopeWatch::failed(std::string_view what, const ApiError& error) {
  ++metrics_.errors;
  log_warning(what, {{"type", std::string(type_.plural)},
                     {"scope", scope_},
                     {"reason", std::string(to_string(error.kind))},
                     {"error", error.message}});
}

void ScopeWatch::list(const WatchMachine::List& action, std::stop_token stop) {
  Request request;
  request.path = query();
  if (action.limit > 0) request.path += "limit=" + std::to_string(action.limit) + "&";
  if (action.continue_token.empty()) {
    request.path += "resourceVersion=" + action.resource_version;
    target_.begin_list();
  } else {
    request.path += "continue=" + url_encode(action.continue_token);
  }
  if (options_.metadata_only) {
    request.accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
  }
  const auto answer = transport_.send(request, stop);
  if (stop.stop_requested()) return;
  std::optional<ApiError> error;
  if (!answer) {
    error = classify(answer.error());
  } else if (answer->status != 200) {
    error = classify(answer->status, answer->body, answer->retry_after);
  }
  if (error) {
    failed("list failed", *error);
    return machine_.list_failed(*error);
  }
  read_page(answer->body);
}

void ScopeWatch::read_page(std::string_view body) {
  const auto page = parse_list(body, [&](std::string_view item) {
    if (target_.list_item(item)) return;
    ++metrics_.skipped;
    log_warning("list: undecodable object skipped", {{"type", std::string(type_.plural)}});
  });
  if (!page || page->resource_version.empty()) {
    const ApiError error = undecodable(page ? "a list without resourceVersion" : page.error());
    failed("list failed", error);
    return machine_.list_failed(error);
  }
  if (!machine_.page(page->resource_version, page->continue_token)) return;
  ++metrics_.lists;
  target_.end_list(scope_, machine_.resource_version());
  machine_.stored();
}

void ScopeWatch::watch(const WatchMachine::Watch& action, std::stop_token stop) {
  Request request;
  request.path = query() +
                 "watch=1&allowWatchBookmarks=true&resourceVersion=" + action.resource_version +
                 "&timeoutSeconds=" + std::to_string(action.timeout.count());
  request.idle_timeout = action.idle_timeout;
  if (options_.metadata_only) {
    request.accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
  }
  ++metrics_.watches;
  WatchLines lines(scope_, machine_, target_, metrics_);
  machine_.watch_started();
  const auto end = transport_.stream(request, lines, stop);
  if (stop.stop_requested()) return;
  std::optional<ApiError> error = lines.error();
  if (!error && end.ok() && end->status != 200) {
    error = classify(end->status, end->body, end->retry_after);
  } else if (!error && !end.ok() && !lines.opened()) {
    error = classify(end.error());
  }
  // Cut, or silent for too long, after it was answered: as good as its own end.
  if (!error) return machine_.watch_closed();
  failed("watch failed", *error);
  machine_.watch_failed(*error);
}

}  // namespace pooler::kube
