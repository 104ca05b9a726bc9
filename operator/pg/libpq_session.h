// Sessions on libpq's asynchronous half. libpq itself would look names up synchronously, so it only
// ever gets numeric addresses.
#pragma once

#include <memory>

#include "base/resolver.h"
#include "pg/session.h"

namespace pooler::pg {

class LibpqSessionFactory final : public SessionFactory {
 public:
  // `resolver` outlives every session.
  explicit LibpqSessionFactory(Resolver& resolver) : resolver_(resolver) {}
  [[nodiscard]] std::unique_ptr<Session> connect(Target target, MonotonicTime now) override;

 private:
  Resolver& resolver_;
};

}  // namespace pooler::pg
