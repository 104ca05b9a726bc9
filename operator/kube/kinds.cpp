#include "kube/kinds.h"

#include <algorithm>
#include <chrono>

#include "base/strings.h"
#include "kube/decode.h"

namespace pooler::kube {
namespace decode {
namespace {

constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

Error owner(ondemand::value& value, OwnerReference& out) {
  return object(value, [&](std::string_view key, ondemand::value& field) {
    if (key == "apiVersion") return read(field, out.api_version);
    if (key == "kind") return read(field, out.kind);
    if (key == "name") return read(field, out.name);
    if (key == "uid") return read(field, out.uid);
    if (key == "controller") return read(field, out.controller);
    return simdjson::SUCCESS;
  });
}

// One entry of managedFields; only who applied the object itself is kept.
Error managed(ondemand::value& value, std::vector<std::string>& appliers) {
  std::string manager;
  std::string operation;
  std::string subresource;
  const Error error = object(value, [&](std::string_view key, ondemand::value& field) {
    if (key == "manager") return read(field, manager);
    if (key == "operation") return read(field, operation);
    if (key == "subresource") return read(field, subresource);
    return simdjson::SUCCESS;
  });
  if (!error && operation == "Apply" && subresource.empty()) appliers.push_back(std::move(manager));
  return error;
}

Error time(ondemand::value& value, std::int64_t& out) {
  std::string text;
  if (Error error = read(value, text)) return error;
  if (const auto seconds = rfc3339_seconds(text)) out = *seconds;
  return simdjson::SUCCESS;
}

}  // namespace

Error meta(ondemand::value& value, Meta& out) {
  return object(value, [&](std::string_view key, ondemand::value& field) -> Error {
    if (key == "name") return read(field, out.name);
    if (key == "namespace") return read(field, out.ns);
    if (key == "uid") return read(field, out.uid);
    if (key == "resourceVersion") return read(field, out.resource_version);
    if (key == "generation") return read(field, out.generation);
    if (key == "labels") return read(field, out.labels);
    if (key == "annotations") {
      const Error error = read(field, out.annotations);
      out.annotations.erase(std::string(kLastApplied));
      return error;
    }
    if (key == "creationTimestamp") return time(field, out.creation_seconds);
    if (key == "deletionTimestamp") {
      out.deleting = !is_null(field);
      return simdjson::SUCCESS;
    }
    if (key == "deletionGracePeriodSeconds" && !is_null(field)) {
      return read(field, out.deletion_grace_seconds.emplace());
    }
    if (key == "ownerReferences") {
      return array(field,
                   [&](ondemand::value& item) { return owner(item, out.owners.emplace_back()); });
    }
    if (key == "managedFields") {
      return array(field, [&](ondemand::value& item) { return managed(item, out.appliers); });
    }
    return simdjson::SUCCESS;
  });
}

std::optional<std::int64_t> rfc3339_seconds(std::string_view text) {
  if (text.size() < 20 || text.back() != 'Z') return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t length) -> std::optional<int> {
    const auto value = parse_integer(text.substr(at, length));
    if (!value) return std::nullopt;
    return static_cast<int>(*value);
  };
  static constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:dd";
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    if (kForm[i] != 'd' && text[i] != kForm[i]) return std::nullopt;
  }
  const auto year = number(0, 4), month = number(5, 2), day = number(8, 2);
  const auto hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((static_cast<std::int64_t>(days) * 24 + *hour) * 60 + *minute) * 60 + *second;
}

}  // namespace decode

