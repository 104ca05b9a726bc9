// Everything that one reconcile of one PoolerConfig looks at: values, taken once. observe() fills
// it in from the caches and the LiveState; plan() reads nothing else.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/pooler_config.h"
#include "base/clock.h"
#include "hosted/projects.h"
#include "kube/meta.h"
#include "live/state.h"
#include "reconcile/certificates.h"
#include "reconcile/share.h"

namespace pooler::reconcile {

enum class Ownership {
  kAbsent,
  kOurs,
  kLeaving,  // on its way out: being deleted, or left by an earlier PoolerConfig of this name
  kForeign,  // somebody else's: never touched
};

// An object that has the name of one of ours.
struct Child {
  Ownership ownership = Ownership::kAbsent;
  kube::Meta meta;
  std::string body;  // as stored, without status

  [[nodiscard]] bool ours() const { return ownership == Ownership::kOurs; }
};

struct SecretChild : Child {
  std::map<std::string, std::string> data;
  // Ours now, but written by an earlier PoolerConfig of this name with deletionPolicy Retain: what
  // it holds was never verified by this one.
  bool inherited = false;
};

struct ServiceChild : Child {
  std::string cluster_ip;
};

struct WorkloadChild : Child {
  int replicas = 0;
  std::string update_revision;
  bool revision_known = false;  // the StatefulSet controller has seen this generation
};

// On a pod: changed to have the kubelet bring the Secret's files at once instead of in a minute.
inline constexpr std::string_view kTouchAnnotation = "pooler.dev/config-revision";

struct ObservedPod {
  std::string name;
  std::string uid;
  std::string address;
  int ordinal = 0;
  bool ready = false;
  bool deleting = false;
  bool scheduled = true;
  std::string template_revision;
  std::string touched;  // annotation kTouchAnnotation
  std::string trouble;  // api::reason of why it does not run; empty: none known
  std::string trouble_message;
};

struct Observed {
  std::shared_ptr<const api::PoolerConfig> config;
  std::optional<std::map<std::string, std::string>> database_secret;  // nullopt: there is none
  // Of spec.supabase.managementTokenSecretRef; nullopt: there is none, or none is named.
  std::optional<std::map<std::string, std::string>> token_secret;
  // Of spec.pgbouncer.auth.userSecretRef; nullopt: there is none, or none is named.
  std::optional<std::map<std::string, std::string>> auth_secret;
  SecretsByName certificate_secrets;  // that the spec names, and that there are
  SecretChild admin;
  SecretChild files;
  SecretChild published;
  ServiceChild client;
  ServiceChild peers;
  WorkloadChild workload;
  Child disruption_budget;
  Child network_policy;
  std::vector<ObservedPod> pods;  // of the workload, by ordinal
  live::LiveState live;
  hosted::ProjectState project;
  std::map<std::string, Claim> others;  // of the other PoolerConfigs, by key
  std::string default_image;
  std::string operator_namespace;  // empty: not known
  std::string write_refused;   // what the API server said to the last write of ours that it refused
  std::string reload_refused;  // why a pod could not load the revision that was last tried on it
  int moves_told = 0;          // how many of the database's moves people have been told of
  std::string fresh_random;    // kAdminRandomBytes, for an admin Secret that has to be made
  WallTime now{};
};

}  // namespace pooler::reconcile
