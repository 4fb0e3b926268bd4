#include <ATen/ops/linalg_eigvalsh.h>
#include <gtest/gtest.h>

#include "sgpt_mi/obs/compress.h"
#include "support/random_tensor.h"

namespace sgpt_mi::obs {
namespace {

TEST(PreparedInput, InverseDiagonalIsOfTheDampedHessianInNaturalOrder) {
  const torch::Tensor hessian = test::correlated_hessian(40, 200, 3);
  for (const bool act_order : {false, true}) {
    CompressOptions options;
    options.act_order = act_order;
    const PreparedInput input = prepare_input(hessian, options, "fc1");
    torch::Tensor damped = hessian.to(torch::kFloat64);
    damped.diagonal().add_(0.01 * damped.diagonal().mean().item<double>());
    const torch::Tensor expected = damped.inverse().diagonal();
    EXPECT_TRUE(input.inverse_diagonal().allclose(expected, 1e-3)) << act_order;
  }
}

TEST(PreparedInput, ConditionIsThatOfTheDampedHessianFromBelow) {
  torch::Tensor hessian = test::correlated_hessian(40, 30, 3);  // fewer tokens than channels
  hessian.narrow(0, 5, 1).zero_();                              // and a dead channel
  hessian.narrow(1, 5, 1).zero_();
  for (const bool act_order : {false, true}) {
    CompressOptions options;
    options.act_order = act_order;
    const PreparedInput input = prepare_input(hessian, options, "fc1");
    const torch::Tensor values = at::linalg_eigvalsh(input.damped().to(torch::kFloat64));
    const double exact = values[39].item<double>() / values[0].item<double>();
    EXPECT_LT(input.condition(), 1.001 * exact) << act_order;
    EXPECT_GT(input.condition(), 0.25 * exact) << act_order;
  }
}

TEST(PreparedInput, ErrorsOfTheRowsAddUp) {
  const torch::Tensor hessian = test::correlated_hessian(40, 200, 3);
  const torch::Tensor weight = test::normal(9, 40, 4);
  CompressOptions options;
  options.sparsity = 0.5;
  const CompressResult result = compress_sparsegpt(weight, hessian, options, "fc1");
  ASSERT_EQ(result.row_error.sizes(), torch::IntArrayRef({9}));
  const torch::Tensor error = (result.matrix.weight - weight).to(torch::kFloat64);
  const torch::Tensor exact = error.matmul(hessian.to(torch::kFloat64)).mul(error).sum(1);
  EXPECT_TRUE(result.row_error.allclose(exact, 1e-5));
  EXPECT_EQ(result.output_error, result.row_error.sum().item<double>());
}

TEST(PreparedInput, GivesTheSameMatrixAsTheHessianItself) {
  const torch::Tensor hessian = test::correlated_hessian(40, 200, 3);
  const torch::Tensor weight = test::normal(9, 40, 4);
  CompressOptions options;
  options.sparsity = 0.5;
  options.wbits = 4;
  const CompressResult direct = compress_sparsegpt(weight, hessian, options, "fc1");
  const CompressResult prepared =
      compress_sparsegpt(weight, prepare_input(hessian, options, "fc1"), options, "fc1");
  EXPECT_TRUE(direct.matrix.weight.equal(prepared.matrix.weight));
  EXPECT_EQ(direct.loss, prepared.loss);
}

}  // namespace
}  // namespace sgpt_mi::obs
