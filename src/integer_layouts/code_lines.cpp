#include "code_lines.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "sgpt_mi/kernels/half.h"
#include "sgpt_mi/kernels/pack_bits.h"

namespace sgpt_mi::integer_layouts {
namespace {

constexpr std::int64_t kWordBytes = 4;

template <typename T>
T element(std::span<const std::byte> bytes, std::size_t index) {
  T value{};
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

float scale_at(const containers::TensorData& scales, std::size_t index) {
  switch (scales.info.dtype) {
    case DType::kF16:
      return kernels::half_to_float(element<std::uint16_t>(scales.bytes, index));
    case DType::kBF16:
      return kernels::bfloat16_to_float(element<std::uint16_t>(scales.bytes, index));
    default:
      return element<float>(scales.bytes, index);
  }
}

}  // namespace

std::int64_t words_of(std::int64_t length, int bits) { return (length * bits + 31) / 32; }

std::vector<std::byte> pack_lines(std::span<const std::uint8_t> codes, std::int64_t lines,
                                  std::int64_t length, int bits) {
  const std::int64_t line_bytes = words_of(length, bits) * kWordBytes;
  std::vector<std::byte> words(static_cast<std::size_t>(lines * line_bytes), std::byte{0});
  for (std::int64_t line = 0; line < lines; ++line) {
    kernels::pack_bits(codes.data() + line * length, length, bits,
                       reinterpret_cast<std::uint8_t*>(words.data() + line * line_bytes));
  }
  return words;
}

std::vector<std::uint8_t> unpack_lines(std::span<const std::byte> words, std::int64_t lines,
                                       std::int64_t length, int bits) {
  const std::int64_t line_bytes = words_of(length, bits) * kWordBytes;
  ensure(static_cast<std::int64_t>(words.size()) == lines * line_bytes,
         "integer_layouts: lines of another length");
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(lines * length));
  for (std::int64_t line = 0; line < lines; ++line) {
    kernels::unpack_bits(reinterpret_cast<const std::uint8_t*>(words.data() + line * line_bytes), 0,
                         length, bits, codes.data() + line * length);
  }
  return codes;
}

std::vector<std::byte> transposed(std::span<const std::byte> elements, std::int64_t rows,
                                  std::int64_t columns, std::size_t size) {
  ensure(elements.size() == static_cast<std::size_t>(rows * columns) * size,
         "integer_layouts: a matrix of another size");
  std::vector<std::byte> result(elements.size());
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      std::memcpy(result.data() + static_cast<std::size_t>(c * rows + r) * size,
                  elements.data() + static_cast<std::size_t>(r * columns + c) * size, size);
    }
  }
  return result;
}

int width_of(const packing::CodedMatrix& matrix) {
  ensure(!matrix.codes.empty() && !matrix.bits_of_group.empty(),
         "integer_layouts: a matrix without codes");
  ensure(matrix.grid_rows == matrix.rows, "integer_layouts: rows share their grids");
  ensure(matrix.scale_exponent == 0, "integer_layouts: scales are not plain float16");
  const int bits = matrix.bits_of_group.front();
  ensure(std::all_of(matrix.bits_of_group.begin(), matrix.bits_of_group.end(),
                     [&](int width) { return width == bits; }),
         "integer_layouts: groups of columns differ in width");
  return bits;
}

std::vector<std::uint8_t> codes_with_zeros(const packing::CodedMatrix& matrix) {
  std::vector<std::uint8_t> codes(matrix.codes.begin(), matrix.codes.end());
  if (matrix.pruned.empty()) return codes;
  const std::size_t groups = matrix.bits_of_group.size();
  const auto columns = static_cast<std::size_t>(matrix.columns);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (matrix.pruned[i] == 0) continue;
    const auto group = static_cast<std::size_t>(matrix.group_of_column[i % columns]);
    codes[i] = matrix.zero_point[i / columns * groups + group];
  }
  return codes;
}

std::vector<float> read_scales(const containers::TensorData& scales, const std::string& source) {
  const DType dtype = scales.info.dtype;
  if (dtype != DType::kF16 && dtype != DType::kBF16 && dtype != DType::kF32) {
    refuse(source, "'{}' is {}; F16, BF16 or F32 was expected", scales.info.name,
           dtype_name(dtype));
  }
  std::vector<float> values(static_cast<std::size_t>(scales.info.count()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = scale_at(scales, i);
    if (!std::isfinite(values[i])) {
      refuse(source, "'{}' holds {} at place {}; finite scales were expected", scales.info.name,
             values[i], i);
    }
  }
  return values;
}

const containers::TensorInfo& need(const containers::TensorSource& tensors, const std::string& name,
                                   const std::string& source) {
  const containers::TensorInfo* info = tensors.find(name);
  if (info == nullptr) refuse(source, "tensor '{}' is missing", name);
  if (info->count() == 0) refuse(source, "tensor '{}' is empty", name);
  return *info;
}

void require_tensor(const containers::TensorInfo& info, DType dtype,
                    const std::vector<std::int64_t>& shape, const std::string& source) {
  if (info.dtype == dtype && info.shape == shape) return;
  refuse(source, "'{}' is {} ({}); {} ({}) was expected", info.name, dtype_name(info.dtype),
         fmt::join(info.shape, ", "), dtype_name(dtype), fmt::join(shape, ", "));
}

}  // namespace sgpt_mi::integer_layouts
