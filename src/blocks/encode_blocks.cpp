#include "sgpt_mi/blocks/encode_blocks.h"

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::blocks {

std::vector<std::byte> encode_blocks(const BlockType& type,
                                     const kernels::MatrixView<const std::uint8_t>& codes,
                                     const BlockScales& scales, const ParallelFor& parallel_for) {
  ensure(type.pack != nullptr && codes.columns % type.block_elements == 0,
         "blocks: columns are not whole blocks");
  const std::int64_t blocks = codes.columns / type.block_elements;
  const std::int64_t groups = codes.columns / type.group;
  ensure(scales.super_scale.rows == codes.rows && scales.super_scale.columns == blocks &&
             scales.sub_scale.rows == codes.rows && scales.sub_scale.columns == groups,
         "blocks: scales have another shape than the codes");
  const std::int64_t row_bytes = blocks * type.block_bytes;
  std::vector<std::byte> bytes(static_cast<std::size_t>(codes.rows * row_bytes));
  parallel_for(codes.rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t block = 0; block < blocks; ++block) {
        const std::int64_t group = block * (type.block_elements / type.group);
        const BlockParts parts{
            codes.row(row) + block * type.block_elements, scales.super_scale.row(row)[block],
            scales.super_minimum.row(row)[block], scales.sub_scale.row(row) + group,
            scales.sub_minimum.row(row) + group};
        type.pack(parts, bytes.data() + row * row_bytes + block * type.block_bytes);
      }
    }
  });
  return bytes;
}

void decode_blocks(const EncodedMatrix& matrix, float* values, const ParallelFor& parallel_for) {
  const BlockType& type = *matrix.type;
  ensure(type.unpack != nullptr &&
             static_cast<std::int64_t>(matrix.bytes.size()) == matrix.rows * matrix.row_bytes(),
         "blocks: the bytes of a matrix have another length than its blocks");
  const std::int64_t blocks = matrix.columns / type.block_elements;
  parallel_for(matrix.rows * blocks, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      type.unpack(matrix.bytes.data() + block * type.block_bytes,
                  values + block * type.block_elements);
    }
  });
}

}  // namespace sgpt_mi::blocks
