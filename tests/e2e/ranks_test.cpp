#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "e2e/demo.h"
#include "e2e/same_result.h"

namespace sgpt_mi::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Flags = std::vector<std::string>;

/// How often a text holds another.
std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

/// The processes that one has started, in their order.
std::vector<pid_t> children_of(pid_t parent) {
  const std::string task = std::to_string(parent);
  std::ifstream list("/proc/" + task + "/task/" + task + "/children");
  return {std::istream_iterator<pid_t>(list), {}};
}

/// Several processes of the program, started by mpirun.
class Ranks : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string(SGPT_MI_MPIRUN).empty()) GTEST_SKIP() << "built without MPI";
    before_ = fs::current_path();
    fs::current_path(folder_.path());
    for (const char* name : {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"}) {
      setenv(name, "1", 1);
    }
  }
  void TearDown() override {
    if (!before_.empty()) fs::current_path(before_);
    unsetenv("SGPT_MI_RANK_TIMEOUT");
  }

  static Flags launched(int ranks, const Flags& command) {
    return Flags{"--oversubscribe",     "--bind-to",    "none", "-np",
                 std::to_string(ranks), SGPT_MI_PROGRAM} +
           command;
  }
  static Program::Streams mpirun() { return {"/dev/null", "", SGPT_MI_MPIRUN}; }

  ProgramResult run(int ranks, const Flags& command) {
    return run_program(folder_, launched(ranks, command), mpirun());
  }

  static Flags compression(const Flags& more) {
    return small_compression(demo_model().string()) + Flags{"--nsamples", "24", "--threads", "1"} +
           more;
  }
  /// One that is still busy when its first linear is told.
  static Flags long_compression() {
    return compression({"--nsamples", "256", "--eval_windows", "1", "--save", "out"});
  }

  /// Compressions of 1 to `most` ranks give the same files.
  void expect_same(const Flags& flags, int most) {
    const Flags command = compression(flags + Flags{"--save", "out"});
    ASSERT_EQ(run_program(folder_, command).exit_code, 0);
    fs::rename("out", "alone");
    for (int ranks = 1; ranks <= most; ++ranks) {
      const ProgramResult result = run(ranks, command);
      ASSERT_EQ(result.exit_code, 0) << result.err;
      expect_same_files("out", "alone");
      EXPECT_EQ(count_of(result.out, "\ndense "), 1U) << "one table: " << result.out;
    }
  }

  TemporaryFolder folder_;
  fs::path before_;
};

TEST_F(Ranks, HaveTheBytesOfOneProcess) { expect_same({"--method", "sparsegpt"}, 4); }

/// Bytes sent over bytes planned.
double sent_of_planned(const ProgramResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::size_t line = result.err.find("ranks      2 exchanged ");
  EXPECT_NE(line, std::string::npos) << result.err;
  if (line == std::string::npos) return 0.0;
  double sent = 0.0;
  double planned = 0.0;
  EXPECT_EQ(std::sscanf(result.err.c_str() + line,
                        "ranks      2 exchanged %lf bytes while compressing (%lf planned)", &sent,
                        &planned),
            2);
  return sent / planned;
}

TEST_F(Ranks, SendWhatThePlanCounts) {
  // Headers and the figures of channels are not counted.
  const double by_linears = sent_of_planned(run(2, compression({"--method", "sparsegpt"})));
  EXPECT_GE(by_linears, 1.0);
  EXPECT_LE(by_linears, 1.1);
  // Nor the counts of scores behind every threshold: much beside matrices of 512 x 128.
  const double by_rows = sent_of_planned(
      run(2, compression({"--method", "sparsegpt", "--true_sequential", "--l0_sweeps", "2"})));
  EXPECT_GE(by_rows, 1.0);
  EXPECT_LE(by_rows, 1.6);
}

TEST_F(Ranks, HaveTheBytesOfOneProcessWhereLevelsShareABudget) {
  expect_same(
      {"--method", "rd", "--sparsity", "0", "--target_stored_bits", "3.5", "--scale_step", "1"}, 3);
}

