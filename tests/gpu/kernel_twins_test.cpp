#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <vector>

#include "sgpt_mi/kernels/descend_block.h"
#include "sgpt_mi/kernels/fit_grid.h"
#include "sgpt_mi/kernels/kth_smallest.h"
#include "sgpt_mi/kernels/obs_block.h"
#include "sgpt_mi/quant/tensor_view.h"
#include "support/gpu.h"
#include "support/random_tensor.h"

// Every op must give the same bits on both devices, and write nothing outside its matrices.
namespace sgpt_mi::kernels {
namespace {

using quant::backend_of;
using quant::view_of;

constexpr std::int64_t kPadding = 3;

/// A matrix inside a larger tensor full of guard values.
struct Guarded {
  torch::Tensor whole;
  torch::Tensor inside;
  double guard = 0.0;

  Guarded(const torch::Tensor& values, double guard_value, torch::Device device)
      : whole(at::full({values.size(0) + 2 * kPadding, values.size(1) + 2 * kPadding}, guard_value,
                       values.options().device(device))),
        inside(whole.narrow(0, kPadding, values.size(0)).narrow(1, kPadding, values.size(1))),
        guard(guard_value) {
    inside.copy_(values);
  }

  [[nodiscard]] bool untouched_outside() const {
    torch::Tensor copy = whole.clone();
    copy.narrow(0, kPadding, inside.size(0)).narrow(1, kPadding, inside.size(1)).fill_(guard);
    return copy.eq(guard).all().item<bool>();
  }
};

/// What a block is rounded by.
enum class Rounding : std::uint8_t { kNone, kIntegers, kOffsets, kTable };

/// Grids of 3 and 4 bits for every other column, on one device.
struct TwoGrids {
  torch::Tensor scale;
  torch::Tensor zero;
  torch::Tensor groups;
  torch::Tensor max_code;
  torch::Tensor offset;

  TwoGrids(std::int64_t rows, std::int64_t width, torch::Device device)
      : scale((test::normal(rows, 2, 8).abs() + 0.2).to(device)),
        zero(at::full({rows, 2}, 5.0, scale.options())),
        groups(at::arange(width, torch::kInt32).remainder(2).to(torch::kInt32).to(device)),
        max_code(at::full({2}, 7.0, torch::kFloat32)) {
    max_code[1] = 15.0;
    max_code = max_code.to(device);
    offset = (test::normal(rows, 2, 9) - 2.0).to(device);
  }

  [[nodiscard]] GridView view(Rounding rounding) const {
    if (rounding == Rounding::kNone) return {};
    GridView grid{view_of<const float>(scale), view_of<const float>(zero),
                  groups.data_ptr<std::int32_t>(), max_code.data_ptr<float>()};
    if (rounding == Rounding::kOffsets) grid.offset = view_of<const float>(offset);
    if (rounding == Rounding::kTable) {
      grid.table.given = true;
      for (int i = 0; i < 16; ++i) grid.table.level[i] = 0.1F * static_cast<float>(i * i) - 4.0F;
    }
    return grid;
  }
};

/// One problem for obs_block, on one device.
struct BlockRun {
  Guarded weight;
  Guarded pruned;
  Guarded codes;
  Guarded error;
  torch::Tensor row_loss;

  BlockRun(const torch::Tensor& weights, const torch::Tensor& mask, torch::Device device)
      : weight(weights, 1234.0, device),
        pruned(mask, 1.0, device),
        codes(at::zeros(weights.sizes(), torch::kUInt8), 99.0, device),
        error(at::zeros(weights.sizes(), torch::kFloat32), 1234.0, device),
        row_loss(at::ones({weights.size(0)},
                          torch::TensorOptions().dtype(torch::kFloat64).device(device))) {}

