// The published Secret: what it should hold, what it holds, and what is told of it. The same for
// every engine; whether the URLs work is the engine's to find out. Only for the .cpp files of this
// folder.
#pragma once

#include <map>
#include <string>

#include "reconcile/writer.h"
#include "urls/published.h"

namespace pooler::reconcile {

class Publisher {
 public:
  Publisher(Round& round, Writer& writer) : round_(round), writer_(writer) {}

  // The ways in, as they should be published. Needs the round's admin.
  void set(const urls::Published& ways);

  // By this very PoolerConfig.
  [[nodiscard]] bool was_published() const;
  // The Secret has the ways of set() already.
  [[nodiscard]] bool is_current() const;

  // False: nothing can be published now, and the verdict says why.
  [[nodiscard]] bool begin();
  void write();
  // The last URLs stay.
  void keep();
  // Why the URLs of set() are not written yet: CredentialsPending where others are published.
  void wait(std::string message);

 private:
  // With publishPolicy Immediate nothing was verified.
  [[nodiscard]] std::string last_urls() const;

  Round& round_;
  Writer& writer_;
  std::map<std::string, std::string> data_;
  std::string hash_;  // of data_
};

}  // namespace pooler::reconcile
