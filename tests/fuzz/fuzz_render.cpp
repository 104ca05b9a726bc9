// Any database and any parameters that the checks let pass: PgBouncer reads from the files exactly
// what is meant, not a line and not a section more.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/pgbouncer/auth_query.h"
#include "engine/pgbouncer/parameters.h"
#include "fuzz/must.h"
#include "unit/engine/rendered.h"

namespace pooler::fuzz {
namespace {

namespace pgbouncer = engine::pgbouncer;

urls::Connection connection_from(FuzzedDataProvider& provider) {
  urls::Connection connection;
  const int hosts = provider.ConsumeIntegralInRange(0, 3);
  for (int i = 0; i < hosts; ++i) {
    connection.hosts.push_back(
        {provider.ConsumeRandomLengthString(64), provider.ConsumeIntegralInRange(-1, 65537)});
  }
  // Most runs should get past the hosts.
  if (provider.ConsumeBool()) connection.hosts = {{"db.example.com", 5432}};
  connection.user = provider.ConsumeRandomLengthString(80);
  connection.database = provider.ConsumeRandomLengthString(80);
  if (provider.ConsumeBool()) {
    connection.parameters.emplace_back("sslmode", provider.ConsumeRandomLengthString(16));
  }
  if (provider.ConsumeBool()) {
    connection.parameters.emplace_back("load_balance_hosts",
                                       provider.ConsumeBool() ? "random" : "x");
  }
  if (provider.ConsumeBool()) {
    connection.certificates.authorities = provider.ConsumeRandomLengthString(40);
    connection.certificates.chain = provider.ConsumeRandomLengthString(40);
    connection.certificates.key = provider.ConsumeRandomLengthString(40);
  }
  connection.password = provider.ConsumeRemainingBytesAsString();
  return connection;
}

bool is_hash(const std::string& hash) {
  return hash.size() == 16 && hash.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// What a person, or another version of the operator, may have left in the Secret.
void check_any_file(std::string_view text) {
  const std::string marker = pgbouncer::marker_of_pod_file(text);
  const std::string rejected = pgbouncer::rejected_of(marker);
  must(marker.empty() || is_hash(pgbouncer::revision_of(marker)),
       "a revision's hash has 16 digits");
  must(rejected.empty() || is_hash(rejected), "... and so has one that was taken back");
  if (!marker.empty()) {
    const std::string id(text.substr(text.find("peer_id = ") + 10));
    must(pgbouncer::pod_file(std::atoi(id.c_str()) - 1, marker) == text,
         "a pod file is ours whole");
  }
  const auto floor = pgbouncer::floor_of(text);
  must(!floor || *floor > 0, "a floor is positive");
  const std::string name(text);
  const auto found = pgbouncer::revisions_in({{name, ""}, {name + ".", ""}, {"rev-", ""}});
  must(found.size() <= 1, "a revision is told once");
  must(found.empty() || (is_hash(found[0]) && name.starts_with("rev-" + found[0])),
       "a revision has the hash of its name");
}

// Those that are taken of some: known names and any, numbers and any text.
api::Texts parameters_from(FuzzedDataProvider& provider) {
  api::Texts parameters;
  const auto table = pgbouncer::all_settings();
  for (int i = provider.ConsumeIntegralInRange(0, 4); i > 0; --i) {
    const std::size_t which = provider.ConsumeIntegralInRange<std::size_t>(0, table.size());
    const std::string name = which < table.size() ? std::string(table[which].name)
                                                  : provider.ConsumeRandomLengthString(70);
    const std::string value = provider.ConsumeBool()
                                  ? std::to_string(provider.ConsumeIntegral<std::int16_t>())
                                  : provider.ConsumeRandomLengthString(1100);
    if (pgbouncer::check_parameters({{name, value}}).empty()) parameters[name] = value;
  }
  must(pgbouncer::check_parameters(parameters).empty(), "each is judged by itself");
  return parameters;
}

// In every other run: who looks the users up, and how.
pgbouncer::AuthUser take_lookups(FuzzedDataProvider& provider, api::PoolerConfig& config) {
  api::PoolerAuth& auth = config.spec.pgbouncer.auth;
  if (provider.ConsumeBool()) return {};
  auth.mode = api::PoolerAuth::Mode::kQuery;
  auth.query = provider.ConsumeRandomLengthString(200);
  if (!pgbouncer::check_auth_query(config).empty()) auth.query.clear();
  const std::string question =
      pgbouncer::auth_question(config, provider.ConsumeRandomLengthString(20));
  must(question.starts_with("SELECT "), "a question is asked");
  pgbouncer::AuthUser user{provider.ConsumeRandomLengthString(80),
                           provider.ConsumeRandomLengthString(80)};
  if (pgbouncer::check(user).empty()) return user;
  return {"lookup", "l00k"};
}

void check_read_again(const pgbouncer::Revision& revision, int floor, int ordinal) {
  must(pgbouncer::revisions_in(revision.files) == std::vector{revision.hash}, "one revision");
  must(
      pgbouncer::floor_of(revision.files.at(pgbouncer::settings_file_name(revision.hash))) == floor,
      "the floor reads the same");
  for (const std::string& marker :
       {revision.hash, pgbouncer::back_marker(revision.hash, "0123456789abcdef")}) {
    must(pgbouncer::marker_of_pod_file(pgbouncer::pod_file(ordinal, marker)) == marker,
         "a pod file reads the same");
  }
}

}  // namespace
}  // namespace pooler::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pooler;
  fuzz::check_any_file(std::string_view(reinterpret_cast<const char*>(data), size));
  FuzzedDataProvider provider(data, size);
  api::PoolerConfig config;
  config.name = "orders";
  config.ns = "shop";
  config.spec.scaling.max_replicas = provider.ConsumeIntegralInRange(1, 5);
  config.spec.scaling.clients_per_replica = provider.ConsumeIntegralInRange(1, 100000);
  const auto lookups = fuzz::take_lookups(provider, config);
  const int floor = provider.ConsumeIntegralInRange(engine::pgbouncer::least_floor(config), 1000);
  const urls::Connection connection = fuzz::connection_from(provider);
  config.spec.pgbouncer.parameters = fuzz::parameters_from(provider);
  if (!engine::pgbouncer::check(connection).empty()) return 0;
  const engine::pgbouncer::Inputs inputs{
      connection, {"password", "SCRAM-SHA-256$verifier", "key"}, floor, "", {}, lookups};
  const auto revision = engine::pgbouncer::render(config, inputs);
  const std::string fault = engine::pgbouncer::RenderedFiles(config, inputs, revision).fault();
  fuzz::must(fault.empty(), fault);
  fuzz::check_read_again(revision, floor, config.spec.scaling.max_replicas);
  return 0;
}
