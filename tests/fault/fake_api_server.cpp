#include "fault/fake_api_server.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace pooler::fault {
namespace {

constexpr const char* kOther = "kubectl";

Refusal plain(int code, const std::string& reason, const std::string& message) {
  return {code, reason, message, Object::object(), std::nullopt};
}

bool asks_for_metadata(const kube::Request& request) {
  return request.accept.find("as=PartialObjectMetadata") != std::string::npos;
}

Object partial(const Object& object) {
  return {{"kind", "PartialObjectMetadata"},
          {"apiVersion", "meta.k8s.io/v1"},
          {"metadata", object.at("metadata")}};
}

// Items of a list of a built-in type say neither apiVersion nor kind.
Object as_item(const Object& object, const TypeRules& type, bool metadata_only) {
  if (metadata_only) return partial(object);
  Object item = object;
  if (!type.custom_resource) {
    item.erase("apiVersion");
    item.erase("kind");
  }
  return item;
}

bool matches(const Route& route, const Object& object) {
  const Object& metadata = object.at("metadata");
  if (!route.ns.empty() && metadata.value("namespace", "") != route.ns) return false;
  const auto labels = route.query.find("labelSelector");
  if (labels != route.query.end() &&
      !selects(labels->second, metadata.value("labels", Object::object()))) {
    return false;
  }
  const auto fields = route.query.find("fieldSelector");
  if (fields == route.query.end()) return true;
  return selects(fields->second, {{"metadata.name", metadata.value("name", "")},
                                  {"metadata.namespace", metadata.value("namespace", "")}});
}

std::string query(const Route& route, const std::string& name) {
  const auto found = route.query.find(name);
  return found == route.query.end() ? "" : found->second;
}

std::uint64_t number(const std::string& text) {
  return text.empty() ? 0 : std::strtoull(text.c_str(), nullptr, 10);
}

std::string gone_line() {
  return Object{{"type", "ERROR"},
                {"object", to_status(plain(410, "Expired", "too old resource version"))}}
      .dump();
}

// RFC 7386.
void merge_patch(Object& target, const Object& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target = Object::object();
  for (const auto& [key, value] : patch.items()) {
    if (value.is_null()) {
      target.erase(key);
    } else {
      merge_patch(target[key], value);
    }
  }
}

}  // namespace

FakeApiServer::FakeApiServer(const Clock& clock) : clock_(clock), store_(clock) {}

Result<kube::Response, kube::TransportError> FakeApiServer::send(const kube::Request& request,
                                                                 std::stop_token stop) {
  if (stop.stop_requested()) {
    return failure(kube::TransportError{kube::TransportError::Kind::kCanceled, "asked to stop"});
  }
  std::lock_guard held(mutex_);
  kube::Response response = handle(request);
  requests_.push_back(
      {request.method, request.path, request.body, request.accept, response.status});
  changed_.notify_all();
  return response;
}

kube::Response FakeApiServer::handle(const kube::Request& request) {
  const auto route = parse_route(request.path);
  const TypeRules* type = route ? store_.type(route->api_version, route->plural) : nullptr;
  Answer<Object> answer =
      failure(plain(404, "NotFound", "the server could not find the requested resource"));
  if (type != nullptr) {
    try {
      std::function<void()> undo;
      if (query(*route, "dryRun") == "All") undo = store_.undo();
      answer = dispatch(request, *route, *type);
      if (undo) undo();
    } catch (const Object::exception& thrown) {
      answer = failure(plain(400, "BadRequest", thrown.what()));
    }
  }
  if (!answer) {
    const Refusal& refusal = answer.error();
    kube::Response response{refusal.code, std::nullopt, to_status(refusal).dump()};
    if (refusal.retry_after) response.retry_after = std::chrono::seconds(*refusal.retry_after);
    return response;
  }
  return {request.method == kube::Method::kPost ? 201 : 200, std::nullopt, answer->dump()};
}

