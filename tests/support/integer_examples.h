#pragma once

#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/integer_layouts/integer_matrix.h"
#include "sgpt_mi/kernels/half.h"
#include "support/packed_examples.h"

namespace sgpt_mi::test {

/// Tensors in memory.
class MemoryTensors : public containers::IndexedSource {
 public:
  explicit MemoryTensors(const std::vector<integer_layouts::NamedTensor>& tensors)
      : IndexedSource("test", infos(tensors)) {
    for (const auto& tensor : tensors) bytes_[tensor.info.name] = tensor.bytes;
  }

  [[nodiscard]] containers::TensorData read(const std::string& name) const override {
    return {tensors()[position(name)], bytes_.at(name), nullptr};
  }

 private:
  static std::vector<containers::TensorInfo> infos(
      const std::vector<integer_layouts::NamedTensor>& tensors) {
    std::vector<containers::TensorInfo> result;
    for (const auto& tensor : tensors) result.push_back(tensor.info);
    return result;
  }

  std::map<std::string, std::vector<std::byte>> bytes_;
};

/// A matrix with plain float16 scales and `groups` runs of neighbours (or random labels).
inline CodedMatrixBuffers integer_matrix(const PackedForm& form, std::mt19937& engine) {
  CodedMatrixBuffers matrix = random_matrix(form, engine);
  matrix.scale_exponent = 0;
  return matrix;
}

/// The 32-bit words of a tensor.
inline std::vector<std::uint32_t> words_of(const integer_layouts::NamedTensor& tensor) {
  std::vector<std::uint32_t> words(tensor.bytes.size() / 4);
  std::memcpy(words.data(), tensor.bytes.data(), tensor.bytes.size());
  return words;
}

/// scale * (code - zero point) in float32, 0 where pruned.
inline std::vector<float> values_of(const packing::CodedMatrix& matrix) {
  std::vector<float> values;
  const auto groups = matrix.bits_of_group.size();
  for (std::int64_t i = 0; i < matrix.rows * matrix.columns; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const auto column = static_cast<std::size_t>(i % matrix.columns);
    const auto grid = static_cast<std::size_t>(i / matrix.columns) * groups +
                      static_cast<std::size_t>(matrix.group_of_column[column]);
    const int steps =
        static_cast<int>(matrix.codes[at]) - static_cast<int>(matrix.zero_point[grid]);
    const bool kept = matrix.pruned.empty() || matrix.pruned[at] == 0;
    values.push_back(kept ? kernels::half_to_float(matrix.scale[grid]) * static_cast<float>(steps)
                          : 0.0F);
  }
  return values;
}

/// The float32 elements of decoded bytes.
inline std::vector<float> floats_of(const std::vector<std::byte>& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace sgpt_mi::test
