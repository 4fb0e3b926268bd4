#include "sgpt_mi/model/spec.h"

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
using test::tiny_llama_config;
using test::tiny_opt_config;
using ::testing::HasSubstr;

std::string error_of(const json& config) {
  try {
    (void)parse_model_spec(config);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
    return error.what();
  }
  return "no error";
}

json with(json config, const std::string& key, const json& value) {
  config[key] = value;
  return config;
}

TEST(Spec, OptDefaultsAreThoseOfTheReference) {
  const ModelSpec spec = parse_model_spec(tiny_opt_config());
  EXPECT_EQ(spec.family, "opt");
  EXPECT_EQ(spec.head_dim, 4);
  EXPECT_EQ(spec.kv_heads, 4);
  EXPECT_EQ(spec.intermediate, 24);
  EXPECT_TRUE(spec.tied_head);
  EXPECT_TRUE(spec.norm_before);
  EXPECT_TRUE(spec.final_norm);
  EXPECT_TRUE(spec.bias);
  EXPECT_TRUE(spec.norm_affine);
  EXPECT_EQ(spec.activation, Activation::kRelu);
}

TEST(Spec, OptSwitches) {
  json config = tiny_opt_config();
  config.update({{"do_layer_norm_before", false},
                 {"word_embed_proj_dim", 8},
                 {"enable_bias", false},
                 {"layer_norm_elementwise_affine", false},
                 {"activation_function", "gelu"},
                 {"tie_word_embeddings", false}});
  const ModelSpec spec = parse_model_spec(config);
  EXPECT_EQ(spec.word_embed_dim, 8);
  EXPECT_FALSE(spec.norm_before);
  EXPECT_FALSE(spec.final_norm) << "post-norm models have no final norm";
  EXPECT_FALSE(spec.bias);
  EXPECT_FALSE(spec.norm_affine);
  EXPECT_FALSE(spec.tied_head);
  EXPECT_EQ(spec.activation, Activation::kGelu);
  EXPECT_FALSE(
      parse_model_spec(with(tiny_opt_config(), "_remove_final_layer_norm", true)).final_norm);
}

TEST(Spec, LlamaDefaultsAndBiases) {
  json config = tiny_llama_config();
  config.erase("num_key_value_heads");
  ModelSpec spec = parse_model_spec(config);
  EXPECT_EQ(spec.family, "llama");
  EXPECT_EQ(spec.kv_heads, 4) << "without num_key_value_heads every head has its own";
  EXPECT_EQ(spec.rope_theta, 10000.0);
  EXPECT_FALSE(spec.qkv_bias || spec.o_bias || spec.mlp_bias || spec.qk_norm || spec.tied_head);
  EXPECT_FALSE(spec.sliding_window.has_value());
  spec = parse_model_spec(with(with(config, "attention_bias", true), "mlp_bias", true));
  EXPECT_TRUE(spec.qkv_bias && spec.o_bias && spec.mlp_bias);
}

TEST(Spec, OldAndNewRopeStylesAgree) {
  const json scaling{{"rope_type", "llama3"},
                     {"factor", 8.0},
                     {"low_freq_factor", 1.0},
                     {"high_freq_factor", 4.0},
                     {"original_max_position_embeddings", 32}};
  json old_style = with(tiny_llama_config(), "rope_scaling", scaling);
  old_style["rope_theta"] = 500000;
  json new_style = with(tiny_llama_config(), "rope_parameters", scaling);
  new_style["rope_parameters"]["rope_theta"] = 500000.0;
  for (const json& config : {old_style, new_style}) {
    const ModelSpec spec = parse_model_spec(config);
    EXPECT_EQ(spec.rope_theta, 500000.0);
    EXPECT_EQ(spec.rope_scaling.kind, RopeScaling::Kind::kLlama3);
    EXPECT_EQ(spec.rope_scaling.factor, 8.0);
    EXPECT_EQ(spec.rope_scaling.original_max_positions, 32);
  }
}

