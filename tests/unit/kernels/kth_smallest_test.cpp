#include "sgpt_mi/kernels/kth_smallest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "support/threads.h"

namespace sgpt_mi::kernels {
namespace {

float select(const std::vector<float>& values, std::int64_t k, const Backend& backend = {}) {
  return kth_smallest({{values.data(), static_cast<std::int64_t>(values.size()), backend}}, k);
}

TEST(KthSmallest, OfOneValueIsThatValue) { EXPECT_EQ(select({-2.5F}, 0), -2.5F); }

TEST(KthSmallest, OrdersSignsInfinitiesAndTinyNumbers) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float tiny = std::numeric_limits<float>::denorm_min();
  const std::vector<float> sorted = {-infinity, -3.0F, -tiny, 0.0F, tiny, 1.0F, 3.0e38F, infinity};
  const std::vector<float> shuffled = {1.0F,    -3.0F, infinity,  0.0F,
                                       3.0e38F, tiny,  -infinity, -tiny};
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    EXPECT_EQ(select(shuffled, static_cast<std::int64_t>(k)), sorted[k]) << "k = " << k;
  }
}

TEST(KthSmallest, CountsEqualValuesSeparately) {
  const std::vector<float> values = {2.0F, 1.0F, 2.0F, 1.0F, 2.0F};
  EXPECT_EQ(select(values, 1), 1.0F);
  EXPECT_EQ(select(values, 2), 2.0F);
  EXPECT_EQ(select(std::vector<float>(1000, 7.0F), 999), 7.0F);
}

TEST(KthSmallest, EqualsSortingOnAnyNumberOfThreads) {
  std::mt19937 engine(7);
  std::normal_distribution<float> normal;
  std::vector<float> values(200'001);
  for (float& value : values) value = std::exp(4.0F * normal(engine));
  std::vector<float> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  for (const std::size_t k :
       {std::size_t{0}, std::size_t{1}, values.size() / 2, values.size() - 1}) {
    EXPECT_EQ(select(values, static_cast<std::int64_t>(k)), sorted[k]);
    EXPECT_EQ(select(values, static_cast<std::int64_t>(k), threaded), sorted[k]);
  }
}

TEST(KthSmallest, RefusesAPlaceOutsideTheValues) {
  EXPECT_THROW(select({1.0F}, 1), Error);
  EXPECT_THROW(select({1.0F}, -1), Error);
}

/// The values cut into three neighbouring runs at these places.
std::vector<ValueRun> three_runs(const std::vector<float>& values, std::size_t first,
                                 std::size_t second) {
  std::vector<ValueRun> runs;
  std::size_t begin = 0;
  for (const std::size_t end : {first, second, values.size()}) {
    runs.push_back({values.data() + begin, static_cast<std::int64_t>(end - begin), {}});
    begin = end;
  }
  return runs;
}

std::uint32_t bits_of(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

TEST(KthSmallestOfRuns, EqualsThatOfOneRunBitForBit) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> values = {2.0F,  -0.0F, 7.0F, 2.0F, 0.0F,     nan,  -infinity, 2.0F,
                                     -0.0F, 7.0F,  nan,  0.0F, infinity, 2.0F, -1.0F,     2.0F};
  for (const std::size_t first : {0, 1, 5, 16}) {
    for (const std::size_t second : {5, 9, 16}) {
      if (second < first) continue;
      for (std::size_t place = 0; place < values.size(); ++place) {
        const auto k = static_cast<std::int64_t>(place);
        EXPECT_EQ(bits_of(kth_smallest(three_runs(values, first, second), k)),
                  bits_of(select(values, k)))
            << "cut at " << first << " and " << second << ", k = " << k;
      }
    }
  }
}

TEST(KthSmallestOfRuns, EqualsSorting) {
  std::mt19937 engine(8);
  std::normal_distribution<float> normal;
  std::vector<float> values(70'001);
  for (float& value : values) value = std::round(64.0F * normal(engine));  // many equal ones
  std::vector<float> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  for (const std::size_t k : {std::size_t{0}, values.size() / 3, values.size() - 1}) {
    EXPECT_EQ(kth_smallest(three_runs(values, 100, 40'000), static_cast<std::int64_t>(k)),
              sorted[k]);
  }
}

TEST(KthSmallestOfRuns, RefusesAPlaceOutsideAllValues) {
  const std::vector<float> values = {1.0F, 2.0F, 3.0F};
  EXPECT_EQ(kth_smallest(three_runs(values, 1, 2), 2), 3.0F);
  EXPECT_THROW((void)kth_smallest(three_runs(values, 1, 2), 3), Error);
  EXPECT_THROW((void)kth_smallest(std::vector<ValueRun>{}, 0), Error);
  EXPECT_THROW((void)kth_smallest({{nullptr, 1, {}}}, 0), Error);
}

TEST(KthSmallestOfRuns, RefusesRunsOnDifferentKindsOfDevices) {
  const std::vector<float> values = {1.0F, 2.0F, 3.0F};
  std::vector<ValueRun> runs = three_runs(values, 1, 2);
  runs[1].backend.cuda = true;
  EXPECT_THROW((void)kth_smallest(runs, 0), Error);
}

}  // namespace
}  // namespace sgpt_mi::kernels
