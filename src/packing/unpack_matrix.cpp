#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "packed_columns.h"
#include "packed_grids.h"
#include "packed_mask.h"
#include "packed_record.h"
#include "packed_rows.h"
#include "packed_values.h"
#include "sgpt_mi/cpu_kernels/dequantize.h"
#include "sgpt_mi/entropy/coded_levels.h"
#include "sgpt_mi/kernels/half.h"
#include "sgpt_mi/packing/packed_matrix.h"
#include "sgpt_mi/packing/unpacked_codes.h"
#include "unpack_levels.h"

namespace sgpt_mi::packing {
namespace {

constexpr std::int64_t kRowGrain = 16;  // rows that one task unpacks at least

// --- rows -----------------------------------------------------------------------------------

std::vector<std::byte> unpack_coded(const PackedParts& parts, const PackedRecord& record,
                                    const ParallelFor& parallel_for) {
  ColumnGroups groups = read_column_groups(parts, record);
  const PackedRows rows(parts, record,
                        stream_order(column_widths(groups.group_of_column, groups.bits_of_group)),
                        parallel_for);
  const PackedCodes codes(parts, PackedPartKind::kCodes, rows, record.rows);
  const PackedGrids grids(parts, record, std::move(groups));
  const auto columns = static_cast<std::size_t>(record.columns);
  const std::size_t row_bytes = columns * dtype_size(record.dtype);
  std::vector<std::byte> out(static_cast<std::size_t>(record.rows) * row_bytes);
  parallel_for(record.rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    PackedCodes::Scratch scratch(record.columns);
    std::vector<std::uint8_t> row_codes(columns);
    std::vector<float> scale(columns);
    std::vector<float> zero(columns);
    std::vector<float> values(columns);
    std::vector<std::uint16_t> rounded(columns);
    const cpu_kernels::CodeRow row_of_codes{row_codes.data(),
                                            rows.masked() ? scratch.kept.data() : nullptr,
                                            scale.data(), zero.data(), record.columns};
    for (std::int64_t row = begin; row < end; ++row) {
      if (row == begin || !grids.shared()) grids.load_row(row, scale, zero);
      codes.read_row(row, scratch, row_codes.data());
      cpu_kernels::dequantize_row(row_of_codes, values.data());
      store_row(values, record.dtype, rounded,
                out.data() + static_cast<std::size_t>(row) * row_bytes);
    }
  });
  return out;
}

/// Copies the kept values of each row to their columns, 0 to the others.
template <typename T>
std::vector<std::byte> spread_values(std::span<const std::byte> stored, const PackedRows& rows,
                                     const PackedRecord& record, const ParallelFor& parallel_for) {
  const auto columns = static_cast<std::size_t>(record.columns);
  std::vector<std::byte> out(static_cast<std::size_t>(record.weights()) * sizeof(T));
  parallel_for(record.rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::uint8_t> kept(columns);
    std::vector<T> taken(columns + 1);  // one more may be read than is kept
    std::vector<T> values(columns);
    for (std::int64_t row = begin; row < end; ++row) {
      rows.load_kept(row, kept.data());
      const auto first = static_cast<std::size_t>(rows.first(row, 0));
      const auto count = static_cast<std::size_t>(rows.first(row + 1, 0)) - first;
      if (count > 0)
        std::memcpy(taken.data(), stored.data() + first * sizeof(T), count * sizeof(T));
      const T* next = taken.data();
      for (std::size_t j = 0; j < columns; ++j) {
        values[j] = static_cast<T>(*next * kept[j]);  // no branch: the mask is not predictable
        next += kept[j];
      }
      std::memcpy(out.data() + static_cast<std::size_t>(row) * columns * sizeof(T), values.data(),
                  columns * sizeof(T));
    }
  });
  return out;
}

std::vector<std::byte> unpack_values(const PackedParts& parts, const PackedRecord& record,
                                     const ParallelFor& parallel_for) {
  const std::optional<containers::TensorData>& part = parts.at(PackedPartKind::kValues);
  const std::span<const std::byte> stored = part ? part->bytes : std::span<const std::byte>{};
  if (!record.masked()) return {stored.begin(), stored.end()};
  const PackedRows rows(parts, record, natural_order(record.columns), parallel_for);
  if (record.dtype == DType::kF32) {
    return spread_values<std::uint32_t>(stored, rows, record, parallel_for);
  }
  return spread_values<std::uint16_t>(stored, rows, record, parallel_for);
}

}  // namespace

double PackedMatrixInfo::stored_bits_per_weight() const {
  return 8.0 * static_cast<double>(size.total()) / static_cast<double>(dense.count());
}

