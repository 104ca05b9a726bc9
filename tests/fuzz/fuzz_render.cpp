// Any database that check() lets pass: PgBouncer reads from the files exactly what is meant, not a
// line and not a section more.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>

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
  connection.password = provider.ConsumeRemainingBytesAsString();
  return connection;
}

void check_any_file(std::string_view text) {
  const std::string hash = pgbouncer::marker_of_pod_file(text);
  must(hash.empty() || hash.size() == 16, "a revision's hash has 16 digits");
  const auto floor = pgbouncer::floor_of(text);
  must(!floor || *floor > 0, "a floor is positive");
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
  const int floor = provider.ConsumeIntegralInRange(1, 1000);
  const urls::Connection connection = fuzz::connection_from(provider);
  if (!engine::pgbouncer::check(connection).empty()) return 0;
  const engine::pgbouncer::Inputs inputs{
      connection, {"password", "SCRAM-SHA-256$verifier", "key"}, floor};
  const auto revision = engine::pgbouncer::render(config, inputs);
  const std::string fault = engine::pgbouncer::RenderedFiles(config, inputs, revision).fault();
  fuzz::must(fault.empty(), fault);
  return 0;
}
