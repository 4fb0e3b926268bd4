#include "sgpt_mi/quant/level_grid.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cummax.h>

#include <cmath>
#include <initializer_list>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/cpu_kernels/level_counts.h"
#include "sgpt_mi/quant/grid.h"
#include "sgpt_mi/quant/tensor_view.h"

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

/// The bucket of each of a row of magnitudes, int32; few are large.
torch::Tensor buckets_of(const torch::Tensor& magnitude) {
  const torch::Tensor places = magnitude.ge(kCounted).nonzero().squeeze(1);
  if (places.numel() == 0) return magnitude;
  const torch::Tensor octave =
      (magnitude.index_select(0, places).to(torch::kFloat32) / static_cast<double>(kCounted))
          .log2_()
          .floor_()
          .clamp_(0, static_cast<double>(kOctaves - 1));
  return magnitude.index_copy(0, places,
                              (octave + static_cast<double>(kCounted)).to(torch::kInt32));
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

/// Classes of rows and columns by their mean magnitudes.
void set_classes(LevelTables& tables, const torch::Tensor& row_mean,
                 const torch::Tensor& column_mean) {
  tables.row_table = classes_of(row_mean);
  tables.column_table = classes_of(column_mean) - static_cast<std::int32_t>(kMiddleClass);
}

/// Sets the tables' classes; returns how many levels of every table are in every bucket,
/// (kClasses, kBuckets).
torch::Tensor counts_of(const torch::Tensor& levels, LevelTables& tables) {
  const torch::Tensor magnitude = levels.to(torch::kInt32).abs_();
  const torch::Tensor size = magnitude.to(torch::kFloat32);
  set_classes(tables, size.mean(1), size.mean(0));
  const torch::Tensor table = (tables.row_table.unsqueeze(1) + tables.column_table.unsqueeze(0))
                                  .clamp_(0, kClasses - 1)
                                  .mul_(kBuckets);
  return at::bincount(table.flatten() + buckets_of(magnitude.flatten()), {}, kClasses * kBuckets)
      .view({kClasses, kBuckets});
}

/// The same of int16 on a CPU, whose classes differ at most where a mean lies on a border.
torch::Tensor counts_by_kernel(const torch::Tensor& levels, LevelTables& tables) {
  const auto view = view_of<const std::int16_t>(levels);
  const kernels::Backend backend = backend_of(levels);
  const cpu_kernels::MagnitudeSums sums = cpu_kernels::magnitude_sums(view, backend);
  const auto mean_of = [](const std::vector<std::int64_t>& sum, std::int64_t count) {
    return (torch::tensor(sum, torch::kFloat64) / static_cast<double>(count)).to(torch::kFloat32);
  };
  set_classes(tables, mean_of(sums.rows, view.columns), mean_of(sums.columns, view.rows));
  const cpu_kernels::LevelClasses classes{tables.row_table.const_data_ptr<std::int32_t>(),
                                          tables.column_table.const_data_ptr<std::int32_t>(),
                                          kClasses};
  return torch::tensor(cpu_kernels::count_levels(view, classes, {kCounted, kOctaves}, backend),
                       torch::kInt64)
      .view({kClasses, kBuckets});
}

void select(const torch::Tensor& places, std::initializer_list<torch::Tensor*> vectors) {
  for (torch::Tensor* vector : vectors) {
    if (vector->defined()) *vector = vector->index_select(0, places);
  }
}

/// Whether these are so many float32 neighbours.
bool is_vector(const torch::Tensor& steps, std::int64_t count) {
  return steps.scalar_type() == torch::kFloat32 && steps.numel() == count && steps.is_contiguous();
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
  if (weight.is_cpu() && weight.scalar_type() == torch::kFloat32 && weight.stride(1) == 1) {
    ensure(is_vector(grid.row_step, weight.size(0)) && is_vector(grid.column_step, weight.size(1)),
           "quant: a grid of levels of another shape than its matrix");
    torch::Tensor levels = at::empty(weight.sizes(), weight.options().dtype(torch::kInt16));
    cpu_kernels::nearest_levels(view_of<const float>(weight), grid.row_step.const_data_ptr<float>(),
                                grid.column_step.const_data_ptr<float>(),
                                view_of<std::int16_t>(levels), backend_of(weight));
    return levels;
  }
  return (weight / step_matrix(grid)).round_().clamp_(-kMostLevel, kMostLevel).to(torch::kInt16);
}

torch::Tensor values_of(const torch::Tensor& levels, const LevelGrid& grid) {
  return step_matrix(grid).mul_(levels);
}

LevelTables level_tables(const torch::Tensor& levels) {
  LevelTables tables;
  const torch::Tensor counts = levels.is_cpu() && levels.scalar_type() == torch::kInt16
                                   ? counts_by_kernel(levels.contiguous(), tables)
                                   : counts_of(levels, tables);
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
