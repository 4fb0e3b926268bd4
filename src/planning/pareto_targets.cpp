
#include <algorithm>
#include <optional>

#include "sgpt_mi/planning/rd_plan.h"

namespace sgpt_mi::planning {
namespace {

PlanGoal with_sparsity(const PlanGoal& goal, double sparsity) {
  PlanGoal target = goal;
  target.matrix.prune_n = 0;
  target.matrix.prune_m = 0;
  target.matrix.sparsity = sparsity;
  target.plan.widths.target = {};
  return target;
}

bool measured_pruning(const Measurements& measurements) {
  return std::all_of(measurements.linears.begin(), measurements.linears.end(),
                     [](const LinearCurves& linear) { return linear.pruning.size() > 1; });
}

double least_damage(const Measurements& measurements, const PlanGoal& goal, double stored_bits) {
  const std::vector<RdPlan> plans =
      make_plans(measurements, goal, stored_bits, {.exchange_units = 0});
  return std::min_element(plans.begin(), plans.end(), least_damage_first)->predicted_damage;
}

/// What one target of a grid takes and does.
PlanPoint plan_point(const Measurements& measurements, const PlanGoal& goal, double sparsity,
                     double bits) {
  PlanGoal target = with_sparsity(goal, sparsity);
  target.matrix.wbits = static_cast<int>(bits);
  target.plan.plan_widths = true;
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
  if (measured_pruning(measurements)) {
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

std::vector<LevelTarget> level_targets(const Measurements& measurements, const PlanGoal& goal) {
  std::vector<LevelTarget> targets;
  for (double bits = 1.5; bits <= 6.0; bits += 0.5) {
    LevelTarget& target = targets.emplace_back();
    target.stored_bits = bits;
    target.damage = least_damage(measurements, with_sparsity(goal, 0.0), bits);
    if (!measured_pruning(measurements)) continue;
    target.damage_at_half = least_damage(measurements, with_sparsity(goal, 0.5), bits);
  }
  return targets;
}

}  // namespace sgpt_mi::planning
