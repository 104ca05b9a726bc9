#include "base/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace pooler {
namespace {

using Addresses = std::vector<std::string>;
using LookedUp = Result<Addresses, std::string>;

constexpr int kMaxThreads = 4;

struct AddressListDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

LookedUp resolve(const std::string& host, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* raw = nullptr;
  const int failed = getaddrinfo(host.c_str(), nullptr, &hints, &raw);
  const int error = errno;
  const std::unique_ptr<addrinfo, AddressListDeleter> list(raw);
  if (failed == EAI_SYSTEM) return failure(std::string(std::strerror(error)));
  if (failed != 0) return failure(std::string(gai_strerror(failed)));

  Addresses addresses;
  for (const addrinfo* item = list.get(); item != nullptr; item = item->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (getnameinfo(item->ai_addr, item->ai_addrlen, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) != 0) {
      continue;
    }
    if (std::find(addresses.begin(), addresses.end(), text.data()) == addresses.end()) {
      addresses.emplace_back(text.data());
    }
  }
  if (addresses.empty()) return failure(std::string("it has no address"));
  return addresses;
}

// One question between the thread that asks and the one that answers.
struct Question {
  explicit Question(std::string name)
      : host(std::move(name)), fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Question() { close_fd(); }
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;

  void close_fd() {
    if (fd >= 0) close(fd);
    fd = -1;
  }
  [[nodiscard]] bool wanted() {
    std::lock_guard held(mutex);
    return !abandoned;
  }
  void reply(LookedUp given) {
    std::lock_guard held(mutex);
    if (abandoned) return;
    answer = std::move(given);
    if (fd >= 0) eventfd_write(fd, 1);
  }

  const std::string host;
  std::mutex mutex;
  int fd;
  bool abandoned = false;
  std::optional<LookedUp> answer;
};

class QuestionLookup final : public Lookup {
 public:
  explicit QuestionLookup(std::shared_ptr<Question> question)
      : question_(std::move(question)), fd_(question_->fd) {}
  ~QuestionLookup() override {
    // Closed here and not with the last reference: the poll loop must forget the descriptor now.
    std::lock_guard held(question_->mutex);
    question_->abandoned = true;
    question_->close_fd();
  }

  int fd() const override { return fd_; }
  std::optional<LookedUp> take() override {
    std::lock_guard held(question_->mutex);
    return std::exchange(question_->answer, std::nullopt);
  }

 private:
  std::shared_ptr<Question> question_;
  const int fd_;
};

// A descriptor that another thread makes readable.
class Wakeup {
 public:
  Wakeup() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Wakeup() {
    if (fd_ >= 0) close(fd_);
  }
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  void set() const {
    if (fd_ >= 0) eventfd_write(fd_, 1);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace

struct ThreadResolver::Shared {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::shared_ptr<Question>> questions;
  int threads = 0;
  int idle = 0;
  bool stopped = false;

  void serve() {
    std::unique_lock held(mutex);
    while (true) {
      ++idle;
      wake.wait(held, [this] { return stopped || !questions.empty(); });
      --idle;
      if (stopped) return;
      const std::shared_ptr<Question> question = std::move(questions.front());
      questions.pop_front();
      held.unlock();
      if (question->wanted()) question->reply(resolve(question->host, 0));
      held.lock();
    }
  }
};

ThreadResolver::ThreadResolver() : shared_(std::make_shared<Shared>()) {}

ThreadResolver::~ThreadResolver() {
  std::lock_guard held(shared_->mutex);
  shared_->stopped = true;
  shared_->wake.notify_all();
}

std::unique_ptr<Lookup> ThreadResolver::look_up(const std::string& host) {
  auto question = std::make_shared<Question>(host);
  auto lookup = std::make_unique<QuestionLookup>(question);
  if (is_numeric_address(host)) {
    question->reply(resolve(host, AI_NUMERICHOST));
    return lookup;
  }
  // A socket's path, say: no name server need see it.
  if (host.empty() || host.front() == '/' || host.front() == '@') {
    question->reply(failure(std::string("it is no host name")));
    return lookup;
  }
  std::lock_guard held(shared_->mutex);
  shared_->questions.push_back(std::move(question));
  const auto waiting = static_cast<int>(shared_->questions.size());
  if (shared_->idle < waiting && shared_->threads < kMaxThreads) {
    ++shared_->threads;
    std::thread([shared = shared_] { shared->serve(); }).detach();
  }
  shared_->wake.notify_one();
  return lookup;
}

std::optional<LookedUp> wait_for(Lookup& lookup, Duration patience, std::stop_token stop) {
  using std::chrono::steady_clock;
  const Wakeup stopped;
  const std::stop_callback on_stop(stop, [&stopped] { stopped.set(); });
  const auto give_up = steady_clock::now() + patience;
  while (!stop.stop_requested()) {
    auto answer = lookup.take();
    if (answer) return answer;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(give_up - steady_clock::now());
    if (left.count() <= 0) return std::nullopt;
    std::array<pollfd, 2> wanted{{{lookup.fd(), POLLIN, 0}, {stopped.fd(), POLLIN, 0}}};
    const auto most = std::min<std::int64_t>(left.count(), 60'000);
    (void)poll(wanted.data(), wanted.size(), static_cast<int>(most));
  }
  return std::nullopt;
}

bool is_numeric_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  if (inet_pton(AF_INET, host.c_str(), bytes.data()) == 1) return true;
  const std::string without_scope = host.substr(0, host.find('%'));
  return inet_pton(AF_INET6, without_scope.c_str(), bytes.data()) == 1;
}

}  // namespace pooler
