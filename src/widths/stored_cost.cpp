#include "sgpt_mi/widths/stored_cost.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "sgpt_mi/packing/packed_size.h"

namespace sgpt_mi::widths {
namespace {

constexpr std::int64_t kScaleBits = 16;
constexpr std::int64_t kWidthBits = 3;
constexpr std::int64_t kRecordBits = 352;  // of 44 bytes

std::int64_t mask_bits(const StoredLinear& linear, const obs::CompressOptions& matrix) {
  const std::int64_t weights = linear.rows * linear.columns;
  if (matrix.prune_m == 0 || matrix.prune_m > packing::kMaxRankedColumns) return weights;
  return weights / matrix.prune_m *
         packing::rank_bits(static_cast<int>(matrix.prune_n), static_cast<int>(matrix.prune_m));
}

/// Whether the codes that a mask spares take more than the mask, at the widths that `code_bits` for
/// mask and codes allow.
bool mask_pays(const StoredLinear& linear, const obs::CompressOptions& matrix,
               std::int64_t code_bits) {
  const double kept = kept_share(matrix);
  const auto mask = static_cast<double>(mask_bits(linear, matrix));
  const double codes = static_cast<double>(code_bits) - mask;
  return kept > 0.0 && codes / kept * (1.0 - kept) > mask;
}

std::int64_t sum_of(const std::vector<int>& levels) {
  return std::accumulate(levels.begin(), levels.end(), std::int64_t{0});
}

/// Grids that are there whatever the widths: their scales, and for single channels the zero points
/// of one grid for every level.
std::int64_t grid_bits(const StoredLinear& linear, const WidthOptions& options) {
  const auto units = static_cast<std::int64_t>(linear.unit_columns.size());
  const auto levels = static_cast<std::int64_t>(options.levels.size());
  const std::int64_t zero_points = linear.single_channels ? sum_of(options.levels) : 0;
  const std::int64_t grids = linear.single_channels ? levels : units;
  const std::int64_t labels = linear.columns * packing::label_bits(grids) + kWidthBits * grids;
  switch (options.sharing) {
    case quant::GridSharing::kRowGroup:
      return linear.rows * (kScaleBits * grids + zero_points) + labels;
    case quant::GridSharing::kGroup:
      return kScaleBits * grids + zero_points + labels;
    case quant::GridSharing::kColumn:
      return (kScaleBits + kWidthBits) * linear.columns;
  }
  return 0;
}

/// Zero points that widen with a unit's width.
std::int64_t zero_points_of(const StoredLinear& linear, std::size_t unit,
                            quant::GridSharing sharing) {
  if (sharing == quant::GridSharing::kColumn) return linear.unit_columns[unit];
  if (linear.single_channels) return 0;
  return sharing == quant::GridSharing::kRowGroup ? linear.rows : 1;
}

}  // namespace

double kept_share(const obs::CompressOptions& options) {
  if (options.prune_m > 0) {
    return 1.0 - static_cast<double>(options.prune_n) / static_cast<double>(options.prune_m);
  }
  return 1.0 - options.sparsity;
}

StoredLinear nominal_linear(std::int64_t rows, std::int64_t columns, std::int64_t groups,
                            const obs::CompressOptions& options) {
  StoredLinear linear;
  linear.rows = rows;
  linear.columns = columns;
  linear.single_channels = groups == 0;
  const std::int64_t units = groups == 0 ? columns : std::min(groups, columns);
  for (std::int64_t u = 0; u < units; ++u) {
    linear.unit_columns.push_back(columns * (u + 1) / units - columns * u / units);
  }
  linear.unit_kept.assign(linear.unit_columns.size(), kept_share(options));
  return linear;
}

StoredLinear stored_linear(const LinearUnits& units, const obs::CompressOptions& options,
                           const torch::Tensor& pruned) {
  StoredLinear linear;
  linear.rows = units.rows;
  linear.columns = static_cast<std::int64_t>(units.unit_of_channel.size());
  linear.single_channels = units.single_channels;
  linear.unit_columns.assign(units.units.size(), 0);
  for (const std::int32_t unit : units.unit_of_channel) {
    ++linear.unit_columns[static_cast<std::size_t>(unit)];
  }
  linear.unit_kept.assign(units.units.size(), kept_share(options));
  if (!pruned.defined() || !options.prunes()) return linear;
  const torch::Tensor kept = pruned.logical_not().sum(0).to(torch::kCPU).contiguous();
  const auto* kept_of_column = kept.const_data_ptr<std::int64_t>();
  std::vector<double> sum(units.units.size(), 0.0);
  for (std::size_t j = 0; j < units.unit_of_channel.size(); ++j) {
    sum[static_cast<std::size_t>(units.unit_of_channel[j])] +=
        static_cast<double>(kept_of_column[j]);
  }
  for (std::size_t u = 0; u < sum.size(); ++u) {
    linear.unit_kept[u] = sum[u] / static_cast<double>(units.units[u].weights);
  }
  return linear;
}

StoredCost stored_cost(StoredLinear linear, const WidthOptions& options,
                       const obs::CompressOptions& matrix, std::int64_t budget_bits) {
  const auto levels = static_cast<std::int64_t>(options.levels.size());
  StoredCost cost;
  // Every stream of codes and zero points, and every other part, ends at a whole byte.
  const std::int64_t padding = 8 * (2 * levels + 4);
  cost.fixed_bits = kRecordBits + padding + grid_bits(linear, options);
  const std::int64_t mask = mask_bits(linear, matrix);
  const bool masked = matrix.prunes() && mask_pays(linear, matrix, budget_bits - cost.fixed_bits);
  if (masked) cost.fixed_bits += mask;
  cost.width_cost = [linear = std::move(linear), sharing = options.sharing, masked](
                        std::size_t unit, int bits) {
    const auto weights = static_cast<double>(linear.rows * linear.unit_columns[unit]);
    const double kept = masked ? linear.unit_kept[unit] : 1.0;
    const std::int64_t width = bits;
    return width * (static_cast<std::int64_t>(std::ceil(weights * kept)) +
                    zero_points_of(linear, unit, sharing));
  };
  return cost;
}

}  // namespace sgpt_mi::widths
