#include "sgpt_mi/formats/grid_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/format.h"
#include "support/packed_examples.h"

namespace sgpt_mi::formats {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <typename Action>
std::string usage_error(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "";
}

std::string refused(std::string_view format, const GridRequest& request) {
  return usage_error([&] { require_held(find_format(format).grids, request, format); });
}

/// Codes of one width for whole rows, symmetric.
GridRequest codes(std::vector<int> widths) {
  GridRequest request;
  request.widths = std::move(widths);
  request.symmetric = true;
  return request;
}

TEST(GridLimits, PackedHoldsEverything) {
  GridRequest request = codes({2, 3, 5, 7, 8});
  request.group_size = 7;
  request.sorted_groups = true;
  request.column_widths = true;
  request.shared_rows = true;
  request.symmetric = false;
  EXPECT_THAT(refused("packed", request), IsEmpty());
  EXPECT_THAT(refused("packed", GridRequest{}), IsEmpty());
}

TEST(GridLimits, NamesTheNearestWidthAndGroupSize) {
  EXPECT_THAT(refused("gptq", codes({2, 3, 4, 8})), IsEmpty());
  EXPECT_THAT(refused("gptq", codes({5})), AllOf(HasSubstr("5 bits"), HasSubstr("nearest is 4")));
  EXPECT_THAT(refused("compressed-tensors", codes({3})), HasSubstr("disagree"));
  GridRequest request = codes({4});
  request.group_size = 100;
  EXPECT_THAT(refused("gptq", request), HasSubstr("--groupsize 128"));
  EXPECT_THAT(refused("compressed-tensors", request), IsEmpty());
}

TEST(GridLimits, RefusesGroupsThatAFormatCannotName) {
  GridRequest sorted = codes({4});
  sorted.sorted_groups = true;
  EXPECT_THAT(refused("gptq", sorted), IsEmpty());
  EXPECT_THAT(refused("compressed-tensors", sorted), HasSubstr("neighbours"));
  GridRequest mixed = codes({4, 8});
  mixed.column_widths = true;
  EXPECT_THAT(refused("gptq", mixed), HasSubstr("one width"));
  GridRequest shared = codes({4});
  shared.shared_rows = true;
  EXPECT_THAT(refused("gptq", shared), HasSubstr("--share"));
  EXPECT_THAT(refused("gptq", codes({})), HasSubstr("--wbits"));
}

TEST(GridLimits, SymmetryIsAsTheFormatHasIt) {
  GridRequest request = codes({4});
  request.symmetric = false;
  EXPECT_THAT(refused("gptq", request), IsEmpty());
  EXPECT_THAT(refused("compressed-tensors", request), IsEmpty());
  EXPECT_THAT(refused("gptq-v1", request), HasSubstr("symmetric"));
}

TEST(GridLimits, ThreeBitsNeedMultiplesOf32) {
  const GridLimits& grids = find_format("gptq").grids;
  const auto shape = [&](std::int64_t rows, std::int64_t columns, int bits) {
    return usage_error([&] { require_shape(grids, "m", rows, columns, bits, "gptq"); });
  };
  EXPECT_THAT(shape(64, 96, 3), IsEmpty());
  EXPECT_THAT(shape(64, 120, 3), HasSubstr("--wbits 4"));
  EXPECT_THAT(shape(64, 120, 4), IsEmpty());
  EXPECT_THAT(shape(64, 36, 4), HasSubstr("8 divides"));
}

TEST(GridLimits, ASmallerLastGroupNeedsAFormatThatNamesGroups) {
  const auto groups = [&](std::string_view format, std::int64_t columns, std::int64_t size) {
    return usage_error(
        [&] { require_whole_groups(find_format(format).grids, "m", columns, size, format); });
  };
  EXPECT_THAT(groups("packed", 576, 128), IsEmpty());
  EXPECT_THAT(groups("gptq", 576, 128), IsEmpty());
  EXPECT_THAT(groups("compressed-tensors", 576, 64), IsEmpty());
  EXPECT_THAT(groups("compressed-tensors", 576, -1), IsEmpty());
  EXPECT_THAT(groups("compressed-tensors", 576, 128), HasSubstr("--groupsize 96"));
}

TEST(GridLimits, SaysWhatAMatrixHasThatAFormatDoesNotHold) {
  std::mt19937 engine(5);
  const auto reason = [&](std::string_view format, const test::PackedForm& form) {
    const test::CodedMatrixBuffers matrix = test::random_matrix(form, engine);
    return why_not_held(find_format(format).grids, matrix.view());
  };
  EXPECT_THAT(reason("gptq", {8, 64, DType::kF32, {4}, 4}), IsEmpty());
  EXPECT_THAT(reason("gptq", {8, 64, DType::kF32, {4}, 4, true}), IsEmpty());
  EXPECT_THAT(reason("compressed-tensors", {8, 64, DType::kF32, {4}, 4}), IsEmpty());
  EXPECT_THAT(reason("compressed-tensors", {8, 64, DType::kF32, {4}, 4, true}),
              HasSubstr("neighbours"));
  EXPECT_THAT(reason("gptq", {8, 64, DType::kF32, {4}, 5}), HasSubstr("5 groups"));
  EXPECT_THAT(reason("gptq", {8, 64, DType::kF32, {6}, 1}), HasSubstr("6 bits"));
  EXPECT_THAT(reason("gptq", {8, 64, DType::kF32, {4}, 1, false, true}), HasSubstr("share"));
  EXPECT_THAT(reason("packed", {8, 64, DType::kF32, {2, 5}, 9, true, true}), IsEmpty());
  test::PackedForm levels;
  levels.levels = true;
  EXPECT_THAT(reason("packed", levels), IsEmpty());
  EXPECT_THAT(reason("gptq", levels), HasSubstr("entropy-coded levels"));
  EXPECT_THAT(reason("compressed-tensors", levels), HasSubstr("entropy-coded levels"));
}

}  // namespace
}  // namespace sgpt_mi::formats
