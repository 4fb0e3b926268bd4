#include "sgpt_mi/cpu_kernels/split_difference.h"

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
SGPT_MI_SIMD_CLONES RowCounts split_row(const std::uint16_t* __restrict a,
                                        const std::uint16_t* __restrict b,
                                        std::uint16_t* __restrict high,
                                        std::uint16_t* __restrict low, float* __restrict magnitudes,
                                        std::int64_t channels) {
  constexpr std::uint32_t kInfinity = 0x7f80;
  std::int32_t nonzeros = 0;
  std::int32_t overflows = 0;
  for (std::int64_t j = 0; j < channels; ++j) {
    const float difference = kernels::bfloat16_to_float(a[j]) - kernels::bfloat16_to_float(b[j]);
    const std::uint16_t rounded = kernels::float_to_bfloat16(difference);
    high[j] = rounded;
    low[j] = kernels::float_to_bfloat16(difference - kernels::bfloat16_to_float(rounded));
    magnitudes[j] += std::fabs(difference);
    nonzeros += difference != 0.0F ? 1 : 0;
    overflows += (rounded & 0x7fffU) >= kInfinity ? 1 : 0;
  }
  return {nonzeros, overflows};
}

bool same_shape(const kernels::MatrixView<const std::uint16_t>& a,
                const kernels::MatrixView<std::uint16_t>& part) {
  return a.rows == part.rows && a.columns == part.columns;
}

}  // namespace

DifferenceScan split_difference(const kernels::MatrixView<const std::uint16_t>& a,
                                const kernels::MatrixView<const std::uint16_t>& b,
                                const kernels::MatrixView<std::uint16_t>& high,
                                const kernels::MatrixView<std::uint16_t>& low,
                                const kernels::Backend& backend) {
  ensure(!backend.cuda, "split_difference: there is no CUDA twin; LibTorch's conversions are it");
  ensure(a.rows == b.rows && a.columns == b.columns && same_shape(a, high) && same_shape(a, low),
         "split_difference: matrices of several shapes");
  const std::int64_t blocks = (a.rows + kBlock - 1) / kBlock;
  std::vector<DifferenceScan> scans(static_cast<std::size_t>(blocks));
  backend.parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> magnitudes(static_cast<std::size_t>(a.columns));
    for (std::int64_t block = begin; block < end; ++block) {
      DifferenceScan& scan = scans[static_cast<std::size_t>(block)];
      std::fill(magnitudes.begin(), magnitudes.end(), 0.0F);
      for (std::int64_t t = block * kBlock; t < std::min((block + 1) * kBlock, a.rows); ++t) {
        const RowCounts counts =
            split_row(a.row(t), b.row(t), high.row(t), low.row(t), magnitudes.data(), a.columns);
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
