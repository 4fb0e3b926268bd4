#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/cholesky/factor.h"
#include "sgpt_mi/quant/grid.h"
#include "sgpt_mi/ranks/world.h"

namespace sgpt_mi::obs {

/// Steps around the column sweep that lower trace(E H' E^T), E = Q - W, H' the damped H:
/// src/obs/README.md, steps 6 to 10. All off: SparseGPT as published.
struct RefineOptions {
  /// Sweeps of L0 coordinate descent that choose the support again, over the whole matrix (or
  /// within each N:M pattern), after a SparseGPT sweep that only prunes.
  std::int64_t l0_sweeps = 0;
  std::int64_t refit_iterations = 0;  ///< of conjugate gradients on the kept weights
  bool grid_after_mask = false;       ///< grids fitted to the kept, refitted weights only
  bool weighted_clip = false;         ///< clip search over 32 shrinks, sum H'_jj |q - x|^2.4
  std::int64_t polish_sweeps = 0;     ///< of coordinate descent on the codes
  bool scale_step = false;            ///< least-squares scales before each polish sweep

  [[nodiscard]] bool any() const {
    return prunes_first() || weighted_clip || polish_sweeps > 0 || scale_step;
  }
  /// Whether the mask is complete before any code is chosen.
  [[nodiscard]] bool prunes_first() const {
    return l0_sweeps > 0 || refit_iterations > 0 || grid_after_mask;
  }
};

/// Where the rows of one matrix are worked on. Rows meet only in thresholds and sums, so they can
/// be shared by several devices of one kind, or by several ranks, and the result has the bytes that
/// it has on one of them.
struct RowPlacement {
  /// The devices, the weight's first; each takes a run of neighbouring rows. Empty: the weight's.
  std::vector<torch::Device> devices;
  /// Rows of one matrix product, a multiple of 64; 0: all, which leaves nothing to share. A device
  /// or rank gets whole products, so that their shapes, and with them their rounding, do not depend
  /// on how many there are. Another number may round otherwise.
  std::int64_t product_rows = 0;
  /// The ranks that work on the matrix together: each calls with the same arguments, takes a run of
  /// neighbouring rows, where shares_rows() says so, and has the whole result.
  ranks::World world = {};
};

/// Codes of any size for an entropy coder, on steps that follow from what errors cost.
///
/// OBS with H'^-1 = U^T U leaves sum_rj (w - q)_rj^2 / U_jj^2 of a linear's error, which row r's
/// weight f_r turns into loss. Rounding to multiples of a step D adds D^2 / 12 to the square and
/// takes h(w) - log2 D bits, so at equal gain a bit everywhere
///
///     D(r, j) = step * f_r^(-1/2) * U_jj ,
///
/// with one `step` for the whole model (reverse water-filling; where D exceeds the spread of a
/// column its codes become zeros by themselves). f is CompressOptions::row_weight, 1 without; U_jj
/// counts as at least a tenth of its median: what few tokens show is not believed further.
struct LevelOptions {
  double step = 0.0;  ///< > 0
  /// quant::LevelGrid::row_exponent; unset: one that suits these rows.
  std::optional<int> row_exponent = std::nullopt;
};

/// f (rows) float64, at least 1 % of its mean; ones where all is 0.
[[nodiscard]] torch::Tensor floored_row_weight(const torch::Tensor& row_weight);

/// How one weight matrix is pruned and quantized: see compress_sparsegpt().
struct CompressOptions {
  double sparsity = 0.0;     ///< share of weights to zero, [0, 1); 0: none
  std::int64_t prune_n = 0;  ///< zeros in every prune_m weights of a row; 0: unstructured
  std::int64_t prune_m = 0;
  std::string pattern_typed;    ///< how the user wrote it, for messages; empty: as N:M kept
  int wbits = 16;               ///< 2..8, or 16: no quantization
  bool symmetric = false;       ///< one-sided code range around (maxq + 1) / 2
  bool mse = false;             ///< clip search over 80 shrinks, sum |q - x|^2.4
  std::int64_t groupsize = -1;  ///< columns that share a grid per row; -1: the whole row
  bool static_groups = false;   ///< grids of all groups from the untouched weights
  bool act_order = false;       ///< columns by diag(H) descending, equal ones as they come
  bool stored_scales = false;   ///< round scales to a file's float16 before they are used
  /// With stored_scales: the power of 2 that float16 scales are multiplied by. Unset: one that
  /// suits each matrix, as packed files have it.
  std::optional<int> stored_exponent;
  /// Weights are rounded to blocks of this type of ggml's, instead of integer grids of wbits and
  /// groupsize. nullptr: integer grids.
  const blocks::BlockType* block_type = nullptr;
  /// Columns in groups of their own widths, instead of wbits and groupsize. Unset: all alike.
  std::optional<quant::ColumnGroups> groups;
  /// f (rows) float64, > 0, of floored_row_weight(): how much a squared error of each output counts
  /// where rows compete, for kept weights (unstructured) and for bits (levels). Undefined: alike.
  torch::Tensor row_weight;
  /// Levels for an entropy coder, instead of codes of wbits. Unset: codes.
  std::optional<LevelOptions> levels;
  double percdamp = 0.01;        ///< share of mean(diag H) added to the diagonal, (0, 1]
  std::int64_t blocksize = 128;  ///< columns updated together
  RefineOptions refine;
  RowPlacement rows;

