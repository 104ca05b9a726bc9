// A text under a path, for a library that reads secrets from files only. It is in memory, nowhere
// else, and only this process's user may read it.
#pragma once

#include <string>
#include <string_view>

namespace pooler::pg {

inline constexpr std::string_view kMemoryFiles = "/proc/self/fd/";

class MemoryFile {
 public:
  explicit MemoryFile(std::string_view text);
  ~MemoryFile();
  MemoryFile(MemoryFile&& other) noexcept;
  MemoryFile& operator=(MemoryFile&&) = delete;

  // "/proc/self/fd/7", as long as the object lives; empty where the system had no descriptor or
  // memory for it.
  [[nodiscard]] std::string path() const;

 private:
  int fd_;
};

}  // namespace pooler::pg
