#include "sgpt_mi/planning/rd_plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "plan_types.h"
#include "plan_widths.h"
#include "sgpt_mi/alloc/allocate.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/planning/plan_levels.h"

namespace sgpt_mi::planning {
namespace {

constexpr double kSparsityStep = 0.01;
/// Bits a weight below which nearly all levels are 0.
constexpr double kLeastLevelBits = 0.1;

/// Share of the predicted damage that a plan must save to be tried beside a plainer one.
constexpr double kLeastGain = 0.05;

double share(std::int64_t zeros, const LinearCurves& linear) {
  return static_cast<double>(zeros) / static_cast<double>(linear.weights());
}

/// Spends kept weights that the menu's steps left over where they save most.
void spend_rest(const Measurements& measurements, std::vector<std::int64_t>& zeros,
                std::int64_t rest, double lowest) {
  while (rest > 0) {
    std::size_t best = measurements.linears.size();
    double most = -1.0;
    std::int64_t amount = 0;
    for (std::size_t i = 0; i < measurements.linears.size(); ++i) {
      const LinearCurves& linear = measurements.linears[i];
      const std::int64_t step = std::min(rest, zeros[i] - zeros_of(linear, lowest));
      if (step <= 0) continue;
      const double saved = (linear.prune_damage(share(zeros[i], linear)) -
                            linear.prune_damage(share(zeros[i] - step, linear))) /
                           static_cast<double>(step);
      if (saved <= most) continue;
      most = saved;
      best = i;
      amount = step;
    }
    if (best == measurements.linears.size()) return;  // all are at the lowest sparsity
    zeros[best] -= amount;
    rest -= amount;
  }
}

std::vector<double> planned_sparsities(const Measurements& measurements, double target,
                                       double range, const alloc::AllocateOptions& effort) {
  const double lowest = std::max(0.0, target - range);
  // Half of what the target keeps must stay, or the rest could not make up for it.
  const double highest = std::min(target + range, 0.5 * (1.0 + target));
  Menus<std::int64_t> menus;  // an entry is a number of zeros
  const auto steps = static_cast<int>(std::round((highest - lowest) / kSparsityStep));
  for (const LinearCurves& linear : measurements.linears) {
    std::vector<alloc::CurvePoint> points;
    std::vector<std::int64_t> zeros;
    for (int step = 0; step <= steps; ++step) {
      zeros.push_back(zeros_of(linear, highest - (highest - lowest) * step / std::max(1, steps)));
      points.push_back(
          {linear.weights() - zeros.back(), linear.prune_damage(share(zeros.back(), linear))});
    }
    menus.add(points, zeros);
  }
  const std::int64_t weights = all_weights(measurements);
  const auto kept =
      weights - static_cast<std::int64_t>(std::floor(target * static_cast<double>(weights) + 1e-6));
  const alloc::Allocation allocation = alloc::allocate(menus.curves, kept, effort);
  std::vector<std::int64_t> zeros;
  for (std::size_t i = 0; i < measurements.linears.size(); ++i) {
    zeros.push_back(menus.chosen(allocation, i));
  }
  spend_rest(measurements, zeros, kept - allocation.cost, lowest);
  std::vector<double> sparsities;
  for (std::size_t i = 0; i < zeros.size(); ++i) {
    sparsities.push_back(share(zeros[i], measurements.linears[i]));
  }
  return sparsities;
}

/// The level that all linears can have without passing the target, if the target is one.
std::optional<int> uniform_width(const widths::WidthOptions& widths) {
  const widths::WidthTarget& target = widths.target;
  if (target.attention_bits || target.ffn_bits) return std::nullopt;
  for (const int level : widths.levels) {
    if (static_cast<double>(level) == target.average_bits) return level;
  }
  return std::nullopt;
}

void set_uniform_width(const Measurements& measurements, int bits, Choices& choices) {
  for (std::size_t i = 0; i < choices.size(); ++i) {
    choices[i].unit_bits.assign(static_cast<std::size_t>(measurements.linears[i].units), bits);
    choices[i].grid_columns = 0;
  }
}

double damage_of(const LinearCurves& linear, const LinearChoice& choice, bool pattern) {
  double damage = 0.0;
  if (pattern || choice.sparsity > 0.0) damage += linear.prune_damage(choice.sparsity);
  for (std::size_t unit = 0; unit < choice.unit_bits.size(); ++unit) {
    damage +=
        linear.coding_damage(choice.sparsity, choice.grid_columns, choice.unit_bits[unit], unit);
  }
  return damage;
}

RdPlan named(std::string name, const Measurements& measurements, const PlanGoal& goal,
             const Choices& choices) {
  RdPlan plan{std::move(name), {}, 0.0};
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const LinearCurves& linear = measurements.linears[i];
    const double damage = damage_of(linear, choices[i], goal.matrix.prune_m > 0);
    LinearChoice& choice = plan.linears.emplace(linear.name, choices[i]).first->second;
    choice.damage += damage;  // to that of levels
    choice.damage_weight = linear.row_weight;
    plan.predicted_damage += damage;
  }
  return plan;
}

/// Sparsities as chosen, levels within so many stored bits a weight; of a budget of bytes embedding
/// and head take their part.
RdPlan level_plan(std::string name, const Measurements& measurements, const PlanGoal& goal,
                  double stored_bits, Choices choices) {
  RdPlan levels;
  std::optional<Choices> ends;
  if (goal.plan.widths.target.bytes) ends.emplace();
  plan_levels(measurements, stored_bits, choices, ends, levels);
  RdPlan plan = named(std::move(name), measurements, goal, choices);
  for (std::size_t i = 0; ends && i < ends->size(); ++i) {
    plan.linears.emplace(measurements.ends[i].name, (*ends)[i]);
  }
  plan.predicted_damage += levels.predicted_damage;
  plan.step = levels.step;
  plan.level_bits = levels.level_bits;
  return plan;
}

double pattern_share(const obs::CompressOptions& matrix) {
  return matrix.prune_m == 0
             ? matrix.sparsity
             : static_cast<double>(matrix.prune_n) / static_cast<double>(matrix.prune_m);
}

Choices uniform_choices(const Measurements& measurements, const PlanGoal& goal) {
  Choices choices;
  for (const LinearCurves& linear : measurements.linears) {
    choices.push_back({pattern_share(goal.matrix), {}, linear.unit_of_column, 0});
    choices.back().row_weight = linear.row_weight;
  }
  return choices;
}

Choices sparsity_choices(const Measurements& measurements, const PlanGoal& goal,
                         const alloc::AllocateOptions& effort) {
  const std::vector<double> sparsities =
      planned_sparsities(measurements, goal.matrix.sparsity, goal.plan.sparsity_range, effort);
  Choices choices = uniform_choices(measurements, goal);
  for (std::size_t i = 0; i < choices.size(); ++i) choices[i].sparsity = sparsities[i];
  return choices;
}

/// Levels may all be 0, but steps are stored.
void require_levels(const Measurements& linears, std::optional<double> stored_bits) {
  if (!stored_bits) return;
  double side = 0.0;
  for (const LinearCurves& linear : linears.linears) side += side_bits(linear.rows, linear.columns);
  const double least = kLeastLevelBits + side / static_cast<double>(all_weights(linears));
  if (*stored_bits >= least) return;
  fail(ErrorKind::kUsage,
       "alloc: the target is {:.4f} stored bits a weight; steps and the fewest levels take about "
       "{:.4f}; ask for that or more",
       *stored_bits, least);
}

}  // namespace

