#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sgpt_mi/core/dtype.h"

namespace sgpt_mi::containers {

/// Name, type and shape of a stored tensor, known without reading its data.
struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;  ///< row-major; empty for a scalar

  /// Number of elements, the product of `shape`.
  [[nodiscard]] std::int64_t count() const;
  /// count() times the element size.
  [[nodiscard]] std::size_t bytes() const;
};

/// A tensor's data: contiguous, row-major, little-endian.
struct TensorData {
  TensorInfo info;
  std::span<const std::byte> bytes;   ///< info.bytes() of them, maybe unaligned
  std::shared_ptr<const void> owner;  ///< keeps `bytes` alive: a mapped file or a buffer
};

/// How a tensor lies in its file.
struct StoredForm {
  std::string_view type;  ///< its name in the file's format: "F16", "Q4_K"
  std::int64_t bytes = 0;
};

/// A tensor's blocks as they lie in the file, its rows in the order of read().
struct StoredBlocks {
  std::string_view type;  ///< their name in the file's format: "Q4_K"
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;  ///< keeps `bytes` alive
};

/// A set of named tensors: one file, several shards, or a layer over another source.
///
/// read() of a mapped file copies nothing; formats that must be unpacked return a buffer of their
/// own, so that only the tensors in use take memory. Thread-safe for reads where concurrent().
class TensorSource {
 public:
  virtual ~TensorSource() = default;

  /// All tensors, in file order.
  [[nodiscard]] virtual const std::vector<TensorInfo>& tensors() const = 0;

  /// The data of one tensor. Throws Error(kInput) naming the tensor when there is none.
  [[nodiscard]] virtual TensorData read(const std::string& name) const = 0;

  /// Whether several threads may read at once, and in any order.
  [[nodiscard]] virtual bool concurrent() const { return true; }

  /// What read() unpacks, where it does. Default: the tensor's own type and bytes. Throws as
  /// read().
  [[nodiscard]] virtual StoredForm stored(const std::string& name) const;

  /// The blocks that read() unpacks; nothing where it unpacks none. Throws as read().
  [[nodiscard]] virtual std::optional<StoredBlocks> stored_blocks(const std::string& name) const;

  /// Starts reading a tensor's bytes from the disk, where a source has them there, so that read()
  /// finds them in memory; returns at once. An unknown name is no error.
  virtual void will_need(const std::string& name) const;

  /// Tells that a tensor's bytes are not read soon again: memory that only mirrors a file may go.
  /// What read() returned stays valid. An unknown name is no error.
  virtual void done_with(const std::string& name) const;

  /// The description of one tensor, or nullptr. Default: linear search; overridden by indexes.
  [[nodiscard]] virtual const TensorInfo* find(const std::string& name) const;
};

}  // namespace sgpt_mi::containers
