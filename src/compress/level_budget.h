#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "sgpt_mi/planning/plan_levels.h"
#include "sgpt_mi/planning/rd_plan.h"

namespace sgpt_mi::compress {

/// Keeps what the levels of a model take together at a plan's budget: what one linear took more or
/// less than predicted changes the step of those after it by little, and the last one is tried
/// until the sum fits.
class LevelBudget {
 public:
  /// \param plan  outlives this.
  explicit LevelBudget(const planning::RdPlan& plan);

  /// The step for the next try of a linear.
  [[nodiscard]] double step_for(const std::string& name) const;

  /// Linears that are not settled.
  [[nodiscard]] std::size_t open() const { return open_.size(); }

  /// Whether a linear may stay as it came out with step_for(): false when it, the last one, is to
  /// be tried again with another step. Throws Error(kNumeric) when it does not fit in any.
  [[nodiscard]] bool accepts(const std::string& name, std::int64_t bits);

  /// Takes note of what a linear took with a step.
  void settle(const std::string& name, double step, std::int64_t bits);

 private:
  [[nodiscard]] std::int64_t left() const { return budget_ - taken_; }
  [[nodiscard]] bool fits_last(const std::string& name, double step, std::int64_t unused);

  std::map<std::string, planning::LevelDemand> open_;
  std::int64_t budget_ = 0;
  std::int64_t taken_ = 0;
  double done_weights_ = 0.0;  // of what was done, and a little doubt
  double extra_bits_ = 0.0;    // that all done took beyond their curves
  // Of the last linear: the step of the next try, 0 before there was one; the finest that fitted
  // and the coarsest that did not.
  double last_step_ = 0.0;
  double fitting_ = 0.0;
  double exceeding_ = 0.0;
  double tried_step_ = 0.0;
  std::int64_t tried_unused_ = 0;
  int tries_ = 0;
};

}  // namespace sgpt_mi::compress
