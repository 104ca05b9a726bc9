// The watched form of a PoolerConfig.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "api/pooler_config.h"
#include "base/result.h"
#include "kube/meta.h"

namespace pooler::reconcile {

struct PoolerConfigObject {
  static constexpr kube::ResourceType kType{api::kApiVersion, api::kKind, api::kPlural};
  static Result<PoolerConfigObject, std::string> decode(std::string_view json);

  kube::Meta meta;
  std::shared_ptr<const api::PoolerConfig> config;
};

}  // namespace pooler::reconcile
