#include "api/pooler_config.h"
#include "api/reader.h"
#include "api/shape.h"
#include "base/json.h"

namespace pooler::api {
namespace {

// An object of which only one field is of interest.
template <class T>
void read_member(Reader reader, std::string_view name, T& out) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == name) value.read(out);
  });
}

void read_keys(Reader reader, SecretKeys& keys) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "uri") value.read(keys.uri);
    if (key == "host") value.read(keys.host);
    if (key == "port") value.read(keys.port);
    if (key == "dbname") value.read(keys.dbname);
    if (key == "user") value.read(keys.user);
    if (key == "password") value.read(keys.password);
  });
}

void read_secret_ref(Reader reader, Database& database) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "name") value.read(database.secret_name);
    if (key == "keys") read_keys(value, database.keys);
  });
}

void read_database_tls(Reader reader, DatabaseTls& tls) {
  using Mode = DatabaseTls::Mode;
  reader.object([&](std::string_view key, Reader value) {
    if (key == "mode") {
      value.read<Mode>(tls.mode, {{"Disable", Mode::kDisable},
                                  {"Prefer", Mode::kPrefer},
                                  {"Require", Mode::kRequire},
                                  {"VerifyCA", Mode::kVerifyCa},
                                  {"VerifyFull", Mode::kVerifyFull}});
    }
    if (key == "caSecretRef") {
      value.object([&](std::string_view part, Reader text) {
        if (part == "name") text.read(tls.ca_secret);
        if (part == "key") text.read(tls.ca_key);
      });
    }
    if (key == "clientCertSecretRef") read_member(value, "name", tls.client_secret);
  });
}

void read_database(Reader reader, Database& database) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "secretRef") read_secret_ref(value, database);
    if (key == "host") value.read(database.host);
    if (key == "port") value.read(database.port);
    if (key == "name") value.read(database.name);
    if (key == "user") value.read(database.user);
    if (key == "tls") read_database_tls(value, database.tls);
  });
}

void read_scaling(Reader reader, Scaling& scaling) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "mode") value.read<ScalingMode>(scaling.mode, {{"Manual", ScalingMode::kManual}});
    if (key == "maxReplicas") value.read(scaling.max_replicas);
    if (key == "clientsPerReplica") value.read(scaling.clients_per_replica);
  });
}

void read_budget(Reader reader, Budget& budget) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "serverConnections") value.read(budget.server_connections);
    if (key == "directReservePercent") value.read(budget.direct_reserve_percent);
  });
}

void read_drain(Reader reader, Drain& drain) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "endpointPropagationSeconds") value.read(drain.endpoint_propagation_seconds);
    if (key == "maxTransactionSeconds") value.read(drain.max_transaction_seconds);
  });
}

void read_texts(Reader reader, Texts& texts) {
  reader.object([&](std::string_view key, Reader value) { value.read(texts[std::string(key)]); });
}

void read_service(Reader reader, Service& service) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "type") {
      value.read<ServiceType>(service.type, {{"ClusterIP", ServiceType::kClusterIp},
                                             {"LoadBalancer", ServiceType::kLoadBalancer}});
    }
    if (key == "port") value.read(service.port);
    if (key == "annotations") read_texts(value, service.annotations);
    if (key == "externalHost") value.read(service.external_host);
  });
}

void read_network_policy(Reader reader, NetworkPolicy& policy) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "enabled") value.read(policy.enabled);
    if (key == "from") policy.from = to_bytes(read_objects(value, kPeerFields));
  });
}

void read_auth_user_ref(Reader reader, PoolerAuth& auth) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "name") value.read(auth.user_secret);
    if (key == "keys") {
      value.object([&](std::string_view part, Reader text) {
        if (part == "user") text.read(auth.user_key);
        if (part == "password") text.read(auth.password_key);
      });
    }
  });
}

void read_auth(Reader reader, PoolerAuth& auth) {
  using Mode = PoolerAuth::Mode;
  reader.object([&](std::string_view key, Reader value) {
    if (key == "mode") {
      value.read<Mode>(auth.mode, {{"User", Mode::kUser}, {"Query", Mode::kQuery}});
    }
    if (key == "userSecretRef") read_auth_user_ref(value, auth);
    if (key == "query") value.read(auth.query);
  });
}

void read_pgbouncer(Reader reader, PgBouncer& pgbouncer) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "image") value.read(pgbouncer.image);
    if (key == "parameters") read_texts(value, pgbouncer.parameters);
    if (key == "auth") read_auth(value, pgbouncer.auth);
    if (key == "paused") value.read(pgbouncer.paused);
  });
}

