#include "level_budget.h"

#include <cmath>
#include <vector>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::compress {
namespace {

/// The share of all weights after which half of what linears took beyond their curves is believed
/// of others.
constexpr double kDoubt = 0.02;
/// The last linear may leave this share of the budget unused.
constexpr double kUnused = 2e-4;
constexpr int kTries = 12;

}  // namespace

LevelBudget::LevelBudget(const planning::RdPlan& plan) : budget_(plan.level_bits) {
  for (const auto& [name, choice] : plan.linears) {
    const auto rows = static_cast<std::int64_t>(choice.row_weight.size());
    const auto columns = static_cast<std::int64_t>(choice.unit_of_column.size());
    open_[name] = {&choice.levels, static_cast<double>(rows * columns),
                   planning::side_bits(rows, columns)};
    done_weights_ += kDoubt * open_[name].weights;
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

bool LevelBudget::accepts(const std::string& name, std::int64_t bits) {
  return open() > 1 || fits_last(name, step_for(name), left() - bits);
}

void LevelBudget::settle(const std::string& name, double step, std::int64_t bits) {
  const planning::LevelDemand& demand = open_.at(name);
  extra_bits_ += static_cast<double>(bits) - planning::bits_at(demand, step);
  done_weights_ += demand.weights;
  taken_ += bits;
  open_.erase(name);
}

/// Whether the last linear may stay as it was tried; sets the step of its next try if not.
bool LevelBudget::fits_last(const std::string& name, double step, std::int64_t unused) {
  const auto most_unused = static_cast<std::int64_t>(kUnused * static_cast<double>(budget_));
  if (unused >= 0 && unused <= most_unused) return true;
  (unused >= 0 ? fitting_ : exceeding_) = step;
  if (++tries_ >= kTries) {
    if (unused >= 0) return true;
    if (fitting_ > 0.0) {
      last_step_ = fitting_;
      return false;
    }
    fail(ErrorKind::kNumeric,
         "compress: the levels of {} take {} bits more than are left after {} tries; ask for a "
         "larger size",
         name, -unused, tries_);
  }
  const double wanted = 0.5 * static_cast<double>(most_unused - 2 * unused);
  const double octaves = std::log2(step / tried_step_);  // read after the first try
  const double slope = static_cast<double>(unused - tried_unused_) / octaves;
  // A halved step takes a bit a weight more, and less where many levels are zeros.
  const double most = open_.at(name).weights;
  const bool known = tries_ > 1 && slope > 0.05 * most && slope < 2.0 * most;
  tried_step_ = step;
  tried_unused_ = unused;
  last_step_ = step * std::exp2(wanted / (known ? slope : most));
  const bool bracketed = fitting_ > 0.0 && exceeding_ > 0.0;
  if (bracketed && (last_step_ >= fitting_ || last_step_ <= exceeding_)) {
    last_step_ = std::sqrt(fitting_ * exceeding_);
  }
  return false;
}

}  // namespace sgpt_mi::compress
