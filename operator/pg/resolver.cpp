#include "pg/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace pooler::pg {
namespace {

using Addresses = std::vector<std::string>;
using Answer = Result<Addresses, std::string>;

constexpr int kMaxThreads = 4;

struct AddressListDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

Answer resolve(const std::string& host, int flags) {
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
  void reply(Answer given) {
    std::lock_guard held(mutex);
    if (abandoned) return;
    answer = std::move(given);
    if (fd >= 0) eventfd_write(fd, 1);
  }

  const std::string host;
  std::mutex mutex;
  int fd;
  bool abandoned = false;
  std::optional<Answer> answer;
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
  std::optional<Answer> take() override {
    std::lock_guard held(question_->mutex);
    return std::exchange(question_->answer, std::nullopt);
  }

 private:
  std::shared_ptr<Question> question_;
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

bool is_numeric_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  if (inet_pton(AF_INET, host.c_str(), bytes.data()) == 1) return true;
  const std::string without_scope = host.substr(0, host.find('%'));
  return inet_pton(AF_INET6, without_scope.c_str(), bytes.data()) == 1;
}

}  // namespace pooler::pg
