#include "load/sql.h"

#include <algorithm>

#include "load/report.h"

namespace pooler::load {
namespace {

class Script final : public Connection::Listener {
 public:
  Script(EventLoop& loop, const std::vector<std::string>& statements,
         const std::vector<std::string>& ignored)
      : loop_(loop), statements_(statements), ignored_(ignored) {}

  void on_ready(Connection& connection) override { next(connection); }

  void on_result(Connection& connection, const QueryResult& result) override {
    const bool harmless = !result.error || std::find(ignored_.begin(), ignored_.end(),
                                                     result.error->sqlstate) != ignored_.end();
    if (!harmless) {
      error_ = class_of(*result.error);
      loop_.stop();
      return;
    }
    last_ = result;
    next(connection);
  }

  void on_closed(Connection& /*connection*/, const Closed& closed) override {
    error_ = class_of(closed);
    loop_.stop();
  }

  const std::optional<std::string>& error() const { return error_; }
  const QueryResult& last() const { return last_; }

 private:
  void next(Connection& connection) {
    if (position_ == statements_.size()) {
      loop_.stop();
      return;
    }
    connection.query(statements_[position_++]);
  }

  EventLoop& loop_;
  const std::vector<std::string>& statements_;
  const std::vector<std::string>& ignored_;
  std::size_t position_ = 0;
  QueryResult last_;
  std::optional<std::string> error_;
};

}  // namespace

std::optional<QueryResult> run_sql(const Target& target, const ConnectionSettings& settings,
                                   const std::vector<std::string>& statements, std::string& error,
                                   const std::vector<std::string>& ignored) {
  EventLoop loop;
  bool stopped = false;
  stop_on_signal(loop, [&] {
    stopped = true;
    loop.stop();
  });
  Script script(loop, statements, ignored);
  Connection connection(loop, settings, script);
  connection.open(target.route(0).endpoints);
  loop.run();
  if (!script.error() && !stopped) {
    connection.close();
    return script.last();
  }
  error = stopped ? "stopped by a signal" : *script.error();
  return std::nullopt;
}

}  // namespace pooler::load
