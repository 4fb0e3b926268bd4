#pragma once

#include <string>
#include <vector>

#include "level_budget.h"
#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/planning/measurements.h"
#include "sgpt_mi/planning/output_fisher.h"

namespace sgpt_mi::compress {

/// Embedding and head as levels for an entropy coder, with the same step as the linears.
///
/// An error e in the head's row v moves one logit by e h, which costs 1/2 E[p_v (1 - p_v)] (e h)^2
/// nats; one in the embedding of token t costs 1/2 p_t e G e, G the second moment of the loss's
/// gradient where embeddings enter. So the head is a linear whose rows weigh E p (1 - p) and whose
/// input is h, the embedding one whose rows weigh E p and whose H is G; a matrix that is both has
/// the sum of both, its rows' weights and one H in the proportions of the traces. Probabilities are
/// the model's own, means over calibration text: they are above 0 for tokens that no text shows.
/// Of the rows' weights the square root is taken, with the mean as it was: other texts have other
/// rare tokens, and an error that is large enough to change which token is likeliest costs more
/// than its square. SmolLM2, one block compressed, text of PTB, WikiText and TinyStories that
/// nothing else is measured on: KL 0.048 at 3.0 bits a weight of the table, 0.413 at 1.6 bits with
/// the weights as they are, 0.053 at 3.6 bits with equal weights.
class EndLevels {
 public:
  /// The matrices of settings.level_ends.
  explicit EndLevels(const BlockRun& run);

  /// What planning::measure_model() fills on the way.
  [[nodiscard]] planning::EndMoments& moments() { return moments_; }

  /// Takes the moments from the run's journal, where they are in it.
  void recall();

  /// Adds the matrices' levels to what a plan chooses from; makes the moments where nobody did, and
  /// keeps them in the run's journal.
  void measure(planning::Measurements& measurements);

  /// Compresses the matrices at the plan's step, or at the budget's where they count in it, and
  /// hands them to the run's store; the values also to `copy`, on every rank.
  void compress(const planning::RdPlan& plan, LevelBudget& budget, formats::WeightStore& copy,
                BlockResult& result);

 private:
  struct End {
    formats::MatrixShape shape;
    obs::PreparedInput input;
    torch::Tensor row_weight;  // f (rows) float64, floored
  };

  void complete_moments();
  [[nodiscard]] torch::Tensor weight_of(const formats::MatrixShape& shape) const;
  void weigh(End& end) const;
  [[nodiscard]] std::int64_t store(const End& end, const obs::CompressedMatrix& matrix,
                                   const containers::TensorData& dense, BlockResult& result) const;
  [[nodiscard]] obs::CompressedMatrix compress_rows(const End& end, double step) const;

  const BlockRun& run_;
  planning::EndMoments moments_;
  std::vector<End> ends_;
};

}  // namespace sgpt_mi::compress
