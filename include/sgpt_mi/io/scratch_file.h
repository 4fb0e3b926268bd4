#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace sgpt_mi::io {

/// A file without a name, for data that does not fit into memory: it is gone when the object is,
/// however the program ends.
class ScratchFile {
 public:
  /// Makes it in `folder`. Throws Error(kInput) naming the folder when it cannot be written.
  explicit ScratchFile(const std::filesystem::path& folder);
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  /// Writes bytes at an offset; the file grows as needed. Throws Error(kInput) naming the folder
  /// when its disk is full.
  void write(std::uint64_t offset, std::span<const std::byte> bytes);

  /// Reads bytes that were written. Throws Error(kInput) naming the folder when the disk fails,
  /// Error(kInternal) beyond what was written.
  void read(std::uint64_t offset, std::span<std::byte> bytes) const;

  /// Starts reading bytes into the system's cache; returns at once.
  void will_need(std::uint64_t offset, std::size_t bytes) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sgpt_mi::io
