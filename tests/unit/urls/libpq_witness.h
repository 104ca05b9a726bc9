// What libpq itself reads in a connection URI: an independent witness of our writer and parser.
#pragma once

#include <libpq-fe.h>

#include <map>
#include <optional>
#include <string>

namespace pooler::urls {

// Keyword -> value for all that the URI says; nullopt where libpq refuses it.
inline std::optional<std::map<std::string, std::string>> libpq_reads(const std::string& uri) {
  char* error = nullptr;
  PQconninfoOption* options = PQconninfoParse(uri.c_str(), &error);
  if (options == nullptr) {
    PQfreemem(error);
    return std::nullopt;
  }
  std::map<std::string, std::string> values;
  for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
    if (option->val != nullptr) values[option->keyword] = option->val;
  }
  PQconninfoFree(options);
  return values;
}

}  // namespace pooler::urls
