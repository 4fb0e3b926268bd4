#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_set>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"

namespace sgpt_mi::formats {

/// Shards of about this many bytes, where nobody says otherwise.
inline constexpr std::size_t kShardBytes = 1'000'000'000;

/// Writes tensors that are not known beforehand into a folder's safetensors files, one or shards
/// with an index. Up to one shard is held in memory.
class ShardWriter {
 public:
  /// Shards are closed once they hold `shard_bytes`, or before a tensor that would pass it.
  explicit ShardWriter(std::filesystem::path folder, std::size_t shard_bytes = kShardBytes);

  /// Sets another size of the shards that are not yet closed.
  void split_above(std::size_t shard_bytes) { shard_bytes_ = shard_bytes; }

  /// Keeps a tensor. It must have an owner: its bytes are read when its shard is full. Throws
  /// Error(kInternal) for a name that was written before.
  void put(containers::TensorData tensor);
  void put(containers::TensorInfo info, std::vector<std::byte> bytes);

  /// Writes what is left and the index of several shards; returns the bytes of the safetensors
  /// files. Throws Error(kInput) when the disk is full.
  std::int64_t finish();

 private:
  /// A shard's folder until its final name, which tells how many there are, is known.
  [[nodiscard]] std::filesystem::path place(std::size_t shard) const;
  void write_shard();
  void name_shards();

  std::filesystem::path folder_;
  std::size_t shard_bytes_;
  std::unordered_set<std::string> names_;        // of all tensors so far
  std::vector<containers::TensorData> waiting_;  // of the next shard
  std::size_t waiting_bytes_ = 0;
  std::vector<std::vector<std::string>> shards_;  // tensor names of those written
  std::size_t tensor_bytes_ = 0;
  std::int64_t header_bytes_ = 0;  // of the shards written
};

}  // namespace sgpt_mi::formats
