#include "sgpt_mi/entropy/coded_levels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string>

#include "sgpt_mi/core/error.h"
#include "support/level_examples.h"
#include "support/threads.h"

namespace sgpt_mi::entropy {
namespace {

using Levels = std::vector<std::int16_t>;

CodedView view_of(const CodedLevels& coded) {
  return {coded.tables, coded.streams, "tables", "streams"};
}

CodedLevels expect_round_trip(const Levels& levels, std::int64_t rows, std::int64_t columns) {
  SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns));
  CodedLevels coded = encode_levels(levels, rows, columns);
  const LevelReader reader(view_of(coded), rows, columns);
  EXPECT_EQ(reader.read(), levels);
  const CodedBounds bounds = coded_bounds(rows, columns);
  EXPECT_GE(static_cast<std::int64_t>(coded.tables.size()), bounds.least_tables);
  EXPECT_LE(static_cast<std::int64_t>(coded.tables.size()), bounds.most_tables);
  EXPECT_GE(static_cast<std::int64_t>(coded.streams.size()), bounds.least_streams);
  EXPECT_LE(static_cast<std::int64_t>(coded.streams.size()), bounds.most_streams);
  EXPECT_EQ(table_count(view_of(coded)), std::to_integer<int>(coded.tables[0]));
  return coded;
}

template <typename... Values>
std::vector<std::byte> bytes(Values... values) {
  return {static_cast<std::byte>(values)...};
}

TEST(CodedLevels, BytesAreThoseOfTheFormatNote) {
  const CodedLevels coded = expect_round_trip({0, 1}, 1, 2);
  // Both levels have 2048 slots. Lane 0: 2^16 / 2048 * 4096; lane 1: the same + first slot 2048.
  EXPECT_EQ(coded.streams, bytes(0, 0, 2, 0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0,  //
                                 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0));
  std::vector<std::byte> tables = coded.tables;
  ASSERT_EQ(tables.size(), 4U + 20U + 5U);
  std::fill_n(tables.begin() + 4, 4, std::byte{0});  // the checksum
  // 2 symbols from 0 on, what is left is the first one's. Escape: no change of width, "1". Symbol
  // 1: change 12, 25 as "0000" "11001"; 4 bits of 0.
  EXPECT_EQ(tables, bytes(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                          127, 2, 1, 0b0110'0001, 0b10));
}

TEST(CodedLevels, SidesAndContentsOfEveryKindSurvive) {
  std::mt19937 engine(7);
  for (const auto& [rows, columns] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {1, 1}, {1, 7}, {9, 1}, {8, 8}, {3, 1001}, {700, 3}, {257, 263}}) {
    const auto count = static_cast<std::size_t>(rows * columns);
    (void)expect_round_trip(Levels(count, 0), rows, columns);
    (void)expect_round_trip(Levels(count, -5), rows, columns);
    (void)expect_round_trip(Levels(count, -128), rows, columns);
    (void)expect_round_trip(Levels(count, std::numeric_limits<std::int16_t>::min()), rows, columns);
    Levels any(count);
    for (std::int16_t& level : any) level = static_cast<std::int16_t>(engine());
    (void)expect_round_trip(any, rows, columns);
    for (std::int16_t& level : any) level = static_cast<std::int16_t>(level % 2 == 0 ? 127 : -127);
    (void)expect_round_trip(any, rows, columns);
    (void)expect_round_trip(test::random_levels({rows, columns, 1.5, true, 1.0, 2.0}, engine), rows,
                            columns);
  }
}

TEST(CodedLevels, RareAndExtremeLevelsAreEscaped) {
  std::mt19937 engine(8);
  Levels levels = test::random_levels({300, 200, 2.0}, engine);
  const CodedLevels plain = expect_round_trip(levels, 300, 200);
  for (const int level : {32767, -32767, -32768, 128, -128, 127, -127, 60}) {
    levels[engine() % levels.size()] = static_cast<std::int16_t>(level);
  }
  const CodedLevels coded = expect_round_trip(levels, 300, 200);
  EXPECT_LE(coded.streams.size(), plain.streams.size() + 100);
}

TEST(CodedLevels, RowsWiderThanAChunkAreCut) {
  std::mt19937 engine(9);
  const test::LevelForm form{2, 200'001, 3.0, true, 0.5, 0.5};
  const CodedLevels coded = expect_round_trip(test::random_levels(form, engine), 2, 200'001);
  const LevelReader reader(view_of(coded), 2, 200'001);
  EXPECT_EQ(reader.streams().chunks_of_row(), 3);
  EXPECT_EQ(reader.streams().chunks(), 6);
}

TEST(CodedLevels, AnyNumberOfThreadsGivesTheSameBytes) {
  std::mt19937 engine(10);
  const test::LevelForm form{900, 500, 2.0, false, 0.5, 0.5};
  const Levels levels = test::random_levels(form, engine);
  const CodedLevels serial = encode_levels(levels, 900, 500);
  const CodedLevels threaded = encode_levels(levels, 900, 500, test::threaded_for(3));
  EXPECT_EQ(serial.tables, threaded.tables);
  EXPECT_EQ(serial.streams, threaded.streams);
  const LevelReader reader(view_of(serial), 900, 500);
  EXPECT_EQ(reader.streams().chunks(), 7);
  EXPECT_EQ(reader.read(test::threaded_for(3)), levels);
}

/// Bytes over those of a code that knows the size of every level.
double over_ideal(const test::LevelForm& form, double* tables = nullptr) {
  std::mt19937 engine(11);
  const test::LevelSizes sizes = test::level_sizes(form, engine);
  const Levels levels = test::random_levels(form, sizes, engine);
  const CodedLevels coded = encode_levels(levels, form.rows, form.columns);
  const auto total = static_cast<double>(coded.tables.size() + coded.streams.size());
  if (tables != nullptr) *tables = static_cast<double>(coded.tables.size()) / total;
  return 8.0 * total / test::ideal_bits(form, sizes, levels) - 1.0;
}

TEST(CodedLevels, TakeLittleMoreThanTheirEntropy) {
  for (const bool laplace : {false, true}) {
    double tables = 0.0;
    EXPECT_LT(over_ideal({576, 576, 2.0, laplace, 0.5, 0.5}, &tables), 0.0100);
    EXPECT_LT(tables, 0.0075);
    EXPECT_LT(over_ideal({1024, 2048, 2.0, laplace, 0.5, 0.5}), 0.0065);
    EXPECT_LT(over_ideal({1024, 2048, 2.0, laplace, 0.0, 0.0}), 0.0030) << "no labels are needed";
    EXPECT_LT(over_ideal({1024, 2048, 2.0, laplace, 0.7, 0.0}), 0.0060) << "rows alone";
    EXPECT_LT(over_ideal({1024, 2048, 2.0, laplace, 0.0, 0.7}), 0.0060) << "columns alone";
  }
}

TEST(CodedLevels, AlmostNothingIsTakenByZeros) {
  const CodedLevels coded = encode_levels(Levels(1'000'000, 0), 1000, 1000);
  EXPECT_LT(coded.tables.size() + coded.streams.size(), 1000U);
}

TEST(CodedLevels, OtherSidesThanTheLevelsAreTheCallersBug) {
  const Levels levels(12);
  for (const auto& [rows, columns] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 0}, {3, 5}, {12, 0}, {-3, -4}}) {
    EXPECT_THROW((void)encode_levels(levels, rows, columns), Error);
  }
  EXPECT_THROW((void)encode_levels({}, 1, 1), Error);
}

}  // namespace
}  // namespace sgpt_mi::entropy
