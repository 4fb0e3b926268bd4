#pragma once

#include <array>
#include <cstdint>

#include "sgpt_mi/core/dtype.h"

namespace sgpt_mi::packing {

struct CodedMatrix;

/// How the weights of a packed matrix lie: see packed_matrix.h.
enum class PackedLayout : std::uint8_t { kDense = 0, kBitmask = 1, kRanks = 2, kCoded = 3 };

/// Code widths are array indices here: 2 to 8; matrices that are not quantized use index 0.
inline constexpr std::size_t kWidths = 9;

/// What the size of a packed matrix depends on.
struct PackedShape {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  DType dtype = DType::kBF16;  ///< of the dense matrix
  std::int64_t grid_rows = 0;  ///< rows, or 1 when all rows share their grids; 0: not quantized
  std::array<std::int64_t, kWidths> columns_of_width{};  ///< add up to `columns`
  std::array<std::int64_t, kWidths> groups_of_width{};   ///< all 0 when not quantized
  bool labels = false;  ///< groups are not runs of equally many neighbouring columns
  bool prunes = false;  ///< some weights are pruned
  std::array<std::int64_t, kWidths> survivors_of_width{};  ///< weights kept; read when `prunes`
  int prune_n = 0;  ///< exactly so many zeros in every prune_m columns; 0: unstructured
  int prune_m = 0;
  bool symmetric = false;  ///< every zero point is half of its range

  [[nodiscard]] std::int64_t groups() const;
};

/// Bytes of a packed matrix by part.
struct PackedSize {
  std::int64_t record = 0;
  std::int64_t codes = 0;   ///< or values, when not quantized
  std::int64_t tables = 0;  ///< of entropy-coded matrices, with their labels and chunks
  std::int64_t mask = 0;
  std::int64_t scale = 0;  ///< of rows, groups and columns
  std::int64_t zero_point = 0;
  std::int64_t permutation = 0;  ///< labels of the columns and widths of the groups

  [[nodiscard]] std::int64_t total() const {
    return record + codes + tables + mask + scale + zero_point + permutation;
  }
  PackedSize& operator+=(const PackedSize& other);
  bool operator==(const PackedSize&) const = default;
};

/// The layout that pack_matrix takes: the one with fewest bytes of codes and mask, the dense one
/// when equal.
[[nodiscard]] PackedLayout packed_layout(const PackedShape& shape);

/// The bytes that pack_matrix writes for a matrix of this shape, exactly, without the entries of
/// the safetensors header. Cost: about a hundred operations. Not for matrices with levels, whose
/// size follows from their contents.
[[nodiscard]] PackedSize predict_packed_size(const PackedShape& shape);

/// The shape of a matrix without levels: one pass over its mask.
/// \throws Error(kInternal) a matrix with levels.
[[nodiscard]] PackedShape packed_shape(const CodedMatrix& matrix);

/// Columns per group when column j is in group j / this for all j; 0 when labels are needed.
[[nodiscard]] std::int64_t packed_run_length(const CodedMatrix& matrix);

/// ceil(log2 count): bits of a label that takes `count` values; 0 for one value.
[[nodiscard]] int label_bits(std::int64_t count);

/// ceil(log2 C(m, n)): bits of an N:M rank.
[[nodiscard]] int rank_bits(int prune_n, int prune_m);

/// The widest N:M pattern that is stored as ranks; wider ones have a bitmask.
inline constexpr int kMaxRankedColumns = 8;

}  // namespace sgpt_mi::packing