Answer<Object> FakeApiServer::dispatch(const kube::Request& request, const Route& route,
                                       const TypeRules& type) {
  const kube::ObjectKey key{route.ns, route.name};
  std::string manager = query(route, "fieldManager");
  if (manager.empty()) manager = "unknown";
  switch (request.method) {
    case kube::Method::kGet: {
      if (route.name.empty()) return list(request, route, type);
      auto object = store_.get(type, key);
      if (object.ok() && asks_for_metadata(request)) return partial(*object);
      return object;
    }
    case kube::Method::kPost:
      return store_.create(type, route.ns, Object::parse(request.body), {manager, ""});
    case kube::Method::kPut:
      return store_.update(type, key, Object::parse(request.body), {manager, route.subresource});
    case kube::Method::kPatch:
      return patch(request, route, type);
    case kube::Method::kDelete:
      break;
  }
  const Object options = request.body.empty() ? Object::object() : Object::parse(request.body);
  auto object = store_.get(type, key);
  auto removed = store_.remove(type, key, options, {manager, ""});
  if (!removed) return failure(removed.error());
  if (removed->has_value()) return **removed;
  if (type.graceful) return *object;  // a Pod's delete is answered with the Pod
  return Object{
      {"kind", "Status"},
      {"apiVersion", "v1"},
      {"metadata", Object::object()},
      {"status", "Success"},
      {"details",
       {{"name", key.name}, {"kind", type.plural}, {"uid", object->at("metadata")["uid"]}}}};
}

Answer<Object> FakeApiServer::patch(const kube::Request& request, const Route& route,
                                    const TypeRules& type) {
  const kube::ObjectKey key{route.ns, route.name};
  const Write write{query(route, "fieldManager"), route.subresource};
  const Object body = Object::parse(request.body);
  if (request.content_type == "application/apply-patch+yaml") {
    if (write.manager.empty()) {
      return failure(plain(400, "BadRequest", "fieldManager is required for apply patch"));
    }
    return store_.apply(type, key, body, write, query(route, "force") == "true");
  }
  auto object = store_.get(type, key);
  if (!object) return object;
  Object changed = *object;
  // A patch races with nobody unless it says which version it means.
  changed["metadata"].erase("resourceVersion");
  if (request.content_type == "application/merge-patch+json") {
    changed["metadata"].erase("managedFields");
    merge_patch(changed, body);
  } else if (request.content_type == "application/json-patch+json") {
    changed["metadata"]["resourceVersion"] = (*object)["metadata"]["resourceVersion"];
    changed = changed.patch(body);
  } else {
    return failure(plain(415, "UnsupportedMediaType", "unknown content type"));
  }
  return store_.update(type, key, std::move(changed), write, "patch");
}

Answer<Object> FakeApiServer::list(const kube::Request& request, const Route& route,
                                   const TypeRules& type) {
  const bool metadata_only = asks_for_metadata(request);
  Pages pages;
  if (const std::string token = query(route, "continue"); !token.empty()) {
    const auto found = pages_.find(token);
    if (found == pages_.end()) {
      return failure(plain(410, "Expired", "the provided continue parameter is too old"));
    }
    pages = found->second;
  } else {
    const std::uint64_t wanted = number(query(route, "resourceVersion"));
    if (wanted > store_.version()) {
      Refusal refusal = plain(504, "Timeout", "Too large resource version");
      refusal.details["causes"] = Object::array(
          {{{"reason", "ResourceVersionTooLarge"}, {"message", "Too large resource version"}}});
      refusal.details["retryAfterSeconds"] = 1;
      return failure(std::move(refusal));
    }
    pages.version = store_.version();
    for (const Snapshot& object : store_.list(type, route.ns)) {
      if (matches(route, *object)) pages.items.push_back(as_item(*object, type, metadata_only));
    }
  }
  Object metadata{{"resourceVersion", std::to_string(pages.version)}};
  Object items = Object::array();
  const std::size_t limit = number(query(route, "limit"));
  const std::size_t count = limit == 0 ? pages.items.size() : std::min(limit, pages.items.size());
  for (std::size_t i = 0; i < count; ++i) items.push_back(pages.items[i]);
  if (count < pages.items.size()) {
    const std::string token = "page-" + std::to_string(++tokens_);
    pages.items.erase(pages.items.begin(),
                      pages.items.begin() + static_cast<std::ptrdiff_t>(count));
    pages_[token] = std::move(pages);
    metadata["continue"] = token;
  }
  const std::string kind = metadata_only ? "PartialObjectMetadata" : type.kind;
  return Object{{"kind", kind + "List"},
                {"apiVersion", metadata_only ? "meta.k8s.io/v1" : type.api_version},
                {"metadata", metadata},
                {"items", items}};
}

