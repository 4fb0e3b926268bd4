#pragma once

namespace sgpt_mi::cpu_kernels {

/// What is added to y so that the sum's lowest bits are round(y) + 127, the exponent bits of
/// 2^round(y); taken away again it leaves round(y).
constexpr float kRoundAndBias = 12582912.0F + 127.0F;  // 1.5 * 2^23

/// p = 2^f for |f| <= 1/2: a minimax polynomial of degree 6 (relative error 2e-9). T is float or a
/// vector of them; inlined, because only the caller may use a vector's instructions.
template <typename T>
__attribute__((always_inline)) inline void exp2_fraction(const T& f, T& p) {
  p = 0x1.41fbbep-13F * f + 0x1.5f3e54p-10F;
  p = p * f + 0x1.3b2d4cp-7F;
  p = p * f + 0x1.c6aee8p-5F;
  p = p * f + 0x1.ebfbdcp-3F;
  p = p * f + 0x1.62e43p-1F;
  p = p * f + 1.0F;
}

}  // namespace sgpt_mi::cpu_kernels
