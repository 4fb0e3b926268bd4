#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "sgpt_mi/blocks/block_types.h"
#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::formats {

/// A checkpoint's tensors in the types in which they are saved: as stored, except that matrices
/// unpacked from a GGUF file's blocks become F16, a width those codes fit in, and that
/// matrices of a format with exact values (GridLimits::exact_values) are float32.
class SavedTypes : public containers::IndexedSource {
 public:
  /// \param exact  names of the tensors that are float32.
  explicit SavedTypes(const Checkpoint& checkpoint,
                      const std::unordered_set<std::string>& exact = {});

  [[nodiscard]] containers::TensorData read(const std::string& name) const override;

  /// Of the checkpoint.
  [[nodiscard]] containers::StoredForm stored(const std::string& name) const override;
  [[nodiscard]] std::optional<containers::StoredBlocks> stored_blocks(
      const std::string& name) const override;

  /// The type of a tensor whose blocks a GGUF file can hold as they are in the checkpoint's, or
  /// nullptr.
  [[nodiscard]] const blocks::BlockType* kept_blocks(const std::string& name) const;

  /// One tensor as it is saved. Throws Error(kInternal) when there is none of that name.
  [[nodiscard]] const containers::TensorInfo& info_of(const std::string& name) const;
  [[nodiscard]] DType dtype_of(const std::string& name) const { return info_of(name).dtype; }

  /// Data of all tensors.
  [[nodiscard]] std::size_t bytes() const;

 private:
  const containers::TensorSource& base_;
};

/// Takes compressed weights block by block and gives the compressed model afterwards.
class WeightStore {
 public:
  virtual ~WeightStore() = default;

  /// Keeps a tensor that is already in its saved type. Throws Error(kInternal) for an unknown name
  /// or another size.
  virtual void put(const containers::TensorData& tensor) = 0;

  /// Whether compressed matrices are kept as codes: put_matrix() then takes the place of put().
  [[nodiscard]] virtual bool takes_codes() const { return false; }

  /// Keeps a compressed matrix NAME (the tensor NAME.weight).
  /// \param size  what it takes packed, as predicted. Throws Error(kInternal) when it takes other
  ///              bytes, or when the store takes no codes.
  virtual void put_matrix(const std::string& name, const packing::CodedMatrix& coded,
                          const packing::PackedSize& size);

  /// Whether compressed matrices are kept as blocks of ggml's types: put_blocks() then takes the
  /// place of put().
  [[nodiscard]] virtual bool takes_blocks() const { return false; }

  /// Keeps a compressed matrix NAME (the tensor NAME.weight), rows in Hugging Face's order. Throws
  /// Error(kInternal) when the store takes no blocks.
  virtual void put_blocks(const std::string& name, const blocks::EncodedMatrix& matrix);
};

/// Keeps compressed weights in memory, over the original's other tensors.
class MemoryStore : public WeightStore, public containers::TensorSource {
 public:
  explicit MemoryStore(const SavedTypes& base) : base_(base) {}

  void put(const containers::TensorData& tensor) override;

  [[nodiscard]] const std::vector<containers::TensorInfo>& tensors() const override {
    return base_.tensors();
  }
  [[nodiscard]] containers::TensorData read(const std::string& name) const override;
  [[nodiscard]] const containers::TensorInfo* find(const std::string& name) const override {
    return base_.find(name);
  }

 private:
  const SavedTypes& base_;
  std::unordered_map<std::string, containers::TensorData> replaced_;
};

}  // namespace sgpt_mi::formats
