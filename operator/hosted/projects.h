// All projects that the Management API is asked about: when to ask next, and what is known. Not
// thread-safe; time comes from outside, and whoever asks brings the answers back.
//
// A project is asked again every kReadEvery, and when its PoolerConfig has changed. A failure is
// tried again after kRetryFirst, then twice as long each time up to kReadEvery; one that waiting
// does not mend, after kReadEvery; and never before the time that the API itself has named, which
// may be kLongestWait and counts for all that is asked with the same token. What has waited longest
// is asked first.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "hosted/management.h"

namespace pooler::hosted {

// What to ask for one PoolerConfig.
struct ProjectTarget {
  std::string project_ref;
  std::string token;
  std::int64_t generation = 0;  // of the PoolerConfig
};

struct ProjectState {
  std::string project_ref;
  bool asked = false;  // there was an answer, good or not, with this token
  // The last good answer about this project; it stays while later ones fail.
  std::optional<ProjectPooler> pooler;
  std::optional<ApiFailure> failure;  // of the last answer
  bool operator==(const ProjectState&) const = default;
};

class Projects {
 public:
  static constexpr Duration kReadEvery = std::chrono::minutes(10);
  static constexpr Duration kRetryFirst = std::chrono::seconds(5);
  // Between two questions of one PoolerConfig, however often it changes: the API takes 120 a minute
  // of one account.
  static constexpr Duration kSpacing = std::chrono::seconds(5);
  static constexpr Duration kLongestWait = std::chrono::hours(1);

  struct Question {
    std::string key;
    std::string project_ref;
    kube::Request request;
    std::uint64_t serial = 0;  // of the target: an answer about an older one is dropped
  };

  // Keys are the caller's ("namespace/name").
  void set_target(const std::string& key, const ProjectTarget& target, MonotonicTime now);
  // The time that the API has named stays.
  void forget(const std::string& key) { entries_.erase(key); }
  [[nodiscard]] ProjectState state(const std::string& key) const;

  // When next() has a question; max(): never.
  [[nodiscard]] MonotonicTime due() const;
  // One that is due; it is not asked again before it was answered.
  [[nodiscard]] std::optional<Question> next(MonotonicTime now);
  // True: state() is another one than before.
  bool answered(const Question& question, const ApiAnswer& answer, MonotonicTime now);

 private:
  struct Entry {
    ProjectTarget target;
    std::uint64_t serial = 0;
    ProjectState state;
    std::string token_hash;
    MonotonicTime due;
    MonotonicTime spaced_until;
    Duration retry = kRetryFirst;
    bool asking = false;
  };

  using Entries = std::map<std::string, Entry>;

  [[nodiscard]] MonotonicTime due_of(const Entry& entry) const;
  // That has waited longest, or is due next; end(): none.
  [[nodiscard]] Entries::const_iterator first() const;

  Entries entries_;
  std::map<std::string, MonotonicTime> not_before_;  // by token_hash: as the API itself has said
  std::uint64_t serials_ = 0;
};

}  // namespace pooler::hosted
