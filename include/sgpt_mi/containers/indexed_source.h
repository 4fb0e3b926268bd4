#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::containers {

/// A TensorSource that keeps its list and finds names in constant time.
class IndexedSource : public TensorSource {
 public:
  /// `label` is the file or folder, for messages. Names must be unique (kInternal otherwise).
  IndexedSource(std::string label, std::vector<TensorInfo> tensors);
  IndexedSource(const IndexedSource&) = delete;
  IndexedSource& operator=(const IndexedSource&) = delete;

  [[nodiscard]] const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  [[nodiscard]] const TensorInfo* find(const std::string& name) const override;

 protected:
  /// Place of the tensor in tensors(). Throws Error(kInput) naming tensor and file.
  [[nodiscard]] std::size_t position(const std::string& name) const;
  /// The same; nothing when there is no such tensor.
  [[nodiscard]] std::optional<std::size_t> place(const std::string& name) const;

 private:
  std::string label_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string_view, std::size_t> positions_;  // views into tensors_
};

/// Tensors of one mapped file.
class MappedSource : public IndexedSource {
 public:
  /// \param bytes  of the file, per tensor: what its data, packed or not, lies in.
  MappedSource(std::shared_ptr<const io::MappedFile> file, const std::string& label,
               std::vector<TensorInfo> tensors, std::vector<std::span<const std::byte>> bytes);

  /// Bytes that are the tensor as they are.
  [[nodiscard]] TensorData read(const std::string& name) const override;
  void will_need(const std::string& name) const override;
  void done_with(const std::string& name) const override;

 private:
  std::shared_ptr<const io::MappedFile> file_;
  std::vector<std::span<const std::byte>> bytes_;
};

}  // namespace sgpt_mi::containers
