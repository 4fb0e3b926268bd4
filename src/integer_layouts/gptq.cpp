#include "sgpt_mi/integer_layouts/gptq.h"

#include <algorithm>
#include <cstring>

#include "code_lines.h"

namespace sgpt_mi::integer_layouts {
namespace {

constexpr std::uint16_t kHalfOne = 0x3c00;  // the scale of a group without columns

std::int64_t int32_bytes(std::int64_t count) { return 4 * count; }

/// The width of a shape's columns, which all have one.
int width_of_shape(const packing::PackedShape& shape) {
  for (std::size_t width = 1; width < packing::kWidths; ++width) {
    if (shape.columns_of_width[width] > 0) return static_cast<int>(width);
  }
  fail(ErrorKind::kInternal, "integer_layouts: a shape without codes");
}

std::int64_t stored_groups(std::int64_t columns, std::int64_t groups) {
  const std::optional<std::int64_t> size = gptq_group_size(columns, groups);
  ensure(size.has_value(), "integer_layouts: more groups than GPTQ holds");
  return gptq_groups(columns, *size);
}

/// (G, rows) of `groups` columns of values a row, the rest filled up.
template <typename T>
std::vector<T> by_group(std::span<const T> values, std::int64_t rows, std::int64_t groups,
                        std::int64_t stored, T rest) {
  std::vector<T> result(static_cast<std::size_t>(stored * rows), rest);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t group = 0; group < groups; ++group) {
      result[static_cast<std::size_t>(group * rows + row)] =
          values[static_cast<std::size_t>(row * groups + group)];
    }
  }
  return result;
}

std::vector<std::byte> pack_zeros(std::vector<std::uint8_t> zeros, std::int64_t groups,
                                  std::int64_t rows, int bits, GptqVersion version) {
  if (version == GptqVersion::kV1) {
    for (std::uint8_t& zero : zeros) {
      ensure(zero > 0, "integer_layouts: GPTQ version 1 cannot hold a zero point of 0");
      --zero;
    }
  }
  return pack_lines(zeros, groups, rows, bits);
}

bool is_reordered(std::span<const std::int32_t> group_of_column, std::int64_t group_size) {
  for (std::size_t j = 0; j < group_of_column.size(); ++j) {
    const std::int64_t natural = group_size == -1 ? 0 : static_cast<std::int64_t>(j) / group_size;
    if (group_of_column[j] != natural) return true;
  }
  return false;
}

std::vector<std::int32_t> read_groups(const containers::TensorSource& tensors,
                                      const MatrixLayout& layout, std::int64_t group_size,
                                      const std::string& source) {
  std::vector<std::int32_t> groups(static_cast<std::size_t>(layout.columns));
  const std::string name = layout.name + ".g_idx";
  if (tensors.find(name) == nullptr) {
    for (std::size_t j = 0; j < groups.size(); ++j) {
      groups[j] =
          group_size < 1 ? 0 : static_cast<std::int32_t>(j / static_cast<std::size_t>(group_size));
    }
    return groups;
  }
  const containers::TensorData data = tensors.read(name);
  std::memcpy(groups.data(), data.bytes.data(), data.bytes.size());
  for (std::size_t j = 0; j < groups.size(); ++j) {
    if (groups[j] < 0 || groups[j] >= layout.groups) {
      refuse(source, "'{}' puts input {} into group {}; there are {} groups", name, j, groups[j],
             layout.groups);
    }
  }
  return groups;
}

}  // namespace

std::int64_t gptq_groups(std::int64_t columns, std::int64_t group_size) {
  return group_size == -1 ? 1 : (columns + group_size - 1) / group_size;
}

std::optional<std::int64_t> gptq_group_size(std::int64_t columns, std::int64_t groups) {
  if (groups == 1) return -1;
  for (const bool exactly : {true, false}) {
    for (auto size = kGptqGroupSizes.rbegin(); size != kGptqGroupSizes.rend(); ++size) {
      const std::int64_t stored = gptq_groups(columns, *size);
      if (exactly ? stored == groups : stored > groups) return *size;
    }
  }
  return std::nullopt;
}

