#include "sgpt_mi/planning/output_fisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>

#include "sgpt_mi/core/error.h"
#include "support/tiny_model.h"

namespace sgpt_mi::planning {
namespace {

using ::testing::HasSubstr;
using Fisher = std::map<std::string, torch::Tensor>;

constexpr std::int64_t kWindows = 3;
constexpr std::int64_t kTokens = 7;

/// Windows of ids below the tiny models' 11.
text::TokenWindows some_windows(std::int64_t count = kWindows, std::int64_t length = kTokens) {
  text::TokenWindows windows{{}, count, length};
  for (std::int64_t i = 0; i < count * length; ++i) {
    windows.ids.push_back(static_cast<std::int32_t>((i * i + 3 * i + i / 5) % 11));
  }
  return windows;
}

torch::Tensor ids_of(const text::TokenWindows& windows, std::int64_t count) {
  const std::vector<std::int64_t> ids(windows.ids.begin(),
                                      windows.ids.begin() + count * windows.seqlen);
  return at::tensor(ids, torch::kInt64).view({count, windows.seqlen});
}

/// A tiny model and its checkpoint.
struct Scene {
  nlohmann::json config;
  test::MemorySource tensors;
  std::string name;

  [[nodiscard]] model::Model open() const {
    return model::Model(model::parse_model_spec(config), tensors);
  }
};

Scene llama() { return {test::tiny_llama_config(), test::tiny_llama_tensors(), "llama"}; }
Scene opt() { return {test::tiny_opt_config(), test::tiny_opt_tensors(), "opt"}; }

/// A family's other paths: biases and norms of queries and keys, attention over a few tokens.
Scene qwen3() {
  Scene scene = llama();
  scene.name = "qwen3";
  scene.config.update({{"model_type", "qwen3"},
                       {"head_dim", 4},
                       {"attention_bias", true},
                       {"use_sliding_window", true},
                       {"sliding_window", 3},
                       {"max_window_layers", 1}});
  for (const std::string layer : {"model.layers.0.self_attn.", "model.layers.1.self_attn."}) {
    scene.tensors.put(layer + "q_norm.weight", at::rand({4}) + 0.5);
    scene.tensors.put(layer + "k_norm.weight", at::rand({4}) + 0.5);
    for (const std::string linear : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      const std::int64_t rows = scene.tensors.value(layer + linear + ".weight").size(0);
      scene.tensors.put(layer + linear + ".bias", at::randn({rows}) * 0.5);
    }
  }
  return scene;
}

/// OPT with its norms after the sums.
Scene post_norm_opt() {
  Scene scene = opt();
  scene.name = "post-norm opt";
  scene.config["do_layer_norm_before"] = false;
  scene.tensors.remove("model.decoder.final_layer_norm.weight");
  scene.tensors.remove("model.decoder.final_layer_norm.bias");
  return scene;
}

std::vector<Scene> all_scenes() { return {llama(), opt(), qwen3(), post_norm_opt()}; }

struct Settings {
  std::int64_t windows_used = kWindows;
  std::int64_t batch_windows = 2;
  walk::LayerSelection selection;
  torch::ScalarType dtype = torch::kFloat64;
  text::TokenWindows windows = some_windows();
};

Fisher fisher_of(const Scene& scene, const Settings& settings = {}, EndMoments* ends = nullptr) {
  model::Model model = scene.open();
  std::map<std::string, double> timings;
  const Fisher fisher = output_fisher({.model = model,
                                       .placement = {torch::kCPU, settings.dtype},
                                       .windows = settings.windows,
                                       .windows_used = settings.windows_used,
                                       .selection = settings.selection,
                                       .batch_windows = settings.batch_windows,
                                       .timings = timings,
                                       .ends = ends});
  EXPECT_EQ(timings.count("fisher"), 1);
  return fisher;
}

using Watch = std::function<void(const std::string&, const torch::Tensor&)>;

/// A model's forward pass over windows in float64, with its graph where gradients are wanted.
struct Forward {
  torch::Tensor embedded;      // (B, T, hidden): what the first block reads
  torch::Tensor final_hidden;  // of the positions that are scored
  torch::Tensor logits;        // of these
  torch::Tensor loss;          // of the windows, nats: what f is about
};

/// Outputs are shown to the observer.
Forward forward(const Scene& scene, const torch::Tensor& ids, bool with_gradients,
                const Watch& watch) {
  const model::Placement where{torch::kCPU, torch::kFloat64};
  model::Model model = scene.open();
  Forward pass;
  pass.embedded = model.embed(ids, where).requires_grad_(with_gradients);
  torch::Tensor hidden = pass.embedded;
  for (std::int64_t layer = 0; layer < model.spec().layers; ++layer) {
    const auto block = model.load_block(layer, where);
    block->set_output_observer([&](const std::string& short_name, const torch::Tensor& output) {
      for (const model::LinearInfo& linear : block->linears()) {
        if (linear.short_name == short_name) watch(linear.name, output);
      }
    });
    hidden = block->forward(hidden);
  }
  const std::int64_t scored = ids.size(1) - 1;
  pass.final_hidden = model.final_hidden(hidden, where).narrow(1, 0, scored).flatten(0, 1);
  pass.logits = model.logits(pass.final_hidden, where);
  pass.loss = at::cross_entropy_loss(pass.logits, ids.narrow(1, 1, scored).flatten(), {},
                                     at::Reduction::Sum);
  return pass;
}

torch::Tensor loss_of(const Scene& scene, const torch::Tensor& ids, bool with_gradients,
                      const Watch& watch) {
  return forward(scene, ids, with_gradients, watch).loss;
}

/// The gradient of every linear's output (B, T, rows), from one graph of the whole model.
Fisher whole_model_gradients(const Scene& scene, const torch::Tensor& ids) {
  Fisher outputs;
  const torch::Tensor loss = loss_of(
      scene, ids, true,
      [&](const std::string& name, const torch::Tensor& output) { outputs[name] = output; });
  Fisher gradients;
  for (const auto& [name, output] : outputs) {
    gradients[name] =
        torch::autograd::grad({loss}, {output}, {}, /*retain_graph=*/std::optional<bool>(true))[0];
  }
  return gradients;
}

torch::Tensor mean_squares(const torch::Tensor& gradient) {
  return gradient.flatten(0, 1).square().mean(0);
}

/// The largest difference as a share of the largest value.
double relative_difference(const torch::Tensor& found, const torch::Tensor& expected) {
  return ((found - expected).abs().max() / expected.abs().max()).item<double>();
}

std::string error_of(const Scene& scene, const Settings& settings, ErrorKind kind) {
  try {
    (void)fisher_of(scene, settings);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(OutputFisher, EqualsTheGraphOfTheWholeModel) {
  const torch::Tensor ids = ids_of(some_windows(), kWindows);
  for (const Scene& scene : all_scenes()) {
    const Fisher found = fisher_of(scene);
    const Fisher gradients = whole_model_gradients(scene, ids);
    ASSERT_EQ(found.size(), gradients.size()) << scene.name;
    for (const auto& [name, gradient] : gradients) {
      ASSERT_EQ(found.count(name), 1) << name;
      EXPECT_EQ(found.at(name).scalar_type(), torch::kFloat64);
      // A row behind a ReLU that never opens is the only one that may not matter.
      const double least = found.at(name).min().item<double>();
      EXPECT_TRUE(least > 0.0 || (least == 0.0 && name.ends_with("fc1"))) << name << " " << least;
      // Some thousand float64 roundings, and float32 rotary angles that both share.
      EXPECT_LT(relative_difference(found.at(name), mean_squares(gradient)), 1e-11)
          << scene.name << " " << name;
    }
  }
}

/// d loss / d y_row for every token (B, T), by central differences: the output itself is moved.
torch::Tensor finite_differences(const Scene& scene, const torch::Tensor& ids,
                                 const std::string& linear, std::int64_t row) {
  constexpr double kStep = 1e-4;
  const auto moved_loss = [&](std::int64_t window, std::int64_t token, double step) {
    const auto move = [&](const std::string& name, const torch::Tensor& output) {
      if (name == linear) output.select(0, window).select(0, token).narrow(0, row, 1).add_(step);
    };
    return loss_of(scene, ids, false, move).item<double>();
  };
  torch::Tensor gradient = at::empty({ids.size(0), ids.size(1)}, torch::kFloat64);
  for (std::int64_t window = 0; window < ids.size(0); ++window) {
    for (std::int64_t token = 0; token < ids.size(1); ++token) {
      const double rise = moved_loss(window, token, kStep) - moved_loss(window, token, -kStep);
      gradient[window][token] = rise / (2.0 * kStep);
    }
  }
  return gradient;
}

TEST(OutputFisher, EqualsFiniteDifferencesOfTheLoss) {
  Settings settings;
  settings.windows_used = 1;
  const torch::Tensor ids = ids_of(some_windows(), 1);
  for (const Scene& scene : all_scenes()) {
    for (const auto& [name, fisher] : fisher_of(scene, settings)) {
      const std::int64_t row = fisher.argmax().item<std::int64_t>();
      const double expected =
          finite_differences(scene, ids, name, row).square().mean().item<double>();
      // Truncation: kStep^2 / 6 times a third derivative of up to about 100 gradients.
      EXPECT_NEAR(fisher[row].item<double>() / expected, 1.0, 1e-5) << scene.name << " " << name;
    }
  }
}

TEST(OutputFisher, OnlyTheFirstWindowsCount) {
  Settings two;
  two.windows_used = 2;
  Settings cut = two;
  cut.windows = some_windows(2);
  Settings three = two;
  three.windows_used = 3;
  const Fisher found = fisher_of(llama(), two);
  const Fisher expected = fisher_of(llama(), cut);
  const Fisher more = fisher_of(llama(), three);
  for (const auto& [name, fisher] : found) {
    EXPECT_TRUE(fisher.equal(expected.at(name))) << name;
    EXPECT_GT(relative_difference(fisher, more.at(name)), 1e-3) << name;
  }
}

TEST(OutputFisher, BatchesDoNotMatter) {
  Settings settings;
  const Fisher found = fisher_of(opt(), settings);
  for (const std::int64_t batch : {1, 3, 8}) {
    settings.batch_windows = batch;
    for (const auto& [name, fisher] : fisher_of(opt(), settings)) {
      EXPECT_LT(relative_difference(fisher, found.at(name)), 1e-11) << batch << " " << name;
    }
  }
}

TEST(OutputFisher, ManyLogitsAreTakenInPieces) {
  // 4e6 logits at once are 11 positions of this vocabulary: two windows have 12.
  constexpr std::int64_t kVocab = 360'000;
  Scene scene = llama();
  scene.config["vocab_size"] = kVocab;
  for (const char* table : {"model.embed_tokens.weight", "lm_head.weight"}) {
    scene.tensors.put(table,
                      scene.tensors.value(table).repeat({kVocab / 11 + 1, 1}).narrow(0, 0, kVocab));
  }
  Settings settings;
  settings.windows_used = 2;
  const torch::Tensor ids = ids_of(some_windows(), 2);
  const Fisher found = fisher_of(scene, settings);
  for (const auto& [name, gradient] : whole_model_gradients(scene, ids)) {
    EXPECT_LT(relative_difference(found.at(name), mean_squares(gradient)), 1e-11) << name;
  }
}

TEST(OutputFisher, OnlySelectedLinearsAreThere) {
  Settings settings;
  settings.selection.min_layer = 1;
  settings.selection.name_contains = "mlp.";
  const Fisher all = fisher_of(llama());
  const Fisher found = fisher_of(llama(), settings);
  std::vector<std::string> names;
  for (const auto& [name, fisher] : found) {
    names.push_back(name);
    EXPECT_TRUE(fisher.equal(all.at(name))) << name;
  }
  EXPECT_THAT(names,
              ::testing::ElementsAre("model.layers.1.mlp.down_proj", "model.layers.1.mlp.gate_proj",
                                     "model.layers.1.mlp.up_proj"));
  settings.selection.name_contains = "nothing";
  EXPECT_TRUE(fisher_of(llama(), settings).empty());
}

TEST(OutputFisher, TwoCallsAgreeBitForBitWhateverTheCallersGradientMode) {
  Settings settings;
  settings.dtype = torch::kFloat32;
  for (const Scene& scene : all_scenes()) {
    const Fisher first = fisher_of(scene, settings);
    const at::NoGradGuard no_grad;
    for (const auto& [name, fisher] : fisher_of(scene, settings)) {
      EXPECT_TRUE(fisher.equal(first.at(name))) << scene.name << " " << name;
    }
    EXPECT_FALSE(at::GradMode::is_enabled());
  }
}

TEST(OutputFisher, HalfTypesHoldSmallGradients) {
  // Behind this norm gradients are of order 2^-22: float16 counts there in steps of 2^-24.
  Scene scene = llama();
  for (const auto& [name, exponent] :
       {std::pair{"model.norm.weight", -12}, std::pair{"lm_head.weight", -10}}) {
    scene.tensors.put(name, scene.tensors.value(name) * std::exp2(exponent));
  }
  const Fisher exact = fisher_of(scene);
  Settings settings;
  // A hundred units in the last place, half of that for the short roundings of float16 and
  // bfloat16, whose sums are float32: the scores' gradients are differences.
  for (const auto& [type, tolerance] : {std::pair{torch::kFloat32, 100 * std::exp2(-23)},
                                        std::pair{torch::kFloat16, 50 * std::exp2(-10)},
                                        std::pair{torch::kBFloat16, 50 * std::exp2(-7)}}) {
    settings.dtype = type;
    for (const auto& [name, fisher] : fisher_of(scene, settings)) {
      EXPECT_LT(relative_difference(fisher, exact.at(name)), tolerance) << type << " " << name;
    }
  }
}

EndMoments ends_of(const Scene& scene, const Settings& settings = {}) {
  EndMoments ends;
  (void)fisher_of(scene, settings, &ends);
  return ends;
}

TEST(EndMoments, AreThoseOfTheWholeModel) {
  const torch::Tensor ids = ids_of(some_windows(), kWindows);
  for (const Scene& scene : all_scenes()) {
    SCOPED_TRACE(scene.name);
    const EndMoments ends = ends_of(scene);
    const Forward pass = forward(scene, ids, true, [](const auto&, const auto&) {});
    const torch::Tensor states = pass.final_hidden.detach();
    const auto tokens = static_cast<double>(states.size(0));
    EXPECT_EQ(states.size(0), kWindows * (kTokens - 1));
    EXPECT_LT(relative_difference(ends.hidden, states.t().matmul(states) / tokens), 1e-11);
    const torch::Tensor p = at::softmax(pass.logits.detach(), -1);
    EXPECT_LT(relative_difference(ends.probability, p.mean(0)), 1e-11);
    EXPECT_LT(relative_difference(ends.logit, (p * (1.0 - p)).mean(0)), 1e-11);
    EXPECT_NEAR(ends.probability.sum().item<double>(), 1.0, 1e-11);
    const torch::Tensor gradient =
        torch::autograd::grad({pass.loss}, {pass.embedded})[0].flatten(0, 1);
    EXPECT_LT(relative_difference(ends.gradient, gradient.t().matmul(gradient) /
                                                     static_cast<double>(gradient.size(0))),
              1e-11);
  }
}

TEST(EndMoments, AskingForThemChangesNothingElse) {
  EndMoments ends;
  const Fisher found = fisher_of(llama(), {}, &ends);
  for (const auto& [name, fisher] : fisher_of(llama())) {
    EXPECT_TRUE(fisher.equal(found.at(name))) << name;
  }
}

TEST(EndMoments, AreMeansOverTheWindowsUsedInAnyBatches) {
  Settings two;
  two.windows_used = 2;
  two.batch_windows = 1;
  Settings cut = two;
  cut.windows = some_windows(2);
  cut.batch_windows = 2;
  const EndMoments found = ends_of(llama(), two);
  const EndMoments expected = ends_of(llama(), cut);
  const EndMoments more = ends_of(llama());
  for (const auto member :
       {&EndMoments::hidden, &EndMoments::logit, &EndMoments::probability, &EndMoments::gradient}) {
    // Float64 sums in another order; of probabilities float32 ones.
    EXPECT_LT(relative_difference(found.*member, expected.*member), 1e-6);
    EXPECT_GT(relative_difference(found.*member, more.*member), 1e-3);
  }
}

TEST(EndMoments, HaveNoGradientWhereThePassEndsLater) {
  Settings settings;
  settings.selection.min_layer = 1;
  const EndMoments ends = ends_of(llama(), settings);
  EXPECT_FALSE(ends.gradient.defined());
  EXPECT_TRUE(ends.hidden.equal(ends_of(llama()).hidden));
}

TEST(OutputFisher, NonFiniteIsNamed) {
  Scene scene = llama();
  // Logits beyond float32: a loss that is not a number.
  scene.tensors.put("model.norm.weight", at::full({16}, 1e30F));
  scene.tensors.put("lm_head.weight", at::randn({11, 16}) * 1e30F);
  Settings settings;
  settings.dtype = torch::kFloat32;
  EXPECT_THAT(error_of(scene, settings, ErrorKind::kNumeric),
              HasSubstr("output 0 of model.layers.1.self_attn.q_proj is NaN"));
}

TEST(OutputFisher, CountsOutOfRangeAreRefused) {
  Settings settings;
  settings.windows_used = kWindows + 1;
  EXPECT_THAT(error_of(llama(), settings, ErrorKind::kInternal), HasSubstr("more windows"));
  settings.windows_used = 0;
  EXPECT_THAT(error_of(llama(), settings, ErrorKind::kInternal), HasSubstr("none"));
  settings = {};
  settings.batch_windows = 0;
  EXPECT_THAT(error_of(llama(), settings, ErrorKind::kInternal), HasSubstr("no window"));
  settings = {};
  settings.windows = some_windows(kWindows, 1);
  EXPECT_THAT(error_of(llama(), settings, ErrorKind::kInput), HasSubstr("windows of 1 tokens"));
}

}  // namespace
}  // namespace sgpt_mi::planning
