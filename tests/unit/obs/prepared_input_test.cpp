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
