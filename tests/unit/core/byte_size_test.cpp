#include "sgpt_mi/core/byte_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace sgpt_mi {
namespace {

TEST(ParseBytes, UnitsOfATenAndOfATwo) {
  EXPECT_EQ(parse_bytes("0"), 0);
  EXPECT_EQ(parse_bytes("17"), 17);
  EXPECT_EQ(parse_bytes("17B"), 17);
  EXPECT_EQ(parse_bytes("2kB"), 2'000);
  EXPECT_EQ(parse_bytes("300MB"), 300'000'000);
  EXPECT_EQ(parse_bytes("4GB"), 4'000'000'000);
  EXPECT_EQ(parse_bytes("1TB"), 1'000'000'000'000);
  EXPECT_EQ(parse_bytes("2KiB"), 2'048);
  EXPECT_EQ(parse_bytes("3MiB"), 3'145'728);
  EXPECT_EQ(parse_bytes("1GiB"), 1'073'741'824);
  EXPECT_EQ(parse_bytes("1TiB"), 1'099'511'627'776);
}

TEST(ParseBytes, FractionsBlanksAndCase) {
  EXPECT_EQ(parse_bytes("1.5 GB"), 1'500'000'000);
  EXPECT_EQ(parse_bytes(".5KiB"), 512);
  EXPECT_EQ(parse_bytes("300mb"), 300'000'000);
  EXPECT_EQ(parse_bytes("300  MIB"), 314'572'800);
  EXPECT_EQ(parse_bytes("1.1GB"), 1'100'000'000);
  EXPECT_EQ(parse_bytes("0.0006kB"), 1);  // 0.6 of a byte
  EXPECT_EQ(parse_bytes("0.0004kB"), 0);
}

TEST(ParseBytes, LargestSize) {
  EXPECT_EQ(parse_bytes("9223372036854774784"), 9223372036854774784);  // the double below 2^63
  EXPECT_THAT(test::error_of(ErrorKind::kUsage, [] { (void)parse_bytes("9223372036854775808"); }),
              testing::HasSubstr("is too large"));
  EXPECT_THAT(test::error_of(ErrorKind::kUsage, [] { (void)parse_bytes("8388608TiB"); }),
              testing::HasSubstr("is too large"));
  EXPECT_THAT(
      test::error_of(ErrorKind::kUsage, [] { (void)parse_bytes("1" + std::string(400, '0')); }),
      testing::HasSubstr("is too large"));
}

TEST(ParseBytes, RefusesWhatIsNoSize) {
  for (const char* text : {"", "MB", "-1MB", "+1MB", " 1MB", "inf", "nan", "."}) {
    EXPECT_THAT(test::error_of(ErrorKind::kUsage, [&] { (void)parse_bytes(text); }),
                testing::HasSubstr("'" + std::string(text) + "' does not start with a number"));
  }
  for (const char* text : {"3XB", "3e8MB", "3M", "300 MB ", "0x10", "1,5GB", "3MB4"}) {
    EXPECT_THAT(test::error_of(ErrorKind::kUsage, [&] { (void)parse_bytes(text); }),
                testing::HasSubstr("'" + std::string(text) + "' has an unknown unit"));
  }
}

TEST(HumanBytes, ThreeFiguresAndAUnitOfATen) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(6'910'272), "6.9 MB");
  EXPECT_EQ(human_bytes(999'960), "1.0 MB");
  EXPECT_EQ(human_bytes(26'000'000'000), "26.0 GB");
}

}  // namespace
}  // namespace sgpt_mi
