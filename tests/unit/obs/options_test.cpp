#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/compress.h"

namespace sgpt_mi::obs {
namespace {

/// The error text of options for a matrix of 12 columns; empty when they are fine.
std::string complaint(const CompressOptions& options) {
  try {
    options.validate();
    options.validate_for("layers.0.fc1", 12);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "";
}

TEST(CompressOptions, DefaultsAreFine) { EXPECT_EQ(complaint({}), ""); }

TEST(CompressOptions, SparsityIsAShareBelowOne) {
  CompressOptions options;
  options.sparsity = 1.0;
  EXPECT_THAT(complaint(options), testing::HasSubstr("sparsity is 1; expected"));
  options.sparsity = -0.1;
  EXPECT_THAT(complaint(options), testing::HasSubstr("[0, 1)"));
}

TEST(CompressOptions, PatternsAreProperAndDivideTheColumns) {
  CompressOptions options;
  options.prune_n = 2;
  EXPECT_THAT(complaint(options), testing::HasSubstr("prune_n is 2 and prune_m is 0"));
  options.prune_m = 2;
  EXPECT_THAT(complaint(options), testing::HasSubstr("1 <= prune_n < prune_m"));
  options.prune_m = 5;
  EXPECT_THAT(complaint(options), testing::AllOf(testing::HasSubstr("layers.0.fc1 has 12 columns"),
                                                 testing::HasSubstr("3:5 (2 of every 5")));
  options.prune_m = 4;
  EXPECT_EQ(complaint(options), "");
  options.act_order = true;
  EXPECT_THAT(complaint(options), testing::AllOf(testing::HasSubstr("act_order"),
                                                 testing::HasSubstr("2:4 (2 of every")));
  options.act_order = false;
  options.sparsity = 0.5;
  EXPECT_THAT(complaint(options), testing::HasSubstr("give one"));
}

TEST(CompressOptions, WidthsAreTwoToEightOrSixteen) {
  CompressOptions options;
  for (const int bits : {1, 9, 15, 17}) {
    options.wbits = bits;
    EXPECT_THAT(complaint(options), testing::HasSubstr("2 to 8, or 16")) << bits;
  }
}

TEST(CompressOptions, GroupsHoldWholePatterns) {
  CompressOptions options;
  options.wbits = 4;
  options.groupsize = 0;
  EXPECT_THAT(complaint(options), testing::HasSubstr("groupsize is 0"));
  options.groupsize = 5;
  EXPECT_EQ(complaint(options), "") << "the last group is smaller";
  options.groupsize = 6;
  options.prune_n = 2;
  options.prune_m = 4;
  EXPECT_THAT(complaint(options), testing::HasSubstr("multiple of 4"));
  options.static_groups = true;
  EXPECT_EQ(complaint(options), "");
}

TEST(CompressOptions, DampingAndBlocksArePositive) {
  CompressOptions options;
  options.percdamp = 0.0;
  EXPECT_THAT(complaint(options), testing::HasSubstr("percdamp is 0"));
  options.percdamp = 1.5;
  EXPECT_THAT(complaint(options), testing::HasSubstr("(0, 1]"));
  options = {};
  options.blocksize = 0;
  EXPECT_THAT(complaint(options), testing::HasSubstr("blocksize is 0"));
}

}  // namespace
}  // namespace sgpt_mi::obs