  void run(const torch::Tensor& factor, NmPattern pattern, Rounding rounds) {
    const torch::Device device = weight.whole.device();
    const std::int64_t rows = weight.inside.size(0);
    const std::int64_t width = weight.inside.size(1);
    const torch::Tensor upper = factor.to(device);
    const TwoGrids grids(rows, width, device);
    ObsBlock block;
    block.weight = view_of<float>(weight.inside);
    block.factor = view_of<const float>(upper);
    block.pruned = view_of<bool>(pruned.inside);
    block.pattern = pattern;
    block.grid = grids.view(rounds);
    block.codes = view_of<std::uint8_t>(codes.inside);
    block.error = view_of<float>(error.inside);
    block.row_loss = row_loss.data_ptr<double>();
    obs_block(block, backend_of(weight.whole));
  }
};

void compare_blocks(std::int64_t rows, std::int64_t width, NmPattern pattern, Rounding rounds) {
  SCOPED_TRACE(testing::Message() << rows << " x " << width << ", " << pattern.n << " of "
                                  << pattern.m << ", rounding " << static_cast<int>(rounds));
  const torch::Tensor weights = test::normal(rows, width, 1);
  const torch::Tensor mask =
      pattern.m > 0 ? at::zeros({rows, width}, torch::kBool) : test::normal(rows, width, 2).gt(0);
  torch::Tensor factor = test::normal(width, width, 3).mul(0.1).triu();
  factor.diagonal().abs_().add_(0.5);
  BlockRun cpu(weights, mask, torch::kCPU);
  BlockRun gpu(weights, mask, torch::kCUDA);
  cpu.run(factor, pattern, rounds);
  gpu.run(factor, pattern, rounds);
  EXPECT_TRUE(gpu.weight.inside.cpu().equal(cpu.weight.inside));
  EXPECT_TRUE(gpu.pruned.inside.cpu().equal(cpu.pruned.inside));
  EXPECT_TRUE(gpu.codes.inside.cpu().equal(cpu.codes.inside));
  EXPECT_TRUE(gpu.error.inside.cpu().equal(cpu.error.inside));
  EXPECT_TRUE(gpu.row_loss.cpu().equal(cpu.row_loss));
  for (const Guarded* guarded : {&gpu.weight, &gpu.pruned, &gpu.codes, &gpu.error}) {
    EXPECT_TRUE(guarded->untouched_outside());
  }
}

TEST(KernelTwins, ObsBlock) {
  SGPT_MI_GPU_OR_SKIP();
  for (const std::int64_t rows : {1, 7, 8, 300}) {
    for (const std::int64_t width : {8, 128, 2000}) {
      for (const Rounding rounds :
           {Rounding::kNone, Rounding::kIntegers, Rounding::kOffsets, Rounding::kTable}) {
        compare_blocks(rows, width, {0, 0}, rounds);
        compare_blocks(rows, width, {2, 4}, rounds);
        compare_blocks(rows, width, {5, 8}, rounds);
      }
    }
  }
}

/// Weights, gradients and a Hessian for descend_block, and its results, on one device.
struct DescentRun {
  Guarded weight;
  Guarded gradient;
  Guarded hessian;
  Guarded pruned;
  Guarded codes;

  DescentRun(std::int64_t rows, std::int64_t width, const torch::Tensor& mask, torch::Device device)
      : weight(test::normal(rows, width, 11).masked_fill(mask, 0.0), 1234.0, device),
        gradient(test::normal(rows, width, 12), 1234.0, device),
        hessian(test::correlated_hessian(width, 2 * width, 13).to(torch::kFloat32), 1234.0, device),
        pruned(mask, 1.0, device),
        codes(at::zeros({rows, width}, torch::kUInt8), 99.0, device) {}

