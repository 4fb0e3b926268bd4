#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sgpt_mi/core/dtype.h"

namespace sgpt_mi::containers {

/// A tensor as a pickle describes it: a strided view of a storage. Nothing is checked against the
/// storage yet.
struct PickledTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::string storage;      ///< key of the record that holds the elements
  std::int64_t offset = 0;  ///< in elements, as are the strides
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
};

/// The tensors of a pickled state dict: a dict or OrderedDict from names to tensors, as torch.save
/// writes it (pickle protocol 2; Python, Lib/pickletools.py describes the opcodes).
///
/// Restricted: the only callables are collections.OrderedDict, torch._utils._rebuild_tensor_v2 and
/// _rebuild_parameter, the only classes torch's storages; everything else is refused by name and
/// nothing is ever run. Memory is a small multiple of the pickle, depth costs no call stack.
/// Throws Error(kInput) naming the file (`label`) and what was found.
[[nodiscard]] std::vector<PickledTensor> unpickle_state_dict(std::string_view pickle,
                                                             const std::string& label);

}  // namespace sgpt_mi::containers
