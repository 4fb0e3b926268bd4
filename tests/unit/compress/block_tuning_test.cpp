#include "compress/block_tuning.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/quant/grid.h"
#include "support/random_tensor.h"
#include "support/silent_events.h"
#include "support/tiny_model.h"

namespace sgpt_mi::compress {
namespace {

constexpr std::int64_t kSteps = 60;

/// A tiny model.
struct Scene {
  std::string family;
  formats::Checkpoint checkpoint;
  std::unique_ptr<model::Model> model;
};

Scene scene(const std::string& family, nlohmann::json config, test::MemorySource tensors) {
  Scene made;
  made.family = family;
  made.checkpoint.config = std::move(config);
  made.checkpoint.tensors = std::make_unique<test::MemorySource>(std::move(tensors));
  made.model = std::make_unique<model::Model>(made.checkpoint);
  return made;
}

/// The same tensors in another type.
test::MemorySource converted(const test::MemorySource& source, torch::ScalarType type) {
  test::MemorySource result;
  for (const containers::TensorInfo& info : source.tensors()) {
    result.put(info.name, source.value(info.name).to(type));
  }
  return result;
}

/// LLaMA, OPT, OPT with its norms after the sums, and a LLaMA that is saved in bfloat16.
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
  all.push_back(scene("bfloat16 llama", test::tiny_llama_config(),
                      converted(test::tiny_llama_tensors(), torch::kBFloat16)));
  return all;
}

memory::HiddenBatches batches(const std::vector<torch::Tensor>& tensors) {
  return {tensors.size(), [&tensors](std::size_t index) { return tensors.at(index); }};
}

/// Block 1 of a scene with all linears compressed, and what it is tuned with.
struct Bench {
  std::unique_ptr<formats::SavedTypes> types;
  std::unique_ptr<model::Block> block;
  std::vector<CompressedLinear> linears;
  std::vector<torch::Tensor> inputs;
  std::vector<torch::Tensor> targets;

  TunedBlock tune(std::int64_t steps) {
    return tune_block({*block, batches(inputs), batches(targets), *types, steps}, linears);
  }

  /// The loss of the block as it is.
  [[nodiscard]] double loss() const {
    double error = 0.0;
    double energy = 0.0;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      error += (block->forward(inputs[i]) - targets[i])
                   .to(torch::kFloat64)
                   .square()
                   .sum()
                   .item<double>();
      energy += targets[i].to(torch::kFloat64).square().sum().item<double>();
    }
    return error / energy;
  }

  [[nodiscard]] std::map<std::string, torch::Tensor> tensors() const {
    std::map<std::string, torch::Tensor> all;
    for (const model::LinearInfo& linear : block->linears()) {
      all[linear.short_name] = block->weight(linear.short_name);
      if (const auto bias = block->bias(linear.short_name))
        all[linear.short_name + ".bias"] = *bias;
    }
    for (const auto site : {model::Site::kAttentionIn, model::Site::kMlpIn}) {
      for (const auto& norm : block->norm_before(site)) all[norm.short_name] = norm.value;
    }
    return all;
  }
};

void compress_all(Bench& bench, const obs::CompressOptions& options) {
  std::uint64_t seed = 20;
  for (const model::LinearInfo& linear : bench.block->linears()) {
    const torch::Tensor hessian = test::correlated_hessian(linear.columns, 64, ++seed);
    obs::CompressResult result = obs::compress_sparsegpt(bench.block->weight(linear.short_name),
                                                         hessian, options, linear.name);
    const DType saved = bench.types->dtype_of(linear.name + ".weight");
    const torch::Tensor rounded = result.matrix.weight.to(model::to_scalar_type(saved));
    bench.block->set_weight(linear.short_name, rounded);
    bench.linears.push_back({linear, std::move(result.matrix), rounded});
  }
}

