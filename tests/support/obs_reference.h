#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "sgpt_mi/kernels/obs_block.h"
#include "support/block_levels.h"
#include "support/matrix.h"

namespace sgpt_mi::test {

/// What obs_block is to compute, written down plainly: one row after another, one column after
/// another. T = double is the exact answer, T = float the answer with obs_block's own rounding.
template <typename T>
struct ObsReference {
  Matrix<T> weight;
  Matrix<T> factor;
  Matrix<bool> pruned;
  kernels::NmPattern pattern;
  Matrix<T> scale;  // (rows, groups); no groups: not rounded
  Matrix<T> zero;
  std::vector<std::int32_t> group_of_column;
  std::vector<T> max_code_of_group;
  Matrix<int> codes;
  Matrix<T> error;
  std::vector<double> row_loss;
  const BlockLevels* levels = nullptr;  // instead of scale and zero

  void run() {
    for (std::int64_t r = 0; r < weight.rows(); ++r) {
      for (std::int64_t j = 0; j < weight.columns(); ++j) step(r, j);
    }
  }

 private:
  void step(std::int64_t r, std::int64_t j) {
    if (pattern.m > 0 && j % pattern.m == 0) choose_mask(r, j);
    T value = pruned(r, j) ? T{0} : weight(r, j);
    if (scale.columns() > 0) value = round_to_grid(r, j, value);
    if (levels != nullptr) value = levels->rounded(r, j, static_cast<float>(value));
    error(r, j) = (weight(r, j) - value) / factor(j, j);
    row_loss[static_cast<std::size_t>(r)] +=
        0.5 * static_cast<double>(error(r, j)) * static_cast<double>(error(r, j));
    for (std::int64_t k = j + 1; k < weight.columns(); ++k) {
      weight(r, k) -= error(r, j) * factor(j, k);
    }
    weight(r, j) = value;
  }

  T score(std::int64_t r, std::int64_t j) const {
    return (weight(r, j) * weight(r, j)) / (factor(j, j) * factor(j, j));
  }

  void choose_mask(std::int64_t r, std::int64_t first) {
    std::vector<std::int64_t> order;
    for (std::int64_t k = 0; k < pattern.m; ++k) order.push_back(first + k);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t a, std::int64_t b) { return score(r, a) < score(r, b); });
    for (std::int64_t k = 0; k < pattern.m; ++k) {
      pruned(r, order[static_cast<std::size_t>(k)]) = k < pattern.n;
    }
  }

  T round_to_grid(std::int64_t r, std::int64_t j, T value) {
    const std::int32_t group = group_of_column[static_cast<std::size_t>(j)];
    const T s = scale(r, group);
    const T z = zero(r, group);
    const T most = max_code_of_group[static_cast<std::size_t>(group)];
    const T code = std::clamp(std::nearbyint(value / s) + z, T{0}, most);
    codes(r, j) = static_cast<int>(code);
    return s * (code - z);
  }
};

}  // namespace sgpt_mi::test
