// Structured logs: one event, key=value fields, JSON or text. A log line never carries the value of
// a Secret: callers name keys, never values.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace pooler {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

using LogField = std::pair<std::string_view, std::string>;

// Once, first in main. Before it, lines go to stderr as text from kInfo on.
void configure_log(LogLevel level, LogFormat format);
void flush_log();

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});
inline void log_debug(std::string_view m, std::initializer_list<LogField> f = {}) {
  log(LogLevel::kDebug, m, f);
}
inline void log_info(std::string_view m, std::initializer_list<LogField> f = {}) {
  log(LogLevel::kInfo, m, f);
}
inline void log_warning(std::string_view m, std::initializer_list<LogField> f = {}) {
  log(LogLevel::kWarning, m, f);
}
inline void log_error(std::string_view m, std::initializer_list<LogField> f = {}) {
  log(LogLevel::kError, m, f);
}

}  // namespace pooler
