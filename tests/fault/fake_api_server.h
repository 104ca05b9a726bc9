// FakeApiServer: an API server in memory, behind the same interface as the real one. Its semantics
// are held to a real kube-apiserver by the API contract (api_contract.cpp), which runs on both.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "fault/object_store.h"
#include "kube/meta.h"
#include "kube/transport.h"

namespace pooler::fault {

// A parsed request path.
struct Route {
  std::string api_version;
  std::string plural;
  std::string ns;
  std::string name;  // empty: the collection
  std::string subresource;
  std::map<std::string, std::string> query;
};
[[nodiscard]] std::optional<Route> parse_route(const std::string& path);

// "a=b,c!=d,e,!f,g in (x,y)"
[[nodiscard]] bool selects(const std::string& selector, const Object& labels);

// What came in, in order.
struct RequestRecord {
  kube::Method method;
  std::string path;
  std::string body;
  std::string accept;
  int status = 0;
};

// Thread-safe. Watches block in stream() until something happens, the test says so, or stop.
class FakeApiServer final : public kube::HttpTransport {
 public:
  explicit FakeApiServer(const Clock& clock);

  Result<kube::Response, kube::TransportError> send(const kube::Request& request,
                                                    std::stop_token stop) override;
  Result<kube::StreamEnd, kube::TransportError> stream(const kube::Request& request,
                                                       kube::LineSink& sink,
                                                       std::stop_token stop) override;

  // ---- what others do in the cluster ----
  void serve(TypeRules rules);
  // By another manager ("kubectl"); aborts where it is refused.
  Object create(const kube::ResourceType& type, Object body);
  // Changes spec and metadata, or the status, as others would. False: there is none.
  bool edit(const kube::ResourceType& type, const kube::ObjectKey& key,
            const std::function<void(Object&)>& change);
  bool edit_status(const kube::ResourceType& type, const kube::ObjectKey& key,
                   const std::function<void(Object&)>& change);
  // At once, without grace.
  bool erase(const kube::ResourceType& type, const kube::ObjectKey& key);
  void terminate_namespace(const std::string& ns);
  [[nodiscard]] std::optional<Object> find(const kube::ResourceType& type,
                                           const kube::ObjectKey& key) const;
  [[nodiscard]] std::vector<Object> all(const kube::ResourceType& type) const;

  // ---- what the server itself does ----
  void compact();  // forgets history: older watches get 410
  void keep_history(std::size_t entries);
  void expire_continue_tokens();
  void send_bookmarks();
  void close_watches();  // in good order
  void poke();           // after the clock was moved by hand

  // ---- what was seen ----
  [[nodiscard]] std::vector<WriteRecord> writes() const;
  [[nodiscard]] std::vector<RequestRecord> requests() const;
  [[nodiscard]] std::uint64_t version() const;
  [[nodiscard]] int open_watches() const;
  // False after ten seconds.
  bool wait_for_watches(int count) const;

 private:
  struct Watch {
    const TypeRules* type = nullptr;
    Route route;
    bool metadata_only = false;
    std::uint64_t cursor = 0;
    std::uint64_t closings = 0;
    std::uint64_t bookmarks = 0;
    MonotonicTime deadline;
  };
  using Lines = std::vector<std::string>;

  kube::Response handle(const kube::Request& request);
  Answer<Object> dispatch(const kube::Request& request, const Route& route, const TypeRules& type);
  Answer<Object> patch(const kube::Request& request, const Route& route, const TypeRules& type);
  Answer<Object> list(const kube::Request& request, const Route& route, const TypeRules& type);
  [[nodiscard]] std::optional<kube::StreamEnd> begin(const kube::Request& request, Watch& watch,
                                                     Lines& lines);
  [[nodiscard]] Lines pending(Watch& watch, bool& gone) const;
  [[nodiscard]] std::string event_line(const Watch& watch, const HistoryEntry& entry) const;
  [[nodiscard]] const TypeRules& rules(const kube::ResourceType& type) const;
  bool edit_as_other(const kube::ResourceType& type, const kube::ObjectKey& key,
                     const std::function<void(Object&)>& change, const std::string& subresource);

  const Clock& clock_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  ObjectStore store_;
  struct Pages {
    std::vector<Object> items;
    std::uint64_t version = 0;
  };
  std::map<std::string, Pages> pages_;  // by continue token
  std::uint64_t tokens_ = 0;
  std::uint64_t closings_ = 0;
  std::uint64_t bookmarks_ = 0;
  int open_watches_ = 0;
  std::vector<RequestRecord> requests_;
};

}  // namespace pooler::fault
