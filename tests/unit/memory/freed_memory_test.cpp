#include "sgpt_mi/memory/freed_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

namespace sgpt_mi::memory {
namespace {

std::int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t all = 0;
  std::int64_t resident = 0;
  file >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(FreedMemory, GoesBackToTheSystemFromBetweenBlocksInUse) {
  constexpr std::size_t kBytes = std::size_t{1} << 20;
  constexpr int kBlocks = 768;
  keep_freed_memory();
  std::vector<void*> large;
  std::vector<void*> small;  // behind each, so that the heap's end stays where it is
  for (int i = 0; i < kBlocks; ++i) {
    large.push_back(std::memset(std::malloc(kBytes), 1, kBytes));
    small.push_back(std::malloc(64));
  }
  for (void* block : large) std::free(block);
  const std::int64_t before = resident_bytes();
  give_back_freed_memory();
  EXPECT_LT(resident_bytes(), before - kBlocks / 2 * static_cast<std::int64_t>(kBytes));
  for (void* block : small) std::free(block);
}

}  // namespace
}  // namespace sgpt_mi::memory
