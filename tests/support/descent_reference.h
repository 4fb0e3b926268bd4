#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "sgpt_mi/kernels/descend_block.h"
#include "support/block_levels.h"
#include "support/matrix.h"

namespace sgpt_mi::test {

/// What descend_block is to compute, written down plainly: one row after another, one column after
/// another. T = double is the exact answer, T = float the answer with descend_block's own rounding.
template <typename T>
struct DescentReference {
  Matrix<T> weight;
  Matrix<T> gradient;
  Matrix<T> hessian;
  Matrix<bool> pruned;
  kernels::Support support = kernels::Support::kKept;
  T threshold = 0;
  kernels::NmPattern pattern;
  Matrix<T> scale;  // (rows, groups); no groups: not rounded
  Matrix<T> zero;
  std::vector<std::int32_t> group_of_column;
  std::vector<T> max_code_of_group;
  Matrix<int> codes;
  const BlockLevels* levels = nullptr;  // instead of scale and zero

  void run() {
    for (std::int64_t r = 0; r < weight.rows(); ++r) {
      if (support == kernels::Support::kPattern) {
        for (std::int64_t j = 0; j < weight.columns(); j += pattern.m) descend_group(r, j);
      } else {
        for (std::int64_t j = 0; j < weight.columns(); ++j) descend_column(r, j);
      }
    }
  }

 private:
  T optimum(std::int64_t r, std::int64_t j) const {
    return weight(r, j) - gradient(r, j) / hessian(j, j);
  }

  void add_change(std::int64_t r, std::int64_t j, T change, std::int64_t first, std::int64_t end) {
    for (std::int64_t k = first; k < end; ++k) gradient(r, k) += change * hessian(j, k);
  }

  void descend_column(std::int64_t r, std::int64_t j) {
    T value = optimum(r, j);
    if (support == kernels::Support::kThreshold) {
      pruned(r, j) = !(hessian(j, j) * (value * value) > threshold);
    }
    if (pruned(r, j)) value = 0;
    if (scale.columns() > 0) value = round_to_grid(r, j, value);
    if (levels != nullptr) value = levels->rounded(r, j, static_cast<float>(value));
    add_change(r, j, value - weight(r, j), j + 1, weight.columns());
    weight(r, j) = value;
  }

  void descend_group(std::int64_t r, std::int64_t first) {
    const std::int64_t end = first + pattern.m;
    std::vector<T> start;
    for (std::int64_t j = first; j < end; ++j) start.push_back(weight(r, j));
    descend_kept(r, first);
    for (std::int64_t step = 0; step < pattern.n && exchange(r, first); ++step) {
    }
    descend_kept(r, first);
    for (std::int64_t j = first; j < end; ++j) {
      const T change = weight(r, j) - start[static_cast<std::size_t>(j - first)];
      add_change(r, j, change, end, weight.columns());
    }
  }

  void change_weight(std::int64_t r, std::int64_t first, std::int64_t j, T value) {
    add_change(r, j, value - weight(r, j), first, first + pattern.m);
    weight(r, j) = value;
  }

  void descend_kept(std::int64_t r, std::int64_t first) {
    for (std::int64_t j = first; j < first + pattern.m; ++j) {
      change_weight(r, first, j, pruned(r, j) ? T{0} : optimum(r, j));
    }
  }

  bool exchange(std::int64_t r, std::int64_t first) {
    T least = 0;
    std::int64_t from = -1;
    std::int64_t to = -1;
    for (std::int64_t k = first; k < first + pattern.m; ++k) {
      for (std::int64_t j = first; j < first + pattern.m; ++j) {
        if (pruned(r, k) || !pruned(r, j)) continue;
        const T q = weight(r, k);
        const T removal = T{0.5} * (hessian(k, k) * (q * q));
        const T slope = gradient(r, k) * q;
        const T moved = gradient(r, j) - q * hessian(k, j);
        const T gain = T{0.5} * ((moved * moved) / hessian(j, j));
        const T delta = (removal - slope) - gain;
        const T rounding = static_cast<T>(1e-6F) * ((removal + std::abs(slope)) + gain);
        if (!(delta < -rounding) || delta >= least) continue;
        least = delta;
        from = k;
        to = j;
      }
    }
    if (from < 0) return false;
    change_weight(r, first, from, 0);
    change_weight(r, first, to, optimum(r, to));
    pruned(r, from) = true;
    pruned(r, to) = false;
    return true;
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
