#include "sgpt_mi/model/fit_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

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
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

formats::Checkpoint checkpoint_of(json config, MemorySource tensors) {
  formats::Checkpoint checkpoint;
  checkpoint.config = std::move(config);
  checkpoint.tensors = std::make_unique<MemorySource>(std::move(tensors));
  return checkpoint;
}

formats::Checkpoint fitted(const json& config, const MemorySource& tensors) {
  return fit_checkpoint(checkpoint_of(config, tensors));
}

std::string fit_error(const json& config, const MemorySource& tensors) {
  try {
    const formats::Checkpoint checkpoint = fitted(config, tensors);
    const Model model(checkpoint);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
    return error.what();
  }
  return "no error";
}

torch::Tensor logits(const formats::Checkpoint& checkpoint) {
  Model model(checkpoint);
  return logits_of(model, (at::arange(9, torch::kInt64) * 7).remainder(11).view({1, 9}));
}

torch::Tensor logits(const json& config, const MemorySource& tensors) {
  return logits(checkpoint_of(config, tensors));
}

using Rename = std::function<std::string(const std::string& name)>;

MemorySource renamed(const MemorySource& tensors, const Rename& rename) {
  MemorySource result;
  for (const containers::TensorInfo& info : tensors.tensors()) {
    result.put(rename(info.name), tensors.value(info.name));
  }
  return result;
}

Rename in_front(const std::string& prefix) {
  return [prefix](const std::string& name) { return prefix + name; };
}

/// Puts `wrapper` behind "layers.0." and the like.
Rename in_layers(const std::string& wrapper) {
  return [wrapper](std::string name) {
    const std::size_t layer = name.find("layers.");
    if (layer != std::string::npos) name.insert(layer + std::string("layers.0.").size(), wrapper);
    return name;
  };
}

TEST(FitCheckpoint, LeavesAPlainModelAlone) {
  const formats::Checkpoint checkpoint = fitted(tiny_llama_config(), tiny_llama_tensors());
  EXPECT_THAT(checkpoint.notes, IsEmpty());
  EXPECT_EQ(checkpoint.config, tiny_llama_config());
  EXPECT_EQ(checkpoint.tensors->tensors().size(), tiny_llama_tensors().tensors().size());
}

TEST(FitCheckpoint, NamesOfWrappersAreStripped) {
  const torch::Tensor expected = logits(tiny_llama_config(), tiny_llama_tensors());
  const std::pair<const char*, Rename> cases[] = {
      {"'_orig_mod.'", in_front("_orig_mod.")},
      {"'module.'", in_front("module.")},
      {"'base_model.model.'", in_front("base_model.model.")},
      {"'_orig_mod.', 'module.'", in_front("_orig_mod.module.")},
      {"'_orig_mod.', 'module.'", in_front("module._orig_mod.")},
      {"'base_model.model.', 'module.'", in_front("module.base_model.model.")},
      {"'model.'", in_front("model.")},
      {"'_orig_mod.'", in_layers("_orig_mod.")},
      {"'_fsdp_wrapped_module.'",
       [](const std::string& name) {
         return "_fsdp_wrapped_module." + in_layers("_fsdp_wrapped_module.")(name);
       }},
      {"'_checkpoint_wrapped_module.'", in_layers("_checkpoint_wrapped_module.")},
      {"'base_layer.'", [](std::string name) {
         const std::size_t linear = name.find("_proj.");
         return linear == std::string::npos ? name : name.insert(linear + 6, "base_layer.");
       }}};
  for (const auto& [found, rename] : cases) {
    const auto checkpoint = fitted(tiny_llama_config(), renamed(tiny_llama_tensors(), rename));
    EXPECT_THAT(checkpoint.notes, ElementsAre(HasSubstr(std::string("have ") + found + " in")));
    EXPECT_TRUE(at::equal(logits(checkpoint), expected)) << found;
    EXPECT_NE(checkpoint.tensors->find("model.norm.weight"), nullptr) << found;
  }
  const auto opt = renamed(tiny_opt_tensors("decoder."), in_front("module."));
  EXPECT_TRUE(at::equal(logits(fitted(tiny_opt_config(), opt)),
                        logits(tiny_opt_config(), tiny_opt_tensors())));
}

TEST(FitCheckpoint, StrippingThatGivesNoModelIsRefusedWithWhatWasFound) {
  MemorySource partial = renamed(tiny_llama_tensors(), in_front("module."));
  partial.remove("module.model.norm.weight");
  EXPECT_THAT(fit_error(tiny_llama_config(), partial),
              AllOf(HasSubstr("'module.' in them"), HasSubstr("no tensor model.norm.weight")));
  MemorySource twice = renamed(tiny_llama_tensors(), in_front("module."));
  twice.put("model.norm.weight", at::ones({16}));
  EXPECT_THAT(fit_error(tiny_llama_config(), twice), HasSubstr("some would be the same"));
  const MemorySource unknown = renamed(tiny_llama_tensors(), in_front("language_model."));
  EXPECT_THAT(fit_error(tiny_llama_config(), unknown),
              AllOf(HasSubstr("no tensor model.embed_tokens.weight, but "
                              "language_model.model.embed_tokens.weight"),
                    HasSubstr("'language_model.' in front")));
}

