#include "reconcile/kinds.h"

#include <utility>

#include "kube/kinds.h"

namespace pooler::reconcile {

Result<PoolerConfigObject, std::string> PoolerConfigObject::decode(std::string_view json) {
  auto meta = kube::decode_meta(json);
  if (!meta) return failure(meta.error());
  auto config = api::decode(json);
  if (!config) return failure(config.error());
  return PoolerConfigObject{std::move(meta).value(),
                            std::make_shared<const api::PoolerConfig>(std::move(config).value())};
}

}  // namespace pooler::reconcile
