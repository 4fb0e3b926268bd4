#include "sgpt_mi/gguf/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <numbers>
#include <numeric>

#include "sgpt_mi/containers/safetensors.h"
#include "support/gguf_writer.h"
#include "support/shared_data.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::gguf {
namespace {

using test::input_error;
using test::TemporaryFolder;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint32_t kF32 = 0;

std::vector<float> floats(const containers::TensorData& data) {
  std::vector<float> values(data.bytes.size() / sizeof(float));
  std::memcpy(values.data(), data.bytes.data(), data.bytes.size());
  return values;
}

/// 0, 1, 2, ... as the data of an F32 tensor.
std::string counting(std::size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 0.0F);
  return {reinterpret_cast<const char*>(values.data()), count * sizeof(float)};
}

/// The metadata of a model with 2 heads, 1 of them for k and v, of width 4.
GgufWriter small_model(const std::string& architecture = "llama") {
  GgufWriter writer;
  const auto key = [&](const char* name) { return architecture + "." + name; };
  writer.text("general.architecture", architecture);
  writer.whole(key("block_count"), 1).whole(key("context_length"), 64);
  writer.whole(key("embedding_length"), 8).whole(key("feed_forward_length"), 16);
  writer.whole(key("attention.head_count"), 2).whole(key("attention.head_count_kv"), 1);
  writer.real(key("attention.layer_norm_rms_epsilon"), 0.25F);
  return writer;
}

class GgufTest : public ::testing::Test {
 protected:
  [[nodiscard]] OpenedGguf open(const GgufWriter& writer) const {
    return open_gguf(folder_.file("m.gguf", writer.bytes()));
  }
  [[nodiscard]] std::string error_for(const GgufWriter& writer) const {
    return input_error([&] { (void)open(writer); });
  }

  TemporaryFolder folder_;
};

TEST_F(GgufTest, MakesTheConfigFromTheMetadata) {
  GgufWriter writer = small_model();
  writer.real("llama.rope.freq_base", 5e5F).whole("llama.attention.key_length", 6);
  writer.whole("llama.attention.value_length", 6).whole("tokenizer.ggml.bos_token_id", 1);
  writer.tensor("token_embd.weight", kF32, {8, 3}, counting(24));
  const OpenedGguf checkpoint = open(writer);
  EXPECT_EQ(checkpoint.config, nlohmann::json::parse(R"({
      "model_type": "llama", "hidden_act": "silu", "hidden_size": 8, "intermediate_size": 16,
      "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 6,
      "max_position_embeddings": 64, "rms_norm_eps": 0.25, "rope_theta": 500000.0,
      "torch_dtype": "float16", "bos_token_id": 1, "vocab_size": 3, "tie_word_embeddings": true,
      "attention_bias": false, "mlp_bias": false, "rope_scaling": null})"));
  EXPECT_FALSE(checkpoint.vocabulary.has_value());
}

TEST_F(GgufTest, TranslatesEveryName) {
  GgufWriter writer = small_model("qwen3");
  writer.tensor("token_embd.weight", kF32, {1}, counting(1));
  for (const char* name :
       {"output.weight", "output_norm.weight", "blk.0.attn_norm.weight", "blk.0.attn_q.weight",
        "blk.0.attn_k.weight", "blk.0.attn_v.weight", "blk.0.attn_v.bias",
        "blk.0.attn_output.weight", "blk.0.attn_q_norm.weight", "blk.0.attn_k_norm.weight",
        "blk.0.ffn_norm.weight", "blk.0.ffn_gate.weight", "blk.12.ffn_up.weight",
        "blk.0.ffn_down.weight"}) {
    writer.tensor(name, kF32, {1}, counting(1));
  }
  const OpenedGguf checkpoint = open(writer);
  std::vector<std::string> names;
  for (const containers::TensorInfo& info : checkpoint.tensors->tensors())
    names.push_back(info.name);
  EXPECT_THAT(
      names,
      ElementsAre(
          "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight",
          "model.layers.0.input_layernorm.weight", "model.layers.0.self_attn.q_proj.weight",
          "model.layers.0.self_attn.k_proj.weight", "model.layers.0.self_attn.v_proj.weight",
          "model.layers.0.self_attn.v_proj.bias", "model.layers.0.self_attn.o_proj.weight",
          "model.layers.0.self_attn.q_norm.weight", "model.layers.0.self_attn.k_norm.weight",
          "model.layers.0.post_attention_layernorm.weight", "model.layers.0.mlp.gate_proj.weight",
          "model.layers.12.mlp.up_proj.weight", "model.layers.0.mlp.down_proj.weight"));
  EXPECT_EQ(checkpoint.config["tie_word_embeddings"], false);
  EXPECT_EQ(checkpoint.config["attention_bias"], true);
  for (const char* name :
       {"blk.0.ffn_gate_inp.weight", "blk.0.attn_qkv.weight", "blk.x.attn_q.weight",
        "blk..attn_q.weight", "blk.0.attn_q.scale", "blk.0weight", "other"}) {
    GgufWriter odd = small_model();
    odd.tensor(name, kF32, {1}, counting(1));
    EXPECT_THAT(error_for(odd), AllOf(HasSubstr(name), HasSubstr("not one of"))) << name;
  }
}