TEST(FitCheckpoint, BuffersAreLeftOut) {
  MemorySource tensors = tiny_llama_tensors();
  tensors.put("model.layers.0.self_attn.rotary_emb.inv_freq", at::zeros({2}));
  tensors.put("model.rotary_emb.cos_cached", at::zeros({2}));
  tensors.put("model.layers.1.self_attn.masked_bias", at::zeros({1}));
  const formats::Checkpoint checkpoint = fitted(tiny_llama_config(), tensors);
  EXPECT_THAT(checkpoint.notes, IsEmpty());
  EXPECT_EQ(checkpoint.tensors->tensors().size(), tiny_llama_tensors().tensors().size());
}

TEST(FitCheckpoint, ForeignTensorsAreNamedOnceAndLeftOut) {
  MemorySource tensors = tiny_llama_tensors();
  for (const char* name : {"score.weight", "step", "model.layers.0.self_attn.k_proj.k_scale",
                           "model.layers.1.self_attn.q_proj.weight_scale"}) {
    tensors.put(name, at::ones({1}));
  }
  tensors.put("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", at::ones({1}));
  const formats::Checkpoint checkpoint = fitted(tiny_llama_config(), tensors);
  EXPECT_THAT(checkpoint.notes,
              ElementsAre(AllOf(HasSubstr("left out: score.weight, step, "),
                                HasSubstr("k_scale and 1 more")),
                          AllOf(HasSubstr("LoRA adapter are left out"), HasSubstr("lora_A"),
                                HasSubstr("merge_and_unload"))));
  EXPECT_EQ(checkpoint.tensors->tensors().size(), tiny_llama_tensors().tensors().size());
}

TEST(FitCheckpoint, TensorsOfTheModelsOwnNamingStayAnError) {
  for (const char* name :
       {"model.layers.2.input_layernorm.weight", "model.layers.0.self_attn.q_proj.bias",
        "layers.0.mlp.up_proj.bias", "model.layers.0.self_attn.q_norm.weight", "lm_head.bias",
        "model.norm.bias"}) {
    MemorySource tensors = tiny_llama_tensors();
    tensors.put(name, at::ones({16}));
    EXPECT_THAT(fit_error(tiny_llama_config(), tensors),
                HasSubstr(std::string("has a tensor ") + name));
  }
}

TEST(FitCheckpoint, BiasesOfZerosAreLeftOut) {  // as quantizers of LLaMA save them
  MemorySource tensors = tiny_llama_tensors();
  tensors.put("model.layers.0.self_attn.q_proj.bias", at::zeros({16}));
  const formats::Checkpoint checkpoint = fitted(tiny_llama_config(), tensors);
  EXPECT_THAT(checkpoint.notes, ElementsAre(HasSubstr("biases of zeros")));
  EXPECT_EQ(checkpoint.tensors->tensors().size(), tiny_llama_tensors().tensors().size());
}

TEST(FitCheckpoint, AnAdapterThatIsNotMergedIsRefused) {
  const MemorySource base = tiny_llama_tensors();
  MemorySource tensors;
  for (const containers::TensorInfo& info : base.tensors()) {
    const bool wrapped = info.name.find("q_proj") != std::string::npos;
    const std::string stem = "base_model.model." + info.name.substr(0, info.name.rfind('.'));
    tensors.put(stem + (wrapped ? ".base_layer.weight" : ".weight"), base.value(info.name));
    if (wrapped) tensors.put(stem + ".lora_A.default.weight", at::ones({1, 16}));
  }
  EXPECT_THAT(fit_error(tiny_llama_config(), tensors),
              AllOf(HasSubstr("a LoRA adapter beside the weights"), HasSubstr("not merged"),
                    HasSubstr("merge_and_unload")));
}

TEST(FitCheckpoint, AStoredHeadBesideTiedEmbeddingsCountsWhereItDiffers) {
  json tied = tiny_llama_config();
  tied["tie_word_embeddings"] = true;
  const formats::Checkpoint other = fitted(tied, tiny_llama_tensors());
  EXPECT_EQ(other.config["tie_word_embeddings"], false);
  EXPECT_THAT(other.notes, ElementsAre(HasSubstr("lm_head.weight that differs")));
  EXPECT_TRUE(at::equal(logits(other), logits(tiny_llama_config(), tiny_llama_tensors())));

  MemorySource same = tiny_llama_tensors();
  same.put("lm_head.weight", same.value("model.embed_tokens.weight"));
  const formats::Checkpoint one = fitted(tied, same);
  EXPECT_EQ(one.config["tie_word_embeddings"], true);
  EXPECT_THAT(one.notes, IsEmpty());
  EXPECT_EQ(one.tensors->find("lm_head.weight"), nullptr) << "counted and saved once";
  EXPECT_TRUE(at::equal(logits(one), logits(tied, same)));

  MemorySource head = same;
  head.remove("model.embed_tokens.weight");
  EXPECT_TRUE(at::equal(logits(fitted(tied, head)), logits(one))) << "the one table's other name";

  MemorySource opt = tiny_opt_tensors();  // tied unless its config says otherwise
  opt.put("lm_head.weight", at::ones({11, 16}));
  EXPECT_EQ(fitted(tiny_opt_config(), opt).config["tie_word_embeddings"], false);
}

TEST(FitCheckpoint, MissingTensorsAreNamedByTheModel) {
  MemorySource tensors = tiny_llama_tensors();
  tensors.remove("model.norm.weight");
  EXPECT_THAT(fit_error(tiny_llama_config(), tensors), HasSubstr("no tensor model.norm.weight;"));
}

}  // namespace
}  // namespace sgpt_mi::model
