#include "descent_tile.h"

#include <algorithm>

#include "arithmetic.h"
#include "sgpt_mi/kernels/simd.h"

// As in row_tile.cpp, the loops over the rows of a tile are free functions on plain arrays.
namespace sgpt_mi::kernels {
namespace {

SGPT_MI_SIMD_CLONES void find_optimum(const float* __restrict weight,
                                      const float* __restrict gradient, float diagonal,
                                      float* __restrict value) {
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    value[r] = descended(weight[r], gradient[r], diagonal);
  }
}

SGPT_MI_SIMD_CLONES void prune_up_to(float threshold, float diagonal, const float* __restrict value,
                                     std::uint8_t* __restrict pruned) {
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    pruned[r] = exceeds(value[r], diagonal, threshold) ? 0 : 1;
  }
}

SGPT_MI_SIMD_CLONES void clear_pruned(const std::uint8_t* __restrict pruned,
                                      float* __restrict value) {
  for (std::int64_t r = 0; r < kTileRows; ++r) value[r] = pruned[r] != 0 ? 0.0F : value[r];
}

SGPT_MI_SIMD_CLONES void subtract(const float* __restrict value, const float* __restrict from,
                                  float* __restrict change) {
  for (std::int64_t r = 0; r < kTileRows; ++r) change[r] = value[r] - from[r];
}

/// gradient[j] += change * hessian[j] for `count` columns: nearly all of a sweep's work.
SGPT_MI_SIMD_CLONES void add_outer(const float* __restrict change, const float* __restrict hessian,
                                   std::int64_t count, float* __restrict gradient) {
  for (std::int64_t j = 0; j < count; ++j) {
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      gradient[j * kTileRows + r] += change[r] * hessian[j];
    }
  }
}

/// The best exchange of every row so far; pair -1: none.
struct BestExchange {
  float delta[kTileRows];
  std::int32_t pair[kTileRows];
};

/// One column of a tile.
struct TileView {
  const float* weight;
  const float* gradient;
  const std::uint8_t* pruned;
};

/// Takes the exchange of column k for column j in the rows where it is better than the best so far.
SGPT_MI_SIMD_CLONES void consider_exchange(TileView k, TileView j, HessianPair hessian,
                                           std::int32_t pair, BestExchange& best) {
  const float* __restrict weight = k.weight;
  const float* __restrict gradient_k = k.gradient;
  const float* __restrict gradient_j = j.gradient;
  const std::uint8_t* __restrict pruned_k = k.pruned;
  const std::uint8_t* __restrict pruned_j = j.pruned;
  float* __restrict least = best.delta;
  std::int32_t* __restrict best_pair = best.pair;
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    const float delta = exchange_delta(weight[r], gradient_k[r], gradient_j[r], hessian);
    const bool allowed = pruned_k[r] < pruned_j[r];
    const bool better = allowed && delta < least[r];
    least[r] = better ? delta : least[r];
    best_pair[r] = better ? pair : best_pair[r];
  }
}

}  // namespace

DescentTile::DescentTile(const DescentBlock& block)
    : block_(block),
      width_(block.weight.columns),
      weight_(at(width_)),
      gradient_(at(width_)),
      pruned_(at(width_)),
      start_(at(block.pattern.m)),
      grid_(block.grid) {}

void DescentTile::run(std::int64_t first_row) {
  load(first_row);
  if (block_.support == Support::kPattern) {
    for (std::int64_t j = 0; j < width_; j += block_.pattern.m) descend_group(j);
  } else {
    for (std::int64_t j = 0; j < width_; ++j) descend_column(j);
  }
  store();
}

void DescentTile::load(std::int64_t first_row) {
  first_row_ = first_row;
  rows_ = std::min(kTileRows, block_.weight.rows - first_row);
  grid_.start(first_row, rows_);
  std::fill(weight_.begin(), weight_.end(), 0.0F);
  std::fill(gradient_.begin(), gradient_.end(), 0.0F);
  std::fill(pruned_.begin(), pruned_.end(), std::uint8_t{0});
  for (std::int64_t r = 0; r < rows_; ++r) {
    const float* weights = block_.weight.row(first_row + r);
    const float* gradients = block_.gradient.row(first_row + r);
    for (std::int64_t j = 0; j < width_; ++j) {
      weight(j)[r] = weights[j];
      gradient(j)[r] = gradients[j];
    }
    if (block_.support == Support::kThreshold) continue;
    const bool* mask = block_.pruned.row(first_row + r);
    for (std::int64_t j = 0; j < width_; ++j) pruned(j)[r] = mask[j] ? 1 : 0;
  }
}

