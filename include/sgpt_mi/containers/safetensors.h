#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"

namespace sgpt_mi::containers {

/// Opens one safetensors file, memory-mapped: read() points into the mapping.
///
/// Format: u64 little-endian header length, JSON header {name: {dtype, shape, data_offsets}},
/// data. Checked before anything is believed: length within the file and at most 100 MB, valid JSON
/// without duplicate keys, known dtypes, no negative or overflowing shape, span equal to
/// shape x element size, spans that neither overlap nor leave gaps nor pass the end.
/// Throws Error(kInput) naming file, tensor and the broken rule.
[[nodiscard]] std::unique_ptr<TensorSource> open_safetensors(const std::filesystem::path& path);

/// Writes the tensors of a model into a folder as model.safetensors, or as
/// model-0000i-of-0000n.safetensors with model.safetensors.index.json when they exceed
/// `shard_bytes`. All names, types and shapes are given at the start; the data may come in any
/// order, one tensor at a time, so that nothing but the current tensor is in memory.
class SafetensorsWriter {
 public:
  /// Of a file, where nobody says otherwise.
  static constexpr std::size_t kShardBytes = 5'000'000'000;

  SafetensorsWriter(const std::filesystem::path& folder, std::vector<TensorInfo> tensors,
                    std::size_t shard_bytes = kShardBytes);
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  /// Writes one tensor's bytes to its place. Throws Error(kInternal) when the name is unknown,
  /// the size differs or it was already written, Error(kInput) when the disk is full.
  void put(const std::string& name, std::span<const std::byte> bytes);

  /// Syncs and closes. Throws Error(kInternal) naming a tensor that was never written.
  void finish();

  /// What the files take beside the tensors' data: length, header and its padding.
  [[nodiscard]] std::int64_t header_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// model.safetensors, or model-0000i-of-0000n.safetensors when there are several.
[[nodiscard]] std::string shard_name(std::size_t index, std::size_t count);

inline constexpr const char* kShardIndexName = "model.safetensors.index.json";

/// The text of the index of several shards: the file of each tensor, and the bytes of all tensors.
[[nodiscard]] std::string shard_index(const std::map<std::string, std::string>& file_of_tensor,
                                      std::size_t tensor_bytes);

}  // namespace sgpt_mi::containers
