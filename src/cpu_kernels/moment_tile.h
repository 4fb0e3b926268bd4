#pragma once

#include <cstdint>
#include <vector>

namespace sgpt_mi::cpu_kernels {

/// Columns of a packed panel.
constexpr std::int64_t kMomentColumns = 48;

/// Products of some columns of one packed panel with all those of another, added up over `steps`
/// steps. A step is a token, or with bfloat16 two of them, side by side in the 32 bits of a word. A
/// panel holds kMomentColumns words for each step and starts on a cache line.
struct MomentTile {
  const std::uint32_t* rows = nullptr;     ///< the first of the one panel's columns
  const std::uint32_t* columns = nullptr;  ///< the other panel
  std::int64_t steps = 0;
  float* sums = nullptr;  ///< (rows of the kernel, kMomentColumns), added to
  std::int64_t stride = 0;
};

/// The product loop for one instruction set.
struct MomentKernel {
  std::int64_t rows = 0;  ///< of a tile; divides kMomentColumns
  void (*add)(const MomentTile& tile) = nullptr;
};

/// The kernels for float32 that this machine can run, the fastest first; never empty.
[[nodiscard]] std::vector<MomentKernel> moment_kernels();

/// Those for bfloat16; empty where the machine has none.
[[nodiscard]] std::vector<MomentKernel> bfloat16_moment_kernels();

}  // namespace sgpt_mi::cpu_kernels
