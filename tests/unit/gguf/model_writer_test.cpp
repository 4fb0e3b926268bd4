#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "gguf/gguf_file.h"
#include "sgpt_mi/gguf/gguf.h"
#include "sgpt_mi/gguf/gguf_output.h"
#include "support/gguf_writer.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::gguf {
namespace {

using containers::TensorInfo;
using nlohmann::json;
using test::error_of;
using test::input_error;
using test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

const blocks::BlockType& type_of(std::uint32_t id) { return *blocks::find_block_type(id); }

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kF16 = 1;
constexpr std::uint32_t kQ8 = 8;

/// One block with 2 heads of width 4, 1 of them for k and v, and a vocabulary of 3.
json small_config(const std::string& model_type = "llama") {
  return {{"model_type", model_type}, {"hidden_act", "silu"},
          {"hidden_size", 8},         {"intermediate_size", 32},
          {"num_hidden_layers", 1},   {"num_attention_heads", 2},
          {"num_key_value_heads", 1}, {"max_position_embeddings", 64},
          {"rms_norm_eps", 0.25},     {"rope_theta", 5000.0},
          {"vocab_size", 3},          {"tie_word_embeddings", true}};
}

std::vector<TensorInfo> small_tensors() {
  return {{"model.embed_tokens.weight", DType::kF32, {3, 8}},
          {"model.layers.0.input_layernorm.weight", DType::kF32, {8}},
          {"model.layers.0.self_attn.q_proj.weight", DType::kF32, {8, 8}},
          {"model.layers.0.self_attn.q_proj.bias", DType::kF32, {8}},
          {"model.layers.0.self_attn.k_proj.weight", DType::kF32, {4, 8}},
          {"model.layers.0.mlp.down_proj.weight", DType::kF32, {8, 32}},
          {"model.norm.weight", DType::kF32, {8}}};
}

/// 0, 1, 2, ... as floats: every tensor's data in these tests.
std::vector<float> counting_floats(const TensorInfo& info) {
  std::vector<float> values(static_cast<std::size_t>(info.count()));
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

class ModelWriterTest : public ::testing::Test {
 protected:
  [[nodiscard]] fs::path target() const { return folder_.path() / "m.gguf"; }

  /// Writes all tensors as they are.
  void write(const json& config, const std::vector<TensorInfo>& tensors,
             std::int64_t shard_bytes = 0) const {
    ModelWriter writer(target(), describe_model(config, "small", std::nullopt, tensors));
    writer.split_above(shard_bytes);
    for (const TensorInfo& info : tensors) {
      const std::vector<float> values = counting_floats(info);
      writer.put(info.name, type_of(kF32), std::as_bytes(std::span(values)));
    }
    writer.finish();
  }

  /// The description part of the written file.
  [[nodiscard]] GgufFile parsed() {
    bytes_ = test::read_all(target());
    return parse_gguf(test::bytes_of(bytes_), "m");
  }

  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_.path()), {}));
  }

  TemporaryFolder folder_;
  std::string bytes_;
};

void expect_counting(const containers::TensorSource& source, std::vector<TensorInfo> infos) {
  for (const TensorInfo& info : infos) {
    const std::vector<float> expected = counting_floats(info);
    const containers::TensorData data = source.read(info.name);
    ASSERT_EQ(data.info.shape, info.shape) << info.name;
    EXPECT_EQ(std::memcmp(data.bytes.data(), expected.data(), data.bytes.size()), 0) << info.name;
  }
}

TEST_F(ModelWriterTest, WhatIsWrittenIsReadBack) {
  for (const std::string type : {"llama", "mistral", "qwen2", "qwen3"}) {
    json config = small_config(type);
    if (type == "mistral") config["sliding_window"] = 16;
    if (type == "qwen3") config["head_dim"] = 4;
    write(config, small_tensors());
    const OpenedGguf opened = open_gguf(target());
    expect_counting(*opened.tensors, small_tensors());
    EXPECT_EQ(opened.tensors->tensors().size(), small_tensors().size());
    if (type == "llama") config["model_type"] = "qwen2";  // what biases of q alone mean
    for (const auto& [name, value] : config.items()) {
      EXPECT_EQ(opened.config[name], value) << type << " " << name;
    }
    EXPECT_FALSE(opened.vocabulary.has_value());
  }
  EXPECT_EQ(files(), 1U);
}

