#pragma once

#include <string_view>

namespace sgpt_mi::io {

/// Whether a file that begins with these bytes (its first hundred or more) is a Git LFS pointer:
/// the small text that stands for a large file where a repository was cloned without git-lfs
/// (git-lfs, docs/spec.md).
[[nodiscard]] bool is_lfs_pointer(std::string_view first_bytes);

}  // namespace sgpt_mi::io
