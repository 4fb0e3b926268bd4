#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "samples.h"
#include "sgpt_mi/mi/sampled.h"

// Closed forms for the two estimators of continuous densities, kde and ksg.
namespace sgpt_mi::mi {
namespace {

using test::columns;
using test::mean_between_pairs;
using test::mean_of_pairs;
using test::normal_nats;
using test::normal_pairs;

MiMatrix estimate(const torch::Tensor& samples, Estimator estimator) {
  SampledOptions options;
  options.with_nats = true;
  return sampled_mi(samples, estimator, options);
}

double harmonic(std::int64_t n) {
  double sum = 0.0;
  for (std::int64_t i = 1; i <= n; ++i) sum += 1.0 / static_cast<double>(i);
  return sum;
}

/// Equation 8 of Kraskov et al., every distance formed, for standardized channels without ties.
double plain_ksg(const std::vector<double>& x, const std::vector<double>& y, std::size_t k) {
  const std::size_t count = x.size();
  double sum = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<double> distance;
    for (std::size_t j = 0; j < count; ++j) {
      if (j != i) distance.push_back(std::max(std::abs(x[i] - x[j]), std::abs(y[i] - y[j])));
    }
    std::sort(distance.begin(), distance.end());
    std::int64_t near_x = 0;
    std::int64_t near_y = 0;
    for (std::size_t j = 0; j < count; ++j) {
      if (j != i && std::abs(x[i] - x[j]) < distance[k - 1]) ++near_x;
      if (j != i && std::abs(y[i] - y[j]) < distance[k - 1]) ++near_y;
    }
    // psi(n + 1) = H_n - gamma; the two gammas cancel against those of psi(k) and psi(T).
    sum += harmonic(near_x) + harmonic(near_y);
  }
  return harmonic(static_cast<std::int64_t>(k) - 1) +
         harmonic(static_cast<std::int64_t>(count) - 1) - sum / static_cast<double>(count);
}

std::vector<double> standardized(const torch::Tensor& channel) {
  const torch::Tensor wide = channel.to(torch::kFloat64);
  const torch::Tensor centred = wide - wide.mean();
  const torch::Tensor unit = (centred / centred.square().mean().sqrt()).contiguous();
  return {unit.data_ptr<double>(), unit.data_ptr<double>() + unit.numel()};
}

/// The mean of ln(p_xy / (p_x p_y)) over samples, every kernel value formed.
double plain_kde(const std::vector<double>& x, const std::vector<double>& y) {
  const auto count = static_cast<double>(x.size());
  const double bandwidth = std::pow(count, -1.0 / 6.0);
  const auto kernel = [&](double d) { return std::exp(-0.5 * d * d / (bandwidth * bandwidth)); };
  double sum = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    double p_x = 0.0;
    double p_y = 0.0;
    double p_xy = 0.0;
    for (std::size_t j = 0; j < x.size(); ++j) {
      const double k_x = kernel(x[i] - x[j]);
      const double k_y = kernel(y[i] - y[j]);
      p_x += k_x / count;
      p_y += k_y / count;
      p_xy += k_x * k_y / count;
    }
    sum += std::log(p_xy / (p_x * p_y));
  }
  return sum / count;
}

TEST(KdeMi, IsTheFormula) {
  const torch::Tensor x = normal_pairs(80, 2, 0.7, 1).exp();
  const MiMatrix mi = estimate(x, Estimator::kKde);
  for (std::int64_t i = 0; i < 4; ++i) {
    for (std::int64_t j = 0; j < 4; ++j) {
      if (i == j) continue;
      const double exact = plain_kde(standardized(x.select(1, i)), standardized(x.select(1, j)));
      // float32 kernels: distances of up to about 10 bandwidths squared, logarithms of about 5.
      EXPECT_NEAR(mi.nats[i][j].item<float>(), exact, 1e-5) << i << "," << j;
      EXPECT_NEAR(mi.normalized[i][j].item<float>(), std::sqrt(1.0 - std::exp(-2.0 * exact)), 1e-4);
    }
  }
  EXPECT_TRUE(mi.nats.equal(mi.nats.t()));
}

TEST(KdeMi, BivariateNormalSamples) {
  constexpr double kRho = 0.6;
  constexpr std::int64_t kTokens = 1000;
  constexpr std::int64_t kPairs = 20;
  const MiMatrix mi = estimate(normal_pairs(kTokens, kPairs, kRho, 2), Estimator::kKde);
  // Smoothing turns the covariance S into S + h^2: correlation r = rho / (1 + h^2). The mean of
  // ln(q_xy / (q_x q_y)) of the smoothed densities q over the true one is
  const double h2 = std::pow(static_cast<double>(kTokens), -1.0 / 3.0);
  const double r = kRho / (1.0 + h2);
  const double smoothed =
      normal_nats(r) - (1.0 - r * kRho) / ((1.0 - r * r) * (1.0 + h2)) + 1.0 / (1.0 + h2);
  // and what independent channels show comes on top of it.
  const MiMatrix independent = estimate(normal_pairs(kTokens, 8, 0.0, 3), Estimator::kKde);
  const double bias = mean_between_pairs(independent.nats);
  EXPECT_GT(bias, 0.0);
  const double deviation = kRho / std::sqrt(static_cast<double>(kTokens * kPairs));
  EXPECT_NEAR(mean_of_pairs(mi.nats), smoothed + bias, 4.0 * deviation + 0.01);
  EXPECT_NEAR(mean_of_pairs(mi.nats), normal_nats(kRho), 0.05);
}

