#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

#include "obs/descent.h"
#include "obs/selection.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/compress.h"
#include "support/random_tensor.h"

// The steps around the sweep: each lowers trace(E H' E^T) and keeps what the steps before decided.
namespace sgpt_mi::obs {
namespace {

constexpr std::int64_t kRows = 37;
constexpr std::int64_t kColumns = 150;  // one whole block of 128 and a rest
// The dozens of sums of float32 products that a sweep is made of.
constexpr double kRounding = 1e-4;

std::int64_t count(const torch::Tensor& mask) { return mask.sum().item<std::int64_t>(); }

struct Layer {
  torch::Tensor weight = test::normal(kRows, kColumns, 11);
  torch::Tensor hessian = test::correlated_hessian(kColumns, 600, 12);
  PreparedInput input = prepare_input(hessian, {}, "fc1");

  [[nodiscard]] Problem problem() const { return {weight, input.damped()}; }
  /// In double precision, as the definition says.
  [[nodiscard]] double error(const torch::Tensor& compressed) const {
    const torch::Tensor e = compressed.to(torch::kFloat64) - weight.to(torch::kFloat64);
    return (e.matmul(input.damped().to(torch::kFloat64)) * e).sum().item<double>();
  }
};

struct Pruned {
  torch::Tensor weight;
  torch::Tensor pruned;
};

Pruned prune(const Layer& layer, std::int64_t n = 0, std::int64_t m = 0) {
  CompressOptions options;
  options.sparsity = m > 0 ? 0.0 : 0.5;
  options.prune_n = n;
  options.prune_m = m;
  const CompressResult result = compress_sparsegpt(layer.weight, layer.input, options, "fc1");
  return {result.matrix.weight.clone(), result.matrix.pruned.clone()};
}

double total(const torch::Tensor& values) { return values.sum().item<double>(); }

TEST(Descent, KeepsItsGradientExact) {
  const Layer layer;
  Pruned start = prune(layer);
  Descent descent(start.weight, start.pruned, layer.problem(), 128);
  descent.sweep_support(0.1F);
  EXPECT_NEAR(total(descent.row_errors()), layer.error(start.weight),
              kRounding * layer.error(start.weight));
}

TEST(Descent, SupportSweepsLowerTheirObjective) {
  const Layer layer;
  Pruned state = prune(layer);
  constexpr float kThreshold = 0.3F;
  const auto objective = [&] {
    return layer.error(state.weight) + kThreshold * static_cast<double>(count(state.weight.ne(0)));
  };
  Descent descent(state.weight, state.pruned, layer.problem(), 128);
  double before = objective();
  for (int sweep = 0; sweep < 4; ++sweep) {
    descent.sweep_support(kThreshold);
    const double after = objective();
    EXPECT_LE(after, before * (1 + kRounding)) << "sweep " << sweep;
    EXPECT_TRUE(state.weight.eq(0).equal(state.pruned));
    before = after;
  }
}

TEST(Descent, PatternSweepsLowerTheErrorAndKeepThePattern) {
  const Layer layer;
  for (const auto& [n, m] : {std::pair<std::int64_t, std::int64_t>{1, 2}, {3, 6}, {4, 10}}) {
    Pruned state = prune(layer, n, m);
    Descent descent(state.weight, state.pruned, layer.problem(), 128);
    double before = layer.error(state.weight);
    for (int sweep = 0; sweep < 3; ++sweep) {
      descent.sweep_pattern({n, m});
      const double after = layer.error(state.weight);
      EXPECT_LE(after, before * (1 + kRounding)) << n << " of " << m << ", sweep " << sweep;
      before = after;
    }
    const torch::Tensor zeros = state.pruned.view({kRows, -1, m}).sum(2);
    EXPECT_TRUE(zeros.eq(n).all().item<bool>()) << n << " of " << m;
    EXPECT_EQ(count(state.weight.masked_select(state.pruned).ne(0)), 0);
  }
}

TEST(Descent, CodeSweepsAndScaleStepsLowerTheError) {
  const Layer layer;
  CompressOptions options;
  options.sparsity = 0.5;
  options.wbits = 3;
  CompressResult start = compress_sparsegpt(layer.weight, layer.input, options, "fc1");
  CompressedMatrix& matrix = start.matrix;
  quant::GridOptions grid_options;
  grid_options.bits = 3;
  quant::Grid grid = quant::make_grid(kRows, kColumns, grid_options, torch::kCPU);
  grid.scale = matrix.scale.clone();
  grid.zero_point = matrix.zero_point.clone();
  torch::Tensor weight = matrix.weight.clone();
  Descent descent(weight, matrix.pruned, layer.problem(), 128);
  double before = layer.error(weight);
  for (int sweep = 0; sweep < 3; ++sweep) {
    descent.step_scales(grid, matrix.codes, std::nullopt);
    const double scaled = layer.error(weight);
    EXPECT_LE(scaled, before * (1 + kRounding));
    descent.sweep_codes(grid, matrix.codes);
    const double after = layer.error(weight);
    EXPECT_LE(after, scaled * (1 + kRounding));
    EXPECT_TRUE(quant::dequantize(matrix.codes, grid).equal(weight));
    EXPECT_EQ(count(weight.masked_select(matrix.pruned).ne(0)), 0);
    before = after;
  }
}

TEST(Descent, TheScaleStepIsTheLeastSquaresScale) {
  // One row, one group, codes (1, 2) above the zero point, H' = I: the best scale for W = (3, 5) is
  // (1 * 3 + 2 * 5) / (1 + 4) = 2.6.
  const torch::Tensor target = torch::tensor({{3.0F, 5.0F}});
  quant::GridOptions options;
  options.bits = 2;
  quant::Grid grid = quant::make_grid(1, 2, options, torch::kCPU);
  grid.scale.fill_(2.0F);
  const torch::Tensor codes = torch::tensor({{1, 2}}, torch::kUInt8);
  torch::Tensor weight = quant::dequantize(codes, grid);
  torch::Tensor pruned = at::zeros({1, 2}, torch::kBool);
  Descent descent(weight, pruned, {target, at::eye(2)}, 128);
  descent.step_scales(grid, codes, std::nullopt);
  EXPECT_NEAR(grid.scale.item<float>(), 2.6F, 1e-6);
  EXPECT_NEAR(weight[0][1].item<float>(), 5.2F, 1e-5);
}

TEST(Descent, GroupsOfTheirOwnScalesStepOneAfterTheOther) {
  const Layer layer;
  CompressOptions options;
  options.wbits = 3;
  options.groups.emplace();
  for (std::int64_t j = 0; j < kColumns; ++j) {
    options.groups->group_of_column.push_back(static_cast<std::int32_t>(j % 3));
  }
  options.groups->bits_of_group = {2, 3, 4};
  const CompressResult plain = compress_sparsegpt(layer.weight, layer.input, options, "fc1");
  options.refine.scale_step = true;
  options.refine.polish_sweeps = 2;
  const CompressResult polished = compress_sparsegpt(layer.weight, layer.input, options, "fc1");
  EXPECT_LT(layer.error(polished.matrix.weight), layer.error(plain.matrix.weight));
  EXPECT_FALSE(polished.matrix.scale.equal(plain.matrix.scale));
}

TEST(Refit, ReachesTheLeastSquaresSolutionOnTheSupport) {
  const Layer layer;
  const Pruned start = prune(layer);
  const torch::Tensor fitted =
      refit(start.weight, start.pruned, layer.problem(), /*iterations=*/300);
  EXPECT_EQ(count(fitted.masked_select(start.pruned).ne(0)), 0);
  EXPECT_LT(layer.error(fitted), layer.error(start.weight));
  // At the optimum the gradient vanishes on the support.
  const torch::Tensor gradient =
      (fitted - layer.weight).matmul(layer.input.damped()).masked_fill(start.pruned, 0.0);
  const torch::Tensor scale = layer.weight.matmul(layer.input.damped());
  EXPECT_LT(gradient.norm().item<double>(), 1e-3 * scale.norm().item<double>());
}

TEST(Refit, NeverRaisesTheError) {
  const Layer layer;
  const Pruned start = prune(layer);
  double before = layer.error(start.weight);
  for (const std::int64_t iterations : {1, 2, 5, 10}) {
    const double after =
        layer.error(refit(start.weight, start.pruned, layer.problem(), iterations));
    EXPECT_LE(after, before * (1 + kRounding)) << iterations;
    before = after;
  }
}

TEST(PruneExactly, TakesTheLowestAndBreaksTiesByIndex) {
  const torch::Tensor score = torch::tensor({{3.0F, 1.0F, 2.0F}, {1.0F, 1.0F, 0.0F}});
  EXPECT_TRUE(prune_exactly({score}, 3)
                  .front()
                  .equal(torch::tensor({{false, true, false}, {true, false, true}}, torch::kBool)));
  EXPECT_EQ(count(prune_exactly({score}, 0).front()), 0);
  EXPECT_EQ(count(prune_exactly({score}, 6).front()), 6);
}

CompressOptions refined() {
  CompressOptions options;
  options.sparsity = 0.5;
  options.wbits = 4;
  options.refine = {.l0_sweeps = 3,
                    .refit_iterations = 10,
                    .grid_after_mask = true,
                    .weighted_clip = true,
                    .polish_sweeps = 3,
                    .scale_step = true};
  return options;
}

TEST(Refined, BeatsTheSweepAtEqualSparsityAndWidth) {
  const Layer layer;
  CompressOptions plain;
  plain.sparsity = 0.5;
  plain.wbits = 4;
  const CompressResult before = compress_sparsegpt(layer.weight, layer.input, plain, "fc1");
  const CompressResult after = compress_sparsegpt(layer.weight, layer.input, refined(), "fc1");
  EXPECT_LT(after.output_error, 0.8 * before.output_error);
  EXPECT_GE(count(after.matrix.pruned), kRows * kColumns / 2);
  EXPECT_TRUE(after.matrix.pruned.equal(after.matrix.weight.eq(0)));
  EXPECT_EQ(after.loss, after.output_error / 2);
  for (const char* step : {"support", "refit", "grid", "sweep", "polish"}) {
    EXPECT_TRUE(after.seconds.contains(step)) << step;
  }
}

TEST(Refined, ValuesAreWhatCodesAndScalesDecodeTo) {
  const Layer layer;
  CompressOptions options = refined();
  options.stored_scales = true;
  const CompressedMatrix matrix =
      compress_sparsegpt(layer.weight, layer.input, options, "fc1").matrix;
  const torch::Tensor decoded =
      (matrix.codes.to(torch::kFloat32) - matrix.zero_point) * matrix.scale;
  EXPECT_TRUE(decoded.equal(matrix.weight));
  const double unit = std::ldexp(1.0, matrix.scale_exponent.value());
  const torch::Tensor stored = matrix.scale / unit;
  EXPECT_TRUE(stored.to(torch::kFloat16).to(torch::kFloat32).equal(stored));
}

TEST(Refined, EveryStepWorksByItself) {
  const Layer layer;
  CompressOptions plain;
  plain.sparsity = 0.5;
  plain.wbits = 3;
  const double before = compress_sparsegpt(layer.weight, layer.input, plain, "fc1").output_error;
  const auto error = [&](const RefineOptions& refine) {
    CompressOptions options = plain;
    options.refine = refine;
    return compress_sparsegpt(layer.weight, layer.input, options, "fc1").output_error;
  };
  EXPECT_LT(error({.l0_sweeps = 3}), before);
  EXPECT_LT(error({.grid_after_mask = true}), 1.1 * before);
  EXPECT_LT(error({.refit_iterations = 10, .grid_after_mask = true}), 1.1 * before);
  EXPECT_LT(error({.weighted_clip = true}), before);
  EXPECT_LT(error({.polish_sweeps = 3}), before);
  EXPECT_LT(error({.scale_step = true}), before);
}

TEST(Refined, PatternAndQuantizationAlone) {
  const Layer layer;
  CompressOptions options = refined();
  options.sparsity = 0.0;
  options.prune_n = 1;
  options.prune_m = 2;
  const CompressResult both = compress_sparsegpt(layer.weight, layer.input, options, "fc1");
  EXPECT_TRUE(both.matrix.pruned.view({kRows, -1, 2}).sum(2).eq(1).all().item<bool>());
  options.prune_n = 0;
  options.prune_m = 0;
  options.wbits = 3;
  CompressOptions plain;
  plain.wbits = 3;
  EXPECT_LT(compress_sparsegpt(layer.weight, layer.input, options, "fc1").output_error,
            compress_sparsegpt(layer.weight, layer.input, plain, "fc1").output_error);
}

TEST(Refined, PruningAloneLeavesTheRefittedWeights) {
  const Layer layer;
  CompressOptions options = refined();
  options.wbits = 16;
  const CompressResult result = compress_sparsegpt(layer.weight, layer.input, options, "fc1");
  EXPECT_FALSE(result.matrix.codes.defined());
  EXPECT_EQ(count(result.matrix.pruned), kRows * kColumns / 2);
  EXPECT_LT(layer.error(result.matrix.weight), layer.error(prune(layer).weight));
}

TEST(Refined, ActOrderGivesTheNaturalOrderBack) {
  const Layer layer;
  CompressOptions options = refined();
  options.act_order = true;
  const PreparedInput input = prepare_input(layer.hessian, options, "fc1");
  EXPECT_TRUE(input.damped().allclose(layer.input.damped()));
  const CompressResult ordered = compress_sparsegpt(layer.weight, input, options, "fc1");
  options.act_order = false;
  const CompressResult natural = compress_sparsegpt(layer.weight, layer.input, options, "fc1");
  EXPECT_NEAR(ordered.output_error, natural.output_error, 0.1 * natural.output_error);
}

TEST(Refined, DeadChannelsStayZero) {
  Layer layer;
  layer.hessian.select(0, 7).zero_();
  layer.hessian.select(1, 7).zero_();
  layer.input = prepare_input(layer.hessian, {}, "fc1");
  const CompressResult result = compress_sparsegpt(layer.weight, layer.input, refined(), "fc1");
  EXPECT_EQ(count(result.matrix.weight.select(1, 7).ne(0)), 0);
  EXPECT_TRUE(result.matrix.weight.isfinite().all().item<bool>());
}

TEST(Refined, RefusesCountsOutOfRange) {
  CompressOptions options = refined();
  options.refine.polish_sweeps = -1;
  EXPECT_THROW(options.validate(), Error);
}

}  // namespace
}  // namespace sgpt_mi::obs
