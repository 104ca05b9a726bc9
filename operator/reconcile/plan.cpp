#include "reconcile/plan.h"

#include "reconcile/pgbouncer_plan.h"

namespace pooler::reconcile {

Plan plan(const Observed& observed) { return plan_pgbouncer(observed); }

}  // namespace pooler::reconcile
