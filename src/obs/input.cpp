#include "input.h"

#include <ATen/ops/isfinite.h>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/quant/block_grid.h"

namespace sgpt_mi::obs {
namespace {

void check_finite(const torch::Tensor& matrix, const char* what, const std::string& name) {
  // The extremes are NaN if any element is: one pass.
  const auto [least, largest] = matrix.aminmax();
  if (at::isfinite(least).logical_and(at::isfinite(largest)).item<bool>()) return;
  const torch::Tensor place = at::isfinite(matrix).logical_not().nonzero()[0];
  const auto row = place[0].item<std::int64_t>();
  const auto column = place[1].item<std::int64_t>();
  fail(ErrorKind::kNumeric,
       "obs: the {} of {} is {} at row {}, column {}; expected finite values; check the checkpoint "
       "and the calibration text",
       what, name, matrix[row][column].item<float>(), row, column);
}

}  // namespace

void check_input(const torch::Tensor& weight, const torch::Tensor& hessian,
                 const CompressOptions& options, const std::string& name) {
  ensure(weight.dim() == 2 && weight.numel() > 0 && weight.is_floating_point(),
         "obs: weight is not a floating-point matrix");
  const std::int64_t columns = weight.size(1);
  ensure(hessian.dim() == 2 && hessian.size(0) == columns && hessian.size(1) == columns,
         "obs: H is not (columns, columns) of the weight");
  ensure(hessian.device() == weight.device(), "obs: H is not on the weight's device");
  options.validate();
  options.validate_for(name, columns);
  check_finite(weight, "weight", name);
}

void check_hessian(const torch::Tensor& hessian, const std::string& name) {
  ensure(hessian.dim() == 2 && hessian.size(0) == hessian.size(1) &&
             hessian.scalar_type() == torch::kFloat32,
         "obs: H is not a square float32 matrix");
  check_finite(hessian, "second moment H", name);
}

std::optional<int> scale_exponent(const torch::Tensor& weight, const CompressOptions& options) {
  if (!options.stored_scales || !options.quantizes()) return std::nullopt;
  return options.stored_exponent ? options.stored_exponent : quant::scale_exponent_for(weight);
}

quant::Grid find_static_grid(const torch::Tensor& weight, const CompressOptions& options,
                             std::optional<int> scale_exponent) {
  const quant::GridOptions grid = grid_options(options, scale_exponent);
  return options.groups ? quant::find_grid(weight, *options.groups, grid)
                        : quant::find_grid(weight, grid);
}

quant::Grid find_block_grid(const torch::Tensor& weight, const torch::Tensor& diagonal,
                            const blocks::BlockType& type) {
  quant::Grid grid = quant::make_block_grid(weight.size(0), weight.size(1), type, weight.device());
  quant::fit_block_columns(grid, 0, weight, diagonal);
  return grid;
}

bool fits_grids_in_sweep(const CompressOptions& options) {
  const bool before = options.static_groups || options.refine.grid_after_mask;
  if (options.block_type != nullptr) return true;
  if (options.levels) return false;
  return options.quantizes() && !options.groups && options.groupsize != -1 && !before;
}

quant::GridOptions grid_options(const CompressOptions& options, std::optional<int> scale_exponent) {
  quant::GridOptions grid;
  grid.scale_exponent = scale_exponent;
  grid.bits = options.wbits;
  grid.symmetric = options.symmetric;
  grid.clip = options.mse ? quant::ClipSearch::kGptq : quant::ClipSearch::kNone;
  grid.groupsize = options.groupsize;
  return grid;
}

}  // namespace sgpt_mi::obs
