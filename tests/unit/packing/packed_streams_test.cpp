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
    packed.streams[packed.stream_count++] = {bytes_of(codes.bits), codes.width, codes.column.data(),
                                             static_cast<std::int64_t>(codes.column.size()),
                                             codes.first.data()};
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
  int drawn = 0;
  for (const bool masked : {false, true}) {
    for (const bool ranked : {false, true}) {
      for (const bool shared : {false, true}) {
        for (const std::int64_t groups : {1, 5}) {
          PackedForm form;
          form.rows = 7;
          form.columns = 48;
          form.widths = groups == 1 ? std::vector<int>{3} : std::vector<int>{2, 4, 8};
          form.groups = groups;
          form.labels = groups > 1;
          form.shared = shared;
          form.masked = masked;
          if (masked && ranked) {
            form.prune_n = 2;
            form.prune_m = 4;
          }
          form.dtype = std::vector<DType>{DType::kF32, DType::kF16,
                                          DType::kBF16}[static_cast<std::size_t>(drawn++ % 3)];
          const std::vector<PackedPart> parts =
              pack_matrix("m", test::random_matrix(form, engine).view());
          EXPECT_EQ(dequantized(read_packed_streams(found("m", parts))),
                    unpack_matrix(found("m", parts)))
              << drawn;
        }
      }
    }
  }
}

TEST(PackedStreams, RefusesWhatUnpackMatrixRefusesAndValues) {
  std::mt19937 engine(2);
  std::vector<PackedPart> parts = pack_matrix("m", test::random_matrix({}, engine).view());
  parts.back().bytes.front() ^= std::byte{1};
  EXPECT_THROW(static_cast<void>(read_packed_streams(found("m", parts))), Error);
  PackedForm values;
  values.widths = {};
  parts = pack_matrix("m", test::random_matrix(values, engine).view());
  EXPECT_THROW(static_cast<void>(read_packed_streams(found("m", parts))), Error);
  PackedForm levels;
  levels.levels = true;
  const std::vector<PackedPart> coded = pack_matrix("m", random_matrix(levels, engine).view());
  EXPECT_THROW(static_cast<void>(read_packed_streams(found("m", coded))), Error);
}

}  // namespace
}  // namespace sgpt_mi::packing
