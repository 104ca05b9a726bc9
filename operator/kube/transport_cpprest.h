// The transport on cpprestsdk. Only transport_cpprest.cpp includes that library.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/resolver.h"
#include "kube/credentials.h"
#include "kube/transport.h"

namespace pooler::kube {

// Once, first in main, while there is one thread: one I/O thread instead of forty, on which
// connections are read and closed one after the other, and an empty default CA bundle (reading the
// system's costs 35 ms of CPU per connection and is never wanted: only the CA of the given
// configuration is trusted). Further calls do nothing.
void init_transport_threads();

struct CpprestOptions {
  std::chrono::seconds idle_timeout{15};  // of send(), and of stream() where the request has none
  std::string user_agent = "pooler-operator/0";  // "pooler-operator/<version>"
  std::size_t max_body_bytes = std::size_t{256} * 1024 * 1024;
  std::size_t stream_buffer_bytes = std::size_t{1024} * 1024;  // read ahead of the sink
  // For a server that has a name; it outlives the transport. nullptr: one of its own.
  Resolver* resolver = nullptr;
};

// TLS 1.2 or newer; trusts only config's CA; follows no redirect. Files named by `config` (token,
// CA, client certificate) are read again as they are rotated. `clock` outlives the transport. With
// TLS the header Host has no port where the server has a name: the library takes SNI and the name
// that the certificate has to have from there.
[[nodiscard]] std::unique_ptr<HttpTransport> make_cpprest_transport(ClusterConfig config,
                                                                    const Clock& clock,
                                                                    CpprestOptions options = {});

}  // namespace pooler::kube
