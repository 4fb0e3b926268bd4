#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/packing/packed_matrix.h"
#include "sgpt_mi/packing/unpacked_codes.h"

namespace sgpt_mi::integer_layouts {

/// A matrix of codes of one width, as a file of another program's format holds it:
///
///     W[r, j] = scale(r, g) * (code(r, j) - zero_point(r, g)),   g = group_of_column[j].
struct IntegerMatrix {
  std::int64_t rows = 0;     ///< outputs
  std::int64_t columns = 0;  ///< inputs
  std::int64_t groups = 0;   ///< G
  int bits = 0;
  std::vector<std::uint8_t> codes;            ///< (rows, columns)
  std::vector<float> scale;                   ///< (rows, G)
  std::vector<std::uint8_t> zero_point;       ///< (rows, G), below 2^bits
  std::vector<std::int32_t> group_of_column;  ///< (columns), below G
};

/// The weights, (rows, columns) float32: exact where scales are float16 or bfloat16, because such a
/// scale times a whole number below 2^9 has at most 20 significant bits.
[[nodiscard]] std::vector<std::byte> decode(const IntegerMatrix& matrix);

/// The same as another format's writer takes it. Throws Error(kInput) where a scale is no positive
/// float16.
[[nodiscard]] packing::UnpackedCodes coded(IntegerMatrix matrix, const std::string& name,
                                           const std::string& source);

/// One tensor of a written matrix.
struct NamedTensor {
  containers::TensorInfo info;
  std::vector<std::byte> bytes;
};

/// A matrix as a format's tensors, and their bytes by part.
struct WrittenMatrix {
  std::vector<NamedTensor> tensors;
  packing::PackedSize size;
};

/// What a file says about a matrix before its data is read.
struct MatrixLayout {
  std::string name;  ///< of the matrix, without ".weight"
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t groups = 0;
  int bits = 0;
  bool symmetric = false;    ///< no zero points are stored: all are 2^(bits - 1)
  packing::PackedSize size;  ///< of the tensors as found

  /// As the other rooms know packed matrices; the dense matrix is float32.
  [[nodiscard]] packing::PackedMatrixInfo info() const;
};

}  // namespace sgpt_mi::integer_layouts
