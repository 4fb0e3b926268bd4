#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace sgpt_mi::io {

/// The bytes of a file, mapped into memory read-only. Pages are read when they are touched and may
/// be dropped again by the system, so that a model larger than memory can be open.
///
/// The file must not be shortened while it is mapped: touching a page that is gone, or that the
/// disk fails to read, ends the process (install_lost_bytes_handler()).
class MappedFile {
 public:
  /// Throws Error(kInput) naming the path when it is missing, not a regular file, unreadable or a
  /// Git LFS pointer (lfs_pointer.h), which is called one here because every reader comes by.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  /// All bytes; empty for an empty file.
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

  /// Starts reading a part of bytes() from the disk; returns at once.
  void will_need(std::span<const std::byte> part) const;

  /// Gives the memory of a part of bytes() back to the system; touched again, it is read again.
  /// Pages that the part shares with other bytes stay.
  void done_with(std::span<const std::byte> part) const;

 private:
  std::span<const std::byte> bytes_;
};

/// Makes the process end with one sentence that names the file, and the exit code of kInput, when a
/// page of a MappedFile cannot be read any more; without it such a read ends it by SIGBUS. Nothing
/// is cleaned up then: whatever was computed with such bytes must not get any further. Call once,
/// from main, when signals have a stack (install_interrupt_handlers()).
void install_lost_bytes_handler();

}  // namespace sgpt_mi::io
