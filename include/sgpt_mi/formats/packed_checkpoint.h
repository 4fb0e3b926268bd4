#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/core/parallel.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::formats {

// A packed checkpoint is a folder with config.json and safetensors, one file or shards with an
// index. config.json is the dense model's with one more member:
//
//     "quantization_config": {"quant_method": "sgpt-mi", "format_version": 2,
//                             "matrices": ["model.layers.0.self_attn.q_proj", ...]}
//
// Each matrix NAME listed is stored as the tensors of packing/packed_matrix.h instead of
// NAME.weight; all other tensors are as in the dense model. No other tensor may have the name of a
// part.

inline constexpr std::string_view kPackedQuantMethod = "sgpt-mi";

/// The "quantization_config" of a checkpoint with these packed matrices.
[[nodiscard]] nlohmann::ordered_json packed_quantization_config(
    const std::vector<std::string>& matrices);

/// Whether config.json's object says that the folder is a packed checkpoint, of any version. Other
/// quantization methods are not: their quantization_config is left to the model room to refuse.
[[nodiscard]] bool is_packed_config(const nlohmann::json& config);

/// A packed checkpoint's tensors.
struct PackedCheckpoint {
  std::unique_ptr<containers::TensorSource>
      tensors;  ///< dense names; matrices are unpacked by read()
  std::vector<packing::PackedMatrixInfo> matrices;  ///< in the order of the config
  const CodeSource* codes = nullptr;                ///< part of `tensors`
};

/// Wraps the stored tensors of a packed checkpoint, so that they look like the dense model's.
///
/// Checked at once: the config, that it and the tensors name the same matrices, and of every matrix
/// what describe_packed checks. The rest is checked when the matrix is read.
///
/// \param stored        the tensors as they lie in the files.
/// \param config        config.json, for which is_packed_config holds.
/// \param source        file or folder, for messages.
/// \param parallel_for  used by read(); calls of read() from several threads share it.
/// \throws Error(kInput) naming the member, or the matrix and its part.
[[nodiscard]] PackedCheckpoint open_packed(std::unique_ptr<containers::TensorSource> stored,
                                           const nlohmann::json& config, const std::string& source,
                                           ParallelFor parallel_for = serial_for());

/// Writes a packed checkpoint into an existing folder, matrix by matrix in any order. Nothing has
/// to be known beforehand; up to one shard is held in memory.
class PackedWriter {
 public:
  /// Shards are closed once they hold `shard_bytes`, or before a tensor that would pass it.
  explicit PackedWriter(const std::filesystem::path& folder,
                        std::size_t shard_bytes = 1'000'000'000);
  ~PackedWriter();
  PackedWriter(const PackedWriter&) = delete;
  PackedWriter& operator=(const PackedWriter&) = delete;

  /// Sets another size of the shards that are not yet closed.
  void split_above(std::size_t shard_bytes);

  /// Packs matrix NAME (not NAME.weight) and returns its bytes by part.
  packing::PackedSize put_matrix(const std::string& name, const packing::CodedMatrix& matrix);

  /// Keeps a dense tensor as it is. It must have an owner: its bytes are read when its shard is
  /// full.
  void put_dense(const containers::TensorData& tensor);

  /// Writes what is left, the index of several shards and config.json: `config`, the dense model's,
  /// with quantization_config added; returns the bytes of the safetensors files. Throws
  /// Error(kInput) when the disk is full.
  std::int64_t finish(const nlohmann::json& config);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sgpt_mi::formats