PackedMatrixInfo describe_packed(const PackedParts& parts) {
  const PackedRecord record = read_record(parts);
  PackedMatrixInfo info;
  info.name = parts.name;
  info.dense = {parts.name + ".weight", record.dtype, {record.rows, record.columns}};
  info.layout = record.layout;
  info.prune_n = record.prune_n;
  info.prune_m = record.prune_m;
  info.stored = record.stored;
  info.grid_rows = record.grid_rows;
  info.groups = record.groups;
  if (record.coded()) {
    info.tables = entropy::table_count(coded_view(parts));
    (void)read_column_groups(parts, record);
  } else if (record.quantized()) {
    const ColumnGroups groups = read_column_groups(parts, record);
    for (const int width : column_widths(groups.group_of_column, groups.bits_of_group)) {
      info.weights_of_width[static_cast<std::size_t>(width)] += record.rows;
    }
  } else {
    info.weights_of_width[0] = record.weights();
  }
  for (std::size_t i = 0; i < kPackedPartKinds; ++i) {
    const std::optional<containers::TensorData>& part = parts.parts[i];
    if (!part) continue;
    entry_of(info.size, static_cast<PackedPartKind>(i)) +=
        static_cast<std::int64_t>(part->bytes.size());
  }
  return info;
}

std::vector<std::byte> unpack_matrix(const PackedParts& parts, const ParallelFor& parallel_for) {
  const PackedRecord record = checked_record(parts, parallel_for);
  if (record.coded()) return unpack_levels(parts, record, parallel_for);
  return record.quantized() ? unpack_coded(parts, record, parallel_for)
                            : unpack_values(parts, record, parallel_for);
}

UnpackedCodes unpack_codes(const PackedParts& parts, const ParallelFor& parallel_for) {
  const PackedRecord record = checked_record(parts, parallel_for);
  ensure(record.quantized(), "io: the codes of a matrix without codes were asked for");
  if (record.coded()) return read_levels(parts, record, parallel_for);
  ColumnGroups groups = read_column_groups(parts, record);
  const PackedRows rows(parts, record,
                        stream_order(column_widths(groups.group_of_column, groups.bits_of_group)),
                        parallel_for);
  const PackedCodes codes(parts, PackedPartKind::kCodes, rows, record.rows);
  UnpackedCodes result;
  result.rows = record.rows;
  result.columns = record.columns;
  result.dtype = record.dtype;
  result.prune_n = record.prune_n;
  result.prune_m = record.prune_m;
  result.grid_rows = record.grid_rows;
  result.scale = read_scales(parts, PackedPartKind::kScale);
  result.scale_exponent = record.scale_exponent;
  result.zero_point = read_zero_points(parts, record, {{}, groups.bits_of_group});
  result.codes.resize(static_cast<std::size_t>(record.weights()));
  if (rows.masked()) result.pruned.resize(result.codes.size());
  PackedCodes::Scratch scratch(record.columns);
  for (std::int64_t row = 0; row < record.rows; ++row) {
    codes.read_row(row, scratch, result.codes.data() + row * record.columns);
    if (!rows.masked()) continue;
    std::transform(scratch.kept.begin(), scratch.kept.end(),
                   result.pruned.begin() + row * record.columns,
                   [](std::uint8_t kept) { return static_cast<std::uint8_t>(1 - kept); });
  }
  result.group_of_column = std::move(groups.group_of_column);
  result.bits_of_group = std::move(groups.bits_of_group);
  return result;
}

CodedMatrix UnpackedCodes::view() const {
  const std::size_t groups = bits_of_group.size();
  bool symmetric = levels.empty();
  for (std::size_t i = 0; i < zero_point.size() && symmetric; ++i) {
    symmetric = zero_point[i] == 1 << (bits_of_group[i % groups] - 1);
  }
  return {rows,           columns,      dtype,           codes,         {},
          pruned,         prune_n,      prune_m,         grid_rows,     scale,
          scale_exponent, zero_point,   group_of_column, bits_of_group, symmetric,
          levels,         column_scale, column_exponent};
}

bool UnpackedCodes::set_exponent(int exponent) {
  const float factor = std::ldexp(1.0F, scale_exponent - exponent);
  scale_exponent = exponent;
  for (std::uint16_t& pattern : scale) {
    const float value = kernels::half_to_float(pattern) * factor;
    pattern = kernels::float_to_half(value);
    if (kernels::half_to_float(pattern) != value || !(value > 0.0F)) return false;
  }
  return true;
}

}  // namespace sgpt_mi::packing
