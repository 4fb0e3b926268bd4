#include "sgpt_mi/blocks/fit_blocks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "group_sums.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/half.h"

namespace sgpt_mi::blocks {
namespace {

constexpr int kTrials = 19;  // scales tried, the range's ends between -0.9 and 0.9 codes away
constexpr int kMiddle = kTrials / 2;
constexpr int kIterations = 2;            // least squares after each
constexpr int kFactorRounds = 2;          // of the block's factors
constexpr std::int64_t kMostGroups = 16;  // of a block

float rounded_to_half(float value) { return kernels::half_to_float(kernels::float_to_half(value)); }

/// Scale and offset of one group, and the weighted error with them.
struct Fitted {
  Affine grid;
  float error = std::numeric_limits<float>::infinity();
};

/// The fit of one group with any real scale and offset.
class GroupSearch {
 public:
  GroupSearch(const BlockType& type, const Group& group) : type_(type), group_(group) {}

  [[nodiscard]] Fitted best() {
    const auto [low, high] = std::minmax_element(group_.weight, group_.weight + group_.count);
    if (*low == 0.0F && *high == 0.0F) return {{0.0F, 0.0F}, 0.0F};
    if (type_.form == BlockForm::kOffset) {
      search_ranges(std::min(*low, 0.0F), std::max(*high, 0.0F));
    } else {
      const float extreme = -*low > *high ? *low : *high;
      search_scales(extreme);
      search_scales(-extreme);
    }
    return best_;
  }

 private:
  void search_ranges(float low, float high) {
    for (int trial = 0; trial < kTrials; ++trial) {
      const float codes = type_.max_code() + 0.1F * static_cast<float>(trial - kMiddle);
      descend({(high - low) / codes, low});
    }
  }

  /// The extreme weight gets about the lowest level.
  void search_scales(float extreme) {
    const bool table = type_.form == BlockForm::kTable;
    const float level = table ? kTable4.front() : -type_.shift;
    const float step = table ? 4.0F : 0.1F;
    for (int trial = 0; trial < kTrials; ++trial) {
      descend({extreme / (level + step * static_cast<float>(trial - kMiddle)), 0.0F});
    }
  }

  /// Codes, then least squares for them, and again.
  void descend(Affine grid) {
    for (int i = 0; i <= kIterations; ++i) {
      const GroupSums sums = sum_group(type_, group_, grid);
      if (sums.error < best_.error) best_ = {grid, sums.error};
      if (i < kIterations) grid = least_squares(sums, grid);
    }
  }

  [[nodiscard]] Affine least_squares(const GroupSums& sums, Affine grid) const {
    if (!(sums.level_square > 0.0F)) return grid;
    const Affine without{sums.weight_level / sums.level_square, 0.0F};
    if (type_.form != BlockForm::kOffset) return without;
    const float determinant = sums.one * sums.level_square - sums.level * sums.level;
    if (!(determinant > 1e-6F * sums.one * sums.level_square)) return grid;
    const Affine with{
        (sums.one * sums.weight_level - sums.level * sums.weight) / determinant,
        (sums.level_square * sums.weight - sums.level * sums.weight_level) / determinant};
    const bool possible = with.scale > 0.0F && (with.offset <= 0.0F || !type_.has_subs());
    if (possible) return with;
    return without.scale > 0.0F ? without : grid;
  }

  const BlockType& type_;
  const Group& group_;
  Fitted best_;
};

/// The factors of a block, or nothing to choose.
struct Factors {
  float scale = 0.0F;
  float minimum = 0.0F;
};

/// The whole numbers of one group.
struct Subs {
  float scale = 1.0F;
  float minimum = 1.0F;
};

Affine grid_of(Factors factors, Subs subs, BlockForm form) {
  return {factors.scale * subs.scale,
          form == BlockForm::kOffset ? -(factors.minimum * subs.minimum) : 0.0F};
}

float divided(float value, float by) { return by == 0.0F ? 0.0F : value / by; }

/// The whole numbers around the wanted scale and offset that leave the least error.
Fitted choose_subs(const BlockType& type, const Group& group, Affine wanted, Factors factors,
                   Subs& best) {
  const bool offsets = type.form == BlockForm::kOffset;
  const float scale = std::floor(divided(wanted.scale, factors.scale));
  const float minimum = std::floor(divided(-wanted.offset, factors.minimum));
  Fitted least;
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < (offsets ? 2 : 1); ++j) {
      Subs subs;
      subs.scale = std::clamp(scale + static_cast<float>(i), type.least_sub, type.most_sub);
      subs.minimum =
          offsets ? std::clamp(minimum + static_cast<float>(j), 0.0F, type.most_sub) : 0.0F;
      const Affine grid = grid_of(factors, subs, type.form);
      const float error = sum_group(type, group, grid).error;
      if (!(error < least.error)) continue;
      least = {grid, error};
      best = subs;
    }
  }
  return least;
}

/// One block of one row.
class BlockSearch {
 public:
  BlockSearch(const BlockType& type, const float* weight, const float* column_weight)
      : type_(type), groups_(type.block_elements / type.group) {
    for (std::int64_t g = 0; g < groups_; ++g) {
      group_[at(g)] = {weight + g * type.group, column_weight + g * type.group, type.group};
    }
  }

  void run() {
    for (std::int64_t g = 0; g < groups_; ++g) {
      wanted_[at(g)] = GroupSearch(type_, group_[at(g)]).best().grid;
    }
    if (!type_.has_subs()) {
      best_ = {rounded_to_half(wanted_[0].scale), rounded_to_half(-wanted_[0].offset)};
      return;
    }
    Factors factors = largest_factors();
    for (int round = 0; round <= kFactorRounds; ++round) {
      const float error = choose_all(factors);
      if (error < least_) {
        least_ = error;
        best_ = factors;
        best_subs_ = subs_;
      }
      if (round < kFactorRounds) factors = refit(factors);
    }
  }

