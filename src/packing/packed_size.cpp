#include "sgpt_mi/packing/packed_size.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "packed_record.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::packing {
namespace {

constexpr std::int64_t kWidthBits = 3;  // of a group's width in NAME.bits

std::int64_t bytes_of_bits(std::int64_t bits) { return (bits + 7) / 8; }

/// Bytes of one bit stream per width; for matrices that are not quantized, of the values.
std::int64_t stream_bytes(const PackedShape& shape,
                          const std::array<std::int64_t, kWidths>& weights_of_width) {
  std::int64_t bytes = weights_of_width[0] * static_cast<std::int64_t>(dtype_size(shape.dtype));
  for (std::size_t width = 1; width < kWidths; ++width) {
    bytes += bytes_of_bits(weights_of_width[width] * static_cast<std::int64_t>(width));
  }
  return bytes;
}

std::int64_t dense_bytes(const PackedShape& shape) {
  std::array<std::int64_t, kWidths> weights{};
  for (std::size_t width = 0; width < kWidths; ++width) {
    weights[width] = shape.columns_of_width[width] * shape.rows;
  }
  return stream_bytes(shape, weights);
}

/// Whether kept places are cheaper as ranks than as bits.
bool has_ranks(const PackedShape& shape) {
  return shape.prune_m > 0 && shape.prune_m <= kMaxRankedColumns;
}

std::int64_t mask_bytes(const PackedShape& shape) {
  const std::int64_t weights = shape.rows * shape.columns;
  if (!has_ranks(shape)) return bytes_of_bits(weights);
  return bytes_of_bits(weights / shape.prune_m * rank_bits(shape.prune_n, shape.prune_m));
}

}  // namespace

std::int64_t PackedShape::groups() const {
  return std::accumulate(groups_of_width.begin(), groups_of_width.end(), std::int64_t{0});
}

PackedSize& PackedSize::operator+=(const PackedSize& other) {
  record += other.record;
  codes += other.codes;
  tables += other.tables;
  mask += other.mask;
  scale += other.scale;
  zero_point += other.zero_point;
  permutation += other.permutation;
  return *this;
}

int label_bits(std::int64_t count) {
  return count <= 1 ? 0 : static_cast<int>(std::bit_width(static_cast<std::uint64_t>(count - 1)));
}

int rank_bits(int prune_n, int prune_m) {
  std::int64_t sets = 1;
  for (int i = 1; i <= prune_n; ++i) sets = sets * (prune_m - prune_n + i) / i;
  return label_bits(sets);
}

PackedLayout packed_layout(const PackedShape& shape) {
  if (!shape.prunes) return PackedLayout::kDense;
  const std::int64_t sparse = mask_bytes(shape) + stream_bytes(shape, shape.survivors_of_width);
  if (dense_bytes(shape) <= sparse) return PackedLayout::kDense;
  return has_ranks(shape) ? PackedLayout::kRanks : PackedLayout::kBitmask;
}

PackedSize predict_packed_size(const PackedShape& shape) {
  PackedSize size;
  size.record = static_cast<std::int64_t>(kRecordBytes);
  const bool dense = packed_layout(shape) == PackedLayout::kDense;
  size.codes = dense ? dense_bytes(shape) : stream_bytes(shape, shape.survivors_of_width);
  size.mask = dense ? 0 : mask_bytes(shape);
  if (shape.grid_rows == 0) return size;
  const std::int64_t groups = shape.groups();
  size.scale = shape.grid_rows * groups * 2;
  for (std::size_t width = 1; width < kWidths; ++width) {
    size.zero_point += bytes_of_bits(shape.grid_rows * shape.groups_of_width[width] *
                                     static_cast<std::int64_t>(width));
    if (shape.groups_of_width[width] != 0 && shape.groups_of_width[width] != groups) {
      size.permutation = bytes_of_bits(groups * kWidthBits);
    }
  }
  if (shape.labels) size.permutation += bytes_of_bits(shape.columns * label_bits(groups));
  return size;
}

std::int64_t packed_run_length(const CodedMatrix& matrix) {
  const auto labels = matrix.group_of_column;
  const std::int64_t groups = matrix.groups();
  const auto next = std::find_if(labels.begin(), labels.end(), [](auto g) { return g != 0; });
  const auto run = static_cast<std::int64_t>(next - labels.begin());
  if (run == 0 || (matrix.columns + run - 1) / run != groups) return 0;
  for (std::int64_t j = 0; j < matrix.columns; ++j) {
    if (labels[static_cast<std::size_t>(j)] != j / run) return 0;
  }
  return run;
}

PackedShape packed_shape(const CodedMatrix& matrix) {
  ensure(matrix.levels.empty(),
         "io: the size of entropy-coded levels does not follow from a shape");
  PackedShape shape;
  shape.rows = matrix.rows;
  shape.columns = matrix.columns;
  shape.dtype = matrix.dtype;
  shape.prunes = !matrix.pruned.empty();
  shape.prune_n = matrix.prune_n;
  shape.prune_m = matrix.prune_m;
  shape.symmetric = matrix.symmetric;
  const bool quantized = !matrix.codes.empty();
  const auto columns = static_cast<std::size_t>(matrix.columns);
  std::vector<std::size_t> width_of_column(columns, 0);
  if (quantized) {
    shape.grid_rows = matrix.grid_rows;
    shape.labels = packed_run_length(matrix) == 0;
    for (const int bits : matrix.bits_of_group) ++shape.groups_of_width[std::size_t(bits)];
    for (std::size_t j = 0; j < columns; ++j) {
      const auto group = static_cast<std::size_t>(matrix.group_of_column[j]);
      width_of_column[j] = static_cast<std::size_t>(matrix.bits_of_group[group]);
    }
  }
  for (const std::size_t width : width_of_column) ++shape.columns_of_width[width];
  if (!shape.prunes) return shape;
  std::vector<std::int64_t> kept_of_column(columns, matrix.rows);
  for (std::size_t start = 0; start < matrix.pruned.size(); start += columns) {
    for (std::size_t j = 0; j < columns; ++j) kept_of_column[j] -= matrix.pruned[start + j];
  }
  for (std::size_t j = 0; j < columns; ++j) {
    shape.survivors_of_width[width_of_column[j]] += kept_of_column[j];
  }
  return shape;
}

}  // namespace sgpt_mi::packing
