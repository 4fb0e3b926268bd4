#pragma once

#include <cstdint>
#include <vector>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::cpu_kernels {

// Levels of a matrix (kernels::LevelView) and how often they occur, in one pass over memory each.
// Results do not depend on the number of threads. CPU only; all throw Error(kInternal): shapes that
// disagree, a CUDA backend.

/// levels = weight / (row_step * column_step), rounded half to even and cut to +-32767; the product
/// and the quotient are float32. NaN becomes -32767.
/// \param row_step     (rows) > 0.
/// \param column_step  (columns) > 0.
void nearest_levels(const kernels::MatrixView<const float>& weight, const float* row_step,
                    const float* column_step, const kernels::MatrixView<std::int16_t>& levels,
                    const kernels::Backend& backend);

/// Sums of |level|.
struct MagnitudeSums {
  std::vector<std::int64_t> rows;     ///< along each row
  std::vector<std::int64_t> columns;  ///< along each column
};

[[nodiscard]] MagnitudeSums magnitude_sums(const kernels::MatrixView<const std::int16_t>& levels,
                                           const kernels::Backend& backend);

/// Which count a level adds to: magnitudes below `counted` have buckets of their own, larger ones
/// go by octave, floor(log2(|level| / counted)), the last one taking what is beyond it.
struct LevelBuckets {
  std::int32_t counted = 1;
  std::int32_t octaves = 1;

  [[nodiscard]] constexpr std::int32_t size() const { return counted + octaves; }
};

/// The table of row r and column j is row[r] + column[j], cut to 0 .. tables - 1.
struct LevelClasses {
  const std::int32_t* row = nullptr;     ///< (rows)
  const std::int32_t* column = nullptr;  ///< (columns)
  std::int32_t tables = 1;
};

/// How many levels of every table are in every bucket: (tables, buckets.size()), row after row.
[[nodiscard]] std::vector<std::int64_t> count_levels(
    const kernels::MatrixView<const std::int16_t>& levels, const LevelClasses& classes,
    LevelBuckets buckets, const kernels::Backend& backend);

}  // namespace sgpt_mi::cpu_kernels
