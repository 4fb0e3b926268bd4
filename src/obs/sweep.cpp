#include "sweep.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <utility>

#include "input.h"
#include "selection.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/kernels/obs_block.h"
#include "sgpt_mi/obs/row_products.h"
#include "sgpt_mi/quant/block_grid.h"
#include "sgpt_mi/quant/tensor_view.h"

namespace sgpt_mi::obs {
namespace {

/// Columns whose errors reach the columns behind them together: with narrow blocks alone all of the
/// weights are read and written for each (measured at 3,072 columns: a tenth of the sweep).
constexpr std::int64_t kFarBlock = 1024;

}  // namespace

Sweep::Sweep(torch::Tensor weight, torch::Tensor upper, const CompressOptions& options)
    : weight_(std::move(weight)), upper_(std::move(upper)), options_(options) {
  const auto like = weight_.options();
  pruned_ = at::zeros(weight_.sizes(), like.dtype(torch::kBool));
  row_loss_ = at::zeros({weight_.size(0)}, like.dtype(torch::kFloat64));
}

void Sweep::weigh_masks(const torch::Tensor& row_weight) {
  mask_weight_ = row_weight.to(weight_.options()).unsqueeze(1);
}

void Sweep::use_mask(torch::Tensor pruned) {
  pruned_ = std::move(pruned);
  options_.sparsity = 0.0;
  options_.prune_n = 0;
  options_.prune_m = 0;
}

void Sweep::use_grid(quant::Grid grid) {
  grid_ = std::move(grid);
  if (grid_.levels) return;
  codes_ = at::empty(weight_.sizes(), weight_.options().dtype(torch::kUInt8));
}

void Sweep::fit_grids(std::optional<int> scale_exponent) {
  fits_grids_ = true;
  if (options_.block_type != nullptr) {
    use_grid(quant::make_block_grid(weight_.size(0), weight_.size(1), *options_.block_type,
                                    weight_.device()));
    column_weight_ = upper_.diagonal().square().reciprocal();
    return;
  }
  scale_exponent_ = scale_exponent;
  use_grid(quant::make_grid(weight_.size(0), weight_.size(1),
                            grid_options(options_, scale_exponent), weight_.device()));
}

void Sweep::weigh_rows(torch::Tensor row_weight) {
  row_weight_ = std::move(row_weight);
  column_loss_ =
      at::zeros({product_count(weight_.size(0), options_.rows.product_rows), weight_.size(1)},
                weight_.options().dtype(torch::kFloat64));
}

void Sweep::run(std::vector<Sweep>& parts, const ranks::World& world) {
  const std::int64_t columns = parts.front().weight_.size(1);
  const std::int64_t block = parts.front().block_size();
  const std::int64_t span = parts.front().far_block_size();
  std::int64_t far_end = 0;
  for (std::int64_t far_first = 0; far_first < columns; far_first = far_end) {
    far_end = std::min(far_first + span, columns);
    for (Sweep& part : parts) part.start_far_block(far_first, far_end);
    for (std::int64_t first = far_first; first < far_end; first += block) {
      check_interrupt();
      const std::int64_t end = std::min(first + block, far_end);
      choose_masks(parts, first, end, world);
      for (Sweep& part : parts) part.run_block(first, end);
    }
    for (Sweep& part : parts) part.subtract(far_first, far_end, far_end, columns);
  }
}

/// The unstructured mask of a block, of all parts and ranks together.
void Sweep::choose_masks(std::vector<Sweep>& parts, std::int64_t first, std::int64_t end,
                         const ranks::World& world) {
  const double sparsity = parts.front().options_.sparsity;
  if (sparsity == 0.0) return;
  std::vector<torch::Tensor> scores;
  scores.reserve(parts.size());
  for (const Sweep& part : parts) scores.push_back(part.scores(first, end));
  const float threshold = falling_score(scores, sparsity, world);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const c10::DeviceGuard guard(scores[i].device());
    parts[i].pruned_.narrow(1, first, end - first).copy_(scores[i].le(threshold));
  }
}

void Sweep::start_far_block(std::int64_t first, std::int64_t end) {
  far_first_ = first;
  far_end_ = end;
  if (error_.defined()) return;
  const std::int64_t kept = end < weight_.size(1) ? end - first : block_size();
  error_ = at::empty({weight_.size(0), kept}, weight_.options());
}

/// All columns of a block, whose unstructured mask is chosen.
void Sweep::run_block(std::int64_t first, std::int64_t end) {
  const c10::DeviceGuard guard(weight_.device());
  std::int64_t begin = first;
  while (begin < end) {
    std::int64_t stop = end;
    if (fits_grids_) {
      if (begin % group_size() == 0) fit_group_at(begin);
      stop = std::min(end, begin + group_size() - begin % group_size());
    }
    step(begin, stop);
    begin = stop;
  }
}

