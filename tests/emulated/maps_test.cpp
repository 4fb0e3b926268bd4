#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

#include "emulated/twin_check.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/affinity.h"
#include "sgpt_mi/kernels/pack_bits.h"
#include "support/correlation_problem.h"
#include "support/packed_weights.h"

// Maps over channels, bit packing and dequantization: the CUDA kernels, emulated, give the CPU
// twins' bits.
namespace sgpt_mi::kernels {
namespace {

using test::CorrelationProblem;
using test::Matrix;

void compare_correlations(const CorrelationProblem& problem) {
  SCOPED_TRACE(problem.rho.rows());
  CorrelationProblem cpu = problem;
  cpu.run({});
  test::in_both_orders([&] {
    CorrelationProblem gpu = problem;
    gpu.run(test::emulated_backend());
    test::expect_same(gpu.rho, cpu.rho, CorrelationProblem::kGuard, "rho");
    test::expect_same(gpu.strength, cpu.strength, CorrelationProblem::kGuard, "strength");
    test::expect_same(gpu.nats, cpu.nats, CorrelationProblem::kGuard, "nats");
  });
}

TEST(EmulatedTwins, Correlate) {
  for (const std::int64_t channels : {1, 2, 31, 32, 33, 100}) {
    compare_correlations(CorrelationProblem(channels, static_cast<unsigned>(channels)));
  }
  CorrelationProblem bad(40, 7);
  bad.second_moment(3, 35) = std::numeric_limits<float>::quiet_NaN();
  bad.second_moment(3, 36) = std::numeric_limits<float>::infinity();
  compare_correlations(bad);
}

TEST(EmulatedTwins, FindDegrees) {
  for (const std::int64_t size : {1, 31, 32, 33, 100}) {
    Matrix<float> affinity(size, size, 1e30F, 3);
    const Matrix<float> values = test::normal_matrix(size, size, static_cast<unsigned>(size));
    for (std::int64_t i = 0; i < size; ++i) {
      for (std::int64_t j = 0; j < size; ++j) affinity(i, j) = values(i, j);
    }
    const auto run = [&](const Backend& backend) {
      Matrix<double> results(2, size, 0.5, 3);
      find_degrees({affinity.const_view(), results.view().row(0), results.view().row(1)}, backend);
      return results;
    };
    const Matrix<double> cpu = run({});
    test::in_both_orders(
        [&] { test::expect_same(run(test::emulated_backend()), cpu, 0.5, "degree and root"); });
  }
}

TEST(EmulatedTwins, ScaleRows) {
  for (const std::int64_t columns : {1, 7, 300}) {
    Matrix<double> values = test::normal_matrix<double>(5, columns, 3);
    const std::vector<double> factor = {0.1, 2.0, -3.0, 0.0, 1e-40};
    const auto run = [&](const Backend& backend) {
      Matrix<float> scaled(5, columns, 0.5F, 3);
      scale_rows({values.const_view(), factor.data(), scaled.view()}, backend);
      return scaled;
    };
    const Matrix<float> cpu = run({});
    test::in_both_orders(
        [&] { test::expect_same(run(test::emulated_backend()), cpu, 0.5F, "scaled"); });
  }
}

std::vector<std::uint8_t> codes_of(std::int64_t count, int width) {
  std::mt19937 engine(static_cast<unsigned>(width));
  std::uniform_int_distribution<int> code(0, (1 << width) - 1);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(count));
  for (std::uint8_t& value : codes) value = static_cast<std::uint8_t>(code(engine));
  return codes;
}

TEST(EmulatedTwins, PackBits) {
  for (int width = 1; width <= 8; ++width) {
    for (const std::int64_t count : {1, 7, 8, 255, 256, 257, 2500}) {
      SCOPED_TRACE(testing::Message() << count << " codes of " << width);
      const std::vector<std::uint8_t> codes = codes_of(count, width);
      const auto run = [&](const Backend& backend) {
        // One guard byte before and one behind.
        std::vector<std::uint8_t> packed(static_cast<std::size_t>(packed_bytes(count, width)) + 2,
                                         0xa5);
        pack_bits(codes.data(), count, width, packed.data() + 1, backend);
        return packed;
      };
      const std::vector<std::uint8_t> cpu = run({});
      test::in_both_orders([&] { EXPECT_EQ(run(test::emulated_backend()), cpu); });
    }
  }
}

TEST(EmulatedTwins, PackBitsRefusesCodesThatDoNotFit) {
  std::vector<std::uint8_t> codes = codes_of(1000, 3);
  std::vector<std::uint8_t> packed(static_cast<std::size_t>(packed_bytes(1000, 3)));
  codes[777] = 8;
  EXPECT_THROW(pack_bits(codes.data(), 1000, 3, packed.data(), test::emulated_backend()), Error);
  EXPECT_THROW(pack_bits(codes.data(), 1000, 9, packed.data(), test::emulated_backend()), Error);
}

TEST(EmulatedTwins, UnpackBits) {
  for (int width = 1; width <= 8; ++width) {
    const std::vector<std::uint8_t> codes = codes_of(700, width);
    std::vector<std::uint8_t> packed(static_cast<std::size_t>(packed_bytes(700, width)));
    pack_bits(codes.data(), 700, width, packed.data());
    for (const std::int64_t first : {0, 3, 8, 413}) {
      for (const std::int64_t count : {std::int64_t{1}, std::int64_t{270}, 700 - first}) {
        SCOPED_TRACE(testing::Message() << first << " + " << count << " codes of " << width);
        const std::vector<std::uint8_t> wanted(codes.begin() + first,
                                               codes.begin() + first + count);
        test::in_both_orders([&] {
          std::vector<std::uint8_t> found(wanted.size());
          unpack_bits(packed.data(), first, count, width, found.data(), test::emulated_backend());
          EXPECT_EQ(found, wanted);
        });
      }
    }
  }
}

TEST(EmulatedTwins, DequantizePacked) {
  unsigned seed = 0;
  for (const test::PackedShape& shape : test::packed_shapes()) {
    SCOPED_TRACE(shape.text());
    const test::PackedProblem problem(shape, ++seed);
    const Matrix<std::uint8_t> cpu = problem.run({});
    test::in_both_orders([&] {
      test::expect_same(problem.run(test::emulated_backend()), cpu, test::PackedProblem::kGuard,
                        "bytes");
    });
  }
}

}  // namespace
}  // namespace sgpt_mi::kernels