TEST_F(GgufTest, PutsTheRowsOfQAndKBackInOrder) {
  for (const std::string architecture : {"llama", "qwen2"}) {
    GgufWriter writer = small_model(architecture);
    writer.tensor("token_embd.weight", kF32, {1, 3}, counting(3));
    writer.tensor("blk.0.attn_q.weight", kF32, {1, 8}, counting(8));
    writer.tensor("blk.0.attn_k.bias", kF32, {4}, counting(4));
    writer.tensor("blk.0.attn_v.weight", kF32, {1, 4}, counting(4));
    const OpenedGguf checkpoint = open(writer);
    const auto read = [&](const char* name) {
      return floats(checkpoint.tensors->read(std::string("model.layers.0.self_attn.") + name));
    };
    EXPECT_THAT(read("v_proj.weight"), ElementsAre(0, 1, 2, 3));
    if (architecture == "llama") {  // two heads of four rows, stored as pairs
      EXPECT_THAT(read("q_proj.weight"), ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
      EXPECT_THAT(read("k_proj.bias"), ElementsAre(0, 2, 1, 3));
    } else {
      EXPECT_THAT(read("q_proj.weight"), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
    }
  }
  GgufWriter odd = small_model();
  odd.tensor("blk.0.attn_q.weight", kF32, {1, 6}, counting(6));
  EXPECT_THAT(error_for(odd), HasSubstr("rows that do not divide into 2 heads"));
}

TEST_F(GgufTest, OtherModelsAreRefusedByName) {
  EXPECT_THAT(error_for(small_model("gemma")), HasSubstr("architecture 'gemma'"));
  EXPECT_THAT(error_for(GgufWriter()), HasSubstr("architecture ''"));
  GgufWriter experts = small_model();
  EXPECT_THAT(error_for(experts.whole("llama.expert_count", 8)), HasSubstr("mixture of experts"));
  GgufWriter lacking;
  EXPECT_THAT(error_for(lacking.text("general.architecture", "llama")),
              HasSubstr("lacks metadata 'llama.embedding_length'"));
  GgufWriter partial = small_model();
  EXPECT_THAT(error_for(partial.whole("llama.rope.dimension_count", 2)),
              AllOf(HasSubstr("rope.dimension_count' is 2"), HasSubstr("heads are 4 wide")));
  GgufWriter zero;
  zero.text("general.architecture", "llama").whole("llama.embedding_length", 0);
  EXPECT_THAT(error_for(zero), HasSubstr("positive number"));
  EXPECT_THAT(error_for(small_model()), HasSubstr("lacks the tensor 'token_embd.weight'"));
}

TEST_F(GgufTest, SlidingWindowMeansMistral) {
  GgufWriter writer = small_model();
  writer.whole("llama.attention.sliding_window", 16);
  writer.tensor("token_embd.weight", kF32, {8, 3}, counting(24));
  const OpenedGguf checkpoint = open(writer);
  EXPECT_EQ(checkpoint.config["model_type"], "mistral");
  EXPECT_EQ(checkpoint.config["sliding_window"], 16);
  GgufWriter qwen = small_model("qwen2");
  EXPECT_THAT(error_for(qwen.whole("qwen2.attention.sliding_window", 16)),
              HasSubstr("sliding window with architecture qwen2"));
}

/// The divisors of the llama3 rule as transformers computes them: heads 4 wide.
std::string llama3_divisors(double theta, double factor, double original) {
  std::string data;
  for (const double i : {0.0, 1.0}) {
    const double wavelength = 2 * std::numbers::pi * std::pow(theta, i / 2);
    double divisor = 1.0;
    if (wavelength > original) {
      divisor = factor;
    } else if (wavelength > original / 4) {
      const double smooth = (original / wavelength - 1) / 3;
      divisor = 1 / ((1 - smooth) / factor + smooth);
    }
    data += GgufWriter::number(static_cast<float>(divisor));
  }
  return data;
}

TEST_F(GgufTest, RopeFrequenciesBecomeLlama3Scaling) {
  const auto scaled = [](const std::string& divisors) {
    GgufWriter writer = small_model();
    writer.real("llama.rope.freq_base", 5e6F);
    writer.tensor("token_embd.weight", kF32, {8, 3}, counting(24));
    return writer.tensor("rope_freqs.weight", kF32, {2}, divisors);
  };
  const OpenedGguf checkpoint = open(scaled(llama3_divisors(5e6, 32, 8192)));
  const nlohmann::json& scaling = checkpoint.config["rope_scaling"];
  EXPECT_EQ(scaling["rope_type"], "llama3");
  EXPECT_EQ(scaling["factor"], 32.0);
  EXPECT_EQ(scaling["low_freq_factor"], 1.0);
  EXPECT_EQ(scaling["high_freq_factor"], 4.0);
  EXPECT_EQ(scaling["original_max_position_embeddings"], 8192);
  EXPECT_EQ(checkpoint.tensors->tensors().size(), 1U);
  EXPECT_TRUE(open(scaled(llama3_divisors(5e6, 1, 8192))).config["rope_scaling"].is_null());
  EXPECT_THAT(error_for(scaled(GgufWriter::number(2.0F) + GgufWriter::number(32.0F))),
              AllOf(HasSubstr("rope_freqs.weight"), HasSubstr("divides frequency 0 by 2")));
  EXPECT_THAT(error_for(scaled(GgufWriter::number(1.0F) + GgufWriter::number(std::nanf("")))),
              HasSubstr("divides frequency"));
}

TEST_F(GgufTest, LinearRopeScalingIsKeptAndOthersAreRefused) {
  const auto scaled = [](const std::string& type) {
    GgufWriter writer = small_model();
    writer.text("llama.rope.scaling.type", type).real("llama.rope.scaling.factor", 4.0F);
    return writer.tensor("token_embd.weight", kF32, {8, 3}, counting(24));
  };
  const nlohmann::json expected = {{"rope_type", "linear"}, {"factor", 4.0}};
  EXPECT_EQ(open(scaled("linear")).config["rope_scaling"], expected);
  EXPECT_THAT(error_for(scaled("longrope")), HasSubstr("rope scaling 'longrope'"));
  GgufWriter old_name = small_model();
  old_name.real("llama.rope.scale_linear", 2.0F);
  old_name.tensor("token_embd.weight", kF32, {8, 3}, counting(24));
  EXPECT_EQ(open(old_name).config["rope_scaling"]["factor"], 2.0);
}

TEST_F(GgufTest, ScalingOfTypeNoneScalesNothing) {
  const auto scaled = [](const std::string& type) {
    GgufWriter writer = small_model();
    writer.text("llama.rope.scaling.type", type).real("llama.rope.scaling.factor", 4.0F);
    return writer.tensor("token_embd.weight", kF32, {8, 3}, counting(24));
  };
  EXPECT_TRUE(open(scaled("none")).config["rope_scaling"].is_null());
  GgufWriter both = scaled("none");
  both.tensor("rope_freqs.weight", kF32, {2}, llama3_divisors(10000, 32, 8192));
  EXPECT_TRUE(open(both).config["rope_scaling"].is_null()) << "nothing is slow enough to divide";
  GgufWriter linear = scaled("linear");
  linear.tensor("rope_freqs.weight", kF32, {2}, llama3_divisors(10000, 32, 8192));
  EXPECT_THAT(error_for(linear), HasSubstr("linear rope scaling together with"));
}

TEST_F(GgufTest, YarnHasTheMagnitudeOfLlamaCpp) {
  const auto yarn = [](const char* key, float value) {
    GgufWriter writer = small_model();
    writer.text("llama.rope.scaling.type", "yarn").real("llama.rope.scaling.factor", 4.0F);
    if (*key != '\0') writer.real(std::string("llama.rope.scaling.") + key, value);
    return writer.tensor("token_embd.weight", kF32, {8, 3}, counting(24));
  };
  const nlohmann::json plain = {{"rope_type", "yarn"}, {"factor", 4.0}};
  EXPECT_EQ(open(yarn("", 0)).config["rope_scaling"], plain);
  EXPECT_EQ(open(yarn("yarn_ext_factor", 1)).config["rope_scaling"], plain);
  EXPECT_THAT(error_for(yarn("yarn_ext_factor", 0.5F)), HasSubstr("yarn_ext_factor' is 0.5"));
  EXPECT_EQ(open(yarn("yarn_attn_factor", 1.5F)).config["rope_scaling"]["attention_factor"], 1.5);
  // llama-context.cpp: (1 + 0.1 ln factor) * attn_factor
  EXPECT_NEAR(open(yarn("attn_factor", 1.5F)).config["rope_scaling"]["attention_factor"],
              1.5 * 1.138629436111989, 1e-12);
}

TEST_F(GgufTest, BiasesOfQueryKeyAndValueAloneAreQwens) {
  const auto with_biases = [](const std::vector<const char*>& parts) {
    GgufWriter writer = small_model();
    writer.tensor("token_embd.weight", kF32, {8, 3}, counting(24));
    for (const char* part : parts) {
      writer.tensor(std::string("blk.0.") + part + ".bias", kF32, {8}, counting(8));
    }
    return writer;
  };
  nlohmann::json config = open(with_biases({"attn_q", "attn_k", "attn_v"})).config;
  EXPECT_EQ(config["model_type"], "qwen2");
  config = open(with_biases({"attn_q", "attn_k", "attn_v", "attn_output"})).config;
  EXPECT_EQ(config["model_type"], "llama");
  EXPECT_EQ(config["attention_bias"], true);
  config = open(with_biases({"ffn_up"})).config;
  EXPECT_EQ(config["attention_bias"], false);
  EXPECT_EQ(config["mlp_bias"], true);
  // Rows of q of "llama" are pairs, and so are its biases: two heads of 4.
  const OpenedGguf opened = open(with_biases({"attn_q"}));
  EXPECT_THAT(floats(opened.tensors->read("model.layers.0.self_attn.q_proj.bias")),
              ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
}

TEST_F(GgufTest, PartsOfASplitModelAreFoundFromAnyOfThem) {
  const auto part = [](std::uint16_t number) {
    GgufWriter writer = number == 0 ? small_model() : GgufWriter();
    writer.raw("split.no", 2, GgufWriter::number(number));
    writer.raw("split.count", 2, GgufWriter::number(std::uint16_t{2}));
    return number == 0 ? writer.tensor("token_embd.weight", kF32, {8, 3}, counting(24))
                       : writer.tensor("output_norm.weight", kF32, {8}, counting(8));
  };
  const auto first = folder_.file("s-00001-of-00002.gguf", part(0).bytes());
  const auto second = folder_.file("s-00002-of-00002.gguf", part(1).bytes());
  for (const auto& path : {first, second}) {
    EXPECT_EQ(open_gguf(path).tensors->tensors().size(), 2U) << path;
  }
  std::filesystem::remove(second);
  EXPECT_THAT(input_error([&] { (void)open_gguf(first); }),
              AllOf(HasSubstr("s-00002-of-00002.gguf is missing"), HasSubstr("2 parts")));
  const auto renamed = folder_.file("other.gguf", part(1).bytes());
  EXPECT_THAT(input_error([&] { (void)open_gguf(renamed); }),
              AllOf(HasSubstr("part 2 of 2 of a split model"), HasSubstr("-00001-of-00002.gguf")));
  const auto swapped = folder_.file("s-00002-of-00002.gguf", part(0).bytes());
  EXPECT_THAT(input_error([&] { (void)open_gguf(swapped); }),
              AllOf(HasSubstr("is part 1 of 2"), HasSubstr("its name says part 2 of 2")));
}

TEST_F(GgufTest, ReadsTheVocabulary) {
  const auto vocabulary = [](const char* model) {
    GgufWriter writer = small_model();
    writer.tensor("token_embd.weight", kF32, {8, 3}, counting(24));
    return writer.text("tokenizer.ggml.model", model)
        .texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "a"});
  };
  GgufWriter writer = vocabulary("llama");
  writer.numbers<float>("tokenizer.ggml.scores", 6, {0, 0, -1});
  writer.numbers<std::int32_t>("tokenizer.ggml.token_type", 5, {2, 3, 1});
  writer.whole("tokenizer.ggml.bos_token_id", 1).whole("tokenizer.ggml.unknown_token_id", 0);
  writer.whole("tokenizer.ggml.eos_token_id", 0xffffffff)
      .flag("tokenizer.ggml.add_bos_token", false);
  const tokenizer::GgufVocabulary llama = *open(writer).vocabulary;
  EXPECT_EQ(llama.model, "llama");
  EXPECT_THAT(llama.tokens, ElementsAre("<unk>", "<s>", "a"));
  EXPECT_THAT(llama.scores, ElementsAre(0, 0, -1));
  EXPECT_THAT(llama.types, ElementsAre(2, 3, 1));
  EXPECT_EQ(llama.bos_id, 1);
  EXPECT_EQ(llama.unk_id, 0);
  EXPECT_FALSE(llama.eos_id.has_value());
  EXPECT_FALSE(llama.add_bos);
  EXPECT_TRUE(llama.add_space_prefix);

  const tokenizer::GgufVocabulary gpt2 =
      *open(vocabulary("gpt2").texts("tokenizer.ggml.merges", {"a b"})).vocabulary;
  EXPECT_THAT(gpt2.merges, ElementsAre("a b"));
  EXPECT_FALSE(gpt2.add_bos);
  EXPECT_TRUE(open(vocabulary("gpt2").text("tokenizer.ggml.pre", "llama-bpe")).vocabulary->add_bos);

  EXPECT_THAT(error_for(vocabulary("llama").numbers<float>("tokenizer.ggml.scores", 6, {0})),
              AllOf(HasSubstr("scores' has 1 entries"), HasSubstr("3 tokens")));
  EXPECT_THAT(error_for(vocabulary("llama").whole("tokenizer.ggml.bos_token_id", 3)),
              HasSubstr("bos_token_id' is 3, but there are 3 tokens"));
}

TEST(GgufGolden, DequantizedSumsEqualTheReference) {
  SGPT_MI_SHARED_OR_SKIP(path, "models/tinystories-656k/TinyStories-656K-Q8_0.gguf");
  SGPT_MI_SHARED_OR_SKIP(golden_path, "golden/models/tinystories-656k/golden.json");
  std::ifstream golden_file(golden_path);
  const nlohmann::json sums = nlohmann::json::parse(golden_file)["gguf_weight_sums_float64"];
  const OpenedGguf checkpoint = open_gguf(path);
  EXPECT_EQ(checkpoint.tensors->tensors().size(), sums.size());
  for (const auto& [name, expected] : sums.items()) {
    const std::vector<float> values = floats(checkpoint.tensors->read(name));
    // The same float32 values summed in double: only the order of the sum may differ.
    const double magnitude = std::accumulate(values.begin(), values.end(), 0.0,
                                             [](double a, float b) { return a + std::abs(b); });
    EXPECT_NEAR(std::accumulate(values.begin(), values.end(), 0.0), expected.get<double>(),
                1e-12 * magnitude)
        << name;
  }
  EXPECT_EQ(checkpoint.config["model_type"], "llama");
  EXPECT_EQ(checkpoint.config["vocab_size"], 2048);
  EXPECT_EQ(checkpoint.config["head_dim"], 16);
  EXPECT_EQ(checkpoint.config["tie_word_embeddings"], true);
  EXPECT_EQ(checkpoint.vocabulary->tokens.size(), 2048U);
}

TEST(GgufGolden, RowsOfQMatchTheSafetensorsModel) {
  SGPT_MI_SHARED_OR_SKIP(folder, "models/tinystories-656k");
  const OpenedGguf gguf = open_gguf(folder / "TinyStories-656K-Q8_0.gguf");
  const auto original = containers::open_safetensors(folder / "model.safetensors");
  for (const char* name :
       {"model.layers.0.self_attn.q_proj.weight", "model.layers.1.self_attn.k_proj.weight"}) {
    const containers::TensorData data = original->read(name);
    ASSERT_EQ(data.info.dtype, DType::kF32);
    const std::vector<float> expected = floats(data);
    const std::vector<float> values = floats(gguf.tensors->read(name));
    ASSERT_EQ(values.size(), expected.size());
    double difference = 0;
    double magnitude = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      difference = std::max(difference, std::abs(double{values[i]} - expected[i]));
      magnitude = std::max(magnitude, std::abs(double{expected[i]}));
    }
    // Q8_0 rounds to 127 steps of the largest value of a block; a wrong row order is off by 1.
    EXPECT_LT(difference, magnitude / 127) << name;
  }
}

}  // namespace
}  // namespace sgpt_mi::gguf
