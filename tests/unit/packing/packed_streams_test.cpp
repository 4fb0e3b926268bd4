#include "sgpt_mi/packing/packed_streams.h"

#include <gtest/gtest.h>

#include <random>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/dequantize_packed.h"
#include "support/packed_examples.h"

namespace sgpt_mi::packing {
namespace {

using test::found;
using test::PackedForm;

const std::uint8_t* bytes_of(std::span<const std::byte> bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

kernels::FloatType float_type(DType dtype) {
  if (dtype == DType::kF32) return kernels::FloatType::kFloat32;
  return dtype == DType::kF16 ? kernels::FloatType::kFloat16 : kernels::FloatType::kBFloat16;
}

/// The dense matrix, by way of the streams.
std::vector<std::byte> dequantized(const PackedStreams& streams) {
  std::vector<std::byte> values(static_cast<std::size_t>(streams.rows * streams.columns) *
                                dtype_size(streams.dtype));
  kernels::PackedWeights packed;
  packed.rows = streams.rows;
  packed.columns = streams.columns;
  for (const PackedCodeStream& codes : streams.codes) {
    packed.streams[packed.stream_count++] = {bytes_of(codes.bits), codes.width,
                                             codes.column.empty() ? nullptr : codes.column.data(),
                                             codes.columns, codes.first.data()};
  }
  if (!streams.pattern.empty()) {
    packed.kept = {bytes_of(streams.mask), streams.mask_width, streams.mask_size,
                   streams.pattern.data()};
  }
  const std::int64_t stride = streams.grid_rows == 1 ? 0 : streams.groups;
  packed.scale = {streams.scale.data(), streams.rows, streams.groups, stride};
  packed.zero = {streams.zero.data(), streams.rows, streams.groups, stride};
  packed.group_of_column = streams.group_of_column.data();
  packed.type = float_type(streams.dtype);
  packed.values = values.data();
  packed.stride = streams.columns;
  kernels::dequantize_packed(packed, {});
  return values;
}

TEST(PackedStreams, GiveTheMatrixThatUnpackMatrixGives) {
  std::mt19937 engine(1);
  for (const PackedForm& form : test::packed_forms()) {
    const std::vector<PackedPart> parts = pack_matrix("m", random_matrix(form, engine).view());
    const PackedContents contents = read_packed_contents(found("m", parts));
    ASSERT_EQ(std::holds_alternative<PackedLevels>(contents), form.levels);
    if (form.levels) continue;  // decoded by unpack::unpack_on() and unpack_matrix() alone
    EXPECT_EQ(dequantized(std::get<PackedStreams>(contents)), unpack_matrix(found("m", parts)))
        << form.groups << " groups of " << form.widths.size() << " widths";
  }
}

TEST(PackedStreams, RefusesWhatUnpackMatrixRefuses) {
  std::mt19937 engine(2);
  std::vector<PackedPart> parts = pack_matrix("m", test::random_matrix({}, engine).view());
  parts.back().bytes.front() ^= std::byte{1};
  EXPECT_THROW(static_cast<void>(read_packed_contents(found("m", parts))), Error);
}

}  // namespace
}  // namespace sgpt_mi::packing
