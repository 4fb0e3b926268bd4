#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <optional>

#include "sgpt_mi/io/scratch_file.h"
#include "sgpt_mi/memory/copy_lane.h"

namespace sgpt_mi::memory {

/// How many bytes of activations may lie in each place. What fits nowhere goes to a file.
struct ActivationBudget {
  /// On the device that computes: GPU memory, or host memory where the CPU computes.
  std::int64_t device_bytes = std::numeric_limits<std::int64_t>::max();
  std::int64_t host_bytes = 0;   ///< pinned host memory, for a GPU: pinned_bytes() of each tensor
  std::filesystem::path folder;  ///< where the file is made; empty: TMPDIR, or /tmp
};

/// What a tensor takes in pinned memory, whose allocator rounds up to a power of two.
[[nodiscard]] std::int64_t pinned_bytes(std::int64_t bytes);

/// Regions of a file that grows as needed. A freed region serves a later one of nearly its size.
class FileRegions {
 public:
  struct Region {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;  ///< at least those asked for
  };

  [[nodiscard]] Region take(std::uint64_t bytes);
  void give_back(const Region& region) { free_.emplace(region.bytes, region.offset); }
  /// Size of the file that holds all regions taken so far.
  [[nodiscard]] std::uint64_t end() const { return end_; }

 private:
  std::multimap<std::uint64_t, std::uint64_t> free_;  ///< bytes -> offset
  std::uint64_t end_ = 0;
};

/// The places where the stores of one walk put their activations, filled in the order device, host,
/// file.
class ActivationSpace {
 public:
  enum class Place : std::uint8_t { kDevice, kHost, kFile };

  /// Bytes in each place.
  struct Use {
    std::int64_t device = 0;
    std::int64_t host = 0;
    std::int64_t file = 0;
  };

  ActivationSpace(torch::Device device, ActivationBudget budget)
      : device_(device), budget_(std::move(budget)), lane_(device) {}

  /// The first place with room for so many bytes, which are counted there.
  [[nodiscard]] Place reserve(std::int64_t bytes);
  void release(Place place, std::int64_t bytes) { counter(use_, place) -= counted(place, bytes); }

  [[nodiscard]] torch::Device device() const { return device_; }
  [[nodiscard]] const CopyLane& lane() const { return lane_; }
  [[nodiscard]] FileRegions& regions() { return regions_; }
  /// Made when it is first asked for. Throws Error(kInput) when its folder cannot be written.
  [[nodiscard]] io::ScratchFile& file();

  [[nodiscard]] const Use& use() const { return use_; }

 private:
  [[nodiscard]] static std::int64_t& counter(Use& use, Place place);
  [[nodiscard]] std::int64_t counted(Place place, std::int64_t bytes) const {
    return place == Place::kHost && device_.is_cuda() ? pinned_bytes(bytes) : bytes;
  }

  torch::Device device_;
  ActivationBudget budget_;
  CopyLane lane_;
  FileRegions regions_;
  std::optional<io::ScratchFile> file_;
  Use use_;
};

/// The folder of temporary files: TMPDIR, or /tmp.
[[nodiscard]] std::filesystem::path temporary_folder();

}  // namespace sgpt_mi::memory
