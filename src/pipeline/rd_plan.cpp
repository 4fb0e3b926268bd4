#include "rd_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "sgpt_mi/alloc/allocate.h"
#include "sgpt_mi/alloc/bit_plan.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/packed_size.h"

namespace sgpt_mi::pipeline {
namespace {

using Choices = std::vector<LinearChoice>;  // in the order of Measurements::linears

constexpr double kSparsityStep = 0.01;

/// Share of the predicted damage that a plan must save to be tried beside a plainer one.
constexpr double kLeastGain = 0.05;

/// Prices of a kept bit that are tried: upward by fours until one is dear enough, then by halves.
constexpr int kMostPrices = 60;
constexpr int kPriceHalvings = 20;

std::int64_t zeros_of(const LinearCurves& linear, double sparsity) {
  return static_cast<std::int64_t>(
      std::floor(sparsity * static_cast<double>(linear.weights()) + 1e-6));
}

double share(std::int64_t zeros, const LinearCurves& linear) {
  return static_cast<double>(zeros) / static_cast<double>(linear.weights());
}

std::int64_t all_weights(const Measurements& measurements) {
  std::int64_t weights = 0;
  for (const LinearCurves& linear : measurements.linears) weights += linear.weights();
  return weights;
}

/// Menus to choose from, one a unit, and what each entry stands for.
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
                                       double range) {
  const double lowest = std::max(0.0, target - range);
  const double highest = std::min(0.99, target + range);
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
  const alloc::Allocation allocation = alloc::allocate(menus.curves, kept);
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
std::optional<int> uniform_width(const WidthOptions& widths) {
  const WidthTarget& target = widths.target;
  if (target.attention_bits || target.ffn_bits) return std::nullopt;
  for (const int level : widths.levels) {
    if (static_cast<double>(level) == target.average_bits) return level;
  }
  return std::nullopt;
}

/// The levels around a target: the next one below the level that holds it, and the next above.
std::vector<int> levels_near(const std::vector<int>& levels, double target) {
  std::size_t at = 0;
  while (at + 1 < levels.size() && static_cast<double>(levels[at + 1]) <= target) ++at;
  const std::size_t first = at > 0 ? at - 1 : 0;
  const std::size_t last = std::min(at + 1, levels.size() - 1);
  return {levels.begin() + static_cast<std::ptrdiff_t>(first),
          levels.begin() + static_cast<std::ptrdiff_t>(last) + 1};
}

std::vector<std::int64_t> columns_of_units(const LinearCurves& linear) {
  std::vector<std::int64_t> columns(static_cast<std::size_t>(linear.units), 0);
  for (const std::int32_t unit : linear.unit_of_column) ++columns[static_cast<std::size_t>(unit)];
  return columns;
}

/// Grids that were measured besides those of units.
std::vector<std::int64_t> measured_grids(const LinearCurves& linear) {
  std::vector<std::int64_t> grids{0};
  for (const CodingCurve& curve : linear.coding) {
    if (std::find(grids.begin(), grids.end(), curve.grid_columns) == grids.end()) {
      grids.push_back(curve.grid_columns);
    }
  }
  return grids;
}

/// Widths for the units of some linears within one budget of bits.
class WidthProblem {
 public:
  WidthProblem(const CompressionSettings& settings, bool stored, std::vector<int> levels)
      : settings_(settings), stored_(stored), levels_(std::move(levels)) {}

  void add(const LinearCurves& linear, LinearChoice& choice);

  /// Fills unit_bits. Of code bits the kept weights' share is capped too, at that of equal widths,
  /// so that a plan never takes more on disk than they do.
  void solve(double target);

 private:
  struct Entry {
    int bits = 0;
    std::int64_t grid_columns = 0;
    std::int64_t cost = 0;
    double kept_bits = 0.0;
    double damage = 0.0;
  };
  struct Solution {
    std::vector<Entry> entries;  // one a unit
    double kept_bits = 0.0;
    double damage = 0.0;
  };

  /// Code bits of a unit, or stored bits of a linear that is one unit.
  [[nodiscard]] std::int64_t cost(const LinearCurves& linear, const LinearChoice& choice,
                                  const Entry& entry, std::int64_t columns) const;
  /// The least damage + price * kept bits within the budget.
  [[nodiscard]] Solution solve_at(double price, std::int64_t budget) const;

  const CompressionSettings& settings_;
  bool stored_;
  std::vector<int> levels_;
  std::vector<std::vector<Entry>> units_;
  std::vector<LinearChoice*> owners_;  // of each unit
  std::int64_t weights_ = 0;
  double kept_ = 0.0;  // weights
};

void WidthProblem::add(const LinearCurves& linear, LinearChoice& choice) {
  const std::vector<std::int64_t> columns = columns_of_units(linear);
  const std::vector<std::int64_t> grids =
      stored_ ? measured_grids(linear) : std::vector<std::int64_t>{0};
  for (std::size_t unit = 0; unit < columns.size(); ++unit) {
    const std::int64_t weights = linear.rows * columns[unit];
    const double kept = (1.0 - choice.sparsity) * static_cast<double>(weights);
    std::vector<Entry>& entries = units_.emplace_back();
    for (const std::int64_t grid : grids) {
      for (const int bits : levels_) {
        Entry entry{bits, grid, 0, kept * bits, 0.0};
        entry.cost = cost(linear, choice, entry, columns[unit]);
        entry.damage = linear.coding_damage(choice.sparsity, grid, bits, unit);
        entries.push_back(entry);
      }
    }
    owners_.push_back(&choice);
    weights_ += weights;
    kept_ += kept;
  }
}

std::int64_t WidthProblem::cost(const LinearCurves& linear, const LinearChoice& choice,
                                const Entry& entry, std::int64_t columns) const {
  if (!stored_) return linear.rows * columns * entry.bits;
  return stored_bits_of(linear, {choice.sparsity, {entry.bits}, {}, entry.grid_columns},
                        settings_.matrix);
}

WidthProblem::Solution WidthProblem::solve_at(double price, std::int64_t budget) const {
  Menus<Entry> menus;
  for (const std::vector<Entry>& unit : units_) {
    std::vector<alloc::CurvePoint> points;
    for (const Entry& entry : unit) {
      points.push_back({entry.cost, entry.damage + price * entry.kept_bits});
    }
    menus.add(points, unit);
  }
  const alloc::Allocation allocation = alloc::allocate(menus.curves, budget);
  Solution solution;
  for (std::size_t unit = 0; unit < units_.size(); ++unit) {
    solution.entries.push_back(menus.chosen(allocation, unit));
    solution.kept_bits += solution.entries.back().kept_bits;
    solution.damage += solution.entries.back().damage;
  }
  return solution;
}

void WidthProblem::solve(double target) {
  const std::int64_t budget = alloc::budget_bits_of(target, weights_);
  // Rounding alone must not forbid equal widths.
  const double most =
      stored_ ? std::numeric_limits<double>::infinity() : target * kept_ * (1.0 + 1e-12);
  Solution best = solve_at(0.0, budget);
  if (best.kept_bits > most) {
    // Bits per weight fall with their price; a price of all damage buys the narrowest widths.
    double low = 0.0;
    double high = best.damage / kept_ + std::numeric_limits<double>::min();
    for (int tried = 0; tried < kMostPrices && solve_at(high, budget).kept_bits > most; ++tried) {
      low = high;
      high *= 4.0;
    }
    best = solve_at(high, budget);
    for (int halved = 0; halved < kPriceHalvings; ++halved) {
      const double middle = 0.5 * (low + high);
      Solution tried = solve_at(middle, budget);
      const bool fits = tried.kept_bits <= most;
      (fits ? high : low) = middle;
      if (fits && (best.kept_bits > most || tried.damage < best.damage)) best = std::move(tried);
    }
  }
  for (std::size_t unit = 0; unit < owners_.size(); ++unit) {
    owners_[unit]->unit_bits.push_back(best.entries[unit].bits);
    owners_[unit]->grid_columns = best.entries[unit].grid_columns;
  }
}

bool counts_storage(const WidthTarget& target) { return target.stored_bits || target.bytes; }

double target_of(const LinearCurves& linear, const WidthTarget& target) {
  return (linear.attention ? target.attention_bits : target.ffn_bits).value_or(target.average_bits);
}

/// Fills unit_bits: one budget for all linears of equal target.
void plan_widths_of(const Measurements& measurements, const CompressionSettings& settings,
                    std::optional<double> stored_bits, Choices& choices) {
  const WidthOptions& widths = settings.plan->widths;
  std::map<double, std::vector<std::size_t>> by_target;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    by_target[stored_bits.value_or(target_of(measurements.linears[i], widths.target))].push_back(i);
  }
  for (const auto& [target, members] : by_target) {
    WidthProblem problem(settings, stored_bits.has_value(),
                         stored_bits ? widths.levels : levels_near(widths.levels, target));
    for (const std::size_t i : members) {
      choices[i].unit_bits.clear();
      problem.add(measurements.linears[i], choices[i]);
    }
    problem.solve(target);
  }
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

RdPlan named(std::string name, const Measurements& measurements,
             const CompressionSettings& settings, const Choices& choices) {
  RdPlan plan{std::move(name), {}, 0.0};
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const LinearCurves& linear = measurements.linears[i];
    plan.linears.emplace(linear.name, choices[i]);
    plan.predicted_damage += damage_of(linear, choices[i], settings.matrix.prune_m > 0);
  }
  return plan;
}

double pattern_share(const obs::CompressOptions& matrix) {
  return matrix.prune_m == 0
             ? matrix.sparsity
             : static_cast<double>(matrix.prune_n) / static_cast<double>(matrix.prune_m);
}

Choices uniform_choices(const Measurements& measurements, const CompressionSettings& settings) {
  Choices choices;
  for (const LinearCurves& linear : measurements.linears) {
    choices.push_back({pattern_share(settings.matrix), {}, linear.unit_of_column, 0});
  }
  return choices;
}

Choices sparsity_choices(const Measurements& measurements, const CompressionSettings& settings) {
  const std::vector<double> sparsities =
      planned_sparsities(measurements, settings.matrix.sparsity, settings.plan->sparsity_range);
  Choices choices = uniform_choices(measurements, settings);
  for (std::size_t i = 0; i < choices.size(); ++i) choices[i].sparsity = sparsities[i];
  return choices;
}

bool least_damage_first(const RdPlan& a, const RdPlan& b) {
  return a.predicted_damage < b.predicted_damage;
}

/// What one target of a grid takes and does.
PlanPoint plan_point(const Measurements& measurements, const CompressionSettings& settings,
                     double sparsity, double bits) {
  CompressionSettings target = settings;
  target.matrix.prune_n = 0;
  target.matrix.prune_m = 0;
  target.matrix.sparsity = sparsity;
  target.matrix.wbits = static_cast<int>(bits);
  target.plan->plan_widths = true;
  target.plan->widths.target = {};
  target.plan->widths.target.average_bits = bits;
  const std::vector<RdPlan> plans = make_plans(measurements, target, std::nullopt);
  const RdPlan& best = *std::min_element(plans.begin(), plans.end(), least_damage_first);
  std::int64_t stored = 0;
  for (const LinearCurves& linear : measurements.linears) {
    stored += stored_bits_of(linear, best.linears.at(linear.name), target.matrix);
  }
  const auto weights = static_cast<double>(all_weights(measurements));
  return {sparsity, bits, static_cast<double>(stored) / weights, best.predicted_damage};
}

}  // namespace