void require_plannable(const Measurements& linears, const PlanGoal& goal,
                       std::optional<double> stored_bits) {
  if (goal.types) return require_types(linears, *goal.types, stored_bits);
  const widths::WidthOptions& widths = goal.plan.widths;
  if (!goal.matrix.quantizes()) return;
  if (goal.levels) return require_levels(linears, stored_bits);
  if (goal.matrix.groupsize != -1 && (stored_bits || widths.grouping.groups != 1)) {
    fail(ErrorKind::kUsage, "groupsize: {} contradicts {}; leave it out", goal.matrix.groupsize,
         stored_bits ? "a stored size, for which rd chooses the group sizes itself"
                     : "--n_groups, which groups the columns in another way");
  }
  if (!goal.plan.plan_widths && (stored_bits || !uniform_width(widths))) {
    fail(ErrorKind::kUsage,
         "width_plan: 0 gives all linears one width, and no width of the levels is the target; ask "
         "for a level, or leave it out");
  }
  if (!stored_bits) {
    const double least = widths.levels.front();
    for (const double target :
         {widths.target.average_bits, widths.target.attention_bits.value_or(least),
          widths.target.ffn_bits.value_or(least)}) {
      if (target >= least) continue;
      fail(ErrorKind::kUsage,
           "alloc: the target is {:g} bits a weight and the narrowest width takes {:g}; ask for "
           "that or more",
           target, least);
    }
    return;
  }
  if (widths.grouping.groups != 1) {
    fail(ErrorKind::kUsage,
         "n_groups: a stored size is planned for whole linears; leave out --n_groups, or give "
         "--target_avg_bits");
  }
  std::int64_t stored = 0;
  for (LinearChoice choice; const LinearCurves& linear : linears.linears) {
    choice.sparsity = pattern_share(goal.matrix);
    choice.unit_bits = {widths.levels.front()};
    stored += stored_bits_of(linear, choice, goal.matrix, goal.grids);
  }
  const double least = static_cast<double>(stored) / static_cast<double>(all_weights(linears));
  if (*stored_bits >= least) return;
  fail(ErrorKind::kUsage,
       "alloc: the target is {:.4f} stored bits a weight; the narrowest widths take {:.4f}; ask "
       "for that or more",
       *stored_bits, least);
}

