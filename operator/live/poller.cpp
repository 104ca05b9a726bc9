#include "live/poller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>

namespace pooler::live {

Poller::Poller()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  assert(epoll_ >= 0 && wake_ >= 0);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
}

Poller::~Poller() {
  close(wake_);
  close(epoll_);
}

void Poller::update(Probe& probe) {
  const auto [entry, is_new] = entries_.try_emplace(&probe);
  Entry& known = entry->second;
  const MonotonicTime due = probe.due();
  if (is_new || due != known.due) {
    times_.erase({known.due, &probe});
    if (due != MonotonicTime::max()) times_.emplace(due, &probe);
    known.due = due;
  }
  known.fd = probe.fd();
  known.wants = probe.wants();
  watch(probe, known.fd, known.wants);
}

// libpq may close a descriptor and open another one under the same number between two calls, and
// with the first the kernel drops what was registered: so it is told each time. One that is closed
// needs no telling; its number may already be another probe's.
void Poller::watch(Probe& probe, int fd, pg::Wants wants) {
  if (fd < 0) return;
  epoll_event event{};
  event.events = (wants.read ? EPOLLIN : 0U) | (wants.write ? EPOLLOUT : 0U);
  event.data.ptr = &probe;
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0) return;
  if (errno == ENOENT) epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void Poller::remove(Probe& probe) {
  const auto entry = entries_.find(&probe);
  if (entry == entries_.end()) return;
  times_.erase({entry->second.due, &probe});
  entries_.erase(entry);
}

std::vector<Probe*> Poller::wait(const Clock& clock) {
  int timeout = -1;
  if (!times_.empty()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(times_.begin()->first - clock.monotonic());
    timeout = static_cast<int>(std::clamp<long>(left.count(), 0, 60'000));
  }
  std::array<epoll_event, 256> events{};
  const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout);

  std::set<Probe*> ready;
  for (int i = 0; i < count; ++i) {
    auto* probe = static_cast<Probe*>(events.at(static_cast<std::size_t>(i)).data.ptr);
    if (probe == nullptr) {
      eventfd_t ignored = 0;
      eventfd_read(wake_, &ignored);
    } else if (entries_.contains(probe)) {
      ready.insert(probe);
    }
  }
  const MonotonicTime now = clock.monotonic();
  for (const auto& [due, probe] : times_) {
    if (due > now) break;
    ready.insert(probe);
  }
  return {ready.begin(), ready.end()};
}

void Poller::wake() { eventfd_write(wake_, 1); }

}  // namespace pooler::live
