#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "sgpt_mi/kernels/host_device.h"

// The scalar formulas that the CPU and the CUDA twins share. Both are compiled without contraction
// to fused multiply-adds, so one formula gives one result everywhere.
namespace sgpt_mi::kernels {

/// The code of a weight: clamp(round(w / scale) + zero, 0, max_code), half to even; 0 for NaN,
/// which has no code, so that storing it as a byte is defined.
SGPT_MI_HOST_DEVICE inline float code_of(float weight, float scale, float zero, float max_code) {
  const float code = std::rint(weight / scale) + zero;
  const float floored = code > 0.0F ? code : 0.0F;
  return floored > max_code ? max_code : floored;
}

/// The value of a code.
SGPT_MI_HOST_DEVICE inline float value_of(float code, float scale, float zero) {
  return scale * (code - zero);
}

/// The number of levels below the nearest one to w / scale: its code. Borders lie midway and belong
/// to the lower level.
SGPT_MI_HOST_DEVICE inline float table_code_of(float weight, float scale, const float* level) {
  const float wanted = weight / scale;
  float code = 0.0F;
  for (int i = 1; i < 16; ++i) code += wanted > 0.5F * (level[i - 1] + level[i]) ? 1.0F : 0.0F;
  return code;
}

/// Levels of a matrix to be entropy-coded are whole numbers up to this in magnitude.
constexpr float kMostLevel = 32767.0F;

/// Magnitudes of levels that have a price of their own in a LevelView; a larger one costs as much
/// more for each step as the last two differ.
constexpr std::int32_t kPricedLevels = 32;

/// The price of a level of magnitude |k| in the table that begins at price[first]. Free of branches
/// and of pointers that differ by row, as the next one: loops over it vectorise.
SGPT_MI_HOST_DEVICE inline float price_of_level(float magnitude, const float* price,
                                                std::int32_t first = 0) {
  constexpr std::int32_t kLast = kPricedLevels - 1;
  constexpr auto kLastMagnitude = static_cast<float>(kLast);
  const float priced = magnitude < kLastMagnitude ? magnitude : kLastMagnitude;
  const float beyond = magnitude > kLastMagnitude ? magnitude - kLastMagnitude : 0.0F;
  const float slope = price[first + kLast] - price[first + kLast - 1];
  return price[first + static_cast<std::int32_t>(priced)] + beyond * slope;
}

/// The level k of least cost * (wanted - k)^2 + price(|k|) among the nearest one, its neighbour
/// toward 0, and 0; NaN for NaN.
SGPT_MI_HOST_DEVICE inline float priced_level(float wanted, float cost, const float* price,
                                              std::int32_t first = 0) {
  const float floored = wanted < -kMostLevel ? -kMostLevel : wanted;
  const float nearest = std::rint(floored > kMostLevel ? kMostLevel : floored);
  const float magnitude = std::fabs(nearest);
  const float inner_magnitude = magnitude > 1.0F ? magnitude - 1.0F : 0.0F;
  const float inner = nearest > 0.0F ? inner_magnitude : 0.0F - inner_magnitude;
  const float away = wanted - nearest;
  const float inner_away = wanted - inner;
  const float of_nearest = cost * (away * away) + price_of_level(magnitude, price, first);
  const float of_inner =
      cost * (inner_away * inner_away) + price_of_level(inner_magnitude, price, first);
  const float of_zero = cost * (wanted * wanted) + price[first];
  const float level = of_inner < of_nearest ? inner : nearest;
  const float least = of_inner < of_nearest ? of_inner : of_nearest;
  return of_zero < least ? 0.0F : level;
}

/// The mask score of a weight: w^2 / U_jj^2.
SGPT_MI_HOST_DEVICE inline float score_of(float weight, float diagonal) {
  return (weight * weight) / (diagonal * diagonal);
}

/// The value of a weight that minimises 1/2 tr(E H E^T) when all others stay: q - G / H_jj.
SGPT_MI_HOST_DEVICE inline float descended(float weight, float gradient, float diagonal) {
  return weight - gradient / diagonal;
}

/// Whether pruning a weight with this optimum costs more than the threshold: H_jj w*^2 > threshold.
SGPT_MI_HOST_DEVICE inline bool exceeds(float optimum, float diagonal, float threshold) {
  return diagonal * (optimum * optimum) > threshold;
}

/// Two columns k (kept) and j (pruned) of a Hessian.
struct HessianPair {
  float kk;
  float kj;
  float jj;
};

/// What the exchange of weight q_k for the best q_j adds to 1/2 tr(E H E^T); 0 unless it is below
/// 0 by more than float32 rounding of its terms may explain (1e-6 is
/// 17 times float32's rounding unit; a term goes through about 8 roundings).
SGPT_MI_HOST_DEVICE inline float exchange_delta(float weight_k, float gradient_k, float gradient_j,
                                                HessianPair hessian) {
  constexpr float kExchangeMargin = 1e-6F;
  const float removal = 0.5F * (hessian.kk * (weight_k * weight_k));
  const float slope = gradient_k * weight_k;
  const float moved = gradient_j - weight_k * hessian.kj;
  const float gain = 0.5F * ((moved * moved) / hessian.jj);
  const float delta = (removal - slope) - gain;
  const float rounding = kExchangeMargin * ((removal + std::fabs(slope)) + gain);
  return delta < -rounding ? delta : 0.0F;
}

/// An unsigned key in the order of the floats, from a float's bits.
SGPT_MI_HOST_DEVICE inline std::uint32_t order_key(std::uint32_t bits) {
  const std::uint32_t sign = 0x80000000U;
  return (bits & sign) != 0 ? ~bits : bits | sign;
}

/// The inverse of order_key.
SGPT_MI_HOST_DEVICE inline std::uint32_t bits_of_key(std::uint32_t key) {
  const std::uint32_t sign = 0x80000000U;
  return (key & sign) != 0 ? key & ~sign : ~key;
}

/// A first guess of t^(-1/5) within 3.3 % from the bits of a float t >= 0: the exponent is divided
/// by -5, and the constant, 6/5 of the exponent bias less a little, balances the error over
/// mantissas.
SGPT_MI_HOST_DEVICE inline std::uint32_t inverse_fifth_root_guess(std::uint32_t bits) {
  return 0x4C2B8000U - bits / 5U;
}

/// t^1.2 from a guess of t^(-1/5), so |d|^2.4 for t = d^2. Three Newton steps for r = t^(-1/5),
/// r <- r (6 - t r^5) / 5, each about squaring the relative error; then t^1.2 = t (t r^4). Order of
/// the products keeps t = 0 and every normal t in range. Faster than pow, and it vectorises.
SGPT_MI_HOST_DEVICE inline float power_six_fifths(float t, float guess) {
  float r = guess;
  for (int step = 0; step < 3; ++step) {
    const float square = r * r;
    r = r * (1.2F - 0.2F * (((t * square) * square) * r));
  }
  const float square = r * r;
  return t * ((t * square) * square);
}

/// One affine grid.
struct ScaleZero {
  float scale;
  float zero;
};

/// The grid of a range that contains 0.
SGPT_MI_HOST_DEVICE inline ScaleZero grid_of_range(float low, float high, float max_code,
                                                   bool symmetric) {
  const float scale = (high - low) / max_code;
  return {scale, symmetric ? (max_code + 1.0F) / 2.0F : std::rint(-low / scale)};
}

/// No clip search keeps less of the range.
constexpr float kLeastClipShare = 0.2F;

/// The range that fit_grid uses for weights between `low` and `high`.
struct Range {
  float low;
  float high;
};

/// `low` <= 0 <= `high`, both sides equal when symmetric, [-1, 1] when the scale would be 0.
SGPT_MI_HOST_DEVICE inline Range usable_range(float low, float high, float max_code,
                                              bool symmetric) {
  low = low < 0.0F ? low : 0.0F;
  high = high > 0.0F ? high : 0.0F;
  if (symmetric) {
    high = -low > high ? -low : high;
    low = -high;
  }
  // The smallest normal number leaves the narrowest range of the clip search a scale.
  const float smallest_scale = 1.17549435e-38F / kLeastClipShare;
  if ((high - low) / max_code < smallest_scale) return {-1.0F, 1.0F};
  return {low, high};
}

/// Partial sums of a clip trial: weight i of the group goes to lane i % 32, and lanes are added
/// pairwise, 16 apart, 8 apart ... 1 apart. A CUDA warp adds like this, so the CPU does too.
constexpr int kSumLanes = 32;

/// One code of a bit stream without gaps, from the one or two bytes that hold it.
SGPT_MI_HOST_DEVICE inline std::uint32_t code_at(const std::uint8_t* stream, std::int64_t index,
                                                 int width) {
  const std::int64_t bit = index * width;
  const int shift = static_cast<int>(bit % 8);
  std::uint32_t bits = stream[bit / 8];
  if (shift + width > 8) bits |= static_cast<std::uint32_t>(stream[bit / 8 + 1]) << 8;
  return bits >> shift & ((1U << width) - 1U);
}

/// The share of the range that number `trial` of a clip search keeps.
SGPT_MI_HOST_DEVICE inline float clip_share(int trial, double step) {
  return static_cast<float>(1.0 - static_cast<double>(trial) * step);
}

/// d^(-1/2) of a degree; 0 for one that is not above 0.
SGPT_MI_HOST_DEVICE inline double inverse_root_of(double degree) {
  return degree > 0.0 ? 1.0 / std::sqrt(degree) : 0.0;
}

/// Mean and inverse deviation of a channel.
struct Channel {
  double mean;
  double inverse_deviation;
};

/// The correlation of two channels from their second moment, at most `cap` in magnitude. Both
/// channels are treated alike, so that their order does not matter.
SGPT_MI_HOST_DEVICE inline float correlation_of(double second_moment, Channel i, Channel j,
                                                double cap) {
  const double covariance = second_moment - i.mean * j.mean;
  const double rho = covariance * (i.inverse_deviation * j.inverse_deviation);
  const double floored = rho < -cap ? -cap : rho;
  return static_cast<float>(floored > cap ? cap : floored);
}

/// -1/2 ln(1 - t) for 0 <= t < 1, within 1e-13 relative; NaN for NaN.
///
/// 1 - t = m 2^k with m in [sqrt(1/2), sqrt(2)), and ln m = 2 artanh s, s = (m - 1) / (m + 1), a
/// series in s^2 <= 0.0295 whose first left-out term is 2/17 s^17. With k = 0 the difference m - 1
/// is -t itself, which keeps the digits of a small t.
SGPT_MI_HOST_DEVICE inline double nats_of_square(double t) {
  constexpr std::uint64_t kOne = 0x3ff0000000000000U;
  constexpr std::uint64_t kRootOfHalf = 0x3fe6a09e667f3bcdU;
  constexpr std::uint64_t kMantissa = 0x000fffffffffffffU;
  constexpr std::uint64_t kTwoTo52 = 0x4330000000000000U;  // its last place is 1
  constexpr double kLn2 = 0.69314718055994530942;
  const double rest = 1.0 - t;
  std::uint64_t bits = 0;
  std::memcpy(&bits, &rest, sizeof bits);
  bits += kOne - kRootOfHalf;
  const std::uint64_t mantissa = (bits & kMantissa) + kRootOfHalf;
  const std::uint64_t exponent = bits >> 52 | kTwoTo52;
  double m = 0.0;
  double k = 0.0;
  std::memcpy(&m, &mantissa, sizeof m);
  std::memcpy(&k, &exponent, sizeof k);
  k -= 0x1p52 + 1023.0;
  const double f = k == 0.0 ? -t : m - 1.0;
  const double s = f / (2.0 + f);
  const double z = s * s;
  double series = 2.0 / 15.0;
  series = series * z + 2.0 / 13.0;
  series = series * z + 2.0 / 11.0;
  series = series * z + 2.0 / 9.0;
  series = series * z + 2.0 / 7.0;
  series = series * z + 2.0 / 5.0;
  series = series * z + 2.0 / 3.0;
  const double not_a_number = t - t;  // or 0: the bits above have lost it
  return -0.5 * (k * kLn2 + (2.0 * s + s * (z * series))) + not_a_number;
}

}  // namespace sgpt_mi::kernels
