#include "sgpt_mi/cpu_kernels/dequantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "sgpt_mi/kernels/half.h"

namespace sgpt_mi::cpu_kernels {
namespace {

using kernels::bfloat16_to_float;
using kernels::half_to_float;

/// The nearest of the 16-bit type's numbers, ties to the even pattern, by looking at the two
/// neighbours that enclose |value|: independent of bit tricks.
template <typename Widen>
std::uint16_t nearest(float value, std::uint16_t infinity, const Widen& widen) {
  const double magnitude = std::fabs(static_cast<double>(value));
  std::uint16_t low = 0;
  std::uint16_t high = infinity;
  while (high - low > 1) {  // positive patterns are in the order of their values
    const auto middle = static_cast<std::uint16_t>((low + high) / 2);
    (static_cast<double>(widen(middle)) <= magnitude ? low : high) = middle;
  }
  const auto as_number = [&](std::uint16_t bits) {
    if (bits < infinity) return static_cast<double>(widen(bits));
    const auto last = static_cast<std::uint16_t>(infinity - 1);  // the next step beyond it
    const auto before = static_cast<std::uint16_t>(infinity - 2);
    return 2.0 * static_cast<double>(widen(last)) - static_cast<double>(widen(before));
  };
  const double below = magnitude - as_number(low);
  const double above = as_number(high) - magnitude;
  const bool up = above < below || (above == below && low % 2 == 1);
  const unsigned sign = std::signbit(value) ? 0x8000U : 0U;
  return static_cast<std::uint16_t>((up ? high : low) | sign);
}

std::vector<float> awkward_floats() {
  std::mt19937 engine(11);
  std::uniform_int_distribution<std::uint32_t> bits;
  std::vector<float> values = {0.0F,      -0.0F,      65504.0F, 65519.996F, 65520.0F,
                               -65520.0F, 1e30F,      -3.4e38F, 0x1p-14F,   0x1p-24F,
                               0x1p-25F,  0x1.8p-25F, 0x1p-26F, 0x1p-149F};
  while (values.size() < 200'000) {
    const float value = kernels::float_of(bits(engine));
    if (!std::isfinite(value)) continue;
    values.push_back(value);
    // The same mantissa where binary16 is subnormal, normal and about to overflow.
    int exponent = 0;
    const float mantissa = std::frexp(value, &exponent);
    values.push_back(std::ldexp(mantissa, static_cast<int>(bits(engine) % 45U) - 27));
  }
  // Half way between neighbours of binary16, and one float beside it.
  for (std::uint16_t half = 0; half < 0x7bff; half = static_cast<std::uint16_t>(half + 7)) {
    const auto next = static_cast<std::uint16_t>(half + 1);
    const float tie = 0.5F * (kernels::half_to_float(half) + kernels::half_to_float(next));
    values.insert(values.end(), {tie, std::nextafter(tie, 0.0F), -std::nextafter(tie, 1e9F)});
  }
  return values;
}

TEST(Half, EveryPatternSurvivesTheWayThroughFloat) {
  for (std::uint32_t bits = 0; bits <= 0xffffU; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float wide = kernels::half_to_float(half);
    if (std::isnan(wide)) {
      EXPECT_EQ(kernels::float_to_half(wide), 0x7e00U);
    } else {
      ASSERT_EQ(kernels::float_to_half(wide), half);
    }
    const float brain = kernels::bfloat16_to_float(half);
    ASSERT_EQ(kernels::float_to_bfloat16(brain), std::isnan(brain) ? 0x7fc0U : half);
  }
  EXPECT_EQ(kernels::half_to_float(0x3c00), 1.0F);
  EXPECT_EQ(kernels::half_to_float(0xc500), -5.0F);
  EXPECT_EQ(kernels::half_to_float(0x0001), 0x1p-24F);
  EXPECT_EQ(kernels::half_to_float(0x7bff), 65504.0F);
  EXPECT_EQ(kernels::half_to_float(0xfc00), -std::numeric_limits<float>::infinity());
}

TEST(Half, RoundsToTheNearestTiesToEven) {
  for (const float value : awkward_floats()) {
    ASSERT_EQ(kernels::float_to_half(value), nearest(value, 0x7c00, half_to_float)) << value;
    ASSERT_EQ(kernels::float_to_bfloat16(value), nearest(value, 0x7f80, bfloat16_to_float))
        << value;
  }
}

TEST(Half, TheBulkFormsEqualTheScalarOnes) {
  std::vector<float> values = awkward_floats();
  values.push_back(std::numeric_limits<float>::infinity());
  values.push_back(std::numeric_limits<float>::quiet_NaN());
  const auto count = static_cast<std::int64_t>(values.size());
  std::vector<std::uint16_t> half(values.size());
  std::vector<std::uint16_t> brain(values.size());
  round_to_half(values.data(), count, half.data());
  round_to_bfloat16(values.data(), count, brain.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(half[i], kernels::float_to_half(values[i])) << values[i];
    ASSERT_EQ(brain[i], kernels::float_to_bfloat16(values[i])) << values[i];
  }
}

TEST(DequantizeRow, AppliesTheGridAndZeroesWhatIsNotKept) {
  const std::vector<std::uint8_t> codes = {0, 3, 255, 7};
  const std::vector<float> scale = {0.5F, 0.25F, 1.0F, 2.0F};
  const std::vector<float> zero = {1.0F, 3.0F, 0.0F, 8.0F};
  const std::vector<std::uint8_t> kept = {1, 1, 0, 1};
  CodeRow row{codes.data(), nullptr, scale.data(), zero.data(), 4};
  std::vector<float> values(4);
  dequantize_row(row, values.data());
  EXPECT_EQ(values, (std::vector<float>{-0.5F, 0.0F, 255.0F, -2.0F}));
  EXPECT_FALSE(std::signbit(values[1]));
  row.kept = kept.data();
  dequantize_row(row, values.data());
  EXPECT_EQ(values, (std::vector<float>{-0.5F, 0.0F, 0.0F, -2.0F}));
}

}  // namespace
}  // namespace sgpt_mi::cpu_kernels
