#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "sgpt_mi/io/partial_folder.h"
#include "sgpt_mi/io/posix_file.h"

namespace sgpt_mi::io {

/// Whether write_file_atomic() writes to a path as it is: a pipe, a device, or what this process
/// has for its standard output or error.
[[nodiscard]] bool is_written_directly(const std::filesystem::path& path);

/// The path that a link names at last, also where nothing is there yet; another path stays.
[[nodiscard]] std::filesystem::path behind_links(std::filesystem::path path);

/// Writes a file at once: temporary name beside it, fsync, rename. An old file stays until then; a
/// link stays one, and the file behind it is replaced.
/// Throws Error(kInput) naming the path when the place is not writable or the disk is full.
void write_file_atomic(const std::filesystem::path& path, std::string_view bytes);

/// A file that appears complete or not at all, written piece by piece.
///
/// It lies in a PartialFolder until commit() syncs and renames it. Without commit() the destructor
/// removes it and an old file stays. Errors as write_file_atomic and PartialFolder.
class StagedFile {
 public:
  explicit StagedFile(const std::filesystem::path& target);
  /// A file beside the folder's target, of several that belong together.
  StagedFile(PartialFolder folder, std::filesystem::path target);
  ~StagedFile();
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;

  /// Where it lies until commit().
  [[nodiscard]] const std::filesystem::path& staging() const { return staging_; }

  /// Writes bytes at an offset; gaps are zeros.
  void write(std::uint64_t offset, std::span<const std::byte> bytes);

  void commit();

 private:
  PartialFolder folder_;
  std::filesystem::path target_;
  std::filesystem::path staging_;
  FileDescriptor file_;
};

/// A folder that appears complete or not at all.
///
/// Everything is written below staging(), in the target's PartialFolder; commit() syncs it and puts
/// it in the target's place by rename (an old target is moved aside first and removed after, with
/// all that lies in it). Without commit() the destructor removes the staging folder and the target
/// stays as it was.
class StagedFolder {
 public:
  /// \param marker  file of every finished folder.
  /// \throws Error(kUsage) the target is an existing folder that is not empty and holds no `marker`
  ///         (it is not ours to replace), or the one that the process works in; Error(kInput) it
  ///         cannot be written.
  StagedFolder(const std::filesystem::path& target, const std::string& marker);
  ~StagedFolder();
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& staging() const { return staging_; }

  /// Syncs all files, renames. Afterwards staging() no longer exists.
  void commit();

 private:
  PartialFolder folder_;
  std::filesystem::path staging_;
  bool committed_ = false;
};

}  // namespace sgpt_mi::io
