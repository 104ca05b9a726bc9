// A project of Supabase: what the Management API is asked about it, where its pooler is, and what
// is told of that. Only for the .cpp files of this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "reconcile/publish.h"
#include "reconcile/round.h"
#include "urls/published.h"

namespace pooler::reconcile {

// With engine Supabase.
struct SupabaseRound : Round {
  using Round::Round;

  std::optional<urls::Connection> login;          // to the database itself
  const hosted::ProjectState* project = nullptr;  // of this very project; null: it is not asked
  std::string host;                               // of its pooler; empty: not known
  std::optional<urls::Published> ways;

  // Requires a valid spec.
  [[nodiscard]] const api::Supabase& supabase() const { return *config.spec.supabase; }
  [[nodiscard]] bool database_asked() const {
    return found.database_state != nullptr &&
           found.database_state->outcome != live::Outcome::kUnknown;
  }
};

class SupabaseProject {
 public:
  SupabaseProject(SupabaseRound& round, const Publisher& publisher)
      : round_(round), publisher_(publisher) {}

  // Both require a valid spec.
  void ask();
  void settle_host();

  // Of the conditions PoolerAvailable and ConfigurationLoaded.
  [[nodiscard]] Verdict availability() const;
  [[nodiscard]] Verdict loading() const;

 private:
  [[nodiscard]] bool failed() const {
    return round_.project != nullptr && round_.project->failure.has_value();
  }
  [[nodiscard]] std::string published_host() const;
  // Nothing is known better than what was told last; what was missing then may be there now.
  [[nodiscard]] Verdict as_before(std::string_view type, std::string otherwise) const;
  // ": pool size 15, at most 200 clients", as far as it is known.
  [[nodiscard]] std::string sizes() const;
  // spec.supabase.poolerHost wins, and may be of yesterday.
  [[nodiscard]] std::string other_host() const;

  SupabaseRound& round_;
  const Publisher& publisher_;
};

}  // namespace pooler::reconcile
