#include "sgpt_mi/integer_layouts/compressed_tensors.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "code_lines.h"

namespace sgpt_mi::integer_layouts {
namespace {

constexpr std::int64_t kShapeBytes = 16;  // two I64

/// Columns per group: groups are equal runs of neighbours.
std::int64_t run_length(const packing::CodedMatrix& matrix) {
  const auto groups = static_cast<std::int64_t>(matrix.bits_of_group.size());
  ensure(matrix.columns % groups == 0, "integer_layouts: groups of unequal size");
  const std::int64_t run = matrix.columns / groups;
  for (std::size_t j = 0; j < matrix.group_of_column.size(); ++j) {
    ensure(matrix.group_of_column[j] == static_cast<std::int64_t>(j) / run,
           "integer_layouts: a group's columns are no neighbours");
  }
  return run;
}

std::int64_t value_at(const containers::TensorData& data, std::size_t index) {
  if (data.info.dtype == DType::kI32) {
    std::int32_t narrow = 0;
    std::memcpy(&narrow, data.bytes.data() + index * sizeof narrow, sizeof narrow);
    return narrow;
  }
  std::int64_t value = 0;
  std::memcpy(&value, data.bytes.data() + index * sizeof value, sizeof value);
  return value;
}

/// The width that fits the words of a row; nothing when none or several do.
std::optional<int> width_of_words(const std::vector<int>& widths, std::int64_t columns,
                                  std::int64_t words) {
  std::optional<int> found;
  for (const int width : widths) {
    if (words_of(columns, width) != words) continue;
    if (found) return std::nullopt;
    found = width;
  }
  return found;
}

}  // namespace

packing::PackedSize compressed_tensors_size(const packing::PackedShape& shape) {
  int bits = 0;
  for (std::size_t width = 1; width < packing::kWidths; ++width) {
    if (shape.columns_of_width[width] > 0) bits = static_cast<int>(width);
  }
  ensure(bits > 0, "integer_layouts: a shape without codes");
  packing::PackedSize size;
  size.record = kShapeBytes;
  size.codes = 4 * shape.rows * words_of(shape.columns, bits);
  size.scale = 2 * shape.rows * shape.groups();
  if (!shape.symmetric) size.zero_point = 4 * words_of(shape.rows, bits) * shape.groups();
  return size;
}

CompressedMatrix compressed_tensors_matrix(const std::string& name,
                                           const packing::CodedMatrix& matrix) {
  const int bits = width_of(matrix);
  const std::int64_t rows = matrix.rows;
  const std::int64_t columns = matrix.columns;
  const auto groups = static_cast<std::int64_t>(matrix.bits_of_group.size());
  const std::int64_t run = run_length(matrix);
  CompressedMatrix result;
  result.module = {name, bits, groups == 1 ? 0 : run, matrix.symmetric};
  const std::vector<std::uint8_t> codes = codes_with_zeros(matrix);
  auto& tensors = result.written.tensors;
  packing::PackedSize& size = result.written.size;
  tensors.push_back({{name + ".weight_packed", DType::kI32, {rows, words_of(columns, bits)}},
                     pack_lines(codes, rows, columns, bits)});
  size.codes = static_cast<std::int64_t>(tensors.back().bytes.size());
  tensors.push_back(
      {{name + ".weight_scale", DType::kF16, {rows, groups}},
       bytes_of(std::vector<std::uint16_t>(matrix.scale.begin(), matrix.scale.end()))});
  size.scale = static_cast<std::int64_t>(tensors.back().bytes.size());
  tensors.push_back(
      {{name + ".weight_shape", DType::kI64, {2}}, bytes_of(std::vector{rows, columns})});
  size.record = static_cast<std::int64_t>(tensors.back().bytes.size());
  if (matrix.symmetric) {
    const int middle = 1 << (bits - 1);
    ensure(std::all_of(matrix.zero_point.begin(), matrix.zero_point.end(),
                       [&](std::uint8_t zero) { return zero == middle; }),
           "integer_layouts: a symmetric matrix has another zero point");
    return result;
  }
  const std::vector<std::byte> by_group =
      transposed(std::as_bytes(matrix.zero_point), rows, groups, 1);
  const std::vector<std::byte> lines =
      pack_lines({reinterpret_cast<const std::uint8_t*>(by_group.data()), by_group.size()}, groups,
                 rows, bits);
  const std::int64_t words = words_of(rows, bits);
  tensors.push_back({{name + ".weight_zero_point", DType::kI32, {words, groups}},
                     transposed(lines, groups, words, sizeof(std::uint32_t))});
  size.zero_point = static_cast<std::int64_t>(tensors.back().bytes.size());
  return result;
}

const std::vector<std::string>& CompressedTensorsReader::suffixes() {
  static const std::vector<std::string> names{".weight_packed", ".weight_scale", ".weight_shape",
                                              ".weight_zero_point"};
  return names;
}

std::vector<std::string> CompressedTensorsReader::names(const containers::TensorSource& tensors) {
  std::vector<std::string> found;
  const std::string& suffix = suffixes().front();
  for (const containers::TensorInfo& info : tensors.tensors()) {
    if (info.name.ends_with(suffix)) {
      found.push_back(info.name.substr(0, info.name.size() - suffix.size()));
    }
  }
  return found;
}

MatrixLayout CompressedTensorsReader::describe(const containers::TensorSource& tensors,
                                               const std::string& name,
                                               const std::string& source) const {
  const containers::TensorInfo& packed = need(tensors, name + ".weight_packed", source);
  const containers::TensorInfo& scale = need(tensors, name + ".weight_scale", source);
  const containers::TensorInfo& shape = need(tensors, name + ".weight_shape", source);
  const containers::TensorInfo* zeros = tensors.find(name + ".weight_zero_point");
  if (tensors.find(name + ".weight_g_idx") != nullptr) {
    refuse(source, "'{}' has a weight_g_idx (actorder \"group\"), which is not read", name);
  }
  if (packed.shape.size() != 2 || scale.shape.size() != 2 ||
      shape.shape != std::vector<std::int64_t>{2}) {
    refuse(source, "the tensors of '{}' are not matrices of a pack-quantized module", name);
  }
  if (shape.dtype != DType::kI64) require_tensor(shape, DType::kI32, {2}, source);
  const containers::TensorData dimensions = tensors.read(shape.name);
  MatrixLayout layout;
  layout.name = name;
  layout.rows = value_at(dimensions, 0);
  layout.columns = value_at(dimensions, 1);
  layout.groups = scale.shape[1];
  layout.symmetric = zeros == nullptr;
  // Before anything is multiplied: each word holds at most 16 codes.
  if (layout.rows != packed.shape[0] || layout.columns < 1 ||
      layout.columns > 16 * packed.shape[1]) {
    refuse(source, "'{}' says {} x {} weights, and '{}' has {} x {} words", shape.name, layout.rows,
           layout.columns, packed.name, packed.shape[0], packed.shape[1]);
  }
  const std::optional<int> bits = width_of_words(widths, layout.columns, packed.shape[1]);
  if (!bits) {
    refuse(source,
           "'{}' has {} words for {} inputs, which fits no width of quantization_config, or "
           "several",
           packed.name, packed.shape[1], layout.columns);
  }
  layout.bits = *bits;
  require_tensor(packed, DType::kI32, {layout.rows, words_of(layout.columns, layout.bits)}, source);
  require_tensor(scale, scale.dtype, {layout.rows, layout.groups}, source);
  if (layout.groups < 1 || layout.columns % layout.groups != 0) {
    refuse(source, "'{}' has {} groups, which do not divide {} inputs", scale.name, layout.groups,
           layout.columns);
  }
  if (zeros != nullptr) {
    require_tensor(*zeros, DType::kI32, {words_of(layout.rows, layout.bits), layout.groups},
                   source);
    layout.size.zero_point = static_cast<std::int64_t>(zeros->bytes());
  }
  layout.size.codes = static_cast<std::int64_t>(packed.bytes());
  layout.size.scale = static_cast<std::int64_t>(scale.bytes());
  layout.size.record = static_cast<std::int64_t>(shape.bytes());
  return layout;
}

IntegerMatrix CompressedTensorsReader::read(const containers::TensorSource& tensors,
                                            const MatrixLayout& layout,
                                            const std::string& source) const {
  IntegerMatrix matrix;
  matrix.rows = layout.rows;
  matrix.columns = layout.columns;
  matrix.groups = layout.groups;
  matrix.bits = layout.bits;
  matrix.codes = unpack_lines(tensors.read(layout.name + ".weight_packed").bytes, layout.rows,
                              layout.columns, layout.bits);
  matrix.scale = read_scales(tensors.read(layout.name + ".weight_scale"), source);
  if (layout.symmetric) {
    matrix.zero_point.assign(matrix.scale.size(),
                             static_cast<std::uint8_t>(1 << (layout.bits - 1)));
  } else {
    const containers::TensorData data = tensors.read(layout.name + ".weight_zero_point");
    const std::vector<std::uint8_t> zeros =
        unpack_lines(transposed(data.bytes, data.info.shape[0], layout.groups, 4), layout.groups,
                     layout.rows, layout.bits);
    const std::vector<std::byte> by_row =
        transposed(std::as_bytes(std::span(zeros)), layout.groups, layout.rows, 1);
    for (const std::byte zero : by_row)
      matrix.zero_point.push_back(static_cast<std::uint8_t>(zero));
  }
  const std::int64_t run = layout.columns / layout.groups;
  for (std::int64_t j = 0; j < layout.columns; ++j) {
    matrix.group_of_column.push_back(static_cast<std::int32_t>(j / run));
  }
  return matrix;
}

}  // namespace sgpt_mi::integer_layouts
