#include "sgpt_mi/planning/plan_levels.h"

#include <algorithm>
#include <cmath>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::planning {
namespace {

constexpr int kHalvings = 60;  // of a bracket of 2^80

double damage_at(const LevelCurve& curve, double step) {
  const auto& points = curve.points;
  auto upper = std::find_if(points.begin(), points.end(),
                            [&](const obs::LevelPoint& point) { return point.step >= step; });
  if (upper == points.begin()) {  // high rate: the square of the step
    return upper->damage * std::pow(step / upper->step, 2.0);
  }
  if (upper == points.end()) return points.back().damage;
  const auto lower = std::prev(upper);
  const double share = std::log(step / lower->step) / std::log(upper->step / lower->step);
  return std::exp((1.0 - share) * std::log(std::max(lower->damage, 1e-300)) +
                  share * std::log(std::max(upper->damage, 1e-300)));
}

/// Bits a weight at a step.
double level_bits_at(const LevelCurve& curve, double step) {
  const auto& points = curve.points;
  const auto above = std::find_if(points.begin(), points.end(),
                                  [&](const obs::LevelPoint& point) { return point.step >= step; });
  if (above == points.begin()) return above->bits + std::log2(above->step / step);
  if (above == points.end()) return points.back().bits * points.back().step / step;
  const auto below = std::prev(above);
  const double share = std::log(step / below->step) / std::log(above->step / below->step);
  return (1.0 - share) * below->bits + share * above->bits;
}

/// The curve at a sparsity: linear in it between the two masks that were measured, constant beyond.
LevelCurve curve_at(const LinearCurves& linear, double sparsity) {
  ensure(!linear.levels.empty(), "planning: the levels of a linear were not measured");
  const auto [least, most] = std::minmax_element(
      linear.levels.begin(), linear.levels.end(),
      [](const LevelCurve& a, const LevelCurve& b) { return a.sparsity < b.sparsity; });
  if (most->sparsity <= least->sparsity) return *most;
  const double share =
      std::clamp((sparsity - least->sparsity) / (most->sparsity - least->sparsity), 0.0, 1.0);
  LevelCurve curve{sparsity, most->points};
  for (obs::LevelPoint& point : curve.points) {
    point.bits = (1.0 - share) * level_bits_at(*least, point.step) + share * point.bits;
    point.damage = (1.0 - share) * damage_at(*least, point.step) + share * point.damage;
  }
  return curve;
}

}  // namespace

double side_bits(std::int64_t rows, std::int64_t columns) {
  return 16.0 * static_cast<double>(rows + columns);
}

double bits_at(const LevelDemand& demand, double step) {
  const double bits = level_bits_at(*demand.curve, step) + demand.extra_bits;
  return demand.weights * std::max(0.0, bits) + demand.side_bits;
}

double step_for(const std::vector<LevelDemand>& demands, double bits) {
  ensure(!demands.empty(), "planning: no levels to choose a step for");
  const double middle = std::log2(demands.front().curve->points.front().step);
  double low = middle - 40.0;
  double high = middle + 40.0;
  for (int i = 0; i < kHalvings; ++i) {
    const double tried = 0.5 * (low + high);
    double taken = 0.0;
    for (const LevelDemand& demand : demands) taken += bits_at(demand, std::exp2(tried));
    (taken > bits ? low : high) = tried;
  }
  return std::exp2(high);
}

void plan_levels(const Measurements& measurements, double stored_bits, Choices& choices,
                 std::optional<Choices>& ends, RdPlan& plan) {
  std::vector<LevelDemand> demands;
  double weights = 0.0;
  const auto add = [&](const LinearCurves& linear, LinearChoice& choice) {
    choice.row_weight = linear.row_weight;
    choice.levels = curve_at(linear, choice.sparsity);
    choice.unit_of_column = linear.unit_of_column;
    demands.push_back({&choice.levels, static_cast<double>(linear.weights()),
                       side_bits(linear.rows, linear.columns)});
    weights += demands.back().weights;
  };
  for (std::size_t i = 0; i < choices.size(); ++i) add(measurements.linears[i], choices[i]);
  if (ends) {
    ends->resize(measurements.ends.size());
    for (std::size_t i = 0; i < ends->size(); ++i) add(measurements.ends[i], (*ends)[i]);
  }
  plan.level_bits = static_cast<std::int64_t>(stored_bits * weights);
  plan.step = step_for(demands, stored_bits * weights);
  const auto predict = [&](Choices& planned) {
    for (LinearChoice& choice : planned) {
      choice.damage = damage_at(choice.levels, plan.step);
      plan.predicted_damage += choice.damage;
    }
  };
  predict(choices);
  if (ends) predict(*ends);
}

double stored_bits_of_codes(const Measurements& measurements, const PlanGoal& goal) {
  const double target = goal.plan.widths.target.average_bits;
  const double narrow = std::clamp(std::floor(target), 2.0, 7.0);
  double stored = 0.0;
  for (const LinearCurves& linear : measurements.linears) {
    LinearChoice choice;
    choice.sparsity = goal.matrix.prune_m > 0 ? static_cast<double>(goal.matrix.prune_n) /
                                                    static_cast<double>(goal.matrix.prune_m)
                                              : goal.matrix.sparsity;
    choice.unit_bits = {static_cast<int>(narrow)};
    const auto of_narrow =
        static_cast<double>(stored_bits_of(linear, choice, goal.matrix, goal.grids));
    choice.unit_bits = {static_cast<int>(narrow) + 1};
    const auto of_wide =
        static_cast<double>(stored_bits_of(linear, choice, goal.matrix, goal.grids));
    stored += of_narrow + (target - narrow) * (of_wide - of_narrow);
  }
  return stored / static_cast<double>(all_weights(measurements));
}

}  // namespace sgpt_mi::planning