Bench bench(const Scene& made, const obs::CompressOptions& options) {
  Bench all{std::make_unique<formats::SavedTypes>(made.checkpoint),
            made.model->load_block(1, {}),
            {},
            {},
            {}};
  for (std::uint64_t batch = 0; batch < 3; ++batch) {
    all.inputs.push_back(test::normal(2 * 8, 16, 10 + batch).reshape({2, 8, 16}));
    const torch::Tensor drift = 0.05 * test::normal(2 * 8, 16, 13 + batch).reshape({2, 8, 16});
    all.targets.push_back(all.block->forward(all.inputs.back() + drift));
  }
  compress_all(all, options);
  return all;
}

obs::CompressOptions pruned() {
  obs::CompressOptions options;
  options.sparsity = 0.5;
  return options;
}

obs::CompressOptions quantized() {
  obs::CompressOptions options;
  options.wbits = 3;
  options.stored_scales = true;
  return options;
}

/// Pruned, quantized, both, and with several grids a row.
std::vector<obs::CompressOptions> ways() {
  obs::CompressOptions both = quantized();
  both.sparsity = 0.4;
  obs::CompressOptions grouped = both;
  grouped.groupsize = 8;
  obs::CompressOptions plain = quantized();
  plain.stored_scales = false;
  return {pruned(), quantized(), both, grouped, plain};
}

quant::Grid grid_of(const obs::CompressedMatrix& matrix) {
  quant::Grid grid;
  grid.scale = matrix.scale;
  grid.zero_point = matrix.zero_point;
  grid.group_of_column = matrix.group_of_column;
  return grid;
}

/// The matrix holds what its codes and scales mean, as a packed file can keep it.
void expect_consistent(const CompressedLinear& done) {
  const obs::CompressedMatrix& matrix = done.matrix;
  EXPECT_EQ(at::count_nonzero(matrix.weight.masked_select(matrix.pruned)).item<std::int64_t>(), 0);
  EXPECT_TRUE(done.rounded.equal(matrix.weight.to(done.rounded.scalar_type())));
  if (!matrix.codes.defined()) return;
  const torch::Tensor value = quant::dequantize(matrix.codes, grid_of(matrix));
  EXPECT_TRUE(matrix.weight.equal(value.masked_fill(matrix.pruned, 0.0)));
  EXPECT_TRUE(matrix.scale.gt(0).all().item<bool>());
  if (!matrix.scale_exponent) return;
  const torch::Tensor mantissa = matrix.scale * std::ldexp(1.0, -*matrix.scale_exponent);
  EXPECT_TRUE(mantissa.equal(mantissa.to(torch::kFloat16).to(torch::kFloat32)));
}

/// Zero points and mask are what they were; scales or kept weights are not. A code moves only when
/// it gains by a whole step, and in a tiny linear none may.
void expect_tuned(const CompressedLinear& done, const CompressedLinear& before) {
  EXPECT_TRUE(done.matrix.pruned.equal(before.matrix.pruned));
  EXPECT_FALSE(done.matrix.weight.equal(before.matrix.weight));
  ASSERT_EQ(done.matrix.codes.defined(), before.matrix.codes.defined());
  if (!done.matrix.codes.defined()) return;
  EXPECT_TRUE(done.matrix.zero_point.equal(before.matrix.zero_point));
  EXPECT_EQ(done.matrix.codes.scalar_type(), torch::kUInt8);
  const std::int64_t largest = (1 << before.matrix.bits_of_group.front()) - 1;
  EXPECT_LE(done.matrix.codes.max().item<std::int64_t>(), largest);
  EXPECT_FALSE(done.matrix.scale.equal(before.matrix.scale));
}

/// Whether any code moved.
bool moved_codes(const std::vector<CompressedLinear>& done,
                 const std::vector<CompressedLinear>& before) {
  for (std::size_t i = 0; i < done.size(); ++i) {
    const torch::Tensor& codes = done[i].matrix.codes;
    if (codes.defined() && !codes.equal(before[i].matrix.codes)) return true;
  }
  return false;
}

