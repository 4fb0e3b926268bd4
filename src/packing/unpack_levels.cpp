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

void require_kept(const PackedParts& parts, const PackedRecord& record, std::int64_t kept) {
  if (kept == record.stored) return;
  refuse_packed(parts, "{} of its levels are not 0 where the record has {}", kept, record.stored);
}

/// The steps between the values of a matrix's levels.
class Steps {
 public:
  Steps(const PackedParts& parts, const PackedRecord& record)
      : shared_(record.grid_rows == 1),
        groups_(static_cast<std::size_t>(record.groups)),
        group_of_column_(read_column_groups(parts, record).group_of_column),
        scale_(scales_as_floats(parts, PackedPartKind::kScale, record.scale_exponent)) {
    if (!record.column_scaled) return;
    column_scale_ = scales_as_floats(parts, PackedPartKind::kColumnScale, record.column_exponent);
    const float largest = *std::max_element(scale_.begin(), scale_.end()) *
                          *std::max_element(column_scale_.begin(), column_scale_.end());
    if (!std::isfinite(largest)) {
      refuse_packed(parts,
                    "its largest scales have an infinite product; a finite one was expected");
    }
  }

  /// The steps of a row's columns.
  void load_row(std::int64_t row, std::vector<float>& step) const {
    const float* scale = scale_.data() + (shared_ ? 0 : static_cast<std::size_t>(row) * groups_);
    for (std::size_t j = 0; j < step.size(); ++j) {
      step[j] = scale[static_cast<std::size_t>(group_of_column_[j])];
    }
    if (column_scale_.empty()) return;
    for (std::size_t j = 0; j < step.size(); ++j) step[j] *= column_scale_[j];
  }

 private:
  bool shared_;
  std::size_t groups_;
  std::vector<std::int32_t> group_of_column_;
  std::vector<float> scale_;         // (grid rows, G)
  std::vector<float> column_scale_;  // (columns), or empty
};

}  // namespace

entropy::CodedView coded_view(const PackedParts& parts) {
  const auto name = [&](PackedPartKind kind) {
    return fmt::format("io: {}: packed matrix '{}': part {}{}", parts.source, parts.name,
                       parts.name, packed_suffix(kind));
  };
  return {parts.at(PackedPartKind::kTables)->bytes, parts.at(PackedPartKind::kCodes)->bytes,
          name(PackedPartKind::kTables), name(PackedPartKind::kCodes)};
}

std::vector<std::byte> unpack_levels(const PackedParts& parts, const PackedRecord& record,
                                     const ParallelFor& parallel_for) {
  const Steps steps(parts, record);
  const entropy::LevelReader reader(coded_view(parts), record.rows, record.columns);
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
      steps.load_row(band.row + row, step);
      cpu_kernels::dequantize_levels(band.levels + row * record.columns, step.data(),
                                     record.columns, values.data());
      store_row(values, record.dtype, rounded,
                out.data() + static_cast<std::size_t>(band.row + row) * row_bytes);
    }
  });
  require_kept(parts, record, kept);
  return out;
}

UnpackedCodes read_levels(const PackedParts& parts, const PackedRecord& record,
                          const ParallelFor& parallel_for) {
  (void)Steps(parts, record);  // for its checks
  UnpackedCodes result;
  result.rows = record.rows;
  result.columns = record.columns;
  result.dtype = record.dtype;
  result.grid_rows = record.grid_rows;
  result.scale = read_scales(parts, PackedPartKind::kScale);
  result.scale_exponent = record.scale_exponent;
  result.group_of_column = read_column_groups(parts, record).group_of_column;
  if (record.column_scaled) {
    result.column_scale = read_scales(parts, PackedPartKind::kColumnScale);
    result.column_exponent = record.column_exponent;
  }
  result.levels =
      entropy::LevelReader(coded_view(parts), record.rows, record.columns).read(parallel_for);
  require_kept(parts, record,
               count_kept(result.levels.data(), static_cast<std::int64_t>(result.levels.size())));
  return result;
}

}  // namespace sgpt_mi::packing
