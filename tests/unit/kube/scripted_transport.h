// A transport that answers from a list prepared by the test and notes what it was asked.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "kube/transport.h"

namespace pooler::kube {

class ScriptedTransport final : public HttpTransport {
 public:
  using Answer = Result<Response, TransportError>;
  struct Stream {
    int status = 200;
    std::vector<std::string> lines;
    // How it ends: by itself, or with this error. A body where status is not 200.
    std::optional<TransportError> error;
    std::string body;
    std::optional<std::chrono::seconds> retry_after;
  };

  void answer(int status, std::string body,
              std::optional<std::chrono::seconds> retry_after = std::nullopt) {
    answers_.push_back(Response{status, retry_after, std::move(body)});
  }
  void fail(TransportError::Kind kind) {
    answers_.push_back(failure(TransportError{kind, "scripted"}));
  }
  void stream(Stream stream) { streams_.push_back(std::move(stream)); }

  Answer send(const Request& request, std::stop_token) override {
    requests.push_back(request);
    if (answers_.empty()) {
      ADD_FAILURE() << "unexpected " << to_string(request.method) << " " << request.path;
      return failure(TransportError{TransportError::Kind::kCanceled, "nothing scripted"});
    }
    Answer next = std::move(answers_.front());
    answers_.pop_front();
    return next;
  }

  Result<StreamEnd, TransportError> stream(const Request& request, LineSink& sink,
                                           std::stop_token) override {
    requests.push_back(request);
    if (streams_.empty()) {
      ADD_FAILURE() << "unexpected stream " << request.path;
      return failure(TransportError{TransportError::Kind::kCanceled, "nothing scripted"});
    }
    const Stream next = std::move(streams_.front());
    streams_.pop_front();
    if (next.status == 200) {
      sink.on_open();
      for (const auto& line : next.lines) {
        if (!sink.on_line(line)) return StreamEnd{200, std::nullopt, ""};
      }
    }
    if (next.error) return failure(TransportError(*next.error));
    return StreamEnd{next.status, next.retry_after, next.body};
  }

  [[nodiscard]] bool used_up() const { return answers_.empty() && streams_.empty(); }
  std::vector<Request> requests;

 private:
  std::deque<Answer> answers_;
  std::deque<Stream> streams_;
};

}  // namespace pooler::kube
