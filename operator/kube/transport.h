// HttpTransport: the one way to the API server. Everything above it sees values and typed errors.
// Implementations: transport_cpprest.h (real), FakeApiServer in the tests; both pass one contract.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pooler::kube {

enum class Method { kGet, kPost, kPut, kPatch, kDelete };
[[nodiscard]] std::string_view to_string(Method method);

struct Request {
  Method method = Method::kGet;
  std::string path;  // begins with '/', percent-encoded, with its query
  std::string body;
  std::string content_type;  // sent when there is a body
  std::string accept = "application/json";
  // Ends the request when the peer has been silent for so long. Zero: the transport's default.
  std::chrono::seconds idle_timeout{0};
  // Where not empty: sent instead of the transport's own. Printable, without blanks.
  std::string bearer_token;
};

struct Response {
  int status = 0;
  // Header Retry-After, in seconds, a day at the most; nullopt where it is a date.
  std::optional<std::chrono::seconds> retry_after;
  std::string body;
};

// A stream that the server ended in good order, or that the sink ended.
struct StreamEnd {
  int status = 0;
  std::optional<std::chrono::seconds> retry_after;
  std::string body;  // of an answer other than 200, at most 64 KiB of it
};

struct TransportError {
  enum class Kind {
    kCanceled,      // by the stop token
    kTimeout,       // silent peer; the request may have been carried out
    kConnect,       // never sent
    kTls,           // never sent: peer's certificate refused, or ours
    kDisconnected,  // cut before the answer was whole; the request may have been carried out
    kProtocol,      // the answer breaks a bound (line or body too long)
  };
  Kind kind = Kind::kDisconnected;
  std::string message;  // holds no credential
};
[[nodiscard]] std::string_view to_string(TransportError::Kind kind);

class LineSink {
 public:
  virtual ~LineSink() = default;
  // The server has answered 200; lines follow.
  virtual void on_open() {}
  // One whole line without its end, on the thread that called stream(). False ends the stream.
  // While it runs, no more than a bounded number of bytes is read from the server.
  virtual bool on_line(std::string_view line) = 0;
};

// Calls block; call them from your own threads only. All are safe to call from many threads.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  // An answer of any status is a Response. The request may be sent twice when a kept connection
  // dies before the answer: only ask what is safe to do twice.
  virtual Result<Response, TransportError> send(const Request& request, std::stop_token stop) = 0;
  // Lines of an answer 200 go to `sink`; a line that the server did not finish is never delivered,
  // one of more than 4 MiB ends the stream with kProtocol.
  virtual Result<StreamEnd, TransportError> stream(const Request& request, LineSink& sink,
                                                   std::stop_token stop) = 0;
};

inline constexpr std::size_t kMaxLineBytes = std::size_t{4} * 1024 * 1024;

}  // namespace pooler::kube
