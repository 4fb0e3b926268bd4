#include "sgpt_mi/packing/packed_matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/half.h"
#include "sgpt_mi/packing/unpacked_codes.h"
#include "support/packed_examples.h"
#include "support/threads.h"

namespace sgpt_mi::packing {
namespace {

using test::CodedMatrixBuffers;
using test::found;
using test::PackedForm;
using test::random_matrix;

/// The dense matrix by the format's formula, weight by weight.
std::vector<std::byte> expected_dense(const CodedMatrixBuffers& matrix) {
  const std::size_t size = dtype_size(matrix.dtype);
  const auto columns = static_cast<std::size_t>(matrix.columns);
  std::vector<std::byte> dense(static_cast<std::size_t>(matrix.rows) * columns * size);
  for (std::size_t i = 0; i < dense.size() / size; ++i) {
    if (!matrix.pruned.empty() && matrix.pruned[i] != 0) continue;
    if (!matrix.values.empty()) {
      std::memcpy(&dense[i * size], &matrix.values[i * size], size);
      continue;
    }
    const auto group = static_cast<std::size_t>(matrix.group_of_column[i % columns]);
    const std::size_t grid_row = matrix.grid_rows == 1 ? 0 : i / columns;
    const std::size_t groups = matrix.scale.size() / static_cast<std::size_t>(matrix.grid_rows);
    const std::size_t grid = grid_row * groups + group;
    const float scale =
        std::ldexp(kernels::half_to_float(matrix.scale[grid]), matrix.scale_exponent);
    float value = 0.0F;
    if (matrix.levels.empty()) {
      value = scale * static_cast<float>(matrix.codes[i] - matrix.zero_point[grid]);
    } else {
      const float of_column =
          matrix.column_scale.empty()
              ? 1.0F
              : std::ldexp(kernels::half_to_float(matrix.column_scale[i % columns]),
                           matrix.column_exponent);
      value = scale * of_column * static_cast<float>(matrix.levels[i]);
    }
    if (matrix.dtype == DType::kF32) {
      std::memcpy(&dense[i * size], &value, size);
    } else {
      const std::uint16_t bits = matrix.dtype == DType::kF16 ? kernels::float_to_half(value)
                                                             : kernels::float_to_bfloat16(value);
      std::memcpy(&dense[i * size], &bits, size);
    }
  }
  return dense;
}

void expect_round_trip(const CodedMatrixBuffers& matrix) {
  const std::vector<PackedPart> parts = pack_matrix("m", matrix.view());
  const PackedParts view = found("m", parts);
  ASSERT_EQ(unpack_matrix(view), expected_dense(matrix));
  if (matrix.levels.empty()) {
    ASSERT_EQ(predict_packed_size(packed_shape(matrix.view())), packed_size(parts));
  }
  const PackedMatrixInfo info = describe_packed(view);
  ASSERT_EQ(info.size, packed_size(parts));
  ASSERT_EQ(info.dense.shape, (std::vector<std::int64_t>{matrix.rows, matrix.columns}));
  ASSERT_EQ(info.dense.dtype, matrix.dtype);
  ASSERT_EQ(info.tables > 0, !matrix.levels.empty());
  if (!matrix.values.empty()) return;
  const std::vector<PackedPart> again = pack_matrix("m", unpack_codes(view).view());
  for (std::size_t i = 0; i < parts.size(); ++i) ASSERT_EQ(again[i].bytes, parts[i].bytes) << i;
}

PackedForm random_form(std::mt19937& engine) {
  const auto draw = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(engine);
  };
  PackedForm form;
  form.rows = draw(1, 9);
  form.columns = draw(1, 40);
  form.dtype = std::vector{DType::kF32, DType::kF16, DType::kBF16}[draw(0, 2) % 3U];
  form.masked = draw(0, 3) > 0;
  form.sparsity = std::vector{0.0, 0.03, 0.3, 0.5, 0.9, 1.0}[draw(0, 5) % 6U];
  if (form.masked && draw(0, 1) == 0) {
    const std::vector<std::pair<int, int>> patterns = {{2, 4}, {1, 4}, {4, 8},  {2, 3}, {1, 2},
                                                       {3, 4}, {7, 8}, {8, 16}, {3, 7}};
    std::tie(form.prune_n, form.prune_m) = patterns[static_cast<std::size_t>(draw(0, 8))];
    form.columns = form.prune_m * draw(1, 5);
  }
  switch (draw(0, 4)) {
    case 0:
      form.widths = {};
      break;
    case 4:
      form.levels = true;
      form.masked = false;
      form.prune_n = form.prune_m = 0;
      form.column_scaled = draw(0, 1) == 0;
      break;
    case 1:
      form.widths = {2, 3, 4, 5, 6, 7, 8};
      break;
    default:
      form.widths = {draw(2, 8)};
  }
  form.groups = std::vector<std::int64_t>{1, form.columns,
                                          draw(1, static_cast<int>(form.columns))}[draw(0, 2) % 3U];
  // Runs of neighbours may need fewer groups than asked for.
  const std::int64_t run = (form.columns + form.groups - 1) / form.groups;
  form.labels = draw(0, 1) == 0;
  if (!form.labels) form.groups = (form.columns + run - 1) / run;
  form.shared = draw(0, 2) == 0;
  return form;
}

TEST(PackedMatrix, RandomMatricesOfEveryFormSurviveBitForBit) {
  std::mt19937 engine(20240607);
  for (int trial = 0; trial < 4000; ++trial) {
    SCOPED_TRACE(trial);
    const CodedMatrixBuffers matrix = random_matrix(random_form(engine), engine);
    expect_round_trip(matrix);
    if (HasFatalFailure()) return;
  }
}

TEST(PackedMatrix, AnyNumberOfThreadsGivesTheSameBytes) {
  std::mt19937 engine(3);
  PackedForm form;
  form.rows = 203;
  form.columns = 520;
  form.groups = 13;
  form.widths = {2, 3, 4, 8};
  form.masked = true;
  form.prune_n = 2;
  form.prune_m = 4;
  for (int i = 0; i < 4; ++i) {
    const CodedMatrixBuffers matrix = random_matrix(form, engine);
    const std::vector<PackedPart> parts = pack_matrix("m", matrix.view());
    const std::vector<std::byte> serial = unpack_matrix(found("m", parts));
    EXPECT_EQ(serial, expected_dense(matrix));
    EXPECT_EQ(unpack_matrix(found("m", parts), test::threaded_for(3)), serial);
    form.prune_n = form.prune_m = 0;  // then a bitmask, then values, then levels
    if (i == 1) form.widths.clear();
    form.levels = form.column_scaled = i == 2;
    form.masked = i != 2;
  }
}

/// The bytes of one part; empty when it is not there.
std::vector<std::byte> bytes_of(const std::vector<PackedPart>& parts, PackedPartKind kind) {
  for (const PackedPart& part : parts) {
    if (part.kind == kind) return part.bytes;
  }
  return {};
}

template <typename... Values>
std::vector<std::byte> bytes(Values... values) {
  return {static_cast<std::byte>(values)...};
}

TEST(PackedMatrix, BytesAreThoseOfTheFormatNote) {
  CodedMatrixBuffers matrix;
  matrix.rows = 2;
  matrix.columns = 4;
  matrix.dtype = DType::kF16;
  matrix.codes = {1, 2, 9,  3,  //
                  0, 7, 15, 1};
  matrix.grid_rows = 2;
  matrix.scale = {0x3c00, 0x4000, 0x3800, 0x4200};  // 1, 2; 0.5, 3
  matrix.scale_exponent = -1;
  matrix.zero_point = {1, 8, 3, 15};
  matrix.group_of_column = {0, 1, 1, 0};
  matrix.bits_of_group = {2, 4};
  const std::vector<PackedPart> parts = pack_matrix("m", matrix.view());
  // Two bits: 1 3 / 0 1 -> 01 00 11 01 from the right; four bits: 2 9 / 7 15.
  EXPECT_EQ(bytes_of(parts, PackedPartKind::kCodes), bytes(0x4d, 0x92, 0xf7));
  EXPECT_EQ(bytes_of(parts, PackedPartKind::kZeroPoint), bytes(0x0d, 0xf8));
  EXPECT_EQ(bytes_of(parts, PackedPartKind::kGroup), bytes(0x06));  // 0 1 1 0 from the right
  EXPECT_EQ(bytes_of(parts, PackedPartKind::kBits), bytes(0x19));   // 1, 3 of three bits
  EXPECT_EQ(bytes_of(parts, PackedPartKind::kScale),
            bytes(0x00, 0x3c, 0x00, 0x40, 0x00, 0x38, 0x00, 0x42));
  std::vector<std::byte> record = bytes_of(parts, PackedPartKind::kRecord);
  record.resize(40);
  EXPECT_EQ(record,
            bytes(2, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,  //
                  8, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 0, 0, 0, 0, 0));
  EXPECT_EQ(parts.size(), 6U);
  EXPECT_EQ(parts[0].info.name, "m.packed");
  // Row 0: 0.5 * (1 - 1), 1 * (2 - 8), 1 * (9 - 8), 0.5 * (3 - 1).
  const std::vector<std::byte> dense = unpack_matrix(found("m", parts));
  std::vector<std::uint16_t> half(4);
  std::memcpy(half.data(), dense.data(), 8);
  EXPECT_EQ(half, (std::vector<std::uint16_t>{0x0000, 0xc600, 0x3c00, 0x3c00}));
}

TEST(PackedMatrix, LevelsHaveAStepOfTheirOwnByRowAndColumn) {
  CodedMatrixBuffers matrix;
  matrix.rows = 2;
  matrix.columns = 3;
  matrix.dtype = DType::kF32;
  matrix.levels = {1, -2, 300,  //
                   0, -1, 5};
  matrix.grid_rows = 2;
  matrix.scale = {0x3c00, 0x4200};  // 1, 3
  matrix.scale_exponent = -1;
  matrix.group_of_column = {0, 0, 0};
  matrix.column_scale = {0x3c00, 0x4000, 0x3800};  // 1, 2, 0.5
  matrix.column_exponent = 2;
  const std::vector<PackedPart> parts = pack_matrix("m", matrix.view());
  ASSERT_EQ(parts.size(), 5U);
  EXPECT_EQ(parts[3].info.name, "m.tables");
  EXPECT_EQ(parts[4].info.name, "m.column_scale");
  std::vector<std::byte> record = bytes_of(parts, PackedPartKind::kRecord);
  record.resize(40);
  EXPECT_EQ(record,
            bytes(2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0,  //
                  5, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 3, 0, 0, 1, 2));
  const std::vector<std::byte> dense = unpack_matrix(found("m", parts));
  std::vector<float> values(6);
  std::memcpy(values.data(), dense.data(), dense.size());
  // Steps 0.5 and 1.5 times 4, 8 and 2.
  EXPECT_EQ(values, (std::vector<float>{2.0F, -8.0F, 300.0F, 0.0F, -12.0F, 15.0F}));
  const PackedMatrixInfo info = describe_packed(found("m", parts));
  EXPECT_EQ(info.layout, PackedLayout::kCoded);
  EXPECT_EQ(info.stored, 5) << "one level is 0";
  EXPECT_EQ(info.weights_of_width, (std::array<std::int64_t, kWidths>{}));
  EXPECT_EQ(info.size.tables, static_cast<std::int64_t>(parts[3].bytes.size()));
  EXPECT_DOUBLE_EQ(info.stored_bits_per_weight(),
                   8.0 * static_cast<double>(packed_size(parts).total()) / 6.0);
  UnpackedCodes codes = unpack_codes(found("m", parts));
  EXPECT_TRUE(codes.set_exponent(0));
  EXPECT_EQ(codes.scale, (std::vector<std::uint16_t>{0x3800, 0x3e00}));  // 0.5, 1.5
  EXPECT_EQ(unpack_matrix(found("m", pack_matrix("m", codes.view()))), dense);
}

TEST(PackedMatrix, RanksAreOrderedAsBinaryNumbers) {
  // 2:4: kept sets as numbers 0011 0101 0110 1001 1010 1100 have ranks 0 to 5.
  CodedMatrixBuffers matrix;
  matrix.rows = 1;
  matrix.columns = 8;
  matrix.dtype = DType::kBF16;
  matrix.codes = {200, 5, 200, 6, 200, 200, 7, 4};  // kept 1010 = rank 4, 1100 = rank 5
  matrix.pruned = {1, 0, 1, 0, 1, 1, 0, 0};
  matrix.prune_n = 2;
  matrix.prune_m = 4;
  matrix.grid_rows = 1;
  matrix.scale = {0x3c00};
  matrix.zero_point = {4};
  matrix.group_of_column.assign(8, 0);
  matrix.bits_of_group = {8};
  const std::vector<PackedPart> parts = pack_matrix("m", matrix.view());
  EXPECT_EQ(bytes_of(parts, PackedPartKind::kMask), bytes(4 | 5 << 3));
  EXPECT_EQ(bytes_of(parts, PackedPartKind::kCodes), bytes(5, 6, 7, 4));
  EXPECT_TRUE(bytes_of(parts, PackedPartKind::kGroup).empty());
  EXPECT_TRUE(bytes_of(parts, PackedPartKind::kBits).empty());
  const PackedMatrixInfo info = describe_packed(found("m", parts));
  EXPECT_EQ(info.layout, PackedLayout::kRanks);
  EXPECT_EQ(info.stored, 4);
  EXPECT_EQ(info.weights_of_width[8], 8);
  EXPECT_DOUBLE_EQ(info.stored_bits_per_weight(), 44 + 4 + 1 + 2 + 1);
}

TEST(PackedMatrix, TheSmallerLayoutIsTaken) {
  const auto layout_of = [](double sparsity, int bits, int n, int m) {
    std::mt19937 engine(5);
    PackedForm form;
    form.rows = 64;
    form.columns = 64;
    form.widths = {bits};
    form.masked = true;
    form.sparsity = sparsity;
    form.prune_n = n;
    form.prune_m = m;
    return describe_packed(found("m", pack_matrix("m", random_matrix(form, engine).view()))).layout;
  };
  // A bitmask costs 1 bit per weight and saves sparsity * bits.
  EXPECT_EQ(layout_of(0.6, 2, 0, 0), PackedLayout::kBitmask);
  EXPECT_EQ(layout_of(0.4, 2, 0, 0), PackedLayout::kDense);
  EXPECT_EQ(layout_of(0.2, 8, 0, 0), PackedLayout::kBitmask);
  EXPECT_EQ(layout_of(0.1, 8, 0, 0), PackedLayout::kDense);
  EXPECT_EQ(layout_of(0.0, 2, 2, 4), PackedLayout::kRanks);     // 3/4 against 1
  EXPECT_EQ(layout_of(0.0, 2, 1, 4), PackedLayout::kDense);     // 2/4 against 2/4
  EXPECT_EQ(layout_of(0.0, 3, 1, 4), PackedLayout::kRanks);     // 2/4 against 3/4
  EXPECT_EQ(layout_of(0.0, 4, 8, 16), PackedLayout::kBitmask);  // too wide for ranks
}

TEST(PackedMatrix, ALargeMatrixTakesTheBytesThatArithmeticSays) {
  // 4096 x 4096 at 4 bits, one grid per row and 128 columns, 2:4.
  PackedShape shape;
  shape.rows = 4096;
  shape.columns = 4096;
  shape.grid_rows = 4096;
  shape.columns_of_width[4] = 4096;
  shape.groups_of_width[4] = 32;
  shape.prunes = true;
  shape.prune_n = 2;
  shape.prune_m = 4;
  shape.survivors_of_width[4] = 4096 * 2048;
  const PackedSize size = predict_packed_size(shape);
  EXPECT_EQ(size.codes, 4096 * 2048 / 2);
  EXPECT_EQ(size.mask, 4096 * 4096 / 4 * 3 / 8);
  EXPECT_EQ(size.scale, 4096 * 32 * 2);
  EXPECT_EQ(size.zero_point, 4096 * 32 / 2);
  EXPECT_EQ(size.permutation, 0);
  EXPECT_EQ(size.record, 44);
  EXPECT_EQ(size.total(), size.codes + size.mask + size.scale + size.zero_point + size.record);
}

TEST(PackedMatrix, ContradictoryMatricesAreTheCallersBug) {
  std::mt19937 engine(9);
  PackedForm form;
  form.masked = true;
  const CodedMatrixBuffers good = random_matrix(form, engine);
  const auto expect_refused = [&](const char* what, auto&& change) {
    CodedMatrixBuffers bad = good;
    change(bad);
    try {
      (void)pack_matrix("m", bad.view());
      ADD_FAILURE() << what << " was packed";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInternal) << what;
    }
  };
  expect_refused("no codes", [](auto& m) { m.codes.clear(); });
  expect_refused("codes and values", [](auto& m) { m.values.resize(128); });
  expect_refused("too few codes", [](auto& m) { m.codes.pop_back(); });
  expect_refused("a type of integers", [](auto& m) { m.dtype = DType::kI32; });
  expect_refused("a mask of twos", [](auto& m) { m.pruned[3] = 2; });
  expect_refused("a broken pattern", [](auto& m) { m.prune_n = 2, m.prune_m = 4; });
  expect_refused("a label too large", [](auto& m) { m.group_of_column[0] = 1; });
  expect_refused("nine bits", [](auto& m) { m.bits_of_group[0] = 9; });
  expect_refused("a scale of 0", [](auto& m) { m.scale[0] = 0; });
  expect_refused("an infinite scale", [](auto& m) { m.scale[0] = 0x7c00; });
  expect_refused("an exponent out of range", [](auto& m) { m.scale_exponent = 113; });
  expect_refused("a zero point too wide", [](auto& m) { m.zero_point[0] = 16; });
  expect_refused("grids of two rows", [](auto& m) { m.grid_rows = 2; });
  expect_refused("codes and levels", [](auto& m) { m.levels.resize(64); });
}

