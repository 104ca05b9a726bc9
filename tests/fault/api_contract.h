// The API contract: what the operator relies on, as tests that run on FakeApiServer and on a real
// kube-apiserver. Each executable gives the server.
#pragma once

#include <string>

#include "kube/transport.h"

namespace pooler::fault {

class ApiUnderTest {
 public:
  virtual ~ApiUnderTest() = default;
  virtual kube::HttpTransport& transport() = 0;
  [[nodiscard]] virtual std::string ns() const = 0;  // empty of our objects, Pods can be made in it
  // A namespace that is being deleted and stays so until the end of the test.
  virtual std::string terminating_namespace() = 0;
  // Lets what is about to happen in other controllers happen (garbage collection).
  virtual void settle() = 0;
};

ApiUnderTest& api_under_test();

}  // namespace pooler::fault
