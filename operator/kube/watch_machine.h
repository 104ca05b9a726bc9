// WatchMachine: a list-watch as a state machine without I/O, as kube-rs' watcher has it.
//
//   Empty ─► Listing ─► Listed ─► Watching ─► Watching (again, from the last version)
//     ▲         │                    │ ▲
//     └───── Backoff ◄───────────────┘ │
//               └──────────────────────┘ where the last version is still good
//
// next() says what to do; then report what came of it.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "kube/api_error.h"

namespace pooler::kube {

enum class WatchState { kEmpty, kListing, kListed, kWatching, kBackoff };
[[nodiscard]] std::string_view to_string(WatchState state);

struct WatchTimes {
  Duration backoff_first = std::chrono::milliseconds(800);
  Duration backoff_cap = std::chrono::seconds(30);
  Duration backoff_reset = std::chrono::minutes(2);  // healthy for so long: start anew
  std::chrono::seconds timeout_min{300};             // of one watch, asked of the server
  std::chrono::seconds timeout_max{600};
  std::chrono::seconds idle_margin{30};  // the peer may be silent so much longer
  int page_limit = 500;
};

class WatchMachine {
 public:
  // LIST one page.
  struct List {
    std::string resource_version;  // "" = the most recent (a quorum read)
    std::string continue_token;    // then no resourceVersion is sent
    int limit = 0;                 // 0 = all in one
  };
  struct Watch {
    std::string resource_version;
    std::chrono::seconds timeout;
    std::chrono::seconds idle_timeout;
  };
  struct Wait {
    Duration time;
  };
  using Action = std::variant<List, Watch, Wait>;

  // `random` gives numbers in [0, 1).
  WatchMachine(const Clock& clock, std::function<double()> random, WatchTimes times = {});

  [[nodiscard]] Action next();

  // A page was read whole. `resource_version` is the list's. True: the list is complete.
  // An empty resource_version is an error of the server's (counts as a failed list).
  bool page(std::string_view resource_version, std::string_view continue_token);
  void list_failed(const ApiError& error);
  // The list is in the store and was handed on.
  void stored();
  void waited();

  void watch_started();  // just before the request
  // ADDED, MODIFIED or DELETED with the object's version. `added`: ADDED.
  void event(std::string_view resource_version, bool added);
  void bookmark(std::string_view resource_version);
  // The server closed in good order, or the connection was lost after it was answered.
  void watch_closed();
  // An ERROR event, or an answer other than 200, or no connection.
  void watch_failed(const ApiError& error);

  [[nodiscard]] WatchState state() const { return state_; }
  [[nodiscard]] const std::string& resource_version() const { return version_; }

 private:
  [[nodiscard]] List next_list();
  void back_off(WatchState then, std::optional<std::chrono::seconds> at_least = std::nullopt);

  const Clock& clock_;
  const std::function<double()> random_;
  const WatchTimes times_;
  WatchState state_ = WatchState::kEmpty;
  std::string version_;         // the last one seen; where a watch starts
  std::string listed_version_;  // of the list that is being read in pages
  std::string continue_;
  bool quorum_ = false;     // the next list asks for the most recent
  bool unpaged_ = false;    // the next list is one page
  bool synthetic_ = false;  // ADDED events are unordered until one of another type comes
  bool any_event_ = false;
  MonotonicTime watch_began_{};
  std::optional<MonotonicTime> server_error_since_;
  Duration backoff_{};
  std::optional<MonotonicTime> last_backoff_;
  Duration wait_{};
  WatchState after_wait_ = WatchState::kEmpty;
};

// One line of a watch.
struct WatchEvent {
  enum class Type { kAdded, kModified, kDeleted, kBookmark, kError, kUnknown };
  Type type = Type::kUnknown;
  std::string_view object;  // JSON, a part of the line
};
// Error: `line` is no watch event. Never throws, whatever the bytes.
[[nodiscard]] Result<WatchEvent, std::string> parse_watch_line(std::string_view line);

struct ListMeta {
  std::string resource_version;
  std::string continue_token;
};
// Calls `item` with the JSON of each. Error: `json` is no list.
[[nodiscard]] Result<ListMeta, std::string> parse_list(
    std::string_view json, const std::function<void(std::string_view)>& item);

}  // namespace pooler::kube