TEST(PackedMatrix, ContradictoryLevelsAreTheCallersBug) {
  std::mt19937 engine(10);
  PackedForm form;
  form.levels = form.column_scaled = true;
  const CodedMatrixBuffers good = random_matrix(form, engine);
  EXPECT_THROW((void)packed_shape(good.view()), Error);
  const auto expect_refused = [&](const char* what, auto&& change) {
    CodedMatrixBuffers bad = good;
    change(bad);
    EXPECT_THROW((void)pack_matrix("m", bad.view()), Error) << what;
  };
  expect_refused("too few levels", [](auto& m) { m.levels.pop_back(); });
  expect_refused("a mask", [](auto& m) { m.pruned.resize(64); });
  expect_refused("zero points", [](auto& m) { m.zero_point.resize(4); });
  expect_refused("widths", [](auto& m) { m.bits_of_group = {4}; });
  expect_refused("too few scales", [](auto& m) { m.scale.pop_back(); });
  expect_refused("no grid rows", [](auto& m) { m.grid_rows = 0; });
  expect_refused("too few columns' scales", [](auto& m) { m.column_scale.pop_back(); });
  expect_refused("a column's scale of 0", [](auto& m) { m.column_scale[3] = 0; });
  expect_refused("a column exponent out of range", [](auto& m) { m.column_exponent = -126; });
  expect_refused("an exponent without scales", [](auto& m) {
    m.column_scale.clear();
    m.column_exponent = 1;
  });
  expect_refused("an infinite product", [](auto& m) {
    m.scale_exponent = m.column_exponent = 112;
    m.scale[0] = m.column_scale[0] = 0x3c00;
  });
}

}  // namespace
}  // namespace sgpt_mi::packing
