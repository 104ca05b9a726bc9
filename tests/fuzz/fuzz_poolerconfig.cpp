// Any bytes as a PoolerConfig from the API server: no crash, and what was read of its status is
// what is written again.
#include <cstddef>
#include <cstdint>

#include "api/pooler_config.h"
#include "base/json.h"
#include "base/strings.h"
#include "fuzz/must.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using pooler::fuzz::must;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = pooler::api::decode(text);
  if (!config.ok()) {
    must(!config.error().empty(), "an error says something");
    return 0;
  }
  must(!config->name.empty(), "an object has a name");
  must(!config->spec.connection_secret.name.empty(), "the Secret has a name");
  const auto problems = pooler::api::validate(*config);
  must(problems.size() >= config->unreadable.size(), "what can't be read is reported");
  for (const auto& problem : problems) {
    must(!problem.reason.empty() && !problem.field.empty() && !problem.message.empty(),
         "a problem has reason, field and message");
  }
  const pooler::Json object = {{"metadata", {{"name", "a"}}},
                               {"status", pooler::api::encode(config->status)}};
  const auto again = pooler::api::decode(pooler::to_bytes(object));
  must(again.ok() && again->status == config->status, "status reads the same");
  return 0;
}