packing::PackedSize gptq_size(const packing::PackedShape& shape) {
  const int bits = width_of_shape(shape);
  const std::int64_t groups = stored_groups(shape.columns, shape.groups());
  packing::PackedSize size;
  size.codes = int32_bytes(words_of(shape.columns, bits) * shape.rows);
  size.zero_point = int32_bytes(groups * words_of(shape.rows, bits));
  size.scale = 2 * groups * shape.rows;
  size.permutation = int32_bytes(shape.columns);
  return size;
}

GptqMatrix gptq_matrix(const std::string& name, const packing::CodedMatrix& matrix,
                       GptqVersion version) {
  const int bits = width_of(matrix);
  const std::int64_t rows = matrix.rows;
  const std::int64_t columns = matrix.columns;
  const auto groups = static_cast<std::int64_t>(matrix.bits_of_group.size());
  const std::int64_t group_size = gptq_group_size(columns, groups).value_or(0);
  const std::int64_t stored = stored_groups(columns, groups);
  const auto middle = static_cast<std::uint8_t>(1 << (bits - 1));
  const std::int64_t words = words_of(columns, bits);

  GptqMatrix result;
  result.module = {name, bits, columns, stored, false, false};
  result.module.symmetric = std::all_of(matrix.zero_point.begin(), matrix.zero_point.end(),
                                        [&](std::uint8_t zero) { return zero == middle; });
  result.module.reorders = is_reordered(matrix.group_of_column, group_size);
  const std::vector<std::byte> lines = pack_lines(codes_with_zeros(matrix), rows, columns, bits);
  auto& tensors = result.written.tensors;
  tensors.push_back({{name + ".qweight", DType::kI32, {words, rows}},
                     transposed(lines, rows, words, sizeof(std::uint32_t))});
  tensors.push_back({{name + ".qzeros", DType::kI32, {stored, words_of(rows, bits)}},
                     pack_zeros(by_group(matrix.zero_point, rows, groups, stored, middle), stored,
                                rows, bits, version)});
  tensors.push_back({{name + ".scales", DType::kF16, {stored, rows}},
                     bytes_of(by_group(matrix.scale, rows, groups, stored, kHalfOne))});
  tensors.push_back({{name + ".g_idx", DType::kI32, {columns}},
                     bytes_of(std::vector<std::int32_t>(matrix.group_of_column.begin(),
                                                        matrix.group_of_column.end()))});
  packing::PackedSize& size = result.written.size;
  size.codes = static_cast<std::int64_t>(tensors[0].bytes.size());
  size.zero_point = static_cast<std::int64_t>(tensors[1].bytes.size());
  size.scale = static_cast<std::int64_t>(tensors[2].bytes.size());
  size.permutation = static_cast<std::int64_t>(tensors[3].bytes.size());
  return result;
}

const std::vector<std::string>& GptqReader::suffixes() {
  static const std::vector<std::string> names{".qweight", ".qzeros", ".scales", ".g_idx"};
  return names;
}

std::vector<std::string> GptqReader::names(const containers::TensorSource& tensors) {
  std::vector<std::string> found;
  const std::string& suffix = suffixes().front();
  for (const containers::TensorInfo& info : tensors.tensors()) {
    if (info.name.ends_with(suffix)) {
      found.push_back(info.name.substr(0, info.name.size() - suffix.size()));
    }
  }
  return found;
}

