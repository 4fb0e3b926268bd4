#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/eval/perplexity.h"
#include "support/silent_events.h"
#include "support/tiny_model.h"

namespace sgpt_mi::compress {
namespace {

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

/// LLaMA, OPT, and OPT with its norms after the sums, which are not tuned.
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

/// A whole compression of a scene.
struct Compression {
  BlockResult result;
  double divergence = 0.0;  ///< of the windows that judge a tuning, from the dense model
  std::map<std::string, torch::Tensor> tensors;  ///< of the compressed model
  test::SilentEvents events;
};

Compression compress(const Scene& made, std::int64_t tuned_windows, bool holds_codes,
                     const std::string& selected = "") {
  Compression done;
  text::TokenWindows windows{{}, 16, 8};
  for (int i = 0; i < 128; ++i) windows.ids.push_back((i * i + 3 * i) % 11);
  CompressionSettings settings;
  settings.matrix.wbits = 3;
  settings.matrix.sparsity = 0.4;
  settings.matrix.stored_scales = true;
  settings.channel_scaling = 0.5;
  settings.tune = tuned_windows;
  settings.selection.name_contains = selected;
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
  EXPECT_EQ(timings.count("tune"), tuned_windows > 0 ? 1U : 0U);
  const text::TokenWindows judging{{windows.ids.end() - 2 * 8, windows.ids.end()}, 2, 8};
  eval::FinalStates dense;
  static_cast<void>(eval::perplexity(*made.model, judging, {{}, 2, {}, &dense}));
  model::Model compressed(made.model->spec(), store);
  const eval::PerplexityOptions compared{{}, 2, {}, nullptr, false, &dense};
  done.divergence = eval::perplexity(compressed, judging, compared).divergence.value().kl_mean;
  for (const containers::TensorInfo& info : store.tensors()) {
    done.tensors[info.name] = model::to_torch(store.read(info.name)).clone();
  }
  return done;
}

TEST(ModelTuning, ChangesWhatItMayAndNoSizes) {
  for (const Scene& made : scenes()) {
    for (const bool holds_codes : {false, true}) {
      SCOPED_TRACE(made.family);
      const Compression plain = compress(made, 0, holds_codes);
      const Compression tuned = compress(made, 16, holds_codes);
      EXPECT_FALSE(plain.result.tuning.has_value());
      ASSERT_TRUE(tuned.result.tuning.has_value());
      ASSERT_TRUE(tuned.result.tuning->kept);
      EXPECT_LT(tuned.result.tuning->kl_after, tuned.result.tuning->kl_before);
      ASSERT_EQ(tuned.result.layers.size(), plain.result.layers.size());
      for (std::size_t i = 0; i < plain.result.layers.size(); ++i) {
        EXPECT_EQ(tuned.result.layers[i].name, plain.result.layers[i].name);
        EXPECT_EQ(tuned.result.layers[i].stored_bits, plain.result.layers[i].stored_bits);
      }
      for (const auto& [name, value] : plain.tensors) {
        const bool in_block = name.find("layers.") != std::string::npos;
        const bool post_norm =
            made.family == "post-norm opt" && name.find("layer_norm") != std::string::npos;
        EXPECT_EQ(!tuned.tensors.at(name).equal(value), in_block && !post_norm) << name;
      }
    }
  }
}

/// What channel scaling did to linears that are not selected is in the model that is tuned.
TEST(ModelTuning, StartsFromTheCompressedModel) {
  for (const char* selected : {"", "q_proj"}) {
    const Scene made = std::move(scenes().front());
    const Compression plain = compress(made, 0, false, selected);
    const Compression tuned = compress(made, 16, false, selected);
    EXPECT_NEAR(tuned.result.tuning->kl_before, plain.divergence, 1e-4 * plain.divergence)
        << selected;
    EXPECT_NEAR(tuned.result.tuning->kl_after, tuned.divergence, 1e-4 * tuned.divergence)
        << selected;
  }
}

TEST(ModelTuning, NeedsTwoWindows) {
  CompressionSettings settings;
  settings.matrix.wbits = 4;
  for (const std::int64_t windows : {-1, 1}) {
    settings.tune = windows;
    EXPECT_THROW(settings.validate(), Error) << windows;
  }
  settings.tune = 2;
  EXPECT_NO_THROW(settings.validate());
}

}  // namespace
}  // namespace sgpt_mi::compress
