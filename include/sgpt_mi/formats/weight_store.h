#pragma once

#include <torch/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "sgpt_mi/io/checkpoint.h"
#include "sgpt_mi/io/output.h"
#include "sgpt_mi/io/packed_checkpoint.h"
#include "sgpt_mi/io/packed_matrix.h"
#include "sgpt_mi/io/safetensors.h"
#include "sgpt_mi/io/tensor_source.h"

namespace sgpt_mi::pipeline {

/// A checkpoint's tensors in the types in which they are saved: as stored, except that matrices
/// unpacked from a quantized GGUF file (F32) become F16, a width those codes fit in.
class SavedTypes : public io::TensorSource {
 public:
  explicit SavedTypes(const io::Checkpoint& checkpoint);

  [[nodiscard]] const std::vector<io::TensorInfo>& tensors() const override { return infos_; }
  [[nodiscard]] io::TensorData read(const std::string& name) const override;
  [[nodiscard]] const io::TensorInfo* find(const std::string& name) const override;

  /// The saved type of one tensor. Throws Error(kInternal) when there is none of that name.
  [[nodiscard]] DType dtype_of(const std::string& name) const;

 private:
  const io::TensorSource& base_;
  std::vector<io::TensorInfo> infos_;
  std::unordered_map<std::string, std::size_t> index_;
};

/// Takes compressed weights block by block and gives the compressed model afterwards.
class WeightStore {
 public:
  virtual ~WeightStore() = default;

  /// Keeps a tensor that is already in its saved type.
  virtual void put(const std::string& name, const torch::Tensor& value) = 0;

  /// Keeps a compressed matrix NAME (the tensor NAME.weight).
  /// \param rounded  its weight in its saved type: what `coded` decodes to.
  /// \param size     what it takes packed, as predicted.
  virtual void put_packed(const std::string& name, const torch::Tensor& rounded,
                          const io::CodedMatrix& coded, const io::PackedSize& size) = 0;
};

/// Keeps compressed weights in memory, over the original's other tensors.
class MemoryStore : public WeightStore, public io::TensorSource {
 public:
  explicit MemoryStore(const SavedTypes& base) : base_(base) {}

  void put(const std::string& name, const torch::Tensor& value) override;
  void put_packed(const std::string& name, const torch::Tensor& rounded,
                  const io::CodedMatrix& coded, const io::PackedSize& size) override;

  [[nodiscard]] const std::vector<io::TensorInfo>& tensors() const override {
    return base_.tensors();
  }
  [[nodiscard]] io::TensorData read(const std::string& name) const override;
  [[nodiscard]] const io::TensorInfo* find(const std::string& name) const override {
    return base_.find(name);
  }

 private:
  const SavedTypes& base_;
  std::unordered_map<std::string, io::TensorData> replaced_;
};

/// A store that makes a model folder.
class SavingStore : public WeightStore {
 public:
  /// Adds everything that was not put and the tokenizer's files, writes `run_report` as
  /// sgpt_mi.json and moves the folder into place.
  virtual void finish(const std::string& run_report) = 0;

  /// Name of the run report inside a saved folder; marks folders that may be replaced.
  static constexpr const char* kReportFile = "sgpt_mi.json";
};

/// Writes compressed weights straight into a Hugging Face folder that appears when complete.
class FolderStore : public SavingStore {
 public:
  /// Creates the staging folder. Throws as io::StagedFolder, and Error(kInput) when the disk has
  /// less room than the model takes.
  FolderStore(const std::filesystem::path& target, const io::Checkpoint& checkpoint,
              const SavedTypes& types);

  void put(const std::string& name, const torch::Tensor& value) override;
  /// Writes the dense tensor.
  void put_packed(const std::string& name, const torch::Tensor& rounded,
                  const io::CodedMatrix& coded, const io::PackedSize& size) override;
  void finish(const std::string& run_report) override;

 private:
  const io::Checkpoint& checkpoint_;
  const SavedTypes& types_;
  io::StagedFolder folder_;
  std::unique_ptr<io::SafetensorsWriter> writer_;
  std::unordered_set<std::string> written_;
};

/// Writes a packed checkpoint folder that appears when complete.
class PackedStore : public SavingStore {
 public:
  /// As FolderStore.
  PackedStore(const std::filesystem::path& target, const io::Checkpoint& checkpoint,
              const SavedTypes& types);

  void put(const std::string& name, const torch::Tensor& value) override;
  /// Throws Error(kInternal) when the matrix takes other bytes than predicted.
  void put_packed(const std::string& name, const torch::Tensor& rounded,
                  const io::CodedMatrix& coded, const io::PackedSize& size) override;
  void finish(const std::string& run_report) override;

 private:
  const io::Checkpoint& checkpoint_;
  const SavedTypes& types_;
  io::StagedFolder folder_;
  io::PackedWriter writer_;
  std::unordered_set<std::string> written_;
};

}  // namespace sgpt_mi::pipeline
