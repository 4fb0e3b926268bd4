#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstring>

#include "sgpt_mi/blocks/encode_blocks.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/parallel.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/obs/curves.h"
#include "sgpt_mi/quant/block_grid.h"
#include "support/random_tensor.h"
#include "support/row_placements.h"
#include "support/thread_ranks.h"

// Sweeps and descents onto the grids of ggml's blocks.
namespace sgpt_mi::obs {
namespace {

constexpr std::int64_t kRows = 24;
constexpr std::int64_t kColumns = 256;

const blocks::BlockType& type_of(std::string_view name) {
  const blocks::BlockType* type = blocks::find_block_type(name);
  EXPECT_NE(type, nullptr) << name;
  return *type;
}

struct Layer {
  torch::Tensor weight = test::normal(kRows, kColumns, 21) * 0.04;
  torch::Tensor hessian = test::correlated_hessian(kColumns, 1000, 22);
};

CompressOptions options_of(const blocks::BlockType& type) {
  CompressOptions options;
  options.block_type = &type;
  return options;
}

constexpr const char* kSomeTypes[] = {"Q2_K", "Q3_K", "IQ4_XS", "Q4_K",
                                      "Q6_K", "Q4_0", "IQ4_NL", "Q5_1"};

/// The values are what the bytes decode to.
void expect_decodes(const CompressedMatrix& matrix) {
  const std::vector<std::byte> bytes = quant::encode_blocks(matrix.codes, *matrix.blocks);
  std::vector<float> decoded(static_cast<std::size_t>(kRows * kColumns));
  blocks::decode_blocks({matrix.blocks->type, kRows, kColumns, bytes}, decoded.data(),
                        serial_for());
  const torch::Tensor values = matrix.weight.contiguous();
  EXPECT_EQ(std::memcmp(decoded.data(), values.const_data_ptr<float>(), decoded.size() * 4), 0)
      << matrix.blocks->type->name;
}

TEST(BlockTypes, TheSweepIsBetterThanTheNearestValues) {
  const Layer layer;
  for (const char* name : kSomeTypes) {
    const CompressOptions options = options_of(type_of(name));
    const CompressResult nearest = compress_magnitude(layer.weight, layer.hessian, options, "fc1");
    const CompressResult swept = compress_sparsegpt(layer.weight, layer.hessian, options, "fc1");
    EXPECT_LT(swept.output_error, 0.7 * nearest.output_error) << name;
    expect_decodes(nearest.matrix);
    expect_decodes(swept.matrix);
  }
}

/// Neither step raises the error, but the codes that scales move to may be a little better or worse
/// than those that the descent finds with scales as they are.
TEST(BlockTypes, DescentsOnCodesAndScalesLowerTheError) {
  const Layer layer;
  for (const char* name : kSomeTypes) {
    CompressOptions options = options_of(type_of(name));
    const double swept =
        compress_sparsegpt(layer.weight, layer.hessian, options, "fc1").output_error;
    for (const bool scales : {false, true}) {
      options.refine.polish_sweeps = 2;
      options.refine.scale_step = scales;
      const CompressResult result = compress_sparsegpt(layer.weight, layer.hessian, options, "fc1");
      EXPECT_LT(result.output_error, 0.95 * swept) << name << (scales ? " with scales" : "");
      expect_decodes(result.matrix);
    }
  }
}

TEST(BlockTypes, PrunedWeightsStayExactlyZero) {
  const Layer layer;
  for (const char* name : {"Q3_K", "Q4_0", "Q5_0", "Q6_K", "Q8_0"}) {
    CompressOptions options = options_of(type_of(name));
    options.sparsity = 0.5;
    options.refine.l0_sweeps = 1;
    options.refine.polish_sweeps = 1;
    options.refine.scale_step = true;
    const CompressResult result = compress_sparsegpt(layer.weight, layer.hessian, options, "fc1");
    EXPECT_GE(result.sparsity, 0.5) << name;
    EXPECT_TRUE(result.matrix.weight.masked_select(result.matrix.pruned).eq(0).all().item<bool>());
    expect_decodes(result.matrix);
  }
}

/// Damage is f times twice the sweep's loss, row by row.
TEST(BlockTypes, TheMeasuredDamageIsTheSweepsLoss) {
  const Layer layer;
  const CompressOptions options = options_of(type_of("Q3_K"));
  const PreparedInput input = prepare_input(layer.hessian, options, "fc1");
  const torch::Tensor ones = at::ones({kRows}, torch::kFloat64);
  const torch::Tensor nothing = at::zeros({kRows, kColumns}, torch::kBool);
  const double damage = measure_blocks(layer.weight, nothing, {input, options, ones});
  const CompressResult swept = compress_sparsegpt(layer.weight, input, options, "fc1");
  EXPECT_NEAR(damage, 2.0 * swept.loss, 1e-9 * damage);
}

TEST(BlockTypes, SortedColumnsAndOddRowsAreRefused) {
  const Layer layer;
  CompressOptions options = options_of(type_of("Q4_K"));
  options.act_order = true;
  EXPECT_THROW((void)compress_sparsegpt(layer.weight, layer.hessian, options, "fc1"), Error);
  options.act_order = false;
  const torch::Tensor narrow = layer.weight.narrow(1, 0, 192);
  const torch::Tensor part = layer.hessian.narrow(0, 0, 192).narrow(1, 0, 192).contiguous();
  EXPECT_THROW((void)compress_sparsegpt(narrow, part, options, "fc1"), Error);
}

TEST(BlockTypes, RowsThatRanksShareLeaveNoTrace) {
  const torch::Tensor weight = test::normal(130, kColumns, 23) * 0.04;
  const torch::Tensor hessian = Layer().hessian;
  for (const char* name : {"Q4_K", "Q4_1", "Q6_K"}) {
    CompressOptions options = options_of(type_of(name));
    options.refine.polish_sweeps = 2;
    options.refine.scale_step = true;
    options.rows.product_rows = 64;
    const CompressResult one = compress_sparsegpt(weight, hessian, options, "fc1");
    test::on_ranks(3, [&](const ranks::World& world) {
      CompressOptions shared = options;
      shared.rows.world = world;
      const CompressResult result = compress_sparsegpt(weight, hessian, shared, "fc1");
      test::expect_same(result, one);
      EXPECT_EQ(quant::encode_blocks(result.matrix.codes, *result.matrix.blocks),
                quant::encode_blocks(one.matrix.codes, *one.matrix.blocks))
          << name;
    });
  }
}

}  // namespace
}  // namespace sgpt_mi::obs
