#pragma once

#include <cstdint>
#include <vector>

namespace sgpt_mi::cpu_kernels {

/// Keys that a score panel holds, and elements of a head that a value panel holds.
constexpr std::int64_t kAttentionPanel = 16;

/// Consecutive queries of one head against their keys. Keys and values come in panels, the last
/// ones filled with zeros; panels start on a cache line, or loads are slower.
struct AttentionTile {
  const float* queries = nullptr;  ///< (D, rows of the kernel), times scale * log2(e)
  const float* keys = nullptr;     ///< (key panels, D, kAttentionPanel)
  const float* values = nullptr;   ///< (value panels, padded tokens, kAttentionPanel)
  float* scores = nullptr;         ///< (key panels, rows of the kernel, kAttentionPanel) scratch
  float* output = nullptr;         ///< (rows of the kernel, padded D)
  std::int64_t head_dim = 0;       ///< D
  std::int64_t padded_dim = 0;
  std::int64_t padded_tokens = 0;
  std::int64_t first_query = 0;
  std::int64_t tokens = 0;  ///< T; queries beyond the last token repeat the last one's mask
  std::int64_t window = 0;  ///< T or less
};

/// attend_tile for one instruction set.
struct AttentionKernel {
  std::int64_t rows = 0;  ///< queries of a tile
  void (*attend)(const AttentionTile& tile) = nullptr;
};

/// The kernels that this machine can run, the fastest first; never empty.
[[nodiscard]] std::vector<AttentionKernel> attention_kernels();

}  // namespace sgpt_mi::cpu_kernels
