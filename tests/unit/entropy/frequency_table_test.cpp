#include "entropy/frequency_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

namespace sgpt_mi::entropy {
namespace {

/// A table through its bits and back.
void expect_round_trip(const FrequencyTable& table) {
  EXPECT_EQ(std::accumulate(table.frequency.begin(), table.frequency.end(), 0U), kernels::kSlots);
  std::vector<std::byte> stream;
  BitWriter writer(stream);
  put_table(table, writer);
  BitReader reader(stream);
  FrequencyTable found;
  ASSERT_TRUE(take_table(reader, found));
  EXPECT_EQ(found.frequency, table.frequency);
  EXPECT_TRUE(reader.at_end());
}

TEST(FrequencyTable, EveryHistogramHasATable) {
  std::mt19937 engine(1);
  expect_round_trip(fit_table({}));
  for (int trial = 0; trial < 3000; ++trial) {
    SCOPED_TRACE(trial);
    Histogram histogram{};
    const std::size_t symbols = 1 + engine() % kSymbols;
    const double spread = std::uniform_real_distribution<double>(0.0, 12.0)(engine);
    for (std::size_t i = 0; i < symbols; ++i) {
      const double size = spread * std::normal_distribution<double>()(engine);
      histogram[engine() % kSymbols] = static_cast<std::uint64_t>(std::exp2(std::abs(size)));
    }
    const FrequencyTable table = fit_table(histogram);
    expect_round_trip(table);
    if (HasFatalFailure()) return;
    EXPECT_TRUE(std::isfinite(coded_bits(table, histogram)));
    const bool escapes = table.frequency[0] > 0;
    for (std::size_t i = 0; i < kSymbols; ++i) {
      EXPECT_TRUE(histogram[i] == 0 || table.frequency[i] > 0 || escapes) << i;
    }
  }
}

TEST(FrequencyTable, ManyEquallyFrequentSymbolsFit) {
  for (std::size_t symbols = 1; symbols <= kSymbols; ++symbols) {
    Histogram histogram{};
    std::fill_n(histogram.begin(), symbols, 1000);
    expect_round_trip(fit_table(histogram));
  }
}

TEST(FrequencyTable, ARareSymbolFarFromTheOthersIsEscaped) {
  Histogram histogram{};
  for (std::size_t i = 0; i < 9; ++i) histogram[124 + i] = 20'000;
  histogram[250] = 1;
  EXPECT_EQ(fit_table(histogram).frequency[250], 0);
  EXPECT_GT(fit_table(histogram, 1).frequency[250], 0);
  histogram[250] = 2000;
  EXPECT_GT(fit_table(histogram).frequency[250], 0);
}

TEST(FrequencyTable, BitsThatAreNoTableAreFound) {
  const auto is_table = [](std::initializer_list<int> numbers) {
    std::vector<std::byte> bytes;
    for (const int number : numbers) bytes.push_back(static_cast<std::byte>(number));
    BitReader reader(bytes);
    FrequencyTable table;
    return take_table(reader, table) && reader.at_end();
  };
  EXPECT_TRUE(is_table({127, 1, 1, 0b1}));
  EXPECT_FALSE(is_table({127, 1, 2, 0b1})) << "what is left belongs to no symbol";
  EXPECT_FALSE(is_table({255, 1, 1, 0b1})) << "a symbol of 129";
  EXPECT_FALSE(is_table({127, 1, 1, 0b11})) << "set after the end";
  EXPECT_FALSE(is_table({127, 1, 1, 0b1, 0})) << "a byte after the end";
  EXPECT_FALSE(is_table({127, 1, 1})) << "cut";
  EXPECT_FALSE(is_table({127, 1, 1, 0b10})) << "a width below 0";
  EXPECT_FALSE(is_table({127, 1, 1, 0, 0, 0})) << "no code";
  // Two symbols of 4095 and 2048: "0000" "11001" "1111" has width 12, "1" the same width again.
  EXPECT_FALSE(is_table({127, 2, 0, 0b0011'0000, 0b0001'1111, 0}));
}

}  // namespace
}  // namespace sgpt_mi::entropy
