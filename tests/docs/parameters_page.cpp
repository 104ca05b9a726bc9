#include <string>
#include <string_view>

#include "docs/pages.h"
#include "engine/pgbouncer/parameters.h"
#include "engine/pgbouncer/render.h"
#include "engine/pgbouncer/workload.h"

namespace pooler::docs {
namespace {

namespace pgbouncer = engine::pgbouncer;
using pgbouncer::Setting;

constexpr std::string_view kIntroduction = R"(# PgBouncer's settings

`spec.pgbouncer.parameters` holds settings of PgBouncer's section `[pgbouncer]`, always as text:

```yaml
spec:
  pgbouncer:
    parameters:
      max_prepared_statements: "500"
      idle_transaction_timeout: "60"
```

Each setting is checked before any pod sees it: its name, its type, its range, and whether the PgBouncer that runs
has it. What is wrong is refused, by the API server or in the condition `ConfigurationValid` (reason
`InvalidParameter`), with the field and the remedy; the pooler then goes on as it was. The ranges are narrower than
PgBouncer's own, which takes `010` for 8 and `4294967297` for 1 without a word.

A change is loaded by the running pods, [one of them first](../how-to/change-parameters.md); nobody is disconnected.
Those marked **at the start** are read when PgBouncer starts: there the pods are replaced instead, drained, one at a
time.

A setting **from 1.25** or **from 1.26** makes an older PgBouncer refuse its whole file. Where the pods tell that
they are older, it is refused at once. With a new `spec.pgbouncer.image` the version is not known before a pod runs
it: then the first pod fails, and the others stay as they were.

Names and defaults are tested against `SHOW CONFIG` of PgBouncer 1.24.1 and 1.26.1.

)";

constexpr std::string_view kAllowed = R"(## Those that you can set

The default is what is in force where you set nothing. Where the operator has one of its own, PgBouncer's stands in
brackets.

| setting | value | default | what it does |
|---|---|---|---|
)";

constexpr std::string_view kOwned = R"(
## Those that you can't

| setting | why |
|---|---|
)";

// What the operator sets where a user sets nothing.
std::string operators_settings() {
  api::PoolerConfig config;
  config.name = "orders";
  const pgbouncer::Inputs inputs{
      .database = {.hosts = {{"db", 5432}}, .database = "db", .user = "app", .password = "pw"},
      .admin = engine::make_admin(std::string(engine::kAdminRandomBytes, 'r'))};
  const auto revision = pgbouncer::render(config, inputs);
  return revision.files.at(pgbouncer::settings_file_name(revision.hash));
}

std::string value(const Setting& setting) {
  const std::string range =
      std::to_string(setting.lowest) + " to " + std::to_string(setting.highest);
  switch (setting.kind) {
    case Setting::Kind::kFlag:
      return "0 or 1";
    case Setting::Kind::kNumber:
      return range;
    case Setting::Kind::kSeconds:
      return "seconds, " + range;
    case Setting::Kind::kText:
      return "text";
    case Setting::Kind::kNames:
      return "names, with commas";
  }
  return {};
}

std::string initial(const Setting& setting, std::string_view ours) {
  std::string text = code(setting.initial);
  if (setting.initial_in_124) text += "; 1.24: " + code(*setting.initial_in_124);
  const auto own = pgbouncer::setting_of(ours, setting.name);
  if (!own || *own == setting.initial) return text;
  return code(*own) + " (" + text + ")";
}

std::string remarks(const Setting& setting) {
  std::string text;
  if (!setting.since.empty()) text += "**from " + std::string(setting.since) + "**: ";
  if (setting.restart_only) text += "**at the start**: ";
  return text;
}

}  // namespace

std::string parameters_page() {
  const std::string ours = operators_settings();
  std::string allowed(kAllowed);
  std::string owned(kOwned);
  for (const Setting& setting : pgbouncer::all_settings()) {
    const std::string begin = "| `" + std::string(setting.name) + "` | ";
    if (setting.owned.empty()) {
      allowed += begin + value(setting) + " | " + initial(setting, ours) + " | " +
                 remarks(setting) + std::string(setting.what) + " |\n";
    } else {
      owned += begin + std::string(setting.owned) + " |\n";
    }
  }
  return std::string(kIntroduction) + allowed + owned;
}

}  // namespace pooler::docs
