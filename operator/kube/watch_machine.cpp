#include "kube/watch_machine.h"

#include <algorithm>
#include <utility>

#include "kube/decode.h"

namespace pooler::kube {
namespace {

// A watch that ends so soon without a word is an error of the server's, not its timeout.
constexpr auto kTooShort = std::chrono::seconds(1);
// A server that answers a watch with 500 for so long gets a relist.
constexpr auto kServerErrorLimit = std::chrono::seconds(30);

}  // namespace

std::string_view to_string(WatchState state) {
  switch (state) {
    case WatchState::kEmpty:
      return "Empty";
    case WatchState::kListing:
      return "Listing";
    case WatchState::kListed:
      return "Listed";
    case WatchState::kWatching:
      return "Watching";
    case WatchState::kBackoff:
      break;
  }
  return "Backoff";
}

WatchMachine::WatchMachine(const Clock& clock, std::function<double()> random, WatchTimes times)
    : clock_(clock), random_(std::move(random)), times_(times) {}

WatchMachine::Action WatchMachine::next() {
  switch (state_) {
    case WatchState::kBackoff:
      return Wait{wait_};
    case WatchState::kEmpty:
    case WatchState::kListing:
      return next_list();
    case WatchState::kListed:
    case WatchState::kWatching:
      break;
  }
  const auto span = times_.timeout_max - times_.timeout_min;
  const std::chrono::seconds timeout =
      times_.timeout_min +
      std::chrono::seconds(static_cast<long long>(random_() * static_cast<double>(span.count())));
  return Watch{version_, timeout, timeout + times_.idle_margin};
}

// First from the watch cache ("0"), later not older than what was seen, and the most recent ("")
// where the server has refused that. A list at an exact version is never paged: the server would
// not take it from its cache.
WatchMachine::List WatchMachine::next_list() {
  state_ = WatchState::kListing;
  if (!continue_.empty()) return List{"", continue_, times_.page_limit};
  if (quorum_) return List{"", "", unpaged_ ? 0 : times_.page_limit};
  if (version_.empty()) return List{"0", "", unpaged_ ? 0 : times_.page_limit};
  return List{version_, "", 0};
}

bool WatchMachine::page(std::string_view resource_version, std::string_view continue_token) {
  if (resource_version.empty()) {
    ApiError error;
    error.kind = ErrorKind::kUndecodable;
    list_failed(error);
    return false;
  }
  // Of a list in pages the first one's counts: a watch from there misses nothing.
  if (listed_version_.empty()) listed_version_ = resource_version;
  continue_ = continue_token;
  if (!continue_.empty()) return false;
  version_ = std::exchange(listed_version_, "");
  quorum_ = false;
  unpaged_ = false;
  state_ = WatchState::kListed;
  return true;
}

void WatchMachine::list_failed(const ApiError& error) {
  const bool in_pages = !continue_.empty();
  continue_.clear();
  listed_version_.clear();
  const bool too_old = error.kind == ErrorKind::kGone;
  const bool too_large = error.has_cause("ResourceVersionTooLarge");
  if (too_old && in_pages && !unpaged_) {
    unpaged_ = true;  // the token has expired: once more, all in one
    state_ = WatchState::kEmpty;
    return;
  }
  if ((too_old || too_large) && !quorum_) {
    quorum_ = true;
    state_ = WatchState::kEmpty;
    return;
  }
  back_off(WatchState::kEmpty, error.retry_after);
}

void WatchMachine::stored() { state_ = WatchState::kWatching; }

void WatchMachine::waited() { state_ = after_wait_; }

void WatchMachine::watch_started() {
  any_event_ = false;
  synthetic_ = version_.empty() || version_ == "0";
  watch_began_ = clock_.monotonic();
}

void WatchMachine::event(std::string_view resource_version, bool added) {
  any_event_ = true;
  server_error_since_.reset();
  if (synthetic_ && added) return;
  synthetic_ = false;
  if (!resource_version.empty()) version_ = resource_version;
}

void WatchMachine::bookmark(std::string_view resource_version) { event(resource_version, false); }

void WatchMachine::watch_closed() {
  if (any_event_ || clock_.monotonic() - watch_began_ >= kTooShort) return;
  back_off(WatchState::kEmpty);
}

void WatchMachine::watch_failed(const ApiError& error) {
  switch (error.kind) {
    case ErrorKind::kGone:
      quorum_ = true;
      return back_off(WatchState::kEmpty);
    case ErrorKind::kTooManyRequests:
    case ErrorKind::kUnreachable:
    case ErrorKind::kUnknownOutcome:
    case ErrorKind::kCanceled:
      return back_off(WatchState::kWatching, error.retry_after);
    case ErrorKind::kServerError:
    case ErrorKind::kTimeout: {
      const MonotonicTime now = clock_.monotonic();
      if (!server_error_since_) server_error_since_ = now;
      if (now - *server_error_since_ < kServerErrorLimit) {
        return back_off(WatchState::kWatching, error.retry_after);
      }
      server_error_since_.reset();
      return back_off(WatchState::kEmpty, error.retry_after);
    }
    default:
      return back_off(WatchState::kEmpty, error.retry_after);
  }
}

void WatchMachine::back_off(WatchState then, std::optional<std::chrono::seconds> at_least) {
  const MonotonicTime now = clock_.monotonic();
  if (last_backoff_ && now - *last_backoff_ > times_.backoff_reset) backoff_ = Duration::zero();
  last_backoff_ = now;
  backoff_ = backoff_ == Duration::zero() ? times_.backoff_first
                                          : std::min(backoff_ * 2, times_.backoff_cap);
  wait_ = backoff_ + std::chrono::duration_cast<Duration>(backoff_ * random_());
  if (at_least) wait_ = std::max<Duration>(wait_, *at_least);
  after_wait_ = then;
  state_ = WatchState::kBackoff;
}

Result<WatchEvent, std::string> parse_watch_line(std::string_view line) {
  WatchEvent event;
  std::string type;
  decode::Document document(line);
  const auto done =
      document.fields([&](std::string_view key, decode::ondemand::value& value) -> decode::Error {
        if (key == "type") return decode::read(value, type);
        if (key != "object") return simdjson::SUCCESS;
        std::string_view text;
        if (decode::Error error = decode::raw(value, text)) return error;
        event.object = document.original(line, text);
        return simdjson::SUCCESS;
      });
  if (!done) return failure(done.error());
  using Type = WatchEvent::Type;
  static constexpr std::pair<std::string_view, Type> kTypes[] = {{"ADDED", Type::kAdded},
                                                                 {"MODIFIED", Type::kModified},
                                                                 {"DELETED", Type::kDeleted},
                                                                 {"BOOKMARK", Type::kBookmark},
                                                                 {"ERROR", Type::kError}};
  for (const auto& [name, known] : kTypes) {
    if (type == name) event.type = known;
  }
  if (event.object.empty()) return failure(std::string("no object"));
  return event;
}

Result<ListMeta, std::string> parse_list(std::string_view json,
                                         const std::function<void(std::string_view)>& item) {
  ListMeta meta;
  std::string kind;
  decode::Document document(json);
  const auto done =
      document.fields([&](std::string_view key, decode::ondemand::value& value) -> decode::Error {
        if (key == "kind") return decode::read(value, kind);
        if (key == "metadata") {
          return decode::object(
              value, [&](std::string_view name, decode::ondemand::value& field) -> decode::Error {
                if (name == "resourceVersion") return decode::read(field, meta.resource_version);
                if (name == "continue") return decode::read(field, meta.continue_token);
                return simdjson::SUCCESS;
              });
        }
        if (key != "items") return simdjson::SUCCESS;
        return decode::array(value, [&](decode::ondemand::value& element) -> decode::Error {
          std::string_view text;
          if (decode::Error error = decode::raw(element, text)) return error;
          item(document.original(json, text));
          return simdjson::SUCCESS;
        });
      });
  if (!done) return failure(done.error());
  if (!kind.ends_with("List")) return failure("no list, but of kind \"" + kind.substr(0, 64) + '"');
  return meta;
}

}  // namespace pooler::kube
