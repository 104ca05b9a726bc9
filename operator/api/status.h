// status of a PoolerConfig: only slow facts; what changes every second is a metric.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"

namespace pooler::api {

enum class ConditionStatus { kTrue, kFalse, kUnknown };

struct Condition {
  std::string type;
  ConditionStatus status = ConditionStatus::kUnknown;
  std::string reason;   // CamelCase word
  std::string message;  // for people
  std::int64_t observed_generation = 0;
  std::string last_transition_time;  // RFC 3339; changes only when `status` flips
  bool operator==(const Condition&) const = default;
};

namespace condition {
inline constexpr std::string_view kReady = "Ready";
inline constexpr std::string_view kConfigurationValid = "ConfigurationValid";
inline constexpr std::string_view kDatabaseReachable = "DatabaseReachable";
inline constexpr std::string_view kPoolerAvailable = "PoolerAvailable";
inline constexpr std::string_view kConfigurationLoaded = "ConfigurationLoaded";
inline constexpr std::string_view kSecretPublished = "SecretPublished";
inline constexpr std::string_view kScalingActive = "ScalingActive";
// kstatus: present, and True, only while so.
inline constexpr std::string_view kReconciling = "Reconciling";
inline constexpr std::string_view kStalled = "Stalled";
}  // namespace condition

namespace reason {
// ConfigurationValid
inline constexpr std::string_view kInvalidParameter = "InvalidParameter";
inline constexpr std::string_view kBudgetTooSmall = "BudgetTooSmall";
inline constexpr std::string_view kInvalidPodTemplate = "InvalidPodTemplate";
inline constexpr std::string_view kSecretNotFound = "SecretNotFound";
inline constexpr std::string_view kSecretKeyMissing = "SecretKeyMissing";
inline constexpr std::string_view kSecretInvalid = "SecretInvalid";  // a value that can't be used
inline constexpr std::string_view kPoolerHostUnknown = "PoolerHostUnknown";
inline constexpr std::string_view kAuthQueryFailed = "AuthQueryFailed";
// DatabaseReachable
inline constexpr std::string_view kConnectionRefused = "ConnectionRefused";
inline constexpr std::string_view kAuthenticationFailed = "AuthenticationFailed";
inline constexpr std::string_view kDnsFailure = "DNSFailure";
inline constexpr std::string_view kTlsFailure = "TLSFailure";
inline constexpr std::string_view kTooManyConnections = "TooManyConnections";
inline constexpr std::string_view kReadOnly = "ReadOnly";
inline constexpr std::string_view kDatabaseNotFound = "DatabaseNotFound";
inline constexpr std::string_view kOperatorCannotReachDatabase = "OperatorCannotReachDatabase";
inline constexpr std::string_view kConnected = "Connected";
// PoolerAvailable
inline constexpr std::string_view kProgressing = "Progressing";
inline constexpr std::string_view kCrashLooping = "CrashLooping";
inline constexpr std::string_view kImagePullFailed = "ImagePullFailed";
inline constexpr std::string_view kUnschedulable = "Unschedulable";
inline constexpr std::string_view kScaledToZero = "ScaledToZero";
inline constexpr std::string_view kPaused = "Paused";
inline constexpr std::string_view kNotOwned = "NotOwned";
inline constexpr std::string_view kServing = "Serving";
// ConfigurationLoaded
inline constexpr std::string_view kReloading = "Reloading";
inline constexpr std::string_view kReloadFailed = "ReloadFailed";
inline constexpr std::string_view kOperatorCannotReachPooler = "OperatorCannotReachPooler";
inline constexpr std::string_view kLoaded = "Loaded";
inline constexpr std::string_view kManagementApiUnavailable = "ManagementAPIUnavailable";
inline constexpr std::string_view kManagementApiRefused = "ManagementAPIRefused";
// SecretPublished
inline constexpr std::string_view kUnverified = "Unverified";
inline constexpr std::string_view kVerificationFailed = "VerificationFailed";
inline constexpr std::string_view kCredentialsPending = "CredentialsPending";
inline constexpr std::string_view kPublished = "Published";
// ScalingActive
inline constexpr std::string_view kManual = "Manual";
// anywhere
inline constexpr std::string_view kValid = "Valid";
inline constexpr std::string_view kReady = "Ready";
inline constexpr std::string_view kUnknown = "Unknown";
inline constexpr std::string_view kManagedByProvider = "ManagedByProvider";
}  // namespace reason

struct Status {
  std::int64_t observed_generation = 0;
  std::string engine;
  std::string version;  // of the pooler, as it says itself
  int replicas = 0;     // pods that exist
  int ready_replicas = 0;
  int desired_replicas = 0;
  std::string selector;
  std::string binding_name;  // set only once the Secret is published
  std::string endpoint_pooled;
  std::string endpoint_direct;
  struct Effective {
    std::string image;
    std::optional<int> budget;  // unknown until the server was asked
    std::string budget_source;  // Spec | Server
    int max_replicas = 0;
    bool operator==(const Effective&) const = default;
  } effective;
  struct Pods {
    int serving = 0;
    int draining = 0;
    int unreachable = 0;
    int loaded = 0;
    bool operator==(const Pods&) const = default;
  } pods;
  std::vector<Condition> conditions;

  [[nodiscard]] const Condition* find(std::string_view type) const;
  bool operator==(const Status&) const = default;
};

[[nodiscard]] std::string_view to_string(ConditionStatus status);
// The value of `status` for the API server.
[[nodiscard]] Json encode(const Status& status);

}  // namespace pooler::api
