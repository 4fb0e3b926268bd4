#include "sgpt_mi/quant/level_grid.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cummax.h>
#include <ATen/ops/where.h>

#include <cmath>
#include <initializer_list>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/quant/grid.h"

namespace sgpt_mi::quant {
namespace {

constexpr std::int64_t kMagnitudes = 32;  // that have a price: kernels::LevelView
/// Magnitudes that are counted one by one; larger ones by octave, up to 48 * 2^10.
constexpr std::int64_t kCounted = 48;
constexpr std::int64_t kOctaves = 10;
constexpr std::int64_t kBuckets = kCounted + kOctaves;
constexpr double kMostLevel = 32767.0;
/// Classes of rows and columns: a matrix has few that differ by more than 2^8.
constexpr std::int64_t kClasses = 16;
constexpr std::int64_t kMiddleClass = 8;
constexpr double kClassesPerOctave = 2.0;

/// Classes 0 .. kClasses - 1 of positive means, the middle one for the middle of them.
torch::Tensor classes_of(const torch::Tensor& mean) {
  const torch::Tensor logarithm = mean.clamp_min(1e-9).log2().mul_(kClassesPerOctave);
  const torch::Tensor middle = logarithm.median();
  return (logarithm - middle)
      .round_()
      .add_(static_cast<double>(kMiddleClass))
      .clamp_(0, static_cast<double>(kClasses - 1))
      .to(torch::kInt32);
}

/// The bucket of each magnitude, int32.
torch::Tensor buckets_of(const torch::Tensor& magnitude) {
  if (magnitude.max().item<std::int32_t>() < kCounted) return magnitude;
  const torch::Tensor octave =
      (magnitude.to(torch::kFloat32) / static_cast<double>(kCounted)).log2_().floor_();
  return at::where(
      magnitude.lt(kCounted), magnitude,
      (octave.clamp_(0, static_cast<double>(kOctaves - 1)) + static_cast<double>(kCounted))
          .to(torch::kInt32));
}

/// Bits of a level in each bucket, by table: -log2 of its share, a sign for all but 0, and its
/// place within an octave. What does not occur counts as half of one that does.
torch::Tensor bits_of(const torch::Tensor& counts) {
  const torch::Tensor seen = counts.to(torch::kFloat64) + 0.5;
  torch::Tensor bits = (seen.sum(1, /*keepdim=*/true) / seen).log2_();
  bits.narrow(1, 1, kBuckets - 1).add_(1.0);
  for (std::int64_t octave = 0; octave < kOctaves; ++octave) {
    bits.select(1, kCounted + octave)
        .add_(std::log2(static_cast<double>(kCounted)) + static_cast<double>(octave));
  }
  return bits;
}

void select(const torch::Tensor& places, std::initializer_list<torch::Tensor*> vectors) {
  for (torch::Tensor* vector : vectors) {
    if (vector->defined()) *vector = vector->index_select(0, places);
  }
}

torch::Tensor step_matrix(const LevelGrid& grid) {
  return grid.row_step.unsqueeze(1) * grid.column_step.unsqueeze(0);
}

}  // namespace

kernels::LevelView LevelGrid::view(std::int64_t first) const {
  ensure(price.defined(), "quant: levels have no prices");
  kernels::LevelView view;
  view.row_step = row_step.data_ptr<float>();
  view.column_step = column_step.data_ptr<float>() + first;
  view.row_cost = row_cost.data_ptr<float>();
  view.column_cost = column_cost.data_ptr<float>() + first;
  view.row_table = row_table.data_ptr<std::int32_t>();
  view.column_table = column_table.data_ptr<std::int32_t>() + first;
  view.price = price.data_ptr<float>();
  view.tables = static_cast<std::int32_t>(price.size(0));
  return view;
}

LevelGrid LevelGrid::with_columns(const torch::Tensor& order) const {
  LevelGrid result = *this;
  select(order, {&result.column_step, &result.column_cost, &result.column_table});
  return result;
}

LevelGrid LevelGrid::of_rows(const torch::Tensor& rows) const {
  LevelGrid result = *this;
  select(rows, {&result.row_step, &result.row_cost, &result.row_table});
  return result;
}

LevelGrid make_level_grid(const torch::Tensor& row_step, const torch::Tensor& column_step,
                          std::optional<int> row_exponent) {
  LevelGrid grid;
  grid.row_step = row_step.to(torch::kFloat32, /*non_blocking=*/false, /*copy=*/true);
  grid.column_step = column_step.to(torch::kFloat32, /*non_blocking=*/false, /*copy=*/true);
  grid.row_exponent = row_exponent ? *row_exponent : scale_exponent_for(grid.row_step);
  grid.column_exponent = scale_exponent_for(grid.column_step);
  round_to_stored(grid.row_step, grid.row_exponent);
  round_to_stored(grid.column_step, grid.column_exponent);
  return grid;
}

torch::Tensor nearest_levels(const torch::Tensor& weight, const LevelGrid& grid) {
  return (weight / step_matrix(grid)).round_().clamp_(-kMostLevel, kMostLevel).to(torch::kInt16);
}

torch::Tensor values_of(const torch::Tensor& levels, const LevelGrid& grid) {
  return step_matrix(grid).mul_(levels);
}

LevelTables level_tables(const torch::Tensor& levels) {
  const torch::Tensor magnitude = levels.to(torch::kInt32).abs_();
  const torch::Tensor size = magnitude.to(torch::kFloat32);
  LevelTables tables;
  tables.row_table = classes_of(size.mean(1));
  tables.column_table = classes_of(size.mean(0)) - static_cast<std::int32_t>(kMiddleClass);
  const torch::Tensor table = (tables.row_table.unsqueeze(1) + tables.column_table.unsqueeze(0))
                                  .clamp_(0, kClasses - 1)
                                  .mul_(kBuckets);
  const torch::Tensor counts =
      at::bincount((table + buckets_of(magnitude)).flatten(), {}, kClasses * kBuckets)
          .view({kClasses, kBuckets});
  const torch::Tensor bits = bits_of(counts);
  tables.total_bits = (bits * counts).sum().item<double>();
  // A larger magnitude never costs less: few of them are counted, by chance unevenly.
  tables.bits = std::get<0>(at::cummax(bits.narrow(1, 0, kMagnitudes), 1)).to(torch::kFloat32);
  // The last difference is what larger ones go on with: a mean one.
  constexpr std::int64_t kLast = kMagnitudes - 1;
  const torch::Tensor rise =
      (tables.bits.select(1, kLast - 1) - tables.bits.select(1, kLast - 9)) / 8.0;
  tables.bits.select(1, kLast).copy_(tables.bits.select(1, kLast - 1) + rise);
  return tables;
}

void set_prices(LevelGrid& grid, const LevelTables& tables) {
  grid.row_table = tables.row_table;
  grid.column_table = tables.column_table;
  grid.price = (tables.bits * kBitPrice).contiguous();
}

}  // namespace sgpt_mi::quant
