#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace sgpt_mi::memory {

/// What a run may take of memory, bytes; nothing: what is free.
struct MemoryCap {
  std::optional<std::int64_t> compute;  ///< on the device that computes, GPU or CPU
  std::optional<std::int64_t> device;   ///< instead: on the GPU
  std::optional<std::int64_t> host;     ///< instead, or besides a GPU: host memory
};

/// "4GiB", "cuda:20GiB,host:64GiB" or ""; SIZE as parse_bytes() reads it, "cpu" is another name of
/// "host". Throws Error(kUsage) naming the text.
[[nodiscard]] MemoryCap parse_memory_cap(const std::string& text);

/// Bytes that a run may plan with on one side.
struct MemoryLimit {
  std::optional<std::int64_t> bytes;  ///< nothing: not known
  bool asked_for = false;             ///< by --max_memory; else what is free
};

/// Both sides. Where the CPU computes there is no device side: its limit is not read.
struct MemoryLimits {
  MemoryLimit device;
  MemoryLimit host;
};

/// What `cap` allows, and where it says nothing what is free: on a GPU its free memory, if it is
/// here; on the host what the system and the process's control groups have available, plus what the
/// process holds already (a plan counts that too).
/// Throws Error(kUsage) for a cap on a GPU where the CPU computes.
[[nodiscard]] MemoryLimits memory_limits(const MemoryCap& cap, torch::Device device);

/// Bytes of the process that are in memory now.
[[nodiscard]] std::int64_t resident_bytes();

/// The most memory that this process has had so far.
[[nodiscard]] std::int64_t peak_resident_bytes();

/// The most memory that LibTorch's allocator has held on one GPU so far, a CUDA context not
/// counted; 0 where none was used.
[[nodiscard]] std::int64_t peak_device_bytes();

/// Bytes that can still be taken on the host without swapping; nothing when the system does not
/// tell.
[[nodiscard]] std::optional<std::int64_t> available_host_bytes();

/// MemAvailable of the text of /proc/meminfo, in bytes; nothing without such a line.
[[nodiscard]] std::optional<std::int64_t> parse_available(const std::string& meminfo);

/// What the memory control groups of a process leave it, file cache counted as free: the least over
/// its groups and theirs above. Nothing when none of them has a limit.
/// \param mount       where control groups are mounted: "/sys/fs/cgroup".
/// \param membership  text of /proc/self/cgroup.
[[nodiscard]] std::optional<std::int64_t> control_group_room(const std::filesystem::path& mount,
                                                             const std::string& membership);

}  // namespace sgpt_mi::memory
