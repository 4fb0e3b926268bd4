#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sgpt_mi/blocks/block_types.h"
#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/tokenizer/gguf_vocabulary.h"

namespace sgpt_mi::gguf {

/// A tensor as a GGUF file holds it.
struct GgufSlot {
  std::string source;  ///< its name in the checkpoint
  std::string name;    ///< its name in the file
  std::vector<std::int64_t> shape;
  /// Heads whose rows are stored as rotary pairs (open_gguf); 0: rows stay in order.
  std::int64_t paired_heads = 0;
};

/// A tensor that belongs into the file and is in no checkpoint, in F32: rope_freqs.weight.
struct GgufExtra {
  std::string name;
  std::vector<float> values;
};

/// Everything of a GGUF file but the tensors' types and data.
struct GgufDescription {
  std::string architecture;
  std::uint64_t entries = 0;  ///< metadata entries in `metadata`
  /// Encoded; without general.file_type, general.quantization_version, general.alignment and
  /// split.*, which the writer adds or leaves out.
  std::string metadata;
  std::vector<GgufSlot> slots;    ///< in the checkpoint's order
  std::vector<GgufExtra> extras;  ///< written behind the slots
};

/// Describes a Hugging Face model as llama.cpp's converter does.
///
/// \param config      config.json of model_type llama, mistral, qwen2 or qwen3.
/// \param name        general.name.
/// \param vocabulary  as gguf_vocabulary_of() gives it; nothing: a file without a tokenizer.
/// \param tensors     the checkpoint's. A head beside tied embeddings and inv_freq are left out.
/// \throws Error(kUsage)  another model_type: llama.cpp cannot run the model, or not from these
///                        tensors.
/// \throws Error(kInput)  a member of config.json that a GGUF file cannot say, or an unknown
///                        tensor.
[[nodiscard]] GgufDescription describe_model(
    const nlohmann::json& config, const std::string& name,
    const std::optional<tokenizer::GgufVocabulary>& vocabulary,
    const std::vector<containers::TensorInfo>& tensors);

/// Describes a GGUF file that open_gguf() reads, to be written again with other tensor types: all
/// of its metadata and its tensors. \param config, tensors  as open_gguf() gave them.
[[nodiscard]] GgufDescription describe_gguf(const std::filesystem::path& path,
                                            const nlohmann::json& config,
                                            const std::vector<containers::TensorInfo>& tensors);

/// Bytes of one tensor's data, without the padding behind it.
[[nodiscard]] std::int64_t slot_bytes(const GgufSlot& slot, const blocks::BlockType& type);

/// Bytes of the whole file, in one piece, when the slots have these types (one each, in order).
[[nodiscard]] std::int64_t gguf_file_bytes(const GgufDescription& description,
                                           const std::vector<const blocks::BlockType*>& types);

/// Writes a GGUF file of version 3, alignment 32, that appears complete or not at all.
///
/// Tensors are written to the disk as they come and lie in the file in that order; none is kept in
/// memory. general.file_type follows the type that most weights of the blocks' linears have.
class ModelWriter {
 public:
  /// Throws Error(kUsage) when the target is a file that is not GGUF or parts of a model of that
  /// name are there, Error(kInput) when it cannot be written.
  ModelWriter(std::filesystem::path target, GgufDescription description);
  ~ModelWriter();
  ModelWriter(const ModelWriter&) = delete;
  ModelWriter& operator=(const ModelWriter&) = delete;

  /// Writes files NAME-00001-of-0000N.gguf of at most this many bytes instead of one NAME.gguf that
  /// is larger; a tensor that is larger alone has a file of its own. 0: one file. Throws
  /// Error(kUsage) when the target is there.
  void split_above(std::int64_t shard_bytes);

  /// Writes the tensor of one slot, its rows in the checkpoint's order. Throws Error(kInternal) for
  /// an unknown or repeated name or another size, Error(kInput) when the disk is full.
  void put(const std::string& source, const blocks::BlockType& type,
           std::span<const std::byte> bytes);

  /// Completes the file or files, moves them into place and returns their bytes. Throws
  /// Error(kInternal) naming a slot without data.
  std::int64_t finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Name of one file of a split model: NAME-00001-of-00003.gguf for the index 0 of 3.
[[nodiscard]] std::filesystem::path shard_path(const std::filesystem::path& target,
                                               std::size_t index, std::size_t count);

/// Whether a file is called like a part of the model NAME.gguf.
[[nodiscard]] bool is_shard_of(const std::filesystem::path& path,
                               const std::filesystem::path& target);

/// All files of the model that this one is a part of, in order: itself, unless its name says how
/// many there are. Only names are looked at.
[[nodiscard]] std::vector<std::filesystem::path> shard_paths(const std::filesystem::path& part);

/// The GGUF files that are there under the name of `target`: in one piece, or as parts of any
/// number.
[[nodiscard]] std::vector<std::filesystem::path> files_named(const std::filesystem::path& target);

/// What splitting a file of so many bytes and tensors takes at most, in bytes: a header a part.
[[nodiscard]] std::int64_t most_split_bytes(std::int64_t file_bytes, std::int64_t tensors,
                                            std::int64_t shard_bytes);

}  // namespace sgpt_mi::gguf
