#include "fault/fault_plan.h"

#include <utility>

#include "fault/fake_api_server.h"

namespace pooler::fault {
namespace {

using Kind = Fault::Kind;
using Transport = kube::TransportError::Kind;

kube::TransportError broken(const char* what) { return {Transport::kDisconnected, what}; }

std::string status_body(const Fault& fault) {
  return to_status({fault.status, fault.reason, "a fault of the test's", Object::object(), {}})
      .dump();
}

bool matches(const Match& match, const kube::Request& request, bool watch) {
  const auto route = parse_route(request.path);
  if (!route) return false;
  const bool write = request.method != kube::Method::kGet;
  const bool list = !write && !watch && route->name.empty();
  switch (match.what) {
    case Match::What::kAny:
      break;
    case Match::What::kWrite:
      if (!write) return false;
      break;
    case Match::What::kRead:
      if (write || watch || list) return false;
      break;
    case Match::What::kList:
      if (!list) return false;
      break;
    case Match::What::kWatch:
      if (!watch) return false;
      break;
  }
  if (!match.plural.empty() && match.plural != route->plural) return false;
  if (match.name.empty()) return true;
  if (request.method == kube::Method::kPost) {
    const Object body = Object::parse(request.body, nullptr, false);
    return !body.is_discarded() && body["metadata"].value("name", "") == match.name;
  }
  return match.name == route->name;
}

}  // namespace

void FaultyTransport::add(Match match, Fault fault) {
  std::lock_guard held(mutex_);
  rules_.push_back({std::move(match), std::move(fault), 0});
}

void FaultyTransport::clear() {
  std::lock_guard held(mutex_);
  rules_.clear();
}

void FaultyTransport::release() {
  std::lock_guard held(mutex_);
  ++releases_;
  changed_.notify_all();
}

bool FaultyTransport::dead() const {
  std::lock_guard held(mutex_);
  return dead_;
}

bool FaultyTransport::wait_until_dead(std::chrono::seconds limit) const {
  std::unique_lock held(mutex_);
  return changed_.wait_for(held, limit, [&] { return dead_; });
}

void FaultyTransport::revive() {
  std::lock_guard held(mutex_);
  dead_ = false;
}

int FaultyTransport::faults() const {
  std::lock_guard held(mutex_);
  return faults_;
}

void FaultyTransport::die() {
  std::lock_guard held(mutex_);
  dead_ = true;
  changed_.notify_all();
}

// A dead process gets no answer and asks no more: blocks until the test takes it away.
kube::TransportError FaultyTransport::silence(std::stop_token stop) {
  std::unique_lock held(mutex_);
  changed_.wait(held, stop, [] { return false; });
  return {Transport::kCanceled, "dead"};
}

std::optional<Fault> FaultyTransport::fault_of(const kube::Request& request, bool watch) {
  std::lock_guard held(mutex_);
  std::optional<Fault> found;
  for (Rule& rule : rules_) {
    if (!matches(rule.match, request, watch)) continue;
    ++rule.seen;
    if (!found && rule.seen >= rule.match.first && rule.seen <= rule.match.last) {
      found = rule.fault;
      ++faults_;
    }
  }
  return found;
}

Result<kube::Response, kube::TransportError> FaultyTransport::send(const kube::Request& request,
                                                                   std::stop_token stop) {
  if (dead()) return failure(silence(stop));
  const auto fault = fault_of(request, false);
  if (!fault) return backend_.send(request, stop);
  switch (fault->kind) {
    case Kind::kCrashBefore:
      die();
      return failure(silence(stop));
    case Kind::kCrashAfter:
      (void)backend_.send(request, stop);
      die();
      return failure(silence(stop));
    case Kind::kResponseLost:
      (void)backend_.send(request, stop);
      return failure(broken("the response was lost"));
    case Kind::kNotCarriedOut:
      return failure(kube::TransportError{Transport::kTimeout, "no answer"});
    case Kind::kRefusedConnection:
      return failure(kube::TransportError{Transport::kConnect, "refused"});
    case Kind::kStatus:
      return kube::Response{fault->status, fault->retry_after, status_body(*fault)};
    default:
      break;
  }
  if (fault->before) fault->before();
  return backend_.send(request, stop);
}

// Between the server's stream and the reader.
class FaultyTransport::FaultySink final : public kube::LineSink {
 public:
  FaultySink(FaultyTransport& owner, const Fault& fault, kube::LineSink& sink, std::stop_token stop)
      : owner_(owner), fault_(fault), sink_(sink), stop_(std::move(stop)) {
    std::lock_guard held(owner_.mutex_);
    releases_ = owner_.releases_;
  }
  void on_open() override { sink_.on_open(); }
  bool on_line(std::string_view line) override {
    ++lines_;
    bytes_ += line.size() + 1;
    switch (fault_.kind) {
      case Kind::kCutAtByte:
        cut_ = bytes_ > fault_.bytes;
        return !cut_ && sink_.on_line(line);
      case Kind::kGone: {
        if (lines_ <= fault_.count) return sink_.on_line(line);
        const Refusal gone{410, "Expired", "too old resource version", Object::object(), {}};
        return sink_.on_line(Object{{"type", "ERROR"}, {"object", to_status(gone)}}.dump());
      }
      case Kind::kDuplicate:
        return sink_.on_line(line) && sink_.on_line(line);
      case Kind::kHold: {
        std::unique_lock held(owner_.mutex_);
        owner_.changed_.wait(held, stop_, [&] { return owner_.releases_ != releases_; });
        held.unlock();
        return sink_.on_line(line);
      }
      default:
        return sink_.on_line(line);
    }
  }
  [[nodiscard]] bool cut() const { return cut_; }

 private:
  FaultyTransport& owner_;
  const Fault fault_;
  kube::LineSink& sink_;
  const std::stop_token stop_;
  std::uint64_t releases_ = 0;
  std::size_t lines_ = 0;
  std::size_t bytes_ = 0;
  bool cut_ = false;
};

Result<kube::StreamEnd, kube::TransportError> FaultyTransport::stream(const kube::Request& request,
                                                                      kube::LineSink& sink,
                                                                      std::stop_token stop) {
  if (dead()) return failure(silence(stop));
  const auto fault = fault_of(request, true);
  if (!fault) return backend_.stream(request, sink, stop);
  switch (fault->kind) {
    case Kind::kRefusedConnection:
      return failure(kube::TransportError{Transport::kConnect, "refused"});
    case Kind::kStatus:
      return kube::StreamEnd{fault->status, fault->retry_after, status_body(*fault)};
    case Kind::kCloseAtOnce:
      sink.on_open();
      return kube::StreamEnd{200, std::nullopt, ""};
    default:
      break;
  }
  if (fault->before) fault->before();
  FaultySink faulty(*this, *fault, sink, stop);
  auto end = backend_.stream(request, faulty, stop);
  if (faulty.cut()) return failure(broken("cut"));
  return end;
}

}  // namespace pooler::fault
