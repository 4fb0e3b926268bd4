#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace sgpt_mi::test {

/// How a matrix of levels is drawn: rounded samples, scaled by row and by column.
struct LevelForm {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  double size = 1.0;        ///< typical standard deviation of a level
  bool laplace = false;     ///< instead of a Gauss distribution
  double row_spread = 0.0;  ///< standard deviation of the octaves by which rows differ
  double column_spread = 0.0;
};

/// The standard deviation of every level of a matrix, as the product of one of its row and one of
/// its column.
struct LevelSizes {
  std::vector<double> row;
  std::vector<double> column;
};

inline LevelSizes level_sizes(const LevelForm& form, std::mt19937& engine) {
  std::normal_distribution<double> octaves;
  LevelSizes sizes;
  for (std::int64_t r = 0; r < form.rows; ++r) {
    sizes.row.push_back(form.size * std::exp2(form.row_spread * octaves(engine)));
  }
  for (std::int64_t j = 0; j < form.columns; ++j) {
    sizes.column.push_back(std::exp2(form.column_spread * octaves(engine)));
  }
  return sizes;
}

/// (rows, columns) levels.
inline std::vector<std::int16_t> random_levels(const LevelForm& form, const LevelSizes& sizes,
                                               std::mt19937& engine) {
  std::normal_distribution<double> gauss;
  std::exponential_distribution<double> exponential(std::sqrt(2.0));
  std::vector<std::int16_t> levels;
  for (const double row : sizes.row) {
    for (const double column : sizes.column) {
      const double sign = engine() % 2 == 0 ? 1.0 : -1.0;
      const double sample = form.laplace ? sign * exponential(engine) : gauss(engine);
      levels.push_back(static_cast<std::int16_t>(std::nearbyint(sample * row * column)));
    }
  }
  return levels;
}

inline std::vector<std::int16_t> random_levels(const LevelForm& form, std::mt19937& engine) {
  return random_levels(form, level_sizes(form, engine), engine);
}

/// The probability that a level of this standard deviation is `level`.
inline double level_probability(const LevelForm& form, double size, int level) {
  const auto below = [&](double x) {
    if (!form.laplace) return 0.5 * std::erfc(-x / size / std::sqrt(2.0));
    const double decay = 0.5 * std::exp(-std::sqrt(2.0) * std::abs(x) / size);
    return x < 0 ? decay : 1.0 - decay;
  };
  return below(level + 0.5) - below(level - 0.5);
}

/// Bits of the levels when everybody knows the size of each: no code can take fewer on average.
inline double ideal_bits(const LevelForm& form, const LevelSizes& sizes,
                         const std::vector<std::int16_t>& levels) {
  double bits = 0.0;
  std::size_t i = 0;
  for (const double row : sizes.row) {
    for (const double column : sizes.column) {
      bits -= std::log2(std::max(1e-300, level_probability(form, row * column, levels[i++])));
    }
  }
  return bits;
}

}  // namespace sgpt_mi::test
