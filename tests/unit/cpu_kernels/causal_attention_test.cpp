#include "sgpt_mi/cpu_kernels/causal_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <vector>

#include "cpu_kernels/attention_tile.h"
#include "sgpt_mi/core/error.h"
#include "support/threads.h"

namespace sgpt_mi::cpu_kernels {
namespace {

struct Sizes {
  std::int64_t sequences = 1;
  std::int64_t tokens = 1;
  std::int64_t heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t head_dim = 1;
  std::int64_t window = 0;
};

/// The tensors of one call; tokens lie `gap` floats further apart than they need.
struct Case {
  explicit Case(const Sizes& sizes, unsigned seed = 1, std::int64_t gap = 5) {
    call.sequences = sizes.sequences;
    call.tokens = sizes.tokens;
    call.heads = sizes.heads;
    call.kv_heads = sizes.kv_heads;
    call.head_dim = sizes.head_dim;
    call.window = sizes.window;
    call.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(sizes.head_dim)));
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<float>& values, std::int64_t heads, auto& view) {
      const std::int64_t token = heads * sizes.head_dim + gap;
      values.resize(static_cast<std::size_t>(sizes.sequences * sizes.tokens * token));
      for (float& element : values) element = normal(engine);
      view = {values.data(), sizes.tokens * token, token, sizes.head_dim};
    };
    fill(query, sizes.heads, call.query);
    fill(key, sizes.kv_heads, call.key);
    fill(value, sizes.kv_heads, call.value);
    fill(output, sizes.heads, call.output);
  }

  CausalAttention call;
  std::vector<float> query;
  std::vector<float> key;
  std::vector<float> value;
  std::vector<float> output;
};

/// One output vector by the formula, in float64.
std::vector<double> expected(const CausalAttention& call, std::int64_t sequence, std::int64_t head,
                             std::int64_t token) {
  const std::int64_t kv_head = head * call.kv_heads / call.heads;
  const float* query = call.query.head(sequence, head) + token * call.query.token_stride;
  const std::int64_t first =
      call.window == 0 ? 0 : std::max<std::int64_t>(token - call.window + 1, 0);
  std::vector<double> scores;
  for (std::int64_t j = first; j <= token; ++j) {
    const float* key = call.key.head(sequence, kv_head) + j * call.key.token_stride;
    double dot = 0.0;
    for (std::int64_t d = 0; d < call.head_dim; ++d) dot += static_cast<double>(query[d]) * key[d];
    scores.push_back(dot * call.scale);
  }
  const double most = *std::max_element(scores.begin(), scores.end());
  double total = 0.0;
  for (double& score : scores) total += score = std::exp(score - most);
  std::vector<double> output(static_cast<std::size_t>(call.head_dim));
  for (std::int64_t j = first; j <= token; ++j) {
    const float* value = call.value.head(sequence, kv_head) + j * call.value.token_stride;
    for (std::size_t d = 0; d < output.size(); ++d) {
      output[d] += scores[static_cast<std::size_t>(j - first)] / total * value[d];
    }
  }
  return output;
}

double worst_error(const CausalAttention& call) {
  double worst = 0.0;
  for (std::int64_t s = 0; s < call.sequences; ++s) {
    for (std::int64_t h = 0; h < call.heads; ++h) {
      for (std::int64_t t = 0; t < call.tokens; ++t) {
        const std::vector<double> exact = expected(call, s, h, t);
        const float* found = call.output.head(s, h) + t * call.output.token_stride;
        for (std::size_t d = 0; d < exact.size(); ++d) {
          worst = std::max(worst, std::isfinite(found[d]) ? std::fabs(found[d] - exact[d]) : 1e30);
        }
      }
    }
  }
  return worst;
}

/// Scores of standard normal vectors are sums of D products, off by D epsilons of their size of
/// about 4 at most; so are, relatively, the weights. The sums over T weights and values of size 4
/// add sqrt(T) roundings. All of it in units of float32's epsilon.
double tolerance(const Sizes& sizes) {
  const double roundings =
      static_cast<double>(sizes.head_dim) + std::sqrt(static_cast<double>(sizes.tokens));
  return 4.0 * roundings * std::numeric_limits<float>::epsilon();
}

TEST(CausalAttention, EqualsTheFormulaForAllKindsOfSizes) {
  const std::vector<Sizes> all = {
      {1, 1, 1, 1, 1, 0},    {1, 2, 1, 1, 3, 0},     {2, 16, 2, 2, 16, 0},  {1, 17, 1, 1, 16, 0},
      {2, 45, 6, 2, 32, 0},  {1, 129, 4, 1, 8, 0},   {1, 70, 2, 2, 80, 0},  {1, 257, 2, 1, 128, 0},
      {1, 100, 2, 2, 16, 1}, {1, 100, 2, 2, 16, 17}, {1, 64, 1, 1, 24, 64}, {1, 40, 1, 1, 16, 99},
      {3, 33, 2, 1, 20, 5}};
  for (const Sizes& sizes : all) {
    Case test(sizes);
    causal_attention(test.call, {});
    EXPECT_LE(worst_error(test.call), tolerance(sizes))
        << sizes.tokens << " tokens, head_dim " << sizes.head_dim << ", window " << sizes.window;
  }
}

