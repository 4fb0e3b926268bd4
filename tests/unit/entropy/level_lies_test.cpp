#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/entropy/coded_levels.h"
#include "support/coded_chunks.h"
#include "support/level_examples.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::entropy {
namespace {

using test::input_error;
using ::testing::HasSubstr;

constexpr std::int64_t kRows = 300;
constexpr std::int64_t kColumns = 401;  // two chunks of 150 rows

CodedLevels example() {
  std::mt19937 engine(21);
  return encode_levels(test::random_levels({kRows, kColumns, 2.0, true, 0.5, 0.5}, engine), kRows,
                       kColumns);
}

std::vector<std::int16_t> read(const CodedLevels& coded) {
  return LevelReader({coded.tables, coded.streams, "part t", "part s"}, kRows, kColumns).read();
}

/// The same by way of all chunks at once, as on a device.
std::vector<std::int16_t> read_at_once(const CodedLevels& coded) {
  const LevelReader reader({coded.tables, coded.streams, "part t", "part s"}, kRows, kColumns);
  reader.check_sums(serial_for());
  kernels::LevelStreams streams = reader.streams();
  std::vector<std::int16_t> levels(static_cast<std::size_t>(kRows * kColumns));
  std::vector<std::uint8_t> ended(static_cast<std::size_t>(streams.chunks()));
  streams.levels = levels.data();
  streams.ended = ended.data();
  kernels::decode_levels(streams, {});
  reader.require_ended(ended);
  return levels;
}

/// So that the lie itself has to be found.
void reseal(CodedLevels& coded) {
  test::reseal_chunks(kRows, kColumns, coded.tables, coded.streams);
}

struct Lie {
  const char* name;
  std::function<void(CodedLevels&)> tell;
  const char* sentence;
};

std::vector<Lie> lies() {
  const auto table_byte = [](std::size_t at, int value) {
    return [=](CodedLevels& c) { c.tables[at] = static_cast<std::byte>(value); };
  };
  return {
      {"Empty", [](CodedLevels& c) { c.tables.clear(); }, "part t has 0 bytes; at least 47"},
      {"NoTables", table_byte(0, 0), "part t has tables 0; 1 to 16"},
      {"ManyTables", table_byte(0, 17), "part t has tables 17"},
      {"OtherTables", [](CodedLevels& c) { c.tables[0] ^= std::byte{1}; }, "part t "},
      {"Base", table_byte(1, 31), "part t has base 31"},
      {"RowLabels", table_byte(2, 2), "labels of rows 2"},
      {"ColumnLabels", table_byte(3, 9), "labels of columns 9"},
      {"RowLabelsOfNothing",
       [](CodedLevels& c) { c.tables.erase(c.tables.begin() + 60, c.tables.end()); },
       "holds no 300 labels of rows"},
      {"LabelTooLarge", table_byte(4 + 40, 200), "labels of rows"},
      {"LongTables", [](CodedLevels& c) { c.tables.push_back({}); },
       "part t does not end with its last table"},
      {"CutStreams", [](CodedLevels& c) { c.streams.pop_back(); }, "part s has"},
      {"LongStreams", [](CodedLevels& c) { c.streams.push_back({}); }, "its tables demand"},
      {"OtherByte", [](CodedLevels& c) { c.streams.back() ^= std::byte{1}; },
       "part s has checksum"},
      {"OtherState",
       [](CodedLevels& c) {
         c.streams[0] ^= std::byte{1};
         reseal(c);
       },
       "part s has a lane that does not end with its last word, among the chunks from 0 on"},
      {"WordsInAnotherLane",
       [](CodedLevels& c) {
         c.tables[8] ^= std::byte{1};
         c.tables[10] ^= std::byte{1};
         reseal(c);
       },
       "part s has "},
  };
}

class LevelLies : public ::testing::TestWithParam<Lie> {};

TEST_P(LevelLies, AreRefusedWithASentence) {
  CodedLevels coded = example();
  ASSERT_EQ(coded.tables.size() > 60, true);
  ASSERT_EQ(read(coded), read_at_once(coded));
  GetParam().tell(coded);
  EXPECT_THAT(input_error([&] { (void)read(coded); }), HasSubstr(GetParam().sentence));
  EXPECT_THAT(input_error([&] { (void)read_at_once(coded); }), HasSubstr(GetParam().sentence));
}

INSTANTIATE_TEST_SUITE_P(Entropy, LevelLies, ::testing::ValuesIn(lies()),
                         [](const auto& lie) { return std::string(lie.param.name); });

TEST(DamagedLevels, AreRefusedOrReadWithoutACrash) {
  std::mt19937 engine(5);
  const CodedLevels good = example();
  int refused = 0;
  for (int trial = 0; trial < 600; ++trial) {
    CodedLevels bad = good;
    std::vector<std::byte>& part = engine() % 2 == 0 ? bad.tables : bad.streams;
    for (int i = 0; i < 3; ++i) {
      part[engine() % std::min<std::size_t>(part.size(), 2000)] = static_cast<std::byte>(engine());
    }
    reseal(bad);
    try {
      (void)read(bad);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      ++refused;
    }
  }
  EXPECT_GT(refused, 590);
}

}  // namespace
}  // namespace sgpt_mi::entropy