  void run(Support support, NmPattern pattern, Rounding rounds) {
    const TwoGrids grids(weight.inside.size(0), weight.inside.size(1), weight.whole.device());
    DescentBlock block;
    block.weight = view_of<float>(weight.inside);
    block.gradient = view_of<const float>(gradient.inside);
    block.hessian = view_of<const float>(hessian.inside);
    block.pruned = view_of<bool>(pruned.inside);
    block.support = support;
    block.threshold = support == Support::kThreshold ? 0.7F : 0.0F;
    block.pattern = pattern;
    block.grid = grids.view(rounds);
    block.codes = view_of<std::uint8_t>(codes.inside);
    descend_block(block, backend_of(weight.whole));
  }
};

void compare_descents(std::int64_t rows, std::int64_t width, Support support, NmPattern pattern,
                      Rounding rounds) {
  SCOPED_TRACE(testing::Message() << rows << " x " << width << ", support "
                                  << static_cast<int>(support) << ", " << pattern.n << " of "
                                  << pattern.m << ", rounding " << static_cast<int>(rounds));
  const torch::Tensor mask =
      support == Support::kPattern
          ? at::arange(width).remainder(pattern.m).lt(pattern.n).expand({rows, width})
          : test::normal(rows, width, 10).gt(0);
  DescentRun cpu(rows, width, mask, torch::kCPU);
  DescentRun gpu(rows, width, mask, torch::kCUDA);
  cpu.run(support, pattern, rounds);
  gpu.run(support, pattern, rounds);
  EXPECT_TRUE(gpu.weight.inside.cpu().equal(cpu.weight.inside));
  EXPECT_TRUE(gpu.pruned.inside.cpu().equal(cpu.pruned.inside));
  EXPECT_TRUE(gpu.codes.inside.cpu().equal(cpu.codes.inside));
  for (const Guarded* guarded : {&gpu.weight, &gpu.pruned, &gpu.codes}) {
    EXPECT_TRUE(guarded->untouched_outside());
  }
}

TEST(KernelTwins, DescendBlock) {
  SGPT_MI_GPU_OR_SKIP();
  for (const std::int64_t rows : {1, 7, 8, 300}) {
    for (const std::int64_t width : {8, 128, 1000}) {
      compare_descents(rows, width, Support::kKept, {}, Rounding::kNone);
      compare_descents(rows, width, Support::kKept, {}, Rounding::kIntegers);
      compare_descents(rows, width, Support::kKept, {}, Rounding::kOffsets);
      compare_descents(rows, width, Support::kKept, {}, Rounding::kTable);
      compare_descents(rows, width, Support::kThreshold, {}, Rounding::kNone);
      compare_descents(rows, width, Support::kPattern, {2, 4}, Rounding::kNone);
      compare_descents(rows, width, Support::kPattern, {5, 8}, Rounding::kNone);
    }
  }
}

TEST(KernelTwins, KthSmallest) {
  SGPT_MI_GPU_OR_SKIP();
  for (const std::int64_t count : {1, 255, 100'003}) {
    const torch::Tensor values = test::normal(1, count, 4).exp();
    const torch::Tensor on_gpu = values.to(torch::kCUDA);
    for (const std::int64_t k : {std::int64_t{0}, count / 2, count - 1}) {
      EXPECT_EQ(kth_smallest({{on_gpu.data_ptr<float>(), count, backend_of(on_gpu)}}, k),
                kth_smallest({{values.data_ptr<float>(), count, backend_of(values)}}, k));
    }
  }
}

/// clip_trials = 32 goes with column weights.
void compare_fits(bool symmetric, int clip_trials) {
  const torch::Tensor weights = test::normal(33, 6 * 40, 5);
  std::vector<torch::Tensor> results;
  for (const torch::Device device : {torch::Device(torch::kCPU), torch::Device(torch::kCUDA)}) {
    const Guarded weight(weights, 77.0, device);
    const torch::Tensor column_weight = test::normal(1, 6 * 40, 6).square().to(device);
    const Guarded scale(at::zeros({33, 6}), 1234.0, device);
    const Guarded zero(at::zeros({33, 6}), 1234.0, device);
    GridFit fit;
    fit.weight = view_of<const float>(weight.inside);
    fit.scale = view_of<float>(scale.inside);
    fit.zero = view_of<float>(zero.inside);
    fit.group_size = 44;  // the last of the six has 20
    fit.max_code = 7.0F;
    fit.symmetric = symmetric;
    fit.clip_trials = clip_trials;
    fit.clip_step = 0.01;
    if (clip_trials == 32) fit.column_weight = column_weight.data_ptr<float>();
    fit_grid(fit, backend_of(weight.whole));
    EXPECT_TRUE(scale.untouched_outside());
    EXPECT_TRUE(zero.untouched_outside());
    results.push_back(scale.inside.cpu());
    results.push_back(zero.inside.cpu());
  }
  EXPECT_TRUE(results[0].equal(results[2]));
  EXPECT_TRUE(results[1].equal(results[3]));
}

TEST(KernelTwins, FitGrid) {
  SGPT_MI_GPU_OR_SKIP();
  for (const bool symmetric : {false, true}) {
    for (const int clip_trials : {1, 80, 32}) compare_fits(symmetric, clip_trials);
  }
}

}  // namespace
}  // namespace sgpt_mi::kernels