std::string FakeApiServer::event_line(const Watch& watch, const HistoryEntry& entry) const {
  const bool was = entry.before && matches(watch.route, *entry.before);
  const bool is = entry.after && matches(watch.route, *entry.after);
  if (!was && !is) return "";
  const char* type = was && is ? "MODIFIED" : is ? "ADDED" : "DELETED";
  // One that left the selection is "deleted" as it was, with the version of the change.
  Object object = entry.after ? *entry.after : entry.last;
  if (was && !is && entry.after) {
    object = *entry.before;
    object["metadata"]["resourceVersion"] = std::to_string(entry.version);
  }
  if (watch.metadata_only) object = partial(object);
  return Object{{"type", type}, {"object", object}}.dump();
}

FakeApiServer::Lines FakeApiServer::pending(Watch& watch, bool& gone) const {
  Lines lines;
  gone = watch.cursor < store_.oldest();
  if (gone) return {gone_line()};
  const auto& history = store_.history();
  auto next = std::upper_bound(
      history.begin(), history.end(), watch.cursor,
      [](std::uint64_t version, const HistoryEntry& entry) { return version < entry.version; });
  for (; next != history.end(); ++next) {
    watch.cursor = next->version;
    if (next->plural != watch.type->plural) continue;
    if (std::string line = event_line(watch, *next); !line.empty())
      lines.push_back(std::move(line));
  }
  if (watch.bookmarks != bookmarks_) {
    watch.bookmarks = bookmarks_;
    watch.cursor = store_.version();
    const std::string version = std::to_string(watch.cursor);
    lines.push_back(Object{{"type", "BOOKMARK"},
                           {"object",
                            {{"kind", watch.type->kind},
                             {"apiVersion", watch.type->api_version},
                             {"metadata", {{"resourceVersion", version}}}}}}
                        .dump());
  }
  return lines;
}

std::optional<kube::StreamEnd> FakeApiServer::begin(const kube::Request& request, Watch& watch,
                                                    Lines& lines) {
  const auto route = parse_route(request.path);
  watch.type = route ? store_.type(route->api_version, route->plural) : nullptr;
  const int status = watch.type == nullptr ? 404 : 200;
  requests_.push_back({request.method, request.path, request.body, request.accept, status});
  if (watch.type == nullptr) {
    return kube::StreamEnd{404, std::nullopt,
                           to_status(plain(404, "NotFound", "no such type")).dump()};
  }
  watch.route = *route;
  watch.metadata_only = asks_for_metadata(request);
  watch.closings = closings_;
  watch.bookmarks = bookmarks_;
  watch.cursor = number(query(*route, "resourceVersion"));
  const std::uint64_t seconds = number(query(*route, "timeoutSeconds"));
  watch.deadline = clock_.monotonic() + std::chrono::seconds(seconds == 0 ? 1800 : seconds);
  if (watch.cursor == 0) {
    watch.cursor = store_.version();
    for (const Snapshot& object : store_.list(*watch.type, route->ns)) {
      if (!matches(*route, *object)) continue;
      lines.push_back(
          Object{{"type", "ADDED"}, {"object", watch.metadata_only ? partial(*object) : *object}}
              .dump());
    }
  }
  return std::nullopt;
}

Result<kube::StreamEnd, kube::TransportError> FakeApiServer::stream(const kube::Request& request,
                                                                    kube::LineSink& sink,
                                                                    std::stop_token stop) {
  Watch watch;
  Lines lines;
  std::unique_lock held(mutex_);
  if (auto end = begin(request, watch, lines)) return *end;
  ++open_watches_;
  changed_.notify_all();
  held.unlock();
  sink.on_open();
  bool gone = false;
  bool over = false;
  while (!stop.stop_requested()) {
    bool wanted = true;
    for (std::size_t i = 0; i < lines.size() && wanted; ++i) wanted = sink.on_line(lines[i]);
    held.lock();
    over = gone || !wanted || over;
    if (over) break;
    const auto something = [&] {
      lines = pending(watch, gone);
      over = watch.closings != closings_ || clock_.monotonic() >= watch.deadline;
      return over || !lines.empty();
    };
    // Looks at the clock now and then: the server's own timeout.
    while (!something() && !stop.stop_requested()) {
      bool looked = false;
      changed_.wait_for(held, stop, std::chrono::milliseconds(100),
                        [&] { return std::exchange(looked, true); });
    }
    if (over && lines.empty()) break;
    held.unlock();
  }
  if (!held.owns_lock()) held.lock();
  --open_watches_;
  changed_.notify_all();
  if (stop.stop_requested()) {
    return failure(kube::TransportError{kube::TransportError::Kind::kCanceled, "asked to stop"});
  }
  return kube::StreamEnd{200, std::nullopt, ""};
}

