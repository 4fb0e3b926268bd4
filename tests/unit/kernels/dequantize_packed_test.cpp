#include "sgpt_mi/kernels/dequantize_packed.h"

#include <gtest/gtest.h>

#include "sgpt_mi/core/error.h"
#include "support/packed_weights.h"
#include "support/threads.h"

namespace sgpt_mi::kernels {
namespace {

TEST(DequantizePacked, FourWeightsByHand) {
  // 2 bits: codes 3, 1 and 2 of the kept weights 0, 2 and 3 of one row; mask 1101.
  const std::uint8_t codes[] = {0b10'01'11};
  const std::uint8_t mask[] = {0b1101};
  const std::uint8_t pattern[] = {0, 1};
  const std::int64_t first[] = {0};
  const float scale[] = {0.5F};
  const float zero[] = {1.0F};
  float values[] = {7.0F, 7.0F, 7.0F, 7.0F};
  PackedWeights packed;
  packed.rows = 1;
  packed.columns = 4;
  packed.streams[0] = {codes, 2, nullptr, 4, first};
  packed.stream_count = 1;
  packed.kept = {mask, 1, 1, pattern};
  packed.scale = {scale, 1, 1, 1};
  packed.zero = {zero, 1, 1, 1};
  packed.values = values;
  packed.stride = 4;
  dequantize_packed(packed, {});
  EXPECT_EQ(values[0], 1.0F);
  EXPECT_EQ(values[1], 0.0F);
  EXPECT_EQ(values[2], 0.0F);
  EXPECT_EQ(values[3], 0.5F);

  packed.streams[0].width = 9;
  EXPECT_THROW(dequantize_packed(packed, {}), Error);
  packed.streams[0].width = 2;
  packed.streams[0].first = nullptr;
  EXPECT_THROW(dequantize_packed(packed, {}), Error) << "the mask says nothing about rows";
  packed.streams[0].first = first;
  packed.stream_count = 0;
  EXPECT_THROW(dequantize_packed(packed, {}), Error) << "columns without a stream";
}

TEST(DequantizePacked, EveryFormFollowsTheDefinition) {
  Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  unsigned seed = 0;
  for (const test::PackedShape& shape : test::packed_shapes()) {
    SCOPED_TRACE(shape.text());
    const test::PackedProblem problem(shape, ++seed);
    const test::Matrix<std::uint8_t> expected = problem.expected();
    for (const Backend& backend : {Backend{}, threaded}) {
      test::TwinDevice device = test::host_device(backend);
      test::expect_same(problem.run(device), expected, test::PackedProblem::kGuard, "bytes");
    }
  }
}

}  // namespace
}  // namespace sgpt_mi::kernels
