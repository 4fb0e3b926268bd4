#include <algorithm>
#include <cmath>
#include <utility>

#include "packed_columns.h"
#include "packed_mask.h"
#include "packed_record.h"
#include "part_list.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/entropy/coded_levels.h"
#include "sgpt_mi/kernels/half.h"
#include "sgpt_mi/kernels/pack_bits.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::packing {
namespace {

using Bytes = std::vector<std::byte>;

/// The caller's promises about a matrix, checked before anything is computed from it.
class Checks {
 public:
  Checks(const std::string& name, const CodedMatrix& matrix) : name_(name), matrix_(matrix) {}

  void run() const {
    require(matrix_.rows >= 1 && matrix_.columns >= 1 && matrix_.rows <= kMaxSide &&
                matrix_.columns <= kMaxSide && matrix_.rows <= kMaxWeights / matrix_.columns,
            "its sides are not between 1 and 2^31 - 1, or it has more than 2^48 weights");
    require(matrix_.dtype == DType::kF32 || matrix_.dtype == DType::kF16 ||
                matrix_.dtype == DType::kBF16,
            "its type is not F32, F16 or BF16");
    require((matrix_.codes.empty() ? 0 : 1) + (matrix_.values.empty() ? 0 : 1) +
                    (matrix_.levels.empty() ? 0 : 1) ==
                1,
            "it needs codes, levels or values, and only one of them");
    mask();
    if (!matrix_.levels.empty()) {
      levels();
    } else if (matrix_.codes.empty()) {
      require(matrix_.values.size() == weights() * dtype_size(matrix_.dtype),
              "its values are not rows * columns of its type");
    } else {
      require(matrix_.codes.size() == weights(), "its codes are not rows * columns");
      grid();
    }
  }

 private:
  void require(bool holds, const char* rule) const {
    if (!holds) fail(ErrorKind::kInternal, "io: matrix '{}' cannot be packed: {}", name_, rule);
  }

  [[nodiscard]] std::size_t weights() const {
    return static_cast<std::size_t>(matrix_.rows * matrix_.columns);
  }

  void mask() const {
    const auto& pruned = matrix_.pruned;
    require(pruned.empty() || pruned.size() == weights(), "its mask is not rows * columns");
    require(std::all_of(pruned.begin(), pruned.end(), [](auto flag) { return flag <= 1; }),
            "its mask holds something else than 0 and 1");
    if (matrix_.prune_m == 0) return require(matrix_.prune_n == 0, "its pattern has n without m");
    require(!pruned.empty() && matrix_.prune_n >= 1 && matrix_.prune_n < matrix_.prune_m &&
                matrix_.columns % matrix_.prune_m == 0,
            "its N:M pattern has no mask, no 1 <= n < m, or an m that does not divide the columns");
    const auto m = static_cast<std::size_t>(matrix_.prune_m);
    for (std::size_t at = 0; at < pruned.size(); at += m) {
      const auto zeros = std::count(pruned.begin() + static_cast<std::ptrdiff_t>(at),
                                    pruned.begin() + static_cast<std::ptrdiff_t>(at + m), 1);
      require(zeros == matrix_.prune_n, "its mask breaks its N:M pattern");
    }
  }

  void grid() const {
    const auto& widths = matrix_.bits_of_group;
    scales();
    require(matrix_.zero_point.size() == matrix_.scale.size(),
            "its zero points are not grid rows * groups");
    require(std::all_of(widths.begin(), widths.end(), [](int b) { return b >= 2 && b <= 8; }),
            "a group's width is not 2 to 8");
  }

  void levels() const {
    require(matrix_.levels.size() == weights(), "its levels are not rows * columns");
    require(matrix_.pruned.empty() && matrix_.zero_point.empty() && matrix_.bits_of_group.empty(),
            "beside levels it has a mask, zero points or widths");
    require(matrix_.grid_rows >= 1 &&
                static_cast<std::int64_t>(matrix_.scale.size()) % matrix_.grid_rows == 0,
            "its scales are not grid rows * groups");
    scales();
    const auto& columns = matrix_.column_scale;
    require(columns.empty() ? matrix_.column_exponent == 0
                            : columns.size() == static_cast<std::size_t>(matrix_.columns),
            "its columns' scales are not one per column, or none without an exponent");
    positive(columns, matrix_.column_exponent);
    if (columns.empty()) return;
    const auto largest = [](std::span<const std::uint16_t> scales, int exponent) {
      return std::ldexp(kernels::half_to_float(*std::max_element(scales.begin(), scales.end())),
                        exponent);
    };
    require(std::isfinite(largest(matrix_.scale, matrix_.scale_exponent) *
                          largest(columns, matrix_.column_exponent)),
            "a product of scales is infinite");
  }

