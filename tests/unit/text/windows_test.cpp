#include "sgpt_mi/text/windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "recorded_windows.h"
#include "sgpt_mi/core/hash.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::text {
namespace {

using test::input_error;
using test::safetensors_bytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Windows, DropTheTail) {
  const std::vector<std::int32_t> ids = {1, 2, 3, 4, 5, 6, 7};
  const TokenWindows windows = cut_windows(ids, 3);
  EXPECT_EQ(windows.windows, 2);
  EXPECT_THAT(windows.ids, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_EQ(windows.sha256(), token_sha256(windows.ids));
}

TEST(Windows, ATextAsLongAsAWindowIsEnough) {
  const std::vector<std::int32_t> ids = {1, 2, 3};
  EXPECT_EQ(cut_windows(ids, 3).windows, 1);
  EXPECT_THAT(input_error([&] { return cut_windows(ids, 4); }),
              HasSubstr("3 tokens; expected at least one window of 4"));
}

TEST(RandomWindows, CoverTheVocabularyAndFollowTheSeed) {
  const TokenWindows windows = random_windows(5, 8, 100, 3);
  EXPECT_EQ(windows.windows, 8);
  EXPECT_EQ(windows.seqlen, 100);
  std::array<int, 5> counts{};
  for (const std::int32_t id : windows.ids) ++counts.at(static_cast<std::size_t>(id));
  for (const int count : counts) EXPECT_NEAR(count, 160, 60);  // 5 standard deviations
  EXPECT_EQ(windows.ids, random_windows(5, 8, 100, 3).ids);
  EXPECT_NE(windows.ids, random_windows(5, 8, 100, 4).ids);
}

TEST(RecordedWindows, BothIntegerTypes) {
  const test::TemporaryFolder folder;
  const std::vector<std::int32_t> ids = {1, 2, 3, 4, 5, 6};
  const std::vector<std::int64_t> wide(ids.begin(), ids.end());
  for (const std::string& bytes : {safetensors_bytes("input_ids", "I32", {2, 3}, ids),
                                   safetensors_bytes("input_ids", "I64", {2, 3}, wide)}) {
    const TokenWindows windows = read_recorded_windows(folder.file("w.safetensors", bytes));
    EXPECT_EQ(windows.ids, ids);
    EXPECT_EQ(windows.windows, 2);
    EXPECT_EQ(windows.seqlen, 3);
  }
}

TEST(RecordedWindows, RefuseOtherTensors) {
  const test::TemporaryFolder folder;
  const auto refusal = [&](const std::string& bytes) {
    const auto path = folder.file("w.safetensors", bytes);
    return input_error([&] { return read_recorded_windows(path); });
  };
  const std::vector<std::int32_t> ids = {1, 2};
  EXPECT_THAT(refusal(safetensors_bytes("ids", "I32", {1, 2}, ids)),
              HasSubstr("no tensor 'input_ids'"));
  EXPECT_THAT(refusal(safetensors_bytes("input_ids", "F32", {1, 2}, ids)), HasSubstr("F32"));
  EXPECT_THAT(refusal(safetensors_bytes("input_ids", "I32", {2}, ids)), HasSubstr("1 dimensions"));
  const std::vector<std::int32_t> negative = {1, -2};
  EXPECT_THAT(refusal(safetensors_bytes("input_ids", "I32", {1, 2}, negative)),
              HasSubstr("-2 at position 1"));
  const std::vector<std::int64_t> large = {1, std::int64_t{1} << 31};
  EXPECT_THAT(refusal(safetensors_bytes("input_ids", "I64", {1, 2}, large)),
              HasSubstr("2147483648"));
}

}  // namespace
}  // namespace sgpt_mi::text
