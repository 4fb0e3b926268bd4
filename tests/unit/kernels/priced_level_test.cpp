#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/arithmetic.h"
#include "kernels/level_rounding.h"
#include "support/block_levels.h"

namespace sgpt_mi::kernels {
namespace {

const std::vector<float> kFree(kPricedLevels, 0.0F);

TEST(PriceOfLevel, GrowsBeyondTheTableAsAtItsEnd) {
  std::vector<float> price;
  for (int magnitude = 0; magnitude < kPricedLevels; ++magnitude) {
    price.push_back(static_cast<float>(magnitude * magnitude));
  }
  for (int magnitude = 0; magnitude < kPricedLevels; ++magnitude) {
    EXPECT_EQ(price_of_level(static_cast<float>(magnitude), price.data()),
              static_cast<float>(magnitude * magnitude));
  }
  EXPECT_EQ(price_of_level(32.0F, price.data()), 961.0F + 61.0F);  // 31^2, 31^2 - 30^2
  EXPECT_EQ(price_of_level(131.0F, price.data()), 961.0F + 100.0F * 61.0F);
}

TEST(PricedLevel, WithoutPricesIsTheNearestWithinTheRange) {
  const auto level = [](float wanted) { return priced_level(wanted, 1.0F, kFree.data()); };
  EXPECT_EQ(level(0.0F), 0.0F);
  EXPECT_EQ(level(2.5F), 2.0F) << "half to even";
  EXPECT_EQ(level(-3.5F), -4.0F);
  EXPECT_EQ(level(-0.49F), 0.0F);
  EXPECT_EQ(level(77.2F), 77.0F);
  EXPECT_EQ(level(32767.4F), 32767.0F);
  EXPECT_EQ(level(1e9F), 32767.0F);
  EXPECT_EQ(level(-1e9F), -32767.0F);
  EXPECT_EQ(level(std::numeric_limits<float>::infinity()), 32767.0F);
  EXPECT_EQ(level(-std::numeric_limits<float>::infinity()), -32767.0F);
  EXPECT_TRUE(std::isnan(level(std::numeric_limits<float>::quiet_NaN())));
}

TEST(PricedLevel, TakesTheNextOneTowardZeroOrZeroWhereTheyCostLess) {
  // 2.6 is 0.4 from 3, 0.6 from 2 and 2.6 from 0: squares 0.16, 0.36 and 6.76.
  const auto level = [](float wanted, float saved_by_two, float saved_by_zero) {
    std::vector<float> price(kPricedLevels, 10.0F);
    price[2] -= saved_by_two;
    price[0] -= saved_by_zero;
    return priced_level(wanted, 2.0F, price.data());
  };
  for (const float sign : {1.0F, -1.0F}) {
    EXPECT_EQ(level(sign * 2.6F, 0.39F, 0.0F), sign * 3.0F);
    EXPECT_EQ(level(sign * 2.6F, 0.41F, 0.0F), sign * 2.0F);
    EXPECT_EQ(level(sign * 2.6F, 0.0F, 13.19F), sign * 3.0F);
    EXPECT_EQ(level(sign * 2.6F, 0.0F, 13.21F), 0.0F);
    EXPECT_EQ(level(sign * 2.6F, 1.0F, 13.21F), sign * 2.0F);
    EXPECT_EQ(level(sign * 2.6F, 1.0F, 14.0F), 0.0F);
  }
  std::vector<float> dear(kPricedLevels, 10.0F);
  dear[0] = 0.0F;
  EXPECT_FALSE(std::signbit(priced_level(-0.6F, 1.0F, dear.data()))) << "0, not -0";
  // Equal costs: the one farther out.
  EXPECT_EQ(level(2.5F, 0.0F, 0.0F), 2.0F);
  EXPECT_EQ(level(4.0F, 0.0F, 32.0F), 4.0F);
}

TEST(PricedLevel, NeverGoesOutward) {
  std::vector<float> price(kPricedLevels, 5.0F);
  price[5] = -100.0F;
  EXPECT_EQ(priced_level(3.9F, 1.0F, price.data()), 4.0F);
  EXPECT_EQ(priced_level(4.6F, 1.0F, price.data()), 5.0F);
  EXPECT_EQ(priced_level(5.6F, 1.0F, price.data()), 5.0F);
  EXPECT_EQ(priced_level(0.2F, 1.0F, price.data()), 0.0F);
}

TEST(LevelValue, IsThatOfThePlainDefinition) {
  test::BlockLevels levels = test::block_levels(9, 11);
  // Also prices that rise and fall, as no table has them.
  std::mt19937 engine(3);
  std::uniform_real_distribution<float> uniform;
  for (float& price : levels.price[1]) price = uniform(engine);
  const LevelView view = levels.view();
  std::normal_distribution<float> normal;
  int nearest = 0;
  int zero = 0;
  int inner = 0;
  for (int trial = 0; trial < 20'000; ++trial) {
    const std::int64_t r = trial % 9;
    const std::int64_t j = trial % 11;
    const float value = normal(engine) * (trial % 5 == 0 ? 20.0F : 1.0F);
    const float found =
        level_value(value, row_factors(view, r), column_factors(view, j), view.price, view.tables);
    ASSERT_EQ(found, levels.rounded(r, j, value)) << r << ", " << j << ": " << value;
    const float step = levels.step(r, j);
    const float moved = std::abs(std::nearbyint(value / step)) - std::abs(found / step);
    nearest += moved == 0.0F ? 1 : 0;
    zero += moved > 0.5F && found == 0.0F ? 1 : 0;
    inner += moved > 0.5F && found != 0.0F ? 1 : 0;
  }
  EXPECT_GT(nearest, 10'000);
  EXPECT_GT(zero, 100);
  EXPECT_GT(inner, 100);
}

}  // namespace
}  // namespace sgpt_mi::kernels
