#include "sgpt_mi/quant/grid.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/fit_grid.h"
#include "sgpt_mi/quant/block_grid.h"
#include "sgpt_mi/quant/tensor_view.h"

namespace sgpt_mi::quant {
namespace {

std::int64_t group_size_for(std::int64_t columns, const GridOptions& options) {
  return options.groupsize == -1 ? columns : std::min(options.groupsize, columns);
}

float max_code_of(int bits) { return static_cast<float>((1 << bits) - 1); }

/// Ranges that a clip search compares, and how much narrower each is than the one before.
struct ClipTrials {
  int count;
  double step;
};

ClipTrials trials_of(ClipSearch clip) {
  switch (clip) {
    case ClipSearch::kNone:
      return {1, 0.0};
    case ClipSearch::kGptq:
      return {80, 0.01};
    case ClipSearch::kWide:
      return {32, 0.8 / 32.0};
  }
  fail(ErrorKind::kInternal, "quant: unknown clip search {}", static_cast<int>(clip));
}

/// Where a fit goes: scales and zero points of neighbouring groups of equal size, (rows, groups).
struct Fitted {
  torch::Tensor scale;
  torch::Tensor zero_point;
};

/// Fits groups of `group_size` columns. `column_weight` as in GridEvidence, contiguous or
/// undefined.
void fit(const torch::Tensor& weight, const torch::Tensor& column_weight, std::int64_t group_size,
         const GridOptions& options, const Fitted& to) {
  kernels::GridFit request;
  request.weight = view_of<const float>(weight);
  request.scale = view_of<float>(to.scale);
  request.zero = view_of<float>(to.zero_point);
  request.group_size = group_size;
  request.max_code = max_code_of(options.bits);
  request.symmetric = options.symmetric;
  const ClipTrials trials = trials_of(options.clip);
  request.clip_trials = trials.count;
  request.clip_step = trials.step;
  if (column_weight.defined()) request.column_weight = column_weight.data_ptr<float>();
  kernels::fit_grid(request, backend_of(weight));
  if (options.scale_exponent) round_to_stored(to.scale, *options.scale_exponent);
}

void check_evidence(const GridEvidence& evidence, const torch::Tensor& weight) {
  const torch::Tensor& pruned = evidence.pruned;
  ensure(!pruned.defined() ||
             (pruned.sizes() == weight.sizes() && pruned.scalar_type() == torch::kBool &&
              pruned.device() == weight.device()),
         "quant: the mask of pruned weights is not a bool matrix of the weights' shape and device");
  const torch::Tensor& factor = evidence.column_weight;
  ensure(!factor.defined() ||
             (factor.dim() == 1 && factor.size(0) == weight.size(1) &&
              factor.scalar_type() == torch::kFloat32 && factor.device() == weight.device()),
         "quant: column_weight is not one float32 a column on the weights' device");
}

/// The weights with zeros for the pruned ones: a zero has no say in a grid (see kernels::fit_grid).
torch::Tensor survivors(const torch::Tensor& weight, const GridEvidence& evidence) {
  return evidence.pruned.defined() ? weight.masked_fill(evidence.pruned, 0.0) : weight;
}

/// Per-group values (rows, G) spread over the columns, (rows, N); (rows, 1) stays as it is.
torch::Tensor over_columns(const torch::Tensor& per_group, const Grid& grid) {
  if (per_group.size(-1) == 1) return per_group;
  return per_group.index_select(-1, grid.group_of_column);
}

/// The weights whose grid is common, one row for each grid of the group.
torch::Tensor grid_rows(const torch::Tensor& columns, GridSharing sharing) {
  switch (sharing) {
    case GridSharing::kRowGroup:
      return columns.contiguous();
    case GridSharing::kColumn:
      return columns.t().contiguous();
    case GridSharing::kGroup:
      return columns.reshape({1, -1});
  }
  fail(ErrorKind::kInternal, "quant: unknown grid sharing {}", static_cast<int>(sharing));
}

/// The column weights of what grid_rows returns for `members` of the columns of a matrix of `rows`
/// rows; undefined where every grid has one of them only, which changes no comparison.
torch::Tensor grid_row_weights(const torch::Tensor& column_weight, const torch::Tensor& members,
                               std::int64_t rows, GridSharing sharing) {
  if (!column_weight.defined() || sharing == GridSharing::kColumn) return {};
  torch::Tensor of_members = column_weight.index_select(0, members);
  return sharing == GridSharing::kGroup ? of_members.repeat({rows}) : of_members;
}

void check_groups(const ColumnGroups& groups, std::int64_t columns) {
  const auto count = static_cast<std::int32_t>(groups.bits_of_group.size());
  ensure(static_cast<std::int64_t>(groups.group_of_column.size()) == columns,
         "quant: one group label a column is needed");
  for (const std::int32_t label : groups.group_of_column) {
    ensure(label >= 0 && label < count, "quant: a column's group has no width");
  }
}

/// Grids of no values yet for the columns of one label each.
Grid empty_grid(std::int64_t rows, const ColumnGroups& groups, torch::Device device) {
  Grid grid;
  const bool by_column = groups.sharing == GridSharing::kColumn;
  const auto columns = static_cast<std::int64_t>(groups.group_of_column.size());
  if (by_column) {
    grid.group_of_column = at::arange(columns, torch::dtype(torch::kInt32).device(device));
    for (const std::int32_t label : groups.group_of_column) {
      grid.bits_of_group.push_back(groups.bits_of_group[static_cast<std::size_t>(label)]);
    }
  } else {
    grid.group_of_column = torch::tensor(groups.group_of_column, torch::kInt32).to(device);
    grid.bits_of_group = groups.bits_of_group;
  }
  std::vector<float> max_code;
  max_code.reserve(grid.bits_of_group.size());
  for (const int bits : grid.bits_of_group) max_code.push_back(max_code_of(bits));
  const auto floats = torch::TensorOptions().dtype(torch::kFloat32).device(device);
  grid.max_code = torch::tensor(max_code, torch::kFloat32).to(device);
  const std::int64_t grid_rows = groups.sharing == GridSharing::kRowGroup ? rows : 1;
  grid.scale = at::ones({grid_rows, grid.max_code.size(0)}, floats);
  grid.zero_point = at::zeros_like(grid.scale);
  return grid;
}

bool is_table(const Grid& grid) {
  return grid.blocks && grid.blocks->type->form == blocks::BlockForm::kTable;
}

torch::Tensor table_codes(const torch::Tensor& weight, const Grid& grid) {
  const torch::Tensor wanted = weight / over_columns(grid.scale, grid);
  torch::Tensor code = at::zeros_like(wanted);
  for (std::size_t i = 1; i < blocks::kTable4.size(); ++i) {
    code.add_(wanted.gt(0.5F * (blocks::kTable4[i - 1] + blocks::kTable4[i])));
  }
  return code.to(torch::kUInt8);
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

kernels::GridView Grid::view(std::int64_t first, std::int64_t rows) const {
  kernels::GridView view;
  if (levels) {
    view.levels = levels->view(first);
    return view;
  }
  view.scale = view_of<const float>(scale.expand({rows, -1}));
  view.zero = view_of<const float>(zero_point.expand({rows, -1}));
  if (offset.defined()) view.offset = view_of<const float>(offset);
  if (blocks && blocks->type->form == blocks::BlockForm::kTable) {
    std::copy(blocks::kTable4.begin(), blocks::kTable4.end(), view.table.level);
    view.table.given = true;
  }
  view.group_of_column = group_of_column.data_ptr<std::int32_t>() + first;
  view.max_code_of_group = max_code.data_ptr<float>();
  return view;
}

Grid make_grid(std::int64_t rows, std::int64_t columns, const GridOptions& options,
               torch::Device device) {
  options.validate();
  const std::int64_t group_size = group_size_for(columns, options);
  const std::int64_t groups = (columns + group_size - 1) / group_size;
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
  fit(weight, {}, weight.size(1), options,
      {grid.scale.narrow(1, group, 1), grid.zero_point.narrow(1, group, 1)});
}

Grid find_grid(const torch::Tensor& weight, const GridOptions& options,
               const GridEvidence& evidence) {
  check_evidence(evidence, weight);
  Grid grid = make_grid(weight.size(0), weight.size(1), options, weight.device());
  const torch::Tensor column_weight =
      evidence.column_weight.defined() ? evidence.column_weight.contiguous() : torch::Tensor{};
  fit(survivors(weight, evidence), column_weight, group_size_for(weight.size(1), options), options,
      {grid.scale, grid.zero_point});
  return grid;
}

Grid find_grid(const torch::Tensor& weight, const ColumnGroups& groups, const GridOptions& options,
               const GridEvidence& evidence) {
  check_groups(groups, weight.size(1));
  check_evidence(evidence, weight);
  const torch::Tensor kept = survivors(weight, evidence);
  Grid grid = empty_grid(weight.size(0), groups, weight.device());
  const std::vector<torch::Tensor> columns =
      columns_of_groups(torch::tensor(groups.group_of_column, torch::kInt32).to(weight.device()),
                        static_cast<std::int64_t>(groups.bits_of_group.size()));
  for (std::size_t g = 0; g < groups.bits_of_group.size(); ++g) {
    const torch::Tensor& members = columns[g];
    ensure(members.size(0) > 0, "quant: a group of columns is empty");
    GridOptions of_group = options;
    of_group.bits = groups.bits_of_group[g];
    of_group.validate();
    const torch::Tensor shared = grid_rows(kept.index_select(1, members), groups.sharing);
    const torch::Tensor factors =
        grid_row_weights(evidence.column_weight, members, weight.size(0), groups.sharing);
    const torch::Tensor scale = at::empty({shared.size(0), 1}, grid.scale.options());
    const Fitted fitted{scale, at::empty_like(scale)};
    fit(shared, factors, shared.size(1), of_group, fitted);
    if (groups.sharing == GridSharing::kColumn) {
      grid.scale.index_copy_(1, members, fitted.scale.t());
      grid.zero_point.index_copy_(1, members, fitted.zero_point.t());
    } else {
      grid.scale.narrow(1, static_cast<std::int64_t>(g), 1).copy_(fitted.scale);
      grid.zero_point.narrow(1, static_cast<std::int64_t>(g), 1).copy_(fitted.zero_point);
    }
  }
  return grid;
}

std::vector<torch::Tensor> columns_of_groups(const torch::Tensor& group_of_column,
                                             std::int64_t groups) {
  const torch::Device device = group_of_column.device();
  if (groups == 1) {
    return {at::arange(group_of_column.size(0), torch::dtype(torch::kInt64).device(device))};
  }
  const torch::Tensor labels = group_of_column.to(torch::kCPU, torch::kInt64);
  const torch::Tensor sizes = at::bincount(labels, {}, groups);
  const torch::Tensor columns = at::argsort(labels, /*stable=*/true).to(device);
  std::vector<torch::Tensor> result;
  result.reserve(static_cast<std::size_t>(groups));
  std::int64_t first = 0;
  for (std::int64_t group = 0; group < groups; ++group) {
    const auto size = sizes[group].item<std::int64_t>();
    result.push_back(columns.narrow(0, first, size));
    first += size;
  }
  return result;
}

int scale_exponent_for(const torch::Tensor& weight) {
  // Scales lie below the largest |w|; float16 has 2^15 above 1 and 2^-14 below as normal numbers.
  constexpr int kShift = 10;
  const double largest = weight.abs().max().item<double>();
  if (!(largest > 0.0)) return 0;
  return std::ilogb(largest) - kShift;
}

void round_to_stored(const torch::Tensor& scale, int exponent) {
  constexpr double kSmallest = 0x1p-24;  // a scale must stay positive
  constexpr double kLargest = 65504.0;
  const double unit = std::ldexp(1.0, exponent);
  scale.copy_((scale / unit)
                  .clamp_(kSmallest, kLargest)
                  .to(torch::kFloat16)
                  .to(torch::kFloat32)
                  .mul_(unit));
}

torch::Tensor quantize(const torch::Tensor& weight, const Grid& grid) {
  if (is_table(grid)) return table_codes(weight, grid);
  const torch::Tensor shifted =
      grid.offset.defined() ? weight - over_columns(grid.offset, grid) : weight;
  torch::Tensor code = shifted / over_columns(grid.scale, grid);
  code.round_().add_(over_columns(grid.zero_point, grid));
  code = at::minimum(code.clamp_min_(0), over_columns(grid.max_code.unsqueeze(0), grid));
  if (grid.blocks) code.nan_to_num_(0.0);  // 0 / 0: a scale of 0 has one value, whatever the code
  return code.to(torch::kUInt8);
}

torch::Tensor dequantize(const torch::Tensor& codes, const Grid& grid) {
  torch::Tensor value = grid.blocks
                            ? levels(codes, grid)
                            : codes.to(torch::kFloat32).sub_(over_columns(grid.zero_point, grid));
  value.mul_(over_columns(grid.scale, grid));
  return grid.offset.defined() ? value.add_(over_columns(grid.offset, grid)) : value;
}

}  // namespace sgpt_mi::quant
