#pragma once

#include <cstdint>
#include <vector>

#include "sgpt_mi/alloc/allocate.h"
#include "sgpt_mi/formats/grid_limits.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/planning/measurements.h"

namespace sgpt_mi::planning {

/// What one linear gets.
struct LinearChoice {
  double sparsity = 0.0;                     ///< zeros / weights, exactly; also of an N:M pattern
  std::vector<int> unit_bits;                ///< one a unit; empty: no codes
  std::vector<std::int32_t> unit_of_column;  ///< N labels; empty: one unit
  std::int64_t grid_columns = 0;  ///< columns that share a grid, as widths::grid_labels() has them;
                                  ///< 0: those of a unit, or obs::CompressOptions::groupsize
  const blocks::BlockType* block_type = nullptr;  ///< instead of units; nullptr: integer grids
  std::vector<double> row_weight = {};            ///< obs::CompressOptions::row_weight (rows)
  LevelCurve levels = {};  ///< of levels for an entropy coder, instead of units: what they take
  double damage = 0.0;     ///< predicted, as Measurements has it
  std::vector<double> damage_weight = {};  ///< f (rows), see damage_unit()
};

/// Choices in the order of Measurements::linears.
using Choices = std::vector<LinearChoice>;

/// Weights that a share of the linear's weights means, rounded down.
[[nodiscard]] std::int64_t zeros_of(const LinearCurves& linear, double sparsity);

[[nodiscard]] std::int64_t all_weights(const Measurements& measurements);

/// Columns of every unit.
[[nodiscard]] std::vector<std::int64_t> columns_of_units(const LinearCurves& linear);

/// Bits of one linear in a file of the format with these grids: exact for a linear that is one
/// unit, if no kept weight's code means 0.
[[nodiscard]] std::int64_t stored_bits_of(const LinearCurves& linear, const LinearChoice& choice,
                                          const obs::CompressOptions& matrix,
                                          const formats::GridLimits& grids = {});

/// Menus for alloc::allocate, one a unit, and what each entry stands for.
template <typename Entry>
struct Menus {
  alloc::CostCurves curves;
  std::vector<std::vector<Entry>> entries;

  void add(const std::vector<alloc::CurvePoint>& points, const std::vector<Entry>& meaning) {
    std::vector<alloc::CurvePoint> kept;
    std::vector<Entry>& of_unit = entries.emplace_back();
    for (const std::size_t index : alloc::undominated(points)) {
      kept.push_back(points[index]);
      of_unit.push_back(meaning[index]);
    }
    curves.add(kept);
  }

  [[nodiscard]] const Entry& chosen(const alloc::Allocation& allocation, std::size_t unit) const {
    return entries[unit][allocation.choice[unit]];
  }
};

}  // namespace sgpt_mi::planning