/// The block computes with exactly what would be saved.
void expect_block_as_saved(const Bench& made, const TunedBlock& tuned) {
  const std::map<std::string, torch::Tensor> tensors = made.tensors();
  for (const CompressedLinear& done : made.linears) {
    const torch::Tensor& weight = tensors.at(done.linear.short_name);
    EXPECT_TRUE(weight.equal(done.rounded.to(weight.scalar_type())));
    EXPECT_FALSE(weight.requires_grad());
  }
  EXPECT_EQ(tensors.size(), made.linears.size() + tuned.tensors.size());
  for (const auto& [name, rounded] : tuned.tensors) {
    const std::string& first = made.linears.front().linear.name;
    const std::size_t prefix = first.size() - made.linears.front().linear.short_name.size();
    ASSERT_EQ(name.substr(0, prefix), first.substr(0, prefix));
    EXPECT_EQ(rounded.scalar_type(), model::to_scalar_type(made.types->dtype_of(name)));
    const torch::Tensor& value = tensors.at(name.substr(prefix));
    EXPECT_TRUE(value.equal(rounded.to(value.scalar_type()))) << name;
  }
}

TEST(BlockTuning, LowersTheLossAndLeavesMasks) {
  int moved = 0;  // blocks in which a code moved
  for (const Scene& made : scenes()) {
    int way = 0;
    for (const obs::CompressOptions& options : ways()) {
      SCOPED_TRACE(testing::Message() << made.family << ", way " << way++);
      Bench all = bench(made, options);
      const std::vector<CompressedLinear> before = all.linears;
      const double loss = all.loss();
      const TunedBlock tuned = all.tune(kSteps);
      EXPECT_NEAR(tuned.loss_before, loss, 1e-4 * loss);
      EXPECT_NEAR(tuned.loss_after, all.loss(), 1e-4 * loss);
      ASSERT_TRUE(tuned.kept);
      EXPECT_LT(tuned.loss_after, 0.99 * tuned.loss_before);
      for (std::size_t i = 0; i < before.size(); ++i) {
        expect_consistent(all.linears[i]);
        expect_tuned(all.linears[i], before[i]);
      }
      moved += moved_codes(all.linears, before) ? 1 : 0;
      expect_block_as_saved(all, tuned);
    }
  }
  EXPECT_GT(moved, 0);
}

TEST(BlockTuning, IsTheSameAtEveryCall) {
  const std::vector<Scene> all = scenes();
  Bench first = bench(all.front(), quantized());
  Bench second = bench(all.front(), quantized());
  EXPECT_EQ(first.tune(kSteps).loss_after, second.tune(kSteps).loss_after);
  const auto tensors = second.tensors();
  for (const auto& [name, value] : first.tensors()) EXPECT_TRUE(value.equal(tensors.at(name)));
}

/// Nothing is changed and nothing is given.
void expect_untouched(Bench& made, std::int64_t steps) {
  const auto before = made.tensors();
  const std::vector<CompressedLinear> linears = made.linears;
  const TunedBlock tuned = made.tune(steps);
  EXPECT_FALSE(tuned.kept);
  EXPECT_GE(tuned.loss_after, tuned.loss_before);
  EXPECT_TRUE(tuned.tensors.empty());
  for (const auto& [name, value] : made.tensors()) EXPECT_TRUE(value.equal(before.at(name)));
  for (std::size_t i = 0; i < linears.size(); ++i) {
    EXPECT_TRUE(made.linears[i].rounded.is_same(linears[i].rounded));
    EXPECT_TRUE(made.linears[i].matrix.weight.is_same(linears[i].matrix.weight));
  }
}

TEST(BlockTuning, LeavesABlockAloneThatItDoesNotImprove) {
  for (const Scene& made : scenes()) {
    for (const obs::CompressOptions& options : ways()) {
      SCOPED_TRACE(made.family);
      Bench exact = bench(made, options);
      expect_untouched(exact, 0);
      for (std::size_t i = 0; i < exact.inputs.size(); ++i) {
        exact.targets[i] = exact.block->forward(exact.inputs[i]);
      }
      expect_untouched(exact, kSteps);
      // So near the best that one step of any size goes past it.
      for (torch::Tensor& target : exact.targets) target = target * (1.0 + 1e-6);
      expect_untouched(exact, 1);
    }
  }
}

