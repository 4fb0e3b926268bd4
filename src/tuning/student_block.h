#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/tuning/tune_model.h"
#include "tuned.h"

namespace sgpt_mi::tuning {

/// A block of the compressed model, with what is tuned in it.
class StudentBlock {
 public:
  /// \param student  without the compressed linears.
  /// \param linears  of all blocks.
  StudentBlock(const model::Model& student, std::int64_t layer, const model::Placement& placement,
               const std::vector<CompressedLinear>& linears);

  /// The block with its tuned tensors as they are at present.
  [[nodiscard]] std::unique_ptr<model::Block> load() const;

  /// Moves what is tuned by one step, and returns the gradient at the input.
  /// \param input, gradient  (B, T, hidden), of the block's input and at its output.
  [[nodiscard]] torch::Tensor step(const torch::Tensor& input, const torch::Tensor& gradient,
                                   const AdamStep& adam);

  /// Multiplies the way from the start by a factor.
  void scale(double factor);

  /// Sets everything to what is stored: the block's linears in `linears`, and appends its norms and
  /// biases to `tensors`. load() gives these from then on.
  void settle(const formats::SavedTypes& types, std::vector<CompressedLinear>& linears,
              std::vector<std::pair<std::string, torch::Tensor>>& tensors);

 private:
  struct Linear {
    std::size_t index;  ///< in the list of all
    std::string short_name;
    TunedMatrix matrix;
  };
  struct Vector {
    std::string short_name;  ///< of the norm's parameter, or of the linear
    std::string name;        ///< in the checkpoint
    bool is_bias;
    TunedVector vector;
  };

  void add_vectors(const model::Block& block);
  [[nodiscard]] torch::Tensor tensor_of(const model::Block& block, const Vector& vector) const;

  const model::Model& student_;
  std::int64_t layer_;
  model::Placement placement_;
  std::vector<Linear> linears_;
  std::vector<Vector> vectors_;
};

}  // namespace sgpt_mi::tuning
