#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "family.h"
#include "sgpt_mi/containers/tensor_source.h"

namespace sgpt_mi::model {

/// Where the tensors of a model stand in one checkpoint: prefix, and which table is the embedding
/// and which the head.
class Layout {
 public:
  /// Finds the prefix and checks that every tensor of the family is there with its shape and a
  /// float type, and that nothing else is. Throws Error(kInput) naming the first wrong tensor.
  Layout(const ModelSpec& spec, const containers::TensorSource& tensors);

  /// "model.layers.3."
  [[nodiscard]] std::string block_prefix(std::int64_t layer) const;
  /// "model.norm.weight" of "norm.weight".
  [[nodiscard]] std::string end_name(std::string_view name) const;
  [[nodiscard]] const std::string& embedding() const { return embedding_; }
  [[nodiscard]] const std::string& head() const { return head_; }

 private:
  std::string prefix_;
  std::string embedding_;
  std::string head_;
};

/// A tensor that a checkpoint of some spec has to hold.
struct ExpectedTensor {
  std::string name;
  std::vector<std::int64_t> shape;
};

/// All tensors of a spec under its family's usual prefix, a tied head left out.
[[nodiscard]] std::vector<ExpectedTensor> expected_tensors(const ModelSpec& spec);

/// Whether a checkpoint has a tensor of this name.
using HasTensor = std::function<bool(const std::string& name)>;

/// A tensor that a checkpoint of this spec needs and does not have; nothing when all are there.
/// A tied model needs one of its two tables.
[[nodiscard]] std::optional<std::string> first_missing(const ModelSpec& spec, const HasTensor& has);

/// Whether models of the spec's family have a tensor of this name, in some layer and with some
/// switches, or a bias beside it: that config.json does not know it means that one of both is
/// wrong.
[[nodiscard]] bool is_own_name(const ModelSpec& spec, const std::string& name);

/// Names of a block's tensors inside the block: weights and biases of the linears, then the others.
[[nodiscard]] std::vector<std::string> block_tensor_names(const ModelSpec& spec);

/// The linears of a block whose tensors start with `block_prefix`.
[[nodiscard]] std::vector<LinearInfo> linears_of_block(const ModelSpec& spec,
                                                       const std::string& block_prefix);

}  // namespace sgpt_mi::model