std::int64_t stored_bits_of(const LinearCurves& linear, const LinearChoice& choice,
                            const obs::CompressOptions& matrix) {
  io::PackedShape shape;
  shape.rows = linear.rows;
  shape.columns = linear.columns;
  shape.prune_n = static_cast<int>(matrix.prune_n);
  shape.prune_m = static_cast<int>(matrix.prune_m);
  shape.prunes = choice.sparsity > 0.0 || matrix.prune_m > 0;
  shape.dtype = DType::kF16;
  const std::int64_t kept = linear.weights() - zeros_of(linear, choice.sparsity);
  if (choice.unit_bits.empty()) {
    shape.columns_of_width[0] = linear.columns;
    shape.survivors_of_width[0] = kept;
    return 8 * io::predict_packed_size(shape).total();
  }
  shape.grid_rows = linear.rows;
  const std::vector<std::int64_t> columns = columns_of_units(linear);
  const std::int64_t grids_of_linear =
      choice.grid_columns > 0 ? (linear.columns + choice.grid_columns - 1) / choice.grid_columns
                              : 1;
  for (std::size_t unit = 0; unit < choice.unit_bits.size(); ++unit) {
    const auto width = static_cast<std::size_t>(choice.unit_bits[unit]);
    shape.columns_of_width[width] += columns[unit];
    shape.groups_of_width[width] += grids_of_linear;
    shape.survivors_of_width[width] += kept * columns[unit] / linear.columns;
  }
  shape.labels = shape.groups() > 1;
  return 8 * io::predict_packed_size(shape).total();
}

