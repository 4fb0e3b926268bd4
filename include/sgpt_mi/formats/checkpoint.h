#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/core/parallel.h"
#include "sgpt_mi/packing/packed_matrix.h"
#include "sgpt_mi/packing/unpacked_codes.h"
#include "sgpt_mi/tokenizer/gguf_vocabulary.h"

namespace sgpt_mi::formats {

/// Where a MODEL argument points: an HF folder, one GGUF file, or nowhere on disk.
struct ModelLocation {
  std::filesystem::path path;  ///< of a split GGUF model its first file
  bool is_gguf = false;
  bool is_random = false;  ///< "random:SHAPE": weights are made up (model/random_model.h)
  bool is_found = false;   ///< lies below the folder that was named

  /// Whether files may stand beside the weights: config.json, a tokenizer, a run report.
  [[nodiscard]] bool is_folder() const { return !is_gguf && !is_random; }
};

/// Where the model of a folder is: the folder itself, or the only GGUF model (of one file or split)
/// in it, when it holds no config.json or no weights beside it, or the only one a level below, when
/// no folder there is a model in Hugging Face's layout. Files of vision projectors (mmproj*) are
/// passed over. Throws Error(kInput) listing the models when there are
/// several, or telling that the folder is a LoRA adapter's.
[[nodiscard]] ModelLocation locate_in_folder(const std::filesystem::path& folder);

/// Resolves MODEL: an existing folder (locate_in_folder), a GGUF file (any part of a split model,
/// and NAME.gguf for NAME-00001-of-00003.gguf), "random:SHAPE" (not looked at further), or a Hub id
/// ("facebook/opt-125m", "ORG/NAME:Q4_K_M", "...@REVISION": hub::parse_model_name) in the Hugging
/// Face cache, into which it is downloaded when it is not there (hub::find_model).
/// Throws Error(kInput) listing the places that were tried, Error(kUsage) for the revision of a
/// folder or file.
[[nodiscard]] ModelLocation locate_model(const std::string& model);

/// The same for a model of which only the tokenizer is wanted: no weights are downloaded.
[[nodiscard]] ModelLocation locate_tokenizer(const std::string& model);

/// Gives a checkpoint's matrices as they are stored.
class CodeSource {
 public:
  virtual ~CodeSource() = default;
  /// The parts of the matrix that a tensor is, for unpack::unpack_on(); nothing where the tensor
  /// does not lie in this program's packed form. They point into the source.
  [[nodiscard]] virtual std::optional<packing::PackedParts> packed_parts(
      const std::string& tensor) const = 0;
  /// Matrix NAME (the tensor NAME.weight), which must have codes. Throws Error(kInput) as read() of
  /// the tensor.
  [[nodiscard]] virtual packing::UnpackedCodes read_codes(const std::string& name) const = 0;
};

/// An opened model: its description and its tensors under their Hugging Face names.
struct Checkpoint {
  ModelLocation location;
  nlohmann::json config;  ///< config.json; for GGUF made from the metadata with the same keys; of a
                          ///< packed checkpoint the dense model's, without quantization_config
  std::unique_ptr<containers::TensorSource> tensors;
  std::vector<packing::PackedMatrixInfo> packed_matrices;  ///< that `tensors` unpacks; else empty
  const CodeSource* codes = nullptr;  ///< of packed_matrices; part of `tensors`
  std::optional<tokenizer::GgufVocabulary> gguf_vocabulary;
  std::vector<std::string> notes;  ///< for the user: what of the files is read in another way
};

/// Opens a folder with config.json and model.safetensors, model.safetensors.index.json,
/// pytorch_model.bin or pytorch_model.bin.index.json (in this order), or a GGUF v2/v3 file of the
/// LLaMA family (names mapped to Hugging Face's, rows of q and k un-permuted, quantized tensors
/// dequantized to F32 on read).
///
/// A packed checkpoint (packed_checkpoint.h), one of GPTQ or of compressed-tensors
/// (integer_checkpoint.h) looks like the dense model: its matrices are unpacked when they are read,
/// by `parallel_for`. A random model is not opened here (kInternal).
/// Throws Error(kInput) naming the file and what is wrong with it.
[[nodiscard]] Checkpoint open_checkpoint(const ModelLocation& location,
                                         ParallelFor parallel_for = serial_for());

/// Whether a model folder's file of this name is part of the model as programs know it: config,
/// weights and their index, tokenizer, a saved model's run report. Other files are the user's.
[[nodiscard]] bool is_model_file(const std::string& name);

/// The files that open_checkpoint() reads the model's weights from, in name order. Throws
/// Error(kInput) when there are none or their index cannot be read.
[[nodiscard]] std::vector<std::filesystem::path> weight_files(const ModelLocation& location);

/// SHA-256 over the bytes of the model's weight files in name order: for a model in one file, what
/// sha256sum prints for it. Cost: one pass over the files.
[[nodiscard]] std::string weight_files_sha256(const ModelLocation& location);

}  // namespace sgpt_mi::formats
