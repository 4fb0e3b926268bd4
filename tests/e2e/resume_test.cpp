#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "e2e/demo.h"
#include "e2e/same_result.h"

namespace sgpt_mi::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// A comparison or a sweep's cell without what depends on the clock.
nlohmann::json without_clock(nlohmann::json json) {
  if (json.is_object()) {
    for (const char* key : {"timings", "peak_bytes", "seconds", "command"}) json.erase(key);
  }
  if (json.is_structured()) {
    for (auto& member : json) member = without_clock(member);
  }
  return json;
}

/// Waits until a folder below `top` has this name, at most a minute.
bool appears(const fs::path& top, const std::string& name) {
  using namespace std::chrono_literals;
  for (int i = 0; i < 1200; ++i) {
    std::error_code not_there;
    for (const auto& entry : fs::recursive_directory_iterator(top, not_there)) {
      if (entry.path().filename() == name) return true;
    }
    std::this_thread::sleep_for(50ms);
  }
  return false;
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

/// Where a comparison keeps what is unfinished follows from what it writes.
struct ComparisonPlace {
  std::vector<std::string> flags;
  std::string result;   ///< of its files the one with all figures; empty: it only prints
  std::string partial;  ///< what the folder's name begins with; it ends with .partial
};

class ResumedComparison : public Resume, public testing::WithParamInterface<ComparisonPlace> {
 protected:
  static std::vector<std::string> compare() {
    const std::vector<std::string> words{"compare",
                                         demo_model().string(),
                                         demo_text("train.txt"),
                                         "--methods",
                                         "sparsegpt,mi",
                                         "--wbits",
                                         "4",
                                         "--nsamples",
                                         "64",
                                         "--seqlen",
                                         "128",
                                         "--eval",
                                         demo_text("test.txt"),
                                         "--eval_windows",
                                         "2",
                                         "--device",
                                         "cpu",
                                         "--threads",
                                         "1"};
    return words + GetParam().flags;
  }

  static bool is_kept() {
    return std::any_of(fs::directory_iterator("."), fs::directory_iterator(),
                       [](const auto& entry) {
                         const std::string name = entry.path().filename().string();
                         return name.starts_with(GetParam().partial) && name.ends_with(".partial");
                       });
  }
};

TEST_P(ResumedComparison, GoesOnInsideAVariant) {
  const std::string result = GetParam().result;
  {
    Program program(folder_.path(), compare());
    ASSERT_TRUE(appears(".", "block-1.site-0")) << program.finish().err;
    program.kill_at_once();
    (void)program.finish();
  }
  EXPECT_TRUE(is_kept());
  EXPECT_FALSE(!result.empty() && fs::exists(result));
  const ProgramResult refused = run_program(folder_, compare());
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, testing::HasSubstr("go on with --resume"));
  const ProgramResult resumed =
      run_program(folder_, compare() + std::vector<std::string>{"--resume"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_FALSE(is_kept());
  if (result.empty()) return;
  const nlohmann::json first = nlohmann::json::parse(read_all(result));
  ASSERT_EQ(run_program(folder_, compare()).exit_code, 0);
  EXPECT_EQ(without_clock(first), without_clock(nlohmann::json::parse(read_all(result))));
}

INSTANTIATE_TEST_SUITE_P(
    Places, ResumedComparison,
    testing::Values(ComparisonPlace{{"--plots", "cmp"}, "cmp/comparison.json", "cmp.partial"},
                    ComparisonPlace{{"--report", "cmp.json"}, "cmp.json", "cmp.json.partial"},
                    ComparisonPlace{{}, "", "sgpt-mi-compare-"}));

TEST_F(Resume, ASweepGoesOnInsideACell) {
  const nlohmann::json grid{{"model", demo_model().string()},
                            {"dataset", demo_text("train.txt")},
                            {"base",
                             {{"wbits", 4},
                              {"nsamples", 64},
                              {"seqlen", 128},
                              {"eval", demo_text("test.txt")},
                              {"eval_windows", 2},
                              {"device", "cpu"},
                              {"threads", 1}}},
                            {"grid", {{"method", {"sparsegpt", "mi"}}}}};
  (void)folder_.file("grid.json", grid.dump());
  const auto sweep = [](const std::string& out) {
    return std::vector<std::string>{"sweep", "grid.json", "--out", out};
  };
  {
    Program program(folder_.path(), sweep("cut"));
    ASSERT_TRUE(appears("cut", "block-1.site-0")) << program.finish().err;
    program.kill_at_once();
    (void)program.finish();
  }
  ASSERT_EQ(run_program(folder_, sweep("cut")).exit_code, 0);
  ASSERT_EQ(run_program(folder_, sweep("whole")).exit_code, 0);
  std::size_t cells = 0;
  for (const auto& entry : fs::directory_iterator("whole/cells")) {
    const fs::path name = entry.path().filename();
    const auto cell = [&](const char* out) {
      return nlohmann::json::parse(read_all(fs::path(out) / "cells" / name));
    };
    EXPECT_EQ(without_clock(cell("cut")), without_clock(cell("whole")));
    ++cells;
  }
  EXPECT_EQ(cells, 2U);
  EXPECT_FALSE(fs::exists("cut/sweep.partial"));
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
