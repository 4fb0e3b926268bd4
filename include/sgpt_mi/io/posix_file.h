#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace sgpt_mi::io {

/// Owns a POSIX file descriptor and closes it.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;

  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

/// A file open for reading.
struct InputFile {
  FileDescriptor descriptor;
  std::size_t bytes = 0;  ///< its size when it was opened
};

/// Opens a regular file for reading.
/// Throws Error(kInput) naming the path when it is missing, a folder or unreadable.
[[nodiscard]] InputFile open_input(const std::filesystem::path& path);

/// Creates a file, or empties an existing one, for writing.
/// Throws Error(kInput) naming the path when that is not possible.
[[nodiscard]] FileDescriptor create_output(const std::filesystem::path& path);

/// Writes all bytes at `offset`; `path` is for the message.
/// Throws Error(kInput) naming the path when the disk is full or the write fails otherwise.
void write_at(const FileDescriptor& file, std::uint64_t offset, std::span<const std::byte> bytes,
              const std::filesystem::path& path);

/// Waits until a file's data is on the disk. Throws as write_at does.
void sync_file(const FileDescriptor& file, const std::filesystem::path& path);

/// The same for a path: a file, or a folder whose entries were created or renamed.
void sync_path(const std::filesystem::path& path);

/// Throws Error(kInput) that says why `path` could not be written, from an errno value.
[[noreturn]] void fail_output(const std::filesystem::path& path, int error_number);

}  // namespace sgpt_mi::io
