#include "sgpt_mi/eval/perplexity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/ranks/broadcast_source.h"
#include "support/thread_ranks.h"
#include "support/tiny_model.h"

namespace sgpt_mi::eval {
namespace {

using model::Model;
using test::MemorySource;
using test::tiny_llama_config;
using test::tiny_llama_tensors;
using ::testing::HasSubstr;

text::TokenWindows some_windows(std::int64_t windows, std::int64_t seqlen) {
  text::TokenWindows result{{}, windows, seqlen};
  for (std::int64_t i = 0; i < windows * seqlen; ++i) {
    result.ids.push_back(static_cast<std::int32_t>(i * i % 11));
  }
  return result;
}

PerplexityResult score(const MemorySource& source, const text::TokenWindows& windows,
                       const nlohmann::json& config = tiny_llama_config(),
                       const PerplexityOptions& options = {}) {
  Model model(model::parse_model_spec(config), source);
  return perplexity(model, windows, options);
}

std::string error_of(const MemorySource& source, const text::TokenWindows& windows, ErrorKind kind,
                     const PerplexityOptions& options = {}) {
  try {
    (void)score(source, windows, tiny_llama_config(), options);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(Perplexity, OfSeveralRanksIsThatOfOne) {
  const text::TokenWindows windows = some_windows(7, 8);
  const MemorySource source = tiny_llama_tensors();
  FinalStates states;
  PerplexityOptions options;
  options.batch_windows = 2;
  options.keep = &states;
  const PerplexityResult alone = score(source, windows, tiny_llama_config(), options);
  for (const int ranks : {2, 3, 6}) {
    test::on_ranks(ranks, [&](const ranks::World& world) {
      // The others have the tensors from rank 0 alone, and one of six has no windows.
      const MemorySource nothing;
      const ranks::BroadcastSource shared(world, world.leads() ? source : nothing);
      Model model(model::parse_model_spec(tiny_llama_config()), shared);
      FinalStates kept;
      PerplexityOptions of_rank = options;
      of_rank.keep = &kept;
      of_rank.world = world;
      const PerplexityResult result = perplexity(model, windows, of_rank);
      EXPECT_EQ(result.window_nll, alone.window_nll);
      EXPECT_TRUE(kept.states.equal(states.states));
    });
  }
}

TEST(Perplexity, OfAUniformModelIsItsVocabulary) {
  MemorySource source = tiny_llama_tensors();
  source.put("lm_head.weight", at::zeros({11, 16}));
  const PerplexityResult result = score(source, some_windows(3, 8));
  // log 11 is rounded to float32 once.
  EXPECT_NEAR(result.ppl, 11.0, 11.0 * 2.4 * std::numeric_limits<float>::epsilon());
  EXPECT_EQ(result.nll_stderr, 0.0);
  EXPECT_EQ(result.windows, 3);
  EXPECT_EQ(result.seqlen, 8);
}

TEST(Perplexity, EqualsTheCrossEntropyOfTheWholeLogits) {
  const MemorySource source = tiny_llama_tensors();
  const text::TokenWindows windows = some_windows(5, 16);
  const PerplexityResult result = score(source, windows);
  Model model(model::parse_model_spec(tiny_llama_config()), source);
  const torch::Tensor ids = at::tensor(windows.ids).to(torch::kInt64).view({5, 16});
  const torch::Tensor logits = test::logits_of(model, ids).to(torch::kFloat64);
  double sum = 0.0;
  for (std::int64_t window = 0; window < 5; ++window) {
    double loss = 0.0;
    for (std::int64_t t = 0; t + 1 < 16; ++t) {
      const torch::Tensor row = logits[window][t];
      const std::int64_t target = ids[window][t + 1].item<std::int64_t>();
      loss += (row.logsumexp(0) - row[target]).item<double>() / 15.0;
    }
    EXPECT_NEAR(result.window_nll[static_cast<std::size_t>(window)], loss, 1e-5) << window;
    sum += loss;
  }
  EXPECT_NEAR(result.nll_mean, sum / 5.0, 1e-5);
  EXPECT_NEAR(result.ppl, std::exp(result.nll_mean), 1e-12 * result.ppl);
}

TEST(Perplexity, StandardErrorOfTwoWindowsIsHalfTheirDifference) {
  const PerplexityResult result = score(tiny_llama_tensors(), some_windows(2, 16));
  const double difference = std::abs(result.window_nll[0] - result.window_nll[1]);
  EXPECT_GT(difference, 0.0);
  EXPECT_NEAR(result.nll_stderr, difference / 2.0, 1e-12);
  EXPECT_NEAR(result.ppl_stderr, result.ppl * difference / 2.0, 1e-9);
  EXPECT_EQ(score(tiny_llama_tensors(), some_windows(1, 16)).nll_stderr, 0.0);
}

TEST(Perplexity, DoesNotDependOnTheBatch) {
  const text::TokenWindows windows = some_windows(5, 16);
  const PerplexityResult together = score(tiny_llama_tensors(), windows);
  for (const std::int64_t batch : {1, 3, 5, 100}) {
    PerplexityOptions options;
    options.batch_windows = batch;
    const PerplexityResult result =
        score(tiny_llama_tensors(), windows, tiny_llama_config(), options);
    ASSERT_EQ(result.window_nll.size(), 5U);
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_NEAR(result.window_nll[i], together.window_nll[i], 1e-5) << batch;
    }
  }
}

TEST(Perplexity, LargeVocabularyIsScoredInPieces) {
  // 200,000 logits a position: the 31 targets of a window need more than one piece. The first 11
  // rows are the small model's, the others -infinity in effect: constant and far below.
  const std::int64_t vocab = 200000;
  MemorySource small = tiny_llama_tensors();
  small.put("model.norm.weight", at::ones({16}));
  MemorySource large = small;
  const auto widened = [&](const torch::Tensor& table) {
    return at::cat({table, at::zeros({vocab - 11, 16})});
  };
  large.put("model.embed_tokens.weight", widened(small.value("model.embed_tokens.weight")));
  large.put("lm_head.weight", widened(small.value("lm_head.weight")));
  nlohmann::json config = tiny_llama_config();
  config["vocab_size"] = vocab;
  const text::TokenWindows windows = some_windows(2, 32);
  Model model(model::parse_model_spec(tiny_llama_config()), small);
  const torch::Tensor ids = at::tensor(windows.ids).to(torch::kInt64).view({2, 32});
  const torch::Tensor logits = test::logits_of(model, ids).to(torch::kFloat64).narrow(1, 0, 31);
  // The zero rows add (vocab - 11) e^0 to every sum.
  const torch::Tensor sums = (logits.exp().sum(-1) + static_cast<double>(vocab - 11)).log();
  const torch::Tensor chosen = logits.gather(2, ids.narrow(1, 1, 31).unsqueeze(2)).squeeze(2);
  const torch::Tensor expected = (sums - chosen).mean(1);
  const PerplexityResult result = score(large, windows, config);
  for (std::size_t i = 0; i < 2; ++i) {
    const double loss = expected[static_cast<std::int64_t>(i)].item<double>();
    EXPECT_NEAR(result.window_nll[i], loss, 1e-5 * loss);
  }
}

TEST(Perplexity, ReportsProgressOncePerBlock) {
  std::vector<std::pair<std::int64_t, std::int64_t>> seen;
  PerplexityOptions options;
  options.progress = [&](std::int64_t done, std::int64_t total) { seen.emplace_back(done, total); };
  (void)score(tiny_llama_tensors(), some_windows(3, 8), tiny_llama_config(), options);
  const std::vector<std::pair<std::int64_t, std::int64_t>> expected{{1, 2}, {2, 2}};
  EXPECT_EQ(seen, expected);
}

TEST(Perplexity, RefusesWhatItCannotScore) {
  const MemorySource source = tiny_llama_tensors();
  text::TokenWindows windows = some_windows(2, 8);
  windows.ids[5] = 11;
  EXPECT_THAT(error_of(source, windows, ErrorKind::kInput),
              HasSubstr("token id 11; the model's vocabulary has ids 0 to 10"));
  windows.ids[5] = -1;
  EXPECT_THAT(error_of(source, windows, ErrorKind::kInput), HasSubstr("token id -1"));
  EXPECT_THAT(error_of(source, some_windows(1, 65), ErrorKind::kInput),
              HasSubstr("a window of 65 tokens; this model has 64 positions"));
  EXPECT_THAT(error_of(source, some_windows(1, 1), ErrorKind::kInput),
              HasSubstr("1 windows of 1 tokens"));
  EXPECT_THAT(error_of(source, some_windows(0, 8), ErrorKind::kInput), HasSubstr("0 windows"));
  PerplexityOptions options;
  options.batch_windows = 0;
  EXPECT_THAT(error_of(source, some_windows(1, 8), ErrorKind::kUsage, options),
              HasSubstr("batch_windows is 0"));
}

TEST(Perplexity, LossThatIsNotFiniteNamesItsWindow) {
  MemorySource source = tiny_llama_tensors();
  // Finite weights whose logits overflow.
  source.put("lm_head.weight", at::full({11, 16}, 3e38F));
  EXPECT_THAT(error_of(source, some_windows(2, 8), ErrorKind::kNumeric),
              HasSubstr("the loss of window 0"));
}

}  // namespace
}  // namespace sgpt_mi::eval
