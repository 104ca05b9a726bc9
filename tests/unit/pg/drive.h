// A poll loop for one session, for tests.
#pragma once

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "pg/session.h"

namespace pooler::pg::testing {

// Turns until `done`; false after a minute, which is a failure of the test and no timing.
inline bool drive(Session& session, const std::function<bool()>& done) {
  const SystemClock clock;
  const MonotonicTime give_up = clock.monotonic() + std::chrono::minutes(1);
  while (!done()) {
    const MonotonicTime now = clock.monotonic();
    if (now > give_up) return false;
    const MonotonicTime until =
        std::clamp(session.deadline(), now, now + std::chrono::milliseconds(20));
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - now);
    const Wants wants = session.wants();
    pollfd item{session.fd(),
                static_cast<short>((wants.read ? POLLIN : 0) | (wants.write ? POLLOUT : 0)), 0};
    poll(&item, 1, static_cast<int>(wait.count()));
    session.advance(clock.monotonic());
  }
  return true;
}

inline bool drive_to(Session& session, Session::State state) {
  return drive(session, [&] { return session.state() == state; });
}

}  // namespace pooler::pg::testing
