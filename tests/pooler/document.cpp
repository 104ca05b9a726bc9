// The page, from the table.
#include <array>
#include <string_view>

#include "pooler/features.h"

namespace pooler::ring {
namespace {

constexpr std::string_view kIntroduction = R"(# What works through a pooler

A client of the pooler has a server connection to itself for as long as `spec.poolMode` says: until
its transaction ends (`transaction`, the default), until it disconnects (`session`), or until its
statement ends (`statement`). What needs nothing of the connection after that works. What relies on
the same session later finds another one.

**Transactions of several statements work in mode transaction**, although it is often said that they
do not: from `BEGIN` to `COMMIT` the connection is the client's own. Only mode statement refuses
them.

What needs a session goes past the pooler, by the direct URL of the published Secret (`direct-uri`,
which by default is `DATABASE_URL` too): migrations that hold a session lock, `LISTEN`, `pg_dump`.
An application has both URLs and may use both at once. Mode session serves these too, but there each
client holds a server connection for as long as it is connected, which is what a pooler is there to
avoid.

Look most closely at what is **silently wrong**: nobody sees an error, and other clients may be
affected. **Refused** means that the login fails.

Every line is a test (`tests/pooler/features_test.cpp`), run with the files that the operator
renders, PgBouncer 1.24.1 and 1.26.1, and Postgres 17. While the client is between two statements,
another one takes the server connection, so that the next statement goes to another connection
wherever that can happen. Where the two versions differ, the cell has both.
)";

struct Note {
  std::string_view topic;
  std::string_view text;
};

constexpr std::array<Note, 4> kNotes = {{
    {"Prepared statements",
     R"(PgBouncer knows what each client has prepared through the protocol, and prepares it anew on the
server connection that comes next (it keeps `max_prepared_statements`, 200, on each). It does not
read SQL.
)"},
    {"Settings",
     R"(PgBouncer carries along those settings whose changes Postgres reports to clients, as far as its
version knows them. All others belong to the server connection. What `ALTER ROLE … SET` changes
counts for server connections made after it; PgBouncer replaces each after an hour.
)"},
    {"When connecting",
     R"(The operator lets PgBouncer ignore what it does not know in `options`; otherwise it would refuse
such clients.
)"},
    {"Data and control",
     R"(With several replicas a cancel may arrive at one that does not have the query; that one forwards
it. Of two that come within a millisecond of each other and go to the same replica, PgBouncer may let
one wait for the next (it gives up after `cancel_wait_timeout`, 10 s): send it again after a second.
)"},
}};

// The same under both versions, or one line for each.
std::string cell_of_both(const Outcome& on_124, const Outcome& on_126) {
  if (on_124 == on_126) return cell(on_124);
  return "1.24.1: " + cell(on_124) + "<br>1.26.1: " + cell(on_126);
}

// Long words are not said twice in one line.
std::string line(const Feature& feature) {
  const ByMode& on_124 = feature.on_124;
  const ByMode& on_126 = feature.on_126;
  const std::string transaction = cell_of_both(on_124.transaction, on_126.transaction);
  std::string text = "| " + feature.what + " | " + transaction;
  for (const std::string& other : {cell_of_both(on_124.session, on_126.session),
                                   cell_of_both(on_124.statement, on_126.statement)}) {
    text += " | " + (other == transaction && other != cell(Outcome{}) ? "as `transaction`" : other);
  }
  return text + (feature.remedy.empty() ? " | |\n" : " | " + feature.remedy + " |\n");
}

std::string heading(const std::string& topic) {
  std::string text = "\n## " + topic + "\n\n";
  for (const Note& note : kNotes) {
    if (note.topic == topic) text += std::string(note.text) + "\n";
  }
  return text + "| what | transaction | session | statement | instead |\n|---|---|---|---|---|\n";
}

}  // namespace

std::string cell(const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::kWorks:
      return "works";
    case Outcome::Kind::kError:
      return "**error**: `" + outcome.words + "`";
    case Outcome::Kind::kSilentlyWrong:
      return "**silently wrong**: " + outcome.words;
    case Outcome::Kind::kRefused:
      return "**refused**: `" + outcome.words + "`";
  }
  return {};
}

std::string regenerate() {
  return "cmake --build --preset dev --target what_works && build/dev/bin/what_works >" +
         std::string(kPage);
}

std::string document() {
  std::string text = "<!-- Written from the table in tests/pooler/features.cpp. Again, by:\n" +
                     regenerate() + " -->\n" + std::string(kIntroduction);
  std::string topic;
  for (const Feature& feature : features()) {
    if (feature.topic != topic) text += heading(topic = feature.topic);
    text += line(feature);
  }
  return text;
}

}  // namespace pooler::ring
