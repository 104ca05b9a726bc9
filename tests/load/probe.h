#pragma once

#include <functional>
#include <optional>
#include <string>

#include "load/client.h"

namespace pooler::load {

/// Asks a listener over and over whether it still takes connections.
///
/// A PgBouncer that is told to shut down closes its listener at that very moment, in every mode of
/// shutdown (measured on 1.24.1 and 1.26.1), so the first refusal is the moment of the signal
/// within one period.
class ListenerProbe final : public EventLoop::Handler {
 public:
  /// `gone` is called once, when a connect is refused after one had been accepted; then the probe
  /// rests.
  ListenerProbe(EventLoop& loop, Endpoint endpoint, Duration period, std::function<void()> gone);
  ~ListenerProbe() override;
  ListenerProbe(const ListenerProbe&) = delete;
  ListenerProbe& operator=(const ListenerProbe&) = delete;

  void start() { try_once(); }
  void stop();

  void on_io(std::uint32_t events) override;
  void on_tick(TimePoint now) override;

 private:
  void try_once();
  void tried(bool refused);
  void drop();

  EventLoop& loop_;
  Endpoint endpoint_;
  Duration period_;
  std::function<void()> gone_;
  TimePoint deadline_;
  int fd_ = -1;
  std::uint64_t watch_id_ = 0;
  bool accepted_ = false;
  bool stopped_ = false;
};

}  // namespace pooler::load
