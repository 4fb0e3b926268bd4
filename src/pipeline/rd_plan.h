#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "measurements.h"
#include "sgpt_mi/pipeline/options.h"

namespace sgpt_mi::pipeline {

/// What one linear gets.
struct LinearChoice {
  double sparsity = 0.0;       ///< zeros / weights, exactly; not read with an N:M pattern
  std::vector<int> unit_bits;  ///< one a unit; empty: no codes
  std::vector<std::int32_t> unit_of_column;  ///< N labels; empty: one unit
  std::int64_t grid_columns = 0;  ///< columns that share a grid, by diag H; 0: those of a unit
};

/// A choice for every linear.
struct RdPlan {
  std::string name;  ///< "uniform", "sparsity", "sparsity and widths" ...
  std::map<std::string, LinearChoice> linears;
  double predicted_damage = 0.0;  ///< sum of the measured damages
};

/// The plans that are worth comparing, the plainest first: all linears alike (where the target
/// allows that), sparsities planned, and widths planned as well, each only where it promises less
/// damage than the plainer ones by more than a prediction can be trusted.
///
/// Sparsities: every linear lies within settings.plan->sparsity_range of the target's sparsity, the
/// zeros of all linears together are floor(sparsity * weights), and of such choices the measured
/// damage is the least on a menu of hundredths (alloc::allocate). Widths: the levels next to the
/// target's, the least measured damage within the budget of code bits, or of stored bits, where
/// grids of groups of columns are also on the menu if they were measured.
///
/// \param stored_bits  what a stored-size target leaves, bits a weight; empty: code bits count.
/// \throws Error(kUsage) a target below what the narrowest widths take.
[[nodiscard]] std::vector<RdPlan> make_plans(const Measurements& measurements,
                                             const CompressionSettings& settings,
                                             std::optional<double> stored_bits);

/// The widths that make_plans() may choose: the levels next to the targets', or all where the
/// target counts what is stored.
[[nodiscard]] std::vector<int> plannable_widths(const PlanOptions& options);

/// Refuses, before anything is measured, a target that the narrowest widths of these linears do not
/// reach, and combinations that cannot be planned. `linears` need no curves.
/// \throws Error(kUsage) naming the nearest possible target.
void require_plannable(const Measurements& linears, const CompressionSettings& settings,
                       std::optional<double> stored_bits);

/// One line of what can be had.
struct PlanPoint {
  double sparsity = 0.0;
  double code_bits = 0.0;    ///< average; 16: no codes
  double stored_bits = 0.0;  ///< a weight, everything in the packed file
  double damage = 0.0;       ///< as predicted, see Measurements
};

/// The targets of a grid (sparsities measured, widths between the levels) that no other target of
/// it beats in both stored bits and predicted damage, by stored bits.
/// Cost: one plan a target; milliseconds.
[[nodiscard]] std::vector<PlanPoint> pareto_targets(const Measurements& measurements,
                                                    const CompressionSettings& settings);

/// Bits of one linear in a packed file with this choice, exactly.
[[nodiscard]] std::int64_t stored_bits_of(const LinearCurves& linear, const LinearChoice& choice,
                                          const obs::CompressOptions& matrix);

}  // namespace sgpt_mi::pipeline
