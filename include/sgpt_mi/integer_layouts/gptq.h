#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/integer_layouts/integer_matrix.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::integer_layouts {

// GPTQ, as gptqmodel 7.7.0 reads it. Matrix NAME of (out, in) weights with G groups of inputs is
//
//   NAME.qweight  I32 (ceil(in * bits / 32), out)   codes, packed along the inputs
//   NAME.qzeros   I32 (G, ceil(out * bits / 32))    zero points, packed along the outputs
//   NAME.scales   F16 (G, out)
//   NAME.g_idx    I32 (in)                          the group of each input
//
// with G = ceil(in / group_size), or 1 for -1: readers make room for exactly so many. Version 2
// ("gptq_v2") stores zero points, version 1 ("gptq") zero points less 1, which leaves no pattern
// for a zero point of 0.

enum class GptqVersion : std::uint8_t { kV1 = 1, kV2 = 2 };

inline constexpr std::array<int, 4> kGptqWidths{2, 3, 4, 8};

/// Group sizes that gptqmodel takes besides -1, the whole row.
inline constexpr std::array<std::int64_t, 7> kGptqGroupSizes{16, 32, 64, 128, 256, 512, 1024};

/// The group size to declare for `groups` groups of `columns` inputs: -1 for one, else the largest
/// of kGptqGroupSizes that gives so many or, where none does, the largest that gives more: the rest
/// is stored unused. Empty: 16 gives too few.
[[nodiscard]] std::optional<std::int64_t> gptq_group_size(std::int64_t columns,
                                                          std::int64_t groups);

/// ceil(columns / group_size), 1 for -1.
[[nodiscard]] std::int64_t gptq_groups(std::int64_t columns, std::int64_t group_size);

/// Bytes of a matrix, exactly. The shape has one width.
[[nodiscard]] packing::PackedSize gptq_size(const packing::PackedShape& shape);

/// What a configuration says of one written matrix.
struct GptqModule {
  std::string name;
  int bits = 0;
  std::int64_t columns = 0;
  std::int64_t groups = 0;  ///< as stored
  bool symmetric = false;   ///< all zero points are 2^(bits - 1)
  bool reorders = false;    ///< g_idx is not input / group size
};

/// A written matrix and what the configuration needs to know of it.
struct GptqMatrix {
  WrittenMatrix written;
  GptqModule module;
};

/// The tensors of a matrix. Pruned weights get the code of their zero point.
/// Cost: a few operations a weight; memory: three bytes a weight.
/// \throws Error(kInternal) for a matrix that the format cannot hold: differing widths, shared
///                          rows, scales with an exponent, a zero point of 0 in version 1.
[[nodiscard]] GptqMatrix gptq_matrix(const std::string& name, const packing::CodedMatrix& matrix,
                                     GptqVersion version);

/// The "quantization_config" of a model: the width and group size of most modules, and where others
/// differ gptqmodel's "dynamic" rules. `dense` are linears without codes.
[[nodiscard]] nlohmann::ordered_json gptq_config(const std::vector<GptqModule>& modules,
                                                 const std::vector<std::string>& dense,
                                                 GptqVersion version);

/// What reading needs of a configuration.
struct GptqReader {
  GptqVersion version = GptqVersion::kV1;
  int bits = 0;                  ///< of all modules unless there are rules
  std::int64_t group_size = -1;  ///< of modules without g_idx
  bool has_rules = false;        ///< "dynamic": modules may differ

  /// Throws Error(kInput) naming the member and the value that is not read.
  GptqReader(const nlohmann::json& config, const std::string& source);

  /// Names of the matrices among the tensors, in their order.
  [[nodiscard]] static std::vector<std::string> names(const containers::TensorSource& tensors);
  [[nodiscard]] static const std::vector<std::string>& suffixes();

  /// Checks types and shapes. Throws Error(kInput) naming the tensor.
  [[nodiscard]] MatrixLayout describe(const containers::TensorSource& tensors,
                                      const std::string& name, const std::string& source) const;
  /// Reads a described matrix. Throws Error(kInput) for a group out of range, a scale that is not
  /// finite, or a zero point that version 1 gives no meaning.
  [[nodiscard]] IntegerMatrix read(const containers::TensorSource& tensors,
                                   const MatrixLayout& layout, const std::string& source) const;
};

}  // namespace sgpt_mi::integer_layouts