void read_token_ref(Reader reader, Supabase& supabase) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "name") value.read(supabase.token_secret_name);
    if (key == "key") value.read(supabase.token_secret_key);
  });
}

void read_supabase(Reader reader, std::optional<Supabase>& supabase) {
  reader.object([&](std::string_view key, Reader value) {
    if (!supabase) supabase.emplace();
    if (key == "projectRef") value.read(supabase->project_ref);
    if (key == "poolerHost") value.read(supabase->pooler_host);
    if (key == "direct") {
      value.read<SupabaseDirect>(
          supabase->direct,
          {{"Direct", SupabaseDirect::kDirect}, {"SessionPooler", SupabaseDirect::kSessionPooler}});
    }
    if (key == "managementTokenSecretRef") read_token_ref(value, *supabase);
  });
}

void read_client_tls(Reader reader, ClientTls& tls) {
  using Mode = ClientTls::Mode;
  reader.object([&](std::string_view key, Reader value) {
    if (key == "mode") {
      value.read<Mode>(tls.mode, {{"Disabled", Mode::kDisabled},
                                  {"Optional", Mode::kOptional},
                                  {"Required", Mode::kRequired}});
    }
    if (key == "secretRef") read_member(value, "name", tls.secret);
  });
}

PublishedKey read_published_key(Reader reader) {
  PublishedKey published;
  reader.object([&](std::string_view key, Reader value) {
    if (key == "name") value.read(published.name);
    if (key == "url") {
      value.read<Way>(published.url, {{"Pooled", Way::kPooled}, {"Direct", Way::kDirect}});
    }
    if (key == "format") {
      value.read<Format>(published.format, {{"URI", Format::kUri},
                                            {"JDBC", Format::kJdbc},
                                            {"Npgsql", Format::kNpgsql},
                                            {"Pgpass", Format::kPgpass},
                                            {"Libpq", Format::kLibpq},
                                            {"SQLAlchemyAsyncpg", Format::kSqlAlchemyAsyncpg},
                                            {"Host", Format::kHost},
                                            {"Port", Format::kPort},
                                            {"Username", Format::kUsername},
                                            {"Password", Format::kPassword},
                                            {"Database", Format::kDatabase}});
    }
  });
  return published;
}

void read_policies(std::string_view key, Reader value, ConnectionSecret& secret) {
  if (key == "publishPolicy") {
    value.read<PublishPolicy>(secret.publish_policy, {{"Verified", PublishPolicy::kVerified},
                                                      {"Immediate", PublishPolicy::kImmediate}});
  }
  if (key == "deletionPolicy") {
    value.read<DeletionPolicy>(secret.deletion_policy, {{"Delete", DeletionPolicy::kDelete},
                                                        {"Retain", DeletionPolicy::kRetain}});
  }
  if (key == "preset") {
    value.read<Preset>(secret.preset, {{"Supabase", Preset::kSupabase},
                                       {"Prisma", Preset::kPrisma},
                                       {"Neon", Preset::kNeon},
                                       {"Heroku", Preset::kHeroku},
                                       {"None", Preset::kNone}});
  }
}

void read_connection_secret(Reader reader, ConnectionSecret& secret) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "name") value.read(secret.name);
    read_policies(key, value, secret);
    if (key == "keys") {
      value.list([&](Reader item) { secret.keys.push_back(read_published_key(item)); });
    }
    if (key == "parameters") {
      value.object([&](std::string_view way, Reader texts) {
        if (way == "pooled") read_texts(texts, secret.pooled_parameters);
        if (way == "direct") read_texts(texts, secret.direct_parameters);
      });
    }
    if (key == "labels") read_texts(value, secret.labels);
    if (key == "annotations") read_texts(value, secret.annotations);
  });
}

void read_spec(Reader reader, Spec& spec) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "database") read_database(value, spec.database);
    if (key == "engine") {
      value.read<Engine>(spec.engine,
                         {{"PgBouncer", Engine::kPgBouncer}, {"Supabase", Engine::kSupabase}});
    }
    if (key == "poolMode") {
      value.read<PoolMode>(spec.pool_mode, {{"transaction", PoolMode::kTransaction},
                                            {"session", PoolMode::kSession},
                                            {"statement", PoolMode::kStatement}});
    }
    if (key == "scaling") read_scaling(value, spec.scaling);
    if (key == "replicas") value.read(spec.replicas);
    if (key == "budget") read_budget(value, spec.budget);
    if (key == "connectionSecret") read_connection_secret(value, spec.connection_secret);
    if (key == "pgbouncer") read_pgbouncer(value, spec.pgbouncer);
    if (key == "supabase") read_supabase(value, spec.supabase);
    if (key == "clientTLS") read_client_tls(value, spec.client_tls);
    if (key == "drain") read_drain(value, spec.drain);
    if (key == "service") read_service(value, spec.service);
    if (key == "networkPolicy") read_network_policy(value, spec.network_policy);
    if (key == "podDisruptionBudget") read_member(value, "enabled", spec.pod_disruption_budget);
    if (key == "pod") spec.pod = to_bytes(read_fields(value, kPodFields));
  });
}

