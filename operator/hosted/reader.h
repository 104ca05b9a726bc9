// Asks the Management API, on a thread of its own: one question after the other, each with a limit
// of its whole time.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "base/clock.h"
#include "hosted/projects.h"
#include "kube/transport.h"

namespace pooler::hosted {

class Reader {
 public:
  // Called on the reader's thread, without locks, when the state of `key` has changed.
  using OnChange = std::function<void(const std::string& key)>;

  // An answer that trickles in is given up after `patience`: the transport minds silence alone.
  // Transport and clock outlive it.
  Reader(kube::HttpTransport& transport, const Clock& clock, OnChange on_change,
         Duration patience = std::chrono::seconds(20));
  ~Reader();  // stops
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void start();
  void stop();  // ends the question in flight

  // Any thread.
  void set_target(const std::string& key, const ProjectTarget& target);
  void forget(const std::string& key);
  [[nodiscard]] ProjectState state(const std::string& key) const;

 private:
  void run(std::stop_token stop);
  ApiAnswer ask(const kube::Request& request, std::stop_token stop);

  kube::HttpTransport& transport_;
  const Clock& clock_;
  const OnChange on_change_;
  const Duration patience_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  Projects projects_;
  bool set_ = false;  // a target was, since the thread last looked
  std::jthread thread_;
};

}  // namespace pooler::hosted
