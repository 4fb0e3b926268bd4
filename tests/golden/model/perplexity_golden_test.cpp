#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgpt_mi/eval/perplexity.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/text/corpus.h"
#include "sgpt_mi/tokenizer/tokenizer.h"
#include "support/shared_data.h"

namespace sgpt_mi::eval {
namespace {

struct Case {
  std::string model;
  std::string set;
  std::int64_t seqlen;
};

std::string name_of(const ::testing::TestParamInfo<Case>& test) {
  std::string name =
      test.param.model + "_" + test.param.set + "_" + std::to_string(test.param.seqlen);
  std::erase(name, '-');
  return name;
}

class DensePerplexity : public ::testing::TestWithParam<Case> {};

TEST_P(DensePerplexity, EqualsTheReference) {
  // golden/README.md: float32 implementations agree to 1e-4 in window_nll and, relatively, in ppl.
  constexpr double kTolerance = 1e-4;
  const Case& wanted = GetParam();
  SGPT_MI_SHARED_OR_SKIP(golden_file, "golden/dense/" + wanted.model + ".json");
  SGPT_MI_SHARED_OR_SKIP(folder, "models/" + wanted.model);
  SGPT_MI_SHARED_OR_SKIP(data, "data");
  std::ifstream stream(golden_file);
  const nlohmann::json golden =
      nlohmann::json::parse(stream).at("seqlen").at(std::to_string(wanted.seqlen)).at(wanted.set);

  const std::unique_ptr<tokenizer::Tokenizer> tokenizer = tokenizer::load_tokenizer(folder);
  const std::string set = wanted.set == "tinystories"
                              ? (data / "tinystories/tinystories.944KB.txt").string()
                              : wanted.set;
  const text::EvalSet texts = text::load_eval_set(set, {data}, tokenizer.get(), wanted.seqlen,
                                                  golden.at("n_windows").get<std::int64_t>());
  const formats::Checkpoint checkpoint = formats::open_checkpoint({folder, false});
  model::Model model(checkpoint);
  const PerplexityResult result = perplexity(model, texts.windows, {});

  const auto losses = golden.at("window_nll").get<std::vector<double>>();
  ASSERT_EQ(result.window_nll.size(), losses.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    largest = std::max(largest, std::abs(result.window_nll[i] - losses[i]));
  }
  EXPECT_LE(largest, kTolerance);
  const double ppl = golden.at("ppl");
  EXPECT_NEAR(result.ppl, ppl, kTolerance * ppl);
  EXPECT_NEAR(result.nll_mean, golden.at("mean_nll").get<double>(), kTolerance);
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const std::int64_t seqlen : {512, 128}) {
    for (const char* set : {"wikitext2", "ptb", "c4"}) {
      cases.push_back({"tinystories-656k", set, seqlen});
      cases.push_back({"opt-3m", set, seqlen});
    }
    cases.push_back({"tinystories-656k", "tinystories", seqlen});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, DensePerplexity, ::testing::ValuesIn(all_cases()), name_of);

}  // namespace
}  // namespace sgpt_mi::eval
