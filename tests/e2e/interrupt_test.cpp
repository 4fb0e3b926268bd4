#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "e2e/demo.h"

namespace sgpt_mi::test {
namespace {

TEST(Interrupt, LeavesTheOldFolderAndNothingHalfDone) {
  const TemporaryFolder folder;
  const std::filesystem::path out = folder.path() / "saved" / "out";
  std::filesystem::create_directories(out);
  const auto marker = folder.file("saved/out/sgpt_mi.json", "{}");
  // Enough windows that the run is still busy when the first linear has been reported.
  Program program(folder.path(), small_compression(demo_model().string()) +
                                     std::vector<std::string>{"--nsamples", "512", "--eval", "none",
                                                              "--save", out.string()});
  ASSERT_TRUE(program.wait_for("layers.0")) << program.finish().err;
  program.interrupt();
  const ProgramResult result = program.finish();
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_THAT(result.err, testing::HasSubstr("interrupted"));
  EXPECT_EQ(read_all(marker), "{}");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path() / "saved"),
                          std::filesystem::directory_iterator()),
            1)
      << "a staging folder was left";
}

}  // namespace
}  // namespace sgpt_mi::test