TEST(Spec, RopeTypesUnderBothSpellings) {
  const auto kind = [](const json& scaling) {
    return parse_model_spec(with(tiny_llama_config(), "rope_scaling", scaling)).rope_scaling.kind;
  };
  EXPECT_EQ(kind(nullptr), RopeScaling::Kind::kNone);
  EXPECT_EQ(kind({{"rope_type", "default"}}), RopeScaling::Kind::kNone);
  EXPECT_EQ(kind({{"type", "linear"}, {"factor", 2.0}}), RopeScaling::Kind::kLinear);
  EXPECT_EQ(kind({{"type", "dynamic"}, {"factor", 4}}), RopeScaling::Kind::kDynamic);
}

TEST(Spec, RopeScalingGoesBeforeRopeParameters) {
  json config = with(tiny_llama_config(), "rope_scaling", {{"type", "linear"}, {"factor", 4.0}});
  config["rope_parameters"] = {{"rope_type", "yarn"}, {"factor", 2.0}, {"rope_theta", 50000.0}};
  ModelSpec spec = parse_model_spec(config);
  EXPECT_EQ(spec.rope_scaling.kind, RopeScaling::Kind::kLinear);
  EXPECT_EQ(spec.rope_theta, 10000.0) << "nothing of rope_parameters counts";
  config["rope_theta"] = 20000.0;
  EXPECT_EQ(parse_model_spec(config).rope_theta, 20000.0);
  config["rope_scaling"] = json::object();
  spec = parse_model_spec(config);
  EXPECT_EQ(spec.rope_scaling.kind, RopeScaling::Kind::kYarn);
  EXPECT_EQ(spec.rope_theta, 50000.0);
}

TEST(Spec, OriginalPositionsAreLookedForOutsideThenInsideThenInThePositions) {
  for (const char* type : {"llama3", "yarn"}) {
    json config = tiny_llama_config();
    config["rope_scaling"] = {
        {"type", type}, {"factor", 2.0}, {"low_freq_factor", 1}, {"high_freq_factor", 4}};
    EXPECT_EQ(parse_model_spec(config).rope_scaling.original_max_positions, 64);
    config["rope_scaling"]["original_max_position_embeddings"] = 32;
    EXPECT_EQ(parse_model_spec(config).rope_scaling.original_max_positions, 32);
    config["original_max_position_embeddings"] = 16;
    EXPECT_EQ(parse_model_spec(config).rope_scaling.original_max_positions, 16);
  }
}

TEST(Spec, YarnIsRefusedWhereItHasNoMeaning) {
  json config = with(tiny_llama_config(), "rope_scaling", {{"type", "yarn"}, {"factor", 2.0}});
  config["rope_theta"] = 1.0;
  EXPECT_THAT(error_of(config), HasSubstr("yarn with \"rope_theta\" 1"));
  config = with(tiny_llama_config(), "rope_scaling", {{"type", "yarn"}, {"factor", 0.5}});
  EXPECT_THAT(error_of(config), HasSubstr("\"rope_scaling.factor\": 0.5"));
  config = with(tiny_llama_config(), "rope_scaling", {{"type", "longrope"}, {"factor", 2.0}});
  EXPECT_THAT(error_of(config), HasSubstr("one of default, linear, dynamic, yarn, llama3"));
}

TEST(Spec, MembersLeftOutHaveTheDefaultsOfTransformers) {
  json config = tiny_llama_config();
  config.erase("max_position_embeddings");
  config.erase("num_key_value_heads");
  config.update({{"hidden_size", 64}, {"num_attention_heads", 32}});
  struct Case {
    const char* type;
    std::int64_t positions;
    std::int64_t kv_heads;
    std::int64_t head_dim;
  };
  for (const auto& [type, positions, kv_heads, head_dim] : {Case{"llama", 2048, 32, 2},
                                                            {"mistral", 131072, 8, 2},
                                                            {"qwen2", 32768, 32, 2},
                                                            {"qwen3", 32768, 32, 128}}) {
    const ModelSpec spec = parse_model_spec(with(config, "model_type", type));
    EXPECT_EQ(spec.max_positions, positions) << type;
    EXPECT_EQ(spec.kv_heads, kv_heads) << type;
    EXPECT_EQ(spec.head_dim, head_dim) << type;
    const json every = with(config, "num_key_value_heads", nullptr);
    EXPECT_EQ(parse_model_spec(with(every, "model_type", type)).kv_heads, 32) << type;
  }
  config["max_sequence_length"] = 512;  // of LLaMA's first conversions
  EXPECT_EQ(parse_model_spec(config).max_positions, 512);
  config["max_position_embeddings"] = 1024;
  EXPECT_EQ(parse_model_spec(config).max_positions, 1024);
}

