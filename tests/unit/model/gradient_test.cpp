#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/model/model.h"
#include "support/random_tensor.h"
#include "support/tiny_model.h"

namespace sgpt_mi::model {
namespace {

using ::testing::HasSubstr;

const Placement kDouble{torch::kCPU, torch::kFloat64};

/// A tiny model of either family.
struct Scene {
  std::string name;
  test::MemorySource tensors;
  Model model;

  Scene(std::string family, const nlohmann::json& config, test::MemorySource source)
      : name(std::move(family)),
        tensors(std::move(source)),
        model(parse_model_spec(config), tensors) {}
};

/// LLaMA with attention over everything and over 3 tokens, OPT with norms before and after, and
/// every activation.
std::vector<std::unique_ptr<Scene>> all_scenes() {
  std::vector<std::unique_ptr<Scene>> scenes;
  const auto add = [&](const std::string& name, nlohmann::json config, test::MemorySource source,
                       const nlohmann::json& changes) {
    config.update(changes);
    scenes.push_back(std::make_unique<Scene>(name, config, std::move(source)));
  };
  add("llama", test::tiny_llama_config(), test::tiny_llama_tensors(), nlohmann::json::object());
  add("mistral", test::tiny_llama_config(), test::tiny_llama_tensors(),
      {{"model_type", "mistral"}, {"sliding_window", 3}});
  for (const char* activation : {"relu", "gelu", "gelu_new"}) {
    add(activation, test::tiny_opt_config(), test::tiny_opt_tensors(),
        {{"activation_function", activation}});
  }
  test::MemorySource without_final_norm = test::tiny_opt_tensors();
  without_final_norm.remove("model.decoder.final_layer_norm.weight");
  without_final_norm.remove("model.decoder.final_layer_norm.bias");
  add("norms after", test::tiny_opt_config(), std::move(without_final_norm),
      {{"do_layer_norm_before", false}});
  return scenes;
}

torch::Tensor some_hidden() { return test::normal(2 * 5, 16, 3).view({2, 5, 16}); }

/// From hidden states through a block and the ends to logits.
torch::Tensor through(Model& model, const torch::Tensor& hidden, const Placement& where) {
  return model.logits(model.final_hidden(model.load_block(0, where)->forward(hidden), where),
                      where);
}

// Without a gradient norms, rotations and gates of bfloat16 are our own steps (bfloat16_steps.h),
// with one LibTorch's operations.
void expect_the_same_in_bfloat16(Scene& scene) {
  const Placement where{torch::kCPU, torch::kBFloat16};
  const torch::Tensor hidden = some_hidden().to(torch::kBFloat16);
  const auto block = scene.model.load_block(0, where);
  const auto forward = [&](const torch::Tensor& x) {
    return scene.model.final_hidden(block->forward(x).narrow(1, 0, 4), where);
  };
  const torch::Tensor ours = forward(hidden);
  const torch::Tensor theirs = forward(hidden.clone().requires_grad_());
  EXPECT_EQ(ours.scalar_type(), torch::kBFloat16) << scene.name;
  ASSERT_TRUE(theirs.requires_grad()) << scene.name;
  const torch::Tensor expected = theirs.detach().to(torch::kFloat64);
  const double largest = expected.abs().max().item<double>();
  EXPECT_LE((ours.to(torch::kFloat64) - expected).abs().max().item<double>(),
            0.02 * largest)  // some roundings to 8 bits
      << scene.name;
}

TEST(Bfloat16, WithAndWithoutAGradientTheSameFunction) {
  for (const auto& scene : all_scenes()) expect_the_same_in_bfloat16(*scene);
  // Norms of heads, as Qwen3 has them.
  test::MemorySource tensors = test::tiny_llama_tensors();
  for (const std::string layer : {"0", "1"}) {
    for (const std::string norm : {"q_norm", "k_norm"}) {
      tensors.put("model.layers." + layer + ".self_attn." + norm + ".weight",
                  test::normal(1, 4, 9).view({4}).abs());
    }
  }
  nlohmann::json config = test::tiny_llama_config();
  config.update({{"model_type", "qwen3"}, {"head_dim", 4}});
  Scene qwen3("qwen3", config, std::move(tensors));
  expect_the_same_in_bfloat16(qwen3);
}

TEST(Gradients, EqualFiniteDifferences) {
  constexpr double kStep = 1e-5;
  const torch::Tensor hidden = some_hidden().to(torch::kFloat64);
  const torch::Tensor direction = test::normal(2 * 5, 16, 4).view_as(hidden).to(torch::kFloat64);
  for (const auto& scene : all_scenes()) {
    const torch::Tensor input = hidden.detach().requires_grad_(true);
    const torch::Tensor logits = through(scene->model, input, kDouble);
    const torch::Tensor weights = test::normal(2 * 5, 11, 5).view_as(logits).to(torch::kFloat64);
    const torch::Tensor gradient = torch::autograd::grad({logits}, {input}, {weights})[0];
    const double found = (gradient * direction).sum().item<double>();

    const at::NoGradGuard no_grad;
    const torch::Tensor rise = through(scene->model, hidden + direction * kStep, kDouble) -
                               through(scene->model, hidden - direction * kStep, kDouble);
    const double expected = ((rise * weights).sum() / (2.0 * kStep)).item<double>();
    // Truncation: kStep^2 / 6 times a third derivative, at most some thousand first ones.
    EXPECT_NEAR(found / expected, 1.0, 1e-6) << scene->name;
  }
}

TEST(Gradients, LeaveTheOutputsAsTheyAre) {
  for (const auto& scene : all_scenes()) {
    for (const auto& [type, tolerance] :
         // In float32 attention without gradients is the kernel's: other roundings of values of
         // order 10.
         {std::pair{torch::kFloat64, 1e-12}, std::pair{torch::kFloat32, 1e-4}}) {
      const Placement where{torch::kCPU, type};
      const torch::Tensor hidden = some_hidden().to(type);
      const torch::Tensor plain = through(scene->model, hidden, where);
      EXPECT_FALSE(plain.requires_grad()) << "weights want no gradients";
      const torch::Tensor recorded =
          through(scene->model, hidden.detach().requires_grad_(true), where);
      EXPECT_TRUE(recorded.requires_grad());
      EXPECT_LT((recorded - plain).abs().max().item<double>(), tolerance) << scene->name;
      const at::NoGradGuard no_grad;
      EXPECT_TRUE(through(scene->model, hidden, where).equal(plain)) << scene->name;
    }
  }
}

TEST(OutputObserver, SeesEveryLinearOnceAndChangesNothing) {
  for (const auto& scene : all_scenes()) {
    const auto block = scene->model.load_block(1, {});
    const torch::Tensor hidden = some_hidden();
    const torch::Tensor expected = block->forward(hidden);
    std::map<std::string, torch::Tensor> outputs;
    std::map<std::string, torch::Tensor> copies;
    block->set_output_observer([&](const std::string& short_name, const torch::Tensor& output) {
      EXPECT_TRUE(outputs.emplace(short_name, output).second) << short_name;
      copies.emplace(short_name, output.clone());
    });
    std::map<Site, torch::Tensor> inputs;
    BlockState state = block->begin(hidden);
    for (int index = 0; index < kSites; ++index) {
      const auto site = static_cast<Site>(index);
      inputs[site] = block->site_input(site, state);
      block->advance(site, state, inputs[site]);
    }
    EXPECT_TRUE(state.hidden.equal(expected));
    ASSERT_EQ(outputs.size(), block->linears().size());
    for (const LinearInfo& linear : block->linears()) {
      const torch::Tensor direct = at::linear(
          inputs.at(linear.site), block->weight(linear.short_name), block->bias(linear.short_name));
      EXPECT_TRUE(copies.at(linear.short_name).equal(direct)) << linear.name;
      EXPECT_TRUE(outputs.at(linear.short_name).equal(direct)) << linear.name << " written to";
    }
    block->set_output_observer({});
    outputs.clear();
    EXPECT_TRUE(block->forward(hidden).equal(expected));
    EXPECT_TRUE(outputs.empty());
  }
}

TEST(OutputObserver, HooksSeeTheGradientOfEveryLinear) {
  for (const auto& scene : all_scenes()) {
    const auto block = scene->model.load_block(1, kDouble);
    std::map<std::string, torch::Tensor> outputs;
    std::map<std::string, torch::Tensor> hooked;
    block->set_output_observer([&](const std::string& short_name, const torch::Tensor& output) {
      outputs[short_name] = output;
      output.register_hook([&hooked, short_name](const torch::Tensor& gradient) {
        hooked.emplace(short_name, gradient);
      });
    });
    const torch::Tensor input = some_hidden().to(torch::kFloat64).requires_grad_(true);
    const torch::Tensor loss = block->forward(input).square().sum();
    (void)torch::autograd::grad({loss}, {input}, {}, /*retain_graph=*/std::optional<bool>(true));
    ASSERT_EQ(hooked.size(), block->linears().size()) << scene->name;
    const std::map<std::string, torch::Tensor> seen = hooked;
    for (const auto& [short_name, output] : outputs) {
      const auto direct = torch::autograd::grad({loss}, {output}, {}, std::optional<bool>(true))[0];
      EXPECT_TRUE(seen.at(short_name).allclose(direct, 1e-12, 1e-12)) << short_name;
    }
  }
}

TEST(Biases, AreReadAndReplaced) {
  const Scene opt("opt", test::tiny_opt_config(), test::tiny_opt_tensors());
  const auto block = opt.model.load_block(0, {});
  const torch::Tensor old = opt.tensors.value("model.decoder.layers.0.fc2.bias");
  EXPECT_TRUE(block->bias("fc2").value().equal(old));
  const torch::Tensor before = block->forward(some_hidden());
  block->set_bias("fc2", old.to(torch::kFloat64) + 2.0);
  EXPECT_EQ(block->bias("fc2").value().scalar_type(), torch::kFloat32)
      << "the block keeps its type";
  EXPECT_TRUE((block->forward(some_hidden()) - before).allclose(at::full({1}, 2.0F), 1e-4, 1e-4));
}

TEST(Biases, OfLinearsWithoutOneAreBugsOfTheProgram) {
  const Scene llama("llama", test::tiny_llama_config(), test::tiny_llama_tensors());
  const auto block = llama.model.load_block(0, {});
  EXPECT_FALSE(block->bias("mlp.up_proj").has_value());
  const auto error_of = [&](const std::string& linear, const torch::Tensor& bias) -> std::string {
    try {
      block->set_bias(linear, bias);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInternal);
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of("mlp.up_proj", at::zeros({24})), HasSubstr("no tensor mlp.up_proj.bias"));
}

}  // namespace
}  // namespace sgpt_mi::model