// Rows of a head of width 4 are stored as the pairs (0, 2), (1, 3) that llama.cpp turns together.
TEST_F(ModelWriterTest, LlamaStoresTheRowsOfQAndKAsPairs) {
  write(small_config(), small_tensors());
  const GgufFile file = parsed();
  const auto first_of_rows = [&](const std::string& name) {
    std::vector<float> firsts;
    for (const GgufTensor& tensor : file.tensors) {
      if (tensor.name != name) continue;
      const auto* values = reinterpret_cast<const float*>(tensor.bytes.data());
      const std::int64_t width = tensor.shape.size() == 1 ? 1 : tensor.shape[1];
      for (std::int64_t row = 0; row < tensor.shape[0]; ++row) {
        firsts.push_back(values[row * width] / static_cast<float>(width));
      }
    }
    return firsts;
  };
  EXPECT_THAT(first_of_rows("blk.0.attn_q.weight"), ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
  EXPECT_THAT(first_of_rows("blk.0.attn_q.bias"), ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
  EXPECT_THAT(first_of_rows("blk.0.attn_k.weight"), ElementsAre(0, 2, 1, 3));
  EXPECT_THAT(first_of_rows("blk.0.ffn_down.weight"), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST_F(ModelWriterTest, MetadataIsWhatTheConverterSays) {
  json config = small_config();
  config["head_dim"] = 4;
  write(config, small_tensors());
  const GgufMetadata metadata = parsed().metadata;
  EXPECT_EQ(metadata.text("general.architecture"), "llama");
  EXPECT_EQ(metadata.text("general.name"), "small");
  EXPECT_EQ(metadata.whole("general.file_type"), 0);
  EXPECT_EQ(metadata.whole("general.quantization_version"), 2);
  EXPECT_EQ(metadata.whole("llama.block_count"), 1);
  EXPECT_EQ(metadata.whole("llama.context_length"), 64);
  EXPECT_EQ(metadata.whole("llama.embedding_length"), 8);
  EXPECT_EQ(metadata.whole("llama.feed_forward_length"), 32);
  EXPECT_EQ(metadata.whole("llama.attention.head_count"), 2);
  EXPECT_EQ(metadata.whole("llama.attention.head_count_kv"), 1);
  EXPECT_EQ(metadata.whole("llama.attention.key_length"), 4);
  EXPECT_EQ(metadata.whole("llama.rope.dimension_count"), 4);
  EXPECT_EQ(metadata.whole("llama.vocab_size"), 3);
  EXPECT_EQ(metadata.real("llama.rope.freq_base"), 5000.0);
  EXPECT_EQ(metadata.real("llama.attention.layer_norm_rms_epsilon"), 0.25);
  EXPECT_EQ(metadata.text("tokenizer.ggml.model"), "none");
}

TEST_F(ModelWriterTest, RopeScalingsComeBack) {
  const json scalings[] = {{{"rope_type", "linear"}, {"factor", 4.0}},
                           {{"rope_type", "yarn"},
                            {"factor", 4.0},
                            {"original_max_position_embeddings", 32},
                            {"attention_factor", 1.5},
                            {"beta_fast", 16.0}},
                           {{"rope_type", "llama3"},
                            {"factor", 8.0},
                            {"low_freq_factor", 1.0},
                            {"high_freq_factor", 4.0},
                            {"original_max_position_embeddings", 16}}};
  for (const json& scaling : scalings) {
    json config = small_config();
    config["rope_scaling"] = scaling;
    write(config, small_tensors());
    json read = open_gguf(target()).config["rope_scaling"];
    if (scaling.contains("attention_factor")) {  // stored as a float32 ratio
      EXPECT_NEAR(read["attention_factor"], scaling["attention_factor"], 1e-6);
      read["attention_factor"] = scaling["attention_factor"];
    }
    EXPECT_EQ(read, scaling);
  }
  json newer = small_config();
  newer["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 7.0}};
  write(newer, small_tensors());
  EXPECT_EQ(open_gguf(target()).config["rope_theta"], 7.0);
  newer["rope_scaling"] = {{"type", "linear"},
                           {"factor", 2.0}};  // counts alone, as in transformers
  write(newer, small_tensors());
  EXPECT_EQ(open_gguf(target()).config["rope_theta"], 5000.0);
  EXPECT_EQ(open_gguf(target()).config["rope_scaling"]["factor"], 2.0);
}

TEST_F(ModelWriterTest, YarnIsWrittenAsTransformersReadsIt) {
  json config = small_config();
  const auto read = [&](const json& scaling) {
    config["rope_scaling"] = scaling;
    write(config, small_tensors());
    return open_gguf(target()).config["rope_scaling"];
  };
  // Recorded from transformers 5.24, ROPE_INIT_FUNCTIONS["yarn"].
  json scaling = read({{"type", "yarn"},
                       {"factor", 40.0},
                       {"mscale", 0.707},
                       {"mscale_all_dim", 1.0},
                       {"beta_fast", 0}});
  EXPECT_NEAR(scaling["attention_factor"], 0.9210423553163399, 1e-6);
  EXPECT_EQ(scaling["original_max_position_embeddings"], 64) << "max_position_embeddings";
  EXPECT_FALSE(scaling.contains("beta_fast")) << "0 stands for the default";
  scaling = read({{"type", "yarn"}, {"factor", nullptr}, {"original_max_position_embeddings", 16}});
  EXPECT_EQ(scaling["factor"], 4.0);
  EXPECT_FALSE(scaling.contains("attention_factor")) << "the usual one";
  config["original_max_position_embeddings"] = 32;  // goes before the one inside
  EXPECT_EQ(read(scaling)["original_max_position_embeddings"], 32);
  EXPECT_THAT(input_error([&] {
                (void)read({{"type", "yarn"}, {"factor", 2.0}, {"truncate", false}});
              }),
              HasSubstr("truncate"));
}

TEST_F(ModelWriterTest, MembersLeftOutHaveTheDefaultsOfTransformers) {
  json config = small_config("mistral");
  config.erase("sliding_window");
  config["max_position_embeddings"] = 8192;
  write(config, small_tensors());
  EXPECT_EQ(parsed().metadata.whole("llama.attention.sliding_window"), 4096);
  config["layer_types"] = {"full_attention"};
  write(config, small_tensors());
  EXPECT_EQ(parsed().metadata.whole("llama.attention.sliding_window"), std::nullopt);
  config.erase("layer_types");
  config["sliding_window"] = nullptr;
  config.erase("max_position_embeddings");
  write(config, small_tensors());
  EXPECT_EQ(parsed().metadata.whole("llama.attention.sliding_window"), std::nullopt);
  EXPECT_EQ(parsed().metadata.whole("llama.context_length"), 131072);
  config = small_config();
  config.erase("max_position_embeddings");
  write(config, small_tensors());
  EXPECT_EQ(parsed().metadata.whole("llama.context_length"), 2048);
  config["max_sequence_length"] = 512;
  write(config, small_tensors());
  EXPECT_EQ(parsed().metadata.whole("llama.context_length"), 512);
  config = small_config("qwen2");
  config["use_sliding_window"] = true;
  config["sliding_window"] = 16;
  write(config, small_tensors());  // the first 28 layers do not slide
  config["max_window_layers"] = 0;
  EXPECT_THAT(input_error([&] { write(config, small_tensors()); }), HasSubstr("window of 16"));
  config["sliding_window"] = nullptr;
  EXPECT_NO_THROW(write(config, small_tensors()));
}

TEST_F(ModelWriterTest, BlocksArePutRowByRow) {
  std::string rows;
  for (char row = 0; row < 8; ++row) rows += std::string(34, row);  // one Q8_0 block a row
  const std::vector<TensorInfo> tensors{
      {"model.layers.0.mlp.down_proj.weight", DType::kF32, {8, 32}},
      {"model.embed_tokens.weight", DType::kF32, {3, 8}}};
  GgufDescription description = describe_model(small_config(), "s", std::nullopt, tensors);
  const std::int64_t predicted = gguf_file_bytes(description, {&type_of(kQ8), &type_of(kF16)});
  ModelWriter writer(target(), std::move(description));
  const std::string embeddings(48, '\1');
  writer.put("model.embed_tokens.weight", type_of(kF16), test::bytes_of(embeddings));
  writer.put("model.layers.0.mlp.down_proj.weight", type_of(kQ8), test::bytes_of(rows));
  EXPECT_EQ(files(), 1U);
  EXPECT_FALSE(fs::exists(target()));
  writer.finish();
  const GgufFile file = parsed();
  EXPECT_EQ(static_cast<std::int64_t>(bytes_.size()), predicted);
  EXPECT_EQ(file.metadata.whole("general.file_type"), 7);  // of the linears, not of the embedding
  EXPECT_THAT(file.tensors[0].name, "token_embd.weight");
  EXPECT_EQ(std::memcmp(file.tensors[1].bytes.data(), rows.data(), rows.size()), 0);
}

TEST_F(ModelWriterTest, SplitsIntoFilesThatOpenTogether) {
  write(small_config(), small_tensors(), 1800);
  EXPECT_FALSE(fs::exists(target()));
  const std::vector<fs::path> paths = shard_paths(shard_path(target(), 0, files()));
  ASSERT_EQ(paths.size(), files());
  ASSERT_GT(paths.size(), 1U);
  for (const fs::path& path : paths) EXPECT_LE(fs::file_size(path), 1800U) << path;
  expect_counting(*open_gguf(paths.front()).tensors, small_tensors());
  const std::string bytes = test::read_all(paths[1]);
  const GgufMetadata second = parse_gguf(test::bytes_of(bytes), "second").metadata;
  EXPECT_EQ(second.whole("split.no"), 1);
  EXPECT_EQ(second.whole("split.count"), static_cast<std::int64_t>(paths.size()));
  EXPECT_EQ(second.whole("split.tensors.count"), 7);
  fs::copy_file(paths[0], paths[1], fs::copy_options::overwrite_existing);
  EXPECT_THAT(input_error([&] { (void)open_gguf(paths.front()); }), HasSubstr("split model"));
  fs::remove(paths[1]);
  EXPECT_THAT(input_error([&] { (void)open_gguf(paths.front()); }), HasSubstr("00002-of"));
}

TEST_F(ModelWriterTest, OneFileThatFitsIsNotSplit) {
  write(small_config(), small_tensors(), 1'000'000);
  EXPECT_TRUE(fs::exists(target()));
  EXPECT_EQ(parsed().metadata.whole("split.count"), std::nullopt);
}

TEST(ShardPaths, KnowNamesOfSplitModels) {
  EXPECT_EQ(shard_path("d/m.gguf", 1, 3), "d/m-00002-of-00003.gguf");
  EXPECT_THAT(shard_paths("d/m-00001-of-00002.gguf"),
              ElementsAre("d/m-00001-of-00002.gguf", "d/m-00002-of-00002.gguf"));
  EXPECT_EQ(shard_paths("d/m-00002-of-00002.gguf"), shard_paths("d/m-00001-of-00002.gguf"));
  for (const char* alone : {"m.gguf", "m-00003-of-00002.gguf", "m-00000-of-00002.gguf",
                            "m-00001-of-00000.gguf", "m-00001-of-0000x.gguf", "-00001-of-00002"}) {
    EXPECT_THAT(shard_paths(alone), ElementsAre(alone));
  }
}

TEST_F(ModelWriterTest, AVocabularyIsPaddedToTheRows) {
  tokenizer::GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.pre = "default";
  vocabulary.tokens = {"<unk>", "a"};
  vocabulary.scores = {0.0F, -1.0F};
  vocabulary.types = {2, 1};
  vocabulary.unk_id = 0;
  vocabulary.pad_id = 1;
  vocabulary.add_eos = true;
  vocabulary.chat_template = "{{ x }}";
  const std::vector<TensorInfo> tensors{{"model.embed_tokens.weight", DType::kF32, {3, 8}}};
  ModelWriter writer(target(), describe_model(small_config(), "s", vocabulary, tensors));
  const std::vector<float> values = counting_floats(tensors[0]);
  writer.put(tensors[0].name, type_of(kF32), std::as_bytes(std::span(values)));
  writer.finish();
  const tokenizer::GgufVocabulary read = open_gguf(target()).vocabulary.value();
  EXPECT_THAT(read.tokens, ElementsAre("<unk>", "a", "[PAD2]"));
  EXPECT_THAT(read.scores, ElementsAre(0.0F, -1.0F, -10000.0F));
  EXPECT_THAT(read.types, ElementsAre(2, 1, 5));
  EXPECT_EQ(read.unk_id, 0);
  EXPECT_EQ(read.pad_id, 1);
  EXPECT_EQ(read.bos_id, 1) << "what llama.cpp takes where the file does not say";
  EXPECT_TRUE(read.add_eos);
  EXPECT_EQ(read.chat_template, "{{ x }}");
  json smaller = small_config();
  smaller["vocab_size"] = 1;
  EXPECT_THAT(input_error([&] { (void)describe_model(smaller, "s", vocabulary, tensors); }),
              HasSubstr("2 tokens and the model rows for 1"));
}

TEST_F(ModelWriterTest, ACopyKeepsAllMetadata) {
  GgufWriter source;
  source.text("general.architecture", "llama").text("general.name", "n").whole("x.y", 7);
  source.whole("general.file_type", 99).whole("general.alignment", 64).flag("z", true);
  source.texts("list", {"a", "bc"});
  source.alignment = 64;
  source.tensor("token_embd.weight", kF32, {8, 3}, std::string(96, '\0'));
  source.tensor("rope_freqs.weight", kF32, {2}, std::string("\0\0\x80\x3f\0\0\x80\x3f", 8));
  const fs::path path = folder_.file("source.gguf", source.bytes());
  const std::vector<TensorInfo> tensors{{"model.embed_tokens.weight", DType::kF32, {3, 8}}};
  ModelWriter writer(target(), describe_gguf(path, small_config(), tensors));
  writer.put(tensors[0].name, type_of(kF32), test::bytes_of(std::string(96, '\0')));
  writer.finish();
  const GgufFile file = parsed();
  EXPECT_EQ(file.metadata.whole("x.y"), 7);
  EXPECT_EQ(file.metadata.flag("z"), true);
  EXPECT_THAT(file.metadata.texts("list"), ElementsAre("a", "bc"));
  EXPECT_EQ(file.metadata.whole("general.file_type"), 0);
  EXPECT_EQ(file.metadata.whole("general.alignment"), std::nullopt);
  ASSERT_EQ(file.tensors.size(), 2U);
  EXPECT_EQ(file.tensors[1].name, "rope_freqs.weight");
}

TEST_F(ModelWriterTest, ATiedHeadIsTheEmbeddings) {
  const std::vector<TensorInfo> both{{"model.embed_tokens.weight", DType::kF32, {3, 8}},
                                     {"lm_head.weight", DType::kF32, {3, 8}}};
  const std::vector<TensorInfo> head{{"lm_head.weight", DType::kF32, {3, 8}}};
  const auto slots = [](const json& config, const std::vector<TensorInfo>& tensors) {
    std::string names;
    for (const GgufSlot& slot : describe_model(config, "s", std::nullopt, tensors).slots) {
      names += slot.source + ">" + slot.name + " ";
    }
    return names;
  };
  EXPECT_EQ(slots(small_config(), both), "model.embed_tokens.weight>token_embd.weight ");
  EXPECT_EQ(slots(small_config(), head), "lm_head.weight>token_embd.weight ");
  json untied = small_config();
  untied["tie_word_embeddings"] = false;
  EXPECT_THAT(slots(untied, both), HasSubstr("lm_head.weight>output.weight"));
}

TEST_F(ModelWriterTest, WhatAFileCannotSayIsRefused) {
  const auto refusal = [](ErrorKind kind, const json& config) {
    return error_of(kind, [&] { (void)describe_model(config, "s", std::nullopt, {}); });
  };
  EXPECT_THAT(refusal(ErrorKind::kUsage, small_config("opt")),
              AllOf(HasSubstr("'opt'"), HasSubstr("packed")));
  const auto changed = [](const std::string& type, const char* name, const json& value) {
    json config = small_config(type);
    config[name] = value;
    return config;
  };
  EXPECT_THAT(refusal(ErrorKind::kInput, changed("llama", "hidden_act", "gelu")),
              HasSubstr("gelu"));
  for (const json& silu : {json(nullptr), json("silu"), json("swish")}) {
    EXPECT_NO_THROW((void)describe_model(changed("llama", "hidden_act", silu), "s", {}, {}));
  }
  EXPECT_NO_THROW((void)describe_model(
      changed("llama", "rope_scaling", {{"rope_type", nullptr}, {"type", nullptr}}), "s", {}, {}));
  EXPECT_THAT(refusal(ErrorKind::kInput, changed("llama", "hidden_act", 5)), HasSubstr("not 5"));
  EXPECT_THAT(refusal(ErrorKind::kInput,
                      changed("llama", "rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}})),
              HasSubstr("dynamic"));
  EXPECT_THAT(refusal(ErrorKind::kInput, changed("llama", "vocab_size", nullptr)),
              HasSubstr("vocab_size"));
  json window = changed("qwen2", "use_sliding_window", true);
  window["sliding_window"] = 16;
  window["max_window_layers"] = 0;
  EXPECT_THAT(refusal(ErrorKind::kInput, window), HasSubstr("sliding window of 16"));
  window["sliding_window"] = 64;  // no text is longer
  EXPECT_NO_THROW((void)describe_model(window, "s", std::nullopt, {}));
  EXPECT_THAT(input_error([] {
                (void)describe_model(small_config(), "s", std::nullopt,
                                     {{"model.other.weight", DType::kF32, {1}}});
              }),
              HasSubstr("model.other.weight"));
}

TEST_F(ModelWriterTest, OtherFilesAreNotReplacedAndHalfOnesNotLeft) {
  const std::vector<TensorInfo> tensors{{"model.embed_tokens.weight", DType::kF32, {3, 8}}};
  const auto begin = [&](const fs::path& path) {
    return std::make_unique<ModelWriter>(
        path, describe_model(small_config(), "s", std::nullopt, tensors));
  };
  const fs::path other = folder_.file("notes.gguf", "my notes");
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { (void)begin(other); }), HasSubstr("not GGUF"));
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { (void)begin(folder_.path()); }),
              HasSubstr("is a folder"));
  EXPECT_THAT(error_of(ErrorKind::kInternal, [&] { begin(target())->finish(); }),
              HasSubstr("never written"));
  EXPECT_THAT(error_of(ErrorKind::kInternal,
                       [&] { begin(target())->put(tensors[0].name, type_of(kF32), {}); }),
              HasSubstr("0 bytes"));
  EXPECT_EQ(files(), 1U);  // the notes
}

}  // namespace
}  // namespace sgpt_mi::gguf
