// plan() with engine PgBouncer. Only for the .cpp files of this folder.
#pragma once

#include "reconcile/plan.h"

namespace pooler::reconcile {

[[nodiscard]] Plan plan_pgbouncer(const Observed& observed);

}  // namespace pooler::reconcile
