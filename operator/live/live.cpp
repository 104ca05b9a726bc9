#include "live/live.h"

#include <pthread.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/guarded.h"
#include "base/log.h"
#include "live/poller.h"
#include "live/refusals.h"
#include "live/watched.h"
#include "pg/libpq_session.h"

namespace pooler::live {
namespace {

// The sessions of the real world; made only where nobody brings others.
struct Libpq {
  ThreadResolver resolver;
  pg::LibpqSessionFactory sessions{resolver};
};

void log_change(const std::string& key, std::string_view what, Outcome was, Outcome is,
                const std::string& reason, const std::string& message) {
  if (was == is || is == Outcome::kUnknown) return;
  if (is == Outcome::kOk) return log_info(std::string(what) + " works", {{"poolerconfig", key}});
  log_warning(std::string(what) + " does not work",
              {{"poolerconfig", key}, {"reason", reason}, {"detail", message}});
}

void log_changes(const std::string& key, const LiveState& was, const LiveState& is) {
  log_change(key, "login to the database", was.database.outcome, is.database.outcome,
             is.database.reason, is.database.message);
  log_change(key, "the query for users", was.auth.outcome, is.auth.outcome, is.auth.field,
             is.auth.message);
  log_change(key, "the published URL", was.verification.outcome, is.verification.outcome,
             is.verification.reason, is.verification.message);
}

}  // namespace

// Everything but the mailbox and the states belongs to the thread.
class Live::Loop {
 public:
  Loop(const Clock& clock, OnChange on_change, pg::SessionFactory* sessions)
      : clock_(clock),
        on_change_(std::move(on_change)),
        libpq_(sessions == nullptr ? std::make_unique<Libpq>() : nullptr),
        sessions_(sessions == nullptr ? libpq_->sessions : *sessions) {}
  ~Loop() { stop(); }

  void start() {
    thread_ = std::thread([this] { run(); });
  }

  void stop() {
    stopping_ = true;
    poller_.wake();
    if (thread_.joinable()) thread_.join();
  }

  using Command = std::function<void(Loop&)>;
  void send(Command command) {
    mailbox_.lock()->push_back(std::move(command));
    poller_.wake();
  }

  LiveState state(const std::string& key) const {
    auto states = states_.lock();
    const auto found = states->find(key);
    return found == states->end() ? LiveState{} : found->second;
  }

  void set_target(const std::string& key, LiveTarget target) {
    Watched& watched = watched_.try_emplace(key, sessions_, refusals_).first->second;
    const std::vector<Probe*> before = watched.probes();
    // Taken out before they are destroyed: a new probe may get the memory of an old one.
    for (Probe* probe : before) drop(*probe);
    watched.set_target(std::move(target), clock_.monotonic());
    for (Probe* probe : watched.probes()) adopt(key, *probe);
    touched_.insert(key);
  }

  void forget(const std::string& key) {
    const auto found = watched_.find(key);
    if (found != watched_.end()) {
      for (Probe* probe : found->second.probes()) drop(*probe);
      watched_.erase(found);
    }
    touched_.erase(key);
    states_.lock()->erase(key);
  }

  void hurry(const std::string& key) {
    const auto found = watched_.find(key);
    if (found == watched_.end()) return;
    found->second.hurry(clock_.monotonic());
    for (Probe* probe : found->second.probes()) poller_.update(*probe);
  }

 private:
  void run() {
    pthread_setname_np(pthread_self(), "live");
    while (!stopping_) {
      for (Probe* probe : poller_.wait(clock_)) {
        probe->advance(clock_.monotonic());
        poller_.update(*probe);
        touched_.insert(owners_.at(probe));
      }
      const std::vector<Command> commands = std::exchange(*mailbox_.lock(), {});
      for (const Command& command : commands) command(*this);
      const std::set<std::string> touched = std::exchange(touched_, {});
      for (const std::string& key : touched) publish(key);
    }
    for (auto& [key, watched] : watched_) {
      for (Probe* probe : watched.probes()) drop(*probe);
    }
    watched_.clear();
  }

  void adopt(const std::string& key, Probe& probe) {
    owners_[&probe] = key;
    poller_.update(probe);
  }

  void drop(Probe& probe) {
    owners_.erase(&probe);
    poller_.remove(probe);
  }

  void publish(const std::string& key) {
    const auto found = watched_.find(key);
    if (found == watched_.end()) return;
    LiveState after = found->second.state();
    LiveState before;
    {
      auto states = states_.lock();
      LiveState& known = (*states)[key];
      if (known == after) return;
      before = std::exchange(known, after);
    }
    log_changes(key, before, after);
    on_change_(key);
  }

  const Clock& clock_;
  const OnChange on_change_;
  const std::unique_ptr<Libpq> libpq_;
  pg::SessionFactory& sessions_;

  Guarded<std::vector<Command>> mailbox_;
  mutable Guarded<std::map<std::string, LiveState>> states_;
  std::atomic<bool> stopping_ = false;

  Poller poller_;
  Refusals refusals_;
  std::map<std::string, Watched> watched_;
  std::unordered_map<Probe*, std::string> owners_;
  std::set<std::string> touched_;
  std::thread thread_;
};

Live::Live(const Clock& clock, OnChange on_change)
    : loop_(std::make_unique<Loop>(clock, std::move(on_change), nullptr)) {}
Live::Live(const Clock& clock, OnChange on_change, pg::SessionFactory& sessions)
    : loop_(std::make_unique<Loop>(clock, std::move(on_change), &sessions)) {}
Live::~Live() = default;

void Live::start() { loop_->start(); }
void Live::stop() { loop_->stop(); }

void Live::set_target(const std::string& key, LiveTarget target) {
  loop_->send([key, target = std::move(target)](Loop& loop) { loop.set_target(key, target); });
}
void Live::forget(const std::string& key) {
  loop_->send([key](Loop& loop) { loop.forget(key); });
}
void Live::hurry(const std::string& key) {
  loop_->send([key](Loop& loop) { loop.hurry(key); });
}
LiveState Live::state(const std::string& key) const { return loop_->state(key); }

}  // namespace pooler::live
