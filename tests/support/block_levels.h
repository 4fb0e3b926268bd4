#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sgpt_mi/kernels/obs_block.h"

namespace sgpt_mi::test {

/// What a LevelView points to, and what it makes of a value, written down plainly.
struct BlockLevels {
  std::vector<float> row_step;
  std::vector<float> column_step;
  std::vector<float> row_cost;
  std::vector<float> column_cost;
  std::vector<std::int32_t> row_table;
  std::vector<std::int32_t> column_table;
  std::vector<std::vector<float>> price;  ///< of magnitudes 0 to 31, by table
  std::vector<float> prices = {};         ///< the same in one run: view() points here

  [[nodiscard]] kernels::LevelView view() {
    prices.clear();
    for (const std::vector<float>& table : price) {
      prices.insert(prices.end(), table.begin(), table.end());
    }
    return {row_step.data(),  column_step.data(),
            row_cost.data(),  column_cost.data(),
            row_table.data(), column_table.data(),
            prices.data(),    static_cast<std::int32_t>(price.size())};
  }

  [[nodiscard]] float step(std::int64_t r, std::int64_t j) const {
    return row_step[at(r)] * column_step[at(j)];
  }

  /// Of a magnitude in the table of a row and column.
  [[nodiscard]] float price_of(std::int64_t r, std::int64_t j, float magnitude) const {
    const auto last = static_cast<std::int32_t>(price.size()) - 1;
    const std::vector<float>& table = price[static_cast<std::size_t>(
        std::clamp(row_table[at(r)] + column_table[at(j)], 0, last))];
    if (magnitude < 32.0F) return table[static_cast<std::size_t>(magnitude)];
    return table[31] + (magnitude - 31.0F) * (table[31] - table[30]);
  }

  [[nodiscard]] float rounded(std::int64_t r, std::int64_t j, float value) const {
    const float wanted = value / step(r, j);
    const float nearest = std::clamp(std::nearbyint(wanted), -32767.0F, 32767.0F);
    const float inner = nearest - std::copysign(1.0F, nearest);
    const float cost = row_cost[at(r)] * column_cost[at(j)];
    if (nearest == 0.0F) return step(r, j) * nearest;
    const auto cost_of = [&](float level) {
      const float away = wanted - level;
      return cost * (away * away) + price_of(r, j, std::abs(level));
    };
    float best = nearest;
    for (const float level : {inner, 0.0F}) {
      if (cost_of(level) < cost_of(best)) best = level;
    }
    return step(r, j) * best;
  }

 private:
  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
};

/// Steps of about a third, costs of about 1, and 4 tables, whose prices rise ever slower with the
/// magnitude; some rows and columns ask for tables beyond both ends.
inline BlockLevels block_levels(std::int64_t rows, std::int64_t width) {
  BlockLevels levels;
  for (std::int64_t r = 0; r < rows; ++r) {
    levels.row_step.push_back(0.6F + 0.05F * static_cast<float>(r % 7));
    levels.row_cost.push_back(0.8F + 0.11F * static_cast<float>(r % 5));
    levels.row_table.push_back(static_cast<std::int32_t>(r % 5) - 1);
  }
  for (std::int64_t j = 0; j < width; ++j) {
    levels.column_step.push_back(0.4F + 0.07F * static_cast<float>(j % 6));
    levels.column_cost.push_back(0.7F + 0.13F * static_cast<float>(j % 4));
    levels.column_table.push_back(static_cast<std::int32_t>(j % 3) - 1);
  }
  for (int table = 0; table < 4; ++table) {
    std::vector<float>& price = levels.price.emplace_back();
    for (int magnitude = 0; magnitude < 32; ++magnitude) {
      price.push_back(0.05F * static_cast<float>(4 - table) *
                      std::log2(1.0F + static_cast<float>(magnitude)));
    }
  }
  return levels;
}

}  // namespace sgpt_mi::test
