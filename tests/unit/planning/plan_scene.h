#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "sgpt_mi/planning/measurements.h"
#include "sgpt_mi/planning/rd_plan.h"

namespace sgpt_mi::planning {

/// A linear whose damage is `scale` at 50 % and grows eightfold a tenth; codes do a quarter of the
/// damage with every bit.
inline LinearCurves linear(const std::string& name, std::int64_t rows, double scale) {
  LinearCurves curves;
  curves.name = name;
  curves.rows = rows;
  curves.columns = 96;
  curves.unit_of_column.assign(96, 0);
  for (const double s : {0.4, 0.45, 0.5, 0.55, 0.6}) {
    curves.pruning.push_back({s, scale * std::pow(8.0, (s - 0.5) * 10)});
  }
  CodingCurve coding{0.5, 0, {2, 3, 4, 6, 8}, {}};
  for (const int bits : coding.widths) coding.damage.push_back({scale * std::pow(0.25, bits - 3)});
  curves.coding.push_back(coding);
  return curves;
}

inline Measurements three_linears() {
  return {{}, {linear("a", 64, 1e-3), linear("b", 200, 1e-4), linear("c", 101, 3e-2)}, {}};
}

inline PlanGoal joint(double sparsity, double bits) {
  PlanGoal goal;
  goal.matrix.sparsity = sparsity;
  goal.matrix.wbits = static_cast<int>(bits);
  goal.plan.widths.target.average_bits = bits;
  goal.plan.widths.grouping.groups = 1;
  return goal;
}

inline std::int64_t weights_of(const Measurements& measurements) {
  std::int64_t weights = 0;
  for (const LinearCurves& curves : measurements.linears) weights += curves.weights();
  return weights;
}

inline std::vector<std::string> names_of(const std::vector<RdPlan>& plans) {
  std::vector<std::string> names;
  for (const RdPlan& plan : plans) names.push_back(plan.name);
  return names;
}

}  // namespace sgpt_mi::planning