/// The block size asked for, less what an N:M pattern would stick out, at least one pattern.
std::int64_t Sweep::block_size() const {
  const std::int64_t wanted = std::min(options_.blocksize, weight_.size(1));
  if (options_.prune_m == 0) return wanted;
  return std::max(options_.prune_m, wanted - wanted % options_.prune_m);
}

/// Whole blocks, about kFarBlock columns of them; all columns where grids are fitted on the way,
/// because each needs the columns of its group up to date, and a group may pass any border.
std::int64_t Sweep::far_block_size() const {
  if (fits_grids_) return weight_.size(1);
  return std::max<std::int64_t>(1, kFarBlock / block_size()) * block_size();
}

std::int64_t Sweep::group_size() const {
  return options_.block_type != nullptr ? options_.block_type->group
                                        : std::min(options_.groupsize, weight_.size(1));
}

torch::Tensor Sweep::scores(std::int64_t first, std::int64_t end) const {
  const c10::DeviceGuard guard(weight_.device());
  const std::int64_t width = end - first;
  const torch::Tensor diagonal = upper_.diagonal().narrow(0, first, width);
  torch::Tensor scores = weight_.narrow(1, first, width).square().div_(diagonal.square());
  if (mask_weight_.defined()) scores.mul_(mask_weight_);
  return scores;
}

/// A whole block where one begins, a group of it elsewhere. Pruned weights are values of the grid.
void Sweep::fit_blocks_at(std::int64_t first) {
  const blocks::BlockType& type = *options_.block_type;
  const bool begins = first % type.block_elements == 0;
  const std::int64_t width = begins ? type.block_elements : type.group;
  const torch::Tensor weight =
      weight_.narrow(1, first, width).masked_fill(pruned_.narrow(1, first, width), 0.0);
  const torch::Tensor importance = column_weight_.narrow(0, first, width);
  if (begins) {
    quant::fit_block_columns(grid_, first, weight, importance);
  } else {
    quant::fit_block_group(grid_, first / type.group, weight, importance);
  }
}

void Sweep::fit_group_at(std::int64_t first) {
  if (options_.block_type != nullptr) return fit_blocks_at(first);
  const std::int64_t width =
      std::min(group_size(), weight_.size(1) - first);  // the last is smaller
  quant::fit_group(grid_, first / group_size(), weight_.narrow(1, first, width),
                   grid_options(options_, scale_exponent_));
}

void Sweep::step(std::int64_t first, std::int64_t end) {
  const std::int64_t width = end - first;
  const torch::Tensor error = error_of(first, end);
  kernels::ObsBlock block;
  block.weight = quant::view_of<float>(weight_.narrow(1, first, width));
  block.factor =
      quant::view_of<const float>(upper_.narrow(0, first, width).narrow(1, first, width));
  block.pruned = quant::view_of<bool>(pruned_.narrow(1, first, width));
  block.pattern = {options_.prune_n, options_.prune_m};
  block.error = quant::view_of<float>(error);
  block.row_loss = row_loss_.data_ptr<double>();
  if (rounds()) {
    block.grid = grid_.view(first, weight_.size(0));
  }
  if (codes_.defined()) {
    block.codes = quant::view_of<std::uint8_t>(codes_.narrow(1, first, width));
  }
  kernels::obs_block(block, quant::backend_of(weight_));
  if (row_weight_.defined()) sum_columns(first, error);
  subtract(first, end, end, far_end_);
}

void Sweep::sum_columns(std::int64_t first, const torch::Tensor& error) {
  const torch::Tensor squares = error.square();
  torch::Tensor sums = column_loss_.narrow(1, first, error.size(1));
  std::int64_t product = 0;
  for_each_product(
      error.size(0), options_.rows.product_rows, [&](std::int64_t row, std::int64_t rows) {
        sums.narrow(0, product++, 1)
            .copy_(
                row_weight_.narrow(0, row, rows).unsqueeze(0).matmul(squares.narrow(0, row, rows)));
      });
}

/// Where the errors of columns first .. end - 1 are kept: until the far block's end when there are
/// columns behind it, else only for the block.
torch::Tensor Sweep::error_of(std::int64_t first, std::int64_t end) const {
  const bool keeps = far_end_ - far_first_ <= error_.size(1);
  return error_.narrow(1, keeps ? first - far_first_ : 0, end - first);
}

/// W[:, to:stop] -= Err[:, from:end] U[from:end, to:stop].
void Sweep::subtract(std::int64_t from, std::int64_t end, std::int64_t to, std::int64_t stop) {
  if (to == stop) return;
  const c10::DeviceGuard guard(weight_.device());
  add_product(weight_.narrow(1, to, stop - to), error_of(from, end),
              upper_.narrow(0, from, end - from).narrow(1, to, stop - to),
              options_.rows.product_rows, -1.0);
}

}  // namespace sgpt_mi::obs
