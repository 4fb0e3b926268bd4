#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/model/spec.h"

namespace sgpt_mi::model {

/// The four distinct tensors that the linears of a block read, in the order they are computed.
/// Linears of one site share their input, and so one H.
enum class Site : std::uint8_t {
  kAttentionIn = 0,   ///< q, k, v
  kAttentionOut = 1,  ///< o / out_proj
  kMlpIn = 2,         ///< gate, up / fc1
  kMlpOut = 3         ///< down / fc2
};
inline constexpr int kSites = 4;

/// One linear of a block.
struct LinearInfo {
  std::string name;        ///< checkpoint name without ".weight": "model.layers.0.self_attn.q_proj"
  std::string short_name;  ///< inside the block: "self_attn.q_proj"
  Site site = Site::kAttentionIn;
  std::int64_t rows = 0;     ///< output features
  std::int64_t columns = 0;  ///< input features
};

/// A batch on its way through a block, between two sites.
struct BlockState {
  torch::Tensor hidden;   ///< (B, T, hidden): the residual stream
  torch::Tensor pending;  ///< what the next site starts from (attention or MLP intermediate)
};

/// Called with a linear's output W x + b, (B, T, rows), when it is computed. It may hook the output
/// to see its gradient.
using OutputObserver =
    std::function<void(const std::string& short_name, const torch::Tensor& output)>;

/// A tensor of a block by the name it has inside the block.
struct NamedTensor {
  std::string short_name;
  torch::Tensor value;
};

/// One transformer block on one device: weights, and a forward that can stop at every site.
///
///   for each site in order: x = site_input(site, state); advance(site, state, x);
///   output = state.hidden
///
/// is the whole forward. Weights may be replaced between sites, so that in a true-sequential run
/// every activation is computed once, with compressed weights. No cache, causal.
///
/// All of it can be differentiated where gradient mode is on, with respect to `hidden` and to the
/// block's own tensors, which weight(), bias() and norm_before() give: those on which a caller set
/// requires_grad_(); what replaces one starts without. An at::NoGradGuard makes sure of no graph.
class Block {
 public:
  virtual ~Block() = default;

  /// The block's linears in the order in which the reference compresses them.
  [[nodiscard]] virtual const std::vector<LinearInfo>& linears() const = 0;

  /// The weight (rows, columns) of a linear, by short name; assign with set_weight.
  [[nodiscard]] virtual const torch::Tensor& weight(const std::string& short_name) const = 0;
  virtual void set_weight(const std::string& short_name, const torch::Tensor& weight) = 0;

  /// The bias (rows) of a linear, by short name; nothing when the linear has none.
  [[nodiscard]] virtual std::optional<torch::Tensor> bias(const std::string& short_name) const = 0;
  /// Throws Error(kInternal) when the linear has none or the shape differs.
  virtual void set_bias(const std::string& short_name, const torch::Tensor& bias) = 0;

  /// Shows the output of every linear from now on to `observer`; empty: to nobody. An observed
  /// output costs a copy of it: what follows leaves the observer's tensor alone.
  virtual void set_output_observer(OutputObserver observer) = 0;

  /// The parameters of the norm whose output is the site's input and nothing else, so that a scale
  /// of its channels can be folded into them: weight, and bias where there is one. Empty: there is
  /// no such norm.
  [[nodiscard]] virtual std::vector<NamedTensor> norm_before(Site site) const = 0;
  /// Replaces a parameter that norm_before() named.
  virtual void set_norm(const NamedTensor& parameter) = 0;

  /// A state at the block's start. hidden: (B, T, hidden), positions 0..T-1.
  [[nodiscard]] virtual BlockState begin(const torch::Tensor& hidden) const = 0;
  /// The tensor (B, T, columns) that the site's linears read.
  [[nodiscard]] virtual torch::Tensor site_input(Site site, const BlockState& state) const = 0;
  /// Applies the site's linears (and attention, activation, residual) to `input`.
  virtual void advance(Site site, BlockState& state, const torch::Tensor& input) const = 0;

