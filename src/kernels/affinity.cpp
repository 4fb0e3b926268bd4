#include "sgpt_mi/kernels/affinity.h"

#include <array>
#include <cmath>
#include <cstddef>

#include "arithmetic.h"
#include "cuda_twins.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/simd.h"
#include "shapes.h"

namespace sgpt_mi::kernels {
namespace {

constexpr std::int64_t kRowGrain = 8;

SGPT_MI_SIMD_CLONES void add_to_lanes(const float* __restrict values, std::int64_t whole,
                                      double* __restrict sums) {
  for (std::int64_t i = 0; i < whole; i += kSumLanes) {
    for (std::int64_t lane = 0; lane < kSumLanes; ++lane) sums[lane] += values[i + lane];
  }
}

double sum_of(const float* values, std::int64_t count) {
  std::array<double, kSumLanes> sums{};
  const std::int64_t whole = count - count % kSumLanes;
  add_to_lanes(values, whole, sums.data());
  for (std::int64_t i = whole; i < count; ++i)
    sums[static_cast<std::size_t>(i - whole)] += values[i];
  for (std::size_t half = kSumLanes / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

SGPT_MI_SIMD_CLONES void scale_row(const double* __restrict values, double factor,
                                   std::int64_t count, float* __restrict scaled) {
  for (std::int64_t j = 0; j < count; ++j) scaled[j] = static_cast<float>(values[j] * factor);
}

}  // namespace

void find_degrees(const AffinityDegrees& degrees, const Backend& backend) {
  const std::int64_t rows = degrees.affinity.rows;
  if (rows == 0) return;
  ensure(has_shape(degrees.affinity, rows, rows) && degrees.degree != nullptr &&
             degrees.inverse_root != nullptr,
         "find_degrees: the affinity is not square, or a result is missing");
  if (backend.cuda) return cuda::find_degrees(degrees, backend.cuda_stream);
  backend.parallel_for(rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const double degree = sum_of(degrees.affinity.row(i), rows);
      degrees.degree[i] = degree;
      degrees.inverse_root[i] = inverse_root_of(degree);
    }
  });
}

void scale_rows(const RowScaling& scaling, const Backend& backend) {
  const std::int64_t rows = scaling.values.rows;
  const std::int64_t columns = scaling.values.columns;
  if (rows == 0 || columns == 0) return;
  ensure(has_shape(scaling.values, rows, columns) && has_shape(scaling.scaled, rows, columns) &&
             scaling.factor != nullptr,
         "scale_rows: shapes disagree, or the factors are missing");
  if (backend.cuda) return cuda::scale_rows(scaling, backend.cuda_stream);
  backend.parallel_for(rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      scale_row(scaling.values.row(i), scaling.factor[i], columns, scaling.scaled.row(i));
    }
  });
}

}  // namespace sgpt_mi::kernels