void DescentTile::descend_column(std::int64_t column) {
  const float* hessian = block_.hessian.row(column);
  find_optimum(weight(column), gradient(column), hessian[column], value_.data());
  if (block_.support == Support::kThreshold) {
    prune_up_to(block_.threshold, hessian[column], value_.data(), pruned(column));
  }
  clear_pruned(pruned(column), value_.data());
  if (grid_.rounds()) {
    grid_.round(column, value_.data());
    grid_.store(column, block_.codes);
  }
  subtract(value_.data(), weight(column), change_.data());
  std::copy(value_.begin(), value_.end(), weight(column));
  const std::int64_t later = width_ - column - 1;
  if (later > 0) add_outer(change_.data(), hessian + column + 1, later, gradient(column + 1));
}

void DescentTile::descend_group(std::int64_t first) {
  const NmPattern pattern = block_.pattern;
  std::copy_n(weight(first), start_.size(), start_.begin());
  descend_kept(first);
  for (std::int64_t step = 0; step < pattern.n && exchange(first); ++step) {
  }
  descend_kept(first);
  const std::int64_t next = first + pattern.m;
  if (next == width_) return;
  for (std::int64_t k = 0; k < pattern.m; ++k) {
    subtract(weight(first + k), &start_[at(k)], change_.data());
    add_outer(change_.data(), block_.hessian.row(first + k) + next, width_ - next, gradient(next));
  }
}

/// One coordinate step in every kept column of a group, whose gradients are all kept current.
void DescentTile::descend_kept(std::int64_t first) {
  for (std::int64_t j = first; j < first + block_.pattern.m; ++j) {
    const float* hessian = block_.hessian.row(j);
    find_optimum(weight(j), gradient(j), hessian[j], value_.data());
    clear_pruned(pruned(j), value_.data());
    subtract(value_.data(), weight(j), change_.data());
    std::copy(value_.begin(), value_.end(), weight(j));
    add_outer(change_.data(), hessian + first, block_.pattern.m, gradient(first));
  }
}

/// Makes the best exchange of a group in every row; false when no row has one.
bool DescentTile::exchange(std::int64_t first) {
  const std::int64_t m = block_.pattern.m;
  BestExchange best;
  std::fill_n(best.delta, kTileRows, 0.0F);
  std::fill_n(best.pair, kTileRows, -1);
  for (std::int64_t k = 0; k < m; ++k) {
    const TileView kept{weight(first + k), gradient(first + k), pruned(first + k)};
    const float* hessian = block_.hessian.row(first + k) + first;
    for (std::int64_t j = 0; j < m; ++j) {
      if (j == k) continue;
      const TileView zero{weight(first + j), gradient(first + j), pruned(first + j)};
      const HessianPair pair{hessian[k], hessian[j], block_.hessian.row(first + j)[first + j]};
      consider_exchange(kept, zero, pair, static_cast<std::int32_t>(k * m + j), best);
    }
  }
  bool any = false;
  for (std::int64_t r = 0; r < rows_; ++r) {
    if (best.pair[r] < 0) continue;
    any = true;
    exchange_row(first, r, best.pair[r]);
  }
  return any;
}

void DescentTile::exchange_row(std::int64_t first, std::int64_t row, std::int64_t pair) {
  const std::int64_t k = first + pair / block_.pattern.m;
  const std::int64_t j = first + pair % block_.pattern.m;
  change_weight(first, k, row, 0.0F);
  change_weight(first, j, row,
                descended(weight(j)[row], gradient(j)[row], block_.hessian.row(j)[j]));
  std::swap(pruned(k)[row], pruned(j)[row]);
}

/// Sets one weight of one row and brings the gradients of its group up to date.
void DescentTile::change_weight(std::int64_t first, std::int64_t column, std::int64_t row,
                                float value) {
  const float change = value - weight(column)[row];
  weight(column)[row] = value;
  const float* hessian = block_.hessian.row(column);
  for (std::int64_t i = first; i < first + block_.pattern.m; ++i) {
    gradient(i)[row] += change * hessian[i];
  }
}

void DescentTile::store() const {
  for (std::int64_t r = 0; r < rows_; ++r) {
    float* weights = block_.weight.row(first_row_ + r);
    const auto lane = static_cast<std::size_t>(r);
    for (std::int64_t j = 0; j < width_; ++j) weights[j] = weight_[at(j) + lane];
    if (block_.support == Support::kKept) continue;
    bool* mask = block_.pruned.row(first_row_ + r);
    for (std::int64_t j = 0; j < width_; ++j) mask[j] = pruned_[at(j) + lane] != 0;
  }
}

}  // namespace sgpt_mi::kernels
