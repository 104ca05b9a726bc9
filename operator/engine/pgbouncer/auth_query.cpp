#include "engine/pgbouncer/auth_query.h"

#include <utility>

#include "base/strings.h"

namespace pooler::engine::pgbouncer {
namespace {

constexpr std::string_view kQueryField = "spec.pgbouncer.auth.query";

// Every name with its schema, operators too: nothing of it is looked for elsewhere.
constexpr std::string_view kDefaultQuery =
    "SELECT rolname, rolpassword FROM pg_catalog.pg_authid"
    " WHERE rolname OPERATOR(pg_catalog.=) $1::pg_catalog.name"
    " AND rolcanlogin AND NOT rolsuper AND NOT rolreplication"
    " AND (rolvaliduntil IS NULL OR rolvaliduntil OPERATOR(pg_catalog.>) pg_catalog.now())";

constexpr std::string_view kParameter = "$1";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// What an identifier may go on with.
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         (static_cast<unsigned char>(c) & 0x80U) != 0;
}

// Goes over one statement as Postgres' scanner does.
class Statement {
 public:
  explicit Statement(std::string_view text) : text_(text) {
    while (trouble_.empty() && at_ < text_.size()) step();
    if (trouble_.empty() && parameters_.empty()) {
      trouble_ = "must have $1 in it, where the name that a client logs in with goes";
    }
  }

  [[nodiscard]] const std::string& trouble() const { return trouble_; }
  // Where each $1 begins.
  [[nodiscard]] const std::vector<std::size_t>& parameters() const { return parameters_; }

 private:
  [[nodiscard]] bool follows(std::string_view words) const {
    return text_.substr(at_, words.size()) == words;
  }

  void step() {
    const char c = text_[at_];
    if (c == '\'' || c == '"') return skip_quoted(c, false);
    if (c == '$') return take_dollar();
    if (c == ';') {
      trouble_ = "must be one statement, without ';'";
    } else if (follows("--") || follows("/*")) {
      trouble_ = "must not hold a comment: take it out";
    } else if (is_word(c)) {
      skip_word();
    } else {
      ++at_;
    }
  }

  // E'...' is a word and a string that has backslashes.
  void skip_word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    if ((word == "e" || word == "E") && follows("'")) skip_quoted('\'', true);
  }

  // A doubled quote ends one string and begins the next.
  void skip_quoted(char quote, bool backslashes) {
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (backslashes && text_[at_] == '\\') ++at_;
    }
    if (at_ >= text_.size()) {
      trouble_ = "has a quote that is not closed";
      return;
    }
    ++at_;
    // The string goes on behind a doubled quote, backslashes and all.
    if (backslashes && follows("'")) skip_quoted(quote, true);
  }

  void take_dollar() {
    const std::size_t begin = at_++;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    const std::string_view name = text_.substr(begin, at_ - begin);
    if (name.size() == 1) {
      trouble_ = "must not hold a $ but in $1: write strings in single quotes";
    } else if (name != kParameter) {
      trouble_ = "must have no other parameter than $1";
    } else {
      parameters_.push_back(begin);
    }
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::size_t> parameters_;
  std::string trouble_;
};

// Whatever the server's standard_conforming_strings is.
std::string literal(std::string_view text) {
  std::string quoted = "E'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

}  // namespace

std::string auth_query(const api::PoolerConfig& config) {
  const std::string& given = config.spec.pgbouncer.auth.query;
  return given.empty() ? std::string(kDefaultQuery) : given;
}

std::vector<api::Problem> check_auth_query(const api::PoolerConfig& config) {
  const std::string& query = config.spec.pgbouncer.auth.query;
  if (query.empty()) return {};
  std::string trouble;
  if (has_control_characters(query)) {
    trouble = "must not hold a line break or another control character: write it in one line";
  } else if (!is_utf8(query)) {
    trouble = "is not valid UTF-8";
  } else if (query.front() == ' ' || query.back() == ' ') {
    trouble = "must not begin or end with a blank: PgBouncer would cut it off";
  } else {
    trouble = Statement(query).trouble();
  }
  if (trouble.empty()) return {};
  return {
      {std::string(api::reason::kInvalidParameter), std::string(kQueryField), std::move(trouble)}};
}

std::string auth_question(const api::PoolerConfig& config, std::string_view user) {
  const std::string query = auth_query(config);
  const Statement statement(query);
  std::string asked;
  std::size_t done = 0;
  for (const std::size_t at : statement.parameters()) {
    asked += query.substr(done, at - done) + literal(user);
    done = at + kParameter.size();
  }
  asked += query.substr(done);
  // A UNION takes two columns, no more and no fewer.
  return "SELECT pg_catalog.count(*) AS found, pg_catalog.max(CASE"
         " WHEN secret IS NULL THEN 'none'"
         " WHEN secret::pg_catalog.text OPERATOR(pg_catalog.~) '^md5[0-9a-f]{32}$' THEN 'md5'"
         " ELSE 'usable' END) AS secret FROM ((" +
         asked + ") UNION ALL SELECT NULL, NULL WHERE false) AS answer (name, secret)";
}

std::string trouble_with_found_user(const Rows& answer) {
  const bool whole = answer.cells.size() == 1 && answer.cells[0].size() == 2;
  const std::string found = whole ? answer.cells[0][0].value_or("") : "";
  const std::string secret = whole ? answer.cells[0][1].value_or("") : "";
  if (!parse_integer(found)) return "is answered for with something else than a number";
  if (found == "0") {
    return "is not found by it: the default query passes over superusers, replication roles and "
           "roles that may not log in or have expired";
  }
  if (found != "1") return "is not found once by it, but " + found + " times";
  if (secret == "none") return "has no password there";
  if (secret == "md5") {
    return "has an MD5 password there, with which nobody can log in at the pooler: set "
           "password_encryption to scram-sha-256 and give the role its password again";
  }
  return {};
}

}  // namespace pooler::engine::pgbouncer
