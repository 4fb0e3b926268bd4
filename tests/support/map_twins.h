#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "sgpt_mi/kernels/affinity.h"
#include "support/correlation_problem.h"
#include "support/level_streams.h"
#include "support/packed_weights.h"
#include "support/twin_device.h"

// Maps over channels, dequantization and decoding: every device gives the CPU twin's bits and
// writes nothing outside its results.
namespace sgpt_mi::test::twins {

inline void compare_correlations(const CorrelationProblem& problem, TwinDevice& device) {
  SCOPED_TRACE(problem.second_moment.rows());
  TwinDevice cpu = host_device({});
  const CorrelationMaps expected = problem.run(cpu);
  const CorrelationMaps found = problem.run(device);
  expect_same(found.rho, expected.rho, CorrelationProblem::kGuard, "rho");
  expect_same(found.strength, expected.strength, CorrelationProblem::kGuard, "strength");
  expect_same(found.nats, expected.nats, CorrelationProblem::kGuard, "nats");
}

inline void correlate(TwinDevice device) {
  for (const std::int64_t channels : {1, 2, 31, 32, 33, 100}) {
    compare_correlations(CorrelationProblem(channels, static_cast<unsigned>(channels)), device);
  }
  CorrelationProblem bad(40, 7);
  bad.second_moment(3, 35) = std::numeric_limits<float>::quiet_NaN();
  bad.second_moment(3, 36) = std::numeric_limits<float>::infinity();
  compare_correlations(bad, device);
}

inline Matrix<double> degrees_of(const Matrix<float>& affinity, TwinDevice& device) {
  const PlacedMatrix<float> values(device, affinity);
  const PlacedMatrix<double> results(device, {2, affinity.rows(), 0.5, 3});
  kernels::find_degrees({values.const_view(), results.view().row(0), results.view().row(1)},
                        device.backend);
  return results.fetched();
}

inline void find_degrees(TwinDevice device) {
  for (const std::int64_t size : {1, 31, 32, 33, 100}) {
    Matrix<float> affinity(size, size, 1e30F, 3);
    const Matrix<float> values = normal_matrix(size, size, static_cast<unsigned>(size));
    for (std::int64_t i = 0; i < size; ++i) {
      for (std::int64_t j = 0; j < size; ++j) affinity(i, j) = values(i, j);
    }
    TwinDevice cpu = host_device({});
    expect_same(degrees_of(affinity, device), degrees_of(affinity, cpu), 0.5, "degree and root");
  }
}

inline Matrix<float> scaled(const Matrix<double>& values, const std::vector<double>& factor,
                            TwinDevice& device) {
  const PlacedMatrix<double> from(device, values);
  const PlacedMatrix<float> to(device, {values.rows(), values.columns(), 0.5F, 3});
  kernels::scale_rows({from.const_view(), placed(device, factor), to.view()}, device.backend);
  return to.fetched();
}

inline void scale_rows(TwinDevice device) {
  for (const std::int64_t columns : {1, 7, 300}) {
    const Matrix<double> values = normal_matrix<double>(5, columns, 3);
    const std::vector<double> factor = {0.1, 2.0, -3.0, 0.0, 1e-40};
    TwinDevice cpu = host_device({});
    expect_same(scaled(values, factor, device), scaled(values, factor, cpu), 0.5F, "scaled");
  }
}

inline void dequantize_packed(TwinDevice device) {
  unsigned seed = 0;
  for (const PackedShape& shape : packed_shapes()) {
    SCOPED_TRACE(shape.text());
    const PackedProblem problem(shape, ++seed);
    expect_same(problem.run(device), problem.expected(), PackedProblem::kGuard, "bytes");
  }
}

inline void decode_levels(TwinDevice device) {
  unsigned seed = 0;
  for (const LevelShape& shape : level_shapes()) {
    SCOPED_TRACE(seed);
    const LevelProblem problem(shape, ++seed);
    expect_same(problem.run(device), problem.expected(), LevelProblem::kGuard, "levels");
  }
}

}  // namespace sgpt_mi::test::twins
