#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "gguf_file.h"
#include "metadata_builder.h"
#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/gguf/gguf_output.h"
#include "sgpt_mi/tokenizer/gguf_vocabulary.h"

namespace sgpt_mi::gguf {

/// A tensor of a GGUF model under its Hugging Face name.
struct GgufWeight {
  containers::TensorInfo info;  ///< dtype after unpacking
  const blocks::BlockType* type = nullptr;
  std::span<const std::byte> bytes;  ///< packed
  /// Heads whose rows are stored as rotary pairs and must be put back in order; 0: none.
  std::int64_t paired_heads = 0;
};

/// A GGUF file as a model: what config.json and the checkpoint's tensors would be.
struct GgufModel {
  nlohmann::json config;
  std::vector<GgufWeight> weights;
  std::optional<tokenizer::GgufVocabulary> vocabulary;
};

/// Translates names, hyper-parameters and vocabulary; the rules are open_gguf's.
/// The spans point into the file's bytes. Throws Error(kInput) naming key or tensor.
[[nodiscard]] GgufModel translate_gguf(const GgufFile& file);

/// describe_gguf() of a parsed file.
[[nodiscard]] GgufDescription describe_copy(const GgufFile& file, const nlohmann::json& config,
                                            const std::vector<containers::TensorInfo>& tensors);

/// The tensor's elements, unpacked, in Hugging Face row order: info.bytes() bytes.
[[nodiscard]] std::vector<std::byte> unpack_weight(const GgufWeight& weight);

/// The packed bytes of a tensor with paired heads, its rows in Hugging Face order.
[[nodiscard]] std::vector<std::byte> unpaired_rows(const GgufWeight& weight);

/// The rope_scaling of config.json for this file: an object, or null when there is none. `freqs`
/// is the tensor rope_freqs.weight (divisors of the frequencies), or nullptr.
/// Throws Error(kInput) when the scaling is of a kind that is not read.
[[nodiscard]] nlohmann::json gguf_rope_scaling(const GgufMetadata& metadata,
                                               const std::string& architecture,
                                               const GgufTensor* freqs);

/// Writes the rope of a Hugging Face config, with `head_dim` dimensions, under the keys of
/// `architecture`. Returns the divisors of llama3 scaling, the tensor rope_freqs.weight; empty
/// without it. Throws Error(kInput) when GGUF has no such scaling.
[[nodiscard]] std::vector<float> add_rope(const nlohmann::json& config,
                                          const std::string& architecture, std::int64_t head_dim,
                                          MetadataBuilder& metadata);

/// Writes a tokenizer, padded to `tokens` entries; nothing: says that there is none.
/// Throws Error(kInput) when it has more tokens.
void add_vocabulary(const std::optional<tokenizer::GgufVocabulary>& vocabulary, std::size_t tokens,
                    MetadataBuilder& metadata);

/// The tokenizer in the metadata, or nothing when there is none.
/// Throws Error(kInput) when scores or types do not match the tokens.
[[nodiscard]] std::optional<tokenizer::GgufVocabulary> gguf_vocabulary(
    const GgufMetadata& metadata);

}  // namespace sgpt_mi::gguf
