#include "kube/transport.h"

namespace pooler::kube {

std::string_view to_string(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET";
    case Method::kPost:
      return "POST";
    case Method::kPut:
      return "PUT";
    case Method::kPatch:
      return "PATCH";
    case Method::kDelete:
      break;
  }
  return "DELETE";
}

std::string_view to_string(TransportError::Kind kind) {
  switch (kind) {
    case TransportError::Kind::kCanceled:
      return "Canceled";
    case TransportError::Kind::kTimeout:
      return "Timeout";
    case TransportError::Kind::kConnect:
      return "Connect";
    case TransportError::Kind::kTls:
      return "Tls";
    case TransportError::Kind::kDisconnected:
      return "Disconnected";
    case TransportError::Kind::kProtocol:
      break;
  }
  return "Protocol";
}

}  // namespace pooler::kube