  /// What codes and levels have in common.
  void scales() const {
    const std::int64_t groups = matrix_.groups();
    const auto& labels = matrix_.group_of_column;
    require(groups >= 1 && groups <= matrix_.columns, "it has no groups, or more than columns");
    require(labels.size() == static_cast<std::size_t>(matrix_.columns) &&
                std::all_of(labels.begin(), labels.end(),
                            [&](std::int32_t g) { return g >= 0 && g < groups; }),
            "its labels are not one per column, each below the number of groups");
    require(matrix_.grid_rows == 1 || matrix_.grid_rows == matrix_.rows,
            "its grids are neither shared nor one per row");
    require(matrix_.scale.size() == static_cast<std::size_t>(matrix_.grid_rows * groups),
            "its scales are not grid rows * groups");
    positive(matrix_.scale, matrix_.scale_exponent);
  }

  void positive(std::span<const std::uint16_t> scales, int exponent) const {
    require(std::all_of(scales.begin(), scales.end(),
                        [](std::uint16_t scale) { return scale >= 1 && scale < 0x7c00; }),
            "a scale is not positive and finite");
    require(exponent >= kMinScaleExponent && exponent <= kMaxScaleExponent,
            "a scale exponent is not between -125 and 112");
  }

  const std::string& name_;
  const CodedMatrix& matrix_;
};

/// Appends `codes` as a bit stream.
void append_stream(const std::vector<std::uint8_t>& codes, int width, Bytes& out) {
  const auto count = static_cast<std::int64_t>(codes.size());
  const std::size_t begin = out.size();
  out.resize(begin + static_cast<std::size_t>(kernels::packed_bytes(count, width)));
  kernels::pack_bits(codes.data(), count, width,
                     reinterpret_cast<std::uint8_t*>(out.data() + begin));
}

/// The bit streams of a row-major matrix; `skipped` (same shape, or empty) are left out.
Bytes pack_streams(std::span<const std::uint8_t> codes, std::span<const std::uint8_t> skipped,
                   const StreamOrder& order) {
  const std::size_t columns = order.column.size();
  Bytes out;
  std::vector<std::uint8_t> taken;
  for (const WidthRun& run : order.runs) {
    taken.clear();
    for (std::size_t row = 0; row < codes.size(); row += columns) {
      for (auto i = static_cast<std::size_t>(run.begin); i < static_cast<std::size_t>(run.end);
           ++i) {
        const std::size_t at = row + static_cast<std::size_t>(order.column[i]);
        if (skipped.empty() || skipped[at] == 0) taken.push_back(codes[at]);
      }
    }
    append_stream(taken, run.width, out);
  }
  return out;
}

/// The codes with the grid's zero point where a weight is pruned.
std::vector<std::uint8_t> codes_with_zeros(const CodedMatrix& matrix) {
  std::vector<std::uint8_t> codes(matrix.codes.begin(), matrix.codes.end());
  if (matrix.pruned.empty()) return codes;
  const auto columns = static_cast<std::size_t>(matrix.columns);
  const std::size_t groups = matrix.bits_of_group.size();
  for (std::size_t at = 0; at < codes.size(); ++at) {
    if (matrix.pruned[at] == 0) continue;
    const std::size_t grid_row = matrix.grid_rows == 1 ? 0 : at / columns;
    const auto group = static_cast<std::size_t>(matrix.group_of_column[at % columns]);
    codes[at] = matrix.zero_point[grid_row * groups + group];
  }
  return codes;
}

/// The stored values: kept ones only, or all with 0 where a weight is pruned.
Bytes pack_values(const CodedMatrix& matrix, bool masked) {
  if (matrix.pruned.empty()) return {matrix.values.begin(), matrix.values.end()};
  const std::size_t size = dtype_size(matrix.dtype);
  Bytes out;
  out.reserve(matrix.values.size());
  for (std::size_t i = 0; i < matrix.pruned.size(); ++i) {
    const auto value = matrix.values.subspan(i * size, size);
    if (matrix.pruned[i] == 0) {
      out.insert(out.end(), value.begin(), value.end());
    } else if (!masked) {
      out.insert(out.end(), size, std::byte{0});
    }
  }
  return out;
}

void add_grid_fields(const CodedMatrix& matrix, PackedRecord& record) {
  record.grid_rows = matrix.grid_rows;
  record.groups = matrix.groups();
  record.run_length = packed_run_length(matrix);
  record.scale_exponent = matrix.scale_exponent;
}

PackedRecord record_of(const CodedMatrix& matrix) {
  PackedRecord record;
  record.rows = matrix.rows;
  record.columns = matrix.columns;
  record.dtype = matrix.dtype;
  record.stored = record.weights();
  if (!matrix.levels.empty()) {
    record.layout = PackedLayout::kCoded;
    record.stored -= std::count(matrix.levels.begin(), matrix.levels.end(), 0);
    add_grid_fields(matrix, record);
    record.column_scaled = !matrix.column_scale.empty();
    record.column_exponent = matrix.column_exponent;
    return record;
  }
  record.layout = packed_layout(packed_shape(matrix));
  if (record.masked()) {
    record.stored -= std::count(matrix.pruned.begin(), matrix.pruned.end(), 1);
  }
  if (record.layout == PackedLayout::kRanks) {
    record.prune_n = matrix.prune_n;
    record.prune_m = matrix.prune_m;
  }
  if (matrix.codes.empty()) return record;
  add_grid_fields(matrix, record);
  const auto& widths = matrix.bits_of_group;
  const bool uniform =
      std::all_of(widths.begin(), widths.end(), [&](int b) { return b == widths.front(); });
  record.width = uniform ? widths.front() : 0;
  return record;
}

void add_grid(const CodedMatrix& matrix, const PackedRecord& record, PartList& parts) {
  const auto scale = std::as_bytes(matrix.scale);
  parts.add(PackedPartKind::kScale, DType::kF16, {record.grid_rows, record.groups},
            {scale.begin(), scale.end()});
  if (record.run_length == 0) {
    parts.add(PackedPartKind::kGroup, pack_labels(matrix.group_of_column, record.groups));
  }
  if (record.coded()) return;
  parts.add(PackedPartKind::kZeroPoint,
            pack_streams(matrix.zero_point, {}, stream_order(matrix.bits_of_group)));
  if (record.width == 0) parts.add(PackedPartKind::kBits, pack_widths(matrix.bits_of_group));
}

void add_levels(const CodedMatrix& matrix, const PackedRecord& record,
                const ParallelFor& parallel_for, PartList& parts) {
  entropy::CodedLevels coded =
      matrix.coded != nullptr
          ? *matrix.coded
          : entropy::encode_levels(matrix.levels, matrix.rows, matrix.columns, parallel_for);
  parts.add(PackedPartKind::kCodes, std::move(coded.streams));
  add_grid(matrix, record, parts);
  parts.add(PackedPartKind::kTables, std::move(coded.tables));
  const auto scale = std::as_bytes(matrix.column_scale);
  parts.add(PackedPartKind::kColumnScale, DType::kF16, {matrix.columns},
            {scale.begin(), scale.end()});
}

}  // namespace

