// The API contract: what the operator relies on, as tests that run on FakeApiServer and on a real
// kube-apiserver. Each executable gives the server.
#pragma once

#include <string>

#include "kube/meta.h"
#include "kube/transport.h"

namespace pooler::fault {

// A custom resource that the server has: a status subresource, free spec, conditions by type.
inline constexpr kube::ResourceType kThing{"contract.example.com/v1", "Thing", "things"};

class ApiUnderTest {
 public:
  virtual ~ApiUnderTest() = default;
  virtual kube::HttpTransport& transport() = 0;
  [[nodiscard]] virtual std::string ns() const = 0;  // empty of our objects, Pods can be made in it
  // A namespace that is being deleted and stays so until the end of the test.
  virtual std::string terminating_namespace() = 0;
  // From now on a watch from version 1 of kThing is too old.
  virtual void forget_history() = 0;
  // Lets what is about to happen in other controllers happen (garbage collection).
  virtual void settle() = 0;
};

ApiUnderTest& api_under_test();

}  // namespace pooler::fault
