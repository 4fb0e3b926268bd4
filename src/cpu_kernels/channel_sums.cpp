#include "sgpt_mi/cpu_kernels/channel_sums.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/half.h"
#include "sgpt_mi/kernels/simd.h"

namespace sgpt_mi::cpu_kernels {
namespace {

/// Tokens summed in float32.
constexpr std::int64_t kGroup = 8;

/// Tokens of one partial result: enough work for a thread, and few partial results.
constexpr std::int64_t kBlock = 256;

/// The figures of one group of tokens, added to those of its block.
SGPT_MI_SIMD_CLONES void add_group(const float* __restrict x, std::int64_t stride,
                                   std::int64_t channels, double* __restrict sum,
                                   double* __restrict abs_sum, float* __restrict abs_max) {
  for (std::int64_t j = 0; j < channels; ++j) {
    float group_sum = 0.0F;
    float group_abs_sum = 0.0F;
    float most = abs_max[j];
    for (std::int64_t t = 0; t < kGroup; ++t) {
      const float value = x[t * stride + j];
      const float magnitude = std::fabs(value);
      group_sum += value;
      group_abs_sum += magnitude;
      most = magnitude > most ? magnitude : most;
    }
    sum[j] += group_sum;
    abs_sum[j] += group_abs_sum;
    abs_max[j] = most;
  }
}

SGPT_MI_SIMD_CLONES std::int32_t count_nonzeros(const float* x, std::int64_t channels) {
  std::int32_t count = 0;
  for (std::int64_t j = 0; j < channels; ++j) count += x[j] != 0.0F ? 1 : 0;
  return count;
}

/// The figures of up to kBlock tokens.
struct Partial {
  std::vector<double> sum;
  std::vector<double> abs_sum;
  std::vector<float> abs_max;
  std::int64_t nonzeros = 0;
};

SGPT_MI_SIMD_CLONES void widen_row(const std::uint16_t* __restrict bits, float* __restrict values,
                                   std::int64_t channels) {
  for (std::int64_t j = 0; j < channels; ++j) values[j] = kernels::bfloat16_to_float(bits[j]);
}

/// Eight rows from the first on, those beyond `count` zero, which add nothing: where they lie, or a
/// copy.
kernels::MatrixView<const float> group_of(const kernels::MatrixView<const float>& x,
                                          std::int64_t first, std::int64_t count,
                                          std::vector<float>& copy) {
  if (count == kGroup) return {x.row(first), kGroup, x.columns, x.stride};
  copy.assign(static_cast<std::size_t>(kGroup * x.columns), 0.0F);
  for (std::int64_t i = 0; i < count; ++i) {
    std::copy_n(x.row(first + i), x.columns, copy.data() + i * x.columns);
  }
  return {copy.data(), kGroup, x.columns, x.columns};
}

kernels::MatrixView<const float> group_of(const kernels::MatrixView<const std::uint16_t>& x,
                                          std::int64_t first, std::int64_t count,
                                          std::vector<float>& copy) {
  copy.resize(static_cast<std::size_t>(kGroup * x.columns));
  if (count < kGroup) std::fill(copy.begin(), copy.end(), 0.0F);
  for (std::int64_t i = 0; i < count; ++i) {
    widen_row(x.row(first + i), copy.data() + i * x.columns, x.columns);
  }
  return {copy.data(), kGroup, x.columns, x.columns};
}

template <typename T>
Partial sum_block(const kernels::MatrixView<const T>& x, std::int64_t first, std::int64_t last) {
  const auto channels = static_cast<std::size_t>(x.columns);
  Partial partial{std::vector<double>(channels), std::vector<double>(channels),
                  std::vector<float>(channels), 0};
  std::vector<float> copy;
  for (std::int64_t t = first; t < last; t += kGroup) {
    const std::int64_t count = std::min(kGroup, last - t);
    const kernels::MatrixView<const float> group = group_of(x, t, count, copy);
    add_group(group.data, group.stride, x.columns, partial.sum.data(), partial.abs_sum.data(),
              partial.abs_max.data());
    for (std::int64_t i = 0; i < count; ++i) {
      partial.nonzeros += count_nonzeros(group.row(i), x.columns);
    }
  }
  return partial;
}

template <typename T>
ChannelScan add_blocks(const kernels::MatrixView<const T>& x, const ChannelSums& sums,
                       const kernels::Backend& backend) {
  ensure(!backend.cuda, "channel_sums: there is no CUDA twin; LibTorch's reductions are it");
  ChannelScan scan;
  if (x.rows == 0 || x.columns == 0) return scan;
  ensure(x.data != nullptr && sums.sum != nullptr && sums.abs_sum != nullptr &&
             sums.abs_max != nullptr,
         "channel_sums: an array is missing");
  const std::int64_t blocks = (x.rows + kBlock - 1) / kBlock;
  std::vector<Partial> partials(static_cast<std::size_t>(blocks));
  backend.parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      partials[static_cast<std::size_t>(b)] =
          sum_block(x, b * kBlock, std::min((b + 1) * kBlock, x.rows));
    }
  });
  for (const Partial& partial : partials) {
    scan.nonzeros += partial.nonzeros;
    for (std::size_t j = 0; j < partial.sum.size(); ++j) {
      sums.sum[j] += partial.sum[j];
      sums.abs_sum[j] += partial.abs_sum[j];
      sums.abs_max[j] = std::max(sums.abs_max[j], partial.abs_max[j]);
      scan.finite = scan.finite && std::isfinite(partial.abs_sum[j]);
    }
  }
  return scan;
}

}  // namespace

ChannelScan add_channel_sums(const kernels::MatrixView<const float>& x, const ChannelSums& sums,
                             const kernels::Backend& backend) {
  return add_blocks(x, sums, backend);
}

ChannelScan add_channel_sums(const kernels::MatrixView<const std::uint16_t>& x,
                             const ChannelSums& sums, const kernels::Backend& backend) {
  return add_blocks(x, sums, backend);
}

}  // namespace sgpt_mi::cpu_kernels
