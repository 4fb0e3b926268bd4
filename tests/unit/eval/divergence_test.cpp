#include "sgpt_mi/eval/divergence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/eval/perplexity.h"
#include "support/random_tensor.h"
#include "support/tiny_model.h"

namespace sgpt_mi::eval {
namespace {

using model::Model;
using test::MemorySource;
using test::tiny_llama_config;
using test::tiny_llama_tensors;
using ::testing::Each;
using ::testing::HasSubstr;

constexpr double kFloatEpsilon = std::numeric_limits<float>::epsilon();

/// log_softmax in float32 of float32 logits.
torch::Tensor log_probabilities(const torch::Tensor& logits) { return at::log_softmax(logits, 1); }

/// KL of rows of logits in double, in its first form.
torch::Tensor kl_in_double(const torch::Tensor& logits_p, const torch::Tensor& logits_q) {
  const torch::Tensor log_p = at::log_softmax(logits_p.to(torch::kFloat64), 1);
  const torch::Tensor log_q = at::log_softmax(logits_q.to(torch::kFloat64), 1);
  return (log_p.exp() * (log_p - log_q)).sum(1);
}

TEST(KlDivergence, OfTwoCoinsIsTheClosedForm) {
  const torch::Tensor p = at::tensor({0.5F, 0.5F}).view({1, 2});
  const torch::Tensor q = at::tensor({0.25F, 0.75F}).view({1, 2});
  // 1/2 ln (1/2 : 1/4) + 1/2 ln (1/2 : 3/4)
  EXPECT_NEAR(kl_divergence(p.log(), q.log()).item<double>(), 0.5 * std::log(4.0 / 3.0),
              kFloatEpsilon);
  // 1/4 ln (1/4 : 1/2) + 3/4 ln (3/4 : 1/2)
  EXPECT_NEAR(kl_divergence(q.log(), p.log()).item<double>(),
              0.25 * std::log(0.5) + 0.75 * std::log(1.5), kFloatEpsilon);
}

TEST(KlDivergence, OfDistributionsThatExcludeEachOtherIsFinite) {
  // p = (1, e^-200), q = (e^-200, 1): both small ones are 0 in float32.
  const torch::Tensor log_p = at::tensor({0.0F, -200.0F}).view({1, 2});
  EXPECT_DOUBLE_EQ(kl_divergence(log_p, log_p.flip(1)).item<double>(), 200.0);
}

TEST(KlDivergence, OfEqualRowsIsExactlyZero) {
  const torch::Tensor log_p = log_probabilities(3.0 * test::normal(64, 5000, 1));
  EXPECT_TRUE(kl_divergence(log_p, log_p.clone()).eq(0.0).all().item<bool>());
}

TEST(KlDivergence, OfNearDistributionsIsExactToFloatEpsilon) {
  const torch::Tensor logits = 4.0 * test::normal(128, 8192, 2);
  for (const double distance : {1e-1, 1e-2, 1e-3, 1e-4}) {
    const torch::Tensor other = logits + distance * test::normal(128, 8192, 3);
    const torch::Tensor expected = kl_in_double(logits, other);
    const torch::Tensor error =
        kl_divergence(log_probabilities(logits), log_probabilities(other)) - expected;
    // exp(log_p) and exp(log_q) are rounded by half an epsilon each, and both sum to 1; the
    // normalization is a float32 sum over the vocabulary.
    const double tolerance =
        kFloatEpsilon * (1.0 + std::sqrt(8192.0) * expected.max().item<double>());
    EXPECT_LT(error.abs().max().item<double>(), tolerance) << distance;
    // Errors of 128 rows are independent: their mean is a tenth of one row's.
    EXPECT_LT(std::abs(error.mean().item<double>()), 0.1 * tolerance) << distance;
  }
}

TEST(KlDivergence, RefusesOtherShapesAndTypes) {
  const torch::Tensor log_p = log_probabilities(at::zeros({2, 3}));
  EXPECT_THROW((void)kl_divergence(log_p, log_probabilities(at::zeros({2, 4}))), Error);
  EXPECT_THROW((void)kl_divergence(log_p.to(torch::kFloat64), log_p), Error);
  EXPECT_THROW((void)kl_divergence(log_p[0], log_p[0]), Error);
}

text::TokenWindows some_windows(std::int64_t windows, std::int64_t seqlen) {
  text::TokenWindows result{{}, windows, seqlen};
  for (std::int64_t i = 0; i < windows * seqlen; ++i) {
    result.ids.push_back(static_cast<std::int32_t>(i * i % 11));
  }
  return result;
}

/// The tiny LLaMA after damage to its last block.
MemorySource damaged_tensors(MemorySource source = tiny_llama_tensors()) {
  const std::string name = "model.layers.1.mlp.down_proj.weight";
  source.put(name, 0.25 * source.value(name));
  return source;
}

PerplexityResult score(const MemorySource& source, const text::TokenWindows& windows,
                       const PerplexityOptions& options,
                       const nlohmann::json& config = tiny_llama_config()) {
  Model model(model::parse_model_spec(config), source);
  return perplexity(model, windows, options);
}

FinalStates states_of(const MemorySource& source, const text::TokenWindows& windows,
                      PerplexityOptions options = {},
                      const nlohmann::json& config = tiny_llama_config()) {
  FinalStates states;
  options.keep = &states;
  (void)score(source, windows, options, config);
  return states;
}

PerplexityResult score_against(const FinalStates& reference, const MemorySource& source,
                               const text::TokenWindows& windows, PerplexityOptions options = {},
                               const nlohmann::json& config = tiny_llama_config()) {
  options.reference = &reference;
  return score(source, windows, options, config);
}

/// Logits (windows * (seqlen - 1), vocab) of the scored positions: the whole model at once.
torch::Tensor scored_logits(const MemorySource& source, const text::TokenWindows& windows,
                            const nlohmann::json& config = tiny_llama_config()) {
  Model model(model::parse_model_spec(config), source);
  const torch::Tensor ids =
      at::tensor(windows.ids).to(torch::kInt64).view({windows.windows, windows.seqlen});
  return test::logits_of(model, ids).narrow(1, 0, windows.seqlen - 1).flatten(0, 1);
}

TEST(FinalStates, AreWhatTheHeadReadsAtTheScoredPositions) {
  const text::TokenWindows windows = some_windows(5, 16);
  PerplexityOptions options;
  options.batch_windows = 2;
  const FinalStates kept = states_of(tiny_llama_tensors(), windows, options);
  ASSERT_EQ(kept.states.sizes(), (std::vector<std::int64_t>{5, 15, 16}));
  EXPECT_EQ(kept.token_sha256, windows.sha256());
  const torch::Tensor logits =
      at::linear(kept.states.flatten(0, 1), tiny_llama_tensors().value("lm_head.weight"));
  EXPECT_TRUE(at::allclose(logits, scored_logits(tiny_llama_tensors(), windows), 1e-5, 1e-5));
}

TEST(PerplexityDivergence, OfTheModelItselfIsExactlyZero) {
  const text::TokenWindows windows = some_windows(5, 16);
  for (const torch::ScalarType dtype : {torch::kFloat32, torch::kBFloat16}) {
    PerplexityOptions options;
    options.placement.dtype = dtype;
    options.batch_windows = 2;
    const FinalStates kept = states_of(tiny_llama_tensors(), windows, options);
    const auto divergence =
        score_against(kept, tiny_llama_tensors(), windows, options).divergence.value();
    EXPECT_EQ(divergence.kl_mean, 0.0);
    EXPECT_EQ(divergence.kl_stderr, 0.0);
    EXPECT_EQ(divergence.window_kl.size(), 5U);
    EXPECT_THAT(divergence.window_kl, Each(0.0));
    EXPECT_EQ(divergence.top1_agreement, 1.0);
  }
}

TEST(PerplexityDivergence, EqualsTheDirectComputation) {
  const text::TokenWindows windows = some_windows(5, 16);
  const FinalStates kept = states_of(tiny_llama_tensors(), windows);
  const auto divergence = score_against(kept, damaged_tensors(), windows).divergence.value();

  const torch::Tensor dense = scored_logits(tiny_llama_tensors(), windows);
  const torch::Tensor damaged = scored_logits(damaged_tensors(), windows);
  const torch::Tensor expected = kl_in_double(dense, damaged).view({5, 15}).mean(1);
  ASSERT_EQ(divergence.window_kl.size(), 5U);
  for (std::int64_t window = 0; window < 5; ++window) {
    const double kl = expected[window].item<double>();
    EXPECT_GT(kl, 0.01);
    // Logits near 10 are rounded by 1e-6, in two orders of summation.
    EXPECT_NEAR(divergence.window_kl[static_cast<std::size_t>(window)], kl, 1e-5) << window;
  }
  EXPECT_NEAR(divergence.kl_mean, expected.mean().item<double>(), 1e-5);
  EXPECT_NEAR(divergence.kl_stderr, expected.std(/*unbiased=*/true).item<double>() / std::sqrt(5.0),
              1e-5);
  const double agreement =
      dense.argmax(1).eq(damaged.argmax(1)).to(torch::kFloat64).mean().item<double>();
  EXPECT_LT(agreement, 1.0);
  EXPECT_GT(agreement, 0.0);
  EXPECT_NEAR(divergence.top1_agreement, agreement, 1e-12);
}

TEST(PerplexityDivergence, LeavesThePerplexityAsItIs) {
  const text::TokenWindows windows = some_windows(3, 16);
  const FinalStates kept = states_of(tiny_llama_tensors(), windows);
  const PerplexityResult alone = score(damaged_tensors(), windows, {});
  EXPECT_FALSE(alone.divergence.has_value());
  EXPECT_EQ(score_against(kept, damaged_tensors(), windows).window_nll, alone.window_nll);
}

TEST(PerplexityDivergence, OfOneWindowHasNoStandardError) {
  const text::TokenWindows windows = some_windows(1, 16);
  const FinalStates kept = states_of(tiny_llama_tensors(), windows);
  const auto divergence = score_against(kept, damaged_tensors(), windows).divergence.value();
  EXPECT_EQ(divergence.kl_stderr, 0.0);
  EXPECT_EQ(divergence.window_kl, std::vector<double>{divergence.kl_mean});
}

TEST(PerplexityDivergence, LargeVocabularyIsScoredInPieces) {
  // 200,000 logits a position: the 23 positions need two pieces of the head.
  const std::int64_t vocab = 200000;
  MemorySource source = tiny_llama_tensors();
  source.put("model.embed_tokens.weight", test::normal(vocab, 16, 4));
  source.put("lm_head.weight", test::normal(vocab, 16, 5));
  nlohmann::json config = tiny_llama_config();
  config["vocab_size"] = vocab;
  const text::TokenWindows windows = some_windows(1, 24);
  const FinalStates kept = states_of(source, windows, {}, config);
  const MemorySource damaged = damaged_tensors(source);
  const auto divergence = score_against(kept, damaged, windows, {}, config).divergence.value();
  const torch::Tensor dense = scored_logits(source, windows, config);
  const torch::Tensor other = scored_logits(damaged, windows, config);
  const double kl = kl_in_double(dense, other).mean().item<double>();
  EXPECT_GT(kl, 0.01);
  // The normalization of p is a float32 sum over the vocabulary, an error of every term.
  EXPECT_NEAR(divergence.kl_mean, kl, std::sqrt(static_cast<double>(vocab)) * kFloatEpsilon * kl);
  EXPECT_NEAR(divergence.top1_agreement,
              dense.argmax(1).eq(other.argmax(1)).to(torch::kFloat64).mean().item<double>(), 1e-12);
}

std::string mismatch_of(const FinalStates& reference, const text::TokenWindows& windows,
                        const PerplexityOptions& options = {}) {
  try {
    (void)score_against(reference, tiny_llama_tensors(), windows, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(PerplexityDivergence, RefusesStatesOfAnotherRun) {
  const text::TokenWindows windows = some_windows(3, 16);
  const FinalStates kept = states_of(tiny_llama_tensors(), windows);
  EXPECT_THAT(mismatch_of(kept, some_windows(2, 16)),
              HasSubstr("final states (3, 15, 16) of Float; expected (2, 15, 16) of Float"));
  EXPECT_THAT(mismatch_of(kept, some_windows(3, 8)), HasSubstr("expected (3, 7, 16) of Float"));
  PerplexityOptions bfloat16;
  bfloat16.placement.dtype = torch::kBFloat16;
  EXPECT_THAT(mismatch_of(kept, windows, bfloat16), HasSubstr("expected (3, 15, 16) of BFloat16"));
  text::TokenWindows other = windows;
  other.ids[7] = (other.ids[7] + 1) % 11;
  EXPECT_THAT(mismatch_of(kept, other), HasSubstr("final states of other tokens"));
  EXPECT_THAT(mismatch_of(FinalStates{}, windows), HasSubstr("final states that were never kept"));
  const FinalStates narrow{kept.states.narrow(2, 0, 15), kept.token_sha256};
  EXPECT_THAT(mismatch_of(narrow, windows), HasSubstr("final states (3, 15, 15)"));
}

TEST(PerplexityDivergence, ThatIsNotFiniteNamesItsWindow) {
  const text::TokenWindows windows = some_windows(3, 16);
  const FinalStates kept = states_of(tiny_llama_tensors(), windows);
  kept.states[1].fill_(std::numeric_limits<double>::quiet_NaN());
  try {
    (void)score_against(kept, tiny_llama_tensors(), windows);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNumeric);
    EXPECT_THAT(error.what(), HasSubstr("the divergence of window 1 is nan"));
  }
}

}  // namespace
}  // namespace sgpt_mi::eval
