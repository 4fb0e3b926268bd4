#pragma once

#include <torch/types.h>

#include <cstdint>
#include <future>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/model/model.h"

namespace sgpt_mi::model {

/// Where a model's tensors lie.
struct WeightFiles {
  const containers::TensorSource& tensors;
  const formats::CodeSource* packed = nullptr;  ///< of those that a GPU decodes; may be missing
};

/// A tensor on `where`, in memory of its own: results then do not depend on where a file happens to
/// place it (matrix products take other paths for other alignments). To a GPU it goes through
/// pinned memory on the current stream, a packed matrix in its packed form. Throws as
/// require_finite(), and what reading a tensor throws.
[[nodiscard]] torch::Tensor load_tensor(const WeightFiles& files, const std::string& name,
                                        const Placement& where);

/// Names of a block's tensors, in the order in which they are read: inside the block and in the
/// checkpoint.
using BlockNames = std::vector<std::pair<std::string, std::string>>;
/// A block's tensors by their names inside it.
using BlockTensors = std::map<std::string, torch::Tensor>;

/// Reads the tensors of blocks, one block ahead where it is told which is next.
class BlockReader {
 public:
  explicit BlockReader(const WeightFiles& files) : files_(files) {}

  /// The tensors of a block. Throws Error(kNumeric) naming the tensor that is not finite.
  [[nodiscard]] BlockTensors read(std::int64_t layer, const BlockNames& names,
                                  const Placement& where);

  /// Makes the next read() of this block wait less: the system starts reading the tensors' bytes.
  /// For a GPU a thread also copies them there through pinned memory, on a stream of its own,
  /// beside the computation; what goes wrong in it is thrown by read(). It waits for the thread of
  /// the block before.
  void read_ahead(std::int64_t layer, const BlockNames& names, const Placement& where);

 private:
  WeightFiles files_;
  std::int64_t ahead_layer_ = -1;
  Placement ahead_where_;
  std::future<BlockTensors> ahead_;  ///< of ahead_layer_ on ahead_where_, when valid
};

}  // namespace sgpt_mi::model