std::vector<int> plannable_widths(const PlanOptions& options) {
  const WidthOptions& widths = options.widths;
  if (counts_storage(widths.target)) return widths.levels;
  std::set<int> near;
  for (const std::optional<double>& target :
       {std::optional(widths.target.average_bits), widths.target.attention_bits,
        widths.target.ffn_bits}) {
    if (!target) continue;
    const std::vector<int> levels = levels_near(widths.levels, *target);
    near.insert(levels.begin(), levels.end());
  }
  return {near.begin(), near.end()};
}

void require_plannable(const Measurements& linears, const CompressionSettings& settings,
                       std::optional<double> stored_bits) {
  const WidthOptions& widths = settings.plan->widths;
  if (!settings.matrix.quantizes()) return;
  if (settings.matrix.groupsize != -1) {
    fail(ErrorKind::kUsage,
         "groupsize: {} contradicts method rd, which plans grids by their stored size "
         "(--target_stored_bits); leave it out",
         settings.matrix.groupsize);
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
    choice.sparsity = pattern_share(settings.matrix);
    choice.unit_bits = {widths.levels.front()};
    stored += stored_bits_of(linear, choice, settings.matrix);
  }
  const double least = static_cast<double>(stored) / static_cast<double>(all_weights(linears));
  if (*stored_bits >= least) return;
  fail(ErrorKind::kUsage,
       "alloc: the target is {:.4f} stored bits a weight; the narrowest widths take {:.4f}; ask "
       "for that or more",
       *stored_bits, least);
}

