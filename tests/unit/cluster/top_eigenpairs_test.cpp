#include "cluster/top_eigenpairs.h"

#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/mm.h>
#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>
#include <numeric>

#include "cluster/embedding.h"
#include "planted.h"
#include "support/random_tensor.h"

namespace sgpt_mi::cluster {
namespace {

using sgpt_mi::test::normal;

SymmetricOperator operator_of(const torch::Tensor& matrix) {
  return {matrix.size(0), [matrix](const torch::Tensor& block) { return at::mm(matrix, block); }};
}

Eigenpairs solve(const torch::Tensor& matrix, std::int64_t wanted, double tolerance = 1e-6,
                 std::int64_t max_products = 200) {
  DrawOrder order(static_cast<std::size_t>(matrix.size(0)));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  PythonRandom random(1);
  return top_eigenpairs(operator_of(matrix), random_block(order, block_columns(wanted), random),
                        {wanted, tolerance, max_products});
}

/// Eigen's full solver: values descending and vectors as columns.
struct Reference {
  torch::Tensor values;
  torch::Tensor vectors;
};

Reference reference_of(const torch::Tensor& matrix) {
  using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const torch::Tensor dense = matrix.contiguous();
  const std::int64_t n = dense.size(0);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(
      Eigen::Map<const RowMajor>(dense.data_ptr<double>(), n, n));
  Reference result{at::empty({n}, torch::kFloat64), at::empty({n, n}, torch::kFloat64)};
  Eigen::Map<Eigen::VectorXd>(result.values.data_ptr<double>(), n) = solver.eigenvalues();
  Eigen::Map<RowMajor>(result.vectors.data_ptr<double>(), n, n) = solver.eigenvectors();
  return {result.values.flip(0), result.vectors.flip(1)};
}

/// D^-1/2 S D^-1/2 in float64.
torch::Tensor normalized(const torch::Tensor& affinity) {
  const torch::Tensor wide = affinity.to(torch::kFloat64);
  const torch::Tensor scale = wide.sum(0).rsqrt();
  return wide * scale * scale.unsqueeze(1);
}

void expect_eigenpairs(const Eigenpairs& found, const torch::Tensor& matrix, double tolerance) {
  const std::int64_t wanted = found.values.size(0);
  const torch::Tensor gram = at::mm(found.vectors.t(), found.vectors);
  EXPECT_LE((gram - at::eye(wanted, torch::kFloat64)).abs().max().item<double>(), 1e-12);
  const torch::Tensor residual = at::mm(matrix, found.vectors) - found.vectors * found.values;
  const double scale = found.values[0].abs().item<double>();
  EXPECT_LE(residual.norm(2, {0}).max().item<double>(), tolerance * scale + 1e-12);
  const torch::Tensor expected = reference_of(matrix).values.narrow(0, 0, wanted);
  // Eigenvalues are at most a residual away (Weinstein).
  EXPECT_LE((found.values - expected).abs().max().item<double>(), tolerance * scale + 1e-12);
}

TEST(TopEigenpairs, MatchTheFullSolverWithoutGaps) {
  const torch::Tensor matrix = normalized(test::random_affinity(400, 1));
  for (const std::int64_t wanted : {1, 10, 30}) {
    const Eigenpairs found = solve(matrix, wanted);
    EXPECT_TRUE(found.converged);
    EXPECT_LE(found.residual, 1e-6);
    expect_eigenpairs(found, matrix, 1e-6);
  }
}

TEST(TopEigenpairs, IterativeAndFullSolverFindTheSameSubspace) {
  const torch::Tensor matrix = normalized(test::planted({80, 100, 120, 130}, 2).affinity);
  const Eigenpairs found = solve(matrix, 4);
  EXPECT_GT(found.products, 0) << "the full solver ran";
  const Reference reference = reference_of(matrix);
  const double gap = (reference.values[3] - reference.values[4]).item<double>();
  ASSERT_GT(gap, 0.1);
  const torch::Tensor cosines = at::mm(reference.vectors.narrow(1, 0, 4).t(), found.vectors);
  // Davis & Kahan: the sine of the angle is at most residual / gap; the sum of squared cosines
  // falls by its square.
  EXPECT_NEAR(cosines.square().sum().item<double>(), 4.0, 4.0 * 1e-10 / (gap * gap) + 1e-12);
}

TEST(TopEigenpairs, SinglePrecisionProductsReachTheTolerance) {
  const torch::Tensor affinity = test::random_affinity(500, 3);
  PythonRandom random(0);
  const Eigenpairs found = normalized_eigenpairs(affinity, degrees_of(affinity), 10, random);
  EXPECT_TRUE(found.converged);
  EXPECT_GT(found.products, 0);
  expect_eigenpairs(found, normalized(affinity), 1e-4);
}

TEST(TopEigenpairs, SmallMatricesAreSolvedFully) {
  const torch::Tensor matrix = normalized(test::random_affinity(40, 4));
  const Eigenpairs found = solve(matrix, 40);
  EXPECT_EQ(found.products, 0);
  EXPECT_EQ(found.residual, 0.0);
  expect_eigenpairs(found, matrix, 1e-12);
}

TEST(TopEigenpairs, MultipleEigenvalues) {
  // 12 equal blocks: 50 twelve times, then 0.
  torch::Tensor matrix = at::zeros({600, 600}, torch::kFloat64);
  for (std::int64_t b = 0; b < 12; ++b) {
    matrix.narrow(0, 50 * b, 50).narrow(1, 50 * b, 50).fill_(1.0);
  }
  const Eigenpairs found = solve(matrix, 14);
  EXPECT_TRUE(found.converged);
  expect_eigenpairs(found, matrix, 1e-6);
}

TEST(TopEigenpairs, LargestNotLargestInMagnitude) {
  const torch::Tensor values = at::linspace(-10.0, 1.0, 400, torch::kFloat64);
  const auto [q, r] = at::linalg_qr(normal(400, 400, 5).to(torch::kFloat64));
  const Eigenpairs found = solve(at::mm(q * values, q.t()), 5, 1e-6);
  EXPECT_TRUE(found.converged);
  for (std::int64_t k = 0; k < 5; ++k) {
    EXPECT_NEAR(found.values[k].item<double>(), 1.0 - 11.0 / 399.0 * static_cast<double>(k), 1e-6);
  }
}

TEST(TopEigenpairs, MoreWantedThanABlockHolds) {
  const torch::Tensor matrix = normalized(test::random_affinity(900, 6));
  const Eigenpairs found = solve(matrix, 70, 1e-4);
  EXPECT_GT(found.products, 0);
  EXPECT_TRUE(found.converged);
  expect_eigenpairs(found, matrix, 1e-4);
}

TEST(TopEigenpairs, ZeroMatrix) {
  const Eigenpairs found = solve(at::zeros({400, 400}, torch::kFloat64), 3);
  EXPECT_TRUE(found.converged);
  EXPECT_EQ(found.values.abs().max().item<double>(), 0.0);
}

TEST(TopEigenpairs, GivesUpAndSaysSo) {
  const Eigenpairs found = solve(normalized(test::random_affinity(400, 7)), 10, 1e-6, 3);
  EXPECT_FALSE(found.converged);
  EXPECT_EQ(found.products, 3);
  EXPECT_GT(found.residual, 1e-6);
}

TEST(Eigengap, IsTheLargestFallInRange) {
  const torch::Tensor values = at::tensor({1.0, 0.5, 0.45, 0.2, 0.19}, torch::kFloat64);
  EXPECT_EQ(largest_eigengap(values, 4), 3);
  EXPECT_EQ(largest_eigengap(values, 2), 2);
  EXPECT_EQ(largest_eigengap(at::ones({6}, torch::kFloat64), 5), 2) << "the first of equal ones";
}

}  // namespace
}  // namespace sgpt_mi::cluster
