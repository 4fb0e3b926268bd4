#include "tuning/tuned.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sgpt_mi/blocks/block_types.h"
#include "sgpt_mi/quant/block_grid.h"
#include "sgpt_mi/quant/grid.h"
#include "support/random_tensor.h"

namespace sgpt_mi::tuning {
namespace {

obs::CompressedMatrix compressed(const obs::CompressOptions& options, std::int64_t columns) {
  return obs::compress_sparsegpt(test::normal(6, columns, 3),
                                 test::correlated_hessian(columns, 2 * columns, 4), options, "fc1")
      .matrix;
}

obs::CompressedMatrix in_blocks(const char* type) {
  obs::CompressOptions options;
  options.wbits = 4;
  options.block_type = blocks::find_block_type(std::string_view(type));
  return compressed(options, 512);
}

obs::CompressedMatrix on_grids(std::int64_t groupsize, double sparsity) {
  obs::CompressOptions options;
  options.wbits = 3;
  options.groupsize = groupsize;
  options.sparsity = sparsity;
  options.stored_scales = true;
  return compressed(options, 24);
}

obs::CompressedMatrix pruned() {
  obs::CompressOptions options;
  options.sparsity = 0.5;
  return compressed(options, 24);
}

obs::CompressedMatrix on_levels() {
  obs::CompressOptions options;
  options.sparsity = 0.3;
  options.levels = obs::LevelOptions{2.0};
  return compressed(options, 24);
}

std::vector<obs::CompressedMatrix> all_kinds() {
  return {pruned(),          on_levels(),       on_grids(-1, 0.0),   on_grids(8, 0.4),
          in_blocks("Q4_K"), in_blocks("Q3_K"), in_blocks("IQ4_XS"), in_blocks("Q4_0"),
          in_blocks("Q2_K")};
}

TEST(TunedMatrix, StartsWhereTheMatrixIs) {
  for (const obs::CompressedMatrix& matrix : all_kinds()) {
    const TunedMatrix tuned(matrix);
    EXPECT_TRUE(tuned.value().allclose(matrix.weight, 1e-6, 1e-7));
    EXPECT_TRUE(tuned.settled().weight.allclose(matrix.weight, 1e-6, 1e-7));
  }
}

/// Steps towards a matrix whose parts have other factors come near it.
TEST(TunedMatrix, FindsFactors) {
  for (const obs::CompressedMatrix& matrix : all_kinds()) {
    torch::Tensor target = 1.04 * matrix.weight;
    if (matrix.offset.defined()) {
      const torch::Tensor offset = matrix.offset.index_select(1, matrix.group_of_column);
      target = 1.04 * (matrix.weight - offset) + 0.97 * offset;
    }
    if (matrix.level_grid) {  // a factor for every row and one for every column
      target = target * at::linspace(0.98, 1.02, 6).unsqueeze(1) *
               at::linspace(1.02, 0.98, matrix.weight.size(1));
    }
    TunedMatrix tuned(matrix);
    const auto error = [&](const torch::Tensor& value) {
      return (value - target).square().sum().item<double>();
    };
    const double before = error(tuned.value());
    for (std::int64_t i = 0; i < 100; ++i) {
      tuned.move(2.0 * (tuned.value() - target), adam_step(i, 100));
    }
    EXPECT_LT(error(tuned.value()), 1e-2 * before);
    EXPECT_LT(error(tuned.settled().weight), 1e-2 * before);
  }
}

void expect_stored(const torch::Tensor& scale, int exponent) {
  const torch::Tensor mantissa = scale * std::ldexp(1.0, -exponent);
  EXPECT_TRUE(mantissa.equal(mantissa.to(torch::kFloat16).to(torch::kFloat32)));
}

TEST(TunedMatrix, SettlesOnWhatIsStored) {
  for (const obs::CompressedMatrix& matrix : all_kinds()) {
    TunedMatrix tuned(matrix);
    tuned.move(test::normal(6, matrix.weight.size(1), 5), adam_step(0, 2));
    const obs::CompressedMatrix settled = tuned.settled();
    EXPECT_TRUE(settled.pruned.equal(matrix.pruned));
    EXPECT_EQ(at::count_nonzero(settled.weight.masked_select(settled.pruned)).item<int>(), 0);
    if (matrix.level_grid) {
      const quant::LevelGrid& grid = *settled.level_grid;
      EXPECT_TRUE(settled.levels.equal(matrix.levels));
      EXPECT_TRUE(settled.weight.equal(quant::values_of(settled.levels, grid)));
      expect_stored(grid.row_step, grid.row_exponent);
      expect_stored(grid.column_step, grid.column_exponent);
      EXPECT_FALSE(grid.row_step.equal(matrix.level_grid->row_step));
      EXPECT_FALSE(grid.column_step.equal(matrix.level_grid->column_step));
    }
    if (!matrix.codes.defined()) continue;
    EXPECT_TRUE(settled.codes.equal(matrix.codes));
    EXPECT_FALSE(settled.scale.equal(matrix.scale));
    if (settled.scale_exponent) expect_stored(settled.scale, *settled.scale_exponent);
  }
}

/// The bytes of settled blocks decode to the settled values.
TEST(TunedMatrix, SettledBlocksAreTheirBytes) {
  for (const char* name : {"Q2_K", "Q3_K", "Q4_K", "Q6_K", "IQ4_XS", "IQ4_NL", "Q4_1", "Q8_0"}) {
    const obs::CompressedMatrix matrix = in_blocks(name);
    TunedMatrix tuned(matrix);
    tuned.move(test::normal(6, 512, 5), adam_step(0, 2));
    const obs::CompressedMatrix settled = tuned.settled();
    const std::vector<std::byte> bytes = quant::encode_blocks(settled.codes, *settled.blocks);
    const blocks::BlockType& type = *settled.blocks->type;
    torch::Tensor decoded = at::zeros({6, 512}, torch::kFloat32);
    for (std::int64_t block = 0; block < 6 * 512 / type.block_elements; ++block) {
      type.unpack(bytes.data() + block * type.block_bytes,
                  decoded.data_ptr<float>() + block * type.block_elements);
    }
    EXPECT_TRUE(decoded.equal(settled.weight)) << name;
    EXPECT_FALSE(decoded.equal(matrix.weight)) << name;
  }
}

TEST(TunedVector, FindsItsTarget) {
  const torch::Tensor start = test::normal(1, 16, 6).squeeze(0);
  TunedVector tuned(start);
  EXPECT_TRUE(tuned.value().equal(start));
  const torch::Tensor target = start + 0.05;
  for (std::int64_t i = 0; i < 100; ++i) {
    tuned.move(2.0 * (tuned.value() - target), adam_step(i, 100));
  }
  EXPECT_LT((tuned.value() - target).abs().max().item<double>(), 0.005);
}

}  // namespace
}  // namespace sgpt_mi::tuning
