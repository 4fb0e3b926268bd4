
#include <algorithm>
#include <optional>

#include "sgpt_mi/planning/rd_plan.h"

namespace sgpt_mi::planning {
namespace {

/// What one target of a grid takes and does.
PlanPoint plan_point(const Measurements& measurements, const PlanGoal& goal, double sparsity,
                     double bits) {
  PlanGoal target = goal;
  target.matrix.prune_n = 0;
  target.matrix.prune_m = 0;
  target.matrix.sparsity = sparsity;
  target.matrix.wbits = static_cast<int>(bits);
  target.plan.plan_widths = true;
  target.plan.widths.target = {};
  target.plan.widths.target.average_bits = bits;
  const std::vector<RdPlan> plans =
      make_plans(measurements, target, std::nullopt, {.exchange_units = 0});
  const RdPlan& best = *std::min_element(plans.begin(), plans.end(), least_damage_first);
  std::int64_t stored = 0;
  for (const LinearCurves& linear : measurements.linears) {
    stored += stored_bits_of(linear, best.linears.at(linear.name), target.matrix, target.grids);
  }
  const auto weights = static_cast<double>(all_weights(measurements));
  return {sparsity, bits, static_cast<double>(stored) / weights, best.predicted_damage};
}

}  // namespace

std::vector<PlanPoint> pareto_targets(const Measurements& measurements, const PlanGoal& goal) {
  std::vector<double> sparsities{0.0};
  const bool prunes =
      std::all_of(measurements.linears.begin(), measurements.linears.end(),
                  [](const LinearCurves& linear) { return linear.pruning.size() > 1; });
  if (prunes) {
    for (int percent = 10; percent <= 80; percent += 5) sparsities.push_back(percent / 100.0);
  }
  std::vector<double> widths;
  const std::vector<int>& levels = goal.plan.widths.levels;
  for (double bits = levels.front(); bits <= levels.back(); bits += 0.5) widths.push_back(bits);
  std::vector<PlanPoint> points;
  for (const double sparsity : sparsities) {
    for (const double bits : widths) {
      points.push_back(plan_point(measurements, goal, sparsity, bits));
    }
  }
  std::sort(points.begin(), points.end(), [](const PlanPoint& a, const PlanPoint& b) {
    return a.stored_bits != b.stored_bits ? a.stored_bits < b.stored_bits : a.damage < b.damage;
  });
  std::vector<PlanPoint> front;
  for (const PlanPoint& point : points) {
    if (front.empty() || point.damage < front.back().damage) front.push_back(point);
  }
  return front;
}

}  // namespace sgpt_mi::planning
