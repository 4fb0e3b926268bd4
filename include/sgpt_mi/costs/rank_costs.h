#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/model/model.h"

namespace sgpt_mi::costs {

/// What the time of a compression and the bytes between its ranks depend on.
struct CostQuestion {
  const model::Model& model;
  torch::ScalarType walk_type = torch::kFloat32;  ///< in which calibration windows pass through
  std::int64_t windows = 0;                       ///< that calibrate
  std::int64_t seqlen = 0;
  std::int64_t batch_windows = 4;
  std::int64_t measured_windows = 0;  ///< of a measured plan; 0: there is none
  bool backward_pass = false;         ///< sensitivities by one
  bool true_sequential = false;
  bool dense_stream = false;       ///< followed beside the compressed one, with its drift
  bool residual_drift = false;     ///< and the residual stream's
  double descents = 0.0;           ///< sweeps of descents around the sweep
  std::int64_t product_rows = 0;   ///< that walk::share_rows() goes by
  std::int64_t result_bytes = 4;   ///< of a weight as ranks tell it: value, mask, code
  std::int64_t row_bytes = 0;      ///< of one whose rows they share: what goes to and fro
  std::int64_t scored_tokens = 0;  ///< of all evaluation sets
};

/// What a machine does in a second.
struct Rates {
  double walk = 0.0;     ///< operations of matrix products in the walk's type
  double wide = 0.0;     ///< of those in float32
  double sweeps = 0.0;   ///< of column loops and what follows them, in float32
  double factors = 0.0;  ///< of factorisations, in float32
  double wire = 0.0;     ///< bytes between two ranks
  double column = 0.0;   ///< seconds, not a rate: a step to the next column of a sweep
  std::string source;    ///< where these are from, for people
};

/// Of this machine's CPU, by products of 1,024 x 1,024 on LibTorch's threads (about 0.3 s), of
/// which forwards and column loops reach a share; the wire 1 GB/s.
[[nodiscard]] Rates measured_rates(torch::ScalarType walk_type);

/// Assumed of one H200: 60 % of its 989 Tflop/s in 16 bits, of 67 in float32 70 % in products and
/// 15 % in factorisations, 0.7 microseconds a column of a sweep whatever its rows, 25 GB/s between
/// ranks.
[[nodiscard]] Rates gpu_rates();

/// What a run takes on some ranks.
struct RankCosts {
  /// Of the rank with most of each stage: "forward", "H", "OBS", "scoring", "exchange".
  std::vector<std::pair<std::string, double>> seconds;
  std::int64_t sum_bytes = 0;     ///< a block's sums, over all wires
  std::int64_t result_bytes = 0;  ///< a block's compressed linears, over all wires
  std::int64_t all_bytes = 0;     ///< of the whole compression: blocks, and the measuring pass

  [[nodiscard]] double total() const;
};

/// Counts operations and bytes as calib, walk, obs and ranks have them; an expectation, not a
/// measurement. Bytes are those of tensors, without their headers.
[[nodiscard]] RankCosts rank_costs(const CostQuestion& question, const Rates& rates, int ranks);

}  // namespace sgpt_mi::costs