PackedSize packed_size(std::span<const PackedPart> parts) {
  PackedSize size;
  for (const PackedPart& part : parts) {
    entry_of(size, part.kind) += static_cast<std::int64_t>(part.bytes.size());
  }
  return size;
}

std::vector<PackedPart> pack_matrix(const std::string& name, const CodedMatrix& matrix,
                                    const ParallelFor& parallel_for) {
  Checks(name, matrix).run();
  const PackedRecord record = record_of(matrix);
  PartList parts(name);
  const auto unsealed = record_bytes(record);
  parts.add(PackedPartKind::kRecord, {unsealed.begin(), unsealed.end()});
  if (record.coded()) {
    add_levels(matrix, record, parallel_for, parts);
    return std::move(parts).sealed(record);
  }
  if (record.quantized()) {
    const StreamOrder order =
        stream_order(column_widths(matrix.group_of_column, matrix.bits_of_group));
    parts.add(PackedPartKind::kCodes, record.masked()
                                          ? pack_streams(matrix.codes, matrix.pruned, order)
                                          : pack_streams(codes_with_zeros(matrix), {}, order));
  } else {
    parts.add(PackedPartKind::kValues, matrix.dtype, {record.stored},
              pack_values(matrix, record.masked()));
  }
  if (record.masked()) {
    Bytes bitmask = pack_bitmask(matrix.pruned);
    parts.add(PackedPartKind::kMask,
              record.layout == PackedLayout::kBitmask
                  ? std::move(bitmask)
                  : pack_ranks(bitmask, record.weights(), record.prune_n, record.prune_m));
  }
  if (record.quantized()) add_grid(matrix, record, parts);
  return std::move(parts).sealed(record);
}

}  // namespace sgpt_mi::packing