  [[nodiscard]] bool prunes() const { return sparsity > 0.0 || prune_n > 0; }
  [[nodiscard]] bool quantizes() const {
    return wbits < 16 || groups.has_value() || block_type != nullptr || levels.has_value();
  }

  /// Throws Error(kUsage) naming the field, its value and its range, or the two fields that exclude
  /// each other: a sparsity and a pattern, a pattern and act_order, groups that cut a pattern.
  void validate() const;
  /// Of prune_m > 0, as typed and in words: "--pattern 3:4 (1 of every 4 weights is zero)".
  [[nodiscard]] std::string pattern_text() const;
  /// Throws Error(kUsage) when N:M or the blocks do not divide the matrix's columns. The last group
  /// of groupsize columns may be smaller, as in GPTQ's code.
  void validate_for(const std::string& name, std::int64_t columns) const;
};

/// Whether the ranks of options.rows share a matrix of so many rows: each has a product of its own,
/// and the rows share no grids. Else each works on all rows.
[[nodiscard]] bool shares_rows(std::int64_t rows, const CompressOptions& options);

/// A compressed weight matrix, as values and as what a packed file needs.
struct CompressedMatrix {
  torch::Tensor weight;            ///< (rows, N) float32: the values to compute with
  torch::Tensor pruned;            ///< (rows, N) bool: true where the mask zeroes
  torch::Tensor codes;             ///< (rows, N) uint8, undefined when not quantized
  torch::Tensor scale;             ///< (rows, G) or (1, G) float32, undefined when not quantized
  torch::Tensor zero_point;        ///< of scale's shape, float32, integral values
  torch::Tensor group_of_column;   ///< (N) int32: the grid group of each column
  std::vector<int> bits_of_group;  ///< G entries
  torch::Tensor offset;            ///< of scale's shape, of blocks with offsets; else undefined
  std::optional<quant::BlockFactors> blocks;  ///< of a matrix in blocks
  /// With stored_scales: scale is float16 times 2 to this power.
  std::optional<int> scale_exponent;
  /// With levels: the steps, instead of scale and zero_point, and (rows, N) int16 instead of codes.
  std::optional<quant::LevelGrid> level_grid;
  torch::Tensor levels;
};

/// H of one distinct input, factorised once for all linears that read it.
struct PreparedInput {
  torch::Tensor hessian;       ///< (N, N) float32, undamped, as given
  torch::Tensor upper;         ///< U (N, N) float32 of the damped H in the sweep's column order
  torch::Tensor column_order;  ///< (N) int64: column at each place of the sweep; undefined: natural
  std::vector<cholesky::DampingStep> damping;  ///< every step of the ladder; the last one succeeded
  /// The same on each further device of CompressOptions::rows, in their order.
  std::vector<PreparedInput> copies;

