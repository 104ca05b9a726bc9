// plan() with engine Supabase. Only for the .cpp files of this folder.
#pragma once

#include "reconcile/plan.h"

namespace pooler::reconcile {

// After a login that was refused for its password: Supabase bans an address for about as long that
// tries a wrong one twice.
inline constexpr std::chrono::minutes kRefusalPause{30};

[[nodiscard]] Plan plan_supabase(const Observed& observed);

}  // namespace pooler::reconcile
