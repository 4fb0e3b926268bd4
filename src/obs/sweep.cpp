#include "sweep.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <utility>

#include "input.h"
#include "row_products.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/kernels/obs_block.h"
#include "sgpt_mi/quant/tensor_view.h"

namespace sgpt_mi::obs {

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
  column_loss_ =
      at::zeros({product_count(weight_.size(0), options_.rows.product_rows), weight_.size(1)},
                weight_.options().dtype(torch::kFloat64));
}

void Sweep::run(std::vector<Sweep>& parts) {
  const std::int64_t columns = parts.front().weight_.size(1);
  const std::int64_t block = parts.front().block_size();
  const double sparsity = parts.front().options_.sparsity;
  for (std::int64_t first = 0; first < columns; first += block) {
    check_interrupt();
    const std::int64_t end = std::min(first + block, columns);
    if (sparsity > 0.0) {
      std::vector<torch::Tensor> scores;
      scores.reserve(parts.size());
      for (const Sweep& part : parts) scores.push_back(part.scores(first, end));
      const float threshold = falling_score(scores, sparsity);
      for (std::size_t i = 0; i < parts.size(); ++i) {
        const c10::DeviceGuard guard(scores[i].device());
        parts[i].pruned_.narrow(1, first, end - first).copy_(scores[i].le(threshold));
      }
    }
    for (Sweep& part : parts) part.run_block(first, end);
  }
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

std::int64_t Sweep::group_size() const { return weight_.size(1) / grid_.scale.size(1); }

torch::Tensor Sweep::scores(std::int64_t first, std::int64_t end) const {
  const c10::DeviceGuard guard(weight_.device());
  const std::int64_t width = end - first;
  const torch::Tensor diagonal = upper_.diagonal().narrow(0, first, width);
  return weight_.narrow(1, first, width).square().div_(diagonal.square());
}

void Sweep::fit_group_at(std::int64_t first) {
  quant::fit_group(grid_, first / group_size(), weight_.narrow(1, first, group_size()),
                   grid_options(options_, scale_exponent_));
}

void Sweep::step(std::int64_t first, std::int64_t end) {
  const std::int64_t width = end - first;
  if (!error_.defined()) error_ = at::empty({weight_.size(0), block_size()}, weight_.options());
  const torch::Tensor error = error_.narrow(1, 0, width);
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
  if (row_weight_.defined()) sum_columns(first, error);
  update_tail(first, end, error);
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

/// W[:, end:] -= Err U[first:end, end:].
void Sweep::update_tail(std::int64_t first, std::int64_t end, const torch::Tensor& error) {
  const std::int64_t rest = weight_.size(1) - end;
  if (rest == 0) return;
  add_product(weight_.narrow(1, end, rest), error,
              upper_.narrow(0, first, end - first).narrow(1, end, rest), options_.rows.product_rows,
              -1.0);
}

}  // namespace sgpt_mi::obs