  /// Diagonal of the damped H's inverse, sum_i U_ij^2, (N) float64 in the natural column order.
  [[nodiscard]] torch::Tensor inverse_diagonal() const;
  /// H' (N, N) float32 in the natural column order: what `upper` factorises. A new matrix.
  [[nodiscard]] torch::Tensor damped() const;
  /// An estimate from below of H's condition after damping, largest by smallest eigenvalue: eight
  /// power iterations on H' and on H'^-1 = U^T U, which come within a factor of about 2 of each.
  /// Cost: 24 N^2 multiply-adds.
  [[nodiscard]] double condition() const;
};

/// A compressed matrix and what it took.
struct CompressResult {
  CompressedMatrix matrix;
  double loss = 0.0;           ///< sum (w - q)^2 / (2 U_jj^2) in the scale of the H given
  double output_error = 0.0;   ///< trace(dW H dW^T)
  double output_energy = 0.0;  ///< trace(W H W^T)
  torch::Tensor row_error;     ///< (rows) float64, CPU: the diagonal of dW H dW^T
  double sparsity = 0.0;       ///< share of exact zeros in weight
  std::int64_t dead_channels = 0;
  std::vector<cholesky::DampingStep> damping;  ///< every step of the ladder; the last one succeeded
  /// Seconds of the steps of RefineOptions: "support", "refit", "grid", "sweep", "polish".
  std::map<std::string, double> seconds;
};

/// Factorises H for the sweep; uses options.percdamp and options.act_order, and copies the result
/// to the devices of options.rows.
///
/// Cost: 2 N^3 / 3 multiply-adds, four (N, N) temporaries.
/// \throws Error(kNumeric) naming `name` when H is not finite or the damping ladder is exhausted.
[[nodiscard]] PreparedInput prepare_input(const torch::Tensor& hessian,
                                          const CompressOptions& options, const std::string& name);

/// SparseGPT / GPTQ: one sweep over the columns that prunes, quantizes and moves every column's
/// error to the columns after it, so that trace(dW H dW^T) stays small.
///
///     H' = H + percdamp * mean(diag H) I,      H'^-1 = U^T U,      score = w_j^2 / U_jj^2
///     per column j:  e = (w_j - q_j) / U_jj,   W[:, j+1:] -= e U[j, j+1:]
///
/// (Frantar & Alistarh 2023, arXiv 2301.00774; Frantar et al. 2022, 2210.17323.) Conventions:
/// * Channels with H_jj = 0 are dead: their column is zeroed, their diagonal counts as 1.
/// * An unstructured mask is chosen per block of `blocksize` columns from the weights as updated by
///   then; the threshold is element int(count * sparsity) of the block's sorted scores, each times
///   its row's weight, and falls too.
/// * An N:M mask is chosen per row and M columns when the sweep arrives there, the leftmost of
/// equal
///   scores first. A block size that M does not divide is rounded down to a multiple, at least M.
/// * Whole-row grids and static groups are fitted to the untouched weights, dead columns included;
///   other groups to the weights with the errors of all columns before the group.
/// * Groups of their own widths are fitted to the untouched weights too.
/// * With act_order the sweep takes columns by diag(H) descending; the result is in natural order.
///   Without static_groups a group is then a run of sorted columns: see group_of_column.
///
/// With options.refine the steps of src/obs/README.md go around the sweep, each for itself:
/// a sweep that only prunes, L0 coordinate descent on the support, a refit of the kept weights,
/// grids fitted to these, the quantizing sweep with that mask and those grids, and coordinate
/// descent on the codes and scales. L0 descent zeroes exactly floor(rows * N * sparsity) weights;
/// kept weights whose final code means 0 join the mask of an unstructured result. `loss` is then
/// output_error / 2.
///
/// With options.levels every weight takes the level of least cost, kernels::LevelView: the error
/// that OBS leaves, (f_r D^2 / step^2) (x - k)^2 / U_jj^2 in units of a step, plus
/// quant::kBitPrice a bit of the level. What a level takes is read off those of the whole matrix:
/// before the sweep of the nearest ones, before each sweep of the polish of the current ones. The
/// steps of rows then take their least-squares values. A matrix with levels stays on one device.
///
/// Results do not depend on the number of threads beyond the rounding of matrix products, nor on
/// the number of devices or ranks of options.rows. A matrix whose rows share grids
/// (GridSharing::kColumn, kGroup) stays on the first device, and every rank works on all of it;
/// levels stay on one device.
///
/// \param weight   (rows, N), any floating dtype, CPU or CUDA; computed in float32; not changed.
/// \param hessian  (N, N) float32 on the same device, symmetric, undamped; not changed. Its scale
///                 only scales loss, output_error and output_energy.
/// \param name     of the linear, for messages.
///
/// Cost: 2 N^3 / 3 multiply-adds for U, rows * N^2 / 2 for the sweep, rows * N^2 for the two
/// traces; five (N, N) and four (rows, N) temporaries. The clip search adds 80 passes over the
/// weights. Each sweep of coordinate descent, each scale step and each iteration of the refit adds
/// rows * N^2 multiply-adds.
///
/// \throws Error(kUsage)    options that contradict each other or the columns.
/// \throws Error(kNumeric)  naming the linear: weight or H not finite, damping ladder exhausted,
///                          compressed weights not finite.
/// \throws Error(kInternal) tensors of other shapes, types or devices.
[[nodiscard]] CompressResult compress_sparsegpt(const torch::Tensor& weight,
                                                const torch::Tensor& hessian,
                                                const CompressOptions& options,
                                                const std::string& name);

/// The same with H factorised before, by prepare_input with the same options.
[[nodiscard]] CompressResult compress_sparsegpt(const torch::Tensor& weight,
                                                const PreparedInput& input,
                                                const CompressOptions& options,
                                                const std::string& name);

/// Baseline without compensation: the smallest |w| are zeroed, the rest is rounded to the nearest
/// value of grids fitted to the untouched weights. One threshold for the whole matrix, element
/// int(count * sparsity) of the sorted |w|, which falls too; with a pattern the N smallest of every
/// M, the leftmost of equal ones.
///
/// Parameters, measures and errors as compress_sparsegpt; percdamp, blocksize, act_order and
/// static_groups have no effect, the damping is empty, and loss is output_error / 2: what the
/// sweep's loss is for an undamped H, so that both stand in one table.
[[nodiscard]] CompressResult compress_magnitude(const torch::Tensor& weight,
                                                const torch::Tensor& hessian,
                                                const CompressOptions& options,
                                                const std::string& name);

}  // namespace sgpt_mi::obs
