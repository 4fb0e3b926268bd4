#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config_reader.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/model/spec.h"

namespace sgpt_mi::model {

/// A size that tensors of a family have, as a function of the spec.
enum class Dim : std::uint8_t {
  kHidden,
  kIntermediate,
  kQuery,     ///< heads * head_dim
  kKeyValue,  ///< kv_heads * head_dim
  kHeadDim,
  kVocab,
  kWordEmbed,
  kPositionRows  ///< rows of OPT's position table
};
[[nodiscard]] std::int64_t size_of(Dim dim, const ModelSpec& spec);

/// A switch of the spec that decides whether a tensor exists.
using Switch = bool (*)(const ModelSpec&);

/// One tensor that is neither the weight nor the bias of a block's linear.
struct TensorRule {
  std::string_view name;  ///< inside its block, or inside the model for the ends
  std::vector<Dim> shape;
  Switch exists;
};

/// One linear of a block: NAME.weight (rows, columns) and, if `has_bias`, NAME.bias (rows).
struct LinearRule {
  std::string_view name;
  Site site;
  Dim rows;
  Dim columns;
  Switch has_bias;
};

/// What a block is built from.
struct BlockParts {
  ModelSpec spec;
  std::int64_t layer = 0;
  std::vector<LinearInfo> linears;
  std::map<std::string, torch::Tensor> tensors;  ///< by name inside the block
};

/// Gives a tensor of the model's ends ("norm.weight") on the device and in the type of the run.
using EndTensor = std::function<torch::Tensor(std::string_view name)>;

/// A value of "model_type" in config.json and how the rest of the file is read for it.
struct ModelType {
  std::string_view name;
  ModelSpec (*parse)(const ConfigReader& config);
};

/// Everything that is particular to an architecture.
struct Family {
  std::string_view name;
  std::vector<ModelType> model_types;
  /// What may stand before a name: the first that fits the checkpoint is taken.
  std::vector<std::string_view> prefixes;
  std::vector<LinearRule> linears;  ///< in the order in which the reference compresses them
  std::vector<TensorRule> block_tensors;
  std::vector<TensorRule> end_tensors;
  std::unique_ptr<Block> (*make_block)(BlockParts parts);
  /// Embedded tokens (B, T, word embed) -> hidden states (B, T, hidden): positions, projection.
  torch::Tensor (*embed)(const ModelSpec&, const EndTensor&, const torch::Tensor& embedded);
  /// (B, T, hidden) -> (B, T, head input): final norm, projection.
  torch::Tensor (*final_hidden)(const ModelSpec&, const EndTensor&, const torch::Tensor& hidden);
};

// The same in every family.
inline constexpr std::string_view kBlocks = "layers.";  ///< PREFIX layers.3. NAME
inline constexpr std::string_view kEmbedding = "embed_tokens.weight";
inline constexpr std::string_view kHead = "lm_head.weight";  ///< never behind a prefix

/// The table of all families: the one place where a new one is added, as a row of families.cpp.
/// The row names a reader of its config.json (spec_parsers.h) and three functions: the block's
/// maker and the two ends (architectures.h declares OPT's). Everything else is data: names, shapes,
/// switches.
[[nodiscard]] const std::vector<Family>& families();
/// The row of a spec. Throws Error(kInternal) when the spec names no family.
[[nodiscard]] const Family& family_of(const ModelSpec& spec);

}  // namespace sgpt_mi::model
