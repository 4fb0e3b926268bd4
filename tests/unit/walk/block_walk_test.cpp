#include "sgpt_mi/walk/block_walk.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "support/random_tensor.h"
#include "support/thread_ranks.h"
#include "support/tiny_model.h"

namespace sgpt_mi::walk {
namespace {

using model::Site;

constexpr std::int64_t kWindows = 5;
constexpr std::int64_t kLength = 6;
constexpr std::int64_t kLayers = 2;

/// A tiny model, the windows that walk through it and the name of its last linear in a block.
struct Scene {
  std::string family;
  std::string last_linear;
  formats::Checkpoint checkpoint;
  std::unique_ptr<model::Model> model;
  text::TokenWindows windows;

  [[nodiscard]] torch::Tensor hidden() const {
    const auto ids = torch::from_blob(const_cast<std::int32_t*>(windows.ids.data()),
                                      {windows.windows, windows.seqlen}, torch::kInt32);
    return model->embed(ids.to(torch::kInt64), {});
  }
};

Scene scene(const std::string& family, nlohmann::json config, test::MemorySource tensors) {
  Scene made;
  made.family = family;
  made.last_linear = family == "llama" ? "mlp.down_proj" : "fc2";
  made.checkpoint.config = std::move(config);
  made.checkpoint.tensors = std::make_unique<test::MemorySource>(std::move(tensors));
  made.model = std::make_unique<model::Model>(made.checkpoint);
  made.windows = {{}, kWindows, kLength};
  for (std::int64_t i = 0; i < kWindows * kLength; ++i) {
    made.windows.ids.push_back(static_cast<std::int32_t>((i * i + 3 * i) % 11));
  }
  return made;
}

/// LLaMA, OPT and OPT with its norms after the sums.
std::vector<Scene> scenes() {
  std::vector<Scene> all;
  all.push_back(scene("llama", test::tiny_llama_config(), test::tiny_llama_tensors()));
  all.push_back(scene("opt", test::tiny_opt_config(), test::tiny_opt_tensors()));
  nlohmann::json post_norm = test::tiny_opt_config();
  post_norm["do_layer_norm_before"] = false;
  test::MemorySource tensors = test::tiny_opt_tensors();
  tensors.remove("model.decoder.final_layer_norm.weight");
  tensors.remove("model.decoder.final_layer_norm.bias");
  all.push_back(scene("post-norm opt", std::move(post_norm), std::move(tensors)));
  return all;
}

/// A site of the model, in the order of a walk.
using Place = std::pair<std::int64_t, Site>;

/// What a linear meets: its input and the residual stream beside it, all windows at once.
struct Moment {
  torch::Tensor input;
  torch::Tensor residual;
};

using Replacement = std::pair<std::string, torch::Tensor>;  ///< short name in block 0, weight

/// Every site of a whole forward, with one weight of block 0 replaced, and what the last block
/// leaves.
struct Forward {
  std::map<Place, Moment> moments;
  torch::Tensor output;
};

/// \param embedding  whose embedding it starts from.
Forward forward(const Scene& made, const std::optional<Replacement>& replacement,
                const Scene& embedding) {
  Forward record;
  record.output = embedding.hidden();
  for (std::int64_t layer = 0; layer < kLayers; ++layer) {
    const auto block = made.model->load_block(layer, {});
    if (layer == 0 && replacement) block->set_weight(replacement->first, replacement->second);
    model::BlockState state = block->begin(record.output);
    for (int index = 0; index < model::kSites; ++index) {
      const auto site = static_cast<Site>(index);
      const torch::Tensor input = block->site_input(site, state);
      record.moments[{layer, site}] = {input, state.hidden};
      block->advance(site, state, input);
    }
    record.output = state.hidden;
  }
  return record;
}

Forward forward(const Scene& made, const std::optional<Replacement>& replacement) {
  return forward(made, replacement, made);
}

/// One walk over a scene.
struct Walk {
  LayerSelection selection;
  bool true_sequential = true;
  bool dense_stream = true;
  std::map<std::string, double> timings = {};
  model::Model* embedding = nullptr;
  std::function<bool(std::int64_t, Site)> knows = {};
  ranks::World world = {};
  std::int64_t sample_tokens = 0;

  void run(const Scene& made, const SiteHandler& handle) {
    BlockWalk walk{*made.model,
                   {},
                   made.windows,
                   selection,
                   true_sequential,
                   /*batch_windows=*/2,
                   sample_tokens,
                   timings,
                   dense_stream,
                   /*residual_drift=*/dense_stream};
    walk.embedding = embedding;
    walk.knows = knows;
    walk.world = world;
    walk_blocks(walk, handle);
  }

