#include "load/loop.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

namespace pooler::load {
namespace {

constexpr std::uint64_t kSignalsId = 1;
constexpr std::uint64_t kInputId = 2;
constexpr std::uint64_t kFirstHandlerId = 16;

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGUSR2}) sigaddset(&set, signal);
  return set;
}

}  // namespace

Duration seconds(double value) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

double to_seconds(Duration value) { return std::chrono::duration<double>(value).count(); }

double to_ms(Duration value) { return to_seconds(value) * 1000; }

double unix_time() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<double>(std::chrono::duration_cast<std::chrono::microseconds>(since).count()) /
         1e6;
}

EventLoop::EventLoop() : next_id_(kFirstHandlerId) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  const sigset_t set = watched_signals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kSignalsId;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, signals_, &event);
}

EventLoop::~EventLoop() {
  close(signals_);
  close(epoll_);
  const sigset_t set = watched_signals();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

std::uint64_t EventLoop::watch(int fd, std::uint32_t events, Handler* handler) {
  const std::uint64_t id = next_id_++;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  handlers_[id] = handler;
  return id;
}

void EventLoop::change(std::uint64_t id, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::unwatch(std::uint64_t id, int fd) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  handlers_.erase(id);
}

void EventLoop::after(Duration delay, std::function<void()> action) {
  timers_.push({Clock::now() + delay, next_order_++, std::move(action)});
}

void EventLoop::every(Duration period, std::function<void()> action) {
  after(period, [this, period, action = std::move(action)] {
    action();
    every(period, action);
  });
}

void EventLoop::on_input(std::function<void(const std::string&, bool)> action) {
  input_action_ = std::move(action);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kInputId;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, STDIN_FILENO, &event) == 0) return;
  // A regular file or /dev/null can't be polled: it is at its end right away.
  after(Duration::zero(), [this] { input_action_({}, true); });
}

int EventLoop::wait_ms() const {
  TimePoint due = next_tick_;
  if (!timers_.empty()) due = std::min(due, timers_.top().due);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, kTick.count()));
}

void EventLoop::run() {
  std::array<epoll_event, 512> events{};
  while (!stopped_) {
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms());
    now_ = Clock::now();
    for (int i = 0; i < count && !stopped_; ++i) {
      const std::uint64_t id = events[static_cast<std::size_t>(i)].data.u64;
      if (id == kSignalsId) {
        read_signals();
      } else if (id == kInputId) {
        read_input();
      } else if (const auto found = handlers_.find(id); found != handlers_.end()) {
        found->second->on_io(events[static_cast<std::size_t>(i)].events);
      }
    }
    run_timers();
    if (now_ >= next_tick_) tick();
  }
}

void EventLoop::run_timers() {
  // Timers set by these timers wait for the next turn, so that sockets are never starved.
  const std::uint64_t limit = next_order_;
  while (!stopped_ && !timers_.empty() && timers_.top().due <= now_ &&
         timers_.top().order < limit) {
    const auto action = timers_.top().action;
    timers_.pop();
    action();
  }
}

void EventLoop::tick() {
  next_tick_ = now_ + kTick;
  std::vector<std::uint64_t> ids;
  ids.reserve(handlers_.size());
  for (const auto& [id, handler] : handlers_) ids.push_back(id);
  for (const auto id : ids) {
    if (const auto found = handlers_.find(id); found != handlers_.end()) {
      found->second->on_tick(now_);
    }
  }
}

void EventLoop::read_signals() {
  signalfd_siginfo info{};
  while (read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (signal_action_) signal_action_(static_cast<int>(info.ssi_signo));
  }
}

void EventLoop::read_input() {
  std::array<char, 4096> chunk{};
  const ssize_t count = read(STDIN_FILENO, chunk.data(), chunk.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, STDIN_FILENO, nullptr);
    input_action_({}, true);
    return;
  }
  input_.append(chunk.data(), static_cast<std::size_t>(count));
  for (auto end = input_.find('\n'); end != std::string::npos; end = input_.find('\n')) {
    const std::string line = input_.substr(0, end);
    input_.erase(0, end + 1);
    input_action_(line, false);
  }
}

Pacer::Pacer(EventLoop& loop, double rate, int concurrency)
    : loop_(loop), rate_(rate), concurrency_(concurrency), refilled_(Clock::now()) {}

void Pacer::enqueue(std::function<void()> start) {
  waiting_.push(std::move(start));
  pump();
}

void Pacer::finished() {
  --running_;
  pump();
}

void Pacer::pump() {
  if (pumping_) return;
  pumping_ = true;
  if (rate_ > 0) {
    const TimePoint now = Clock::now();
    // At most 20 ms' worth at once, so that a pause does not end in a burst.
    tokens_ = std::min(tokens_ + to_seconds(now - refilled_) * rate_, std::max(1.0, rate_ / 50));
    refilled_ = now;
  }
  while (!waiting_.empty() && (concurrency_ <= 0 || running_ < concurrency_) &&
         (rate_ <= 0 || tokens_ >= 1)) {
    const auto start = std::move(waiting_.front());
    waiting_.pop();
    ++running_;
    if (rate_ > 0) tokens_ -= 1;
    start();
  }
  pumping_ = false;
  const bool free_slot = concurrency_ <= 0 || running_ < concurrency_;
  if (waiting_.empty() || timer_set_ || rate_ <= 0 || !free_slot) return;
  timer_set_ = true;
  loop_.after(seconds(std::max(0.001, (1 - tokens_) / rate_)), [this] {
    timer_set_ = false;
    pump();
  });
}

}  // namespace pooler::load
