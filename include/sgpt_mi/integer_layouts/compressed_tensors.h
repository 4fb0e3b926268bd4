#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/integer_layouts/integer_matrix.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::integer_layouts {

// compressed-tensors' "pack-quantized". Matrix NAME of (out, in) weights with G groups of in / G
// neighbouring inputs is
//
//   NAME.weight_packed      I32 (out, ceil(in * bits / 32))   codes, packed along the inputs
//   NAME.weight_scale       F16 (out, G)
//   NAME.weight_shape       I64 (2)                           out, in
//   NAME.weight_zero_point  I32 (ceil(out * bits / 32), G)    packed along the outputs; left out
//                                                             when symmetric: all 2^(bits - 1)
//
// Releases disagree about 3 bits (10 codes a word, or 32 codes in 3 words), and nothing in the file
// tells which.

inline constexpr std::array<int, 3> kCompressedTensorsWidths{2, 4, 8};

/// Bytes of a matrix, exactly. The shape has one width and says whether it is symmetric.
[[nodiscard]] packing::PackedSize compressed_tensors_size(const packing::PackedShape& shape);

/// What a configuration says of one written matrix.
struct CompressedModule {
  std::string name;
  int bits = 0;
  std::int64_t group_size = 0;  ///< 0: a scale for every output ("channel")
  bool symmetric = true;
};

/// A written matrix and what the configuration needs to know of it.
struct CompressedMatrix {
  WrittenMatrix written;
  CompressedModule module;
};

/// The tensors of a matrix. Pruned weights get the code of their zero point.
/// Cost: a few operations a weight; memory: two bytes a weight.
/// \throws Error(kInternal) for a matrix that the format cannot hold: differing widths, shared
///                          rows, scales with an exponent, groups that are no equal runs of
///                          neighbours, a symmetric matrix with another zero point.
[[nodiscard]] CompressedMatrix compressed_tensors_matrix(const std::string& name,
                                                         const packing::CodedMatrix& matrix);

/// The "quantization_config" of a model. Modules of one scheme are the class "Linear"; several
/// schemes are disjoint groups of exact names. `dense` are linears without codes, to be ignored.
[[nodiscard]] nlohmann::ordered_json compressed_tensors_config(
    const std::vector<CompressedModule>& modules, const std::vector<std::string>& dense);

/// What reading needs of a configuration.
struct CompressedTensorsReader {
  std::vector<int> widths;  ///< of the groups, those that occur

  /// Throws Error(kInput) naming what is not read: other formats than pack-quantized, 3 bits,
  /// quantized activations.
  CompressedTensorsReader(const nlohmann::json& config, const std::string& source);

  /// Names of the matrices among the tensors, in their order.
  [[nodiscard]] static std::vector<std::string> names(const containers::TensorSource& tensors);
  [[nodiscard]] static const std::vector<std::string>& suffixes();

  /// Checks types and shapes; reads weight_shape. Throws Error(kInput) naming the tensor.
  [[nodiscard]] MatrixLayout describe(const containers::TensorSource& tensors,
                                      const std::string& name, const std::string& source) const;
  /// Reads a described matrix. Throws Error(kInput) for a scale that is not finite.
  [[nodiscard]] IntegerMatrix read(const containers::TensorSource& tensors,
                                   const MatrixLayout& layout, const std::string& source) const;
};

}  // namespace sgpt_mi::integer_layouts
