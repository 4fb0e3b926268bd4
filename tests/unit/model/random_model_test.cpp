#include "sgpt_mi/model/random_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/model/model.h"
#include "support/temporary_folder.h"
#include "support/tiny_model.h"

namespace sgpt_mi::model {
namespace {

using testing::HasSubstr;

/// random_checkpoint() of a config.json in a folder of its own.
class RandomModelTest : public testing::Test {
 protected:
  formats::Checkpoint open(const nlohmann::json& config) {
    std::ofstream(folder_.path() / "config.json") << config.dump();
    return random_checkpoint(folder_.path().string());
  }

  test::TemporaryFolder folder_;
};

TEST_F(RandomModelTest, HoldsWhatTheFamilyExpects) {
  const torch::Tensor ids = torch::tensor({{1, 2, 3, 4}}, torch::kInt64);
  for (const nlohmann::json& config : {test::tiny_llama_config(), test::tiny_opt_config()}) {
    const formats::Checkpoint checkpoint = open(config);
    EXPECT_TRUE(checkpoint.location.is_random);
    EXPECT_FALSE(checkpoint.location.is_folder());
    Model model(checkpoint);  // checks every name and shape
    EXPECT_TRUE(test::logits_of(model, ids).isfinite().all().item<bool>());
  }
}

TEST_F(RandomModelTest, MatricesAreCentredWithTheStatedDeviation) {
  nlohmann::json config = test::tiny_llama_config();
  config["hidden_size"] = 256;
  config["intermediate_size"] = 1024;
  const formats::Checkpoint checkpoint = open(config);
  const torch::Tensor half =
      to_torch(checkpoint.tensors->read("model.layers.1.mlp.up_proj.weight"));
  EXPECT_EQ(half.scalar_type(), torch::kFloat16);
  const torch::Tensor weight = half.to(torch::kFloat64);
  const double count = static_cast<double>(weight.numel());
  const double deviation = std::sqrt(4 * (256.0 * 256.0 - 1.0) / 12.0) / 8192.0;
  EXPECT_NEAR(weight.mean().item<double>(), 0.0, 5 * deviation / std::sqrt(count));
  EXPECT_NEAR(weight.std().item<double>(), deviation, 5 * deviation / std::sqrt(2 * count));
  EXPECT_LE(weight.abs().max().item<double>(), 510.0 / 8192.0);
  // Neither the halves of a draw nor neighbouring draws belong together.
  const torch::Tensor flat = weight.flatten() / deviation;
  for (const std::int64_t lag : {1, 2, 1024}) {
    const torch::Tensor product =
        flat.narrow(0, lag, flat.size(0) - lag) * flat.narrow(0, 0, flat.size(0) - lag);
    EXPECT_NEAR(product.mean().item<double>(), 0.0, 5 / std::sqrt(count)) << lag;
  }
}

TEST_F(RandomModelTest, ValuesFollowFromTheNameAlone) {
  const formats::Checkpoint first = open(test::tiny_llama_config());
  const formats::Checkpoint second = open(test::tiny_llama_config());
  const auto value = [](const formats::Checkpoint& from, const char* name) {
    return to_torch(from.tensors->read(name)).clone();
  };
  const char* const query = "model.layers.0.self_attn.q_proj.weight";
  EXPECT_TRUE(value(first, query).equal(value(second, query)));
  EXPECT_FALSE(value(first, query).equal(value(first, "model.layers.0.self_attn.o_proj.weight")));
  EXPECT_TRUE(value(first, "model.norm.weight").eq(1.0).all().item<bool>());
  const formats::Checkpoint opt = open(test::tiny_opt_config());
  EXPECT_TRUE(value(opt, "model.decoder.layers.0.fc1.bias").eq(0.0).all().item<bool>());
}

TEST_F(RandomModelTest, EveryPublishedShapeIsAModel) {
  for (const char* name : {"opt-125m", "opt-66b", "llama-7b", "vicuna-13b", "llama-2-70b",
                           "llama-3-8b", "mistral-7b"}) {
    const formats::Checkpoint checkpoint = random_checkpoint(name);
    EXPECT_NO_THROW(Model{checkpoint}) << name;
  }
  const formats::Checkpoint llama = random_checkpoint("llama-7b");
  std::int64_t parameters = 0;
  for (const containers::TensorInfo& info : llama.tensors->tensors()) {
    parameters += info.count();
  }
  EXPECT_EQ(parameters, 6738415616);  // published
}

TEST_F(RandomModelTest, UnknownShapesAndFilesAreRefused) {
  const auto refusal = [](const std::string& shape) {
    try {
      (void)random_checkpoint(shape);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(refusal("vicuna-13"), HasSubstr("vicuna-13b"));
  EXPECT_THAT(refusal(folder_.path().string()), HasSubstr("opt-125m"));
  std::ofstream(folder_.path() / "config.json") << "{";
  EXPECT_THAT(refusal(folder_.path().string()), HasSubstr("not valid JSON"));
  std::ofstream(folder_.path() / "config.json") << R"({"model_type": "gpt2"})";
  EXPECT_THAT(refusal(folder_.path().string()), HasSubstr("gpt2"));
  const formats::Checkpoint made = random_checkpoint("opt-125m");
  EXPECT_THROW((void)made.tensors->read("no.such.weight"), Error);
}

}  // namespace
}  // namespace sgpt_mi::model
