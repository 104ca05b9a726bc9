// The way in of engine PgBouncer, through its Service: where it leads, and whether it was proved.
// Only for the .cpp files of this folder.
#pragma once

#include <string>

#include "reconcile/publish.h"
#include "reconcile/round.h"
#include "urls/connection.h"

namespace pooler::reconcile {

// Requires found.database.
[[nodiscard]] urls::Connection pooled_way(const PgBouncerRound& round);

class PgBouncerWayIn {
 public:
  PgBouncerWayIn(PgBouncerRound& round, Publisher& publisher)
      : round_(round), publisher_(publisher) {}

  // A query through the Service is tried where something depends on it: new URLs to publish, or a
  // pooler that served nobody before (the node's proxies learn of its pods a little later than the
  // API server). Else no connection is made: a steady state costs nothing.
  void try_it();
  void publish();

 private:
  // Each with what it has loaded: a trial counts for these and no others.
  [[nodiscard]] std::string serving_pods() const;
  // Every pod that serves must have the new revision before clients are told of it.
  [[nodiscard]] bool all_loaded() const;
  // Were these very URLs tried, through these very pods? If not, the verdict says what is missing.
  bool verified();

  PgBouncerRound& round_;
  const Observed& see_ = round_.see;
  Findings& found_ = round_.found;
  Publisher& publisher_;
  // Of the way in, as it is now; null: no answer yet.
  const live::VerificationState* trial_ = nullptr;
};

}  // namespace pooler::reconcile
