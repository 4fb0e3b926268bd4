#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "family.h"

namespace sgpt_mi::model {

/// The part of a block that all families share: its named tensors and applying them.
class BlockBase : public Block {
 public:
  explicit BlockBase(BlockParts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] const std::vector<LinearInfo>& linears() const override { return parts_.linears; }
  /// Throws Error(kInternal) when the block has no such linear.
  [[nodiscard]] const torch::Tensor& weight(const std::string& short_name) const override;
  /// Keeps device and dtype of the old weight. Throws Error(kInternal) when the shape differs.
  void set_weight(const std::string& short_name, const torch::Tensor& value) override;
  [[nodiscard]] std::optional<torch::Tensor> bias(const std::string& short_name) const override;
  /// Keeps device and dtype of the old bias.
  void set_bias(const std::string& short_name, const torch::Tensor& value) override;
  void set_output_observer(OutputObserver observer) override;
  [[nodiscard]] std::vector<NamedTensor> norm_before(Site site) const override;
  /// Keeps device and dtype. Throws Error(kInternal) for another name or shape.
  void set_norm(const NamedTensor& parameter) override;
  [[nodiscard]] BlockState begin(const torch::Tensor& hidden) const override;
  [[nodiscard]] torch::Tensor site_input(Site site, const BlockState& state) const override;

 protected:
  /// Name of the norm whose output is the site's input and nothing else; empty: none.
  [[nodiscard]] virtual std::string norm_name(Site site) const = 0;
  /// The norm of this name, over the last dimension of x.
  [[nodiscard]] virtual torch::Tensor norm(const std::string& name,
                                           const torch::Tensor& x) const = 0;
  [[nodiscard]] const ModelSpec& spec() const { return parts_.spec; }
  [[nodiscard]] std::int64_t layer() const { return parts_.layer; }

  /// A tensor that the family's table says exists.
  [[nodiscard]] const torch::Tensor& tensor(const std::string& name) const;
  /// Nothing when the table's switch left the tensor out.
  [[nodiscard]] std::optional<torch::Tensor> optional_tensor(const std::string& name) const;
  /// x (..., columns) -> (..., rows): the linear's weight and bias. Shown to the output observer.
  [[nodiscard]] torch::Tensor linear(const std::string& short_name, const torch::Tensor& x) const;

 private:
  void replace(const std::string& name, const torch::Tensor& value);

  BlockParts parts_;
  OutputObserver output_observer_;
};

/// Scaled dot-product attention with a causal mask, scale 1 / sqrt(D).
///
/// query (B, T, heads, D), key and value (B, T, kv_heads, D) -> (B, T, heads * D). Query head h
/// reads key head h * kv_heads / heads; query and key may be wider than value, whose type the
/// result has. With `window` a position sees itself and the window - 1
/// positions before it. In float32 on the CPU the room cpu_kernels computes it, else, and where a
/// gradient is wanted, LibTorch.
[[nodiscard]] torch::Tensor causal_attention(const torch::Tensor& query, const torch::Tensor& key,
                                             const torch::Tensor& value,
                                             std::optional<std::int64_t> window);

/// The MLP's non-linearity, element by element; may overwrite x.
[[nodiscard]] torch::Tensor activate(Activation activation, torch::Tensor x);

}  // namespace sgpt_mi::model
