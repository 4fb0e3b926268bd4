#include "sgpt_mi/cpu_kernels/level_counts.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <mutex>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/simd.h"

namespace sgpt_mi::cpu_kernels {
namespace {

/// Rows that repay a thread's start and its share of the sums.
constexpr std::int64_t kGrain = 64;
/// Neighbours are mostly alike, and a count that was just written is slow to read: they take turns
/// at as many counts.
constexpr std::int64_t kTurns = 4;

SGPT_MI_SIMD_CLONES void round_row(const float* __restrict weight, float row_step,
                                   const float* __restrict column_step,
                                   std::int16_t* __restrict levels, std::int64_t columns) {
  constexpr float kMost = 32767.0F;
  for (std::int64_t j = 0; j < columns; ++j) {
    const float wanted = std::rint(weight[j] / (row_step * column_step[j]));
    const float floored = wanted > -kMost ? wanted : -kMost;
    levels[j] =
        static_cast<std::int16_t>(static_cast<std::int32_t>(floored < kMost ? floored : kMost));
  }
}

/// Adds |level| to the columns' sums; returns the row's.
SGPT_MI_SIMD_CLONES std::int64_t add_magnitudes(const std::int16_t* __restrict levels,
                                                std::int32_t* __restrict columns,
                                                std::int64_t count) {
  std::int64_t sum = 0;
  for (std::int64_t j = 0; j < count; ++j) {
    const std::int32_t magnitude = std::abs(static_cast<std::int32_t>(levels[j]));
    columns[j] += magnitude;
    sum += magnitude;
  }
  return sum;
}

std::int32_t bucket_of(std::int32_t magnitude, LevelBuckets buckets) {
  if (magnitude < buckets.counted) return magnitude;
  const auto times = static_cast<std::uint32_t>(magnitude / buckets.counted);
  const auto octave = static_cast<std::int32_t>(std::bit_width(times)) - 1;
  return buckets.counted + std::min(octave, buckets.octaves - 1);
}

void require_cpu(const kernels::Backend& backend) {
  ensure(!backend.cuda, "level_counts: there are no CUDA twins; LibTorch's operations are they");
}

}  // namespace

void nearest_levels(const kernels::MatrixView<const float>& weight, const float* row_step,
                    const float* column_step, const kernels::MatrixView<std::int16_t>& levels,
                    const kernels::Backend& backend) {
  require_cpu(backend);
  ensure(weight.rows == levels.rows && weight.columns == levels.columns,
         "nearest_levels: matrices of several shapes");
  backend.parallel_for(weight.rows, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      round_row(weight.row(r), row_step[r], column_step, levels.row(r), weight.columns);
    }
  });
}

MagnitudeSums magnitude_sums(const kernels::MatrixView<const std::int16_t>& levels,
                             const kernels::Backend& backend) {
  require_cpu(backend);
  MagnitudeSums sums{std::vector<std::int64_t>(static_cast<std::size_t>(levels.rows)),
                     std::vector<std::int64_t>(static_cast<std::size_t>(levels.columns))};
  std::mutex mutex;
  backend.parallel_for(levels.rows, kGrain, [&](std::int64_t begin, std::int64_t end) {
    constexpr std::int64_t kExact = 65536;  // rows of magnitudes below 2^15 in an int32
    for (std::int64_t first = begin; first < end; first += kExact) {
      std::vector<std::int32_t> columns(static_cast<std::size_t>(levels.columns));
      for (std::int64_t r = first; r < std::min(first + kExact, end); ++r) {
        sums.rows[static_cast<std::size_t>(r)] =
            add_magnitudes(levels.row(r), columns.data(), levels.columns);
      }
      const std::lock_guard lock(mutex);
      for (std::size_t j = 0; j < columns.size(); ++j) sums.columns[j] += columns[j];
    }
  });
  return sums;
}

std::vector<std::int64_t> count_levels(const kernels::MatrixView<const std::int16_t>& levels,
                                       const LevelClasses& classes, LevelBuckets buckets,
                                       const kernels::Backend& backend) {
  require_cpu(backend);
  ensure(classes.tables > 0 && buckets.counted > 0 && buckets.octaves > 0,
         "count_levels: no table or no bucket");
  const std::int32_t size = buckets.size();
  const auto all = static_cast<std::size_t>(classes.tables) * static_cast<std::size_t>(size);
  std::vector<std::int64_t> total(all);
  std::mutex mutex;
  backend.parallel_for(levels.rows, kGrain, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::int64_t> counts(kTurns * all);
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int16_t* row = levels.row(r);
      for (std::int64_t j = 0; j < levels.columns; ++j) {
        const std::int32_t table =
            std::clamp(classes.row[r] + classes.column[j], 0, classes.tables - 1);
        const std::int32_t bucket = bucket_of(std::abs(static_cast<std::int32_t>(row[j])), buckets);
        const auto turn = static_cast<std::size_t>(j % kTurns);
        ++counts[turn * all + static_cast<std::size_t>(table * size + bucket)];
      }
    }
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < counts.size(); ++i) total[i % all] += counts[i];
  });
  return total;
}

}  // namespace sgpt_mi::cpu_kernels
