// A saved folder read by Python transformers, when that is installed.

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "e2e/demo.h"

namespace sgpt_mi::test {
namespace {

/// The checkout's own environment first: scripts/setup --dev installs transformers there.
std::string python() {
  const std::filesystem::path own = SGPT_MI_SOURCE_DIR "/.venv/bin/python";
  return std::filesystem::exists(own) ? own.string() : SGPT_MI_PYTHON;
}

int run_python(const std::string& arguments) {
  return std::system((python() + " " + arguments).c_str());
}

TEST(Elsewhere, TransformersLoadsAnExportedPackedModelWithTheSameLosses) {
  if (run_python("-c 'import torch, transformers' > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "Python transformers is not installed (scripts/setup --dev installs it)";
  }
  const TemporaryFolder folder;
  const std::string packed = (folder.path() / "packed").string();
  const std::string out = (folder.path() / "out").string();
  const std::string report = (folder.path() / "r.json").string();
  const ProgramResult result =
      run_program(folder, small_compression(demo_model().string()) +
                              std::vector<std::string>{"--save", packed, "--report", report});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const ProgramResult exported = run_program(folder, {"export", packed, "-o", out});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;

  const std::string losses = (folder.path() / "losses.json").string();
  ASSERT_EQ(run_python(SGPT_MI_SOURCE_DIR "/tests/e2e/window_losses.py " + out + " " +
                       demo_text("test.txt") + " 128 4 > " + losses),
            0);
  const auto expected = nlohmann::json::parse(read_all(losses));
  const auto ours =
      nlohmann::json::parse(read_all(report))["perplexity"]["test"]["compressed"]["window_nll"];
  ASSERT_EQ(ours.size(), expected.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    EXPECT_NEAR(ours[i].get<double>(), expected[i].get<double>(), 1e-4) << "window " << i;
  }
}

}  // namespace
}  // namespace sgpt_mi::test
