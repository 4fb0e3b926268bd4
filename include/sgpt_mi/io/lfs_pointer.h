#pragma once

#include <cstddef>
#include <string_view>

namespace sgpt_mi::io {

/// A pointer file is shorter than this (github.com/git-lfs/git-lfs, docs/spec.md).
constexpr std::size_t kLfsPointerBytes = 1024;

/// Whether a file with these first bytes is the pointer that Git LFS leaves in place of a file
/// whose content was not downloaded. Also of the versions before 1.0, which were called Git Media
/// and Hawser.
[[nodiscard]] bool is_lfs_pointer(std::string_view first_bytes);

}  // namespace sgpt_mi::io
