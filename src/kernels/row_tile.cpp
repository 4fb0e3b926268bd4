#include "row_tile.h"

#include <algorithm>

#include "arithmetic.h"
#include "sgpt_mi/kernels/simd.h"

// The loops over the rows of a tile are free functions on plain arrays: that is what the compiler
// vectorises and what function multiversioning accepts.
namespace sgpt_mi::kernels {
namespace {

SGPT_MI_SIMD_CLONES void keep_unpruned(const float* __restrict weight,
                                       const std::uint8_t* __restrict pruned,
                                       float* __restrict value) {
  for (std::int64_t r = 0; r < kTileRows; ++r) value[r] = pruned[r] != 0 ? 0.0F : weight[r];
}

SGPT_MI_SIMD_CLONES void divide_errors(const float* __restrict weight,
                                       const float* __restrict value, float diagonal,
                                       float* __restrict error, double* __restrict loss) {
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    error[r] = (weight[r] - value[r]) / diagonal;
    const double wide = error[r];
    loss[r] += 0.5 * wide * wide;
  }
}

/// weight[j] -= error * factor[j] for `count` columns: nearly all of the column loop's work.
SGPT_MI_SIMD_CLONES void subtract_outer(const float* __restrict error,
                                        const float* __restrict factor, std::int64_t count,
                                        float* __restrict weight) {
  for (std::int64_t j = 0; j < count; ++j) {
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      weight[j * kTileRows + r] -= error[r] * factor[j];
    }
  }
}

/// Prunes column k of the m scored ones in the rows where fewer than n columns have a lower score
/// or, to its left, the same one.
SGPT_MI_SIMD_CLONES void prune_if_among_lowest(const float* __restrict score, std::int64_t k,
                                               NmPattern pattern, std::uint8_t* __restrict pruned) {
  std::int32_t rank[kTileRows] = {};
  const float* own = score + k * kTileRows;
  for (std::int64_t other = 0; other < pattern.m; ++other) {
    const float* theirs = score + other * kTileRows;
    const bool left = other < k;
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      const bool ahead = left ? theirs[r] <= own[r] : theirs[r] < own[r];
      rank[r] += ahead ? 1 : 0;
    }
  }
  for (std::int64_t r = 0; r < kTileRows; ++r) pruned[r] = rank[r] < pattern.n ? 1 : 0;
}

}  // namespace

RowTile::RowTile(const ObsBlock& block)
    : block_(block),
      weight_(at(block.weight.columns)),
      error_(at(block.weight.columns)),
      pruned_(at(block.weight.columns)),
      score_(at(block.pattern.m)),
      grid_(block.grid) {}

void RowTile::run(std::int64_t first_row) {
  load(first_row);
  const std::int64_t width = block_.weight.columns;
  for (std::int64_t j = 0; j < width; ++j) {
    if (block_.pattern.m > 0 && j % block_.pattern.m == 0) choose_mask(j);
    keep_unpruned(weight(j), pruned(j), value_.data());
    if (grid_.rounds()) grid_.round(j, value_.data());
    const float* factor_row = block_.factor.row(j);
    divide_errors(weight(j), value_.data(), factor_row[j], error(j), loss_.data());
    if (j + 1 < width) {
      subtract_outer(error(j), factor_row + j + 1, width - j - 1, weight(j + 1));
    }
    std::copy(value_.begin(), value_.end(), weight(j));
    if (grid_.rounds()) grid_.store(j, block_.codes);
  }
  store_rows();
  add_losses();
}

void RowTile::load(std::int64_t first_row) {
  first_row_ = first_row;
  rows_ = std::min(kTileRows, block_.weight.rows - first_row);
  grid_.start(first_row, rows_);
  loss_.fill(0.0);
  std::fill(weight_.begin(), weight_.end(), 0.0F);
  std::fill(pruned_.begin(), pruned_.end(), std::uint8_t{0});
  for (std::int64_t r = 0; r < rows_; ++r) {
    const float* from = block_.weight.row(first_row + r);
    for (std::int64_t j = 0; j < block_.weight.columns; ++j) weight(j)[r] = from[j];
    if (block_.pattern.m > 0) continue;
    const bool* mask = block_.pruned.row(first_row + r);
    for (std::int64_t j = 0; j < block_.weight.columns; ++j) pruned(j)[r] = mask[j] ? 1 : 0;
  }
}

void RowTile::choose_mask(std::int64_t column) {
  const NmPattern pattern = block_.pattern;
  for (std::int64_t k = 0; k < pattern.m; ++k) {
    const float diagonal = block_.factor.row(column + k)[column + k];
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      score_[at(k) + static_cast<std::size_t>(r)] = score_of(weight(column + k)[r], diagonal);
    }
  }
  for (std::int64_t k = 0; k < pattern.m; ++k) {
    prune_if_among_lowest(score_.data(), k, pattern, pruned(column + k));
  }
}

/// Row after row: rows often lie a multiple of 4 KiB apart, and a column's places then share a few
/// cache lines.
void RowTile::store_rows() {
  const std::int64_t width = block_.weight.columns;
  for (std::int64_t r = 0; r < rows_; ++r) {
    float* value_to = block_.weight.row(first_row_ + r);
    float* error_to = block_.error.row(first_row_ + r);
    for (std::int64_t j = 0; j < width; ++j) {
      value_to[j] = weight(j)[r];
      error_to[j] = error(j)[r];
    }
    if (block_.pattern.m == 0) continue;
    bool* mask_to = block_.pruned.row(first_row_ + r);
    for (std::int64_t j = 0; j < width; ++j) mask_to[j] = pruned(j)[r] != 0;
  }
}

void RowTile::add_losses() {
  for (std::int64_t r = 0; r < rows_; ++r) {
    block_.row_loss[first_row_ + r] += loss_[static_cast<std::size_t>(r)];
  }
}

}  // namespace sgpt_mi::kernels
