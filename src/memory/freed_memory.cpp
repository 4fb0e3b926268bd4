#include "sgpt_mi/memory/freed_memory.h"

#include <malloc.h>

namespace sgpt_mi::memory {

void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

void give_back_freed_memory() { malloc_trim(0); }

}  // namespace sgpt_mi::memory