namespace {

using decode::array;
using decode::Document;
using decode::Error;
using decode::object;
using decode::read;
using simdjson::SUCCESS;
using Value = decode::ondemand::value;

// Reads metadata, and gives every other field to f.
template <class K, class F>
Decoded<K> decode_object(std::string_view json, F&& f) {
  K out;
  Document document(json);
  const auto done = document.fields([&](std::string_view key, Value& value) -> Error {
    if (key == "metadata") return decode::meta(value, out.meta);
    return f(out, key, value);
  });
  if (!done) return failure(done.error());
  if (out.meta.name.empty()) return failure(std::string("no metadata.name"));
  return out;
}

template <class K>
Decoded<K> with_body(Decoded<K> decoded, std::string_view json) {
  if (!decoded) return decoded;
  auto body = decode_body(json, K::kType);
  if (!body) return failure(body.error());
  decoded->body = std::move(body).value();
  return decoded;
}

void append_field(std::string& out, std::string_view quoted_key, std::string_view value) {
  if (out.back() != '{') out += ',';
  out += quoted_key;
  out += ':';
  out += value;
}

// Keys of the API's own structures need no escapes; one that does is left out.
bool plain(std::string_view key) {
  return std::none_of(key.begin(), key.end(), [](char c) {
    return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
  });
}

std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

Error metadata_without_managed_fields(Value& value, std::string& out) {
  out = "{";
  const Error error = object(value, [&](std::string_view key, Value& field) -> Error {
    if (key == "managedFields" || !plain(key)) return SUCCESS;
    std::string_view text;
    if (Error failed = decode::raw(field, text)) return failed;
    append_field(out, quoted(key), text);
    return SUCCESS;
  });
  out += '}';
  return error;
}

Error decode_data(Value& value, std::map<std::string, std::string>& out) {
  return object(value, [&](std::string_view key, Value& field) -> Error {
    std::string text;
    if (Error error = read(field, text)) return error;
    auto bytes = base64_decode(text);
    if (!bytes) return simdjson::STRING_ERROR;
    out[std::string(key)] = std::move(*bytes);
    return SUCCESS;
  });
}

Error decode_state(Value& value, ContainerStatus& out, bool last) {
  return object(value, [&](std::string_view state, Value& details) -> Error {
    if (state == "running") {
      if (!last) out.running = !decode::is_null(details);
      return SUCCESS;
    }
    const bool waiting = state == "waiting" && !last;
    // The last state counts only where the present one is not itself "terminated".
    const bool terminated = state == "terminated" && (!last || out.terminated_reason.empty());
    if (!waiting && !terminated) return SUCCESS;
    return object(details, [&](std::string_view key, Value& field) -> Error {
      if (key == "reason") return read(field, waiting ? out.waiting_reason : out.terminated_reason);
      if (key == "message" && waiting) return read(field, out.waiting_message);
      if (key == "exitCode" && terminated) return read(field, out.terminated_exit_code);
      return SUCCESS;
    });
  });
}

Error decode_container_status(Value& value, ContainerStatus& out) {
  ContainerStatus last;
  const Error error = object(value, [&](std::string_view key, Value& field) -> Error {
    if (key == "name") return read(field, out.name);
    if (key == "ready") return read(field, out.ready);
    if (key == "started") return read(field, out.started);
    if (key == "restartCount") return read(field, out.restart_count);
    if (key == "imageID") return read(field, out.image_id);
    if (key == "state") return decode_state(field, out, false);
    if (key == "lastState") return decode_state(field, last, true);
    return SUCCESS;
  });
  if (out.terminated_reason.empty()) {
    out.terminated_reason = last.terminated_reason;
    out.terminated_exit_code = last.terminated_exit_code;
  }
  return error;
}

ContainerStatus& named(std::vector<ContainerStatus>& containers, const std::string& name) {
  for (auto& container : containers) {
    if (container.name == name) return container;
  }
  containers.emplace_back().name = name;
  return containers.back();
}

Error decode_pod_spec(Value& value, Pod& pod) {
  return object(value, [&](std::string_view key, Value& field) -> Error {
    if (key == "nodeName") return read(field, pod.node);
    if (key != "containers") return SUCCESS;
    return array(field, [&](Value& item) -> Error {
      std::string name;
      std::string image;
      const Error error = object(item, [&](std::string_view part, Value& text) -> Error {
        if (part == "name") return read(text, name);
        if (part == "image") return read(text, image);
        return SUCCESS;
      });
      if (!error) named(pod.containers, name).image = std::move(image);
      return error;
    });
  });
}

Error decode_pod_condition(Value& value, Pod& pod) {
  std::string type, status, reason, message;
  const Error error = object(value, [&](std::string_view key, Value& field) -> Error {
    if (key == "type") return read(field, type);
    if (key == "status") return read(field, status);
    if (key == "reason") return read(field, reason);
    if (key == "message") return read(field, message);
    return SUCCESS;
  });
  if (type == "Ready") pod.ready = status == "True";
  if (type == "PodScheduled" && status == "False") {
    pod.scheduled = false;
    pod.unscheduled_reason = reason;
    pod.unscheduled_message = message;
  }
  return error;
}

Error decode_pod_status(Value& value, Pod& pod) {
  return object(value, [&](std::string_view key, Value& field) -> Error {
    if (key == "phase") return read(field, pod.phase);
    if (key == "podIP") return read(field, pod.ip);
    if (key == "reason") return read(field, pod.reason);
    if (key == "message") return read(field, pod.message);
    if (key == "conditions") {
      return array(field, [&](Value& item) { return decode_pod_condition(item, pod); });
    }
    if (key == "containerStatuses") {
      return array(field, [&](Value& item) -> Error {
        ContainerStatus status;
        const Error error = decode_container_status(item, status);
        ContainerStatus& slot = named(pod.containers, status.name);
        status.image = slot.image;
        slot = std::move(status);
        return error;
      });
    }
    return SUCCESS;
  });
}

Error decode_stateful_set_status(Value& value, StatefulSet& out) {
  return object(value, [&](std::string_view key, Value& field) -> Error {
    if (key == "replicas") return read(field, out.status_replicas);
    if (key == "readyReplicas") return read(field, out.ready_replicas);
    if (key == "currentRevision") return read(field, out.current_revision);
    if (key == "updateRevision") return read(field, out.update_revision);
    if (key == "observedGeneration") return read(field, out.observed_generation);
    return SUCCESS;
  });
}

}  // namespace