TEST(Spec, MistralWindow) {
  json config = with(tiny_llama_config(), "model_type", "mistral");
  EXPECT_EQ(parse_model_spec(config).sliding_window, 4096) << "MistralConfig's default";
  EXPECT_FALSE(parse_model_spec(with(config, "sliding_window", nullptr)).sliding_window);
  config["sliding_window"] = 16;
  config["head_dim"] = 24;
  const ModelSpec spec = parse_model_spec(config);
  EXPECT_EQ(spec.sliding_window, 16);
  EXPECT_EQ(spec.sliding_from_layer, 0);
  EXPECT_EQ(spec.head_dim, 24) << "an explicit head_dim need not be hidden / heads";
  config["layer_types"] = {"full_attention", "sliding_attention"};  // Ministral under its old type
  EXPECT_EQ(parse_model_spec(config).sliding_from_layer, 1);
}

TEST(Spec, QwenWindowHasTheDefaultsOfTransformers) {
  json config = with(tiny_llama_config(), "model_type", "qwen2");
  config["use_sliding_window"] = true;
  ModelSpec spec = parse_model_spec(config);
  EXPECT_EQ(spec.sliding_window, 4096);
  EXPECT_EQ(spec.sliding_from_layer, 28) << "none of two layers slides";
  config.update({{"sliding_window", nullptr}, {"max_window_layers", 0}});
  EXPECT_FALSE(parse_model_spec(config).sliding_window);
}

TEST(Spec, QwenWindowIsOffUnlessAskedFor) {
  json config = with(tiny_llama_config(), "model_type", "qwen2");
  config["sliding_window"] = 8;
  ModelSpec spec = parse_model_spec(config);
  EXPECT_FALSE(spec.sliding_window);
  EXPECT_TRUE(spec.qkv_bias);
  EXPECT_FALSE(spec.o_bias);
  config["use_sliding_window"] = true;
  config["max_window_layers"] = 1;
  spec = parse_model_spec(config);
  EXPECT_EQ(spec.sliding_window, 8);
  EXPECT_EQ(spec.sliding_from_layer, 1);
  config["layer_types"] = {"full_attention", "full_attention"};
  EXPECT_EQ(parse_model_spec(config).sliding_from_layer, 2) << "the explicit list wins";
}

TEST(Spec, Qwen3HasHeadNorms) {
  json config = with(tiny_llama_config(), "model_type", "qwen3");
  config["head_dim"] = 32;
  const ModelSpec spec = parse_model_spec(config);
  EXPECT_TRUE(spec.qk_norm);
  EXPECT_FALSE(spec.qkv_bias);
  EXPECT_EQ(spec.head_dim, 32);
}

TEST(Spec, RefusesUnknownNamesByName) {
  EXPECT_THAT(error_of(with(tiny_llama_config(), "model_type", "gpt_neox")),
              HasSubstr("model_type \"gpt_neox\"; expected one of opt, llama, mistral"));
  EXPECT_THAT(error_of(with(tiny_opt_config(), "activation_function", "tanhshrink")),
              HasSubstr("\"activation_function\": \"tanhshrink\"; expected one of relu"));
  EXPECT_THAT(
      error_of(with(tiny_llama_config(), "rope_scaling", {{"rope_type", "su"}, {"factor", 2.0}})),
      HasSubstr("\"rope_scaling.rope_type\": \"su\""));
  EXPECT_THAT(
      error_of(with(tiny_llama_config(), "layer_types", {"full_attention", "chunked_attention"})),
      HasSubstr("chunked_attention"));
  EXPECT_THAT(error_of(with(tiny_llama_config(), "quantization_config", {{"bits", 4}})),
              HasSubstr("quantization_config"));
  EXPECT_THAT(error_of(with(tiny_llama_config(), "partial_rotary_factor", 0.5)),
              HasSubstr("partial_rotary_factor"));
}

