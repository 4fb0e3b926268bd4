#pragma once

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

  /// Takes note of what a linear took with step_for(): false when it is to be tried again with
  /// another step. Throws Error(kNumeric) when the last one does not fit in any.
  [[nodiscard]] bool settle(const std::string& name, std::int64_t bits);

 private:
  [[nodiscard]] std::int64_t left() const { return budget_ - taken_; }

  std::map<std::string, planning::LevelDemand> open_;
  std::int64_t budget_ = 0;
  std::int64_t taken_ = 0;
  double done_weights_;
  double extra_bits_ = 0.0;  // that all done took beyond their curves
  double last_step_ = 0.0;   // of the last linear, 0 before it was tried
  int tries_ = 0;            // of the last linear
};

}  // namespace sgpt_mi::compress
