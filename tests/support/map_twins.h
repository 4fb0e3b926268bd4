#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/affinity.h"
#include "sgpt_mi/kernels/pack_bits.h"
#include "support/correlation_problem.h"
#include "support/packed_weights.h"
#include "support/twin_device.h"

// Maps over channels, bit packing and dequantization: every device gives the CPU twin's bits and
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

inline std::vector<std::uint8_t> codes_of(std::int64_t count, int width) {
  std::mt19937 engine(static_cast<unsigned>(width));
  std::uniform_int_distribution<int> code(0, (1 << width) - 1);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(count));
  for (std::uint8_t& value : codes) value = static_cast<std::uint8_t>(code(engine));
  return codes;
}

/// With a guard byte before and one behind.
inline std::vector<std::uint8_t> packed(const std::vector<std::uint8_t>& codes, int width,
                                        TwinDevice& device) {
  const auto count = static_cast<std::int64_t>(codes.size());
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(kernels::packed_bytes(count, width)) + 2,
                                  0xa5);
  std::uint8_t* place = placed(device, bytes);
  kernels::pack_bits(placed(device, codes), count, width, place + 1, device.backend);
  device.fetch(bytes.data(), place, bytes.size());
  return bytes;
}

inline void pack_bits(TwinDevice device) {
  TwinDevice cpu = host_device({});
  for (int width = 1; width <= 8; ++width) {
    for (const std::int64_t count : {1, 7, 8, 255, 256, 257, 2500}) {
      SCOPED_TRACE(testing::Message() << count << " codes of " << width);
      const std::vector<std::uint8_t> codes = codes_of(count, width);
      EXPECT_EQ(packed(codes, width, device), packed(codes, width, cpu));
    }
  }
  std::vector<std::uint8_t> codes = codes_of(1000, 3);
  EXPECT_THROW(static_cast<void>(packed(codes, 9, device)), Error);
  codes[777] = 8;
  EXPECT_THROW(static_cast<void>(packed(codes, 3, device)), Error);
}

inline void unpack_bits(TwinDevice device) {
  constexpr std::int64_t kCount = 700;
  for (int width = 1; width <= 8; ++width) {
    const std::vector<std::uint8_t> codes = codes_of(kCount, width);
    std::vector<std::uint8_t> stream(
        static_cast<std::size_t>(kernels::packed_bytes(kCount, width)));
    kernels::pack_bits(codes.data(), kCount, width, stream.data());
    const std::uint8_t* bits = placed(device, stream);
    for (const std::int64_t first : {0, 3, 8, 413}) {
      for (const std::int64_t count : {std::int64_t{1}, std::int64_t{270}, kCount - first}) {
        SCOPED_TRACE(testing::Message() << first << " + " << count << " codes of " << width);
        std::vector<std::uint8_t> found(static_cast<std::size_t>(count) + 2, 0xa5);
        std::uint8_t* place = placed(device, found);
        kernels::unpack_bits(bits, first, count, width, place + 1, device.backend);
        device.fetch(found.data(), place, found.size());
        std::vector<std::uint8_t> wanted(found.size(), 0xa5);
        std::copy_n(codes.begin() + first, count, wanted.begin() + 1);
        EXPECT_EQ(found, wanted);
      }
    }
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

}  // namespace sgpt_mi::test::twins