const TypeRules& FakeApiServer::rules(const kube::ResourceType& type) const {
  const TypeRules* found = store_.type(type.api_version, type.plural);
  if (found == nullptr) std::abort();  // serve() it first
  return *found;
}

void FakeApiServer::serve(TypeRules rules) {
  std::lock_guard held(mutex_);
  store_.serve(std::move(rules));
}

Object FakeApiServer::create(const kube::ResourceType& type, Object body) {
  std::lock_guard held(mutex_);
  const std::string ns = body.at("metadata").value("namespace", "");
  auto created = store_.create(rules(type), ns, std::move(body), {kOther, ""});
  if (!created) std::abort();
  changed_.notify_all();
  return *created;
}

bool FakeApiServer::edit_as_other(const kube::ResourceType& type, const kube::ObjectKey& key,
                                  const std::function<void(Object&)>& change,
                                  const std::string& subresource) {
  std::lock_guard held(mutex_);
  auto object = store_.get(rules(type), key);
  if (!object) return false;
  (*object)["metadata"].erase("managedFields");
  change(*object);
  const auto updated = store_.update(rules(type), key, std::move(*object), {kOther, subresource});
  changed_.notify_all();
  return updated.ok();
}

bool FakeApiServer::edit(const kube::ResourceType& type, const kube::ObjectKey& key,
                         const std::function<void(Object&)>& change) {
  return edit_as_other(type, key, change, "");
}

bool FakeApiServer::edit_status(const kube::ResourceType& type, const kube::ObjectKey& key,
                                const std::function<void(Object&)>& change) {
  return edit_as_other(type, key, change, "status");
}

bool FakeApiServer::erase(const kube::ResourceType& type, const kube::ObjectKey& key) {
  std::lock_guard held(mutex_);
  if (!store_.get(rules(type), key)) return false;
  store_.erase(rules(type), key, "delete");
  changed_.notify_all();
  return true;
}

void FakeApiServer::terminate_namespace(const std::string& ns) {
  std::lock_guard held(mutex_);
  store_.terminate_namespace(ns);
}

std::optional<Object> FakeApiServer::find(const kube::ResourceType& type,
                                          const kube::ObjectKey& key) const {
  std::lock_guard held(mutex_);
  auto object = store_.get(rules(type), key);
  if (!object) return std::nullopt;
  return *object;
}

std::vector<Object> FakeApiServer::all(const kube::ResourceType& type) const {
  std::lock_guard held(mutex_);
  std::vector<Object> objects;
  for (const Snapshot& object : store_.list(rules(type), "")) objects.push_back(*object);
  return objects;
}

void FakeApiServer::compact() {
  std::lock_guard held(mutex_);
  store_.compact();
}

void FakeApiServer::keep_history(std::size_t entries) {
  std::lock_guard held(mutex_);
  store_.keep_history(entries);
}

void FakeApiServer::expire_continue_tokens() {
  std::lock_guard held(mutex_);
  pages_.clear();
}

void FakeApiServer::send_bookmarks() {
  std::lock_guard held(mutex_);
  ++bookmarks_;
  changed_.notify_all();
}

void FakeApiServer::close_watches() {
  std::lock_guard held(mutex_);
  ++closings_;
  changed_.notify_all();
}

void FakeApiServer::poke() {
  std::lock_guard held(mutex_);
  changed_.notify_all();
}

std::vector<WriteRecord> FakeApiServer::writes() const {
  std::lock_guard held(mutex_);
  return store_.writes();
}

std::vector<RequestRecord> FakeApiServer::requests() const {
  std::lock_guard held(mutex_);
  return requests_;
}

std::uint64_t FakeApiServer::version() const {
  std::lock_guard held(mutex_);
  return store_.version();
}

int FakeApiServer::open_watches() const {
  std::lock_guard held(mutex_);
  return open_watches_;
}

bool FakeApiServer::wait_for_watches(int count) const {
  std::unique_lock held(mutex_);
  return changed_.wait_for(held, std::chrono::seconds(10), [&] { return open_watches_ == count; });
}

}  // namespace pooler::fault