TEST_F(Ranks, HaveTheBytesOfOneProcessWhereChannelsAreGrouped) {
  expect_same({"--method", "mi", "--n_groups", "4"}, 2);
}

TEST_F(Ranks, ReadTheWeightsOnceWhereRankZeroSendsThem) {
  // Three ranks for two plans to try.
  expect_same({"--method", "rd", "--mpi_weights", "broadcast"}, 3);
}

TEST_F(Ranks, ShareAnEvaluation) {
  const Flags eval = small_evaluation(demo_model().string()) + Flags{"--threads", "1"};
  const ProgramResult alone = run_program(folder_, eval + Flags{"--report", "alone.json"});
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  const ProgramResult shared = run(3, eval + Flags{"--report", "shared.json"});
  ASSERT_EQ(shared.exit_code, 0) << shared.err;
  EXPECT_EQ(shared.out, alone.out);
  const auto losses = [](const char* file) {
    return nlohmann::json::parse(read_all(file)).at("perplexity");
  };
  EXPECT_EQ(losses("shared.json"), losses("alone.json"));
}

TEST_F(Ranks, TellAnErrorOnce) {
  Flags command = compression({});
  command[1] = "nowhere";
  const ProgramResult result = run(3, command);
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(count_of(result.err, "sgpt-mi: error:"), 1U) << result.err;
}

TEST_F(Ranks, TellAnErrorOfOneRankByName) {
  const Flags other = compression({"--seed", "1", "--save", "out"});
  const ProgramResult result =
      run(1, compression({"--save", "out"}) + Flags{":", "-np", "1", SGPT_MI_PROGRAM} + other);
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("rank 1 on "), HasSubstr("another ")));
  EXPECT_EQ(count_of(result.err, "sgpt-mi: error:"), 1U) << result.err;
  EXPECT_FALSE(fs::exists("out"));
}

TEST_F(Ranks, RefuseACommandThatIsNotShared) {
  const ProgramResult result = run(2, {"inspect", demo_model().string()});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("inspect runs in one process, and 2 were started"));
  EXPECT_EQ(result.out, "");
}

TEST_F(Ranks, OneThatDiesEndsTheRunWhichAnotherNumberGoesOnWith) {
  {
    Program program(folder_.path(), launched(2, long_compression()), mpirun());
    ASSERT_TRUE(program.wait_for("layers.0.fc1")) << program.finish().err;
    const std::vector<pid_t> ranks = children_of(program.pid());
    ASSERT_EQ(ranks.size(), 2U);
    kill(ranks[1], SIGKILL);
    const ProgramResult died = program.finish();
    EXPECT_NE(died.exit_code, 0);
    EXPECT_THAT(died.err, HasSubstr("rank 1"));
  }
  EXPECT_FALSE(fs::exists("out"));
  ASSERT_TRUE(fs::exists("out.partial"));
  const ProgramResult resumed = run(3, long_compression() + Flags{"--resume"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err,
              AllOf(HasSubstr("of the work is kept"), Not(HasSubstr("layers.0.self_attn.q_proj"))));
  fs::rename("out", "resumed");
  ASSERT_EQ(run_program(folder_, long_compression()).exit_code, 0);
  expect_same_files("resumed", "out");
}

TEST_F(Ranks, OneThatHangsIsNamed) {
  setenv("SGPT_MI_RANK_TIMEOUT", "2", 1);
  Program program(folder_.path(), launched(2, long_compression()), mpirun());
  ASSERT_TRUE(program.wait_for("layers.0.fc1")) << program.finish().err;
  const std::vector<pid_t> ranks = children_of(program.pid());
  ASSERT_EQ(ranks.size(), 2U);
  kill(ranks[1], SIGSTOP);
  const ProgramResult hung = program.finish();
  EXPECT_EQ(hung.exit_code, 5);
  EXPECT_THAT(hung.err,
              AllOf(HasSubstr("has waited 2 seconds for rank 1 on "), HasSubstr("hangs")));
}

}  // namespace
}  // namespace sgpt_mi::test
