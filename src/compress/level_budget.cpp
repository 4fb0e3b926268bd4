#include "level_budget.h"

#include <cmath>
#include <vector>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::compress {
namespace {

/// Weights after which half of what linears took beyond their curves is believed of others.
constexpr double kDoubt = 1e6;
/// The last linear may leave this share of the budget unused.
constexpr double kUnused = 2e-4;
constexpr int kTries = 12;

}  // namespace

LevelBudget::LevelBudget(const planning::RdPlan& plan)
    : budget_(plan.level_bits), done_weights_(kDoubt) {
  for (const auto& [name, choice] : plan.linears) {
    const auto rows = static_cast<std::int64_t>(choice.row_weight.size());
    const auto columns = static_cast<std::int64_t>(choice.unit_of_column.size());
    open_[name] = {&choice.levels, static_cast<double>(rows * columns),
                   planning::side_bits(rows, columns)};
  }
}

double LevelBudget::step_for(const std::string& name) const {
  ensure(open_.contains(name), "compress: a linear's levels are not planned, or done");
  if (last_step_ > 0.0) return last_step_;
  std::vector<planning::LevelDemand> demands;
  for (auto [_, demand] : open_) {
    demand.extra_bits = extra_bits_ / done_weights_;
    demands.push_back(demand);
  }
  return planning::step_for(demands, static_cast<double>(left()));
}

bool LevelBudget::settle(const std::string& name, std::int64_t bits) {
  const planning::LevelDemand& demand = open_.at(name);
  const double step = step_for(name);
  const double unused = static_cast<double>(left() - bits);
  const double most_unused = kUnused * static_cast<double>(budget_);
  if (open_.size() == 1 && (unused < 0.0 || unused > most_unused) && ++tries_ < kTries) {
    // A halved step takes a bit a weight more, nearly.
    last_step_ = step * std::exp2((0.5 * most_unused - unused) / demand.weights);
    return false;
  }
  if (open_.size() == 1 && unused < 0.0) {
    fail(ErrorKind::kNumeric,
         "compress: the levels of {} take {:.0f} bits more than are left after {} tries; ask for a "
         "larger size",
         name, -unused, kTries);
  }
  extra_bits_ += static_cast<double>(bits) - planning::bits_at(demand, step);
  done_weights_ += demand.weights;
  taken_ += bits;
  open_.erase(name);
  return true;
}

}  // namespace sgpt_mi::compress
