#include "sgpt_mi/cpu_kernels/bfloat16_steps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "moment_examples.h"
#include "sgpt_mi/core/error.h"
#include "support/matrix.h"
#include "support/threads.h"

namespace sgpt_mi::cpu_kernels {
namespace {

using kernels::bfloat16_to_float;
using kernels::float_to_bfloat16;
using test::Bfloat16Matrix;
using Bits = std::vector<std::uint16_t>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Bfloat16Matrix normal(std::int64_t rows, std::int64_t columns, unsigned seed) {
  return Bfloat16Matrix(test::normal_matrix(rows, columns, seed), rows, columns);
}

kernels::MatrixView<std::uint16_t> view_of(Bits& bits, const Bfloat16Matrix& like) {
  return {bits.data(), like.view().rows, like.view().columns, like.view().columns};
}

Bits normed(const Bfloat16Matrix& x, const Bfloat16Matrix& weight, float eps,
            const kernels::Backend& backend = {}) {
  Bits out(x.bits.size());
  rms_norm(x.view(), weight.bits.data(), eps, view_of(out, x), backend);
  return out;
}

Bits gated(const Bfloat16Matrix& gate, const Bfloat16Matrix& up,
           const kernels::Backend& backend = {}) {
  Bits out(gate.bits.size());
  swiglu(gate.view(), up.view(), view_of(out, gate), backend);
  return out;
}

float gated(float gate, float up) {
  return bfloat16_to_float(gated(Bfloat16Matrix(test::Matrix<float>(1, 1, gate), 1, 1),
                                 Bfloat16Matrix(test::Matrix<float>(1, 1, up), 1, 1))[0]);
}

TEST(RmsNorm, ByHand) {
  // Mean of squares (9 + 16) / 2 = 12.5, with eps 3.5 it is 16: x / 4.
  test::Matrix<float> x(1, 2, 3.0F);
  x(0, 1) = -4.0F;
  test::Matrix<float> weight(1, 2, 2.0F);
  weight(0, 1) = 8.0F;
  const Bits out = normed(Bfloat16Matrix(x, 1, 2), Bfloat16Matrix(weight, 1, 2), 3.5F);
  EXPECT_EQ(bfloat16_to_float(out[0]), 1.5F);
  EXPECT_EQ(bfloat16_to_float(out[1]), -8.0F);
}

/// Columns below, at and beyond what is summed at a time.
class RmsNormShapes : public testing::TestWithParam<std::int64_t> {};

TEST_P(RmsNormShapes, IsTheFormula) {
  const std::int64_t columns = GetParam();
  constexpr std::int64_t kRows = 19;
  const Bfloat16Matrix x = normal(kRows, columns, 1);
  const Bfloat16Matrix weight = normal(1, columns, 2);
  const Bits out = normed(x, weight, 1e-5F);
  for (std::int64_t t = 0; t < kRows; ++t) {
    double squares = 0.0;
    for (std::int64_t j = 0; j < columns; ++j) squares += std::pow(x.values(t, j), 2.0);
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(columns) + 1e-5);
    for (std::int64_t j = 0; j < columns; ++j) {
      const double exact = x.values(t, j) * scale * weight.values(0, j);
      // Two roundings to 8 bits.
      ASSERT_NEAR(bfloat16_to_float(out[static_cast<std::size_t>(t * columns + j)]), exact,
                  0x1.02p-8 * std::fabs(exact) * 2.0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Columns, RmsNormShapes, testing::Values(1, 31, 32, 33, 64, 577));

TEST(RmsNorm, PassesOnWhatIsNotANumber) {
  const Bfloat16Matrix ones(test::Matrix<float>(1, 40, 1.0F), 1, 40);
  test::Matrix<float> x(1, 40, 1.0F);
  x(0, 35) = kNan;
  EXPECT_TRUE(std::isnan(bfloat16_to_float(normed(Bfloat16Matrix(x, 1, 40), ones, 0.0F)[0])));
  const Bfloat16Matrix zeros(test::Matrix<float>(1, 40, 0.0F), 1, 40);
  EXPECT_EQ(bfloat16_to_float(normed(zeros, ones, 1e-6F)[7]), 0.0F);
}

TEST(Swiglu, IsTheFormula) {
  const Bfloat16Matrix up = normal(13, 77, 3);
  test::Matrix<float> wide = test::normal_matrix(13, 77, 4);
  for (std::int64_t j = 0; j < 77; ++j) wide(0, j) *= 20.0F;
  const Bfloat16Matrix gate(wide, 13, 77);
  const Bits out = gated(gate, up);
  for (std::int64_t t = 0; t < 13; ++t) {
    for (std::int64_t j = 0; j < 77; ++j) {
      const double g = gate.values(t, j);
      const double exact = g / (1.0 + std::exp(-g)) * up.values(t, j);
      const double least = std::fabs(g * up.values(t, j)) * 0x1p-63;  // where sigmoid is cut
      ASSERT_NEAR(bfloat16_to_float(out[static_cast<std::size_t>(t * 77 + j)]), exact,
                  0x1.01p-8 * std::fabs(exact) + least)
          << g;
    }
  }
}

TEST(Swiglu, AtTheEndsOfTheRange) {
  EXPECT_EQ(gated(0.0F, 5.0F), 0.0F);
  EXPECT_EQ(gated(100.0F, 1.0F), 100.0F);
  EXPECT_NEAR(gated(-100.0F, 1.0F), 0.0F, 1e-15F);
  EXPECT_EQ(gated(1e30F, 1.0F), bfloat16_to_float(float_to_bfloat16(1e30F)));
  EXPECT_EQ(gated(kInfinity, 1.0F), kInfinity);
  EXPECT_TRUE(std::isnan(gated(kNan, 1.0F)));
  EXPECT_TRUE(std::isnan(gated(1.0F, kNan)));
}

/// (B, T, heads, D) with a gap behind every token.
struct Rotation {
  static constexpr std::int64_t kSequences = 2;
  static constexpr std::int64_t kTokens = 5;
  static constexpr std::int64_t kHeads = 3;
  static constexpr std::int64_t kHeadDim = 10;
  static constexpr std::int64_t kToken = kHeads * kHeadDim + 7;

  Rotation()
      : x(normal(kSequences * kTokens, kToken, 5)),
        cos(test::normal_matrix(kTokens, kHeadDim / 2, 6)),
        sin(test::normal_matrix(kTokens, kHeadDim / 2, 7)),
        output(static_cast<std::size_t>(kSequences * kTokens * kToken)) {
    call = {{x.bits.data(), kTokens * kToken, kToken, kHeadDim},
            &cos(0, 0),
            &sin(0, 0),
            {output.data(), kTokens * kToken, kToken, kHeadDim},
            kSequences,
            kTokens,
            kHeads,
            kHeadDim};
  }

  Bfloat16Matrix x;
  test::Matrix<float> cos;
  test::Matrix<float> sin;
  std::vector<float> output;
  HeadRotation call;
};

TEST(RotateHeads, IsTheFormula) {
  Rotation rotation;
  rotate_heads(rotation.call, {});
  constexpr std::int64_t kHalf = Rotation::kHeadDim / 2;
  for (std::int64_t row = 0; row < Rotation::kSequences * Rotation::kTokens; ++row) {
    const std::int64_t token = row % Rotation::kTokens;
    for (std::int64_t head = 0; head < Rotation::kHeads; ++head) {
      for (std::int64_t d = 0; d < kHalf; ++d) {
        const std::int64_t place = head * Rotation::kHeadDim + d;
        const float first = rotation.x.values(row, place);
        const float second = rotation.x.values(row, place + kHalf);
        const float cos = rotation.cos(token, d);
        const float sin = rotation.sin(token, d);
        const auto at = static_cast<std::size_t>(row * Rotation::kToken + place);
        ASSERT_EQ(rotation.output[at], first * cos - second * sin);
        ASSERT_EQ(rotation.output[at + kHalf], second * cos + first * sin);
      }
    }
    EXPECT_EQ(rotation.output[static_cast<std::size_t>((row + 1) * Rotation::kToken - 1)], 0.0F)
        << "written beyond the heads";
  }
}

TEST(Bfloat16Steps, GiveTheSameBitsOnAnyNumberOfThreads) {
  kernels::Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  const Bfloat16Matrix x = normal(70, 45, 8);
  const Bfloat16Matrix y = normal(70, 45, 9);
  EXPECT_EQ(normed(x, y, 1e-5F), normed(x, y, 1e-5F, threaded));
  EXPECT_EQ(gated(x, y), gated(x, y, threaded));
  Rotation one;
  Rotation three;
  rotate_heads(one.call, {});
  rotate_heads(three.call, threaded);
  EXPECT_EQ(one.output, three.output);
}

TEST(Bfloat16Steps, RefuseOtherShapesAndDevices) {
  const Bfloat16Matrix x = normal(2, 3, 1);
  const Bfloat16Matrix y = normal(3, 2, 1);
  kernels::Backend device;
  device.cuda = true;
  EXPECT_THROW(gated(x, y), Error);
  EXPECT_THROW(gated(x, x, device), Error);
  EXPECT_THROW(normed(x, x, 0.0F, device), Error);
  Rotation rotation;
  EXPECT_THROW(rotate_heads(rotation.call, device), Error);
  rotation.call.head_dim = 9;
  EXPECT_THROW(rotate_heads(rotation.call, {}), Error);
}

}  // namespace
}  // namespace sgpt_mi::cpu_kernels
