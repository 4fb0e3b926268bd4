#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "e2e/demo.h"

namespace sgpt_mi::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// A report without what depends on the clock.
nlohmann::json without_seconds(const std::string& text) {
  nlohmann::json report = nlohmann::json::parse(text);
  report.erase("timings");
  report.erase("peak_bytes");
  for (nlohmann::json& layer : report["layers"]) layer.erase("seconds");
  return report;
}

void expect_same_files(const fs::path& resumed, const fs::path& whole) {
  for (const fs::directory_entry& entry : fs::directory_iterator(whole)) {
    const fs::path name = entry.path().filename();
    const std::string left = read_all(resumed / name);
    const std::string right = read_all(whole / name);
    if (name == "sgpt_mi.json") {
      EXPECT_EQ(without_seconds(left), without_seconds(right));
    } else {
      EXPECT_TRUE(left == right) << name << " has other bytes";
    }
  }
}

class Resume : public ::testing::Test {
 protected:
  /// Enough windows that the run is still busy when its first linear is reported.
  [[nodiscard]] std::vector<std::string> command(const std::vector<std::string>& more = {}) const {
    return small_compression(demo_model().string()) +
           std::vector<std::string>{"--nsamples", "256", "--threads",      "1",
                                    "--save",     "out", "--eval_windows", "1"} +
           more;
  }

  /// Ends a run when its first linear is reported.
  ProgramResult end_early(bool at_once, const std::vector<std::string>& more = {}) {
    Program program(folder_.path(), command(more));
    EXPECT_TRUE(program.wait_for("layers.0.fc1")) << program.finish().err;
    at_once ? program.kill_at_once() : program.interrupt();
    return program.finish();
  }

  /// Runs in the test's folder, as `--save out` is relative.
  void SetUp() override {
    before_ = fs::current_path();
    fs::current_path(folder_.path());
  }
  void TearDown() override { fs::current_path(before_); }

  ProgramResult run(const std::vector<std::string>& more = {}) {
    return run_program(folder_, command(more));
  }

  TemporaryFolder folder_;
  fs::path before_;
};

TEST_F(Resume, GoesOnToTheSameBytes) {
  const ProgramResult stopped = end_early(false);
  EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
  EXPECT_THAT(stopped.err, AllOf(HasSubstr("interrupted"), HasSubstr("out.partial"),
                                 HasSubstr("--save out --eval_windows 1 --resume")));
  EXPECT_FALSE(fs::exists("out"));
  const ProgramResult refused = run();
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("unfinished run"), HasSubstr("--resume"),
                                 HasSubstr("rm -r"), HasSubstr("% of its work")));
  const ProgramResult other = run({"--wbits", "3", "--resume"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("wbits is 4 there and 3 here"));
  const ProgramResult resumed = run({"--resume"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, AllOf(HasSubstr("% of the work is kept"),
                                 Not(HasSubstr("layers.0.self_attn.q_proj"))));
  EXPECT_FALSE(fs::exists("out.partial"));
  fs::rename("out", "resumed");
  ASSERT_EQ(run().exit_code, 0);
  expect_same_files("resumed", "out");
}

TEST_F(Resume, AKilledRunLeavesTheOldFolderAndGoesOn) {
  fs::create_directory("out");
  (void)folder_.file("out/sgpt_mi.json", "{}");
  const std::vector<std::string> other{"--method", "mi", "--n_groups", "4"};
  EXPECT_EQ(end_early(true, other).exit_code, 128 + SIGKILL);
  EXPECT_EQ(read_all("out/sgpt_mi.json"), "{}");
  const ProgramResult resumed = run(other + std::vector<std::string>{"--resume"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  fs::rename("out", "resumed");
  ASSERT_EQ(run(other).exit_code, 0);
  expect_same_files("resumed", "out");
}

TEST_F(Resume, StartsWhereThereIsNothingToGoOnFrom) {
  const ProgramResult result = run({"--resume", "--nsamples", "2"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(fs::exists("out/sgpt_mi.json"));
}

TEST_F(Resume, TwoRunsDoNotShareAPlace) {
  Program first(folder_.path(), command());
  ASSERT_TRUE(first.wait_for("layers.0")) << first.finish().err;
  const std::string owner = "process " + std::to_string(first.pid()) + " on ";
  fs::create_directory("streams");  // of the second run
  const ProgramResult second = Program(folder_.path() / "streams", command()).finish();
  EXPECT_EQ(second.exit_code, 3);
  EXPECT_THAT(second.err, HasSubstr(owner));
  first.kill_at_once();
}

}  // namespace
}  // namespace sgpt_mi::test
