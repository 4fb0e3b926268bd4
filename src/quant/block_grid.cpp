#include "sgpt_mi/quant/block_grid.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <vector>

#include "sgpt_mi/blocks/encode_blocks.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/quant/tensor_view.h"

namespace sgpt_mi::quant {
namespace {

constexpr std::int64_t kRowsAtOnce = 4096;  // of round_to_blocks()

/// The factors of a run of blocks and of their groups.
struct Run {
  std::int64_t first_block;
  std::int64_t blocks;
  std::int64_t first_group;
  std::int64_t groups;
};

BlockFactors narrow(const BlockFactors& factors, const Run& run) {
  return {factors.type, factors.super_scale.narrow(1, run.first_block, run.blocks),
          factors.super_minimum.narrow(1, run.first_block, run.blocks),
          factors.sub_scale.narrow(1, run.first_group, run.groups),
          factors.sub_minimum.narrow(1, run.first_group, run.groups)};
}

BlockFactors on_host(const BlockFactors& factors) {
  return {factors.type, factors.super_scale.cpu(), factors.super_minimum.cpu(),
          factors.sub_scale.cpu(), factors.sub_minimum.cpu()};
}

/// Runs a fit on the CPU, whatever device the grid is on.
template <typename Fit>
void fit_on_host(Grid& grid, const Run& run, const torch::Tensor& weight,
                 const torch::Tensor& column_weight, Fit&& fit) {
  const BlockFactors there = narrow(grid.blocks.value(), run);
  const BlockFactors here = on_host(there);
  const torch::Tensor weights = weight.cpu();
  const torch::Tensor importance = column_weight.to(torch::kCPU).contiguous();
  fit(blocks::BlockFit{here.type, view_of<const float>(weights), importance.const_data_ptr<float>(),
                       block_scales(here)},
      backend_of(weights).parallel_for);
  if (grid.scale.is_cuda()) {
    there.super_scale.copy_(here.super_scale);
    there.super_minimum.copy_(here.super_minimum);
    there.sub_scale.copy_(here.sub_scale);
    there.sub_minimum.copy_(here.sub_minimum);
  }
  update_block_groups(grid, run.first_group, run.groups);
}

/// What can be moved of one group: its whole numbers, or the block's factors where there is no
/// second level. Views of the grid's tensors, (rows, 1).
struct GroupFactors {
  GroupFactors(const Grid& grid, std::int64_t group)
      : type(*grid.blocks.value().type), has_subs(type.has_subs()) {
    const BlockFactors& all = *grid.blocks;
    const std::int64_t block = group * type.group / type.block_elements;
    super_scale = all.super_scale.narrow(1, block, 1);
    super_minimum = all.super_minimum.narrow(1, block, 1);
    scale = has_subs ? all.sub_scale.narrow(1, group, 1) : super_scale;
    minimum = has_subs ? all.sub_minimum.narrow(1, group, 1) : super_minimum;
  }

  /// The factor below or above the one that a scale wants, and what it gives.
  [[nodiscard]] torch::Tensor near_scale(const torch::Tensor& wanted, bool up) const {
    return near(wanted, super_scale, up, type.least_sub);
  }
  [[nodiscard]] torch::Tensor near_minimum(const torch::Tensor& wanted, bool up) const {
    return near(-wanted, super_minimum, up, 0.0F);
  }
  [[nodiscard]] torch::Tensor scale_of(const torch::Tensor& factor) const {
    return has_subs ? super_scale * factor : factor;
  }
  [[nodiscard]] torch::Tensor offset_of(const torch::Tensor& factor) const {
    return has_subs ? (super_minimum * factor).neg_() : -factor;
  }

  const blocks::BlockType& type;
  bool has_subs;
  torch::Tensor super_scale;
  torch::Tensor super_minimum;
  torch::Tensor scale;
  torch::Tensor minimum;

