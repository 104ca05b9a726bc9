// A whole operator on a FakeApiServer, without threads and without time: the reconciler, caches
// that are filled from the server before each round, a cluster that makes pods, and a live loop
// that answers as a healthy database and healthy poolers would.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "fault/fake_api_server.h"
#include "reconcile/reconciler.h"

namespace pooler::fault {

// Lets the test spoil the answer to the n-th write (1, 2, ...; status writes count).
class WorldTransport final : public kube::HttpTransport {
 public:
  enum class Fault {
    kNone,
    kCrash,         // carried out; the operator dies and hears nothing
    kResponseLost,  // carried out; the operator lives and hears a cut connection
    kNotApplied,    // not carried out; timeout
    kConflict,      // not carried out; 409
    kServerError,   // not carried out; 500
  };
  explicit WorldTransport(kube::HttpTransport& inner) : inner_(inner) {}

  void arm(Fault fault, int at_write) {
    fault_ = fault;
    at_ = at_write;
  }
  // Reads of paths that end so are Forbidden; empty: of none.
  void forbid(std::string path_end) { forbidden_ = std::move(path_end); }
  [[nodiscard]] int writes() const { return writes_; }
  // True after a kCrash: everything that the operator had in memory is gone.
  [[nodiscard]] bool crashed() const { return crashed_; }
  void reborn() { crashed_ = false; }

  Result<kube::Response, kube::TransportError> send(const kube::Request& request,
                                                    std::stop_token stop) override;
  Result<kube::StreamEnd, kube::TransportError> stream(const kube::Request& request,
                                                       kube::LineSink& sink,
                                                       std::stop_token stop) override {
    return inner_.stream(request, sink, stop);
  }

 private:
  kube::HttpTransport& inner_;
  Fault fault_ = Fault::kNone;
  int at_ = 0;
  std::string forbidden_;
  int writes_ = 0;
  bool crashed_ = false;
};

// What every pod and the database answer. Outlives the operator: the world goes on when it dies.
class HealthyWorld {
 public:
  live::DatabaseState database(const live::DatabaseTarget& target) const;
  live::AuthState auth(const live::AuthTarget& target) const;
  // The StatefulSet controller and the kubelet, one small step. True: something changed.
  bool cluster_step(FakeApiServer& server);
  // What SHOW CONFIG of a pod has as its marker, and the certificate that new sessions are shown.
  [[nodiscard]] std::string loaded(const std::string& pod_uid) const;
  [[nodiscard]] std::string certificate(const std::string& pod_uid) const;
  // RELOAD of a pod: it loads what its file names. With `refused_text` in one of its certificates
  // the marker is the new one and the certificate stays; in another file no marker is loaded.
  void reload(const FakeApiServer& server, const std::string& pod_name, const std::string& pod_uid);
  std::string refused_text;
  int max_connections = 60;
  bool database_up = true;
  std::string wrong_password;  // that the database refuses
  int wrong_tries = 0;         // with it, where one more may be punished
  bool lookups_work = true;

 private:
  bool step_one(FakeApiServer& server, const Object& set);
  void load(const FakeApiServer& server, const kube::ObjectKey& files, const std::string& pod_name,
            const std::string& pod_uid);
  std::map<std::string, std::string> loaded_;        // by pod uid
  std::map<std::string, std::string> certificates_;  // by pod uid
};

// Supabase's Management API, as it answers for the project of user_applies_project().
class FakeManagementApi final : public kube::HttpTransport {
 public:
  enum class Mood {
    kWell,
    kUnauthorized,
    kForbidden,
    kNotFound,
    kTooManyRequests,
    kServerError,
    kSilent,
    kNotThere,
    kUntrusted,
    kBroken,
    kTooLong,
    kNoJson,
    kNoPrimary,
    kElsewhere,
  };
  Mood mood = Mood::kWell;
  std::string host = "aws-1-eu-central-1.pooler.supabase.com";
  std::chrono::seconds retry_after{60};  // that kTooManyRequests names
  std::vector<std::string> tokens;       // it was asked with, in their order

  Result<kube::Response, kube::TransportError> send(const kube::Request& request,
                                                    std::stop_token stop) override;
  Result<kube::StreamEnd, kube::TransportError> stream(const kube::Request&, kube::LineSink&,
                                                       std::stop_token) override {
    return failure(kube::TransportError{kube::TransportError::Kind::kProtocol, "no streams"});
  }

 private:
  [[nodiscard]] std::string body() const;
};

class OperatorWorld {
 public:
  OperatorWorld();

  // Applies a PoolerConfig `shop/<name>` and its database Secret.
  void user_applies(int replicas, int max_replicas, const std::string& name = "orders");
  // The same with engine Supabase, the password "pw" and the token "sbp_t0ken".
  void user_applies_project();
  // Another value under a key of a Secret `shop/<name>`.
  void user_sets(const std::string& name, const std::string& key, const std::string& value);
  void user_edits(const std::function<void(Object& spec)>& change);
  // Annotates `shop/orders` with pooler.dev/reconcile: disabled.
  void user_disables();
  // Deletes `shop/orders` and its database Secret; the garbage collector, what that owned.
  void user_deletes();
  // Rounds until nothing is written any more; starts the operator anew after each crash. False: it
  // does not settle.
  bool settle();
  void restart_operator();
  void pass(Duration time) { clock_.advance(time); }
  // Reconciles everything again; how many writes that made.
  int resync();

  FakeApiServer& server() { return server_; }
  WorldTransport& transport() { return transport_; }
  HealthyWorld& world() { return world_; }
  FakeManagementApi& management() { return management_; }

  // Object -> how often it was created and deleted by the operator.
  [[nodiscard]] std::map<std::string, std::pair<int, int>> creates_and_deletes() const;
  // What must not depend on the way: kinds and names, specs without random parts, conditions.
  [[nodiscard]] std::string end_state() const;

 private:
  class FakeLive;
  class FakeProjects;
  void fill_caches();
  bool round();

  ManualClock clock_;
  FakeApiServer server_{clock_};
  WorldTransport transport_{server_};
  HealthyWorld world_;
  FakeManagementApi management_;
  std::unique_ptr<reconcile::Caches> caches_;
  std::optional<std::uint64_t> filled_at_;  // the server's version then
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<FakeLive> live_;
  std::unique_ptr<FakeProjects> projects_;
  std::unique_ptr<reconcile::Reconciler> reconciler_;

 public:
  ~OperatorWorld();
};

}  // namespace pooler::fault
