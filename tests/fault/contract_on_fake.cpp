// The API contract on FakeApiServer.
#include <thread>

#include "base/clock.h"
#include "fault/api_contract.h"
#include "fault/fake_api_server.h"

namespace pooler::fault {
namespace {

class FakeUnderTest final : public ApiUnderTest {
 public:
  FakeUnderTest() {
    TypeRules thing;
    thing.api_version = kThing.api_version;
    thing.kind = kThing.kind;
    thing.plural = kThing.plural;
    thing.status_subresource = true;
    thing.generation = true;
    thing.custom_resource = true;
    server_.serve(std::move(thing));
  }
  kube::HttpTransport& transport() override { return server_; }
  std::string ns() const override { return "contract"; }
  std::string terminating_namespace() override {
    server_.terminate_namespace("going");
    return "going";
  }
  void forget_history() override { server_.compact(); }
  void settle() override { std::this_thread::yield(); }

 private:
  SystemClock clock_;
  FakeApiServer server_{clock_};
};

}  // namespace

ApiUnderTest& api_under_test() {
  static FakeUnderTest fake;
  return fake;
}

}  // namespace pooler::fault
