#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sgpt_mi/blocks/block_types.h"
#include "sgpt_mi/blocks/fit_blocks.h"
#include "sgpt_mi/core/parallel.h"

namespace sgpt_mi::blocks {

/// The bytes of a matrix (rows, columns): codes and scales as BlockParts, block after block.
/// \throws Error(kInternal) shapes that do not fit the type.
[[nodiscard]] std::vector<std::byte> encode_blocks(
    const BlockType& type, const kernels::MatrixView<const std::uint8_t>& codes,
    const BlockScales& scales, const ParallelFor& parallel_for);

/// The values of a matrix in blocks, rows * columns floats, exactly as ggml computes them.
void decode_blocks(const EncodedMatrix& matrix, float* values, const ParallelFor& parallel_for);

}  // namespace sgpt_mi::blocks
