#include "base/memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace pooler {
namespace {

// A segment that can't be written is as its file is: dropped pages come back as they were. (What
// the linker writes and then protects is part of a writable segment.)
int release(dl_phdr_info* object, std::size_t, void*) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
    const std::uintptr_t from = (begin + page - 1) / page * page;
    const std::uintptr_t to = (begin + segment.p_memsz) / page * page;
    if (from >= to) continue;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): addresses are numbers here
    (void)madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void release_heap() { (void)malloc_trim(0); }

void release_code() { dl_iterate_phdr(release, nullptr); }

}  // namespace pooler
