#include "sgpt_mi/model/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "support/tiny_model.h"

namespace sgpt_mi::model {
namespace {

using nlohmann::json;
using test::logits_of;
using test::MemorySource;
using test::tiny_llama_config;
using test::tiny_llama_tensors;
using test::tiny_opt_config;
using test::tiny_opt_tensors;
using ::testing::HasSubstr;

/// Two orders of the same float32 additions: values are of order 10, sums at most 24 long, and two
/// blocks pass the difference on.
constexpr double kRounding = 2e-4;

double difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

torch::Tensor some_ids(std::int64_t windows, std::int64_t length) {
  return (at::arange(windows * length, torch::kInt64) * 7).remainder(11).view({windows, length});
}

torch::Tensor logits(const json& config, const MemorySource& source, const torch::Tensor& ids) {
  Model model(parse_model_spec(config), source);
  return logits_of(model, ids);
}

template <typename Action>
std::string error_of(Action&& action, ErrorKind kind) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "no error";
}

std::string open_error(const json& config, const MemorySource& source) {
  return error_of([&] { Model model(parse_model_spec(config), source); }, ErrorKind::kInput);
}

json with(json config, const std::string& key, const json& value) {
  config[key] = value;
  return config;
}

TEST(ModelTensors, MissingOneIsNamedWithItsShape) {
  MemorySource source = tiny_llama_tensors();
  source.remove("model.layers.1.mlp.up_proj.weight");
  EXPECT_THAT(open_error(tiny_llama_config(), source),
              HasSubstr("no tensor model.layers.1.mlp.up_proj.weight; expected it with shape "
                        "[24, 16]"));
  source = tiny_llama_tensors();
  source.remove("lm_head.weight");
  EXPECT_THAT(open_error(tiny_llama_config(), source), HasSubstr("no tensor lm_head.weight"));
  EXPECT_THAT(open_error(tiny_llama_config(), MemorySource()),
              HasSubstr("no tensor model.embed_tokens.weight"));
}

TEST(ModelTensors, WrongShapeIsNamedWithBothShapes) {
  MemorySource source = tiny_llama_tensors();
  source.put("model.layers.0.self_attn.k_proj.weight", at::zeros({16, 16}));
  EXPECT_THAT(open_error(tiny_llama_config(), source),
              HasSubstr("tensor model.layers.0.self_attn.k_proj.weight has shape [16, 16]; "
                        "its configuration makes it [8, 16]"));
}

TEST(ModelTensors, WrongTypeIsNamed) {
  MemorySource source = tiny_llama_tensors();
  source.put("model.norm.weight", at::zeros({16}, torch::kInt8));
  EXPECT_THAT(open_error(tiny_llama_config(), source),
              HasSubstr("tensor model.norm.weight has type I8"));
}

TEST(ModelTensors, UnexpectedOneIsNamedAndKnownBuffersAreNot) {
  MemorySource source = tiny_llama_tensors();
  source.put("model.layers.0.self_attn.rotary_emb.inv_freq", at::zeros({2}));
  EXPECT_EQ(open_error(tiny_llama_config(), source), "no error");
  source.put("model.layers.0.self_attn.q_proj.bias", at::zeros({16}));
  EXPECT_THAT(open_error(tiny_llama_config(), source),
              HasSubstr("has a tensor model.layers.0.self_attn.q_proj.bias with shape [16]"));
  source = tiny_llama_tensors();
  source.put("model.layers.2.input_layernorm.weight", at::zeros({16}));
  EXPECT_THAT(open_error(tiny_llama_config(), source), HasSubstr("model.layers.2."))
      << "a checkpoint with more layers than config.json";
}

TEST(ModelTensors, EveryPrefixGivesTheSameModel) {
  const torch::Tensor ids = some_ids(1, 9);
  const torch::Tensor expected = logits(tiny_opt_config(), tiny_opt_tensors(), ids);
  for (const std::string prefix : {"decoder.", "model.", ""}) {
    const MemorySource source = tiny_opt_tensors(prefix);
    EXPECT_TRUE(at::equal(logits(tiny_opt_config(), source, ids), expected)) << prefix;
    const Model model(parse_model_spec(tiny_opt_config()), source);
    EXPECT_EQ(model.block_linears(1)[0].name, prefix + "layers.1.self_attn.k_proj");
  }
}

TEST(ModelTensors, TiedTableUnderEitherName) {
  const json tied = with(tiny_llama_config(), "tie_word_embeddings", true);
  const torch::Tensor ids = some_ids(1, 9);
  MemorySource both = tiny_llama_tensors();
  MemorySource embedding_only = tiny_llama_tensors();
  embedding_only.remove("lm_head.weight");
  MemorySource head_only = embedding_only;
  head_only.put("lm_head.weight", head_only.value("model.embed_tokens.weight"));
  head_only.remove("model.embed_tokens.weight");
  const torch::Tensor expected = logits(tied, embedding_only, ids);
  EXPECT_TRUE(at::equal(logits(tied, head_only, ids), expected));
  EXPECT_TRUE(at::equal(logits(tied, both, ids), expected))
      << "the embedding is the one that counts";
  EXPECT_FALSE(at::equal(logits(tiny_llama_config(), both, ids), expected));
}

TEST(ModelTensors, NanAndInfinityAreNamedWithTheirIndex) {
  MemorySource source = tiny_llama_tensors();
  torch::Tensor weight = at::ones({24, 16});
  weight[3][5] = std::numeric_limits<float>::quiet_NaN();
  weight[7][0] = std::numeric_limits<float>::infinity();
  source.put("model.layers.1.mlp.gate_proj.weight", weight);
  const Model model(parse_model_spec(tiny_llama_config()), source);
  EXPECT_NO_THROW((void)model.load_block(0, {}));
  EXPECT_THAT(error_of([&] { (void)model.load_block(1, {}); }, ErrorKind::kNumeric),
              HasSubstr("model.layers.1.mlp.gate_proj.weight: NaN at index [3, 5]"));
}

TEST(ModelTensors, OverflowInTheRequestedTypeIsAnInfinity) {
  const torch::Tensor large = at::full({2, 2}, 1e6F);
  EXPECT_NO_THROW(require_finite(large, "w"));
  EXPECT_NO_THROW(require_finite(at::empty({0}), "w"));
  EXPECT_THAT(
      error_of([&] { require_finite(large.to(torch::kFloat16), "w"); }, ErrorKind::kNumeric),
      HasSubstr("w: infinity at index [0, 0]"));
}

TEST(ToTorch, SharesAlignedMemoryAndCopiesTheRest) {
  auto buffer = std::make_shared<std::vector<float>>(std::vector<float>{1.0F, 2.0F, 3.0F});
  const auto* bytes = reinterpret_cast<const std::byte*>(buffer->data());
  const containers::TensorData aligned{{"w", DType::kF32, {2}}, {bytes, 8}, buffer};
  EXPECT_EQ(to_torch(aligned).const_data_ptr(), bytes);
  EXPECT_EQ(to_torch(aligned)[1].item<float>(), 2.0F);
  std::vector<std::byte> shifted(9);
  std::copy_n(bytes, 8, shifted.begin() + 1);
  const containers::TensorData odd{{"w", DType::kF32, {2}}, {shifted.data() + 1, 8}, nullptr};
  EXPECT_EQ(to_torch(odd)[1].item<float>(), 2.0F);
  const containers::TensorData empty{{"w", DType::kF32, {0, 3}}, {}, nullptr};
  EXPECT_EQ(to_torch(empty).sizes(), (std::vector<std::int64_t>{0, 3}));
}

TEST(ToTorch, KeepsItsOwnerAlive) {
  auto buffer = std::make_shared<std::vector<float>>(std::vector<float>{4.0F});
  std::weak_ptr<std::vector<float>> watched = buffer;
  torch::Tensor tensor = to_torch(
      {{"w", DType::kF32, {1}}, {reinterpret_cast<const std::byte*>(buffer->data()), 4}, buffer});
  buffer.reset();
  EXPECT_EQ(tensor.item<float>(), 4.0F);
  tensor.reset();
  EXPECT_TRUE(watched.expired());
}

TEST(ToTorch, TypesThereAndBack) {
  for (const DType type : {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kI64,
                           DType::kI32, DType::kI16, DType::kI8, DType::kU8, DType::kBool}) {
    EXPECT_EQ(from_scalar_type(to_scalar_type(type)), type);
  }
  EXPECT_THAT(error_of([] { (void)from_scalar_type(torch::kComplexFloat); }, ErrorKind::kInternal),
              HasSubstr("ComplexFloat"));
}

TEST(Blocks, LinearsStandInTheOrderOfTheReference) {
  const auto names = [](const json& config, const MemorySource& source) {
    const Model model(parse_model_spec(config), source);
    std::vector<std::string> result;
    for (const LinearInfo& linear : model.block_linears(0)) result.push_back(linear.short_name);
    return result;
  };
  EXPECT_THAT(names(tiny_opt_config(), tiny_opt_tensors()),
              ::testing::ElementsAre("self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj",
                                     "self_attn.out_proj", "fc1", "fc2"));
  EXPECT_THAT(
      names(tiny_llama_config(), tiny_llama_tensors()),
      ::testing::ElementsAre("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                             "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"));
}

TEST(Blocks, EverySiteHasItsWidth) {
  const MemorySource source = tiny_llama_tensors();
  const Model model(parse_model_spec(tiny_llama_config()), source);
  const auto block = model.load_block(0, {});
  std::vector<std::pair<Site, std::int64_t>> seen;
  const torch::Tensor hidden = at::randn({2, 3, 16});
  BlockState state = block->begin(hidden);
  for (int site = 0; site < kSites; ++site) {
    const torch::Tensor input = block->site_input(static_cast<Site>(site), state);
    seen.emplace_back(static_cast<Site>(site), input.size(2));
    block->advance(static_cast<Site>(site), state, input);
  }
  EXPECT_TRUE(state.hidden.equal(block->forward(hidden)));
  const std::vector<std::pair<Site, std::int64_t>> expected{
      {Site::kAttentionIn, 16}, {Site::kAttentionOut, 16}, {Site::kMlpIn, 16}, {Site::kMlpOut, 24}};
  EXPECT_EQ(seen, expected);
  for (const LinearInfo& linear : block->linears()) {
    EXPECT_EQ(linear.columns, expected[static_cast<std::size_t>(linear.site)].second);
    EXPECT_EQ(block->weight(linear.short_name).sizes(),
              (std::vector<std::int64_t>{linear.rows, linear.columns}));
  }
}

TEST(Blocks, InputIsNotWrittenTo) {
  for (const bool llama : {true, false}) {
    const MemorySource source = llama ? tiny_llama_tensors() : tiny_opt_tensors();
    const Model model(parse_model_spec(llama ? tiny_llama_config() : tiny_opt_config()), source);
    const torch::Tensor hidden = at::randn({1, 4, 16});
    const torch::Tensor before = hidden.clone();
    (void)model.load_block(0, {})->forward(hidden);
    EXPECT_TRUE(at::equal(hidden, before));
  }
}

TEST(Blocks, ReplacedWeightActsFromItsSiteOn) {
  const MemorySource source = tiny_opt_tensors();
  const Model model(parse_model_spec(tiny_opt_config()), source);
  const auto block = model.load_block(0, {});
  const torch::Tensor hidden = at::randn({1, 4, 16});
  BlockState state = block->begin(hidden);
  for (const Site site : {Site::kAttentionIn, Site::kAttentionOut, Site::kMlpIn}) {
    block->advance(site, state, block->site_input(site, state));
  }
  block->set_weight("fc2", at::zeros({16, 24}, torch::kFloat64));
  const torch::Tensor residual = state.hidden;
  block->advance(Site::kMlpOut, state, block->site_input(Site::kMlpOut, state));
  const torch::Tensor bias = source.value("model.decoder.layers.0.fc2.bias");
  EXPECT_LT(difference(state.hidden, residual + bias), 1e-6);
  EXPECT_EQ(block->weight("fc2").scalar_type(), torch::kFloat32) << "the block keeps its type";
}

TEST(Blocks, WrongWeightsAreBugsOfTheProgram) {
  const MemorySource source = tiny_opt_tensors();
  const Model model(parse_model_spec(tiny_opt_config()), source);
  const auto block = model.load_block(0, {});
  EXPECT_THAT(error_of(
                  [&] {
                    block->set_weight("fc1", at::zeros({16, 24}));
                  },
                  ErrorKind::kInternal),
              HasSubstr("shape [16, 24] for fc1.weight; expected [24, 16]"));
  EXPECT_THAT(error_of([&] { (void)block->weight("fc9"); }, ErrorKind::kInternal),
              HasSubstr("fc9"));
}

TEST(Forward, LaterTokensDoNotChangeEarlierLogits) {
  const torch::Tensor ids = some_ids(1, 12);
  torch::Tensor changed = ids.clone();
  changed[0][11] = (ids[0][11] + 1) % 11;
  for (const bool llama : {true, false}) {
    const MemorySource source = llama ? tiny_llama_tensors() : tiny_opt_tensors();
    const json config = llama ? tiny_llama_config() : tiny_opt_config();
    const torch::Tensor first = logits(config, source, ids);
    const torch::Tensor second = logits(config, source, changed);
    EXPECT_LT(difference(first.narrow(1, 0, 11), second.narrow(1, 0, 11)), kRounding);
    EXPECT_GT(difference(first[0][11], second[0][11]), 0.1);
  }
}

TEST(Forward, BatchedWindowsEqualSingleOnes) {
  const torch::Tensor ids = some_ids(5, 12);
  const MemorySource source = tiny_llama_tensors();
  const torch::Tensor together = logits(tiny_llama_config(), source, ids);
  for (std::int64_t window = 0; window < 5; ++window) {
    const torch::Tensor alone = logits(tiny_llama_config(), source, ids.narrow(0, window, 1));
    EXPECT_LT(difference(alone[0], together[window]), kRounding) << window;
  }
}

TEST(Forward, SlidingWindowAsLongAsTheTextIsFullAttention) {
  const torch::Tensor ids = some_ids(1, 12);
  const MemorySource source = tiny_llama_tensors();
  const torch::Tensor full = logits(tiny_llama_config(), source, ids);
  json config = with(tiny_llama_config(), "model_type", "mistral");
  config["sliding_window"] = 12;
  EXPECT_TRUE(at::equal(logits(config, source, ids), full));
  // One short of the text: only the last position loses sight of a token, the first one.
  config["sliding_window"] = 11;
  const torch::Tensor windowed = logits(config, source, ids);
  EXPECT_LT(difference(windowed.narrow(1, 0, 11), full.narrow(1, 0, 11)), kRounding);
  EXPECT_GT(difference(windowed[0][11], full[0][11]), 1e-3);
}

TEST(Forward, WindowOfOneSeesOnlyItself) {
  // With a window of 1 attention returns the position's own value, so every position of a text of
  // equal tokens has the same logits, whatever its rotation.
  json config = with(tiny_llama_config(), "model_type", "mistral");
  config["sliding_window"] = 1;
  const MemorySource source = tiny_llama_tensors();
  const torch::Tensor windowed = logits(config, source, some_ids(1, 6));
  const torch::Tensor single = logits(config, source, some_ids(1, 6).narrow(1, 3, 1));
  EXPECT_LT(difference(windowed[0][3], single[0][0]), kRounding);
}

TEST(Forward, SlidingStartsAtItsLayer) {
  json config = with(tiny_llama_config(), "model_type", "mistral");
  config["sliding_window"] = 2;
  config["layer_types"] = {"full_attention", "full_attention"};
  const MemorySource source = tiny_llama_tensors();
  const torch::Tensor ids = some_ids(1, 12);
  EXPECT_TRUE(at::equal(logits(config, source, ids), logits(tiny_llama_config(), source, ids)));
  config["layer_types"] = {"full_attention", "sliding_attention"};
  EXPECT_FALSE(at::equal(logits(config, source, ids), logits(tiny_llama_config(), source, ids)));
}

TEST(Forward, GroupedQueriesEqualRepeatedKeys) {
  const torch::Tensor ids = some_ids(2, 9);
  const MemorySource grouped = tiny_llama_tensors();
  MemorySource repeated = grouped;
  for (const std::string layer : {"0", "1"}) {
    for (const std::string name : {"k_proj", "v_proj"}) {
      const std::string tensor = "model.layers." + layer + ".self_attn." + name + ".weight";
      repeated.put(tensor,
                   grouped.value(tensor).view({2, 1, 4, 16}).repeat({1, 2, 1, 1}).view({16, 16}));
    }
  }
  const json all_heads = with(tiny_llama_config(), "num_key_value_heads", 4);
  EXPECT_LT(difference(logits(tiny_llama_config(), grouped, ids), logits(all_heads, repeated, ids)),
            kRounding);
}

TEST(Forward, ZeroBiasesChangeNothing) {
  const torch::Tensor ids = some_ids(1, 9);
  MemorySource source = tiny_llama_tensors();
  const torch::Tensor plain = logits(tiny_llama_config(), source, ids);
  json config = with(tiny_llama_config(), "attention_bias", true);
  config["mlp_bias"] = true;
  const Model unbiased(parse_model_spec(tiny_llama_config()), source);
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    for (const LinearInfo& linear : unbiased.block_linears(layer)) {
      source.put(linear.name + ".bias", at::zeros({linear.rows}));
    }
  }
  EXPECT_LT(difference(logits(config, source, ids), plain), kRounding);
  source.put("model.layers.1.mlp.down_proj.bias", at::ones({16}));
  EXPECT_GT(difference(logits(config, source, ids), plain), 1e-2);
}

TEST(Forward, OptWithoutAffineNormsOrBiases) {
  json config = tiny_opt_config();
  config.update({{"enable_bias", false}, {"layer_norm_elementwise_affine", false}});
  MemorySource bare;
  MemorySource neutral = tiny_opt_tensors();
  const MemorySource all = tiny_opt_tensors();
  for (const containers::TensorInfo& info : all.tensors()) {
    const bool norm = info.name.find("layer_norm") != std::string::npos;
    const bool bias = info.name.ends_with(".bias");
    if (norm || bias) {
      neutral.put(info.name, norm && !bias ? at::ones(info.shape) : at::zeros(info.shape));
    } else {
      bare.put(info.name, neutral.value(info.name));
    }
  }
  const torch::Tensor ids = some_ids(1, 9);
  EXPECT_LT(difference(logits(config, bare, ids), logits(tiny_opt_config(), neutral, ids)),
            kRounding);
}

TEST(Forward, HalfTypesAreFiniteAndNear) {
  const torch::Tensor ids = some_ids(2, 12);
  const MemorySource source = tiny_llama_tensors();
  Model model(parse_model_spec(tiny_llama_config()), source);
  const torch::Tensor wide = logits_of(model, ids);
  const double scale = wide.abs().max().item<double>();
  // Units in the last place of bf16 and fp16, times the square root of some 100 roundings each.
  for (const auto& [type, tolerance] :
       {std::pair{torch::kBFloat16, 0.08}, std::pair{torch::kFloat16, 0.01}}) {
    const torch::Tensor narrow = logits_of(model, ids, {torch::kCPU, type});
    EXPECT_EQ(narrow.scalar_type(), type);
    EXPECT_LT(difference(narrow.to(torch::kFloat32), wide), tolerance * scale);
  }
}

TEST(Forward, EndsCanBeReleasedAtAnyTime) {
  const MemorySource source = tiny_opt_tensors();
  Model model(parse_model_spec(tiny_opt_config()), source);
  const torch::Tensor ids = some_ids(1, 4);
  const torch::Tensor first = logits_of(model, ids);
  model.release_ends();
  EXPECT_TRUE(at::equal(logits_of(model, ids), first));
}

TEST(Forward, TooLongWindowIsRefused) {
  const MemorySource source = tiny_opt_tensors();
  Model model(parse_model_spec(tiny_opt_config()), source);
  EXPECT_NO_THROW((void)model.embed(some_ids(1, 64), {}));
  EXPECT_THAT(error_of([&] { (void)model.embed(some_ids(1, 65), {}); }, ErrorKind::kInput),
              HasSubstr("65 tokens"));
}

}  // namespace
}  // namespace sgpt_mi::model