TEST(Spec, BadValuesAreNamedWithKeyValueAndRange) {
  struct Case {
    std::string key;
    json value;
    std::string expected;
  };
  const json linear{{"type", "linear"}};
  const json half{{"type", "linear"}, {"factor", 0.5}};
  const json typeless{{"factor", 2.0}};
  const std::vector<Case> cases{
      {"hidden_size", 0, "\"hidden_size\": 0; expected an integer from 1 to 2147483647"},
      {"num_hidden_layers", -3, "\"num_hidden_layers\": -3"},
      {"vocab_size", "many", "\"vocab_size\": \"many\""},
      {"vocab_size", 1.5, "\"vocab_size\": 1.5"},
      {"vocab_size", std::numeric_limits<std::uint64_t>::max(), "18446744073709551615"},
      {"num_key_value_heads", 3, "a divisor of \"num_attention_heads\" 4"},
      {"head_dim", 3, "\"head_dim\": 3; expected an even size"},
      {"rms_norm_eps", -1.0, "\"rms_norm_eps\": -1"},
      {"rope_theta", 0.0, "\"rope_theta\": 0"},
      {"tie_word_embeddings", 1, "\"tie_word_embeddings\": 1; expected true or false"},
      {"rope_scaling", "linear", "\"rope_scaling\": \"linear\"; expected an object"},
      {"rope_scaling", linear, "no \"rope_scaling.factor\""},
      {"rope_scaling", half, "\"rope_scaling.factor\": 0.5"},
      {"rope_scaling", typeless, "\"rope_type\" beside it"},
      {"layer_types", json::array({"full_attention"}), "2 entries"},
      {"layer_types", json::array({"full_attention", "sliding_attention"}),
       "without sliding window"},
  };
  for (const Case& bad : cases) {
    EXPECT_THAT(error_of(with(tiny_llama_config(), bad.key, bad.value)), HasSubstr(bad.expected))
        << bad.key;
  }
  json uneven = tiny_llama_config();
  uneven.update({{"num_attention_heads", 3}, {"num_key_value_heads", 3}});
  EXPECT_THAT(error_of(uneven), HasSubstr("a divisor of \"hidden_size\" 16"));
}

TEST(Spec, MissingSizesAreNamed) {
  for (const char* key : {"num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size",
                          "intermediate_size"}) {
    json config = tiny_llama_config();
    config.erase(key);
    EXPECT_THAT(error_of(config), HasSubstr("config.json has no \"" + std::string(key) + "\""));
  }
  EXPECT_THAT(error_of(json::array()), HasSubstr("expected an object"));
}

TEST(Spec, WindowsLongerThanThePositionsAreRefused) {
  ModelSpec spec = parse_model_spec(tiny_llama_config());
  EXPECT_NO_THROW(require_window(spec, 64));
  try {
    require_window(spec, 65);
    FAIL() << "65 tokens were accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("a window of 65 tokens; this model has 64 positions"));
  }
  spec.rope_scaling = {.kind = RopeScaling::Kind::kYarn, .factor = 4.0};
  spec.rope_scaling.original_max_positions = 64;
  EXPECT_EQ(longest_window(spec), 256) << "the positions of the extension";
  spec.rope_scaling.kind = RopeScaling::Kind::kDynamic;
  EXPECT_NO_THROW(require_window(spec, 65)) << "dynamic rope adapts to the length";
}

}  // namespace
}  // namespace sgpt_mi::model
