#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "e2e/demo.h"

// MODEL random:SHAPE: speed and memory of a model that is not at hand.
namespace sgpt_mi::test {
namespace {

using testing::HasSubstr;

TEST(RandomModel, PlansWithoutWeightsTextOrTokenizer) {
  const TemporaryFolder folder;
  const ProgramResult result =
      run_program(folder, {"plan", "random:vicuna-13b", "c4", "--sparsity", "0.5", "--wbits", "4",
                           "--nsamples", "2", "--device", "cpu"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("13015864320 parameters"));
  EXPECT_THAT(result.err, HasSubstr("random token ids: 2 windows of 2048 tokens"));
  EXPECT_THAT(result.err, HasSubstr("random weights predict nothing"));
}

TEST(RandomModel, PlanWithoutAGoalIsForTheUsualOneAndSaysSo) {
  const TemporaryFolder folder;
  const ProgramResult result = run_program(
      folder, {"plan", "random:vicuna-13b", "c4", "--nsamples", "128", "--device", "cuda"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("this is the plan for --sparsity 0.5 --wbits 4"));
  EXPECT_THAT(result.err, HasSubstr("GPU at most"));
}

TEST(RandomModel, CompressesExportsAndLoadsAgain) {
  const TemporaryFolder folder;
  const std::filesystem::path shape = folder.path() / "shape";
  std::filesystem::create_directory(shape);
  std::ofstream(shape / "config.json")
      << R"({"model_type": "opt", "num_hidden_layers": 2, "hidden_size": 64, "ffn_dim": 128,
             "num_attention_heads": 4, "vocab_size": 100, "max_position_embeddings": 64})";
  const std::string model = "random:" + shape.string();
  const std::string dense = (folder.path() / "dense").string();
  const std::string packed = (folder.path() / "packed").string();
  EXPECT_EQ(run_program(folder, {"export", model, "-o", dense}).exit_code, 0);
  const std::vector<std::string> flags{
      "c4", "--method", "sparsegpt", "--sparsity", "0.5", "--wbits", "4",      "--nsamples",
      "4",  "--seqlen", "64",        "--device",   "cpu", "--quiet", "--save", packed};
  const ProgramResult compressed =
      run_program(folder, std::vector<std::string>{"compress", model} + flags);
  EXPECT_EQ(compressed.exit_code, 0) << compressed.err;
  for (const std::string& saved : {dense, packed}) {
    const ProgramResult inspected = run_program(folder, {"inspect", saved});
    EXPECT_EQ(inspected.exit_code, 0) << inspected.err;
    EXPECT_THAT(inspected.out, HasSubstr("model.decoder.layers.1.fc2.weight"));
  }
  EXPECT_EQ(run_program(folder, {"plan", "random:opt-126m", "c4", "--sparsity", "0.5"}).exit_code,
            2);
}

}  // namespace
}  // namespace sgpt_mi::test