Condition read_condition(Reader reader) {
  Condition condition;
  reader.object([&](std::string_view key, Reader value) {
    if (key == "type") value.read(condition.type);
    if (key == "status") {
      value.read<ConditionStatus>(condition.status, {{"True", ConditionStatus::kTrue},
                                                     {"False", ConditionStatus::kFalse},
                                                     {"Unknown", ConditionStatus::kUnknown}});
    }
    if (key == "reason") value.read(condition.reason);
    if (key == "message") value.read(condition.message);
    if (key == "observedGeneration") value.read(condition.observed_generation);
    if (key == "lastTransitionTime") value.read(condition.last_transition_time);
  });
  return condition;
}

void read_effective(Reader reader, Status::Effective& effective) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "image") value.read(effective.image);
    if (key == "budget") value.read(effective.budget);
    if (key == "budgetSource") value.read(effective.budget_source);
    if (key == "maxReplicas") value.read(effective.max_replicas);
  });
}

void read_pods(Reader reader, Status::Pods& pods) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "serving") value.read(pods.serving);
    if (key == "draining") value.read(pods.draining);
    if (key == "unreachable") value.read(pods.unreachable);
    if (key == "loaded") value.read(pods.loaded);
  });
}

void read_status(Reader reader, Status& status) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "observedGeneration") value.read(status.observed_generation);
    if (key == "engine") value.read(status.engine);
    if (key == "version") value.read(status.version);
    if (key == "replicas") value.read(status.replicas);
    if (key == "readyReplicas") value.read(status.ready_replicas);
    if (key == "desiredReplicas") value.read(status.desired_replicas);
    if (key == "selector") value.read(status.selector);
    if (key == "binding") read_member(value, "name", status.binding_name);
    if (key == "endpoints") {
      value.object([&](std::string_view way, Reader endpoint) {
        if (way == "pooled") endpoint.read(status.endpoint_pooled);
        if (way == "direct") endpoint.read(status.endpoint_direct);
      });
    }
    if (key == "effective") read_effective(value, status.effective);
    if (key == "pods") read_pods(value, status.pods);
    if (key == "conditions") {
      value.list([&](Reader item) { status.conditions.push_back(read_condition(item)); });
    }
  });
}

void read_metadata(Reader reader, PoolerConfig& config) {
  reader.object([&](std::string_view key, Reader value) {
    if (key == "name") value.read(config.name);
    if (key == "namespace") value.read(config.ns);
    if (key == "uid") value.read(config.uid);
    if (key == "resourceVersion") value.read(config.resource_version);
    if (key == "generation") value.read(config.generation);
    if (key == "deletionTimestamp") {
      std::string time;
      value.read(time);
      config.deleting = !time.empty();
    }
    if (key == "annotations") {
      std::string reconcile;
      read_member(value, kReconcileAnnotation, reconcile);
      config.reconcile_disabled = reconcile == "disabled";
    }
  });
}

}  // namespace

Result<PoolerConfig, std::string> decode(std::string_view json) {
  thread_local ondemand::parser parser;
  const simdjson::padded_string text(json);
  ondemand::document document;
  ondemand::object root;
  if (parser.iterate(text).get(document) != simdjson::SUCCESS ||
      document.get_object().get(root) != simdjson::SUCCESS) {
    return failure(std::string("not a JSON object"));
  }
  PoolerConfig config;
  std::vector<Reader::Mismatch> broken;
  std::vector<Reader::Mismatch> unreadable;
  std::vector<Reader::Mismatch> ignored;
  Reader::members(root, "", broken, [&](std::string_view key, Reader value) {
    if (key == "metadata") read_metadata(value, config);
    if (key == "spec") read_spec(value.reporting_to(unreadable), config.spec);
    if (key == "status") read_status(value.reporting_to(ignored), config.status);
  });
  if (!broken.empty()) return failure(broken.front().path + ": " + broken.front().message);
  if (config.name.empty()) return failure(std::string("metadata.name: missing"));
  if (config.spec.connection_secret.name.empty()) {
    config.spec.connection_secret.name = config.name + "-pooler";
  }
  for (auto& [path, message] : unreadable) {
    config.unreadable.push_back({std::string(reason::kInvalidParameter), path,
                                 message + ", or this operator is older than the field"});
  }
  return config;
}

}  // namespace pooler::api
