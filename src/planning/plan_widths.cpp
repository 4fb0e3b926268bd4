#include "plan_widths.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "sgpt_mi/alloc/bit_plan.h"

namespace sgpt_mi::planning {
namespace {

/// Prices of a kept bit that are tried: upward by fours until one is dear enough, then by halves.
constexpr int kMostPrices = 60;
constexpr int kPriceHalvings = 20;

/// The levels around a target: the next one below the level that holds it, and the next above.
std::vector<int> levels_near(const std::vector<int>& levels, double target) {
  std::size_t at = 0;
  while (at + 1 < levels.size() && static_cast<double>(levels[at + 1]) <= target) ++at;
  const std::size_t first = at > 0 ? at - 1 : 0;
  const std::size_t last = std::min(at + 1, levels.size() - 1);
  return {levels.begin() + static_cast<std::ptrdiff_t>(first),
          levels.begin() + static_cast<std::ptrdiff_t>(last) + 1};
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
  WidthProblem(const PlanGoal& goal, const WidthBudget& budget, std::vector<int> levels)
      : goal_(goal),
        stored_(budget.stored_bits.has_value()),
        effort_(budget.effort),
        levels_(std::move(levels)) {}

  void add(const LinearCurves& linear, LinearChoice& choice);

  /// Fills unit_bits and grid_columns of the linears added.
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
  [[nodiscard]] Solution solve_at(double price, std::int64_t budget,
                                  const alloc::AllocateOptions& effort) const;

  const PlanGoal& goal_;
  bool stored_;
  alloc::AllocateOptions effort_;
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
                        goal_.matrix, goal_.grids);
}

WidthProblem::Solution WidthProblem::solve_at(double price, std::int64_t budget,
                                              const alloc::AllocateOptions& effort) const {
  Menus<Entry> menus;
  for (const std::vector<Entry>& unit : units_) {
    std::vector<alloc::CurvePoint> points;
    points.reserve(unit.size());
    for (const Entry& entry : unit) {
      points.push_back({entry.cost, entry.damage + price * entry.kept_bits});
    }
    menus.add(points, unit);
  }
  const alloc::Allocation allocation = alloc::allocate(menus.curves, budget, effort);
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
  Solution best = solve_at(0.0, budget, effort_);
  if (best.kept_bits > most) {
    // The price decides here, and an exchange of units would only blur it.
    alloc::AllocateOptions plain = effort_;
    plain.exchange_units = 0;
    // Bits per weight fall with their price; a price of all damage buys the narrowest widths.
    double low = 0.0;
    double high = best.damage / kept_ + std::numeric_limits<double>::min();
    for (int tried = 0; tried < kMostPrices && solve_at(high, budget, plain).kept_bits > most;
         ++tried) {
      low = high;
      high *= 4.0;
    }
    best = solve_at(high, budget, plain);
    for (int halved = 0; halved < kPriceHalvings; ++halved) {
      const double middle = 0.5 * (low + high);
      Solution tried = solve_at(middle, budget, plain);
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

bool counts_storage(const widths::WidthTarget& target) {
  return target.stored_bits || target.bytes;
}

double target_of(const LinearCurves& linear, const widths::WidthTarget& target) {
  return (linear.attention ? target.attention_bits : target.ffn_bits).value_or(target.average_bits);
}

}  // namespace

std::vector<int> plannable_widths(const PlanOptions& options) {
  const widths::WidthOptions& widths = options.widths;
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

void plan_measured_widths(const Measurements& measurements, const PlanGoal& goal,
                          const WidthBudget& budget, Choices& choices) {
  const widths::WidthOptions& widths = goal.plan.widths;
  std::map<double, std::vector<std::size_t>> by_target;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    by_target[budget.stored_bits.value_or(target_of(measurements.linears[i], widths.target))]
        .push_back(i);
  }
  for (const auto& [target, members] : by_target) {
    WidthProblem problem(goal, budget,
                         budget.stored_bits ? widths.levels : levels_near(widths.levels, target));
    for (const std::size_t i : members) {
      choices[i].unit_bits.clear();
      problem.add(measurements.linears[i], choices[i]);
    }
    problem.solve(target);
  }
}

}  // namespace sgpt_mi::planning