std::vector<RdPlan> make_plans(const Measurements& measurements,
                               const CompressionSettings& settings,
                               std::optional<double> stored_bits) {
  ensure(settings.plan.has_value(), "pipeline: a plan was asked for without its options");
  const PlanOptions& options = *settings.plan;
  const bool quantizes = settings.matrix.quantizes();
  const std::optional<int> width =
      stored_bits || !quantizes ? std::nullopt : uniform_width(options.widths);
  const bool plans_widths = quantizes && (options.plan_widths || !width);
  const bool plans_sparsities = settings.matrix.sparsity > 0.0 && options.sparsity_range > 0.0;
  std::vector<RdPlan> plans;
  const auto add = [&](const char* name, Choices choices, bool with_widths) {
    if (with_widths) {
      plan_widths_of(measurements, settings, stored_bits, choices);
    } else if (width) {
      set_uniform_width(measurements, *width, choices);
    }
    RdPlan plan = named(name, measurements, settings, choices);
    const bool promises = std::all_of(plans.begin(), plans.end(), [&](const RdPlan& plainer) {
      return plan.predicted_damage < (1.0 - kLeastGain) * plainer.predicted_damage;
    });
    if (promises) plans.push_back(std::move(plan));
  };
  const Choices uniform = uniform_choices(measurements, settings);
  if (width || !quantizes) add("uniform", uniform, false);
  if (!plans_sparsities) {
    if (plans_widths) add("planned widths", uniform, true);
    return plans;
  }
  const Choices planned = sparsity_choices(measurements, settings);
  if (width || !quantizes) add("planned sparsities", planned, false);
  if (!width && quantizes) add("planned widths", uniform, true);
  if (plans_widths) add("planned sparsities and widths", planned, true);
  return plans;
}

std::vector<PlanPoint> pareto_targets(const Measurements& measurements,
                                      const CompressionSettings& settings) {
  std::vector<double> sparsities{0.0};
  const bool prunes =
      std::all_of(measurements.linears.begin(), measurements.linears.end(),
                  [](const LinearCurves& linear) { return linear.pruning.size() > 1; });
  if (prunes) {
    for (int percent = 10; percent <= 80; percent += 5) sparsities.push_back(percent / 100.0);
  }
  std::vector<double> widths;
  const std::vector<int>& levels = settings.plan->widths.levels;
  for (double bits = levels.front(); bits <= levels.back(); bits += 0.5) widths.push_back(bits);
  std::vector<PlanPoint> points;
  for (const double sparsity : sparsities) {
    for (const double bits : widths) {
      points.push_back(plan_point(measurements, settings, sparsity, bits));
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

}  // namespace sgpt_mi::pipeline