  std::map<Place, SiteInput> run(const Scene& made, const std::optional<Replacement>& replacement) {
    std::map<Place, SiteInput> seen;
    run(made, [&](model::Block& block, std::span<SiteInput> inputs) {
      for (SiteInput& input : inputs) {
        for (const model::LinearInfo& linear : block.linears()) {
          if (input.layer != 0 || linear.site != input.site || !replacement) continue;
          if (linear.short_name == replacement->first) {
            block.set_weight(linear.short_name, replacement->second);
          }
        }
        seen[{input.layer, input.site}] = std::move(input);
      }
    });
    return seen;
  }
};

/// Weights of one of block 0's linears, a little off.
Replacement changed(const Scene& made, const std::string& short_name) {
  const auto block = made.model->load_block(0, {});
  const torch::Tensor& weight = block->weight(short_name);
  return {short_name, weight + 0.2 * test::normal(weight.size(0), weight.size(1), 7)};
}

/// Sum over the tokens of left times right, in double precision.
torch::Tensor product(const torch::Tensor& left, const torch::Tensor& right) {
  return left.flatten(0, 1).to(torch::kFloat64).t().matmul(right.flatten(0, 1).to(torch::kFloat64));
}

/// `sums` are sums of `left` times `right`, whose values may be off as float32 forwards of another
/// batch size are.
void expect_product(const torch::Tensor& sums, const torch::Tensor& left,
                    const torch::Tensor& right) {
  const auto largest = product(left.abs(), right.abs()).max().item<double>();
  EXPECT_LE((sums - product(left, right)).abs().max().item<double>(), 1e-5 * largest);
}

/// Sequences 0, 2, 4 ...
torch::Tensor every_second(const torch::Tensor& sequences) {
  return sequences.slice(0, 0, sequences.size(0), 2);
}

/// Both halves together.
calib::DriftStats whole(const SiteInput& input) {
  const auto& [even, odd] = *input.drift;
  calib::DriftStats sum{even.cross_sum + odd.cross_sum, {}, even.sequences + odd.sequences};
  if (even.residual_sum.defined()) sum.residual_sum = even.residual_sum + odd.residual_sum;
  return sum;
}

void expect_drift(const SiteInput& input, const Moment& dense, const Moment& compressed) {
  ASSERT_TRUE(input.drift.has_value());
  const calib::DriftStats drift = whole(input);
  const torch::Tensor difference = dense.input - compressed.input;
  expect_product(drift.cross_sum, difference, compressed.input);
  EXPECT_EQ(drift.sequences, kWindows);
  EXPECT_EQ(input.drift->front().sequences, (kWindows + 1) / 2);
  const torch::Tensor even = every_second(difference);
  expect_product(input.drift->front().cross_sum, even, every_second(compressed.input));
  const torch::Tensor apart = dense.residual - compressed.residual;
  if (drift.residual_sum.defined()) {
    EXPECT_TRUE(input.site == Site::kAttentionOut || input.site == Site::kMlpOut);
    expect_product(drift.residual_sum, apart, compressed.input);
  } else if (input.site == Site::kAttentionOut || input.site == Site::kMlpOut) {
    EXPECT_EQ(at::count_nonzero(apart).item<std::int64_t>(), 0);
  }
}

/// Walks with one changed linear and compares every site after it with two separate forwards.
void expect_drift_of_two_forwards(const Scene& made, const std::string& short_name, Site site,
                                  const LayerSelection& selection) {
  const Replacement replacement = changed(made, short_name);
  const Forward dense = forward(made, std::nullopt);
  const Forward compressed = forward(made, replacement);
  Walk walk{selection};
  const auto seen = walk.run(made, replacement);
  std::size_t drifted = 0;
  for (const auto& [place, input] : seen) {
    SCOPED_TRACE(testing::Message() << made.family << ", " << short_name << " changed, layer "
                                    << place.first << ", site " << static_cast<int>(place.second));
    expect_product(input.stats.second_moment_sum, compressed.moments.at(place).input,
                   compressed.moments.at(place).input);
    if (place == seen.begin()->first) {
      EXPECT_FALSE(input.drift.has_value()) << "the streams have not parted";
      continue;
    }
    expect_drift(input, dense.moments.at(place), compressed.moments.at(place));
    if (place <= Place(0, site)) continue;
    ++drifted;
    EXPECT_GT(whole(input).cross_sum.abs().max().item<double>(), 1e-3);
  }
  EXPECT_GT(drifted, 0U);
}

/// Short name of the first linear that reads the site.
std::string first_linear(const Scene& made, Site site) {
  for (const model::LinearInfo& linear : made.model->block_linears(0)) {
    if (linear.site == site) return linear.short_name;
  }
  return "";
}

TEST(BlockWalk, AHandlerThatChangesNothingSeesNoDriftAndThePlainWalk) {
  for (const Scene& made : scenes()) {
    SCOPED_TRACE(made.family);
    Walk plain{{}, true, false};
    Walk both{{}};
    const auto expected = plain.run(made, std::nullopt);
    const auto seen = both.run(made, std::nullopt);
    ASSERT_EQ(seen.size(), static_cast<std::size_t>(kLayers * model::kSites));
    for (const auto& [place, input] : seen) {
      const torch::Tensor& sum = input.stats.second_moment_sum;
      EXPECT_TRUE(sum.equal(expected.at(place).stats.second_moment_sum));
      EXPECT_FALSE(expected.at(place).drift.has_value());
      EXPECT_EQ(input.drift.has_value(), place != Place(0, Site::kAttentionIn));
      if (!input.drift) continue;
      EXPECT_EQ(at::count_nonzero(whole(input).cross_sum).item<std::int64_t>(), 0);
    }
  }
}

TEST(BlockWalk, DriftIsWhatTwoSeparateForwardsGive) {
  for (const Scene& made : scenes()) {
    for (const Site site : {Site::kAttentionIn, Site::kAttentionOut, Site::kMlpIn, Site::kMlpOut}) {
      expect_drift_of_two_forwards(made, first_linear(made, site), site, {});
    }
  }
}

TEST(BlockWalk, BothStreamsPassSitesThatNobodySelected) {
  for (const Scene& made : scenes()) {
    LayerSelection selection;
    selection.name_contains = made.last_linear;
    expect_drift_of_two_forwards(made, made.last_linear, Site::kMlpOut, selection);
  }
}

/// The same model with token vectors a little off.
Scene with_other_embedding(const Scene& made) {
  auto tensors = dynamic_cast<const test::MemorySource&>(*made.checkpoint.tensors);
  const std::string name =
      made.family == "llama" ? "model.embed_tokens.weight" : "model.decoder.embed_tokens.weight";
  const torch::Tensor& table = tensors.value(name);
  tensors.put(name, table + 0.2 * test::normal(table.size(0), table.size(1), 9));
  return scene(made.family, made.checkpoint.config, std::move(tensors));
}

TEST(BlockWalk, TheCompressedStreamStartsFromAnEmbeddingOfItsOwn) {
  for (const Scene& made : scenes()) {
    const Scene other = with_other_embedding(made);
    const Replacement replacement = changed(made, made.last_linear);
    const Forward dense = forward(made, std::nullopt);
    const Forward compressed = forward(made, replacement, other);
    Walk both{{}};
    both.embedding = other.model.get();
    const auto seen = both.run(made, replacement);
    ASSERT_EQ(seen.size(), static_cast<std::size_t>(kLayers * model::kSites));
    Walk plain{{}, true, false};
    plain.embedding = other.model.get();
    const auto alone = plain.run(made, replacement);
    for (const auto& [place, input] : seen) {
      SCOPED_TRACE(testing::Message() << made.family << ", layer " << place.first << ", site "
                                      << static_cast<int>(place.second));
      const torch::Tensor& x = compressed.moments.at(place).input;
      expect_product(input.stats.second_moment_sum, x, x);
      expect_drift(input, dense.moments.at(place), compressed.moments.at(place));
      EXPECT_GT(whole(input).cross_sum.abs().max().item<double>(), 1e-3) << "from the first site";
      EXPECT_TRUE(alone.at(place).stats.second_moment_sum.equal(input.stats.second_moment_sum));
      EXPECT_FALSE(alone.at(place).drift.has_value());
    }
  }
}

TEST(BlockWalk, SitesThatAreKnownChangeNothingAfterThem) {
  for (const Scene& made : scenes()) {
    const Replacement replacement = changed(made, made.last_linear);
    for (const bool in_sequence : {true, false}) {
      Walk whole{{}, in_sequence, in_sequence};
      Walk resumed{{}, in_sequence, in_sequence};
      resumed.knows = [](std::int64_t layer, Site site) {
        return Place(layer, site) <= Place(1, Site::kAttentionIn);
      };
      const auto expected = whole.run(made, replacement);
      const auto seen = resumed.run(made, replacement);
      ASSERT_EQ(seen.size(), expected.size());
      for (const auto& [place, input] : seen) {
        const SiteInput& other = expected.at(place);
        if (resumed.knows(place.first, place.second)) {
          EXPECT_FALSE(input.stats.second_moment_sum.defined());
          continue;
        }
        EXPECT_TRUE(input.stats.second_moment_sum.equal(other.stats.second_moment_sum));
        ASSERT_EQ(input.drift.has_value(), other.drift.has_value());
        if (!input.drift) continue;
        for (std::size_t half = 0; half < 2; ++half) {
          EXPECT_TRUE((*input.drift)[half].cross_sum.equal((*other.drift)[half].cross_sum));
        }
      }
    }
  }
}

TEST(BlockWalk, FollowsNoDenseStreamWhereNothingIsSelected) {
  const std::vector<Scene> all = scenes();
  LayerSelection nothing;
  nothing.name_contains = "no such linear";
  Walk walk{nothing};
  EXPECT_TRUE(walk.run(all.front(), std::nullopt).empty());
  EXPECT_EQ(walk.timings.count("dense_stream"), 0U);
}

TEST(BlockWalk, SaysWhereTheTimeOfTheDenseStreamWent) {
  const std::vector<Scene> all = scenes();
  Walk plain{{}, true, false};
  Walk both{{}};
  plain.run(all.front(), std::nullopt);
  both.run(all.front(), std::nullopt);
  EXPECT_EQ(plain.timings.count("drift") + plain.timings.count("dense_stream"), 0U);
  EXPECT_GT(both.timings.at("drift"), 0.0);
  EXPECT_GT(both.timings.at("dense_stream"), 0.0);
}

/// Equal to the last bit, or both undefined.
void expect_equal(const torch::Tensor& left, const torch::Tensor& right) {
  ASSERT_EQ(left.defined(), right.defined());
  EXPECT_TRUE(!left.defined() || left.equal(right));
}

TEST(BlockWalk, FindsTheSameBitsOnSeveralRanks) {
  for (const bool in_sequence : {false, true}) {
    const std::vector<Scene> all = scenes();
    const Replacement replacement = changed(all.front(), "self_attn.v_proj");
    Walk one{{}, in_sequence, in_sequence};
    one.sample_tokens = 10;
    const auto expected = one.run(all.front(), replacement);
    for (const int ranks : {2, 3, 4}) {
      std::vector<std::vector<Scene>> of_ranks;
      for (int rank = 0; rank < ranks; ++rank) of_ranks.push_back(scenes());
      test::on_ranks(ranks, [&](const ranks::World& world) {
        const std::vector<Scene>& own = of_ranks[static_cast<std::size_t>(world.rank())];
        Walk walk{{}, in_sequence, in_sequence};
        walk.sample_tokens = 10;
        walk.world = world;
        const auto seen = walk.run(own.front(), replacement);
        ASSERT_EQ(seen.size(), expected.size());
        for (const auto& [place, input] : seen) {
          const SiteInput& alone = expected.at(place);
          expect_equal(input.stats.second_moment_sum, alone.stats.second_moment_sum);
          expect_equal(input.stats.channel_abs_sum, alone.stats.channel_abs_sum);
          expect_equal(input.stats.channel_abs_max, alone.stats.channel_abs_max);
          EXPECT_EQ(input.stats.sequences, kWindows);
          expect_equal(input.samples, alone.samples);
          ASSERT_EQ(input.drift.has_value(), alone.drift.has_value());
          for (std::size_t half = 0; input.drift && half < 2; ++half) {
            expect_equal((*input.drift)[half].cross_sum, (*alone.drift)[half].cross_sum);
            expect_equal((*input.drift)[half].residual_sum, (*alone.drift)[half].residual_sum);
            EXPECT_EQ((*input.drift)[half].sequences, (*alone.drift)[half].sequences);
          }
        }
      });
    }
  }
}

TEST(BlockWalk, RefusesADenseStreamThatItCannotKeep) {
  const std::vector<Scene> all = scenes();
  Walk together{{}, false, true};
  EXPECT_THROW(together.run(all.front(), std::nullopt), Error);
  std::map<std::string, double> timings;
  const LayerSelection selection;
  BlockWalk residual{*all.front().model, {}, all.front().windows, selection, true, 2, 0, timings};
  residual.residual_drift = true;
  EXPECT_THROW(walk_blocks(residual, {}), Error);
}

}  // namespace
}  // namespace sgpt_mi::walk
