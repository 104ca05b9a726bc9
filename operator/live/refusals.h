// Passwords that were refused where that is punished: some providers ban the address that tries a
// wrong one again, whichever PoolerConfig it does so for. What one login learns counts for all of
// them, and one at a time tries. Belongs to the live thread; holds hashes, no password.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "base/clock.h"

namespace pooler::live {

struct Refusal {
  MonotonicTime until;  // not tried again before
  std::string token;    // of the login that was refused
  std::string message;  // for people
};

class Refusals {
 public:
  // A login that is under way holds up the others for so long at the most: longer than any lasts.
  static constexpr Duration kTrying = std::chrono::seconds(10);
  // How often they look whether it is done.
  static constexpr Duration kLookAgain = std::chrono::milliseconds(200);

  // nullptr: not refused, or that is over. Valid until the next call of anything else.
  [[nodiscard]] const Refusal* find(const std::string& key, MonotonicTime now) const;
  // When a login may begin; `now`: it has.
  [[nodiscard]] MonotonicTime begin(const std::string& key, MonotonicTime now);
  // It has ended, and said nothing of the password.
  void end(const std::string& key);
  void accept(const std::string& key) { entries_.erase(key); }
  void refuse(const std::string& key, Refusal refusal);
  // As refuse(), unless it has been refused to this operator already.
  void remember(const std::string& key, Refusal refusal);

 private:
  static constexpr std::size_t kMost = 1000;  // more than people can have mistyped in half an hour

  struct Entry {
    MonotonicTime trying_until{};
    bool refused = false;
    Refusal refusal;
  };
  std::map<std::string, Entry> entries_;
};

// What one probe minds of them: one password, at one place.
class PasswordRule {
 public:
  // `pause`: how long a password is not tried after it was refused; zero: nothing is minded.
  // `scope`: who shares it shares the ban. `refusals` outlives it.
  PasswordRule(Refusals& refusals, const std::string& scope, const std::string& password,
               Duration pause);

  [[nodiscard]] bool on() const { return pause_ > Duration::zero(); }
  [[nodiscard]] const Refusal* refusal(MonotonicTime now) const;
  // As of Refusals.
  [[nodiscard]] MonotonicTime begin(MonotonicTime now);
  void end();
  void accept();
  void refuse(const std::string& token, const std::string& message, MonotonicTime now);
  void remember(const std::string& message, MonotonicTime now);

 private:
  Refusals& refusals_;
  const std::string key_;
  const Duration pause_;
  bool trying_ = false;
};

// `refusal` as it is told of the login `token`: what has changed besides the password since is no
// news to the server yet.
[[nodiscard]] std::string told_of(const Refusal& refusal, const std::string& token);

}  // namespace pooler::live
