// What becomes of an object: written where the server has it otherwise, left alone where it is not
// ours. Only for the .cpp files of this folder.
#pragma once

#include <string>

#include "base/json_fwd.h"
#include "kube/meta.h"
#include "reconcile/round.h"

namespace pooler::reconcile {

class Writer {
 public:
  explicit Writer(Round& round) : round_(round) {}

  // The operator's own Secret (its login to PgBouncer's consoles, the key of its hashes): made
  // once, made anew where somebody deleted it. Before anything else here: all hashes need it.
  void take_admin();

  // Whether there is none, or ours. What is on its way out, or somebody else's, tells nobody when
  // it is gone: then it is looked at again.
  [[nodiscard]] bool usable(const Child& child);

  // A keyed hash: no oracle for guessing a Secret.
  [[nodiscard]] std::string hash_of(const Json& body) const;
  // Whether the server has something else than `body`.
  [[nodiscard]] bool differs(Json body, const Child& child) const;
  // False: nothing to write.
  bool write(const kube::ResourceType& type, Json body, const Child& child);
  void remove(const kube::ResourceType& type, const Child& child);

 private:
  void add_hash(Json& body) const;

  Round& round_;
};

// "Service shop/orders-pooler exists and belongs to PoolerConfig billing"
[[nodiscard]] std::string whose(const std::string& kind, const kube::Meta& meta);

[[nodiscard]] Notice note(std::string reason, std::string action, std::string text);

}  // namespace pooler::reconcile
