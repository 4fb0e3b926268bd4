#include "sgpt_mi/obs/compress.h"

#include <gtest/gtest.h>

#include "support/gpu.h"
#include "support/random_tensor.h"

// One matrix compressed on both devices. Products and factors sum in another order there, so codes
// at a rounding border may differ: shares, not bits, are compared.
namespace sgpt_mi::obs {
namespace {

void compare(const CompressOptions& options) {
  const torch::Tensor weight = test::normal(200, 384, 1);
  const torch::Tensor hessian = test::correlated_hessian(384, 1500, 2);
  const CompressResult cpu = compress_sparsegpt(weight, hessian, options, "fc1");
  const CompressResult gpu =
      compress_sparsegpt(weight.to(torch::kCUDA), hessian.to(torch::kCUDA), options, "fc1");
  EXPECT_TRUE(gpu.matrix.weight.is_cuda());
  const auto masks_apart = gpu.matrix.pruned.cpu().ne(cpu.matrix.pruned).sum().item<std::int64_t>();
  EXPECT_LE(masks_apart, weight.numel() / 1000);
  EXPECT_NEAR(gpu.loss, cpu.loss, 5e-3 * cpu.loss);
  EXPECT_NEAR(gpu.output_error, cpu.output_error, 5e-3 * cpu.output_error);
  EXPECT_NEAR(gpu.output_energy, cpu.output_energy, 1e-5 * cpu.output_energy);
}

/// Descents go on from every rounding difference, so that supports part; their errors stay equal.
void compare_errors(const CompressOptions& options) {
  const torch::Tensor weight = test::normal(200, 384, 3);
  const torch::Tensor hessian = test::correlated_hessian(384, 1500, 4);
  const CompressResult cpu = compress_sparsegpt(weight, hessian, options, "fc1");
  const CompressResult gpu =
      compress_sparsegpt(weight.to(torch::kCUDA), hessian.to(torch::kCUDA), options, "fc1");
  EXPECT_TRUE(gpu.matrix.weight.is_cuda());
  EXPECT_NEAR(gpu.sparsity, cpu.sparsity, 2e-3);
  EXPECT_NEAR(gpu.output_error, cpu.output_error, 1e-2 * cpu.output_error);
}

TEST(CompressOnGpu, AgreesWithTheCpu) {
  SGPT_MI_GPU_OR_SKIP();
  CompressOptions options;
  options.sparsity = 0.5;
  compare(options);
  options.wbits = 4;
  options.mse = true;
  compare(options);
  options.groupsize = 64;
  options.act_order = true;
  compare(options);
  CompressOptions pattern;
  pattern.prune_n = 2;
  pattern.prune_m = 4;
  compare(pattern);
}

TEST(CompressOnGpu, EveryStepOfRdAgreesWithTheCpu) {
  SGPT_MI_GPU_OR_SKIP();
  CompressOptions options;
  options.sparsity = 0.5;
  options.refine.l0_sweeps = 2;
  options.refine.refit_iterations = 5;
  compare_errors(options);
  options.wbits = 4;
  options.stored_scales = true;
  options.refine.grid_after_mask = true;
  options.refine.weighted_clip = true;
  options.refine.polish_sweeps = 3;
  options.refine.scale_step = true;
  compare_errors(options);
  options.sparsity = 0.0;
  compare_errors(options);
}

TEST(CompressOnGpu, ColumnsInGroupsAgreeWithTheCpu) {
  SGPT_MI_GPU_OR_SKIP();
  for (const quant::GridSharing sharing :
       {quant::GridSharing::kRowGroup, quant::GridSharing::kColumn, quant::GridSharing::kGroup}) {
    CompressOptions options;
    options.sparsity = 0.5;
    options.stored_scales = true;
    quant::ColumnGroups groups;
    for (std::int32_t j = 0; j < 384; ++j) groups.group_of_column.push_back(j % 3);
    groups.bits_of_group = {3, 4, 8};
    groups.sharing = sharing;
    options.groups = groups;
    compare(options);
  }
}

}  // namespace
}  // namespace sgpt_mi::obs
