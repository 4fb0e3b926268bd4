#include "sgpt_mi/tuning/tune_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <set>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/eval/perplexity.h"
#include "support/random_tensor.h"
#include "support/tiny_model.h"

namespace sgpt_mi::tuning {
namespace {

/// A tiny model, and the same with compressed linears.
struct Scene {
  std::string family;
  formats::Checkpoint checkpoint;
  std::unique_ptr<model::Model> model;
  std::unique_ptr<formats::SavedTypes> types;
  text::TokenWindows windows{{}, 24, 12};
  std::vector<CompressedLinear> linears;

  TunedModel tune(std::int64_t batch = 2) {
    return tune_model({*model, *model, {}, windows, *types, batch, {}}, linears);
  }
};

Scene scene(const std::string& family, nlohmann::json config, test::MemorySource tensors) {
  Scene made;
  made.family = family;
  made.checkpoint.config = std::move(config);
  made.checkpoint.tensors = std::make_unique<test::MemorySource>(std::move(tensors));
  made.model = std::make_unique<model::Model>(made.checkpoint);
  made.types = std::make_unique<formats::SavedTypes>(made.checkpoint);
  for (std::int64_t i = 0; i < made.windows.windows * made.windows.seqlen; ++i) {
    made.windows.ids.push_back(static_cast<std::int32_t>((i * i + 3 * i + i / 7) % 11));
  }
  return made;
}

std::vector<Scene> scenes() {
  std::vector<Scene> all;
  all.push_back(scene("llama", test::tiny_llama_config(), test::tiny_llama_tensors()));
  all.push_back(scene("opt", test::tiny_opt_config(), test::tiny_opt_tensors()));
  return all;
}

void compress_all(Scene& made, const obs::CompressOptions& options) {
  std::uint64_t seed = 20;
  for (std::int64_t layer = 0; layer < made.model->spec().layers; ++layer) {
    const std::unique_ptr<model::Block> block = made.model->load_block(layer, {});
    for (const model::LinearInfo& linear : block->linears()) {
      const torch::Tensor hessian = test::correlated_hessian(linear.columns, 64, ++seed);
      made.linears.push_back({linear, obs::compress_sparsegpt(block->weight(linear.short_name),
                                                              hessian, options, linear.name)
                                          .matrix});
    }
  }
}

std::vector<obs::CompressOptions> ways() {
  obs::CompressOptions quantized;
  quantized.wbits = 3;
  quantized.stored_scales = true;
  obs::CompressOptions both = quantized;
  both.sparsity = 0.4;
  both.groupsize = 8;
  obs::CompressOptions pruned;
  pruned.sparsity = 0.5;
  return {quantized, both, pruned};
}

TEST(TuneModel, LowersTheDivergenceAndLeavesCodes) {
  for (Scene& made : scenes()) {
    for (const obs::CompressOptions& options : ways()) {
      SCOPED_TRACE(made.family);
      made.linears.clear();
      compress_all(made, options);
      const std::vector<CompressedLinear> before = made.linears;
      const TunedModel tuned = made.tune();
      ASSERT_TRUE(tuned.kept);
      EXPECT_LT(tuned.kl_after, 0.99 * tuned.kl_before);
      for (std::size_t i = 0; i < before.size(); ++i) {
        EXPECT_FALSE(made.linears[i].matrix.weight.equal(before[i].matrix.weight));
        EXPECT_TRUE(made.linears[i].matrix.pruned.equal(before[i].matrix.pruned));
        if (!before[i].matrix.codes.defined()) continue;
        EXPECT_TRUE(made.linears[i].matrix.codes.equal(before[i].matrix.codes));
      }
    }
  }
}

/// All norms that only linears read and all biases of the compressed linears, once each.
TEST(TuneModel, NamesNormsAndBiases) {
  for (Scene& made : scenes()) {
    compress_all(made, ways().front());
    const TunedModel tuned = made.tune();
    std::set<std::string> names;
    for (const auto& [name, value] : tuned.tensors) {
      EXPECT_TRUE(names.insert(name).second) << name;
      const auto data = made.checkpoint.tensors->read(name);
      EXPECT_EQ(value.sizes().vec(), data.info.shape);
      EXPECT_EQ(model::from_scalar_type(value.scalar_type()), data.info.dtype);
      EXPECT_FALSE(value.equal(model::to_torch(data)));
    }
    EXPECT_EQ(names.size(), made.family == "llama" ? 2U * 2U : 2U * (6U + 4U));
  }
}

/// KL from the dense model on the first window, with the weight of one linear replaced.
double divergence(const Scene& made, const eval::FinalStates& dense, std::size_t replaced,
                  const torch::Tensor& weight) {
  formats::MemoryStore store(*made.types);
  for (std::size_t i = 0; i < made.linears.size(); ++i) {
    const torch::Tensor& value = i == replaced ? weight : made.linears[i].matrix.weight;
    store.put(model::to_tensor_data(made.linears[i].linear.name + ".weight", value));
  }
  model::Model model(made.model->spec(), store);
  const text::TokenWindows first = text::first_windows(made.windows, 1);
  return eval::perplexity(model, first, {{}, 1, {}, nullptr, false, &dense})
      .divergence.value()
      .kl_mean;
}

/// Adam's first step moves every factor by the rate, against the sign of its gradient: the sign of
/// the change of KL when the row grows.
TEST(TuneModel, TheFirstStepFollowsTheGradient) {
  for (Scene& made : scenes()) {
    for (std::int64_t i = made.windows.seqlen; i < std::ssize(made.windows.ids); ++i) {
      made.windows.ids[static_cast<std::size_t>(i)] =
          made.windows.ids[static_cast<std::size_t>(i - made.windows.seqlen)];  // all alike
    }
    compress_all(made, ways().front());
    const Scene& before = made;
    eval::FinalStates dense;
    static_cast<void>(
        eval::perplexity(*made.model, text::first_windows(made.windows, 1), {{}, 1, {}, &dense}));
    const std::vector<CompressedLinear> given = made.linears;
    std::vector<std::vector<double>> growth(given.size());
    for (std::size_t i = 0; i < given.size(); i += 3) {
      const torch::Tensor& weight = given[i].matrix.weight;
      for (std::int64_t row = 0; row < weight.size(0); row += 5) {
        double change = 0.0;
        for (const double step : {-0.01, 0.01}) {
          torch::Tensor moved = weight.clone();
          moved[row].mul_(1.0 + step);
          change += divergence(before, dense, i, moved) * (step > 0 ? 1.0 : -1.0);
        }
        growth[i].push_back(change);
      }
    }
    ASSERT_TRUE(made.tune(21).kept);  // one step: 24 windows less 3
    int compared = 0;
    for (std::size_t i = 0; i < given.size(); ++i) {
      const torch::Tensor ratio = made.linears[i].matrix.scale / given[i].matrix.scale;
      for (std::size_t k = 0; k < growth[i].size(); ++k) {
        if (std::abs(growth[i][k]) < 3e-6) continue;
        const double factor = ratio[static_cast<std::int64_t>(5 * k)][0].item<double>();
        EXPECT_NEAR(factor, growth[i][k] > 0 ? std::exp(-2e-3) : std::exp(2e-3), 6e-4)
            << given[i].linear.name << " row " << 5 * k << ", change " << growth[i][k];
        ++compared;
      }
    }
    EXPECT_GT(compared, 6) << made.family;
  }
}

TEST(TuneModel, LeavesAModelAloneThatItDoesNotImprove) {
  for (Scene& made : scenes()) {
    for (std::int64_t layer = 0; layer < made.model->spec().layers; ++layer) {
      const std::unique_ptr<model::Block> block = made.model->load_block(layer, {});
      for (const model::LinearInfo& linear : block->linears()) {
        obs::CompressedMatrix exact;
        exact.weight = block->weight(linear.short_name).clone();
        exact.pruned = at::zeros(exact.weight.sizes(), torch::kBool);
        made.linears.push_back({linear, exact});
      }
    }
    const std::vector<CompressedLinear> before = made.linears;
    const TunedModel tuned = made.tune();
    EXPECT_FALSE(tuned.kept);
    EXPECT_TRUE(tuned.tensors.empty());
    for (std::size_t i = 0; i < before.size(); ++i) {
      EXPECT_TRUE(made.linears[i].matrix.weight.is_same(before[i].matrix.weight));
    }
  }
}

TEST(TuneModel, IsTheSameAtEveryCallAndTellsItsSteps) {
  Scene first = std::move(scenes().front());
  Scene second = std::move(scenes().front());
  compress_all(first, ways()[1]);
  compress_all(second, ways()[1]);
  std::vector<std::int64_t> told;
  const TunedModel tuned =
      tune_model({*first.model,
                  *first.model,
                  {},
                  first.windows,
                  *first.types,
                  4,
                  [&](std::int64_t done, std::int64_t total) {
                    EXPECT_EQ(total, 6);  // 24 windows less 3 that judge, 4 a step
                    told.push_back(done);
                  }},
                 first.linears);
  EXPECT_EQ(told, (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(second.tune(4).kl_after, tuned.kl_after);
  for (std::size_t i = 0; i < first.linears.size(); ++i) {
    EXPECT_TRUE(first.linears[i].matrix.weight.equal(second.linears[i].matrix.weight));
  }
}

TEST(TuneModel, NeedsTwoWindows) {
  Scene made = std::move(scenes().front());
  compress_all(made, ways().front());
  made.windows = text::first_windows(made.windows, 1);
  EXPECT_THROW((void)made.tune(), Error);
}

}  // namespace
}  // namespace sgpt_mi::tuning
