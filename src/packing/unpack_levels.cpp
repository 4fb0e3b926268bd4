#include "unpack_levels.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>

#include "packed_columns.h"
#include "packed_values.h"
#include "sgpt_mi/cpu_kernels/dequantize.h"

namespace sgpt_mi::packing {
namespace {

std::int64_t count_kept(const std::int16_t* levels, std::int64_t count) {
  return count - std::count(levels, levels + count, 0);
}

void require_finite_steps(const PackedParts& parts, const PackedLevels& levels) {
  const float largest = *std::max_element(levels.scale.begin(), levels.scale.end()) *
                        *std::max_element(levels.column_scale.begin(), levels.column_scale.end());
  if (std::isfinite(largest)) return;
  refuse_packed(parts, "its largest scales have an infinite product; a finite one was expected");
}

/// The steps between the values of a row's columns.
void load_steps(const PackedLevels& levels, std::int64_t row, std::vector<float>& step) {
  const float* scale = levels.scale.data() + (levels.grid_rows == 1 ? 0 : row * levels.groups);
  for (std::size_t j = 0; j < step.size(); ++j) step[j] = scale[levels.group_of_column[j]];
  if (levels.column_scale.empty()) return;
  for (std::size_t j = 0; j < step.size(); ++j) step[j] *= levels.column_scale[j];
}

}  // namespace

entropy::CodedView coded_view(const PackedParts& parts) {
  const auto name = [&](PackedPartKind kind) {
    return fmt::format("io: {}: packed matrix '{}': part {}{}", parts.source, parts.name,
                       parts.name, packed_suffix(kind));
  };
  return {parts.at(PackedPartKind::kTables)->bytes, parts.at(PackedPartKind::kCodes)->bytes,
          name(PackedPartKind::kTables), name(PackedPartKind::kCodes)};
}

PackedLevels packed_levels(const PackedParts& parts, const PackedRecord& record) {
  PackedLevels levels;
  levels.name = fmt::format("io: {}: packed matrix '{}'", parts.source, parts.name);
  levels.rows = record.rows;
  levels.columns = record.columns;
  levels.dtype = record.dtype;
  levels.stored = record.stored;
  levels.coded = coded_view(parts);
  levels.grid_rows = record.grid_rows;
  levels.groups = record.groups;
  levels.group_of_column = read_column_groups(parts, record).group_of_column;
  levels.scale = scales_as_floats(parts, PackedPartKind::kScale, record.scale_exponent);
  if (record.column_scaled) {
    levels.column_scale =
        scales_as_floats(parts, PackedPartKind::kColumnScale, record.column_exponent);
    require_finite_steps(parts, levels);
  }
  return levels;
}

void PackedLevels::require_kept(std::int64_t kept) const {
  if (kept == stored) return;
  fail(ErrorKind::kInput, "{}: {} of its levels are not 0 where the record has {}", name, kept,
       stored);
}

std::vector<std::byte> unpack_levels(const PackedParts& parts, const PackedRecord& record,
                                     const ParallelFor& parallel_for) {
  const PackedLevels matrix = packed_levels(parts, record);
  const entropy::LevelReader reader(matrix.coded, record.rows, record.columns);
  const auto columns = static_cast<std::size_t>(record.columns);
  const std::size_t row_bytes = columns * dtype_size(record.dtype);
  std::vector<std::byte> out(static_cast<std::size_t>(record.rows) * row_bytes);
  std::atomic<std::int64_t> kept = 0;
  reader.for_bands(parallel_for, [&](const entropy::LevelBand& band) {
    kept += count_kept(band.levels, band.rows * record.columns);
    std::vector<float> step(columns);
    std::vector<float> values(columns);
    std::vector<std::uint16_t> rounded(columns);
    for (std::int64_t row = 0; row < band.rows; ++row) {
      load_steps(matrix, band.row + row, step);
      cpu_kernels::dequantize_levels(band.levels + row * record.columns, step.data(),
                                     record.columns, values.data());
      store_row(values, record.dtype, rounded,
                out.data() + static_cast<std::size_t>(band.row + row) * row_bytes);
    }
  });
  matrix.require_kept(kept);
  return out;
}

UnpackedCodes read_levels(const PackedParts& parts, const PackedRecord& record,
                          const ParallelFor& parallel_for) {
  PackedLevels matrix = packed_levels(parts, record);
  UnpackedCodes result;
  result.rows = record.rows;
  result.columns = record.columns;
  result.dtype = record.dtype;
  result.grid_rows = record.grid_rows;
  result.scale = read_scales(parts, PackedPartKind::kScale);
  result.scale_exponent = record.scale_exponent;
  result.group_of_column = std::move(matrix.group_of_column);
  if (record.column_scaled) {
    result.column_scale = read_scales(parts, PackedPartKind::kColumnScale);
    result.column_exponent = record.column_exponent;
  }
  result.levels =
      entropy::LevelReader(matrix.coded, record.rows, record.columns).read(parallel_for);
  matrix.require_kept(
      count_kept(result.levels.data(), static_cast<std::int64_t>(result.levels.size())));
  return result;
}

}  // namespace sgpt_mi::packing
