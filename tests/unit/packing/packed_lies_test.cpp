#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "sgpt_mi/packing/packed_matrix.h"
#include "support/packed_examples.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::packing {
namespace {

using test::bytes_of;
using test::input_error;

using test::found;
using test::PackedForm;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Parts = std::vector<PackedPart>;

constexpr auto kRecord = PackedPartKind::kRecord;

PackedPart& part_of(Parts& parts, PackedPartKind kind) {
  for (PackedPart& part : parts) {
    if (part.kind == kind) return part;
  }
  throw std::logic_error("the example has no such part");
}

/// Overwrites `size` bytes of the record with a number.
void set_record(Parts& parts, std::size_t offset, std::size_t size, std::uint64_t value) {
  for (std::size_t i = 0; i < size; ++i) {
    part_of(parts, kRecord).bytes[offset + i] = static_cast<std::byte>(value >> (8 * i) & 0xffU);
  }
}

void resize(Parts& parts, PackedPartKind kind, std::size_t bytes) {
  PackedPart& part = part_of(parts, kind);
  part.bytes.resize(bytes);
  part.info.shape = {static_cast<std::int64_t>(bytes / dtype_size(part.info.dtype))};
}

void remove(Parts& parts, PackedPartKind kind) {
  std::erase_if(parts, [&](const PackedPart& part) { return part.kind == kind; });
}

void add(Parts& parts, PackedPartKind kind, DType dtype, std::int64_t count) {
  PackedPart part{kind, {"m" + std::string(packed_suffix(kind)), dtype, {count}}, {}};
  part.bytes.resize(part.info.bytes());
  parts.push_back(std::move(part));
}

/// Examples to lie about. 5 x 12 weights.
enum class Example { kDense, kMixed, kRanks, kValues, kLevels };

Parts example(Example which) {
  PackedForm form;
  form.rows = 5;
  form.columns = 12;
  std::mt19937 engine(77);
  switch (which) {
    case Example::kDense:
      form.widths = {3};
      break;
    case Example::kMixed:
      form.widths = {2, 5, 8};
      form.groups = 5;
      form.labels = true;
      form.masked = true;
      break;
    case Example::kRanks:
      form.groups = 3;
      form.masked = true;
      form.prune_n = 2;
      form.prune_m = 4;
      break;
    case Example::kValues:
      form.widths.clear();
      form.masked = true;
      break;
    case Example::kLevels:
      form.groups = 3;
      form.labels = form.levels = form.column_scaled = true;
      break;
  }
  return pack_matrix("m", test::random_matrix(form, engine).view());
}

struct Lie {
  const char* name;
  Example example;
  std::function<void(Parts&)> tell;
  const char* sentence;
};

std::vector<Lie> record_lies() {
  const auto record = [](std::size_t offset, std::size_t size, std::uint64_t value) {
    return [=](Parts& parts) { set_record(parts, offset, size, value); };
  };
  return {
      {"Version", Example::kDense, record(0, 4, 1),
       "format version 1; this program reads version 2"},
      {"NoRows", Example::kDense, record(4, 4, 0), "rows 0"},
      {"NegativeRows", Example::kDense, record(4, 4, 0xffffffffU), "rows 4294967295"},
      {"MoreRows", Example::kDense, record(4, 4, 6), "stored weights 60; 72"},
      {"NoColumns", Example::kDense, record(8, 4, 0), "columns 0"},
      {"HugeSides", Example::kDense,
       [](Parts& p) { set_record(p, 4, 4, 0x7fffffff), set_record(p, 8, 4, 0x7fffffff); },
       "weights 46116860"},
      {"OtherGridRows", Example::kDense, record(12, 4, 4), "grid rows 4"},
      {"SharedGrids", Example::kDense, record(12, 4, 1), "m.scale has shape [5, 1]"},
      {"NoGrid", Example::kDense, record(12, 4, 0), "groups 1"},
      {"NoGroups", Example::kDense, record(16, 4, 0), "groups 0"},
      {"MoreGroupsThanColumns", Example::kMixed, record(16, 4, 13), "groups 13"},
      {"OtherGroups", Example::kRanks, record(16, 4, 4), "groups 4; 3"},
      {"OtherRuns", Example::kRanks, record(20, 4, 3), "groups 3; 4"},
      {"LongRuns", Example::kDense, record(20, 4, 13), "columns per group 13"},
      {"LabelsOfOneGroup", Example::kDense, record(20, 4, 0), "groups of labelled columns 1"},
      {"LabelsMissing", Example::kRanks, record(20, 4, 0), "m.group is missing"},
      {"LabelsUnused", Example::kMixed, record(20, 4, 3), "groups 5; 4"},
      {"FewerStored", Example::kDense, record(24, 8, 59), "stored weights 59"},
      {"MoreStored", Example::kMixed, record(24, 8, 61), "stored weights 61"},
      {"StoredBeyond63Bits", Example::kMixed, record(24, 8, ~std::uint64_t{0}),
       "stored weights 922"},
      {"OtherStoredThanMask", Example::kMixed,
       [](Parts& p) { set_record(p, 24, 8, std::to_integer<unsigned>(p[0].bytes[24]) + 1U); },
       "m.mask keeps"},
      {"StoredAgainstPattern", Example::kRanks, record(24, 8, 29), "stored weights 29; 30"},
      {"Exponent", Example::kDense, record(32, 2, 113), "scale exponent 113"},
      {"NegativeExponent", Example::kDense, record(32, 2, 0x8000), "scale exponent -32768"},
      {"Type", Example::kDense, record(34, 1, 3), "type 3"},
      {"OtherTypeOfValues", Example::kValues, record(34, 1, 0), "m.values is BF16; F32"},
      {"Layout", Example::kDense, record(35, 1, 4), "layout 4"},
      {"MaskWithoutPart", Example::kDense, record(35, 1, 1), "m.mask is missing"},
      {"RanksWithoutPattern", Example::kMixed, record(35, 1, 2), " m 0;"},
      {"PatternWithoutRanks", Example::kDense, record(36, 1, 1), " n 1;"},
      {"PatternTooWide", Example::kRanks, record(37, 1, 9), " m 9;"},
      {"PatternOfAllZeros", Example::kRanks, record(36, 1, 4), " n 4;"},
      {"PatternAcrossRows", Example::kRanks, record(37, 1, 5), "last whole N:M tuple 2"},
      {"OtherPattern", Example::kRanks, record(36, 1, 1), "stored weights 30; 45"},
      {"OneBit", Example::kDense, record(38, 1, 1), "bits 1"},
      {"NineBits", Example::kDense, record(38, 1, 9), "bits 9"},
      {"OtherBits", Example::kDense, record(38, 1, 4), "m.codes has shape [23]"},
      {"UniformBits", Example::kMixed, record(38, 1, 8), "m.codes has shape"},
      {"BitsMissing", Example::kDense, record(38, 1, 0), "m.bits is missing"},
      {"BitsOfValues", Example::kValues, record(38, 1, 4), "bits 4"},
      {"Reserved", Example::kDense, record(39, 1, 1), "byte 39"},
      {"ReservedOfValues", Example::kValues, record(39, 1, 1), "byte 39"},
      {"LevelsWithoutGrid", Example::kLevels, record(12, 4, 0), "grid rows 0"},
      {"LevelsWithPattern", Example::kLevels, record(36, 1, 1), " n 1;"},
      {"FewerZeroLevels", Example::kLevels, record(24, 8, 59),
       "50 of its levels are not 0 where the record has 59"},
      {"MoreLevelsThanWeights", Example::kLevels, record(24, 8, 61), "stored weights 61"},
      {"ColumnScales", Example::kLevels, record(38, 1, 2), "byte 38 2"},
      {"NeedlessColumnExponent", Example::kLevels,
       [](Parts& p) { set_record(p, 38, 1, 0), set_record(p, 39, 1, 1); }, "byte 39 1"},
      {"NeedlessColumnScale", Example::kLevels, [](Parts& p) { set_record(p, 38, 2, 0); },
       "m.column_scale is there"},
      {"ColumnExponent", Example::kLevels, record(39, 1, 0x80), "column exponent -128"},
      {"InfiniteProduct", Example::kLevels,
       [](Parts& p) {
         set_record(p, 32, 2, 112), set_record(p, 39, 1, 112);
         for (const auto kind : {PackedPartKind::kScale, PackedPartKind::kColumnScale}) {
           part_of(p, kind).bytes[0] = part_of(p, kind).bytes[1] = std::byte{0x3c};
         }
       },
       "infinite product"},
      {"LevelsAsCodes", Example::kLevels,
       [](Parts& p) { set_record(p, 35, 5, 4 << 24), set_record(p, 24, 8, 60); },
       "m.codes has shape"},
      {"CodesAsLevels", Example::kDense, [](Parts& p) { set_record(p, 35, 4, 3); },
       "m.codes has shape"},
      {"MoreLevels", Example::kLevels,
       [](Parts& p) { set_record(p, 4, 4, 6), set_record(p, 24, 8, 72); }, "grid rows 5; 6"},
  };
}

std::vector<Lie> part_lies() {
  using Kind = PackedPartKind;
  const auto without = [](Kind kind) { return [=](Parts& parts) { remove(parts, kind); }; };
  const auto with = [](Kind kind) {
    return [=](Parts& parts) { add(parts, kind, DType::kU8, 1); };
  };
  const auto cut = [](Kind kind) {
    return [=](Parts& p) { resize(p, kind, part_of(p, kind).bytes.size() - 1); };
  };
  const auto longer = [](Kind kind) {
    return [=](Parts& p) { resize(p, kind, part_of(p, kind).bytes.size() + 1); };
  };
  const auto last_bit = [](Kind kind) {
    return [=](Parts& p) { part_of(p, kind).bytes.back() |= std::byte{0x80}; };
  };
  return {
      {"NoRecord", Example::kDense, without(Kind::kRecord), "m.packed is missing"},
      {"NoCodes", Example::kDense, without(Kind::kCodes), "m.codes is missing"},
      {"NoMask", Example::kMixed, without(Kind::kMask), "m.mask is missing"},
      {"NoScale", Example::kDense, without(Kind::kScale), "m.scale is missing"},
      {"NoZeroPoint", Example::kDense, without(Kind::kZeroPoint), "m.zero_point is missing"},
      {"NoGroup", Example::kMixed, without(Kind::kGroup), "m.group is missing"},
      {"NoBits", Example::kMixed, without(Kind::kBits), "m.bits is missing"},
      {"NoValues", Example::kValues, without(Kind::kValues), "m.values is missing"},
      {"NeedlessMask", Example::kDense, with(Kind::kMask), "m.mask is there"},
      {"NeedlessGroup", Example::kDense, with(Kind::kGroup), "m.group is there"},
      {"NeedlessBits", Example::kDense, with(Kind::kBits), "m.bits is there"},
      {"NeedlessValues", Example::kDense, with(Kind::kValues), "m.values is there"},
      {"NeedlessCodes", Example::kValues, with(Kind::kCodes), "m.codes is there"},
      {"CutRecord", Example::kDense, cut(Kind::kRecord), "m.packed has 43 bytes"},
      {"CutCodes", Example::kDense, cut(Kind::kCodes), "m.codes has shape [22]"},
      {"LongCodes", Example::kDense, longer(Kind::kCodes), "m.codes has shape [24]"},
      {"CutMixedCodes", Example::kMixed, cut(Kind::kCodes), "its widths demand"},
      {"LongMixedCodes", Example::kMixed, longer(Kind::kCodes), "its widths demand"},
      {"FarTooFewMixedCodes", Example::kMixed, [](Parts& p) { resize(p, Kind::kCodes, 1); },
       "m.codes has shape [1]"},
      {"CutMixedZeroPoints", Example::kMixed, cut(Kind::kZeroPoint), "its widths demand"},
      {"CutMask", Example::kMixed, cut(Kind::kMask), "m.mask has shape [7]"},
      {"CutRanks", Example::kRanks, cut(Kind::kMask), "m.mask has shape [5]"},
      {"CutLabels", Example::kMixed, cut(Kind::kGroup), "m.group has shape [4]"},
      {"CutBits", Example::kMixed, cut(Kind::kBits), "m.bits has shape [1]"},
      {"FlatScale", Example::kRanks, [](Parts& p) { resize(p, Kind::kScale, 30); },
       "m.scale has shape [15]; its record demands [5, 3]"},
      {"ScaleOfBytes", Example::kDense,
       [](Parts& p) { part_of(p, Kind::kScale).info.dtype = DType::kU8; }, "m.scale is U8; F16"},
      {"ScaleOfZero", Example::kDense,
       [](Parts& p) { part_of(p, Kind::kScale).bytes[2] = part_of(p, Kind::kScale).bytes[3] = {}; },
       "pattern 0x0000 at place 1"},
      {"NegativeScale", Example::kDense, last_bit(Kind::kScale), "at place 4"},
      {"LabelTooLarge", Example::kMixed,
       [](Parts& p) { part_of(p, Kind::kGroup).bytes[0] |= std::byte{7}; },
       "column 0 into group 7; there are 5"},
      {"OneBitGroup", Example::kMixed,
       [](Parts& p) { part_of(p, Kind::kBits).bytes[0] &= std::byte{0xf8}; }, "group 0 1 bit"},
      {"RankTooLarge", Example::kRanks,
       [](Parts& p) { part_of(p, Kind::kMask).bytes[0] |= std::byte{7}; }, "rank of no 2:4"},
      {"MaskKeepsMore", Example::kValues,
       [](Parts& p) {
         std::byte& first = part_of(p, Kind::kMask).bytes[0];
         first = first == std::byte{0xff} ? std::byte{0xfe} : std::byte{0xff};
       },
       "m.mask keeps"},
      {"CodesAfterTheEnd", Example::kDense, last_bit(Kind::kCodes), "m.codes has bits set"},
      {"ZeroPointsAfterTheEnd", Example::kDense, last_bit(Kind::kZeroPoint),
       "m.zero_point has bits set"},
      {"MaskAfterTheEnd", Example::kMixed, last_bit(Kind::kMask), "m.mask has bits set"},
      {"RanksAfterTheEnd", Example::kRanks, last_bit(Kind::kMask), "m.mask has bits set"},
      {"LabelsAfterTheEnd", Example::kMixed, last_bit(Kind::kGroup), "m.group has bits set"},
      {"BitsAfterTheEnd", Example::kMixed, last_bit(Kind::kBits), "m.bits has bits set"},
      {"NoTables", Example::kLevels, without(Kind::kTables), "m.tables is missing"},
      {"NoLevels", Example::kLevels, without(Kind::kCodes), "m.codes is missing"},
      {"NoColumnScale", Example::kLevels, without(Kind::kColumnScale), "m.column_scale is missing"},
      {"NeedlessZeroPoint", Example::kLevels, with(Kind::kZeroPoint), "m.zero_point is there"},
      {"NeedlessTables", Example::kDense, with(Kind::kTables), "m.tables is there"},
      {"CutColumnScale", Example::kLevels, [](Parts& p) { resize(p, Kind::kColumnScale, 22); },
       "m.column_scale has shape [11]"},
      {"NegativeColumnScale", Example::kLevels, last_bit(Kind::kColumnScale),
       "m.column_scale holds the pattern"},
      {"LabelOfLevelsTooLarge", Example::kLevels,
       [](Parts& p) { part_of(p, Kind::kGroup).bytes[0] |= std::byte{3}; },
       "column 0 into group 3; there are 3"},
      {"FarTooFewTables", Example::kLevels, [](Parts& p) { resize(p, Kind::kTables, 20); },
       "m.tables has shape [20]"},
      {"FarTooManyTables", Example::kLevels, [](Parts& p) { resize(p, Kind::kTables, 100'000); },
       "m.tables has shape [100000]"},
      {"LongTables", Example::kLevels, longer(Kind::kTables),
       "part m.tables does not end with its last table"},
      {"NumberOfTables", Example::kLevels,
       [](Parts& p) { part_of(p, Kind::kTables).bytes[0] = std::byte{17}; },
       "part m.tables has tables 17"},
      {"LongStreams", Example::kLevels, longer(Kind::kCodes), "its tables demand"},
      {"OtherStreams", Example::kLevels, last_bit(Kind::kCodes), "part m.codes has checksum"},
  };
}

class PackedLies : public ::testing::TestWithParam<Lie> {};

TEST_P(PackedLies, AreRefusedWithASentence) {
  const Lie& lie = GetParam();
  Parts parts = example(lie.example);
  ASSERT_NO_THROW((void)unpack_matrix(found("m", parts)));
  lie.tell(parts);
  if (!parts.empty() && parts.front().kind == kRecord && parts.front().bytes.size() == 44) {
    test::reseal("m", parts);  // so that the lie itself has to be found
  }
  EXPECT_THAT(input_error([&] { (void)unpack_matrix(found("m", parts)); }),
              AllOf(HasSubstr("test.safetensors: packed matrix 'm': "), HasSubstr(lie.sentence)));
}

std::string name_of(const ::testing::TestParamInfo<Lie>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Record, PackedLies, ::testing::ValuesIn(record_lies()), name_of);
INSTANTIATE_TEST_SUITE_P(Part, PackedLies, ::testing::ValuesIn(part_lies()), name_of);

TEST(PackedChecksum, FindsEveryFlippedBit) {
  for (const Example which :
       {Example::kDense, Example::kMixed, Example::kRanks, Example::kValues, Example::kLevels}) {
    const Parts good = example(which);
    for (std::size_t part = 0; part < good.size(); ++part) {
      for (std::size_t bit = 0; bit < 8 * good[part].bytes.size(); ++bit) {
        Parts bad = good;
        bad[part].bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
        EXPECT_NE(input_error([&] { (void)unpack_matrix(found("m", bad)); }), "");
      }
    }
  }
}

TEST(PackedChecksum, FindsPartsAndWholeMatricesOfAnotherName) {
  std::mt19937 engine(1);
  const Parts first = pack_matrix("m", test::random_matrix({}, engine).view());
  const Parts second = pack_matrix("n", test::random_matrix({}, engine).view());
  EXPECT_THAT(input_error([&] { (void)unpack_matrix(found("m", second)); }), HasSubstr("checksum"));
  Parts mixed = first;
  mixed[1].bytes = second[1].bytes;
  EXPECT_THAT(input_error([&] { (void)unpack_matrix(found("m", mixed)); }),
              HasSubstr("belongs to another matrix"));
}

TEST(PackedChecksum, IsTheCrcOfTheBytesInOrder) {
  // CRC-32 of "123456789" is 0xcbf43926 (the check value of the algorithm's catalogue).
  const std::string digits = "3456789";
  PackedParts parts{"", "12", {}};
  parts.parts[1] = containers::TensorData{{"c", DType::kU8, {7}}, bytes_of(digits), nullptr};
  EXPECT_EQ(packed_checksum(parts), 0xcbf43926U);
}

}  // namespace
}  // namespace sgpt_mi::packing
