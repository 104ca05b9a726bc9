#include "load/probe.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>

namespace pooler::load {

ListenerProbe::ListenerProbe(EventLoop& loop, Endpoint endpoint, Duration period,
                             std::function<void()> gone)
    : loop_(loop), endpoint_(std::move(endpoint)), period_(period), gone_(std::move(gone)) {}

ListenerProbe::~ListenerProbe() { drop(); }

void ListenerProbe::stop() {
  stopped_ = true;
  drop();
}

void ListenerProbe::drop() {
  if (fd_ < 0) return;
  loop_.unwatch(watch_id_, fd_);
  ::close(fd_);
  fd_ = -1;
}

void ListenerProbe::try_once() {
  if (stopped_) return;
  deadline_ = Clock::now() + std::chrono::seconds(1);
  fd_ = start_connect(endpoint_);
  if (fd_ < 0) {
    tried(errno == ECONNREFUSED);
    return;
  }
  watch_id_ = loop_.watch(fd_, EPOLLOUT, this);
}

void ListenerProbe::on_io(std::uint32_t /*events*/) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
  drop();
  if (error == 0) accepted_ = true;
  tried(error == ECONNREFUSED || error == EHOSTUNREACH);
}

void ListenerProbe::on_tick(TimePoint now) {
  // No answer at all says nothing: the network may be slow.
  if (now < deadline_) return;
  drop();
  tried(false);
}

void ListenerProbe::tried(bool refused) {
  if (refused && accepted_) {
    stopped_ = true;
    gone_();
    return;
  }
  loop_.after(period_, [this] { try_once(); });
}

}  // namespace pooler::load
