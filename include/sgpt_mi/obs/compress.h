#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sgpt_mi::obs {

/// How one weight matrix is pruned and quantized: METHODS.md section 2.
struct CompressOptions {
  double sparsity = 0.0;         ///< share of weights to zero, [0, 1); 0: none
  std::int64_t prune_n = 0;      ///< zeros in every prune_m weights of a row; 0: unstructured
  std::int64_t prune_m = 0;
  int wbits = 16;                ///< 2..8, or 16: no quantization
  bool symmetric = false;        ///< one-sided code range around (maxq + 1) / 2
  bool mse = false;              ///< clip search over 80 shrinks, sum |q - x|^2.4
  std::int64_t groupsize = -1;   ///< columns that share a grid per row; -1: the whole row
  bool static_groups = false;    ///< grids of all groups from the untouched weights
  bool act_order = false;        ///< columns by diag(H) descending
  double percdamp = 0.01;        ///< share of mean(diag H) added to the diagonal, > 0
  std::int64_t blocksize = 128;  ///< columns updated together

  [[nodiscard]] bool prunes() const { return sparsity > 0.0 || prune_n > 0; }
  [[nodiscard]] bool quantizes() const { return wbits < 16; }

  /// Throws Error(kUsage) naming the field, its value and its range.
  void validate() const;
  /// Throws Error(kUsage) when N:M or the group size does not divide the matrix's columns.
  void validate_for(const std::string& name, std::int64_t columns) const;
};

/// One try to factorise the damped H.
struct DampingStep {
  double percdamp = 0.0;
  bool float64 = false;
  bool succeeded = false;
  double residual = 0.0;  ///< |U H U^T - I| sampled; 0 when the factorisation itself failed
};

/// A compressed weight matrix, as values and as what a packed file needs.
struct CompressedMatrix {
  torch::Tensor weight;           ///< (rows, N) float32: the values to compute with
  torch::Tensor pruned;           ///< (rows, N) bool: true where the mask zeroes
  torch::Tensor codes;            ///< (rows, N) uint8, undefined when not quantized
  torch::Tensor scale;            ///< (rows, G) float32, undefined when not quantized
  torch::Tensor zero_point;       ///< (rows, G) float32, integral values
  torch::Tensor group_of_column;  ///< (N) int32: the grid group of each column
  std::vector<int> bits_of_group; ///< G entries
};

/// A compressed matrix and what it took.
struct CompressResult {
  CompressedMatrix matrix;
  double loss = 0.0;           ///< sum (w - q)^2 / (2 U_jj^2) in the scale of the H given
  double output_error = 0.0;   ///< trace(dW H dW^T)
  double output_energy = 0.0;  ///< trace(W H W^T)
  double sparsity = 0.0;       ///< share of exact zeros in weight
  std::int64_t dead_channels = 0;
  std::vector<DampingStep> damping;  ///< every step of the ladder; the last one succeeded
};

/// SparseGPT: one sweep that prunes, quantizes and compensates.
///
/// \param weight   (rows, N), any float dtype; computed in float32.
/// \param hessian  (N, N) float32 on the same device, undamped; not changed.
/// \param name     of the linear, for messages.
/// \throws Error(kNumeric) naming the linear when the damping ladder is exhausted.
[[nodiscard]] CompressResult compress_sparsegpt(const torch::Tensor& weight,
                                                const torch::Tensor& hessian,
                                                const CompressOptions& options,
                                                const std::string& name);

/// Baseline without compensation: the smallest |w| of the matrix (or of every M) are zeroed, the
/// rest rounded to the nearest code. Same conventions, so that both can stand in one table.
[[nodiscard]] CompressResult compress_magnitude(const torch::Tensor& weight,
                                                const torch::Tensor& hessian,
                                                const CompressOptions& options,
                                                const std::string& name);

}  // namespace sgpt_mi::obs