 private:
  [[nodiscard]] torch::Tensor near(const torch::Tensor& wanted, const torch::Tensor& super, bool up,
                                   float least) const {
    if (!has_subs) return wanted.to(torch::kFloat16).to(torch::kFloat32);
    torch::Tensor factor = (wanted / super).nan_to_num_(0.0, 0.0, 0.0).floor_();
    if (up) factor.add_(1.0);
    return factor.clamp_(least, type.most_sub);
  }
};

/// Where a parabola is lowest; no move where it has no lowest point.
ScaleChange lowest_point(const ScaleStep& step) {
  const torch::Tensor zeros = at::zeros_like(step.slope);
  if (!step.offset_slope.defined()) {
    return {at::where(step.curvature.gt(0), -step.slope / step.curvature, zeros), {}};
  }
  const torch::Tensor determinant = step.curvature * step.offset_curvature - step.mixed.square();
  const torch::Tensor ds =
      (step.mixed * step.offset_slope - step.offset_curvature * step.slope) / determinant;
  const torch::Tensor sound = determinant.gt(1e-6 * step.curvature * step.offset_curvature);
  return {at::where(sound, ds, zeros), zeros};
}

}  // namespace

Grid make_block_grid(std::int64_t rows, std::int64_t columns, const blocks::BlockType& type,
                     torch::Device device) {
  ensure(type.form != blocks::BlockForm::kPlain && columns % type.block_elements == 0,
         "quant: columns are not whole blocks");
  const std::int64_t count = columns / type.block_elements;
  const std::int64_t groups = columns / type.group;
  const auto floats = torch::TensorOptions().dtype(torch::kFloat32).device(device);
  const auto factor = [&](bool second_level) {
    const std::int64_t width = second_level ? groups : count;
    return second_level && !type.has_subs() ? at::ones({rows, width}, floats)
                                            : at::zeros({rows, width}, floats);
  };
  Grid grid;
  grid.scale = at::zeros({rows, groups}, floats);
  grid.zero_point = at::full({rows, groups}, type.shift, floats);
  if (type.form == blocks::BlockForm::kOffset) grid.offset = at::zeros({rows, groups}, floats);
  grid.group_of_column =
      at::arange(columns, floats.dtype(torch::kInt64)).floor_divide(type.group).to(torch::kInt32);
  grid.max_code = at::full({groups}, type.max_code(), floats);
  grid.bits_of_group.assign(static_cast<std::size_t>(groups), type.code_bits);
  grid.blocks = BlockFactors{&type, factor(false), factor(false), factor(true), factor(true)};
  return grid;
}

void fit_block_columns(Grid& grid, std::int64_t first, const torch::Tensor& weight,
                       const torch::Tensor& column_weight) {
  const blocks::BlockType& type = *grid.blocks.value().type;
  const std::int64_t width = weight.size(1);
  fit_on_host(grid,
              {first / type.block_elements, width / type.block_elements, first / type.group,
               width / type.group},
              weight, column_weight, blocks::fit_blocks);
}

void fit_block_group(Grid& grid, std::int64_t group, const torch::Tensor& weight,
                     const torch::Tensor& column_weight) {
  const blocks::BlockType& type = *grid.blocks.value().type;
  fit_on_host(grid, {group * type.group / type.block_elements, 1, group, 1}, weight, column_weight,
              blocks::fit_group);
}

void update_block_groups(Grid& grid, std::int64_t first_group, std::int64_t groups) {
  const BlockFactors& factors = grid.blocks.value();
  const std::int64_t per_block = factors.type->block_elements / factors.type->group;
  const torch::Tensor block =
      at::arange(first_group, first_group + groups, grid.scale.options().dtype(torch::kInt64))
          .floor_divide(per_block);
  const auto product = [&](const torch::Tensor& super, const torch::Tensor& sub) {
    return super.index_select(1, block).mul_(sub.narrow(1, first_group, groups));
  };
  grid.scale.narrow(1, first_group, groups).copy_(product(factors.super_scale, factors.sub_scale));
  if (!grid.offset.defined()) return;
  grid.offset.narrow(1, first_group, groups)
      .copy_(product(factors.super_minimum, factors.sub_minimum).neg_());
}

torch::Tensor levels(const torch::Tensor& codes, const Grid& grid) {
  const blocks::BlockType& type = *grid.blocks.value().type;
  if (type.form != blocks::BlockForm::kTable) return codes.to(torch::kFloat32).sub_(type.shift);
  const std::vector<float> table(blocks::kTable4.begin(), blocks::kTable4.end());
  return torch::tensor(table, torch::kFloat32)
      .to(codes.device())
      .index_select(0, codes.flatten().to(torch::kInt64))
      .view(codes.sizes());
}

ScaleChange step_block_group(Grid& grid, std::int64_t group, const ScaleStep& step) {
  const GroupFactors factors(grid, group);
  const bool offsets = grid.offset.defined();
  const torch::Tensor scale = grid.scale.narrow(1, group, 1);
  const torch::Tensor offset = offsets ? grid.offset.narrow(1, group, 1) : torch::Tensor();
  const ScaleChange wanted = lowest_point(step);
  torch::Tensor least = at::zeros_like(scale);
  ScaleChange best{at::zeros_like(scale), offsets ? at::zeros_like(scale) : torch::Tensor()};
  torch::Tensor best_scale = factors.scale.clone();
  torch::Tensor best_minimum = offsets ? factors.minimum.clone() : torch::Tensor();
  for (const bool up : {false, true}) {
    const torch::Tensor new_scale = factors.near_scale(scale + wanted.scale, up);
    ScaleChange change{factors.scale_of(new_scale) - scale, {}};
    for (const bool minimum_up : {false, true}) {
      torch::Tensor gain = change.scale * (2 * step.slope + change.scale * step.curvature);
      torch::Tensor new_minimum;
      if (offsets) {
        // The best offset for this scale.
        const torch::Tensor aim =
            offset - (step.offset_slope + step.mixed * change.scale) / step.offset_curvature;
        new_minimum = factors.near_minimum(aim, minimum_up);
        change.offset = factors.offset_of(new_minimum) - offset;
        gain = gain + change.offset * (2 * step.offset_slope + 2 * step.mixed * change.scale +
                                       change.offset * step.offset_curvature);
      }
      const torch::Tensor better = gain.lt(least);
      least = at::where(better, gain, least);
      best.scale = at::where(better, change.scale, best.scale);
      best_scale = at::where(better, new_scale, best_scale);
      if (!offsets) break;
      best.offset = at::where(better, change.offset, best.offset);
      best_minimum = at::where(better, new_minimum, best_minimum);
    }
  }
  factors.scale.copy_(best_scale);
  if (offsets) factors.minimum.copy_(best_minimum);
  update_block_groups(grid, group, 1);
  return best;
}

std::vector<std::byte> encode_blocks(const torch::Tensor& codes, const BlockFactors& factors) {
  const BlockFactors here = on_host(factors);
  const torch::Tensor host = codes.to(torch::kCPU).contiguous();
  return blocks::encode_blocks(*here.type, view_of<const std::uint8_t>(host), block_scales(here),
                               backend_of(host).parallel_for);
}

blocks::BlockScales block_scales(const BlockFactors& factors) {
  return {view_of<float>(factors.super_scale), view_of<float>(factors.super_minimum),
          view_of<float>(factors.sub_scale), view_of<float>(factors.sub_minimum)};
}

BlockRounding round_to_blocks(const torch::Tensor& matrix, const blocks::BlockType& type,
                              torch::ScalarType values) {
  const std::int64_t rows = matrix.size(0);
  BlockRounding result{{}, at::empty(matrix.sizes(), values)};
  const torch::Tensor importance = at::ones({matrix.size(1)}, torch::kFloat32);
  for (std::int64_t first = 0; first < rows; first += kRowsAtOnce) {
    check_interrupt();
    const std::int64_t count = std::min(kRowsAtOnce, rows - first);
    const torch::Tensor part = matrix.narrow(0, first, count).to(torch::kFloat32).contiguous();
    Grid grid = make_block_grid(count, part.size(1), type, torch::kCPU);
    fit_block_columns(grid, 0, part, importance);
    const torch::Tensor codes = quantize(part, grid);
    result.values.narrow(0, first, count).copy_(dequantize(codes, grid));
    const std::vector<std::byte> bytes = encode_blocks(codes, *grid.blocks);
    result.bytes.insert(result.bytes.end(), bytes.begin(), bytes.end());
  }
  return result;
}

}  // namespace sgpt_mi::quant
