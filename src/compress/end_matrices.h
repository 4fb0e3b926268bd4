#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/planning/measurements.h"
#include "sgpt_mi/planning/rd_plan.h"

namespace sgpt_mi::compress {

/// The embedding and the head of a model that is written in blocks: they are no linears of a block,
/// see every token, and are rounded to the nearest values without compensation.
class EndMatrices {
 public:
  /// The matrices that settings.types has types for, or plans.
  explicit EndMatrices(const BlockRun& run);

  /// Adds the damage of each possible type to what a plan chooses from: KL from the dense model, in
  /// nats a token, on the windows that plans are measured with, with this one matrix rounded.
  /// Cost: a forward pass of those windows a type.
  void measure(planning::Measurements& measurements) const;

  /// Hands the matrices to the store in their types, by name or as the plan chose, and notes these.
  /// Their values also go to `copy`, unless it is null.
  void finish(const planning::RdPlan* plan, std::map<std::string, const blocks::BlockType*>& types,
              formats::WeightStore* copy) const;

 private:
  const BlockRun& run_;
  std::vector<formats::MatrixShape> matrices_;
};

}  // namespace sgpt_mi::compress
