#include "sgpt_mi/quant/block_grid.h"

#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "sgpt_mi/blocks/encode_blocks.h"
#include "sgpt_mi/core/parallel.h"
#include "support/random_tensor.h"

namespace sgpt_mi::quant {
namespace {

constexpr std::int64_t kRows = 5;
constexpr std::int64_t kColumns = 512;

std::vector<const blocks::BlockType*> types_with_blocks() {
  std::vector<const blocks::BlockType*> types;
  for (const blocks::BlockType& type : blocks::block_types()) {
    if (type.form != blocks::BlockForm::kPlain) types.push_back(&type);
  }
  return types;
}

/// A matrix, its grid fitted without weights and its codes.
struct Fitted {
  explicit Fitted(const blocks::BlockType& type)
      : weight(test::normal(kRows, kColumns, type.id + 1) * 0.03),
        grid(make_block_grid(kRows, kColumns, type, torch::kCPU)) {
    weight[1].zero_();
    fit_block_columns(grid, 0, weight, at::ones({kColumns}, torch::kFloat32));
    codes = quantize(weight, grid);
  }

  torch::Tensor weight;
  Grid grid;
  torch::Tensor codes;
};

/// What is scored is what a reader decodes, signs of zeros included.
TEST(BlockGrid, DequantizedCodesAreTheDecodedBytesBitForBit) {
  for (const blocks::BlockType* type : types_with_blocks()) {
    const Fitted made(*type);
    const torch::Tensor values = dequantize(made.codes, made.grid).contiguous();
    const std::vector<std::byte> bytes = encode_blocks(made.codes, *made.grid.blocks);
    std::vector<float> decoded(static_cast<std::size_t>(kRows * kColumns));
    blocks::decode_blocks({type, kRows, kColumns, bytes}, decoded.data(), serial_for());
    EXPECT_EQ(std::memcmp(decoded.data(), values.const_data_ptr<float>(), decoded.size() * 4), 0)
        << type->name;
  }
}

TEST(BlockGrid, CodesAreTheNearestValues) {
  for (const blocks::BlockType* type : types_with_blocks()) {
    const Fitted made(*type);
    const torch::Tensor error = (dequantize(made.codes, made.grid) - made.weight).abs();
    for (const int step : {-1, 1}) {
      const torch::Tensor other =
          (made.codes.to(torch::kInt32) + step).clamp(0, type->max_code()).to(torch::kUInt8);
      const torch::Tensor worse = (dequantize(other, made.grid) - made.weight).abs();
      EXPECT_TRUE(worse.ge(error - 1e-7).all().item<bool>()) << type->name;
    }
  }
}

TEST(BlockGrid, AGroupFittedAloneKeepsItsBlocksFactors) {
  const blocks::BlockType& type = *blocks::find_block_type(std::string_view("Q4_K"));
  Fitted made(type);
  const torch::Tensor super = made.grid.blocks->super_scale.clone();
  const torch::Tensor scale = made.grid.scale.clone();
  const torch::Tensor narrower = made.weight.narrow(1, 64, 32) * 0.5;
  fit_block_group(made.grid, 2, narrower, at::ones({32}, torch::kFloat32));
  EXPECT_TRUE(made.grid.blocks->super_scale.equal(super));
  EXPECT_TRUE(made.grid.scale.narrow(1, 0, 2).equal(scale.narrow(1, 0, 2)));
  EXPECT_TRUE(made.grid.scale.narrow(1, 3, 13).equal(scale.narrow(1, 3, 13)));
  // Half the weights want half the scale; the row of zeros has none.
  const torch::Tensor ratio = made.grid.scale.select(1, 2) / scale.select(1, 2);
  for (const std::int64_t row : {0, 2, 3, 4}) {
    EXPECT_NEAR(ratio[row].item<double>(), 0.5, 0.1) << row;
  }
}

/// With H = I the parabola of a group is sum (scale level + offset - w)^2 itself.
TEST(BlockGrid, AScaleStepLowersTheErrorOrStays) {
  for (const blocks::BlockType* type : types_with_blocks()) {
    Fitted made(*type);
    const torch::Tensor target = made.weight * 1.03 + 0.0005;
    const torch::Tensor all_levels = levels(made.codes, made.grid);
    const bool offsets = made.grid.offset.defined();
    double saved = 0.0;
    for (std::int64_t group = 0; group < kColumns / type->group; ++group) {
      const auto part = [&](const torch::Tensor& matrix) {
        return matrix.narrow(1, group * type->group, type->group);
      };
      const auto errors = [&] { return part(dequantize(made.codes, made.grid)) - part(target); };
      const torch::Tensor before = errors().square().sum(1);
      const torch::Tensor level = part(all_levels);
      ScaleStep step;
      step.slope = (level * errors()).sum(1, true);
      step.curvature = level.square().sum(1, true);
      if (offsets) {
        step.offset_slope = errors().sum(1, true);
        step.mixed = level.sum(1, true);
        step.offset_curvature = torch::tensor(static_cast<float>(type->group));
      }
      static_cast<void>(step_block_group(made.grid, group, step));
      const torch::Tensor after = errors().square().sum(1);
      EXPECT_TRUE(after.le(before * (1.0 + 1e-5) + 1e-12).all().item<bool>()) << type->name;
      saved += (before - after).sum().item<double>();
    }
    EXPECT_GT(saved, 0.0) << type->name;
  }
}

}  // namespace
}  // namespace sgpt_mi::quant