TEST(KdeMi, AnOutlierStaysFinite) {
  torch::Tensor x = sgpt_mi::test::normal(100, 2, 4);
  x[7].fill_(1e6);  // every kernel value of this token but its own is 0
  const MiMatrix mi = estimate(x, Estimator::kKde);
  EXPECT_TRUE(std::isfinite(mi.nats[0][1].item<float>()));
  EXPECT_GT(mi.nats[0][1].item<float>(), 0.0F);
}

TEST(KsgMi, IsTheFormula) {
  const torch::Tensor x = normal_pairs(90, 2, -0.7, 5).exp();
  const MiMatrix mi = estimate(x, Estimator::kKsg);
  for (std::int64_t i = 0; i < 4; ++i) {
    for (std::int64_t j = 0; j < 4; ++j) {
      if (i == j) continue;
      const double exact = plain_ksg(standardized(x.select(1, i)), standardized(x.select(1, j)), 3);
      EXPECT_NEAR(mi.nats[i][j].item<float>(), exact, 1e-6) << i << "," << j;
    }
  }
}

TEST(KsgMi, DeterministicRelation) {
  constexpr std::int64_t kTokens = 257;
  const torch::Tensor x = sgpt_mi::test::normal(kTokens, 1, 6).flatten();
  const MiMatrix mi = estimate(columns({x, x * 2.0}), Estimator::kKsg);
  // The k-th neighbour is the same in x, in y and in both: n_x = n_y = k - 1.
  EXPECT_NEAR(mi.nats[0][1].item<float>(), harmonic(kTokens - 1) - harmonic(2), 1e-6);
}

TEST(KsgMi, BivariateNormalSamples) {
  constexpr double kRho = 0.6;
  constexpr std::int64_t kTokens = 500;
  constexpr std::int64_t kPairs = 60;
  const torch::Tensor x = normal_pairs(kTokens, kPairs, kRho, 7);
  SampledOptions options;
  options.with_nats = true;
  double sum = 0.0;
  double squares = 0.0;
  for (std::int64_t p = 0; p < kPairs; ++p) {
    const MiMatrix mi = sampled_mi(x.narrow(1, 2 * p, 2), Estimator::kKsg, options);
    const double nats = mi.nats[0][1].item<float>();
    sum += nats;
    squares += nats * nats;
  }
  const auto count = static_cast<double>(kPairs);
  const double mean = sum / count;
  const double deviation = std::sqrt((squares / count - mean * mean) / (count - 1.0));
  EXPECT_LT(deviation, 0.01);
  // Kraskov et al., figure 4: the bias for Gaussians is far below 1/100 nats at these T and k.
  EXPECT_NEAR(mean, normal_nats(kRho), 4.0 * deviation + 0.005);
}

TEST(KsgMi, NoBiasUnderIndependence) {
  const MiMatrix mi = estimate(normal_pairs(300, 20, 0.0, 8), Estimator::kKsg);
  // The estimate of a pair scatters by about 0.05; 780 pairs.
  EXPECT_NEAR(mean_between_pairs(mi.nats), 0.0, 4.0 * 0.05 / 28.0);
  EXPECT_LT(mi.nats.min().item<float>(), 0.0F) << "estimates are not cut off";
  EXPECT_GE(mi.normalized.min().item<float>(), 0.0F);
}

TEST(KsgMi, EqualValuesAreToldApartByNoise) {
  torch::Tensor x = normal_pairs(400, 2, 0.0, 9).clamp_min(0.0);  // half of the values are 0
  const MiMatrix mi = estimate(x, Estimator::kKsg);
  EXPECT_NEAR(mi.nats[0][1].item<float>(), 0.0, 0.2);
  // The same channel twice: both get noise of their own, so the zeros count as independent
  // and only the positive half tells something.
  const MiMatrix copies = estimate(columns({x.select(1, 0), x.select(1, 0)}), Estimator::kKsg);
  EXPECT_GT(copies.nats[0][1].item<float>(), 1.0F);
  EXPECT_LT(copies.nats[0][1].item<float>(), harmonic(399) - harmonic(2));
  SampledOptions options;
  options.with_nats = true;
  EXPECT_TRUE(sampled_mi(x, Estimator::kKsg, options).nats.equal(mi.nats)) << "not repeatable";
}

}  // namespace
}  // namespace sgpt_mi::mi