bool least_damage_first(const RdPlan& a, const RdPlan& b) {
  return a.predicted_damage < b.predicted_damage;
}

std::vector<RdPlan> make_plans(const Measurements& measurements, const PlanGoal& goal,
                               std::optional<double> stored_bits,
                               const alloc::AllocateOptions& effort) {
  if (goal.types) return {plan_types(measurements, goal, stored_bits)};
  const PlanOptions& options = goal.plan;
  const bool quantizes = goal.matrix.quantizes();
  const std::optional<int> width =
      stored_bits || !quantizes ? std::nullopt : uniform_width(options.widths);
  const bool plans_widths = quantizes && (options.plan_widths || !width);
  const bool plans_sparsities = goal.matrix.sparsity > 0.0 && options.sparsity_range > 0.0;
  std::vector<RdPlan> plans;
  const auto add = [&](const char* name, Choices choices, bool with_widths) {
    if (with_widths) {
      plan_measured_widths(measurements, goal, {stored_bits, effort}, choices);
    } else if (width) {
      set_uniform_width(measurements, *width, choices);
    }
    RdPlan plan = named(name, measurements, goal, choices);
    const bool promises = std::all_of(plans.begin(), plans.end(), [&](const RdPlan& plainer) {
      return plan.predicted_damage < (1.0 - kLeastGain) * plainer.predicted_damage;
    });
    if (promises) plans.push_back(std::move(plan));
  };
  const Choices uniform = uniform_choices(measurements, goal);
  if (goal.levels) {
    const double bits = stored_bits.value_or(stored_bits_of_codes(measurements, goal));
    plans.push_back(level_plan("levels", measurements, goal, bits, uniform));
    if (!plans_sparsities) return plans;
    plans.push_back(level_plan("levels and planned sparsities", measurements, goal, bits,
                               sparsity_choices(measurements, goal, effort)));
    return plans;
  }
  if (width || !quantizes) add("uniform", uniform, false);
  if (!plans_sparsities) {
    if (plans_widths) add("planned widths", uniform, true);
    return plans;
  }
  const Choices planned = sparsity_choices(measurements, goal, effort);
  if (width || !quantizes) add("planned sparsities", planned, false);
  if (!width && quantizes) add("planned widths", uniform, true);
  if (plans_widths) add("planned sparsities and widths", planned, true);
  return plans;
}

}  // namespace sgpt_mi::planning
