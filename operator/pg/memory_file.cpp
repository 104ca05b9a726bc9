#include "pg/memory_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace pooler::pg {
namespace {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

MemoryFile::MemoryFile(std::string_view text) : fd_(memfd_create("pooler", MFD_CLOEXEC)) {
  if (fd_ < 0) return;
  // libpq refuses a key that others may read.
  if (fchmod(fd_, S_IRUSR | S_IWUSR) == 0 && write_all(fd_, text)) return;
  close(std::exchange(fd_, -1));
}

MemoryFile::~MemoryFile() {
  if (fd_ >= 0) close(fd_);
}

MemoryFile::MemoryFile(MemoryFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

std::string MemoryFile::path() const {
  return fd_ < 0 ? std::string() : std::string(kMemoryFiles) + std::to_string(fd_);
}

}  // namespace pooler::pg
