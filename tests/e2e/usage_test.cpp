#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "e2e/demo.h"

namespace sgpt_mi::test {
namespace {

using testing::HasSubstr;

TEST(Usage, HelpAndVersionGoToStdoutAndSucceed) {
  const TemporaryFolder folder;
  const ProgramResult help = run_program(folder, {"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, HasSubstr("compress"));
  EXPECT_EQ(help.err, "");
  EXPECT_EQ(run_program(folder, {"--version"}).exit_code, 0);
}

TEST(Usage, ExamplesOfTheHelpRunInACheckout) {
  const TemporaryFolder folder;
  const std::string help = run_program(folder, {"--help"}).out;
  const std::size_t begin = help.find("\n# ");
  const std::size_t end = help.find("\nUsage:");
  ASSERT_LT(begin, end);
  // A checkout after scripts/setup, as far as the examples know it.
  std::filesystem::create_directory(folder.path() / "build");
  std::filesystem::create_symlink(SGPT_MI_PROGRAM, folder.path() / "build/sgpt-mi");
  std::filesystem::create_symlink(SGPT_MI_SOURCE_DIR "/scripts", folder.path() / "scripts");
  const std::string commands = help.substr(begin, end - begin);
  EXPECT_EQ(std::count(commands.begin(), commands.end(), '#'), 3);
  const auto script = folder.file("examples.sh", "set -e\ncd " + folder.path().string() + commands);
  ASSERT_EQ(std::system(("bash " + script.string() + " > /dev/null 2>&1").c_str()), 0) << commands;
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "build/small/config.json"));
}

TEST(Usage, MistakesExitWithTwoAndOneSentence) {
  const TemporaryFolder folder;
  const auto sentence = [&](const std::vector<std::string>& arguments) {
    const ProgramResult result = run_program(folder, arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, testing::StartsWith("sgpt-mi: error: "));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    return result.err;
  };
  const std::string model = demo_model().string();
  EXPECT_THAT(sentence({"compress", model, "x", "--sparcity", "1"}), HasSubstr("--sparsity"));
  EXPECT_THAT(sentence({"compress", model, "x"}), HasSubstr("nothing to do"));
  EXPECT_THAT(sentence({"compress", model, "x", "--pattern", "2:4", "--prunen", "2"}),
              HasSubstr("give one"));
  EXPECT_THAT(sentence(small_compression(model) + std::vector<std::string>{"--dtype", "float8"}),
              HasSubstr("float8"));
  EXPECT_THAT(sentence(small_compression(model) + std::vector<std::string>{"--device", "tpu"}),
              HasSubstr("tpu"));
  const std::vector<std::string> gguf{"--format", "gguf"};
  EXPECT_THAT(sentence(small_compression(model) + gguf), HasSubstr("'opt'"));
  EXPECT_THAT(sentence(std::vector<std::string>{"export", model, "-o", "m.gguf"} + gguf),
              HasSubstr("use --format gptq, compressed-tensors, packed or hf"));
}

TEST(Usage, OptionsThatDoNotFitTheModelExitWithTwo) {
  const TemporaryFolder folder;
  const std::string model = demo_model().string();
  const auto sentence = [&](const std::vector<std::string>& flags) {
    const ProgramResult result = run_program(folder, small_compression(model) + flags);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    return result.err;
  };
  EXPECT_THAT(sentence({"--seqlen", "100000"}), HasSubstr("positions"));
  EXPECT_THAT(sentence({"--sparsity", "0", "--pattern", "3:7"}), HasSubstr("3:7"));
  EXPECT_THAT(sentence({"--sparsity", "0", "--format", "compressed-tensors", "--groupsize", "7"}),
              HasSubstr("--groupsize 4"));  // its groups are equal
  EXPECT_THAT(sentence({"--prune_only", "no_such_linear"}), HasSubstr("no linear is selected"));
  EXPECT_THAT(sentence({"--save", model}), HasSubstr("model itself"));
}

TEST(Usage, MissingGpuExitsWithFive) {
  const TemporaryFolder folder;
  const ProgramResult result =
      run_program(folder, small_evaluation(demo_model().string()) +
                              std::vector<std::string>{"--device", "cuda:63"});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.err, HasSubstr("cuda:63"));
}

TEST(Usage, PrintConfigTellsValuesAndOrigins) {
  const TemporaryFolder folder;
  const auto config = folder.file("c.json", R"({"nsamples": 3})");
  const ProgramResult result = run_program(folder, {"compress", "model", "c4", "--wbits", "4",
                                                    "--config", config.string(), "--print-config"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["wbits"]["value"], 4);
  EXPECT_EQ(json["wbits"]["from"], "flag");
  EXPECT_EQ(json["nsamples"]["from"], "file");
  EXPECT_EQ(json["seed"]["from"], "default");
}

TEST(Usage, PlanChecksEverythingAndDoesNothing) {
  const TemporaryFolder folder;
  auto arguments = small_compression(demo_model().string()) +
                   std::vector<std::string>{"--save", (folder.path() / "out").string()};
  arguments[0] = "plan";
  const ProgramResult result = run_program(folder, arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* line :
       {"model ", "compute ", "calibrate ", "compress ", "memory ", "evaluate "}) {
    EXPECT_THAT(result.err, HasSubstr(line));
  }
  EXPECT_THAT(result.err, HasSubstr("rd: sparsity 0.5"));  // the default method
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "out"));
}

TEST(Usage, FullStdoutExitsWithThree) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  const TemporaryFolder folder;
  const ProgramResult result = run_program(folder, {"inspect", demo_model().string()},
                                           {.input = "/dev/null", .output = "/dev/full"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("stdout"));
}

TEST(Usage, TokenizeReadsStandardInput) {
  const TemporaryFolder folder;
  const auto text = folder.file("text.txt", "One day there was a story.");
  const auto tokenize = [&](const std::vector<std::string>& flags) {
    const ProgramResult result =
        run_program(folder, std::vector<std::string>{"tokenize", demo_model().string()} + flags,
                    {.input = text.string(), .output = ""});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  };
  const auto with_special = tokenize({});
  const auto plain = tokenize({"--no-special"});
  EXPECT_EQ(with_special["count"], with_special["ids"].size());
  EXPECT_EQ(with_special["ids"][0], 2);  // OPT's BOS
  EXPECT_EQ(with_special["count"].get<int>(), plain["count"].get<int>() + 1);
  EXPECT_EQ(with_special["sha256"].get<std::string>().size(), 64U);
  EXPECT_EQ(tokenize({text.string()}), with_special);
}

}  // namespace
}  // namespace sgpt_mi::test
