#include "sgpt_mi/blocks/fit_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "sgpt_mi/blocks/encode_blocks.h"
#include "sgpt_mi/core/parallel.h"

namespace sgpt_mi::blocks {
namespace {

constexpr std::int64_t kColumns = 256;

/// One row, its importances and the scales that were found for it.
struct Row {
  explicit Row(const BlockType& of) : type(of), weight(kColumns), importance(kColumns, 1.0F) {}

  void fit() {
    const auto blocks = static_cast<std::size_t>(kColumns / type.block_elements);
    const auto groups = static_cast<std::size_t>(kColumns / type.group);
    super_scale.assign(blocks, 0.0F);
    super_minimum.assign(blocks, 0.0F);
    sub_scale.assign(groups, 0.0F);
    sub_minimum.assign(groups, 0.0F);
    fit_blocks({&type, {weight.data(), 1, kColumns, kColumns}, importance.data(), scales()},
               serial_for());
  }

  BlockScales scales() {
    const auto blocks = static_cast<std::int64_t>(super_scale.size());
    const auto groups = static_cast<std::int64_t>(sub_scale.size());
    return {{super_scale.data(), 1, blocks, blocks},
            {super_minimum.data(), 1, blocks, blocks},
            {sub_scale.data(), 1, groups, groups},
            {sub_minimum.data(), 1, groups, groups}};
  }

  /// Distance of a weight to its grid.
  [[nodiscard]] double distance(std::int64_t column) const {
    const auto group = static_cast<std::size_t>(column / type.group);
    const auto block = static_cast<std::size_t>(column / type.block_elements);
    const double scale = super_scale[block] * sub_scale[group];
    const double offset =
        type.form == BlockForm::kOffset ? -super_minimum[block] * sub_minimum[group] : 0.0;
    double least = 1e30;
    for (int code = 0; code <= static_cast<int>(type.max_code()); ++code) {
      const double level = type.form == BlockForm::kTable ? kTable4[static_cast<std::size_t>(code)]
                                                          : static_cast<double>(code) - type.shift;
      least = std::min(least,
                       std::abs(scale * level + offset - weight[static_cast<std::size_t>(column)]));
    }
    return least;
  }

  [[nodiscard]] double error() const {
    double sum = 0.0;
    for (std::int64_t column = 0; column < kColumns; ++column) {
      const double d = distance(column);
      sum += importance[static_cast<std::size_t>(column)] * d * d;
    }
    return sum;
  }

  const BlockType& type;
  std::vector<float> weight;
  std::vector<float> importance;
  std::vector<float> super_scale;
  std::vector<float> super_minimum;
  std::vector<float> sub_scale;
  std::vector<float> sub_minimum;
};

void fill_normal(Row& row) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.0F, 0.05F);
  for (float& weight : row.weight) weight = normal(random);
}

/// The least mean square error of a uniform (or this) grid of so many bits on a normal
/// distribution, relative to its variance, is known (Max 1960): 2 bits 0.1188, 3 bits 0.0374,
/// 4 bits 0.0115, 5 bits 0.0035, 6 bits 0.00104. A group of 16 or 32 fits its own range and does
/// better at few bits; what the scales' own rounding costs is below a quarter.
TEST(FitBlocks, NormalWeightsReachTheErrorOfTheBestUniformGrid) {
  for (const BlockType& type : block_types()) {
    if (type.form == BlockForm::kPlain) continue;
    Row row(type);
    fill_normal(row);
    double energy = 0.0;
    for (const float weight : row.weight) energy += static_cast<double>(weight) * weight;
    row.fit();
    const std::vector<double> best{0.1188, 0.0374, 0.0115, 0.0035, 0.00104, 0.0, 0.00006};
    EXPECT_LT(row.error() / energy, 1.0 * best[static_cast<std::size_t>(type.code_bits - 2)])
        << type.name;
  }
}

TEST(FitBlocks, WeightsOnAGridAreFoundExactly) {
  for (const char* name : {"Q4_0", "Q5_0", "Q4_1", "Q5_1", "IQ4_NL"}) {
    Row row(*find_block_type(name));
    const int codes = static_cast<int>(row.type.max_code()) + 1;
    for (std::int64_t i = 0; i < kColumns; ++i) {
      const int code = static_cast<int>(i * 7 % codes);
      const float level = row.type.form == BlockForm::kTable
                              ? kTable4[static_cast<std::size_t>(code)]
                              : static_cast<float>(code) -
                                    (row.type.form == BlockForm::kShift ? row.type.shift : 6.0F);
      row.weight[static_cast<std::size_t>(i)] = 0.0625F * level;
    }
    row.fit();
    EXPECT_LT(row.error(), 1e-8) << name;
  }
}

TEST(FitBlocks, ZerosGetScaleZero) {
  for (const BlockType& type : block_types()) {
    if (type.form == BlockForm::kPlain) continue;
    Row row(type);
    row.fit();
    EXPECT_EQ(row.error(), 0.0) << type.name;
  }
}

TEST(FitBlocks, AnImportantWeightIsMetClosely) {
  for (const char* name : {"Q2_K", "Q3_K", "Q4_K", "IQ4_XS"}) {
    Row plain(*find_block_type(name));
    fill_normal(plain);
    Row weighted = plain;
    weighted.importance[21] = 1e4F;
    plain.fit();
    weighted.fit();
    EXPECT_LE(weighted.distance(21), plain.distance(21) + 1e-6) << name;
    EXPECT_LT(weighted.distance(21), 2e-3) << name;
  }
}

}  // namespace
}  // namespace sgpt_mi::blocks
