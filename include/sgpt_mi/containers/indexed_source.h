#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"

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

}  // namespace sgpt_mi::containers