  [[nodiscard]] Factors factors() const { return best_; }
  [[nodiscard]] const std::array<Subs, kMostGroups>& subs() const { return best_subs_; }

 private:
  [[nodiscard]] static std::size_t at(std::int64_t group) {
    return static_cast<std::size_t>(group);
  }

  [[nodiscard]] Factors largest_factors() const {
    float scale = 0.0F;
    float minimum = 0.0F;
    for (std::int64_t g = 0; g < groups_; ++g) {
      const Affine& wanted = wanted_[at(g)];
      if (std::abs(wanted.scale) > std::abs(scale)) scale = wanted.scale;
      minimum = std::max(minimum, -wanted.offset);
    }
    const float limit = type_.least_sub < 0.0F ? type_.least_sub : type_.most_sub;
    return {rounded_to_half(scale / limit), rounded_to_half(minimum / type_.most_sub)};
  }

  float choose_all(Factors factors) {
    float error = 0.0F;
    for (std::int64_t g = 0; g < groups_; ++g) {
      error += choose_subs(type_, group_[at(g)], wanted_[at(g)], factors, subs_[at(g)]).error;
    }
    return error;
  }

  /// Least squares for the block's factors with all codes and whole numbers as they are.
  [[nodiscard]] Factors refit(Factors factors) const {
    double square = 0.0;
    double mixed = 0.0;
    double minimum_square = 0.0;
    double weight_level = 0.0;
    double weight_minimum = 0.0;
    for (std::int64_t g = 0; g < groups_; ++g) {
      const Subs subs = subs_[at(g)];
      const GroupSums sums = sum_group(type_, group_[at(g)], grid_of(factors, subs, type_.form));
      square += static_cast<double>(sums.level_square) * subs.scale * subs.scale;
      weight_level += static_cast<double>(sums.weight_level) * subs.scale;
      if (type_.form != BlockForm::kOffset) continue;
      mixed -= static_cast<double>(sums.level) * subs.scale * subs.minimum;
      minimum_square += static_cast<double>(sums.one) * subs.minimum * subs.minimum;
      weight_minimum -= static_cast<double>(sums.weight) * subs.minimum;
    }
    if (!(square > 0.0)) return factors;
    Factors moved{static_cast<float>(weight_level / square), 0.0F};
    const double determinant = square * minimum_square - mixed * mixed;
    if (determinant > 1e-9 * square * minimum_square) {
      moved = {static_cast<float>((minimum_square * weight_level - mixed * weight_minimum) /
                                  determinant),
               static_cast<float>((square * weight_minimum - mixed * weight_level) / determinant)};
      if (!(moved.scale > 0.0F && moved.minimum >= 0.0F)) return factors;
    }
    return {rounded_to_half(moved.scale), rounded_to_half(moved.minimum)};
  }

  const BlockType& type_;
  std::int64_t groups_;
  std::array<Group, kMostGroups> group_{};
  std::array<Affine, kMostGroups> wanted_{};
  std::array<Subs, kMostGroups> subs_{};
  Factors best_;
  std::array<Subs, kMostGroups> best_subs_{};
  float least_ = std::numeric_limits<float>::infinity();
};

void check(const BlockFit& fit, std::int64_t columns_of_unit) {
  ensure(fit.type != nullptr && fit.type->form != BlockForm::kPlain &&
             fit.column_weight != nullptr && fit.weight.columns % columns_of_unit == 0,
         "blocks: nothing that blocks can be fitted to");
}

}  // namespace

void fit_blocks(const BlockFit& fit, const ParallelFor& parallel_for) {
  check(fit, fit.type->block_elements);
  const BlockType& type = *fit.type;
  const std::int64_t blocks = fit.weight.columns / type.block_elements;
  const std::int64_t groups = type.block_elements / type.group;
  parallel_for(fit.weight.rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t block = 0; block < blocks; ++block) {
        const std::int64_t first = block * type.block_elements;
        BlockSearch search(type, fit.weight.row(row) + first, fit.column_weight + first);
        search.run();
        fit.scales.super_scale.row(row)[block] = search.factors().scale;
        fit.scales.super_minimum.row(row)[block] = search.factors().minimum;
        for (std::int64_t g = 0; g < groups; ++g) {
          const Subs subs = search.subs()[static_cast<std::size_t>(g)];
          fit.scales.sub_scale.row(row)[block * groups + g] = subs.scale;
          fit.scales.sub_minimum.row(row)[block * groups + g] = subs.minimum;
        }
      }
    }
  });
}

void fit_group(const BlockFit& fit, const ParallelFor& parallel_for) {
  check(fit, fit.type->group);
  const BlockType& type = *fit.type;
  if (!type.has_subs()) return;
  parallel_for(fit.weight.rows, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const Group group{fit.weight.row(row), fit.column_weight, type.group};
      const Factors factors{*fit.scales.super_scale.row(row), *fit.scales.super_minimum.row(row)};
      Subs subs{0.0F, 0.0F};
      const Affine wanted = GroupSearch(type, group).best().grid;
      (void)choose_subs(type, group, wanted, factors, subs);
      *fit.scales.sub_scale.row(row) = subs.scale;
      *fit.scales.sub_minimum.row(row) = subs.minimum;
    }
  });
}

}  // namespace sgpt_mi::blocks
