#include <ATen/ops/linspace.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <utility>
#include <vector>

#include "sgpt_mi/kernels/kth_smallest.h"
#include "sgpt_mi/obs/curves.h"
#include "sgpt_mi/quant/tensor_view.h"
#include "support/gpu.h"
#include "support/random_tensor.h"
#include "support/row_placements.h"

// Rows shared by several parts, on one GPU or on two, give the bytes that they give on one GPU
// alone: the same kernels and products, whichever rows are with them.
namespace sgpt_mi::obs {
namespace {

constexpr std::int64_t kRows = 1000;
constexpr std::int64_t kColumns = 384;

using Devices = std::vector<torch::Device>;

torch::Device gpu(int index) { return {torch::kCUDA, static_cast<c10::DeviceIndex>(index)}; }

CompressOptions on_devices(CompressOptions options, const Devices& devices) {
  options.rows = {devices, 256};
  return options;
}

/// One line for each way to compress.
std::vector<CompressOptions> all_ways() {
  CompressOptions unstructured;
  unstructured.sparsity = 0.5;
  CompressOptions grouped = unstructured;
  grouped.wbits = 4;
  grouped.mse = true;
  grouped.groupsize = 64;
  grouped.act_order = true;
  CompressOptions pattern;
  pattern.prune_n = 2;
  pattern.prune_m = 4;
  CompressOptions rd = unstructured;
  rd.wbits = 4;
  rd.stored_scales = true;
  rd.refine.l0_sweeps = 2;
  rd.refine.refit_iterations = 5;
  rd.refine.grid_after_mask = true;
  rd.refine.weighted_clip = true;
  rd.refine.polish_sweeps = 2;
  rd.refine.scale_step = true;
  return {unstructured, grouped, pattern, rd};
}

void expect_no_trace(const Devices& devices) {
  const torch::Tensor weight =
      (test::normal(kRows, kColumns, 31) * at::linspace(0.2, 3.0, kRows).unsqueeze(1)).to(gpu(0));
  const torch::Tensor hessian = test::correlated_hessian(kColumns, 1500, 32).to(gpu(0));
  for (const CompressOptions& options : all_ways()) {
    const CompressResult one =
        compress_sparsegpt(weight, hessian, on_devices(options, {gpu(0)}), "fc1");
    test::expect_same(compress_sparsegpt(weight, hessian, on_devices(options, devices), "fc1"),
                      one);
  }
}

using Curves = std::pair<PruneCurve, std::vector<double>>;

Curves measure(const Devices& devices) {
  const torch::Tensor weight = test::normal(kRows, kColumns, 33).to(gpu(0));
  const CompressOptions options = on_devices({}, devices);
  const PreparedInput input =
      prepare_input(test::correlated_hessian(kColumns, 1500, 34).to(gpu(0)), options, "fc1");
  const torch::Tensor row_weight =
      at::linspace(0.5, 2.0, kRows, torch::dtype(torch::kFloat64).device(gpu(0)));
  const CurveInput curve{input, options, row_weight};
  quant::ColumnGroups groups;
  for (std::int32_t j = 0; j < kColumns; ++j) groups.group_of_column.push_back(j / 128);
  groups.bits_of_group = {4, 4, 4};
  PruneCurve pruned = measure_pruning(weight, curve, {0.4, 0.5, 0.6}, 1);
  std::vector<double> widths = measure_width(pruned.weight, pruned.pruned, curve, groups);
  return {std::move(pruned), std::move(widths)};
}

void expect_no_trace_in_curves(const Devices& devices) {
  const auto [one, one_widths] = measure({gpu(0)});
  const auto [several, widths] = measure(devices);
  test::expect_same(several, one);
  EXPECT_EQ(widths, one_widths);
}

/// The same place of the same values on the CPU, cut in two runs on two devices.
void expect_selection(const Devices& devices) {
  const torch::Tensor values = test::normal(1, 100'003, 35).mul(8.0).round().flatten();
  std::vector<torch::Tensor> parts;
  std::vector<kernels::ValueRun> runs;
  std::int64_t first = 0;
  for (const torch::Device device : devices) {
    const std::int64_t count = parts.empty() ? 30'001 : values.numel() - first;
    parts.push_back(values.narrow(0, first, count).to(device));
    runs.push_back(
        {parts.back().data_ptr<float>(), count, quant::backend_of(parts.back()), device.index()});
    first += count;
  }
  for (const std::int64_t k : {std::int64_t{0}, values.numel() / 2, values.numel() - 1}) {
    EXPECT_EQ(kernels::kth_smallest(runs, k),
              kernels::kth_smallest({{values.data_ptr<float>(), values.numel(), {}}}, k));
  }
}

TEST(RowsOnGpus, PartsOnOneGpuLeaveNoTrace) {
  SGPT_MI_GPU_OR_SKIP();
  expect_no_trace({gpu(0), gpu(0), gpu(0)});
  expect_no_trace_in_curves({gpu(0), gpu(0), gpu(0)});
  expect_selection({gpu(0), gpu(0)});
}

TEST(RowsOnGpus, PartsOnTwoGpusLeaveNoTrace) {
  SGPT_MI_GPU_OR_SKIP();
  if (torch::cuda::device_count() < 2) GTEST_SKIP() << "one CUDA device is visible, two are needed";
  expect_no_trace({gpu(0), gpu(1)});
  expect_no_trace_in_curves({gpu(0), gpu(1)});
  expect_selection({gpu(0), gpu(1)});
}

}  // namespace
}  // namespace sgpt_mi::obs