Decoded<Secret> Secret::decode(std::string_view json) {
  return with_body(decode_object<Secret>(json,
                                         [](Secret& out, std::string_view key, Value& value) {
                                           if (key == "type") return read(value, out.type);
                                           if (key == "immutable")
                                             return read(value, out.immutable);
                                           if (key == "data") return decode_data(value, out.data);
                                           return SUCCESS;
                                         }),
                   json);
}

Decoded<Service> Service::decode(std::string_view json) {
  const auto spec = [](Service& out, Value& value) {
    return object(value, [&](std::string_view key, Value& field) -> Error {
      if (key != "clusterIPs") return SUCCESS;
      return array(field, [&](Value& item) { return read(item, out.cluster_ips.emplace_back()); });
    });
  };
  return with_body(decode_object<Service>(json,
                                          [&](Service& out, std::string_view key, Value& value) {
                                            return key == "spec" ? spec(out, value) : SUCCESS;
                                          }),
                   json);
}

Decoded<StatefulSet> StatefulSet::decode(std::string_view json) {
  const auto field = [](StatefulSet& out, std::string_view key, Value& value) -> Error {
    if (key == "status") return decode_stateful_set_status(value, out);
    if (key != "spec") return SUCCESS;
    return object(value, [&](std::string_view name, Value& item) {
      return name == "replicas" ? read(item, out.replicas) : SUCCESS;
    });
  };
  return with_body(decode_object<StatefulSet>(json, field), json);
}

Decoded<PodDisruptionBudget> PodDisruptionBudget::decode(std::string_view json) {
  const auto nothing = [](PodDisruptionBudget&, std::string_view, Value&) { return SUCCESS; };
  return with_body(decode_object<PodDisruptionBudget>(json, nothing), json);
}

Decoded<NetworkPolicy> NetworkPolicy::decode(std::string_view json) {
  const auto nothing = [](NetworkPolicy&, std::string_view, Value&) { return SUCCESS; };
  return with_body(decode_object<NetworkPolicy>(json, nothing), json);
}

Decoded<Pod> Pod::decode(std::string_view json) {
  return decode_object<Pod>(json, [](Pod& out, std::string_view key, Value& value) -> Error {
    if (key == "spec") return decode_pod_spec(value, out);
    if (key == "status") return decode_pod_status(value, out);
    return SUCCESS;
  });
}

const ContainerStatus* Pod::container(std::string_view name) const {
  const auto found = std::find_if(containers.begin(), containers.end(),
                                  [&](const ContainerStatus& c) { return c.name == name; });
  return found == containers.end() ? nullptr : &*found;
}

Decoded<PartialObject> PartialObject::decode(std::string_view json) {
  return decode_object<PartialObject>(
      json, [](PartialObject&, std::string_view, Value&) { return SUCCESS; });
}

Result<Meta, std::string> decode_meta(std::string_view json) {
  auto object = PartialObject::decode(json);
  if (!object) return failure(object.error());
  return std::move(object->meta);
}

Result<std::string, std::string> decode_resource_version(std::string_view json) {
  Meta meta;
  Document document(json);
  const auto done = document.fields([&](std::string_view key, Value& value) -> Error {
    return key == "metadata" ? decode::meta(value, meta) : SUCCESS;
  });
  if (!done) return failure(done.error());
  if (meta.resource_version.empty()) return failure(std::string("no metadata.resourceVersion"));
  return meta.resource_version;
}

Result<std::string, std::string> decode_body(std::string_view json, const ResourceType& type) {
  // Items of a list have neither apiVersion nor kind.
  std::string out =
      "{\"apiVersion\":" + quoted(type.api_version) + ",\"kind\":" + quoted(type.kind);
  Document document(json);
  const auto done = document.fields([&](std::string_view key, Value& value) -> Error {
    if (key == "apiVersion" || key == "kind" || key == "status" || !plain(key)) return SUCCESS;
    if (key == "metadata") {
      std::string metadata;
      const Error error = metadata_without_managed_fields(value, metadata);
      append_field(out, "\"metadata\"", metadata);
      return error;
    }
    std::string_view text;
    if (Error error = decode::raw(value, text)) return error;
    append_field(out, quoted(key), text);
    return SUCCESS;
  });
  if (!done) return failure(done.error());
  out += '}';
  return out;
}

}  // namespace pooler::kube