MatrixLayout GptqReader::describe(const containers::TensorSource& tensors, const std::string& name,
                                  const std::string& source) const {
  const containers::TensorInfo& qweight = need(tensors, name + ".qweight", source);
  const containers::TensorInfo& qzeros = need(tensors, name + ".qzeros", source);
  const containers::TensorInfo& scales = need(tensors, name + ".scales", source);
  const containers::TensorInfo* g_idx = tensors.find(name + ".g_idx");
  if (qweight.shape.size() != 2 || scales.shape.size() != 2 ||
      (g_idx != nullptr && g_idx->shape.size() != 1)) {
    refuse(source, "the tensors of '{}' are not matrices of a GPTQ module", name);
  }
  MatrixLayout layout;
  layout.name = name;
  layout.rows = qweight.shape[1];
  layout.groups = scales.shape[0];
  if (g_idx == nullptr && has_rules) {
    refuse(source, "'{}' has no g_idx beside \"dynamic\" rules; write it with g_idx", name);
  }
  const std::int64_t word_bits = 32 * qweight.shape[0];
  layout.columns = g_idx != nullptr ? g_idx->shape[0] : word_bits / bits;
  const std::int64_t width = layout.columns > 0 ? word_bits / layout.columns : 0;
  if (std::find(kGptqWidths.begin(), kGptqWidths.end(), width) == kGptqWidths.end()) {
    refuse(source, "'{}' has {} words for {} inputs, which is none of the widths 2, 3, 4, 8",
           qweight.name, qweight.shape[0], layout.columns);
  }
  layout.bits = static_cast<int>(width);
  if (!has_rules && layout.bits != bits) {
    refuse(source, "'{}' has codes of {} bits; quantization_config says {}", qweight.name,
           layout.bits, bits);
  }
  require_tensor(qweight, DType::kI32, {words_of(layout.columns, layout.bits), layout.rows},
                 source);
  require_tensor(qzeros, DType::kI32, {layout.groups, words_of(layout.rows, layout.bits)}, source);
  require_tensor(scales, scales.dtype, {layout.groups, layout.rows}, source);
  if (g_idx != nullptr) {
    require_tensor(*g_idx, DType::kI32, {layout.columns}, source);
    layout.size.permutation = static_cast<std::int64_t>(g_idx->bytes());
  } else if (layout.groups != gptq_groups(layout.columns, group_size)) {
    refuse(source, "'{}' has {} groups of {} inputs without g_idx; group_size is {}", name,
           layout.groups, layout.columns, group_size);
  }
  layout.size.codes = static_cast<std::int64_t>(qweight.bytes());
  layout.size.zero_point = static_cast<std::int64_t>(qzeros.bytes());
  layout.size.scale = static_cast<std::int64_t>(scales.bytes());
  return layout;
}

IntegerMatrix GptqReader::read(const containers::TensorSource& tensors, const MatrixLayout& layout,
                               const std::string& source) const {
  const std::int64_t rows = layout.rows;
  const int width = layout.bits;
  IntegerMatrix matrix;
  matrix.rows = rows;
  matrix.columns = layout.columns;
  matrix.groups = layout.groups;
  matrix.bits = width;
  const containers::TensorData qweight = tensors.read(layout.name + ".qweight");
  matrix.codes = unpack_lines(transposed(qweight.bytes, qweight.info.shape[0], rows, 4), rows,
                              layout.columns, width);
  const containers::TensorData qzeros = tensors.read(layout.name + ".qzeros");
  const std::vector<std::uint8_t> zeros = unpack_lines(qzeros.bytes, layout.groups, rows, width);
  const std::vector<float> scales = read_scales(tensors.read(layout.name + ".scales"), source);
  const int last = (1 << width) - 1;
  const int shift = version == GptqVersion::kV1 ? 1 : 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t group = 0; group < layout.groups; ++group) {
      const auto at = static_cast<std::size_t>(group * rows + row);
      if (zeros[at] + shift > last) {
        refuse(source,
               "'{}' holds a zero point of {}, which checkpoint_format gptq gives no "
               "meaning: readers disagree about it",
               qzeros.info.name, last);
      }
      matrix.scale.push_back(scales[at]);
      matrix.zero_point.push_back(static_cast<std::uint8_t>(zeros[at] + shift));
    }
  }
  matrix.group_of_column = read_groups(tensors, layout, group_size, source);
  return matrix;
}

}  // namespace sgpt_mi::integer_layouts
