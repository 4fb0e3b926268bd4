#include "sgpt_mi/memory/freed_memory.h"

#include <malloc.h>

#include <cstddef>

namespace sgpt_mi::memory {

namespace {

constexpr int kKeptBytes = 512 << 20;

}  // namespace

void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
}

void give_back_freed_memory() {
  if (mallinfo2().fordblks > static_cast<std::size_t>(kKeptBytes)) malloc_trim(0);
}

}  // namespace sgpt_mi::memory
