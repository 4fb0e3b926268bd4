#include "sgpt_mi/obs/row_split.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/linspace.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "obs/selection.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/curves.h"
#include "sgpt_mi/obs/row_products.h"
#include "sgpt_mi/ranks/messages.h"
#include "support/random_tensor.h"
#include "support/row_placements.h"
#include "support/thread_ranks.h"

// Three "devices" that are all the CPU: the cut goes through the same steps as over several GPUs,
// and must not be seen in any bit.
namespace sgpt_mi::obs {
namespace {

// Five products of 64, the last of one row: a library multiplies a single row by another kernel.
constexpr std::int64_t kRows = 257;
constexpr std::int64_t kColumns = 160;
constexpr std::int64_t kProductRows = 64;

CompressOptions on_cpus(CompressOptions options, std::size_t count) {
  options.rows = {std::vector<torch::Device>(count, torch::kCPU), kProductRows};
  return options;
}

/// Rows of very different size, so that a threshold of one part is not that of another; channel 5
/// is dead.
struct Layer {
  torch::Tensor weight =
      test::normal(kRows, kColumns, 21) * at::linspace(0.2, 3.0, kRows).unsqueeze(1);
  torch::Tensor hessian = test::correlated_hessian(kColumns, 500, 22);

  Layer() {
    hessian.narrow(0, 5, 1).zero_();
    hessian.narrow(1, 5, 1).zero_();
  }
};

CompressResult compress(const Layer& layer, const CompressOptions& options) {
  const torch::Tensor weight = layer.weight.clone();
  const torch::Tensor hessian = layer.hessian.clone();
  CompressResult result = compress_sparsegpt(weight, hessian, options, "fc1");
  EXPECT_TRUE(weight.equal(layer.weight)) << "the weight given was changed";
  EXPECT_TRUE(hessian.equal(layer.hessian)) << "the H given was changed";
  return result;
}

/// The same bytes on 1, 2, 3 and more devices than products; near what one product gives.
void expect_no_trace(const CompressOptions& options, double tolerance = 2e-2) {
  const Layer layer;
  const CompressResult one = compress(layer, on_cpus(options, 1));
  for (const std::size_t devices : {2, 3, 7}) {
    SCOPED_TRACE(testing::Message() << devices << " devices");
    test::expect_same(compress(layer, on_cpus(options, devices)), one);
  }
  const CompressResult whole = compress(layer, options);
  EXPECT_NEAR(one.output_error, whole.output_error, tolerance * whole.output_error);
  EXPECT_NEAR(one.output_energy, whole.output_energy, 1e-5 * whole.output_energy);
  EXPECT_NEAR(one.sparsity, whole.sparsity, 2e-3);
}

CompressOptions half_sparse() {
  CompressOptions options;
  options.sparsity = 0.5;
  return options;
}

quant::ColumnGroups mixed_groups(quant::GridSharing sharing) {
  quant::ColumnGroups groups;
  for (std::int32_t j = 0; j < kColumns; ++j) groups.group_of_column.push_back((j / 7) % 3);
  groups.bits_of_group = {3, 4, 8};
  groups.sharing = sharing;
  return groups;
}

CompressOptions all_steps() {
  CompressOptions options = half_sparse();
  options.wbits = 4;
  options.stored_scales = true;
  options.refine.l0_sweeps = 3;
  options.refine.refit_iterations = 6;
  options.refine.grid_after_mask = true;
  options.refine.weighted_clip = true;
  options.refine.polish_sweeps = 2;
  options.refine.scale_step = true;
  return options;
}

TEST(RowSplit, TakesWholeProductsOfNeighbouringRows) {
  const torch::Tensor weight = at::arange(kRows * 2).view({kRows, 2}).to(torch::kFloat32);
  const RowSplit split(weight, on_cpus({}, 3));
  const std::vector<torch::Tensor> parts = split.scatter(weight);
  ASSERT_EQ(parts.size(), 3U);  // 1, 2 and 2 of the five products
  EXPECT_EQ(parts[0].size(0), 64);
  EXPECT_EQ(parts[1].size(0), 128);
  EXPECT_EQ(parts[2].size(0), 65);
  EXPECT_TRUE(split.gather([&](std::size_t i) { return parts[i]; }).equal(weight));
}

TEST(RowSplit, HasOnePartWithoutDevicesWithOneProductAndWithSharedGrids) {
  const torch::Tensor weight = at::zeros({kRows, kColumns});
  EXPECT_EQ(RowSplit(weight, {}).size(), 1U);
  EXPECT_EQ(RowSplit(weight, on_cpus({}, 1)).size(), 1U);
  EXPECT_EQ(RowSplit(weight.narrow(0, 0, kProductRows), on_cpus({}, 3)).size(), 1U);
  EXPECT_EQ(RowSplit(weight.narrow(0, 0, kProductRows + 1), on_cpus({}, 3)).size(), 2U);
  CompressOptions uncut = on_cpus({}, 3);
  uncut.rows.product_rows = 0;
  EXPECT_EQ(RowSplit(weight, uncut).size(), 1U);
  CompressOptions grouped;
  grouped.groups = mixed_groups(quant::GridSharing::kRowGroup);
  EXPECT_EQ(RowSplit(weight, on_cpus(grouped, 3)).size(), 3U);
  grouped.groups = mixed_groups(quant::GridSharing::kColumn);
  EXPECT_EQ(RowSplit(weight, on_cpus(grouped, 3)).size(), 1U);
}

TEST(RowSplit, RefusesUnalignedProductsAndMissingCopies) {
  const Layer layer;
  CompressOptions options = on_cpus(half_sparse(), 2);
  const PreparedInput for_one = prepare_input(layer.hessian, half_sparse(), "fc1");
  EXPECT_THROW((void)compress_sparsegpt(layer.weight, for_one, options, "fc1"), Error);
  options.rows.product_rows = 100;
  EXPECT_THROW((void)compress(layer, options), Error);
}

TEST(RowProducts, AreTheProductsOfTheirRows) {
  const torch::Tensor a = test::normal(150, 40, 1);
  const torch::Tensor b = test::normal(40, 30, 2);
  const torch::Tensor product = multiply(a, b, 64);
  torch::Tensor sum = test::normal(150, 30, 3);
  const torch::Tensor before = sum.clone();
  add_product(sum, a, b, 64, -1.0);
  for (const std::int64_t first : {0, 64, 128}) {
    const std::int64_t rows = std::min<std::int64_t>(64, 150 - first);
    const torch::Tensor alone = a.narrow(0, first, rows).clone();
    EXPECT_TRUE(product.narrow(0, first, rows).equal(alone.matmul(b)));
    EXPECT_TRUE(
        sum.narrow(0, first, rows).equal(before.narrow(0, first, rows).addmm(alone, b, 1, -1)));
    EXPECT_TRUE(row_sums(a, 64).narrow(0, first, rows).equal(alone.sum(1, true)));
    EXPECT_TRUE(
        row_sums_float64(a, 64).narrow(0, first, rows).equal(alone.sum(1, false, torch::kFloat64)));
  }
  EXPECT_TRUE(multiply(a, b, 0).equal(a.matmul(b)));
}

TEST(RowProducts, CountTheirRuns) {
  EXPECT_EQ(product_count(300, 64), 5);
  EXPECT_EQ(product_count(128, 64), 2);
  EXPECT_EQ(product_count(1, 64), 1);
  EXPECT_EQ(product_count(300, 0), 1);
}

TEST(SplitRows, LeaveNoTraceInAnUnstructuredSweep) {
  expect_no_trace(half_sparse());
  CompressOptions options = half_sparse();
  options.wbits = 3;
  options.mse = true;
  expect_no_trace(options);
}

TEST(SplitRows, LeaveNoTraceWithGroupsAndAnOrder) {
  CompressOptions options = half_sparse();
  options.wbits = 4;
  options.groupsize = 32;
  options.stored_scales = true;
  expect_no_trace(options);
  options.act_order = true;
  expect_no_trace(options);
  options.static_groups = true;
  options.symmetric = true;
  expect_no_trace(options);
}

TEST(SplitRows, LeaveNoTraceInAPattern) {
  CompressOptions options;
  options.prune_n = 2;
  options.prune_m = 4;
  options.wbits = 4;
  expect_no_trace(options);
  options.refine = all_steps().refine;
  expect_no_trace(options);
}

TEST(SplitRows, LeaveNoTraceWithWidthsOfTheirOwn) {
  CompressOptions options = half_sparse();
  for (const quant::GridSharing sharing :
       {quant::GridSharing::kRowGroup, quant::GridSharing::kColumn, quant::GridSharing::kGroup}) {
    options.groups = mixed_groups(sharing);
    expect_no_trace(options);
  }
}

TEST(SplitRows, LeaveNoTraceInAnyStepOfRd) {
  expect_no_trace(all_steps());
  CompressOptions pruned = half_sparse();
  pruned.refine.l0_sweeps = 2;
  pruned.refine.refit_iterations = 4;
  expect_no_trace(pruned);
  CompressOptions coded = all_steps();
  coded.sparsity = 0.0;
  coded.act_order = true;
  expect_no_trace(coded);
  CompressOptions grouped = all_steps();
  grouped.wbits = 16;
  for (const quant::GridSharing sharing :
       {quant::GridSharing::kRowGroup, quant::GridSharing::kGroup}) {
    grouped.groups = mixed_groups(sharing);
    expect_no_trace(grouped);
  }
}

TEST(SplitRows, LeaveNoTraceInMeasuredCurves) {
  const Layer layer;
  const torch::Tensor row_weight = at::linspace(0.5, 2.0, kRows, torch::kFloat64);
  const auto measure = [&](std::size_t devices, const CompressOptions& wanted) {
    const CompressOptions options = on_cpus(wanted, devices);
    const PreparedInput input = prepare_input(layer.hessian, options, "fc1");
    const CurveInput curve{input, options, row_weight};
    const PruneCurve pruned = measure_pruning(layer.weight, curve, {0.4, 0.5, 0.6}, 1);
    const std::vector<double> widths = measure_width(pruned.weight, pruned.pruned, curve,
                                                     mixed_groups(quant::GridSharing::kRowGroup));
    return std::make_pair(pruned, widths);
  };
  CompressOptions ordered;
  ordered.act_order = true;
  CompressOptions pattern;
  pattern.prune_n = 2;
  pattern.prune_m = 4;
  for (const CompressOptions& options : {CompressOptions{}, ordered, pattern}) {
    const auto [one, one_widths] = measure(1, options);
    for (const std::size_t devices : {2, 3, 7}) {
      const auto [several, widths] = measure(devices, options);
      test::expect_same(several, one);
      EXPECT_EQ(widths, one_widths);
    }
  }
}

TEST(SplitRows, ExactMasksTakeTiesFromTheFirstRowsOfAllParts) {
  const torch::Tensor score = at::zeros({6, 4});
  score.narrow(0, 0, 1).fill_(-1.0);
  score.narrow(0, 5, 1).fill_(2.0);
  const std::vector<torch::Tensor> parts = {score.narrow(0, 0, 2), score.narrow(0, 2, 1),
                                            score.narrow(0, 3, 3)};
  for (std::int64_t count = 0; count <= score.numel(); ++count) {
    const torch::Tensor whole = prune_exactly({score}, count).front();
    EXPECT_EQ(whole.sum().item<std::int64_t>(), count);
    EXPECT_TRUE(at::cat(prune_exactly(parts, count)).equal(whole)) << count;
  }
}

TEST(SplitRows, ExactMasksNeedNumbers) {
  torch::Tensor score = at::zeros({1, 3});
  score.fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_THROW((void)prune_exactly({score}, 2), Error);
}

/// What compress() gives on every rank of several.
void expect_no_trace_of_ranks(CompressOptions options, const torch::Tensor& row_weight = {}) {
  const Layer layer;
  options.rows.product_rows = kProductRows;
  options.row_weight = row_weight;
  const CompressResult one = compress(layer, options);
  for (const int ranks : {2, 3, 5}) {
    test::on_ranks(ranks, [&](const ranks::World& world) {
      CompressOptions shared = options;
      shared.rows.world = world;
      EXPECT_TRUE(shares_rows(kRows, shared));
      const CompressResult result = compress(layer, shared);
      test::expect_same(result, one);
      EXPECT_TRUE(result.row_error.equal(one.row_error));
      EXPECT_TRUE(test::same_bytes(result.matrix.levels, one.matrix.levels));
      if (!one.matrix.level_grid) return;
      EXPECT_TRUE(result.matrix.level_grid->row_step.equal(one.matrix.level_grid->row_step));
      EXPECT_TRUE(result.matrix.level_grid->row_table.equal(one.matrix.level_grid->row_table));
    });
  }
}

TEST(RowsOfRanks, LeaveNoTraceInAnyStepOfRd) {
  expect_no_trace_of_ranks(half_sparse());
  expect_no_trace_of_ranks(all_steps(), at::linspace(0.5, 2.0, kRows, torch::kFloat64));
  CompressOptions pattern = all_steps();
  pattern.sparsity = 0.0;
  pattern.prune_n = 2;
  pattern.prune_m = 4;
  expect_no_trace_of_ranks(pattern);
}

TEST(RowsOfRanks, LeaveNoTraceInLevelsWhosePricesComeFromAllRows) {
  CompressOptions options;
  options.levels = LevelOptions{0.05};
  options.refine.polish_sweeps = 2;
  options.refine.scale_step = true;
  const torch::Tensor row_weight = at::linspace(0.5, 2.0, kRows, torch::kFloat64);
  expect_no_trace_of_ranks(options, row_weight);
  options.act_order = true;
  expect_no_trace_of_ranks(options, row_weight);
  options.act_order = false;
  options.sparsity = 0.5;
  options.refine.l0_sweeps = 2;
  options.refine.refit_iterations = 3;
  expect_no_trace_of_ranks(options, row_weight);
}

TEST(RowsOfRanks, LeaveNoTraceInTriangularProducts) {
  constexpr std::int64_t kSide = 600;  // three panels
  const torch::Tensor a = test::normal(kRows, kSide, 31);
  const torch::Tensor upper = test::normal(kSide, kSide, 32).triu();
  for (const bool transposed : {false, true}) {
    const torch::Tensor expected =
        a.to(torch::kFloat64).mm((transposed ? upper.t() : upper).to(torch::kFloat64));
    const torch::Tensor all = multiply_upper(a, upper, kProductRows, transposed);
    EXPECT_LT((all - expected).norm().item<double>(), 1e-6 * expected.norm().item<double>());
    const torch::Tensor last =
        multiply_upper(a.narrow(0, 128, kRows - 128), upper, kProductRows, transposed);
    EXPECT_TRUE(test::same_bytes(last, all.narrow(0, 128, kRows - 128).contiguous()));
  }
}

TEST(RowsOfRanks, LeaveNoTraceInMeasuredCurves) {
  const Layer layer;
  const torch::Tensor row_weight = at::linspace(0.5, 2.0, kRows, torch::kFloat64);
  CompressOptions options;
  options.rows.product_rows = kProductRows;
  const PreparedInput input = prepare_input(layer.hessian, options, "fc1");
  const auto measure = [&](const ranks::World& world) {
    CompressOptions shared = options;
    shared.rows.world = world;
    const CurveInput curve{input, shared, row_weight};
    PruneCurve pruned = measure_pruning(layer.weight, curve, {0.4, 0.5, 0.6}, 1);
    std::vector<LevelPoint> points = measure_levels(pruned.weight, pruned.pruned, curve);
    return std::make_pair(std::move(pruned), std::move(points));
  };
  const auto [one, one_points] = measure({});
  test::on_ranks(3, [&](const ranks::World& world) {
    const auto [pruned, points] = measure(world);
    test::expect_same(pruned, one);
    ASSERT_EQ(points.size(), one_points.size());
    for (std::size_t i = 0; i < points.size(); ++i) {
      EXPECT_EQ(points[i].step, one_points[i].step);
      EXPECT_EQ(points[i].bits, one_points[i].bits);
      EXPECT_EQ(points[i].damage, one_points[i].damage);
    }
  });
}

TEST(RowsOfRanks, AreAllOnEveryRankWhereThereAreTooFewOrTheyShareGrids) {
  test::on_ranks(3, [](const ranks::World& world) {
    CompressOptions options;
    options.rows.product_rows = kProductRows;
    options.rows.world = world;
    EXPECT_TRUE(shares_rows(2 * kProductRows + 1, options));
    EXPECT_FALSE(shares_rows(2 * kProductRows, options));
    const torch::Tensor weight = at::zeros({2 * kProductRows, kColumns});
    EXPECT_EQ(RowSplit(weight, options).scatter(weight).front().size(0), 2 * kProductRows);
    options.groups = mixed_groups(quant::GridSharing::kGroup);
    EXPECT_FALSE(shares_rows(kRows, options));
  });
}

TEST(RowsOfRanks, ScoresOfAllRanksAreSortedTogether) {
  const torch::Tensor score = test::normal(7, 9, 41).abs_();
  score.narrow(0, 2, 3).fill_(0.25);
  const std::vector<torch::Tensor> parts = score.split({2, 1, 4});
  const torch::Tensor sorted = std::get<0>(score.flatten().sort());
  test::on_ranks(3, [&](const ranks::World& world) {
    const torch::Tensor& mine = parts[static_cast<std::size_t>(world.rank())];
    for (std::int64_t k = 0; k < score.numel(); ++k) {
      EXPECT_EQ(kth_smallest_of({mine}, k, world), sorted[k].item<float>());
    }
    EXPECT_EQ(falling_score({mine}, 0.3, world), falling_score({score}, 0.3));
    for (std::int64_t count = 0; count <= score.numel(); ++count) {
      const torch::Tensor mask = prune_exactly({mine}, count, world).front();
      const torch::Tensor all = ranks::gather_rows(world, mask, torch::kCPU);
      EXPECT_TRUE(all.equal(prune_exactly({score}, count).front())) << count;
    }
  });
}

}  // namespace
}  // namespace sgpt_mi::obs
