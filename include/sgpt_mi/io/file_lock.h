#pragma once

#include <filesystem>
#include <optional>

#include "sgpt_mi/io/posix_file.h"

namespace sgpt_mi::io {

/// Locks a file, which is made when it is not there, until the descriptor is closed: flock(2), so
/// that the lock ends with its process, however it ends. Nothing when another process holds it, or
/// has removed the file or its folder in between. Where a file system has no locks, everybody gets
/// one. Throws Error(kInput) naming the path when it cannot be opened.
[[nodiscard]] std::optional<FileDescriptor> try_lock_file(const std::filesystem::path& path);

}  // namespace sgpt_mi::io
