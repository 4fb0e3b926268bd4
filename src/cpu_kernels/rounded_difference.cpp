#include "sgpt_mi/cpu_kernels/rounded_difference.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/half.h"
#include "sgpt_mi/kernels/simd.h"

namespace sgpt_mi::cpu_kernels {
namespace {

/// Tokens whose figures are summed apart: enough work for a thread, few enough for float32.
constexpr std::int64_t kBlock = 32;

struct RowCounts {
  std::int32_t nonzeros = 0;
  std::int32_t overflows = 0;
};

/// One token; |a - b| is added to `magnitudes`.
SGPT_MI_SIMD_CLONES RowCounts subtract_row(const std::uint16_t* __restrict a,
                                           const std::uint16_t* __restrict b,
                                           std::uint16_t* __restrict out,
                                           float* __restrict magnitudes, std::int64_t channels) {
  constexpr std::uint32_t kInfinity = 0x7f80;
  std::int32_t nonzeros = 0;
  std::int32_t overflows = 0;
  for (std::int64_t j = 0; j < channels; ++j) {
    const float difference = kernels::bfloat16_to_float(a[j]) - kernels::bfloat16_to_float(b[j]);
    const std::uint16_t rounded = kernels::float_to_bfloat16(difference);
    out[j] = rounded;
    magnitudes[j] += std::fabs(difference);
    nonzeros += difference != 0.0F ? 1 : 0;
    overflows += (rounded & 0x7fffU) >= kInfinity ? 1 : 0;
  }
  return {nonzeros, overflows};
}

}  // namespace

DifferenceScan rounded_difference(const kernels::MatrixView<const std::uint16_t>& a,
                                  const kernels::MatrixView<const std::uint16_t>& b,
                                  const kernels::MatrixView<std::uint16_t>& rounded,
                                  const kernels::Backend& backend) {
  ensure(!backend.cuda, "rounded_difference: there is no CUDA twin; LibTorch's conversions are it");
  ensure(a.rows == b.rows && a.columns == b.columns && a.rows == rounded.rows &&
             a.columns == rounded.columns,
         "rounded_difference: matrices of several shapes");
  const std::int64_t blocks = (a.rows + kBlock - 1) / kBlock;
  std::vector<DifferenceScan> scans(static_cast<std::size_t>(blocks));
  backend.parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> magnitudes(static_cast<std::size_t>(a.columns));
    for (std::int64_t block = begin; block < end; ++block) {
      DifferenceScan& scan = scans[static_cast<std::size_t>(block)];
      std::fill(magnitudes.begin(), magnitudes.end(), 0.0F);
      for (std::int64_t t = block * kBlock; t < std::min((block + 1) * kBlock, a.rows); ++t) {
        const RowCounts counts =
            subtract_row(a.row(t), b.row(t), rounded.row(t), magnitudes.data(), a.columns);
        scan.nonzeros += counts.nonzeros;
        scan.finite = scan.finite && counts.overflows == 0;
      }
      for (const float magnitude : magnitudes) scan.abs_sum += static_cast<double>(magnitude);
    }
  });
  DifferenceScan total;
  for (const DifferenceScan& scan : scans) {
    total.finite = total.finite && scan.finite;
    total.nonzeros += scan.nonzeros;
    total.abs_sum += scan.abs_sum;
  }
  return total;
}

}  // namespace sgpt_mi::cpu_kernels
