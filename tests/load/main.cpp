#include <CLI/CLI.hpp>
#include <csignal>

#include "load/options.h"

/// pooler-load: thousands of Postgres clients in one process, with books of what was answered and
/// what was lost.
int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app(
      "Load and witness for Postgres connection poolers: many clients in one process, over plain "
      "TCP, "
      "with SCRAM-SHA-256.\n"
      "The result is one JSON object, the last line of stdout; progress goes to stderr.",
      "pooler-load");
  app.footer(
      "The connection string comes from an environment variable (--url-env), never from an "
      "argument.\n"
      "Exit code: 0 ran and ok, 1 ran and not ok, 2 could not run.\n"
      "SIGTERM ends a run early and still prints the result; a second one ends it at once.");
  app.require_subcommand(1);
  int exit_code = pooler::load::kOk;
  pooler::load::add_connect(app, exit_code);
  pooler::load::add_transactions(app, exit_code);
  pooler::load::add_verify(app, exit_code);
  pooler::load::add_cancel(app, exit_code);
  pooler::load::add_reconnect(app, exit_code);
  pooler::load::add_watch_server(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11's own codes are above 100; 0 is --help.
    return app.exit(error) == 0 ? pooler::load::kOk : pooler::load::kCannotRun;
  }
  return exit_code;
}
