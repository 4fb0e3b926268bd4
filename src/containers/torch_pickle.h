#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"

namespace sgpt_mi::containers {

/// A tensor of a torch file: elements of a storage that lies in the file.
struct StridedTensor {
  TensorInfo info;
  std::vector<std::int64_t> strides;   ///< in elements, none negative
  std::span<const std::byte> storage;  ///< from the tensor's first element to the storage's end

  /// Whether the elements already lie in row-major order, so that they can be used in place.
  [[nodiscard]] bool is_contiguous() const;
  /// The elements in row-major order.
  [[nodiscard]] std::vector<std::byte> to_contiguous() const;
};

/// Reads the directory and the pickle of a whole torch file; the rules are open_torch_pickle's.
/// Throws Error(kInput) naming the file (`label`) and the tensor.
[[nodiscard]] std::vector<StridedTensor> parse_torch_pickle(std::span<const std::byte> file,
                                                            const std::string& label);

}  // namespace sgpt_mi::containers
