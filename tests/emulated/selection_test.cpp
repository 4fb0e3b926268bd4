#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "emulated/twin_check.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/fit_grid.h"
#include "sgpt_mi/kernels/kth_smallest.h"

// Selection and grid fitting: the CUDA kernels, emulated, give the CPU twins' bits.
namespace sgpt_mi::kernels {
namespace {

using test::Matrix;

constexpr float kGuard = 12345.0F;
constexpr std::int64_t kPadding = 3;

std::vector<float> normal_values(std::int64_t count, unsigned seed) {
  const Matrix<float> matrix = test::normal_matrix(1, count, seed);
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(matrix(0, i));
  return values;
}

void compare_selection(const std::vector<float>& values, std::int64_t k) {
  SCOPED_TRACE(testing::Message() << "place " << k << " of " << values.size());
  const auto count = static_cast<std::int64_t>(values.size());
  const float expected = kth_smallest({{values.data(), count, Backend{}}}, k);
  test::in_both_orders([&] {
    const float found = kth_smallest({{values.data(), count, test::emulated_backend()}}, k);
    EXPECT_TRUE(test::same_bits(found, expected)) << found << " instead of " << expected;
  });
}

TEST(EmulatedTwins, KthSmallest) {
  for (const std::int64_t count : {1, 2, 255, 256, 257, 5000}) {
    const std::vector<float> values = normal_values(count, static_cast<unsigned>(count));
    for (const std::int64_t k : {std::int64_t{0}, count / 3, count - 1}) {
      compare_selection(values, k);
    }
  }
}

TEST(EmulatedTwins, KthSmallestOfTiesZerosAndNotANumber) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> values = {0.0F,  -0.0F,      1.0F,   1.0F,    1.0F, kNan,  kInfinity,
                                     -0.0F, -kInfinity, 1e-45F, -1e-45F, 0.0F, -kNan, 3e38F};
  for (std::int64_t k = 0; k < static_cast<std::int64_t>(values.size()); ++k) {
    compare_selection(values, k);
  }
  compare_selection(std::vector<float>(1000, 2.5F), 500);
}

/// The values cut into three runs on the devices 2, 0 and 3; the middle one is empty.
std::vector<ValueRun> runs_on_devices(const std::vector<float>& values) {
  const auto count = static_cast<std::int64_t>(values.size());
  const std::int64_t cut = count / 3;
  return {{values.data(), cut, test::emulated_backend(), 2},
          {values.data() + cut, 0, test::emulated_backend(), 0},
          {values.data() + cut, count - cut, test::emulated_backend(), 3}};
}

TEST(EmulatedTwins, KthSmallestOfRunsOnSeveralDevices) {
  const std::vector<float> values = normal_values(5000, 17);
  int device = -1;
  cudaSetDevice(1);
  for (const std::int64_t k : {0, 1700, 4999}) {
    emulated::reset_counts();
    const float found = kth_smallest(runs_on_devices(values), k);
    EXPECT_TRUE(test::same_bits(found, kth_smallest({{values.data(), 5000, Backend{}}}, k)));
    // Three digits, each counted where the values are.
    EXPECT_EQ(emulated::counts().launches_on, (std::array<std::int64_t, 4>{0, 0, 3, 3}));
    cudaGetDevice(&device);
    EXPECT_EQ(device, 1) << "another device is current after the call";
  }
  cudaSetDevice(0);
}

TEST(EmulatedTwins, KthSmallestNeedsItsDevices) {
  const std::vector<float> values = normal_values(10, 18);
  std::vector<ValueRun> runs = runs_on_devices(values);
  runs[2].cuda_device = 99;
  EXPECT_THROW((void)kth_smallest(runs, 3), Error);
  int device = -1;
  cudaGetDevice(&device);
  EXPECT_EQ(device, 0);
}

/// A grid fit and its results.
struct Fit {
  Matrix<float> weight;
  Matrix<float> scale;
  Matrix<float> zero;
  std::vector<float> column_weight;
  GridFit options;

  Fit(std::int64_t rows, std::int64_t groups, std::int64_t group_size, unsigned seed)
      : weight(rows, groups * group_size, kGuard, kPadding),
        scale(rows, groups, kGuard, kPadding),
        zero(rows, groups, kGuard, kPadding) {
    options.group_size = group_size;
    options.max_code = 7.0F;
    options.clip_step = 0.01;
    const Matrix<float> normal = test::normal_matrix(rows, groups * group_size, seed);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t j = 0; j < normal.columns(); ++j) weight(r, j) = normal(r, j);
    }
  }

  void run(const Backend& backend) {
    options.weight = weight.const_view();
    options.scale = scale.view();
    options.zero = zero.view();
    options.column_weight = column_weight.empty() ? nullptr : column_weight.data();
    fit_grid(options, backend);
  }
};

std::vector<float> factors_for(const Fit& fit) {
  std::vector<float> factors = normal_values(fit.weight.columns(), 6);
  for (float& factor : factors) factor = factor < -1.0F ? 0.0F : factor * factor;
  return factors;
}

void compare_fits(const Fit& fit) {
  SCOPED_TRACE(testing::Message() << fit.weight.rows() << " rows, " << fit.scale.columns()
                                  << " groups of " << fit.options.group_size << ", "
                                  << fit.options.clip_trials << " trials"
                                  << (fit.options.symmetric ? ", symmetric" : "")
                                  << (fit.column_weight.empty() ? "" : ", weighted"));
  Fit cpu = fit;
  cpu.run({});
  test::in_both_orders([&] {
    Fit gpu = fit;
    gpu.run(test::emulated_backend());
    test::expect_same(gpu.scale, cpu.scale, kGuard, "scale");
    test::expect_same(gpu.zero, cpu.zero, kGuard, "zero");
  });
}

TEST(EmulatedTwins, FitGrid) {
  for (const std::int64_t group_size : {1, 31, 40, 128}) {
    for (const bool symmetric : {false, true}) {
      for (const int trials : {1, 80}) {
        Fit fit(3, 2, group_size, static_cast<unsigned>(group_size));
        fit.options.symmetric = symmetric;
        fit.options.clip_trials = trials;
        compare_fits(fit);
        fit.column_weight = factors_for(fit);
        compare_fits(fit);
      }
    }
  }
}

TEST(EmulatedTwins, FitGridOfMoreTrialsThanABlockKeeps) {
  Fit fit(1, 1, 5, 9);
  fit.options.clip_trials = 6145;  // 48 KiB of errors and one more
  fit.options.clip_step = 1e-4;
  compare_fits(fit);
}

TEST(EmulatedTwins, FitGridOfLongRows) {
  for (const std::int64_t group_size : {1000, 2051, 4096}) {
    Fit fit(2, 1, group_size, static_cast<unsigned>(group_size));
    fit.options.clip_trials = 20;
    compare_fits(fit);
    fit.column_weight = factors_for(fit);
    fit.options.max_code = 255.0F;
    compare_fits(fit);
  }
}

TEST(EmulatedTwins, FitGridOfGroupsWithoutARange) {
  Fit fit(4, 2, 8, 1);
  for (std::int64_t j = 0; j < 16; ++j) {
    fit.weight(0, j) = 0.0F;
    fit.weight(1, j) = 1e-40F;
    fit.weight(2, j) = j == 3 ? 5.0F : -0.0F;
    fit.weight(3, j) = -2.0F;
  }
  for (const int trials : {1, 80}) {
    fit.options.clip_trials = trials;
    compare_fits(fit);
  }
}

}  // namespace
}  // namespace sgpt_mi::kernels
