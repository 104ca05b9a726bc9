// Small helpers for bytes and text.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pooler {

[[nodiscard]] std::string base64_encode(std::string_view bytes);
// Standard alphabet with padding, as Secrets carry it; nullopt for anything else.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);
[[nodiscard]] std::string hex_encode(std::string_view bytes);

[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);
[[nodiscard]] std::string_view trim(std::string_view text);

// Whole decimal number without sign, blanks or leading garbage; nullopt otherwise.
[[nodiscard]] std::optional<long long> parse_integer(std::string_view text);

// Valid UTF-8, as RFC 3629 has it.
[[nodiscard]] bool is_utf8(std::string_view text);
// Every byte is in one of the sets.
[[nodiscard]] bool consists_of(std::string_view text, std::initializer_list<std::string_view> sets);
// True where a byte below 0x20 or 0x7f is in it.
[[nodiscard]] bool has_control_characters(std::string_view text);

}  // namespace pooler
