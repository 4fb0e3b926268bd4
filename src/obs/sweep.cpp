#include "sweep.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "input.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/kernels/obs_block.h"
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

void Sweep::use_mask(torch::Tensor pruned) {
  pruned_ = std::move(pruned);
  options_.sparsity = 0.0;
  options_.prune_n = 0;
  options_.prune_m = 0;
}

void Sweep::use_grid(quant::Grid grid) {
  grid_ = std::move(grid);
  codes_ = at::empty(weight_.sizes(), weight_.options().dtype(torch::kUInt8));
}

void Sweep::fit_grids(std::optional<int> scale_exponent) {
  scale_exponent_ = scale_exponent;
  use_grid(quant::make_grid(weight_.size(0), weight_.size(1),
                            grid_options(options_, scale_exponent), weight_.device()));
  fits_grids_ = true;
}

void Sweep::weigh_rows(torch::Tensor row_weight) {
  row_weight_ = std::move(row_weight);
  column_loss_ = at::zeros({weight_.size(1)}, weight_.options().dtype(torch::kFloat64));
}

void Sweep::run() {
  const std::int64_t columns = weight_.size(1);
  const std::int64_t span = far_block_size();
  error_ = at::empty({weight_.size(0), columns > span ? span : block_size()}, weight_.options());
  for (far_first_ = 0; far_first_ < columns; far_first_ = far_end_) {
    far_end_ = std::min(far_first_ + span, columns);
    for (std::int64_t first = far_first_; first < far_end_; first += block_size()) {
      check_interrupt();
      run_block(first, std::min(first + block_size(), far_end_));
    }
    subtract(far_first_, far_end_, far_end_, columns);
  }
}

void Sweep::run_block(std::int64_t first, std::int64_t end) {
  if (options_.sparsity > 0.0) choose_mask(first, end);
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

double Sweep::loss() const { return row_loss_.sum().item<double>(); }

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

std::int64_t Sweep::group_size() const { return weight_.size(1) / grid_.scale.size(1); }

void Sweep::choose_mask(std::int64_t first, std::int64_t end) {
  const std::int64_t width = end - first;
  const torch::Tensor diagonal = upper_.diagonal().narrow(0, first, width);
  const torch::Tensor score = weight_.narrow(1, first, width).square().div_(diagonal.square());
  pruned_.narrow(1, first, width).copy_(prune_lowest(score, options_.sparsity));
}

void Sweep::fit_group_at(std::int64_t first) {
  quant::fit_group(grid_, first / group_size(), weight_.narrow(1, first, group_size()),
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
    block.codes = quant::view_of<std::uint8_t>(codes_.narrow(1, first, width));
  }
  kernels::obs_block(block, quant::backend_of(weight_));
  if (row_weight_.defined()) {
    column_loss_.narrow(0, first, width).copy_(row_weight_.unsqueeze(0).matmul(error.square())[0]);
  }
  subtract(first, end, end, far_end_);
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
  weight_.narrow(1, to, stop - to)
      .addmm_(error_of(from, end), upper_.narrow(0, from, end - from).narrow(1, to, stop - to), 1,
              -1);
}

}  // namespace sgpt_mi::obs
