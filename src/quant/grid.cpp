#include "sgpt_mi/quant/grid.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/fit_grid.h"
#include "sgpt_mi/quant/tensor_view.h"

namespace sgpt_mi::quant {
namespace {

std::int64_t group_size_for(std::int64_t columns, const GridOptions& options) {
  if (options.groupsize == -1) return columns;
  if (columns % options.groupsize != 0) {
    fail(ErrorKind::kUsage,
         "quant: groupsize is {}, the matrix has {} columns; the group size must divide them; "
         "choose another --groupsize",
         options.groupsize, columns);
  }
  return options.groupsize;
}

float max_code_of(int bits) { return static_cast<float>((1 << bits) - 1); }

/// Fits the groups whose scale and zero point are the given columns of a grid.
void fit(const torch::Tensor& weight, const GridOptions& options, const torch::Tensor& scale,
         const torch::Tensor& zero_point) {
  kernels::GridFit request;
  request.weight = view_of<const float>(weight);
  request.scale = view_of<float>(scale);
  request.zero = view_of<float>(zero_point);
  request.group_size = weight.size(1) / scale.size(1);
  request.max_code = max_code_of(options.bits);
  request.symmetric = options.symmetric;
  request.clip_search = options.mse;
  kernels::fit_grid(request, backend_of(weight));
}

/// Per-group values (rows, G) spread over the columns, (rows, N); (rows, 1) stays as it is.
torch::Tensor over_columns(const torch::Tensor& per_group, const Grid& grid) {
  if (per_group.size(-1) == 1) return per_group;
  return per_group.index_select(-1, grid.group_of_column);
}

}  // namespace

void GridOptions::validate() const {
  if (bits < 2 || bits > 8) {
    fail(ErrorKind::kUsage, "quant: bits is {}; a grid has 2 to 8; choose one of them", bits);
  }
  if (groupsize != -1 && groupsize < 1) {
    fail(ErrorKind::kUsage,
         "quant: groupsize is {}; expected a positive number of columns, or -1 for whole rows",
         groupsize);
  }
}

kernels::GridView Grid::view(std::int64_t first) const {
  return {view_of<const float>(scale), view_of<const float>(zero_point),
          group_of_column.data_ptr<std::int32_t>() + first, max_code.data_ptr<float>()};
}

Grid make_grid(std::int64_t rows, std::int64_t columns, const GridOptions& options,
               torch::Device device) {
  options.validate();
  const std::int64_t group_size = group_size_for(columns, options);
  const std::int64_t groups = columns / group_size;
  const auto floats = torch::TensorOptions().dtype(torch::kFloat32).device(device);
  Grid grid;
  grid.scale = at::ones({rows, groups}, floats);
  grid.zero_point = at::zeros({rows, groups}, floats);
  grid.group_of_column =
      at::arange(columns, floats.dtype(torch::kInt64)).floor_divide(group_size).to(torch::kInt32);
  grid.max_code = at::full({groups}, max_code_of(options.bits), floats);
  grid.bits_of_group.assign(static_cast<std::size_t>(groups), options.bits);
  return grid;
}

void fit_group(Grid& grid, std::int64_t group, const torch::Tensor& weight,
               const GridOptions& options) {
  fit(weight, options, grid.scale.narrow(1, group, 1), grid.zero_point.narrow(1, group, 1));
}

Grid find_grid(const torch::Tensor& weight, const GridOptions& options) {
  Grid grid = make_grid(weight.size(0), weight.size(1), options, weight.device());
  fit(weight, options, grid.scale, grid.zero_point);
  return grid;
}

torch::Tensor quantize(const torch::Tensor& weight, const Grid& grid) {
  torch::Tensor code = weight / over_columns(grid.scale, grid);
  code.round_().add_(over_columns(grid.zero_point, grid));
  code = at::minimum(code.clamp_min_(0), over_columns(grid.max_code.unsqueeze(0), grid));
  return code.to(torch::kUInt8);
}

torch::Tensor dequantize(const torch::Tensor& codes, const Grid& grid) {
  torch::Tensor value = codes.to(torch::kFloat32).sub_(over_columns(grid.zero_point, grid));
  return value.mul_(over_columns(grid.scale, grid));
}

}  // namespace sgpt_mi::quant
