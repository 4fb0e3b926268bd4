#include "sgpt_mi/integer_layouts/integer_matrix.h"

#include <cstring>
#include <utility>

#include "code_lines.h"
#include "sgpt_mi/kernels/half.h"

namespace sgpt_mi::integer_layouts {

std::vector<std::byte> decode(const IntegerMatrix& matrix) {
  const auto columns = static_cast<std::size_t>(matrix.columns);
  std::vector<std::byte> bytes(static_cast<std::size_t>(matrix.rows) * columns * sizeof(float));
  std::vector<float> row(columns);
  for (std::int64_t r = 0; r < matrix.rows; ++r) {
    const std::size_t first = static_cast<std::size_t>(r * matrix.groups);
    const std::uint8_t* codes = matrix.codes.data() + r * matrix.columns;
    for (std::size_t j = 0; j < columns; ++j) {
      const std::size_t grid = first + static_cast<std::size_t>(matrix.group_of_column[j]);
      row[j] = matrix.scale[grid] *
               static_cast<float>(static_cast<int>(codes[j]) - matrix.zero_point[grid]);
    }
    std::memcpy(bytes.data() + static_cast<std::size_t>(r) * columns * sizeof(float), row.data(),
                columns * sizeof(float));
  }
  return bytes;
}

packing::UnpackedCodes coded(IntegerMatrix matrix, const std::string& name,
                             const std::string& source) {
  packing::UnpackedCodes result;
  result.rows = matrix.rows;
  result.columns = matrix.columns;
  result.codes = std::move(matrix.codes);
  result.grid_rows = matrix.rows;
  for (const float scale : matrix.scale) {
    result.scale.push_back(kernels::float_to_half(scale));
    if (!(scale > 0.0F) || kernels::half_to_float(result.scale.back()) != scale) {
      refuse(source,
             "'{}' has the scale {}, which is no positive float16: its codes cannot be taken "
             "over",
             name, scale);
    }
  }
  result.zero_point = std::move(matrix.zero_point);
  result.group_of_column = std::move(matrix.group_of_column);
  result.bits_of_group.assign(static_cast<std::size_t>(matrix.groups), matrix.bits);
  return result;
}

packing::PackedMatrixInfo MatrixLayout::info() const {
  packing::PackedMatrixInfo result;
  result.name = name;
  result.dense = {name + ".weight", DType::kF32, {rows, columns}};
  result.stored = rows * columns;
  result.grid_rows = rows;
  result.groups = groups;
  result.weights_of_width[static_cast<std::size_t>(bits)] = rows * columns;
  result.size = size;
  return result;
}

}  // namespace sgpt_mi::integer_layouts
