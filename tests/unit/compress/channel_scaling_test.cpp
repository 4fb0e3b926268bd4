#include "compress/channel_scaling.h"

#include <gtest/gtest.h>

#include "support/random_tensor.h"
#include "support/tiny_model.h"

namespace sgpt_mi::compress {
namespace {

/// A tiny model, one of its blocks and the input of that block.
struct Scene {
  formats::Checkpoint checkpoint;
  std::unique_ptr<model::Model> model;
  std::unique_ptr<model::Block> block;
  torch::Tensor hidden = test::normal(2 * 5, 16, 3).reshape({2, 5, 16});
};

Scene scene(nlohmann::json config, test::MemorySource tensors) {
  Scene made;
  made.checkpoint.config = std::move(config);
  made.checkpoint.tensors = std::make_unique<test::MemorySource>(std::move(tensors));
  made.model = std::make_unique<model::Model>(made.checkpoint);
  made.block = made.model->load_block(1, {});
  return made;
}

/// The site's input when `hidden` enters the block.
torch::Tensor input_of(const Scene& made, model::Site site, const torch::Tensor& hidden) {
  model::BlockState state = made.block->begin(hidden);
  for (int index = 0; index < static_cast<int>(site); ++index) {
    const auto before = static_cast<model::Site>(index);
    made.block->advance(before, state, made.block->site_input(before, state));
  }
  return made.block->site_input(site, state);
}

walk::SiteInput statistics_of(const Scene& made, model::Site site) {
  const torch::Tensor x = input_of(made, site, made.hidden);
  const torch::Tensor dense = made.hidden * 1.1 + 0.05;
  const torch::Tensor x_dense = input_of(made, site, dense);
  calib::StatsAccumulator sums("test", 16, torch::kCPU);
  sums.add(x);
  const auto drift = [&] {
    calib::DriftAccumulator half("test", 16, torch::kCPU);
    half.add(x_dense, x);
    half.add_residual(dense, made.hidden, x);
    return half.finish();
  };
  return {1, site, sums.finish(), {}, std::array<calib::DriftStats, 2>{drift(), drift()}};
}

std::vector<model::LinearInfo> readers(const Scene& made, model::Site site) {
  std::vector<model::LinearInfo> linears;
  for (const model::LinearInfo& linear : made.block->linears()) {
    if (linear.site == site) linears.push_back(linear);
  }
  return linears;
}

void expect_same_block_with_even_inputs(Scene made, model::Site site) {
  const formats::SavedTypes types(made.checkpoint);
  const torch::Tensor before = made.block->forward(made.hidden);
  walk::SiteInput input = statistics_of(made, site);
  const torch::Tensor largest = input.stats.channel_abs_max.clone();
  const auto norm = fold_channel_scaling(*made.block, readers(made, site), 1.0, input, types);
  EXPECT_FALSE(norm.empty());
  EXPECT_TRUE(made.block->forward(made.hidden).allclose(before, 1e-4, 1e-5));
  // alpha = 1 makes all channels' maxima equal; the statistics must say what the block now gives.
  const torch::Tensor even = input.stats.channel_abs_max;
  EXPECT_LT((even.max() / even.min()).item<double>(), 1.001);
  EXPECT_GT((largest.max() / largest.min()).item<double>(), 1.1);
  const walk::SiteInput fresh = statistics_of(made, site);
  EXPECT_TRUE(input.stats.second_moment_sum.allclose(fresh.stats.second_moment_sum, 1e-4, 1e-4));
  EXPECT_TRUE(input.stats.channel_sum.allclose(fresh.stats.channel_sum, 1e-4, 1e-4));
  for (std::size_t half = 0; half < 2; ++half) {
    const calib::DriftStats& found = input.drift->at(half);
    const calib::DriftStats& expected = fresh.drift->at(half);
    EXPECT_TRUE(found.cross_sum.allclose(expected.cross_sum, 1e-4, 1e-4));
    EXPECT_TRUE(found.residual_sum.allclose(expected.residual_sum, 1e-4, 1e-4));
  }
}

TEST(ChannelScaling, KeepsALlamaBlockAndEvensItsInputs) {
  for (const model::Site site : {model::Site::kAttentionIn, model::Site::kMlpIn}) {
    expect_same_block_with_even_inputs(scene(test::tiny_llama_config(), test::tiny_llama_tensors()),
                                       site);
  }
}

TEST(ChannelScaling, KeepsAnOptBlockAndEvensItsInputs) {
  for (const model::Site site : {model::Site::kAttentionIn, model::Site::kMlpIn}) {
    expect_same_block_with_even_inputs(scene(test::tiny_opt_config(), test::tiny_opt_tensors()),
                                       site);
  }
}

TEST(ChannelScaling, LeavesSitesWithoutANormAlone) {
  Scene made = scene(test::tiny_llama_config(), test::tiny_llama_tensors());
  const formats::SavedTypes types(made.checkpoint);
  const model::Site site = model::Site::kAttentionOut;
  walk::SiteInput input = statistics_of(made, site);
  const torch::Tensor moment = input.stats.second_moment_sum.clone();
  EXPECT_TRUE(fold_channel_scaling(*made.block, readers(made, site), 0.5, input, types).empty());
  EXPECT_TRUE(input.stats.second_moment_sum.equal(moment));
}

TEST(ChannelScaling, LeavesPostNormBlocksAlone) {
  nlohmann::json config = test::tiny_opt_config();
  config["do_layer_norm_before"] = false;
  test::MemorySource tensors = test::tiny_opt_tensors();
  tensors.remove("model.decoder.final_layer_norm.weight");
  tensors.remove("model.decoder.final_layer_norm.bias");
  Scene made = scene(config, std::move(tensors));
  EXPECT_TRUE(made.block->norm_before(model::Site::kAttentionIn).empty());
}

}  // namespace
}  // namespace sgpt_mi::compress
