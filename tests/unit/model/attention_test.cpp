#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <vector>

#include "model/block_base.h"
#include "support/random_tensor.h"

namespace sgpt_mi::model {
namespace {

constexpr std::int64_t kTokens = 37;
constexpr std::int64_t kHeadDim = 24;

/// (2, T, heads, D) from a seed.
torch::Tensor vectors(std::int64_t heads, std::uint64_t seed) {
  return test::normal(2 * kTokens, heads * kHeadDim, seed).view({2, kTokens, heads, kHeadDim});
}

TEST(Attention, KernelAgreesWithLibTorchInFloat64) {
  const torch::Tensor query = vectors(6, 1);
  const torch::Tensor key = vectors(2, 2);
  const torch::Tensor value = vectors(2, 3);
  // Scores are sums of D products and outputs sums of T terms, none above about 4.
  const double tolerance = 4.0 * (kHeadDim + kTokens) * std::numeric_limits<float>::epsilon();
  for (const std::optional<std::int64_t> window :
       std::vector<std::optional<std::int64_t>>{std::nullopt, 1, 9, kTokens, 1000}) {
    const torch::Tensor found = causal_attention(query, key, value, window);
    const torch::Tensor exact = causal_attention(query.to(torch::kFloat64), key.to(torch::kFloat64),
                                                 value.to(torch::kFloat64), window);
    EXPECT_EQ(found.sizes(), exact.sizes());
    EXPECT_LE((found - exact).abs().max().item<double>(), tolerance)
        << "window " << window.value_or(0);
  }
}

TEST(Attention, TakesVectorsWhoseElementsLieApart) {
  const torch::Tensor query = vectors(2, 1);
  const torch::Tensor apart = query.transpose(2, 3).contiguous().transpose(2, 3);
  ASSERT_NE(apart.stride(3), 1);
  EXPECT_TRUE(causal_attention(apart, apart, apart, std::nullopt)
                  .equal(causal_attention(query, query, query, std::nullopt)));
}

TEST(Attention, GivesGradientsWhereTheyAreWanted) {
  const torch::Tensor key = vectors(2, 2).requires_grad_();
  const torch::Tensor query = vectors(2, 1);
  EXPECT_TRUE(causal_attention(query, key, query, std::nullopt).requires_grad());
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(causal_attention(query, key, query, std::nullopt).requires_grad());
}

}  // namespace
}  // namespace sgpt_mi::model