TEST(CausalAttention, AveragesTheValuesWhenScoresAreEqual) {
  Case test({1, 3, 1, 1, 1, 0}, 1, 0);
  std::fill(test.query.begin(), test.query.end(), 0.0F);
  test.value[0] = 3.0F;
  test.value[1] = 5.0F;
  test.value[2] = 10.0F;
  causal_attention(test.call, {});
  EXPECT_FLOAT_EQ(test.output[0], 3.0F);
  EXPECT_FLOAT_EQ(test.output[1], 4.0F);
  EXPECT_FLOAT_EQ(test.output[2], 6.0F);
}

TEST(CausalAttention, TakesTheLargestOfScoresFarApart) {
  Case test({1, 40, 1, 1, 16, 0});
  for (float& element : test.query) element *= 1000.0F;  // scores in the thousands
  causal_attention(test.call, {});
  const float* last = test.call.output.head(0, 0) + 39 * test.call.output.token_stride;
  const std::vector<double> exact = expected(test.call, 0, 0, 39);
  for (std::size_t d = 0; d < exact.size(); ++d) EXPECT_NEAR(last[d], exact[d], 1e-2);
}

TEST(CausalAttention, LeavesTheGapsBetweenTokensAlone) {
  Case test({2, 19, 2, 1, 20, 0}, 3);
  const std::vector<float> before = test.output;
  causal_attention(test.call, {});
  const auto stride = static_cast<std::size_t>(test.call.output.token_stride);
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (i % stride < 40) continue;
    EXPECT_EQ(test.output[i], before[i]) << "float " << i;
  }
}

TEST(CausalAttention, NaNReachesTheTokensThatSeeIt) {
  Case test({1, 60, 1, 1, 16, 0});
  const std::int64_t stride = test.call.key.token_stride;
  test.key[static_cast<std::size_t>(20 * stride)] = std::numeric_limits<float>::quiet_NaN();
  causal_attention(test.call, {});
  EXPECT_FALSE(std::isnan(test.output[static_cast<std::size_t>(19 * stride)]));
  EXPECT_TRUE(std::isnan(test.output[static_cast<std::size_t>(20 * stride)]));
  EXPECT_TRUE(std::isnan(test.output[static_cast<std::size_t>(59 * stride)]));
}

TEST(CausalAttention, GivesTheSameBitsOnAnyNumberOfThreads) {
  Case one({2, 150, 3, 3, 32, 0}, 7);
  Case three({2, 150, 3, 3, 32, 0}, 7);
  causal_attention(one.call, {});
  kernels::Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  causal_attention(three.call, threaded);
  EXPECT_EQ(one.output, three.output);
}

TEST(CausalAttention, EveryInstructionSetComputesTheSameTile) {
  constexpr std::int64_t kTokens = 32;  // two panels of keys, and one of values
  for (const AttentionKernel& kernel : attention_kernels()) {
    const auto rows = static_cast<std::size_t>(kernel.rows);
    std::vector<float> queries(rows);  // D = 1
    std::vector<float> keys(kTokens, 1.0F);
    std::vector<float> values(kTokens * kAttentionPanel);
    std::vector<float> scores(kTokens * rows);
    std::vector<float> output(rows * kAttentionPanel);
    for (std::size_t t = 0; t < kTokens; ++t) values[t * kAttentionPanel] = static_cast<float>(t);
    AttentionTile tile{queries.data(), keys.data(), values.data(), scores.data(), output.data()};
    tile.head_dim = 1;
    tile.padded_dim = kAttentionPanel;
    tile.padded_tokens = kTokens;
    tile.first_query = 8;
    tile.tokens = kTokens;
    tile.window = 5;
    kernel.attend(tile);
    for (std::size_t r = 0; r < rows; ++r) {  // equal scores: the mean of t - 4 .. t
      EXPECT_FLOAT_EQ(output[r * kAttentionPanel], static_cast<float>(6 + r))
          << kernel.rows << " rows a tile, row " << r;
    }
  }
}

TEST(CausalAttention, DoesNothingWithoutTokens) {
  CausalAttention call;
  call.sequences = 1;
  call.heads = 1;
  EXPECT_NO_THROW(causal_attention(call, {}));
}

TEST(CausalAttention, RefusesSizesThatDisagree) {
  Case test({1, 4, 3, 3, 8, 0});
  test.call.kv_heads = 2;
  EXPECT_THROW(causal_attention(test.call, {}), Error);
  test.call.kv_heads = 3;
  test.call.window = -1;
  EXPECT_THROW(causal_attention(test.call, {}), Error);
  test.call.window = 0;
  test.call.value.data = nullptr;
  EXPECT_THROW(causal_attention(test.call, {}), Error);
}

TEST(CausalAttention, RefusesADevice) {
  Case test({1, 4, 1, 1, 8, 0});
  kernels::Backend device;
  device.cuda = true;
  EXPECT_THROW(causal_attention(test.call, device), Error);
}

}  // namespace
}  // namespace sgpt_mi::cpu_kernels