/// A block whose scales are all too large finds the ones that its targets were made with.
TEST(BlockTuning, FindsScalesAgain) {
  for (const std::int64_t groupsize : {-1, 8}) {
    const std::vector<Scene> all = scenes();
    obs::CompressOptions options = quantized();
    options.groupsize = groupsize;
    Bench made = bench(all.front(), options);
    for (std::size_t i = 0; i < made.inputs.size(); ++i) {
      made.targets[i] = made.block->forward(made.inputs[i]);
    }
    for (CompressedLinear& linear : made.linears) {
      linear.matrix.scale = linear.matrix.scale * 1.02;
      linear.matrix.weight = linear.matrix.weight * 1.02;
      linear.rounded = linear.matrix.weight;
      made.block->set_weight(linear.linear.short_name, linear.rounded);
    }
    const TunedBlock tuned = made.tune(100);
    EXPECT_LT(tuned.loss_after, 0.1 * tuned.loss_before) << groupsize;
  }
}

/// A whole compression of a scene.
struct Compression {
  BlockResult result;
  std::map<std::string, torch::Tensor> tensors;  ///< of the compressed model
  test::SilentEvents events;
};

Compression compress(const Scene& made, std::int64_t steps, bool holds_codes) {
  Compression done;
  text::TokenWindows windows{{}, 4, 8};
  for (int i = 0; i < 32; ++i) windows.ids.push_back((i * i + 3 * i) % 11);
  CompressionSettings settings;
  settings.matrix = ways()[2];
  settings.true_sequential = true;
  settings.channel_scaling = 0.5;
  settings.block_tuning = steps;
  settings.batch_windows = 2;
  settings.validate();
  const formats::SavedTypes types(made.checkpoint);
  formats::MemoryStore store(types);
  std::map<std::string, double> timings;
  done.result = compress_blocks({*made.model,
                                 {},
                                 windows,
                                 settings,
                                 holds_codes,
                                 std::nullopt,
                                 false,
                                 types,
                                 store,
                                 done.events,
                                 timings});
  EXPECT_EQ(timings.count("block_tuning"), steps > 0 ? 1U : 0U);
  for (const containers::TensorInfo& info : store.tensors()) {
    done.tensors[info.name] = model::to_torch(store.read(info.name)).clone();
  }
  return done;
}

TEST(BlockTuning, OfAWholeModelChangesWhatItMay) {
  for (const Scene& made : scenes()) {
    for (const bool holds_codes : {false, true}) {
      SCOPED_TRACE(made.family);
      const Compression plain = compress(made, 0, holds_codes);
      const Compression tuned = compress(made, kSteps, holds_codes);
      EXPECT_TRUE(tuned.events.warnings == plain.events.warnings);
      ASSERT_EQ(tuned.result.layers.size(), plain.result.layers.size());
      std::set<std::string> compressed;
      for (std::size_t i = 0; i < plain.result.layers.size(); ++i) {
        EXPECT_EQ(tuned.result.layers[i].name, plain.result.layers[i].name);
        EXPECT_EQ(tuned.result.layers[i].stored_bits, plain.result.layers[i].stored_bits);
        const torch::Tensor& weight = tuned.tensors.at(tuned.result.layers[i].name + ".weight");
        EXPECT_NEAR(tuned.result.layers[i].sparsity,
                    weight.eq(0).to(torch::kFloat64).mean().item<double>(), 1e-12);
        compressed.insert(plain.result.layers[i].name);
      }
      for (const auto& [name, value] : plain.tensors) {
        const bool in_block = name.find("layers.") != std::string::npos;
        const bool post_norm =
            made.family == "post-norm opt" && name.find("layer_norm") != std::string::npos;
        EXPECT_EQ(!tuned.tensors.at(name).equal(value), in_block && !post_norm) << name;
      }
      EXPECT_EQ(compressed.size(), plain.result.layers.size());
    }
  }
}

}  // namespace
}  // namespace sgpt_mi::compress
