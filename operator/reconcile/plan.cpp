#include "reconcile/plan.h"

#include "reconcile/pgbouncer_plan.h"
#include "reconcile/supabase_plan.h"

namespace pooler::reconcile {

Plan plan(const Observed& observed) {
  switch (observed.config->spec.engine) {
    case api::Engine::kPgBouncer:
      break;
    case api::Engine::kSupabase:
      return plan_supabase(observed);
  }
  return plan_pgbouncer(observed);
}

}  // namespace pooler::reconcile
