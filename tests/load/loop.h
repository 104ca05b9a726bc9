#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

namespace pooler::load {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

/// Seconds as commands take and print them.
Duration seconds(double value);
double to_seconds(Duration value);
double to_ms(Duration value);

/// Unix time in seconds, so that events can be laid beside the logs of other machines.
double unix_time();

/// One thread, one epoll: sockets, timers, signals and lines of standard input.
///
/// SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 are blocked for the process while a loop lives and arrive
/// as callbacks.
class EventLoop {
 public:
  /// Whoever owns a watched descriptor. An event is a hint: the descriptor may not be ready any
  /// more.
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void on_io(std::uint32_t events) = 0;
    /// Called about every kTick for deadlines; cheaper than a timer for each of thousands of
    /// queries.
    virtual void on_tick(TimePoint now) = 0;
  };
  static constexpr std::chrono::milliseconds kTick{50};

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Returns the watch's id; ids are never reused, so a late event of a closed descriptor finds
  /// nobody.
  std::uint64_t watch(int fd, std::uint32_t events, Handler* handler);
  void change(std::uint64_t id, int fd, std::uint32_t events);
  void unwatch(std::uint64_t id, int fd);

  void after(Duration delay, std::function<void()> action);
  /// Repeats for the life of the loop; a late turn is not made up for.
  void every(Duration period, std::function<void()> action);

  void on_signal(std::function<void(int)> action) { signal_action_ = std::move(action); }
  /// Calls `action` for each line of standard input and, with `end` true, once at its end.
  void on_input(std::function<void(const std::string& line, bool end)> action);

  /// Runs until stop().
  void run();
  void stop() { stopped_ = true; }
  /// The time at the start of this turn of the loop.
  TimePoint now() const { return now_; }

 private:
  struct Timer {
    TimePoint due;
    std::uint64_t order;
    std::function<void()> action;
    bool operator>(const Timer& other) const {
      return due != other.due ? due > other.due : order > other.order;
    }
  };

  int wait_ms() const;
  void run_timers();
  void tick();
  void read_signals();
  void read_input();

  int epoll_ = -1;
  int signals_ = -1;
  bool stopped_ = false;
  TimePoint now_ = Clock::now();
  TimePoint next_tick_ = now_;
  std::uint64_t next_id_;
  std::uint64_t next_order_ = 0;
  std::unordered_map<std::uint64_t, Handler*> handlers_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::function<void(int)> signal_action_;
  std::function<void(const std::string&, bool)> input_action_;
  std::string input_;
};

/// Lets logins begin no faster than asked: at most `rate` per second (0: no limit) and at most
/// `concurrency` under way (0: no limit). Every start must be paid back with finished().
class Pacer {
 public:
  Pacer(EventLoop& loop, double rate, int concurrency);
  void enqueue(std::function<void()> start);
  void finished();
  /// Forgets what has not begun.
  void clear() { waiting_ = {}; }

 private:
  void pump();

  EventLoop& loop_;
  double rate_;
  int concurrency_;
  int running_ = 0;
  double tokens_ = 1;
  TimePoint refilled_;
  bool timer_set_ = false;
  bool pumping_ = false;
  std::queue<std::function<void()>> waiting_;
};

}  // namespace pooler::load
