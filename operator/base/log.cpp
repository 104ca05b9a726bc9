#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

#include "base/clock.h"
#include "base/json.h"

namespace pooler {
namespace {

std::atomic<LogFormat> g_format = LogFormat::kText;

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made = std::make_shared<spdlog::logger>("operator",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

const char* level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

std::string as_json(LogLevel level, std::string_view message,
                    std::initializer_list<LogField> fields) {
  Json line = {{"time", rfc3339_micro(SystemClock().wall())},
               {"level", level_name(level)},
               {"message", std::string(message)}};
  for (const auto& [key, value] : fields) line[std::string(key)] = value;
  return to_bytes(line);
}

std::string as_text(LogLevel level, std::string_view message,
                    std::initializer_list<LogField> fields) {
  std::string line = rfc3339_micro(SystemClock().wall()) + " " + level_name(level) + " ";
  line += message;
  for (const auto& [key, value] : fields) {
    const bool plain = !value.empty() && value.find_first_of(" \"=\n\t") == std::string::npos;
    line += " " + std::string(key) + "=" + (plain ? value : to_bytes(Json(value)));
  }
  return line;
}

}  // namespace

void configure_log(LogLevel level, LogFormat format) {
  g_format = format;
  logger().set_level(spdlog_level(level));
}

void flush_log() { logger().flush(); }

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  if (!logger().should_log(spdlog_level(level))) return;
  logger().log(spdlog_level(level), "{}",
               g_format == LogFormat::kJson ? as_json(level, message, fields)
                                            : as_text(level, message, fields));
}

}  // namespace pooler
