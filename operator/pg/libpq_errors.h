// What libpq says when a connection fails, as an Error. libpq gives no code for it, only text; so
// it is asked for the verbose form, which has the SQLSTATE in it.
#pragma once

#include <string>
#include <string_view>

#include "pg/session.h"

namespace pooler::pg {

// `text`: PQerrorMessage after PQsetErrorVerbosity(PQERRORS_VERBOSE). Sets kind, sqlstate, message.
[[nodiscard]] Error read_connect_error(std::string_view text, std::string_view password);

// The rest of what people may read: one line, at most 300 bytes, valid UTF-8, and withheld where
// the password is in it.
[[nodiscard]] std::string printable(std::string_view text, std::string_view password);

}  // namespace pooler::pg