  /// All sites in order: (B, T, hidden) -> (B, T, hidden).
  [[nodiscard]] torch::Tensor forward(const torch::Tensor& hidden) const;
};

/// Where and in which type a model is computed.
struct Placement {
  torch::Device device = torch::kCPU;
  torch::ScalarType dtype = torch::kFloat32;
};

/// Logits that are in memory at once, float32 elements: 16 MB, and as much for their log-softmax.
/// Larger pieces make the products no faster and leave the cache.
inline constexpr std::int64_t kLogitsAtOnce = 4'000'000;

/// A model whose weights are read block by block from a checkpoint: nothing is loaded until asked.
/// As a block, final_hidden() and logits() can be differentiated with respect to their input.
class Model {
 public:
  /// Checks every tensor that the family expects (present, shape) and that no unexpected weight is
  /// there. Throws Error(kInput) naming the first tensor that is wrong.
  explicit Model(const formats::Checkpoint& checkpoint);
  /// The same architecture over other tensors (compressed weights).
  /// \param tensors  outlives the model.
  /// \param packed   likewise; those that it has in packed form are decoded on a GPU instead of
  ///                being read from `tensors`.
  Model(ModelSpec spec, const containers::TensorSource& tensors,
        const formats::CodeSource* packed = nullptr);
  ~Model();
  Model(Model&&) noexcept;

  [[nodiscard]] const ModelSpec& spec() const;

  /// Hidden states (B, T, hidden) of ids (B, T) int64 on `where`: token and position embeddings.
  /// The embedding table is loaded on first use and kept until release_ends().
  [[nodiscard]] torch::Tensor embed(const torch::Tensor& ids, const Placement& where);

  /// Reads what embed() reads, or final_hidden() and head(), in their order: for a rank without
  /// windows, where weights are read together (ranks::BroadcastSource).
  void read_embedding(const Placement& where);
  void read_head(const Placement& where);

  /// Block `layer` with its weights on `where`. Throws Error(kNumeric) naming tensor and first
  /// index when a weight is NaN or infinite.
  [[nodiscard]] std::unique_ptr<Block> load_block(std::int64_t layer, const Placement& where) const;

  /// Makes load_block() of this block wait less: its bytes start coming from the disk, and for a
  /// GPU its tensors are copied there beside the computation (so that two blocks are in memory).
  /// What goes wrong is thrown by load_block(). Returns at once but for the copy asked for before;
  /// a layer outside the model is ignored.
  void read_ahead(std::int64_t layer, const Placement& where) const;

  /// The linears of block `layer` without loading it.
  [[nodiscard]] std::vector<LinearInfo> block_linears(std::int64_t layer) const;

  /// Final norm and projections before the head: (B, T, hidden) -> (B, T, head input).
  [[nodiscard]] torch::Tensor final_hidden(const torch::Tensor& hidden, const Placement& where);

  /// Logits of final hidden states: (..., head input) -> (..., vocab).
  [[nodiscard]] torch::Tensor logits(const torch::Tensor& final_hidden, const Placement& where);

  /// The head's weight (vocab, head input), which logits() multiplies by.
  [[nodiscard]] torch::Tensor head(const Placement& where);

  /// The same with a head that was kept.
  [[nodiscard]] static torch::Tensor logits(const torch::Tensor& final_hidden,
                                            const torch::Tensor& head);

  /// Drops the embedding, final norm and head tables that embed() and logits() keep.
  void release_ends();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A checkpoint tensor as a torch tensor on the CPU in its stored dtype, sharing its memory when
/// aligned. Never write to it.
[[nodiscard]] torch::Tensor to_torch(const containers::TensorData& data);

/// A tensor as a checkpoint's, on the CPU and contiguous; its bytes are the tensor's own where it
/// is that already.
[[nodiscard]] containers::TensorData to_tensor_data(const std::string& name,
                                                    const torch::Tensor& value);

/// torch's name for a checkpoint dtype and back. Throws Error(kInternal) for types without one.
[[nodiscard]] torch::ScalarType to_scalar_type(DType dtype);
[[nodiscard]] DType from_scalar_type(torch::ScalarType type);

/// Throws Error(kNumeric) "NAME: NaN (or infinity) at index [i, j]" unless all values are finite.
void require_finite(const torch::Tensor& tensor, const std::string& name);

}  // namespace sgpt_mi::model
