#include "sgpt_mi/cpu_kernels/bfloat16_steps.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "exp2.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/half.h"
#include "sgpt_mi/kernels/simd.h"

namespace sgpt_mi::cpu_kernels {
namespace {

using kernels::bfloat16_to_float;
using kernels::float_to_bfloat16;
using Bits = std::uint16_t;

/// Rows that repay a thread's start.
constexpr std::int64_t kGrain = 16;

/// Sums are kept apart by column modulo kLanes, so that loops over them vectorise.
constexpr std::int64_t kLanes = 32;

/// out = bfloat16(x * scale) * weight, scale = 1 / sqrt(mean(x^2) + eps).
SGPT_MI_SIMD_CLONES void norm_row(const Bits* __restrict x, const Bits* __restrict weight,
                                  float eps, Bits* __restrict out, std::int64_t columns) {
  float sums[kLanes] = {};
  const std::int64_t whole = columns / kLanes * kLanes;
  for (std::int64_t j = 0; j < whole; j += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      const float value = bfloat16_to_float(x[j + lane]);
      sums[lane] += value * value;
    }
  }
  for (std::int64_t j = whole; j < columns; ++j) {
    const float value = bfloat16_to_float(x[j]);
    sums[j - whole] += value * value;
  }
  for (std::int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::int64_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  }
  const float scale = 1.0F / std::sqrt(sums[0] / static_cast<float>(columns) + eps);
  for (std::int64_t j = 0; j < columns; ++j) {
    const Bits quotient = float_to_bfloat16(bfloat16_to_float(x[j]) * scale);
    out[j] = float_to_bfloat16(bfloat16_to_float(quotient) * bfloat16_to_float(weight[j]));
  }
}

/// 1 / (1 + e) of positive x and e / (1 + e) of negative x, with e = 2^y, y = -|x| log2(e).
inline float sigmoid(float x) {
  constexpr float kLog2OfE = 1.44269504F;
  constexpr std::uint32_t kLargest = 0x42310000;  // 44.25: far from subnormal e, which are slow
  // Compared as bits: of a comparison of numbers g++ makes two ways through all that follows.
  const std::uint32_t magnitude = std::min(kernels::bits_of(x) & 0x7fffffffU, kLargest);
  const float y = -kLog2OfE * kernels::float_of(magnitude);
  const float shifted = y + kRoundAndBias;
  const float f = y - (shifted - kRoundAndBias);
  float p = 0.0F;
  exp2_fraction(f, p);
  const float e = p * kernels::float_of(kernels::bits_of(shifted) << 23);
  return (x < 0.0F ? e : 1.0F) / (1.0F + e);
}

SGPT_MI_SIMD_CLONES void swiglu_row(const Bits* __restrict gate, const Bits* __restrict up,
                                    Bits* __restrict out, std::int64_t columns) {
  for (std::int64_t j = 0; j < columns; ++j) {
    const float value = bfloat16_to_float(gate[j]);
    out[j] = float_to_bfloat16(value * sigmoid(value) * bfloat16_to_float(up[j]));
  }
}

/// All heads of a token: where they are, and how far from each other.
struct TokenHeads {
  const Bits* x;
  std::int64_t x_stride;
  float* output;
  std::int64_t output_stride;
  std::int64_t count;
};

SGPT_MI_SIMD_CLONES void rotate_token(const TokenHeads& heads, const float* __restrict cos,
                                      const float* __restrict sin, std::int64_t half) {
  for (std::int64_t head = 0; head < heads.count; ++head) {
    const Bits* __restrict from = heads.x + head * heads.x_stride;
    float* __restrict to = heads.output + head * heads.output_stride;
    for (std::int64_t d = 0; d < half; ++d) {
      const float first = bfloat16_to_float(from[d]);
      const float second = bfloat16_to_float(from[d + half]);
      to[d] = first * cos[d] - second * sin[d];
      to[d + half] = second * cos[d] + first * sin[d];
    }
  }
}

void require_cpu(const kernels::Backend& backend) {
  ensure(!backend.cuda, "bfloat16 steps: there are no CUDA twins; LibTorch's operations are they");
}

template <typename A, typename B>
bool same_shape(const A& a, const B& b) {
  return a.rows == b.rows && a.columns == b.columns;
}

}  // namespace

void rms_norm(const kernels::MatrixView<const Bits>& x, const Bits* weight, float eps,
              const kernels::MatrixView<Bits>& out, const kernels::Backend& backend) {
  require_cpu(backend);
  ensure(same_shape(x, out) && (weight != nullptr || x.columns == 0),
         "rms_norm: tensors of several shapes");
  backend.parallel_for(x.rows, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      norm_row(x.row(t), weight, eps, out.row(t), x.columns);
    }
  });
}

void swiglu(const kernels::MatrixView<const Bits>& gate, const kernels::MatrixView<const Bits>& up,
            const kernels::MatrixView<Bits>& out, const kernels::Backend& backend) {
  require_cpu(backend);
  ensure(same_shape(gate, up) && same_shape(gate, out), "swiglu: matrices of several shapes");
  backend.parallel_for(gate.rows, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      swiglu_row(gate.row(t), up.row(t), out.row(t), gate.columns);
    }
  });
}

void rotate_heads(const HeadRotation& rotation, const kernels::Backend& backend) {
  require_cpu(backend);
  ensure(rotation.head_dim % 2 == 0, "rotate_heads: heads of an odd number of elements");
  const std::int64_t half = rotation.head_dim / 2;
  const std::int64_t count = rotation.sequences * rotation.tokens;
  backend.parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t sequence = i / rotation.tokens;
      const std::int64_t token = i % rotation.tokens;
      const auto place = [&](const auto& view) {
        return view.head(sequence, 0) + token * view.token_stride;
      };
      rotate_token({place(rotation.x), rotation.x.head_stride, place(rotation.output),
                    rotation.output.head_stride, rotation.heads},
                   rotation.cos + token * half, rotation.sin + token * half, half);
    }
  });
}

}  // namespace sgpt_mi::cpu_kernels
