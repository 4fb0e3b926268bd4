#include "sgpt_mi/journal/run_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "sgpt_mi/core/error.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::journal {
namespace {

using nlohmann::json;
using test::error_of;
using test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

const json kIdentity{{"version", "1"}, {"settings", {{"wbits", 4}, {"seed", 0}}}};

containers::TensorData tensor(const std::string& name, const std::vector<float>& values) {
  const auto owner = std::make_shared<std::vector<float>>(values);
  return {{name, DType::kF32, {static_cast<std::int64_t>(values.size())}},
          std::as_bytes(std::span(*owner)),
          owner};
}

std::vector<float> values_of(const containers::TensorSource& source, const std::string& name) {
  const containers::TensorData data = source.read(name);
  std::vector<float> values(data.bytes.size() / sizeof(float));
  std::memcpy(values.data(), data.bytes.data(), data.bytes.size());
  return values;
}

class RunJournalTest : public ::testing::Test {
 protected:
  /// A process that finished one of four steps.
  void run_one_step() {
    RunJournal journal(target_);
    journal.begin(kIdentity, {"sgpt-mi", "compress"}, 4);
    journal.keep("plan", {{"choice", 1}});
    journal.keep_step("block-0", {{"loss", 0.1}}, {tensor("w", {1.0F, -2.5F}), tensor("s", {3})});
  }

  TemporaryFolder folder_;
  fs::path target_ = folder_.path() / "out";
  fs::path partial_ = folder_.path() / "out.partial";
};

TEST_F(RunJournalTest, GivesTheNextProcessWhatWasFinished) {
  run_one_step();
  const RunJournal journal(target_);
  const std::optional<Progress> progress = journal.progress();
  ASSERT_TRUE(progress.has_value());
  EXPECT_EQ(progress->share, 0.25);
  EXPECT_EQ(progress->folder, partial_);
  EXPECT_EQ(progress->command, (std::vector<std::string>{"sgpt-mi", "compress"}));
  journal.require_same(kIdentity);
  EXPECT_EQ(journal.find("plan"), json({{"choice", 1}}));
  EXPECT_EQ(journal.find("block-0"), json({{"loss", 0.1}}));
  EXPECT_EQ(journal.find("block-1"), std::nullopt);
  EXPECT_EQ(journal.tensors("plan"), nullptr);
  EXPECT_EQ(values_of(*journal.tensors("block-0"), "w"), (std::vector<float>{1.0F, -2.5F}));
  EXPECT_EQ(values_of(*journal.tensors("block-0"), "s"), std::vector<float>{3});
}

TEST_F(RunJournalTest, DoesNotBelieveDamagedTensors) {
  run_one_step();
  const fs::path file = partial_ / "block-0" / "model.safetensors";
  std::string bytes = test::read_all(file);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  (void)folder_.file("out.partial/block-0/model.safetensors", bytes);
  RunJournal journal(target_);
  EXPECT_EQ(journal.tensors("block-0"), nullptr);
  journal.keep_step("block-0", {{"loss", 0.2}}, {tensor("w", {5})});
  EXPECT_EQ(journal.find("block-0"), json({{"loss", 0.2}}));
  EXPECT_EQ(values_of(*journal.tensors("block-0"), "w"), std::vector<float>{5});
}

TEST_F(RunJournalTest, NamesWhatDiffersFromTheRunThatBegan) {
  run_one_step();
  const RunJournal journal(target_);
  json other = kIdentity;
  other["settings"]["wbits"] = 3;
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { journal.require_same(other); }),
              AllOf(HasSubstr("wbits is 4 there and 3 here"), HasSubstr("rm -r")));
  journal.require_same({{"settings", {{"wbits", 4}}}});  // what is not said is not compared
  EXPECT_THAT(error_of(ErrorKind::kUsage,
                       [&] {
                         journal.require_same({{"model", "a"}});
                       }),
              HasSubstr("model is null there"));
}

TEST_F(RunJournalTest, ForgetsAnotherRun) {
  run_one_step();
  RunJournal journal(target_);
  journal.begin({{"version", "2"}}, {}, 1);
  EXPECT_EQ(journal.find("plan"), std::nullopt);
  EXPECT_FALSE(fs::exists(partial_ / "block-0"));
  EXPECT_FALSE(journal.progress().has_value());
}

TEST_F(RunJournalTest, LeavesNothingWhereNothingWasKept) {
  {
    RunJournal journal(target_);
    journal.begin(kIdentity, {}, 4);
  }
  EXPECT_TRUE(fs::is_empty(folder_.path()));
  EXPECT_FALSE(RunJournal::progress_of(target_).has_value());
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(RunJournalTest, RemovesEverythingButTheResult) {
  run_one_step();
  (void)folder_.file("out.partial/output/model.safetensors", "x");
  {
    RunJournal journal(target_);
    journal.go_on();
    journal.remove();
  }
  EXPECT_FALSE(fs::exists(partial_ / "journal"));
  EXPECT_FALSE(fs::exists(partial_ / "block-0"));
  EXPECT_TRUE(fs::exists(partial_ / "output"));
}

}  // namespace
}  // namespace sgpt_mi::journal
